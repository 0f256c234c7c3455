package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// paged serves orders 1…n, ten a page, and counts the pages asked for.
func paged(n int, asked *[]string) *odd {
	return &odd{
		streams: []connectors.Stream{orderStream},
		pull: func(_ context.Context, _ string, after connectors.Cursor, _ int) (connectors.Page, error) {
			*asked = append(*asked, string(after))
			from, _ := strconv.Atoi(string(after))
			if from >= n {
				from = 0
			}
			p := page(strconv.Itoa(from+10), from+10 < n)
			for i := from + 1; i <= min(from+10, n); i++ {
				f := order(strconv.Itoa(i), "N"+strconv.Itoa(i))
				p.Facts, p.Raw = append(p.Facts, f), append(p.Raw, raw(f))
			}
			p.Total = n
			return p, nil
		},
	}
}

func TestB29_ABackfillGoesOnWhereTheLastProcessStopped(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		var asked []string
		src := paged(50, &asked)
		r := newRig(t, db, src)
		for range 4 { // the probe and three pages
			r.step()
		}
		r.restart(src)
		r.settle()
		if got := strings.Join(asked, " "); got != " 10 20 30 40" {
			t.Fatalf("pages asked for: %q", got)
		}
		if n := r.count("SELECT COUNT(*) FROM orders"); n != 50 {
			t.Fatalf("%d orders", n)
		}
		last := r.seen[len(r.seen)-1]
		if last.Done != 50 || last.Total != 50 || !last.Finished || !last.Backfill {
			t.Fatalf("progress %+v", last)
		}
		s := r.streams()["orders"]
		if s.BackfilledAt == 0 || s.SourceCount != 50 || s.ReadAt == 0 || r.reload().BackfilledAt == 0 {
			t.Fatalf("stream %+v, shop %+v", s, r.reload())
		}
	})
}

func TestB14_HistoryIsMarkedAsBackfillAndLaterReadsAsChanges(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		number := "first"
		r := newRig(t, db, &odd{
			streams: []connectors.Stream{orderStream},
			pull: func(context.Context, string, connectors.Cursor, int) (connectors.Page, error) {
				return page("x", false, order("1", number)), nil
			},
		})
		r.settle()
		if n := r.count("SELECT COUNT(*) FROM dirty WHERE cause='backfill'"); n != 1 {
			t.Fatalf("%d contacts marked by the backfill", n)
		}
		r.clearDirty()
		number = "second"
		r.after(time.Minute)
		if n := r.count("SELECT COUNT(*) FROM dirty WHERE cause='change'"); n != 1 {
			t.Fatalf("%d contacts marked by a change", n)
		}
	})
}

func (r *rig) clearDirty() { r.exec("DELETE FROM dirty") }

// expireLeases is the time that a lease outlives its process.
func (r *rig) expireLeases() { r.exec("UPDATE leases SET until_ms=0") }

func (r *rig) exec(query string) {
	r.t.Helper()
	if err := r.db.Write(r.t.Context(), "test", func(tx *store.Tx) error {
		_, err := tx.ExecContext(r.t.Context(), query)
		return err
	}); err != nil {
		r.t.Fatal(err)
	}
}

func TestAReadThatTheGateWaitsForComesAtOnce(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		var asked []string
		r := newRig(t, db, paged(5, &asked))
		r.settle()
		before := r.streams()["orders"]
		r.now = r.now.Add(20 * time.Second)
		wanted := crm.At(r.now)
		if err := db.Write(t.Context(), "test", func(tx *store.Tx) error {
			return r.m.RequestRead(t.Context(), tx, r.shop.ID, []crm.Kind{crm.KindOrder}, wanted)
		}); err != nil {
			t.Fatal(err)
		}
		r.idle()
		fresh, err := r.m.ReadSince(t.Context(), db.Read(), r.shop.ID, []crm.Kind{crm.KindOrder}, wanted)
		if err != nil || !fresh {
			t.Fatalf("not read since it was wanted (%v); before %+v, after %+v", err, before, r.streams()["orders"])
		}
	})
}

func TestALostLeaseWritesNothing(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		var asked []string
		src := paged(50, &asked)
		r := newRig(t, db, src)
		other := store.NewLeases(db, "there", time.Hour)
		steal := func() {
			r.expireLeases()
			if got, err := other.Acquire(t.Context(), store.ShopLease(r.shop.ID)); err != nil || len(got) != 1 {
				t.Fatal("the lease was not free", got, err)
			}
		}
		r.step() // the probe
		inner := src.pull
		src.pull = func(ctx context.Context, s string, after connectors.Cursor, size int) (connectors.Page, error) {
			steal() // while the shop answers
			return inner(ctx, s, after, size)
		}
		before := r.contents()
		if _, _, err := r.e.Step(t.Context(), r.now); !errors.Is(err, store.ErrLost) {
			t.Fatalf("the step ended with %v", err)
		}
		if r.contents() != before || len(r.streams()["orders"].Cursor) != 0 {
			t.Fatal("something was written without the lease")
		}
		for range 3 {
			if _, worked, err := r.e.Step(t.Context(), r.now); worked || err != nil {
				t.Fatalf("worked=%v without the lease, %v", worked, err)
			}
		}
		if len(asked) != 1 {
			t.Fatalf("the shop was asked %d times", len(asked))
		}
	})
}

