package mirror

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/relance/relance/internal/store"
)

// read runs a query and hands each row to scan; the rows are closed before it returns, so that the caller may write.
func read(ctx context.Context, q store.Queryer, text string, args []any, scan func(*sqlx.Rows) error) error {
	rows, err := q.QueryxContext(ctx, text, args...)
	if err != nil {
		return err
	}
	return drain(rows, scan)
}

func drain(rows *sqlx.Rows, scan func(*sqlx.Rows) error) error {
	for rows.Next() {
		if err := scan(rows); err != nil {
			_ = rows.Close() // the first error is the one to tell
			return err
		}
	}
	err := rows.Err()
	if cerr := rows.Close(); err == nil {
		err = cerr
	}
	return err
}

// idList writes ids for IN (…). Numbers of ours need no placeholder, which saves MySQL a round trip of preparing.
func idList(ids []int64) string {
	b := make([]byte, 0, 20*len(ids))
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, id, 10)
	}
	return string(b)
}

// widths are the fixed numbers of placeholders of readIn: few shapes, so each is prepared once and cached.
func widths() []int { return []int{128, 16, 1} }

// readIn reads through a cached prepared statement for every chunk of keys. text ends in "IN (%)"-like form: its one %
// becomes the placeholders. Arguments before the keys are fixed. A chunk that is not full repeats its last key.
func readIn[K any](ctx context.Context, tx *store.Tx, text string, fixed []any, keys []K, scan func(*sqlx.Rows) error) error {
	for len(keys) > 0 {
		n := width(len(keys))
		stmt, err := tx.Prepared(ctx, strings.Replace(text, "%", marks(n), 1))
		if err != nil {
			return err
		}
		args := append(make([]any, 0, len(fixed)+n), fixed...)
		for i := range n {
			args = append(args, keys[min(i, len(keys)-1)])
		}
		rows, err := stmt.QueryxContext(ctx, args...)
		if err != nil {
			return err
		}
		if err := drain(rows, scan); err != nil {
			return err
		}
		keys = keys[min(n, len(keys)):]
	}
	return nil
}

// width is the smallest shape that takes all, else the largest.
func width(n int) int {
	for _, w := range slices.Backward(widths()) {
		if n <= w {
			return w
		}
	}
	return widths()[0]
}

func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?,", n), ",") }

// execEach runs one cached prepared statement per row.
func execEach(ctx context.Context, tx *store.Tx, text string, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	stmt, err := tx.Prepared(ctx, text)
	if err != nil {
		return err
	}
	for _, args := range rows {
		if _, err := stmt.ExecContext(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

// execIn is readIn for a write: DELETE … IN (%).
func execIn[K any](ctx context.Context, tx *store.Tx, text string, fixed []any, keys []K) error {
	for len(keys) > 0 {
		n := width(len(keys))
		args := append(make([]any, 0, len(fixed)+n), fixed...)
		for i := range n {
			args = append(args, keys[min(i, len(keys)-1)])
		}
		if err := execEach(ctx, tx, strings.Replace(text, "%", marks(n), 1), [][]any{args}); err != nil {
			return err
		}
		keys = keys[min(n, len(keys)):]
	}
	return nil
}
