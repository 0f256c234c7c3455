package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/relance/relance/internal/store"
)

// A migrated MariaDB database costs its hundred tables, each with a file of its own: a second, where a test needs
// milliseconds. So a test leaves its database, emptied, to the next one. One with triggers is not used
// again; tests that change the schema otherwise, or open a database more than once, take a DSN of their own.

var errChanged = errors.New("the schema is no longer as migrated")

// take gives the address of an empty migrated database that a test has left, or "".
func (s *Servers) take() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.left) == 0 {
		return ""
	}
	dsn := s.left[len(s.left)-1]
	s.left = s.left[:len(s.left)-1]
	return dsn
}

// leave empties a database and keeps it for the next test. One that cannot be emptied is not used again.
func (s *Servers) leave(tb testing.TB, dsn string) {
	tb.Helper()
	ctx := context.WithoutCancel(tb.Context()) // cleanups run after the test's own has ended
	db, err := store.Open(ctx, store.Options{DSN: dsn})
	if err != nil {
		return
	}
	err = empty(ctx, db)
	if cerr := db.Close(); err != nil || cerr != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = append(s.left, dsn)
}

func empty(ctx context.Context, db *store.DB) error {
	var triggers int
	if err := db.Read().GetContext(ctx, &triggers, "SELECT COUNT(*) FROM information_schema.triggers WHERE trigger_schema=DATABASE()"); err != nil || triggers > 0 {
		return errors.Join(err, errChanged)
	}
	var tables []string
	if err := db.Read().SelectContext(ctx, &tables,
		"SELECT table_name FROM information_schema.tables WHERE table_schema=DATABASE() AND table_type='BASE TABLE' AND table_name NOT LIKE 'goose%'"); err != nil {
		return err
	}
	parts := make([]string, len(tables))
	for i, t := range tables {
		parts[i] = fmt.Sprintf("SELECT '%s' AS t FROM DUAL WHERE EXISTS(SELECT 1 FROM %s)", t, t)
	}
	var used []string
	if err := db.Read().SelectContext(ctx, &used, strings.Join(parts, " UNION ALL ")); err != nil {
		return err
	}
	return db.Write(ctx, "storetest.empty", func(tx *store.Tx) error {
		for _, t := range used {
			if _, err := tx.ExecContext(ctx, "DELETE FROM "+t); err != nil {
				return err
			}
		}
		return nil
	})
}
