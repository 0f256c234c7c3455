package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/jmoiron/sqlx"
)

// chunks are the fixed row counts of multi-row statements: few shapes, so each is prepared once and cached. Powers of two
// write a page of 100 rows in three statements, and no page needs more than eight: each is a round trip to a server.
// SQLite allows 32766 parameters a statement, so 128 rows leave room for 255 columns.
func chunks() []int { return []int{128, 64, 32, 16, 8, 4, 2, 1} }

// Upsert writes rows into a table with exactly one unique key (keys) through cached prepared statements.
// Rows of the same call must differ in their key.
func (tx *Tx) Upsert(ctx context.Context, table string, keys, cols []string, rows [][]any) error {
	return tx.bulk(ctx, len(cols), rows, func(n int) string { return tx.db.dialect.UpsertSQL(table, keys, cols, n) })
}

// Insert writes new rows; a violated unique key is an error (Dialect.Duplicate tells).
func (tx *Tx) Insert(ctx context.Context, table string, cols []string, rows [][]any) error {
	return tx.bulk(ctx, len(cols), rows, func(n int) string { return insertSQL(table, cols, n) })
}

// InsertOr writes rows with a clause after the values (Dialect.OnConflict…) for existing ones, on a table with
// exactly one unique key. Rows of the same call must differ in their key.
func (tx *Tx) InsertOr(ctx context.Context, table string, cols []string, clause string, rows [][]any) error {
	return tx.bulk(ctx, len(cols), rows, func(n int) string { return insertSQL(table, cols, n) + clause })
}

// Prepared gives a statement of this transaction that is prepared once per DB: for texts from a small closed set.
func (tx *Tx) Prepared(ctx context.Context, text string) (*sqlx.Stmt, error) {
	return tx.prepared(ctx, text)
}

func (tx *Tx) bulk(ctx context.Context, width int, rows [][]any, text func(rows int) string) error {
	for _, n := range chunks() {
		if len(rows) < n {
			continue
		}
		stmt, err := tx.prepared(ctx, text(n))
		if err != nil {
			return err
		}
		for ; len(rows) >= n; rows = rows[n:] {
			args := make([]any, 0, n*width)
			for _, r := range rows[:n] {
				if len(r) != width {
					return fmt.Errorf("writing rows: %d values for %d columns", len(r), width)
				}
				args = append(args, r...)
			}
			if _, err := stmt.ExecContext(ctx, args...); err != nil {
				return err
			}
		}
	}
	return nil
}

func insertSQL(table string, cols []string, rows int) string {
	one, head := "(", "INSERT INTO "+table+"("
	for i, c := range cols {
		if i > 0 {
			one, head = one+",", head+","
		}
		one, head = one+"?", head+c
	}
	one += ")"
	return head + ") VALUES " + one + strings.Repeat(","+one, rows-1)
}

// prepared gives the statement bound to this transaction; it is prepared once per DB.
func (tx *Tx) prepared(ctx context.Context, text string) (*sqlx.Stmt, error) {
	if s := tx.db.stmt(text); s != nil {
		return tx.StmtxContext(ctx, s), nil
	}
	if tx.db.dialect == SQLite { // its only writing connection is in use by this transaction: the next one will find it ready
		tx.db.wanted = append(tx.db.wanted, text)
		return tx.PreparexContext(ctx, text)
	}
	s, err := tx.db.prepare(ctx, text)
	if err != nil {
		return nil, err
	}
	return tx.StmtxContext(ctx, s), nil
}

// stmt is the prepared statement of a text, or nil.
func (db *DB) stmt(text string) *sqlx.Stmt {
	db.stmtsMu.Lock()
	defer db.stmtsMu.Unlock()
	return db.stmts[text]
}

// prepare keeps a statement for good: texts are a small closed set.
func (db *DB) prepare(ctx context.Context, text string) (*sqlx.Stmt, error) {
	s, err := db.writers.PreparexContext(ctx, text)
	if err != nil {
		return nil, err
	}
	db.stmtsMu.Lock()
	defer db.stmtsMu.Unlock()
	if prior := db.stmts[text]; prior != nil { // somebody else was first
		return prior, s.Close()
	}
	db.stmts[text] = s
	return s, nil
}

// prepareWanted prepares on SQLite's one writing connection, between transactions, what the last one missed.
func (db *DB) prepareWanted(ctx context.Context) error {
	for _, text := range db.wanted {
		if db.stmt(text) != nil {
			continue
		}
		if _, err := db.prepare(ctx, text); err != nil {
			return err
		}
	}
	db.wanted = nil
	return nil
}

// In expands slices in args for "IN (?)" and returns the text and arguments.
func In(query string, args ...any) (string, []any, error) { return sqlx.In(query, args...) }
