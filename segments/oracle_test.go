package segments_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/segments"
	"github.com/relance/relance/segments/oracletest"
	"github.com/relance/relance/segments/rule"
	"github.com/relance/relance/segments/rule/ruletest"
)

// TestMembershipsAreWhatTheOracleSays lives through histories as a shop tells them: reads applied to the mirror, clock moves,
// definitions edited, kills in the middle of batches and builds, outages. Whenever all is settled, the memberships that SQL
// shows at the watermark are what the oracle says of the rows that SQL shows; after an outage in which nothing but the clock
// moved, every entry and exit is recorded at the very millisecond at which the oracle sees it.
func TestMembershipsAreWhatTheOracleSays(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		n := &lived{history: &history{world: w}}
		rapid.Check(t, func(rt *rapid.T) {
			n.begin(rt)
			rt.Repeat(map[string]func(*rapid.T){
				"order": n.reads(anOrder), "order again": n.reads(anOrder), "refund": n.reads(aRefund), "cart": n.reads(aCart), "customer": n.reads(aCustomer),
				"event": n.reads(anEvent), "consent": n.reads(aConsent), "product": n.reads(aProduct), "suppression": n.aSuppression,
				"clock": n.aMove, "step": n.aStep, "edit": n.edit, "crash": n.aCrash, "settle": n.agree, "outage": n.anOutage,
			})
			n.anOutage(rt)
		})
		t.Logf("%d memberships compared, %d changes", n.pairs, n.flips)
		if want := 300; n.pairs < want || n.flips < 10 {
			t.Error("that shows little")
		}
	})
}

// lived is a history that comes in through the mirror.
type lived struct {
	*history
	shops        [2]mirror.Shop
	pairs, flips int
}

// begin empties the database and connects two shops.
func (n *lived) begin(t *rapid.T) {
	n.must(t, n.db.Write(n.ctx, "test", func(tx *store.Tx) error {
		text := "SELECT name FROM sqlite_master WHERE type='table'"
		if tx.Dialect() == store.MySQL {
			text = "SELECT table_name FROM information_schema.tables WHERE table_schema=DATABASE() AND table_type='BASE TABLE'"
		}
		var tables []string
		if err := tx.SelectContext(n.ctx, &tables, text); err != nil {
			return err
		}
		for _, table := range tables {
			if table == "leases" || strings.HasPrefix(table, "goose") || strings.HasPrefix(table, "sqlite") {
				continue
			}
			if _, err := tx.ExecContext(n.ctx, "DELETE FROM "+table); err != nil {
				return err
			}
		}
		return nil
	}))
	n.now, n.suppressed = base(), map[int64][]string{}
	n.page = rapid.SampledFrom([]int{1, 2, 500}).Draw(t, "page")
	for i, s := range []mirror.ShopSpec{{Name: "boutique", Zone: "Europe/Paris"}, {Name: "salon", Zone: "America/Havana"}} {
		s.Audience, s.Platform, s.Locale, s.Basis = "default", "woocommerce", "fr", ruletest.Basis().Draw(t, "basis")
		_, err := n.mirror.EnsureShop(n.ctx, s)
		n.must(t, err)
		shop, err := n.mirror.ShopByName(n.ctx, s.Name)
		n.must(t, err)
		n.must(t, n.mirror.SetProbed(n.ctx, shop.ID, connectors.ProbeResult{Currency: "EUR", Zone: s.Zone}, 0))
		n.shops[i] = shop
	}
	n.m = nil
	n.edit(t)
	for _, draw := range []func(*rapid.T, *history) []crm.Fact{
		aCustomer, aCustomer, aProduct, anOrder, anOrder, anOrder, anOrder, anOrder, aCart, aCart, anEvent, anEvent, anEvent, aConsent,
	} {
		n.reads(draw)(t)
	}
}

