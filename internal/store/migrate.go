package store

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/relance/relance/internal/fault"
)

//go:embed migrations
var migrations embed.FS

// Migrate brings the schema to this program's version. Statements are re-runnable, since MySQL commits each by itself.
// On MySQL a named lock keeps two processes from migrating at once; SQLite's write lock does.
func (db *DB) Migrate(ctx context.Context) error {
	dialect, dir := goose.DialectSQLite3, "migrations/sqlite"
	if db.dialect == MySQL {
		dialect, dir = goose.DialectMySQL, "migrations/mysql"
	}
	files, err := fs.Sub(migrations, dir)
	if err != nil {
		return fmt.Errorf("reading the migrations: %w", err)
	}
	unlock, err := db.migrationLock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	p, err := goose.NewProvider(dialect, db.writers.DB, files)
	if err != nil {
		return fmt.Errorf("reading the migrations: %w", err)
	}
	if _, err := p.Up(ctx); err != nil {
		return db.dialect.classify("migration", fmt.Errorf("migrating the schema: %w", err))
	}
	have, err := p.GetDBVersion(ctx)
	if err != nil {
		return fmt.Errorf("reading the schema's version: %w", err)
	}
	sources := p.ListSources()
	if want := sources[len(sources)-1].Version; have > want {
		return &fault.Error{
			Class: fault.Operator, Op: "opening the database", Err: fmt.Errorf("its schema has version %d, this program knows %d", have, want),
			Hint: "A newer Relance has used this database: run that version",
		}
	}
	return nil
}

func (db *DB) migrationLock(ctx context.Context) (unlock func(), err error) {
	if db.dialect != MySQL {
		return func() {}, nil
	}
	conn, err := db.writers.Connx(ctx)
	if err != nil {
		return nil, fmt.Errorf("taking the migration lock: %w", err)
	}
	var got int
	if err := conn.GetContext(ctx, &got, "SELECT COALESCE(GET_LOCK(CONCAT('relance:migrate:', DATABASE()), 60), 0)"); err != nil || got != 1 {
		_ = conn.Close()
		return nil, fmt.Errorf("taking the migration lock: another process holds it (%w)", err)
	}
	return func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_, _ = conn.ExecContext(end, "DO RELEASE_LOCK(CONCAT('relance:migrate:', DATABASE()))")
		_ = conn.Close()
	}, nil
}
