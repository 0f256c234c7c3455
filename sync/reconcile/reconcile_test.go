package reconcile_test

import (
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/internal/store/storetest"
	"github.com/relance/relance/sync/reconcile"
)

var servers storetest.Servers //nolint:gochecknoglobals // one server per test binary

func TestMain(m *testing.M) { os.Exit(storetest.Main(m, &servers)) }

const shopID = 7

// set makes exactly these orders live; others of the shop are gone.
func set(t *testing.T, db *store.DB, live []int, gone []int) {
	t.Helper()
	if err := db.Write(t.Context(), "test", func(tx *store.Tx) error {
		if _, err := tx.ExecContext(t.Context(), "DELETE FROM orders"); err != nil {
			return err
		}
		rows := [][]any{{int64(8), "3", "", "", int64(0)}} // another shop's
		for _, id := range live {
			rows = append(rows, []any{int64(shopID), strconv.Itoa(id), "", "", int64(0)})
		}
		for _, id := range gone {
			rows = append(rows, []any{int64(shopID), strconv.Itoa(id), "", "", int64(5)})
		}
		return tx.Insert(t.Context(), "orders", []string{"shop_id", "id", "coupons", "attribution", "gone_at"}, rows)
	}); err != nil {
		t.Fatal(err)
	}
}

// run compares pages of a list, with a restart (through JSON) between any two.
func run(t *testing.T, m *mirror.Mirror, s *reconcile.State, total int, pages ...[]string) ([]string, *reconcile.State) {
	t.Helper()
	for i, p := range pages {
		if err := s.Compare(t.Context(), m, m.DB().Read(), shopID, crm.KindOrder, p, i == len(pages)-1); err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		s = &reconcile.State{}
		if err := json.Unmarshal(b, s); err != nil {
			t.Fatal(err)
		}
	}
	ids, next := s.Finish(total)
	slices.SortFunc(ids, func(a, b string) int { return atoi(a) - atoi(b) })
	return ids, next
}

func atoi(s string) int { n, _ := strconv.Atoi(s); return n }

func span(from, to int) []int {
	var out []int
	for i := from; i <= to; i++ {
		out = append(out, i)
	}
	return out
}

func list(ids []int, size int) (pages [][]string) {
	for chunk := range slices.Chunk(ids, size) {
		var p []string
		for _, id := range chunk {
			p = append(p, strconv.Itoa(id))
		}
		pages = append(pages, p)
	}
	return pages
}

func TestWhatIsMissingAndWhatIsExtraIsReadAgain(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		m := mirror.New(db)
		set(t, db, []int{2, 3, 9, 10, 11, 99, 100, 101, 999, 1000}, []int{5, 102})
		for name, c := range map[string]struct {
			pages [][]string
			want  []string
		}{
			"all there":              {[][]string{{"2", "3", "9"}, {"10", "11", "99", "100"}, {"101", "999", "1000"}}, nil},
			"an empty last page":     {[][]string{{"2", "3", "9", "10", "11", "99", "100", "101", "999", "1000"}, {}}, nil},
			"a repeated row":         {[][]string{{"2", "3", "9"}, {"9", "10", "11", "99", "100"}, {"101", "999", "1000"}}, nil},
			"missing in the middle":  {[][]string{{"2", "9"}, {"10", "99", "100"}, {"101", "999", "1000"}}, []string{"3", "11"}},
			"missing at both ends":   {[][]string{{"3", "9"}, {"10", "11", "99", "100"}, {"101", "999"}}, []string{"2", "1000"}},
			"missing between pages":  {[][]string{{"2", "3"}, {"10", "11", "99", "100"}, {"101", "999", "1000"}}, []string{"9"}},
			"new ones":               {[][]string{{"2", "3", "4", "9"}, {"10", "11", "99", "100"}, {"101", "999", "1000", "1001"}}, []string{"4", "1001"}},
			"back again":             {[][]string{{"2", "3", "5", "9"}, {"10", "11", "99", "100", "101", "999", "1000"}}, []string{"5"}},
			"two passes":             {[][]string{{"2", "9", "11"}, {"99", "1000"}, {"3", "10"}, {"100", "101", "999"}}, nil},
			"two passes, something":  {[][]string{{"2", "9", "11"}, {"99", "1000"}, {"3"}, {"100", "101", "999", "1002"}}, []string{"10", "1002"}},
			"descending":             {[][]string{{"1000", "999", "101"}, {"100", "99", "11"}, {"10", "9", "2"}}, []string{"3"}},
			"no numbers: no verdict": {[][]string{{"2", "3", "x9"}, {"10"}}, nil},
		} {
			t.Run(name, func(t *testing.T) {
				got, _ := run(t, m, &reconcile.State{}, -1, c.pages...)
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Error(diff)
				}
			})
		}
	})
}