// reads applies what a read of a shop shows.
func (n *lived) reads(draw func(t *rapid.T, h *history) []crm.Fact) func(t *rapid.T) {
	return func(t *rapid.T) {
		b := mirror.Batch{
			ShopID: n.shops[rapid.IntRange(0, 1).Draw(t, "shop")].ID, ObservedAt: n.now, Facts: draw(t, n.history),
			Cause: rapid.SampledFrom([]crm.Cause{crm.CauseChange, crm.CauseChange, crm.CauseBackfill}).Draw(t, "cause"),
		}
		n.write(t, func(tx *store.Tx) error { return errOf(n.mirror.Apply(n.ctx, tx, b)) })
	}
}

func (n *lived) aSuppression(t *rapid.T) {
	ids, err := n.mirror.ContactIDs(n.ctx, n.db.Read(), 0, 100)
	n.must(t, err)
	if len(ids) == 0 {
		return
	}
	id := rapid.SampledFrom(ids).Draw(t, "who")
	n.suppressed[id] = rapid.SampledFrom([][]string{nil, {crm.SuppressedBounced}, {crm.SuppressedUnsubscribed}}).Draw(t, "reasons")
	n.write(t, func(tx *store.Tx) error { return n.mark(tx, id, n.now, n.now, crm.CauseConsent) })
}

// edit deploys a few segments, each of which may refer to those before it, and some of any kind.
func (n *lived) edit(t *rapid.T) {
	file := ruletest.File([]string{"a", "b", "c", "d"}[:rapid.IntRange(2, 4).Draw(t, "segments")]...).Draw(t, "file")
	for i := range rapid.IntRange(0, 12).Draw(t, "more") {
		file[fmt.Sprint("k", i)] = rule.Spec{Match: ruletest.Leaf(t, rapid.SampledFrom(ruletest.Kinds()).Draw(t, "kind"))}
	}
	defs, problems := rule.CompileAll(file)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	n.deploy(t, defs...)
}

// rest brings everything up to now, catalogue included.
func (n *lived) rest(t *rapid.T) map[int64]*oracletest.Person {
	for worked := true; worked; {
		var err error
		worked, err = n.mirror.FanOutStep(n.ctx, n.now)
		n.must(t, err)
	}
	n.settle(t)
	if at, err := segments.Watermark(n.ctx, n.db.Read()); err != nil || at != n.now {
		t.Fatalf("watermark %v, want %v (%v)", at.Time(), n.now.Time(), err)
	}
	people, err := oracletest.Load(n.ctx, n.db.Read(), n.suppressed)
	n.must(t, err)
	return people
}

// agree compares memberships.
func (n *lived) agree(t *rapid.T) { n.compare(t, n.rest(t)) }

func (n *lived) compare(t *rapid.T, people map[int64]*oracletest.Person) {
	for _, d := range n.defs {
		o := n.oracle(t, d)
		want := []int64{}
		for id, p := range people {
			in, err := o.Member(p, int64(n.now))
			n.must(t, err)
			if in {
				want = append(want, id)
			}
			n.pairs++
		}
		slices.Sort(want)
		if got := n.members(t, d.ID); !slices.Equal(got, want) {
			text, _ := d.Encode()
			t.Fatalf("%s at %v: members %v, the oracle says %v\n%s", d.ID, n.now.Time(), got, want, text)
		}
	}
	n.checkLog(t)
}

func (n *lived) oracle(t *rapid.T, d *rule.Segment) *oracletest.Oracle {
	text, err := d.Encode()
	n.must(t, err)
	o, err := oracletest.Read(text)
	n.must(t, err)
	return o
}

