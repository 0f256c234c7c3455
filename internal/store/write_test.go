package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/internal/store"
)

func put(ctx context.Context, db *store.DB, name, value string) error {
	return db.Write(ctx, "test.put", func(tx *store.Tx) error {
		return tx.Upsert(ctx, "meta", []string{"name"}, []string{"name", "value"}, [][]any{{name, value}})
	})
}

func get(t *testing.T, db *store.DB, name string) string {
	t.Helper()
	var v string
	err := db.Read().GetContext(t.Context(), &v, "SELECT value FROM meta WHERE name=?", name)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		t.Fatal(err)
	}
	return v
}

func TestAFullDiskIsASentenceAndLosesNothing(t *testing.T) {
	db := servers.Open(t, store.SQLite, store.Options{MaxPages: 250})
	var err error
	kept := 0
	for i := 0; i < 2000 && err == nil; i++ {
		if err = put(t.Context(), db, "k"+strings.Repeat("x", i%50)+string(rune('a'+i%26)), strings.Repeat("v", 900)); err == nil {
			kept++
		}
	}
	if fault.ClassOf(err) != fault.Operator || !strings.Contains(fault.HintOf(err), "full") {
		t.Fatalf("after %d rows: %v", kept, err)
	}
	if get(t, db, "ka") == "" {
		t.Fatal("a row written before the disk was full is gone")
	}
}

func TestALockedDatabaseIsASentence(t *testing.T) {
	dsn := servers.DSN(t, store.SQLite)
	a := servers.Open(t, store.SQLite, store.Options{DSN: dsn})
	other, err := sql.Open("sqlite", strings.TrimPrefix(dsn, "sqlite:")+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	lock, err := other.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.SetBusyTimeout(t.Context(), a, 10); err != nil {
		t.Fatal(err)
	}
	err = put(t.Context(), a, "k", "v")
	if err == nil || !strings.Contains(err.Error(), "holds the database file locked") {
		t.Fatalf("locked: %v", err)
	}
	if err := lock.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := put(t.Context(), a, "k", "v"); err != nil || get(t, a, "k") != "v" {
		t.Fatalf("after the lock was let go: %v", err)
	}
}

func TestEveryCommitIsAFaultPoint(t *testing.T) {
	boom := errors.New("boom")
	for _, when := range []string{"before", "after"} {
		for _, engine := range []store.Dialect{store.SQLite, store.MySQL} {
			crash := true
			db := servers.Open(t, engine, store.Options{Fault: func(name, at string) error {
				if crash && name == "test.put" && at == when {
					return boom
				}
				return nil
			}})
			if err := put(t.Context(), db, "k", "v"); !errors.Is(err, boom) {
				t.Fatal(err)
			}
			crash = false
			want := map[string]string{"before": "", "after": "v"}[when]
			if got := get(t, db, "k"); got != want {
				t.Fatalf("%s, crash %s the commit: value %q, want %q", engine, when, got, want)
			}
		}
	}
}

func TestUrgentWritesGoBeforeBackgroundOnes(t *testing.T) {
	db := servers.Open(t, store.SQLite, store.Options{})
	inside, release, order := make(chan struct{}), make(chan struct{}), make(chan string, 3)
	done := make(chan error, 3)
	go func() {
		done <- db.Write(t.Context(), "test.first", func(*store.Tx) error { close(inside); <-release; return nil })
	}()
	<-inside
	enter := func(name string, write func(context.Context, string, func(*store.Tx) error) error) {
		waiting := store.Waiting(db)
		go func() { done <- write(t.Context(), name, func(*store.Tx) error { order <- name; return nil }) }()
		for store.Waiting(db) == waiting { // spins until the goroutine stands in the queue
		}
	}
	enter("background", db.WriteBackground)
	enter("urgent", db.Write)
	close(release)
	for range 3 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if first := <-order; first != "urgent" {
		t.Fatalf("%s went first", first)
	}
}

func TestMigratingTwiceChangesNothing(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		if err := put(t.Context(), db, "k", "v"); err != nil {
			t.Fatal(err)
		}
		if err := db.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if get(t, db, "k") != "v" {
			t.Fatal("migrating again lost a row")
		}
	})
}

// Each transaction holds a connection while it prepares a statement on another: some must be left for that.
func TestMoreTransactionsThanConnectionsFinish(t *testing.T) {
	db := servers.Open(t, store.MySQL, store.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			if err := db.Write(ctx, "test.many", func(tx *store.Tx) error {
				if _, err := tx.ExecContext(ctx, "DO SLEEP(0.1)"); err != nil {
					return err
				}
				text := fmt.Sprintf("UPDATE meta SET value='x' WHERE name='nobody %d'", i) // new to everybody
				stmt, err := tx.Prepared(ctx, text)
				if err != nil {
					return err
				}
				_, err = stmt.ExecContext(ctx)
				return err
			}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}
