package segments_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/internal/store/storetest"
	"github.com/relance/relance/segments"
	"github.com/relance/relance/segments/rule"
	"github.com/relance/relance/segments/rule/ruletest"
)

var servers storetest.Servers //nolint:gochecknoglobals // one server per test binary

func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "25"); err != nil { // each is dozens of durable transactions on two engines
		panic(err)
	}
	os.Exit(storetest.Main(m, &servers))
}

// tb is what testing.T and rapid.T have in common.
type tb interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// world is a database with contacts whose facts a test writes, and a maintainer over it.
type world struct {
	ctx    context.Context //nolint:containedctx // the test's own
	db     *store.DB
	mirror *mirror.Mirror
	leases *store.Leases
	fault  *func(name, when string) error
	defs   []*rule.Segment
	m      *segments.Maintainer
	now    crm.Instant
	wall   time.Time
	serial int
	page   int // contacts a batch; 0 = as in life

	suppressed map[int64][]string // what the mailer would tell
}

var errCrash = errors.New("crash")

func newWorld(t testing.TB, engine store.Dialect) *world {
	t.Helper()
	var fault func(name, when string) error
	w := &world{ctx: t.Context(), fault: &fault, now: base()}
	w.db = servers.Open(t, engine, store.Options{Fault: func(name, when string) error {
		if fault == nil {
			return nil
		}
		return fault(name, when)
	}})
	w.mirror = mirror.New(w.db)
	w.mirror.TellSuppressions(func(context.Context, store.Queryer, []int64) (map[int64][]string, error) { return w.suppressed, nil })
	w.leases = store.NewLeases(w.db, "test", time.Hour)
	w.must(t, errOf(w.leases.Acquire(t.Context(), store.LaneLeases(crm.Lanes)...)))
	w.write(t, func(tx *store.Tx) error {
		return tx.Insert(w.ctx, "audiences", []string{"id", "name"}, [][]any{{1, "default"}})
	})
	return w
}

func each(t *testing.T, fn func(t *testing.T, w *world)) {
	t.Helper()
	for _, engine := range []store.Dialect{store.SQLite, store.MySQL} {
		t.Run(string(engine), func(t *testing.T) { fn(t, newWorld(t, engine)) })
	}
}

func base() crm.Instant { return crm.At(time.Date(2026, 10, 25, 0, 0, 0, 0, time.UTC)) }

func errOf[T any](_ T, err error) error { return err }