// anOutage settles, lets days pass unseen, perhaps dies in the middle of catching up, and looks at what was recorded.
func (n *lived) anOutage(t *rapid.T) {
	n.agree(t)
	from := n.now
	n.now = n.now.Add(time.Duration(rapid.IntRange(1, 120).Draw(t, "hours")) * time.Hour)
	if rapid.Bool().Draw(t, "killed?") {
		n.aCrash(t)
	}
	n.restart()
	people := n.rest(t)
	n.compare(t, people)
	type flip struct {
		contact int64
		segment string
		at      int64
		entered bool
	}
	got, want := map[flip]bool{}, map[flip]bool{}
	for _, c := range n.changes(t) {
		if c.EffectiveAt > from && people[c.ContactID] != nil {
			got[flip{c.ContactID, c.Segment, int64(c.EffectiveAt), c.Entered}] = true
		}
	}
	for _, d := range n.defs {
		o := n.oracle(t, d)
		for id, p := range people {
			course, err := o.Watch(p, oracletest.Grid(from, n.now+1, n.now+1, time.Hour))
			n.must(t, err)
			for i, at := range course.At {
				if i > 0 && course.In[i] != course.In[i-1] {
					want[flip{id, d.ID, at, course.In[i]}] = true
				}
			}
			n.pairs += len(course.At)
		}
	}
	n.flips += len(want)
	for f := range want {
		if !got[f] {
			t.Fatalf("not recorded: %+v at %v", f, crm.Instant(f.at).Time())
		}
	}
	for f := range got {
		if !want[f] {
			t.Fatalf("recorded, but it did not happen: %+v at %v", f, crm.Instant(f.at).Time())
		}
	}
}

// pick draws the number of one of a few records, or contacts.
func pick(t *rapid.T, what string, n int) string {
	return fmt.Sprint(rapid.IntRange(1, n).Draw(t, what))
}

func email(t *rapid.T) string { return "p" + pick(t, "e-mail", 4) + "@example.com" }

// whose draws an account or an address.
func whose(t *rapid.T) (account, address string) {
	if rapid.Bool().Draw(t, "account?") {
		return pick(t, "account", 3), ""
	}
	return "", email(t)
}

func fact(t *rapid.T, kind crm.Kind, n int, body crm.Body) crm.Fact {
	return crm.Fact{Ref: crm.Ref{Kind: kind, ID: pick(t, string(kind), n)}, Body: body, Gone: rapid.IntRange(0, 9).Draw(t, "gone") == 0}
}

func aCustomer(t *rapid.T, h *history) []crm.Fact {
	attributes := map[string]string{}
	for _, name := range []string{"fidelite", "points", "since", "tags"} {
		if v := ruletest.Value().Draw(t, name); v != "" {
			attributes[name] = v
		}
	}
	f := fact(t, crm.KindCustomer, 3, &crm.Customer{
		Email: email(t), Role: rapid.SampledFrom([]string{"customer", "vip"}).Draw(t, "role"), Locale: rapid.SampledFrom([]string{"", "fr-BE", "de"}).Draw(t, "locale"),
		Birthday: ruletest.Birthday().Draw(t, "born"), RegisteredAt: h.instant(t), ModifiedAt: h.instant(t), Attributes: attributes,
	})
	address := f
	address.Body = &crm.Address{
		Country: rapid.SampledFrom([]string{"FR", "DE"}).Draw(t, "country"), City: rapid.SampledFrom([]string{"", "Lyon"}).Draw(t, "city"),
		Region: rapid.SampledFrom([]string{"", "Bretagne"}).Draw(t, "region"),
	}
	return []crm.Fact{f, address}
}

func someLines(t *rapid.T) (out []crm.Line, total int64) {
	for i := range rapid.IntRange(1, 2).Draw(t, "lines") {
		l := crm.Line{
			ID: fmt.Sprint(i), ProductID: pick(t, "product", 3), SKU: rapid.SampledFrom([]string{"", "S-7"}).Draw(t, "sku"),
			Quantity: int64(rapid.IntRange(1, 2).Draw(t, "quantity")), Total: int64(rapid.IntRange(1, 4).Draw(t, "total")) * 100,
		}
		out, total = append(out, l), total+l.Total
	}
	return out, total
}