func TestB8_OneBadRecordGoesToQuarantineAndTheRestIsApplied(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		r := newRig(t, db, &odd{
			streams: []connectors.Stream{orderStream},
			pull: func(context.Context, string, connectors.Cursor, int) (connectors.Page, error) {
				var facts []crm.Fact
				for i := 1; i <= 20; i++ {
					number := fmt.Sprint(i)
					if i == 7 || i == 20 {
						number = "bad"
					}
					facts = append(facts, order(strconv.Itoa(i), number))
				}
				return page("x", false, facts...), nil
			},
		})
		r.refuseOrdersNumbered("bad")
		r.settle()
		if n := r.count("SELECT COUNT(*) FROM orders"); n != 18 {
			t.Errorf("%d orders are mirrored", n)
		}
		if n := r.count("SELECT COUNT(*) FROM quarantine WHERE kind='order' AND id IN ('7','20') AND reason LIKE '%database refuses%'"); n != 2 {
			t.Errorf("%d records are in quarantine", n)
		}
		if n := r.count("SELECT COUNT(*) FROM quarantine WHERE raw IS NULL"); n != 0 {
			t.Error("the raw body is lost")
		}
		if r.streams()["orders"].BackfilledAt == 0 {
			t.Error("the stream did not go on")
		}
	})
}

// refuseOrdersNumbered makes the engine refuse a value the way it refuses one that is too long or of a wrong type.
func (r *rig) refuseOrdersNumbered(number string) {
	r.t.Helper()
	texts := []string{
		"CREATE TRIGGER picky BEFORE INSERT ON orders FOR EACH ROW IF NEW.number='" + number +
			"' THEN SIGNAL SQLSTATE '22001' SET MYSQL_ERRNO=1406, MESSAGE_TEXT='Data too long for column'; END IF",
	}
	if r.db.Dialect() == store.SQLite {
		texts = []string{
			"CREATE TABLE picky (id INTEGER PRIMARY KEY)",
			"CREATE TRIGGER picky_orders BEFORE INSERT ON orders WHEN NEW.number='" + number + "' BEGIN INSERT INTO picky(id) VALUES ('no number'); END",
		}
	}
	for _, text := range texts {
		r.exec(text)
	}
}

func TestTheShopsClockIsWatched(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		off := 10 * time.Minute
		var r *rig
		r = newRig(t, db, &odd{
			streams: []connectors.Stream{orderStream},
			pull: func(context.Context, string, connectors.Cursor, int) (connectors.Page, error) {
				p := page("x", false, order("1", "1"))
				p.ShopTime = r.now.Add(off).Truncate(time.Second)
				return p, nil
			},
		})
		r.settle()
		if skew := r.reload().SkewMS; skew != off.Milliseconds() {
			t.Fatalf("skew %d ms", skew)
		}
		off = 0
		r.after(time.Minute)
		if skew := r.reload().SkewMS; skew != 0 {
			t.Fatalf("skew %d ms after the clock was mended", skew)
		}
	})
}

func TestASlowAnswerDoesNotLoseTheLease(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		const ttl = time.Second
		other := store.NewLeases(db, "there", ttl)
		var r *rig
		src := &odd{streams: []connectors.Stream{orderStream}}
		src.pull = func(context.Context, string, connectors.Cursor, int) (connectors.Page, error) {
			tick, long := time.NewTicker(ttl/10), time.After(ttl*3/2)
			defer tick.Stop()
			for {
				select {
				case <-long:
					return page("x", false, order("1", "1")), nil
				case <-tick.C:
					if got, err := other.Acquire(t.Context(), store.ShopLease(r.shop.ID)); err != nil || len(got) != 0 {
						t.Errorf("another process took the shop over: %v, %v", got, err)
					}
				}
			}
		}
		r = newRig(t, db, nil)
		r.leases = store.NewLeases(db, "here", ttl)
		r.restart(src)
		r.idle()
		if n := r.count("SELECT COUNT(*) FROM orders"); n != 1 {
			t.Fatalf("%d orders", n)
		}
	})
}

func TestOldWebhooksArePrunedWhenThereIsNothingElseToDo(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		var asked []string
		r := newRig(t, db, paged(5, &asked))
		deliver := func(id int64, age time.Duration) {
			r.exec(fmt.Sprintf("INSERT INTO inbox (id, shop_id, received_at, body) VALUES (%d, %d, %d, '{}')", id, r.shop.ID, crm.At(r.now.Add(-age))))
		}
		deliver(1, 8*24*time.Hour)
		deliver(2, 6*24*time.Hour)
		r.settle()
		if n := r.count("SELECT COUNT(*) FROM inbox WHERE id=2"); n != 1 || r.count("SELECT COUNT(*) FROM inbox") != 1 {
			t.Fatal("pruned too much or too little")
		}
		r.after(25 * time.Hour)
		if n := r.count("SELECT COUNT(*) FROM inbox"); n != 0 {
			t.Fatalf("%d deliveries are left a day later", n)
		}
	})
}
