// Package storetest gives tests real engines: a SQLite file and a private MariaDB server. A missing engine is
// a failure, never a skip. Only tests import it.
package storetest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/relance/relance/internal/store"
)

// Servers holds the MariaDB server of one test binary; make it in TestMain.
type Servers struct {
	mu     sync.Mutex
	maria  *mariadb
	failed error
	count  int
	left   []string // addresses of empty migrated databases
}

// Main is a TestMain body: it runs the tests and ends the MariaDB server that they may have started.
//
//	func TestMain(m *testing.M) { os.Exit(storetest.Main(m, &servers)) }
func Main(m *testing.M, s *Servers) int {
	code := m.Run()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.maria != nil {
		if err := s.maria.stop(); err != nil {
			fmt.Fprintln(os.Stderr, "ending MariaDB:", err)
			return 1
		}
	}
	return code
}

// Each runs fn once per engine, each on an empty migrated database.
func (s *Servers) Each(t *testing.T, fn func(t *testing.T, db *store.DB)) {
	t.Helper()
	for _, engine := range []store.Dialect{store.SQLite, store.MySQL} {
		t.Run(string(engine), func(t *testing.T) { fn(t, s.Open(t, engine, store.Options{})) })
	}
}

// Open gives a migrated database of the engine; o.DSN is set here.
func (s *Servers) Open(tb testing.TB, engine store.Dialect, o store.Options) *store.DB {
	tb.Helper()
	_, test := tb.(*testing.T) // benchmarks leave too many rows
	reuse := o.DSN == "" && engine == store.MySQL && test
	migrated := false
	if reuse {
		o.DSN = s.take()
		migrated = o.DSN != ""
	}
	if o.DSN == "" {
		o.DSN = s.DSN(tb, engine)
	}
	db, err := store.Open(tb.Context(), o)
	if err != nil {
		tb.Fatalf("opening %s: %v", engine, err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Errorf("closing %s: %v", engine, err)
		}
		if reuse {
			s.leave(tb, o.DSN)
		}
	})
	if migrated {
		return db
	}
	if err := db.Migrate(tb.Context()); err != nil {
		tb.Fatalf("migrating %s: %v", engine, err)
	}
	return db
}

// DSN is the address of a fresh, empty database of the engine, for tests that open it more than once.
func (s *Servers) DSN(tb testing.TB, engine store.Dialect) string {
	tb.Helper()
	if engine == store.SQLite {
		return "sqlite:" + filepath.Join(tb.TempDir(), "relance.db")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.maria == nil && s.failed == nil {
		s.maria, s.failed = startMariaDB()
	}
	if s.failed != nil {
		tb.Fatalf("MariaDB is needed for this test: %v. Run `make deps` (Debian, Ubuntu) or install mariadb-server yourself", s.failed)
	}
	s.count++
	name := fmt.Sprintf("t%d_%s", s.count, strings.Map(onlyLetters, tb.Name()))
	if len(name) > 60 {
		name = name[:60]
	}
	if err := s.maria.createDatabase(tb.Context(), name); err != nil {
		tb.Fatalf("creating database %s: %v", name, err)
	}
	return "mysql:root@unix(" + s.maria.socket + ")/" + name
}

func onlyLetters(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
		return r
	}
	return '_'
}