func (w *world) must(t tb, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wipe empties every table that tests fill and starts over.
func (w *world) wipe(t tb) {
	t.Helper()
	w.write(t, func(tx *store.Tx) error {
		for _, table := range []string{
			"contacts", "orders", "order_lines", "carts", "consent_state", "dirty", "memberships",
			"events", "customers", "shops", "thresholds", "segment_defs", "segment_builds", "segment_sizes", "segment_due", "segment_changes", "meta", "contact_stats",
		} {
			if _, err := tx.ExecContext(w.ctx, "DELETE FROM "+table); err != nil {
				return err
			}
		}
		return nil
	})
	w.now, w.suppressed = base(), map[int64][]string{}
}

func (w *world) write(t tb, fn func(tx *store.Tx) error) {
	t.Helper()
	w.must(t, w.db.Write(w.ctx, "test", fn))
}

// deploy starts a maintainer for the definitions, as a restart does.
func (w *world) deploy(t tb, defs ...*rule.Segment) {
	t.Helper()
	w.defs = defs
	w.restart()
	w.must(t, w.m.Deploy(w.ctx, w.now.Time()))
}

func (w *world) restart() {
	w.m = segments.NewMaintainer(w.mirror, w.leases, w.defs, segments.Options{Wall: func() time.Time {
		w.wall = w.wall.Add(time.Minute)
		return w.wall
	}})
	if w.page > 0 {
		segments.SmallPages(w.m, w.page)
	}
}

// settle steps until there is nothing to do.
func (w *world) settle(t tb) {
	t.Helper()
	for range 20_000 { // a million contacts in batches of 500, and some
		_, worked, err := w.m.Step(w.ctx, w.now.Time())
		w.must(t, err)
		if !worked {
			return
		}
	}
	t.Fatal("never settles")
}

func (w *world) contact(t tb, registered crm.Instant) int64 {
	t.Helper()
	id := w.db.NewID()
	w.write(t, func(tx *store.Tx) error {
		if err := tx.Insert(w.ctx, "contacts", []string{"id", "audience_id", "lane", "email_norm", "country", "zone", "registered_at", "live"},
			[][]any{{id, 1, crm.LaneOf(id), fmt.Sprintf("c%d@example.com", id), "FR", "Europe/Paris", registered, 1}}); err != nil {
			return err
		}
		return w.mirror.MarkDirty(w.ctx, tx, []int64{id}, registered, w.now, crm.CauseBackfill)
	})
	return id
}

type order struct {
	id       string
	purchase string // "" = an order alone
	at       crm.Instant
	total    int64
	sale     bool
	source   crm.Instant // when the shop changed it; 0 = at
	cause    crm.Cause   // "" = change
}

func (w *world) order(t tb, contact int64, o order) {
	t.Helper()
	w.write(t, func(tx *store.Tx) error { return w.putOrder(tx, contact, o) })
}

func (w *world) putOrder(tx *store.Tx, contact int64, o order) error {
	if o.id == "" {
		w.serial++
		o.id = fmt.Sprintf("o%d", w.serial)
	}
	if err := tx.Upsert(w.ctx, "orders", []string{"shop_id", "id"},
		[]string{"shop_id", "id", "contact_id", "state", "counts_as_sale", "currency", "total", "placed_at", "coupons", "attribution", "purchase"},
		[][]any{{1, o.id, contact, "completed", o.sale, "EUR", o.total, o.at, "", "", o.purchase}}); err != nil {
		return err
	}
	if err := tx.Upsert(w.ctx, "order_lines", []string{"shop_id", "order_id", "line_id"},
		[]string{"shop_id", "order_id", "line_id", "product_id", "quantity", "total"},
		[][]any{{1, o.id, "1", "1", 1, o.total}}); err != nil {
		return err
	}
	if err := w.stats(tx, contact); err != nil {
		return err
	}
	return w.mark(tx, contact, o.source, o.at, o.cause)
}

// stats keeps the statistics of a contact, as the mirror does.
func (w *world) stats(tx *store.Tx, contact int64) error {
	var row struct{ Orders, Sales, Revenue, Last int64 }
	if err := tx.GetContext(w.ctx, &row, `SELECT COUNT(*) AS orders, COUNT(DISTINCT CASE WHEN counts_as_sale=1 THEN (CASE purchase WHEN '' THEN id ELSE purchase END) END) AS sales,
 COALESCE(SUM(CASE WHEN counts_as_sale=1 THEN total-refunded ELSE 0 END),0) AS revenue, COALESCE(MAX(CASE WHEN counts_as_sale=1 THEN placed_at ELSE 0 END),0) AS last
 FROM orders WHERE contact_id=?`, contact); err != nil {
		return err
	}
	return tx.Upsert(w.ctx, "contact_stats", []string{"contact_id", "shop_id"},
		[]string{"contact_id", "shop_id", "currency", "orders", "sales", "revenue", "last_placed_at"},
		[][]any{{contact, 1, "EUR", row.Orders, row.Sales, row.Revenue, row.Last}})
}

func (w *world) mark(tx *store.Tx, contact int64, source, at crm.Instant, cause crm.Cause) error {
	if cause == "" {
		cause = crm.CauseChange
	}
	if source == 0 {
		source = at
	}
	return w.mirror.MarkDirty(w.ctx, tx, []int64{contact}, source, w.now, cause)
}

func (w *world) cart(t tb, contact int64, id string, active, closed crm.Instant) {
	t.Helper()
	w.write(t, func(tx *store.Tx) error {
		if err := tx.Upsert(w.ctx, "carts", []string{"shop_id", "id"},
			[]string{"shop_id", "id", "contact_id", "currency", "total", "created_at", "active_at", "closed_at"},
			[][]any{{1, id, contact, "EUR", 4000, active, active, closed}}); err != nil {
			return err
		}
		return w.mark(tx, contact, max(active, closed), active, "")
	})
}

func (w *world) consent(t tb, contact int64, state string, at, expires crm.Instant) {
	t.Helper()
	w.write(t, func(tx *store.Tx) error {
		if err := tx.Upsert(w.ctx, "consent_state", []string{"contact_id", "topic", "channel"},
			[]string{"contact_id", "topic", "channel", "lane", "state", "source_at", "expires_at"},
			[][]any{{contact, "marketing", "email", crm.LaneOf(contact), state, at, expires}}); err != nil {
			return err
		}
		return w.mark(tx, contact, at, at, crm.CauseConsent)
	})
}

func (w *world) live(t tb, contact int64, live bool) {
	t.Helper()
	w.write(t, func(tx *store.Tx) error {
		if _, err := tx.ExecContext(w.ctx, "UPDATE contacts SET live=? WHERE id=?", live, contact); err != nil {
			return err
		}
		return w.mark(tx, contact, w.now, w.now, "")
	})
}

func (w *world) changes(t tb) []segments.Change {
	t.Helper()
	var out []segments.Change
	w.must(t, w.db.Read().SelectContext(w.ctx, &out,
		"SELECT id, contact_id, lane, segment, entered, effective_at, recorded_at, cause FROM segment_changes ORDER BY recorded_at, id"))
	return out
}

func (w *world) pending(t tb) []segments.Change {
	t.Helper()
	lanes := make([]int, crm.Lanes)
	for i := range lanes {
		lanes[i] = i
	}
	out, err := segments.Pending(w.ctx, w.db.Read(), lanes, 10000)
	w.must(t, err)
	return out
}

func (w *world) members(t tb, segment string) []int64 {
	t.Helper()
	ms, err := segments.Members(w.ctx, w.db.Read(), segment, 0, 10000)
	w.must(t, err)
	var ids []int64
	for _, m := range ms {
		ids = append(ids, m.ContactID)
	}
	return ids
}

// everything that a profile can hold.
func everything() crm.Needs {
	return crm.Needs{Orders: true, Lines: true, Carts: true, Consents: true, Source: true, Coupons: true, Account: true, Ranks: true, Events: []string{crm.AllEvents}, History: ruletest.Below()}
}

// checkExact compares memberships with evaluation from scratch at now, and asks Verify the same.
func (w *world) checkExact(t tb) {
	t.Helper()
	ids, err := w.mirror.ContactIDs(w.ctx, w.db.Read(), 0, 10000)
	w.must(t, err)
	needs := everything()
	for _, d := range w.defs {
		needs = rule.Union(needs, d.Needs())
	}
	ps, err := segments.Profiles(w.ctx, w.mirror, w.db.Read(), ids, needs)
	w.must(t, err)
	for _, d := range w.defs {
		var want []int64
		for i := range ps {
			if d.Match(&ps[i], w.now) {
				want = append(want, ps[i].Contact.ID)
			}
		}
		if got := w.members(t, d.ID); !slices.Equal(got, want) {
			t.Fatalf("%s at %v: members %v, from scratch %v", d.ID, w.now.Time(), got, want)
		}
		if n, err := segments.Size(w.ctx, w.db.Read(), d.ID); err != nil || n != int64(len(want)) {
			t.Fatalf("%s is said to have %d members, it has %d (%v)", d.ID, n, len(want), err)
		}
	}
	r, err := segments.Verify(w.ctx, w.mirror, w.now.Time())
	w.must(t, err)
	if len(r.Differences) > 0 || r.Unsettled > 0 {
		t.Fatalf("verify: %+v", r)
	}
	if at, err := segments.Watermark(w.ctx, w.db.Read()); err != nil || at != w.now {
		t.Fatalf("watermark %v, want %v (%v)", at.Time(), w.now.Time(), err)
	}
	if ok, err := w.m.Settled(w.ctx, w.now.Time()); err != nil || !ok {
		t.Fatalf("not settled: %v", err)
	}
}

// checkLog: changes alternate per contact and segment, end in what is stored, and only triggers are pending.
func (w *world) checkLog(t tb) {
	t.Helper()
	type key struct {
		contact int64
		segment string
	}
	in, since := map[key]bool{}, map[key]crm.Instant{}
	for _, c := range w.changes(t) {
		k := key{c.ContactID, c.Segment}
		if in[k] == c.Entered {
			t.Fatalf("contact %d: entered=%v of %s is recorded twice running (%s)", c.ContactID, c.Entered, c.Segment, c.Cause)
		}
		if !c.Entered && c.EffectiveAt < since[k] {
			t.Fatalf("left before having entered: %+v", c)
		}
		in[k], since[k] = c.Entered, c.EffectiveAt
		if c.EffectiveAt > c.RecordedAt {
			t.Fatalf("a change is effective after it was known: %+v", c)
		}
	}
	for _, d := range w.defs {
		for _, id := range w.members(t, d.ID) {
			if !in[key{id, d.ID}] {
				t.Fatalf("contact %d is in %s, the changes say it is not", id, d.ID)
			}
			delete(in, key{id, d.ID})
		}
	}
	for k, is := range in {
		if is {
			t.Fatalf("the changes say that contact %d is in %s, it is not", k.contact, k.segment)
		}
	}
	for _, c := range w.pending(t) {
		if !c.Cause.Triggers() {
			t.Fatalf("pending: %+v", c)
		}
	}
}

func define(t tb, id string, s rule.Spec) *rule.Segment {
	t.Helper()
	seg, err := rule.Compile(id, s)
	if err != nil {
		t.Fatal(err)
	}
	return seg
}

func defineAll(t tb, f rule.File) []*rule.Segment {
	t.Helper()
	segs, ps := rule.CompileAll(f)
	if len(ps) > 0 {
		t.Fatalf("%v", ps)
	}
	return segs
}

func winBack(t tb) *rule.Segment {
	t.Helper()
	return define(t, "win_back", rule.Spec{Match: rule.Condition{LastPurchase: &rule.LastPurchase{OlderThan: "60d"}}})
}
