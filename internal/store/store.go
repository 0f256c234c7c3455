// Package store opens a database (SQLite embedded, MySQL or MariaDB beyond), migrates it, and runs
// transactions and leases on it. It knows no domain: each package owns the SQL of its tables.
package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/relance/relance/internal/fault"
)

// Options say which database to open.
type Options struct {
	// DSN is "sqlite:/path/to/file.db" or "mysql:user:pass@tcp(host:3306)/name" (also unix sockets).
	DSN string
	// Fault, when set, is called at every commit as (transaction name, "before"|"after"); an error makes the
	// caller see a failed commit, as a crash at that instant would. Tests enumerate the names with it.
	Fault func(name, when string) error
	// MaxPages bounds a SQLite file (PRAGMA max_page_count); 0 = unbounded. The way to a full disk in tests.
	MaxPages int
	// IDs, when set, makes the ids of new rows instead of the clock and chance: for runs that can be repeated exactly.
	IDs func() int64
}

// ErrAgain is wrapped by a transaction's error when its whole body may succeed if run again at once, as when another
// process inserted the same unique key first. Write repeats it like a deadlock.
var ErrAgain = errors.New("another process was first")

// DB is an open database. Reads go to a pool; every write goes through Write, which repeats whole transactions.
type DB struct {
	dialect Dialect
	readers *sqlx.DB
	writers *sqlx.DB
	fault   func(name, when string) error
	gate    *gate
	turns   chan struct{} // MySQL: a place for each transaction under way
	ids     idSource
	ownIDs  func() int64
	stmtsMu sync.Mutex
	stmts   map[string]*sqlx.Stmt // by SQL text, on writers
	wanted  []string              // SQLite: statements to prepare before the next transaction; guarded by gate
	path    string
}

// Queryer is what reading functions take: a transaction or the reader pool.
type Queryer interface {
	GetContext(ctx context.Context, dest any, query string, args ...any) error
	SelectContext(ctx context.Context, dest any, query string, args ...any) error
	QueryxContext(ctx context.Context, query string, args ...any) (*sqlx.Rows, error)
}

// Tx is a write transaction.
type Tx struct {
	*sqlx.Tx
	db *DB
}

// Open opens the database and checks what durability needs. It does not migrate.
// Errors are fault.Operator with what to mend.
func Open(ctx context.Context, o Options) (*DB, error) {
	engine, rest, ok := strings.Cut(o.DSN, ":")
	if !ok {
		return nil, dsnError()
	}
	db := &DB{fault: o.Fault, ownIDs: o.IDs, gate: newGate(), stmts: map[string]*sqlx.Stmt{}}
	var err error
	switch engine {
	case "sqlite":
		err = db.openSQLite(ctx, rest, o.MaxPages)
	case "mysql":
		err = db.openMySQL(ctx, rest)
	default:
		err = dsnError()
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func dsnError() error {
	return &fault.Error{
		Class: fault.Operator, Op: "opening the database", Err: errors.New("the address names neither sqlite nor mysql"),
		Hint: "Write database: \"sqlite:relance.db\" or \"mysql:user:password@tcp(host:3306)/relance\"",
	}
}

// Close closes both pools.
func (db *DB) Close() error {
	var errs []error
	db.stmtsMu.Lock()
	defer db.stmtsMu.Unlock()
	for text, s := range db.stmts {
		errs = append(errs, s.Close())
		delete(db.stmts, text)
	}
	for _, p := range []*sqlx.DB{db.readers, db.writers} {
		if p != nil {
			errs = append(errs, p.Close())
		}
	}
	return errors.Join(errs...)
}

// Dialect names the engine.
func (db *DB) Dialect() Dialect { return db.dialect }

// Path is the SQLite file, or "" on MySQL.
func (db *DB) Path() string { return db.path }

// Read is the reader pool. Do not hold rows open longer than a page: SQLite keeps its log until then.
func (db *DB) Read() Queryer { return db.readers }

// NewID is a fresh 63-bit id: time-ordered, random below the millisecond, never dense.
func (db *DB) NewID() int64 {
	if db.ownIDs != nil {
		return db.ownIDs()
	}
	return db.ids.next(time.Now())
}

// NewID is a fresh id, as DB.NewID.
func (tx *Tx) NewID() int64 { return tx.db.NewID() }

// Dialect names the engine.
func (tx *Tx) Dialect() Dialect { return tx.db.dialect }

// Write runs fn in a transaction and commits it. name is a constant such as "sync.page": it names the commit as
// a fault point and in errors. fn may run again after a deadlock or a busy database: it touches nothing but tx
// and what it sets anew on each run.
func (db *DB) Write(ctx context.Context, name string, fn func(*Tx) error) error {
	return db.write(ctx, name, true, fn)
}

// WriteBackground is Write for work that can wait (builds, backfills): it lets every waiting Write go first.
func (db *DB) WriteBackground(ctx context.Context, name string, fn func(*Tx) error) error {
	return db.write(ctx, name, false, fn)
}

const maxTries = 8

func (db *DB) write(ctx context.Context, name string, urgent bool, fn func(*Tx) error) error {
	var err error
	for try := range maxTries {
		if err = db.once(ctx, name, urgent, fn); err == nil || !db.dialect.transient(err) {
			return db.dialect.classify(name, err)
		}
		wait := time.NewTimer(time.Duration(1<<try) * 5 * time.Millisecond)
		select {
		case <-ctx.Done():
			wait.Stop()
			return context.Cause(ctx)
		case <-wait.C:
		}
	}
	return db.dialect.classify(name, err)
}

func (db *DB) once(ctx context.Context, name string, urgent bool, fn func(*Tx) error) (err error) {
	if db.turns != nil {
		select {
		case db.turns <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		defer func() { <-db.turns }()
	}
	if db.dialect == SQLite { // one writer; MySQL orders its own
		if err := db.gate.enter(ctx, urgent); err != nil {
			return err
		}
		defer db.gate.leave()
		if err := db.prepareWanted(ctx); err != nil {
			return err
		}
	}
	raw, err := db.writers.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	done := false
	defer func() {
		if !done { // also when fn panics
			err = errors.Join(err, ignoreDone(raw.Rollback()))
		}
	}()
	if err := fn(&Tx{Tx: raw, db: db}); err != nil {
		return err
	}
	if err := db.at(name, "before"); err != nil {
		return err
	}
	done = true
	if err := raw.Commit(); err != nil {
		return err
	}
	return db.at(name, "after")
}

func (db *DB) at(name, when string) error {
	if db.fault == nil {
		return nil
	}
	if err := db.fault(name, when); err != nil {
		return fmt.Errorf("%s commit of %s: %w", when, name, err)
	}
	return nil
}
