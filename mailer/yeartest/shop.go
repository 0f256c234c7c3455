package yeartest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

// shop is the truth of one shop, and how far it has been read.
type shop struct {
	no        int
	id        int64
	zone      *time.Location
	skew      time.Duration
	noMeans   string
	observed  crm.Instant // of the newest read
	records   map[crm.Ref][]crm.Body
	unread    map[crm.Ref]bool // changed since they were read
	lost      map[crm.Ref]bool // changed, and no webhook told of it
	lag       bool             // the next look comes before the next read
	awayUntil time.Time        // it cannot be read until then
}

const products = 4

func (w *world) openShops() {
	w.tb.Helper()
	zones := []string{"Europe/Paris", "America/New_York", "Pacific/Auckland", "Asia/Kolkata"}
	first := w.pick(len(zones))
	for i := range 1 + w.pick(2) {
		zone := zones[(first+i)%len(zones)]
		loc, err := time.LoadLocation(zone)
		w.must(err)
		row, err := w.m.EnsureShop(w.ctx, mirror.ShopSpec{
			Name: fmt.Sprintf("shop%d", i), Audience: "default", Platform: "woocommerce", Title: "La Boutique", Address: fmt.Sprintf("https://shop%d.example", i), Zone: zone, Locale: "fr", Basis: "opt_in",
		})
		w.must(err)
		s := &shop{
			no: i, id: row.ID, zone: loc, records: map[crm.Ref][]crm.Body{}, unread: map[crm.Ref]bool{}, lost: map[crm.Ref]bool{},
			skew:    []time.Duration{0, 2 * time.Second, -30 * time.Second, 3 * time.Minute}[w.pick(4)],
			noMeans: []string{"silence", "withdrawn"}[w.pick(2)],
		}
		w.shops = append(w.shops, s)
		w.setSkew(s)
		for n := range products {
			w.put(s, crm.KindProduct, fmt.Sprintf("p%d", n), &crm.Product{Name: fmt.Sprint("Robe ", n), URL: "https://shop.example/p", Price: 4990, Currency: "EUR", InStock: n%2 == 0, Status: "publish"})
		}
		w.backfill(s)
	}
}

// setSkew tells by how much the shop's clock is ahead, as a probe would.
func (w *world) setSkew(s *shop) {
	w.write(func(tx *store.Tx) error { return w.m.SetSkew(w.ctx, tx, s.id, s.skew.Milliseconds()) })
}

// put changes a record of the shop.
func (w *world) put(s *shop, kind crm.Kind, id string, bodies ...crm.Body) {
	ref := crm.Ref{Kind: kind, ID: id}
	s.records[ref] = bodies
	if w.percent(8) && w.now.After(w.start) {
		s.lost[ref] = true
		w.agenda.plan(w.now.Add(w.span(30*time.Hour)), func() {
			if s.lost[ref] {
				delete(s.lost, ref)
				s.unread[ref] = true
			}
		})
		return
	}
	s.unread[ref] = true
}

func (w *world) readable(s *shop) bool { return !w.now.Before(s.awayUntil) }

// sync reads what has changed in the shop, as the shop's engine does.
func (w *world) sync(s *shop) {
	w.tb.Helper()
	if !w.readable(s) || s.lag {
		return
	}
	if w.percent(3) { // a read shows what it has shown before
		for _, ref := range w.refs(s.records) {
			if w.percent(20) {
				s.unread[ref] = true
			}
		}
	}
	w.read(s, crm.CauseChange, w.refs(s.unread))
	s.lag = w.percent(25)
}

// backfill reads a shop for the first time.
func (w *world) backfill(s *shop) {
	w.tb.Helper()
	w.read(s, crm.CauseBackfill, w.refs(s.unread))
	w.write(func(tx *store.Tx) error { return w.m.SetBackfilled(w.ctx, tx, s.id, w.at()) })
}

func (w *world) refs(of any) []crm.Ref {
	var out []crm.Ref
	switch m := of.(type) {
	case map[crm.Ref]bool:
		out = slices.Collect(maps.Keys(m))
	case map[crm.Ref][]crm.Body:
		out = slices.Collect(maps.Keys(m))
	}
	slices.SortFunc(out, func(a, b crm.Ref) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID)) })
	return out
}

// read applies records as they are now, in pages, and says that the shop was read.
func (w *world) read(s *shop, cause crm.Cause, refs []crm.Ref) {
	w.tb.Helper()
	if cause == crm.CauseChange && len(refs) > 1 && w.percent(50) {
		w.dice.Shuffle(len(refs), func(i, j int) { refs[i], refs[j] = refs[j], refs[i] })
	}
	for page := range slices.Chunk(refs, 3) {
		s.observed = max(s.observed+1, crm.At(w.now.Add(s.skew)))
		w.apply(s, cause, s.observed, w.facts(s, page))
		for _, ref := range page {
			delete(s.unread, ref)
			delete(s.lost, ref)
		}
	}
	w.write(func(tx *store.Tx) error {
		return w.m.SaveStream(w.ctx, tx, mirror.Stream{ShopID: s.id, Stream: "orders", Kind: crm.KindOrder, ReadAt: w.at(), RunDoneAt: w.at()})
	})
}

func (w *world) facts(s *shop, refs []crm.Ref) []crm.Fact {
	var out []crm.Fact
	for _, ref := range refs {
		for _, b := range s.records[ref] {
			out = append(out, crm.Fact{Ref: ref, Body: b, Gone: isClosed(b)})
		}
	}
	return out
}

func isClosed(b crm.Body) bool {
	c, ok := b.(*crm.Cart)
	return ok && c.ClosedBy != ""
}

// apply is a page on its way into the mirror; what it shows is known from its commit on.
func (w *world) apply(s *shop, cause crm.Cause, observed crm.Instant, facts []crm.Fact) {
	w.tb.Helper()
	var res mirror.Result
	if o, ok := facts[0].Body.(*crm.Order); ok && w.mistake.HidesOrders && cause == crm.CauseChange {
		w.judge.learn(s, cause, crm.Fact{Ref: facts[0].Ref, Body: o})
		facts = facts[1:]
	}
	w.write(func(tx *store.Tx) error {
		var err error
		res, err = w.m.Apply(w.ctx, tx, mirror.Batch{ShopID: s.id, ObservedAt: observed, Cause: cause, Facts: facts})
		return err
	})
	for _, ref := range res.Reread {
		s.unread[ref] = true
	}
	if observed < s.observed {
		return // it showed nothing new
	}
	for _, f := range facts {
		w.judge.learn(s, cause, f)
	}
}

// stale shows an older state of a record again, as a read that was held up would.
func (w *world) stale(s *shop) {
	refs := w.refs(s.records)
	ref := refs[w.pick(len(refs))]
	o, ok := s.records[ref][0].(*crm.Order)
	if !ok || s.unread[ref] || s.lost[ref] || !w.readable(s) {
		return
	}
	old := *o
	old.State, old.Status, old.CountsAsSale = crm.StatePending, "pending", false
	old.PaidAt, old.CompletedAt = 0, 0
	w.tell("order %s is shown as it was", ref.ID)
	w.apply(s, crm.CauseChange, s.observed-1000, []crm.Fact{{Ref: ref, Body: &old}})
}