func TestB13_AListThatLosesTooMuchIsOnlyBelievedTwice(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		m := mirror.New(db)
		set(t, db, span(1, 300), nil)
		half := list(span(1, 150), 100)
		ids, next := run(t, m, &reconcile.State{}, -1, half...)
		if len(ids) != 0 {
			t.Fatalf("%d ids at once on one word of the shop", len(ids))
		}
		ids, again := run(t, m, next, -1, list(span(1, 300), 100)...)
		if len(ids) != 0 || len(again.Suspect) != 0 {
			t.Fatalf("a list that was whole again left %d suspects and %d ids", len(again.Suspect), len(ids))
		}
		ids, _ = run(t, m, next, -1, half...)
		if len(ids) != 150 {
			t.Fatalf("%d of 150 ids on the second word", len(ids))
		}
	})
}

func TestB13_AListShorterThanAnnouncedIsOnlyBelievedTwice(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		m := mirror.New(db)
		set(t, db, span(1, 50), nil)
		ids, next := run(t, m, &reconcile.State{}, 50, list(span(1, 45), 100)...)
		if len(ids) != 0 {
			t.Fatalf("believed %v", ids)
		}
		if ids, _ = run(t, m, next, 50, list(span(1, 45), 100)...); len(ids) != 5 {
			t.Fatalf("then %v", ids)
		}
	})
}

func TestB13_AListOfNothingIsNeverBelieved(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		m := mirror.New(db)
		set(t, db, span(1, 60), nil)
		s := &reconcile.State{}
		for _, total := range []int{0, -1, 60, 0} {
			var ids []string
			if ids, s = run(t, m, s, total, nil); len(ids) != 0 {
				t.Fatalf("%d ids to be read again", len(ids))
			}
		}
		set(t, db, span(1, 3), nil) // a small shop may well have been emptied
		if ids, _ := run(t, m, &reconcile.State{}, 0, nil); len(ids) != 3 {
			t.Fatalf("%d ids to be read again", len(ids))
		}
	})
}

func TestEveryExtraGetsItsTurn(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		m := mirror.New(db)
		set(t, db, nil, nil)
		seen := map[string]bool{}
		s := &reconcile.State{}
		for range 5 {
			var ids []string
			if ids, s = run(t, m, s, -1, list(span(1, 90), 100)...); len(ids) > 20 {
				t.Fatalf("%d ids at once", len(ids))
			}
			for _, id := range ids {
				seen[id] = true
			}
		}
		if len(seen) != 90 {
			t.Fatalf("%d of 90", len(seen))
		}
	})
}

func TestQuarantinedIdsAreNotExtra(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		m := mirror.New(db)
		if err := db.Write(t.Context(), "test", func(tx *store.Tx) error {
			return tx.Insert(t.Context(), "quarantine", []string{"shop_id", "kind", "id"}, [][]any{{int64(shopID), "order", "4"}})
		}); err != nil {
			t.Fatal(err)
		}
		if ids, _ := run(t, m, &reconcile.State{}, -1, []string{"4", "5"}); len(ids) != 1 || ids[0] != "5" {
			t.Fatalf("read again: %v", ids)
		}
	})
}

// Any list in any paging says exactly what differs.
func TestCompareIsExact(t *testing.T) {
	db := servers.Open(t, store.SQLite, store.Options{})
	m := mirror.New(db)
	rapid.Check(t, func(rt *rapid.T) {
		some := rapid.SliceOfNDistinct(rapid.IntRange(1, 1200), 0, 19, rapid.ID[int])
		here, there := some.Draw(rt, "mirror"), some.Draw(rt, "shop")
		set(t, db, here, nil)
		slices.Sort(there)
		pages := list(there, rapid.IntRange(1, 7).Draw(rt, "size"))
		pages = append(pages, []string{})
		got, _ := run(t, m, &reconcile.State{}, len(there), pages...)
		var want []string
		for id := range 1201 {
			if slices.Contains(here, id) != slices.Contains(there, id) {
				want = append(want, strconv.Itoa(id))
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatal(diff)
		}
	})
}
