package yeartest

import (
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/internal/store/storetest"
)

var (
	oneSeed   = flag.Uint64("year.seed", 0, "the one year to let go by") //nolint:gochecknoglobals // flags of the test binary
	manySeeds = flag.Int("year.seeds", 0, "how many years go by")        //nolint:gochecknoglobals // as above
	servers   storetest.Servers                                          //nolint:gochecknoglobals // one server per test binary
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m, &servers)) }

// folder is one for databases, in memory where there is such a place.
func folder(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "relance-year-") //nolint:usetesting // in memory, where TempDir is not
	if err != nil {
		return tb.TempDir()
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// blank is an empty migrated SQLite file, made once.
func blank(tb testing.TB) string {
	tb.Helper()
	dir := folder(tb)
	db := openSQLite(tb, dir, store.Options{})
	if err := db.Migrate(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	if err := db.Close(); err != nil {
		tb.Fatal(err)
	}
	return filepath.Join(dir, "year.db")
}

func onSQLite(tb testing.TB, blank string) func(store.Options) *store.DB {
	return func(o store.Options) *store.DB {
		tb.Helper()
		dir := folder(tb)
		from, err := os.Open(blank)
		if err != nil {
			tb.Fatal(err)
		}
		defer func() { _ = from.Close() }()
		to, err := os.Create(filepath.Join(dir, "year.db"))
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := io.Copy(to, from); err != nil {
			tb.Fatal(err)
		}
		if err := to.Close(); err != nil {
			tb.Fatal(err)
		}
		db := openSQLite(tb, dir, o)
		tb.Cleanup(func() {
			if err := db.Close(); err != nil {
				tb.Error(err)
			}
		})
		return db
	}
}

func TestAYearGoesByAndEveryPromiseIsKept(t *testing.T) {
	t.Parallel()
	years, err := New()
	if err != nil {
		t.Fatal(err)
	}
	empty := blank(t)
	first, n := uint64(1), 200
	switch {
	case *oneSeed > 0:
		first, n = *oneSeed, 1
	case *manySeeds > 0:
		n = *manySeeds
	case os.Getenv("RELANCE_SOAK") != "":
		n = 3000
	}
	var mails, steps, days, runs int
	ended := map[string]int{}
	for seed := first; seed < first+uint64(n); seed++ {
		t.Run("", func(t *testing.T) {
			r := years.Run(t, Year{Seed: seed, Open: onSQLite(t, empty), Whole: os.Getenv("RELANCE_SOAK") != ""})
			mails, steps, days, runs = mails+r.Mails, steps+r.Steps, days+r.Days, runs+r.Runs
			for k, n := range r.Ended {
				ended[k] += n
			}
			if len(r.Wrong) > 0 {
				t.Errorf("-year.seed=%d: %d promises broken:\n%s\n\nthe last events:\n%s", seed, len(r.Wrong), strings.Join(r.Wrong, "\n"), strings.Join(r.Story, "\n"))
			}
		})
	}
	t.Logf("%d years, %d days, %d steps, %d runs, %d mails; sends ended: %v", n, days, steps, runs, mails, ended)
}

// The same seed is the same year, to the last event: a year that went wrong can be looked at again.
func TestASeedIsAlwaysTheSameYear(t *testing.T) {
	t.Parallel()
	years, err := New()
	if err != nil {
		t.Fatal(err)
	}
	empty := blank(t)
	for _, seed := range []uint64{3, 5, 8, 13} {
		first := years.Run(t, Year{Seed: seed, Open: onSQLite(t, empty)})
		again := years.Run(t, Year{Seed: seed, Open: onSQLite(t, empty)})
		if first.Told != again.Told {
			t.Errorf("year %d was another one:\n%s", seed, firstDifference(first.Story, again.Story))
		}
	}
}

func firstDifference(a, b []string) string {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return a[i] + "\n" + b[i]
		}
	}
	return "in length, or before what is kept"
}

func TestYearsOnMySQL(t *testing.T) {
	t.Parallel()
	years, err := New()
	if err != nil {
		t.Fatal(err)
	}
	for seed := uint64(1); seed <= 4; seed++ {
		r := years.Run(t, Year{Seed: seed, Open: func(o store.Options) *store.DB { return servers.Open(t, store.MySQL, o) }})
		if len(r.Wrong) > 0 {
			t.Errorf("year %d: %d promises broken:\n%s\n\nthe last events:\n%s", seed, len(r.Wrong), strings.Join(r.Wrong, "\n"), strings.Join(r.Story, "\n"))
		}
	}
}