func anOrder(t *rapid.T, h *history) []crm.Fact {
	lines, total := someLines(t)
	state := rapid.SampledFrom([]string{crm.StateCompleted, crm.StateCompleted, crm.StateAccepted, crm.StatePending, crm.StateCancelled}).Draw(t, "state")
	o := &crm.Order{
		State: state, CountsAsSale: state == crm.StateCompleted || state == crm.StateAccepted, Currency: "EUR", Total: total, Lines: lines,
		PlacedAt: h.instant(t), ModifiedAt: h.instant(t), Country: "FR", Via: rapid.SampledFrom([]string{"", "checkout", "admin"}).Draw(t, "via"),
		Purchase: rapid.SampledFrom([]string{"", "", "split"}).Draw(t, "purchase"),
	}
	o.CustomerID, o.Email = whose(t)
	if rapid.IntRange(0, 3).Draw(t, "foreign") == 0 {
		o.Currency, o.BaseCurrency, o.BaseTotal = "USD", "EUR", total*9/10
	}
	if rapid.Bool().Draw(t, "coupon?") {
		o.Coupons = []string{"SPRING"}
	}
	if rapid.Bool().Draw(t, "brought?") {
		o.Attribution = map[string]string{"source_type": "utm", "utm_source": "google"}
	}
	return []crm.Fact{fact(t, crm.KindOrder, 8, o)}
}

func aRefund(t *rapid.T, h *history) []crm.Fact {
	amount := int64(rapid.IntRange(1, 3).Draw(t, "amount")) * 100
	return []crm.Fact{fact(t, crm.KindRefund, 3, &crm.Refund{
		OrderID: pick(t, "of", 8), Amount: amount, Currency: "EUR", At: h.instant(t), Lines: []crm.Line{{ID: "0", Quantity: 1, Total: amount}},
	})}
}

func aCart(t *rapid.T, h *history) []crm.Fact {
	lines, total := someLines(t)
	c := &crm.Cart{Currency: "EUR", Total: total, Lines: lines, CreatedAt: h.instant(t)}
	c.ActiveAt = c.CreatedAt.Add(time.Duration(rapid.IntRange(0, 10).Draw(t, "active")) * time.Hour)
	c.CustomerID, c.Email = whose(t)
	f := fact(t, crm.KindCart, 4, c)
	if f.Gone = rapid.IntRange(0, 2).Draw(t, "closed") == 0; f.Gone {
		c.ClosedBy = rapid.SampledFrom([]string{"ordered", "expired", "deleted"}).Draw(t, "by")
		c.ClosedAt = c.ActiveAt.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "closed after")) * time.Hour)
	}
	return []crm.Fact{f}
}

func anEvent(t *rapid.T, h *history) []crm.Fact {
	e := &crm.Event{Name: ruletest.EventName().Draw(t, "name"), At: h.instant(t), Properties: ruletest.Properties().Draw(t, "properties")}
	e.CustomerID, e.Email = whose(t)
	h.serial++
	return []crm.Fact{{Ref: crm.Ref{Kind: crm.KindEvent, ID: fmt.Sprint("e", h.serial)}, Body: e}}
}

func aConsent(t *rapid.T, h *history) []crm.Fact {
	c := &crm.Consent{State: rapid.SampledFrom([]string{crm.ConsentGranted, crm.ConsentGranted, crm.ConsentWithdrawn}).Draw(t, "state"), At: h.instant(t), Source: "till"}
	c.CustomerID, c.Email = whose(t)
	h.serial++
	return []crm.Fact{{Ref: crm.Ref{Kind: crm.KindConsent, ID: fmt.Sprint("s", h.serial)}, Body: c}}
}

func aProduct(t *rapid.T, _ *history) []crm.Fact {
	p := &crm.Product{Name: "p", Brand: rapid.SampledFrom([]string{"", "Acme", "Brio"}).Draw(t, "brand")}
	if rapid.Bool().Draw(t, "shoe?") {
		p.Categories = []string{"9"}
	}
	return []crm.Fact{
		{Ref: crm.Ref{Kind: crm.KindProduct, ID: pick(t, "product", 3)}, Body: p},
		{Ref: crm.Ref{Kind: crm.KindCategory, ID: "7"}, Body: &crm.Category{Name: "Shoes", Slug: "shoes"}},
		{Ref: crm.Ref{Kind: crm.KindCategory, ID: "9"}, Body: &crm.Category{Name: "Boots", Slug: "boots", ParentID: rapid.SampledFrom([]string{"", "7"}).Draw(t, "above")}},
	}
}
