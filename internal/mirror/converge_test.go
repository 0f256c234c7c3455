package mirror_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jmoiron/sqlx"
	"pgregory.net/rapid"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

// reading is what one read of the shop showed.
type reading struct {
	at    crm.Instant
	facts []crm.Fact
}

// history draws a shop's life: reads at growing instants, each showing some records as they were then. truth is what
// the shop would answer at the end.
func history(t *rapid.T) (reads []reading, truth map[crm.Ref][]crm.Fact) {
	truth = map[crm.Ref][]crm.Fact{}
	for i := range rapid.IntRange(1, 9).Draw(t, "reads") {
		r := reading{at: at("2026-11-01 00:00") + crm.Instant(i)*1000}
		for _, ref := range rapid.SliceOfNDistinct(rapid.Custom(anyRef), 1, 7, rapid.ID[crm.Ref]).Draw(t, "records") {
			if truth[ref] == nil || rapid.IntRange(0, 2).Draw(t, "changes") > 0 {
				truth[ref] = anyState(t, ref)
			}
			r.facts = append(r.facts, truth[ref]...)
		}
		reads = append(reads, r)
	}
	return reads, truth
}

func anyRef(t *rapid.T) crm.Ref {
	kind := rapid.SampledFrom(crm.Kinds()).Draw(t, "kind")
	return crm.Ref{Kind: kind, ID: fmt.Sprint(rapid.IntRange(1, 3).Draw(t, "id"))}
}

func anyEmail(t *rapid.T) string {
	return rapid.SampledFrom([]string{"", "a@x.fr", "B@x.fr", "c@x.fr"}).Draw(t, "email")
}

func anyLines(t *rapid.T) []crm.Line {
	var lines []crm.Line
	for i := range rapid.IntRange(0, 3).Draw(t, "lines") {
		lines = append(lines, crm.Line{ID: fmt.Sprint(i), ProductID: fmt.Sprint(rapid.IntRange(1, 3).Draw(t, "product")), Quantity: rapid.Int64Range(1, 3).Draw(t, "quantity"), Total: 100})
	}
	return lines
}

func anyState(t *rapid.T, ref crm.Ref) []crm.Fact {
	number := func(name string, most int) int { return rapid.IntRange(0, most).Draw(t, name) }
	text := func(name string, most int) string { return fmt.Sprint(number(name, most)) }
	instant := func(name string) crm.Instant { return at("2026-10-01 00:00") + day*crm.Instant(number(name, 20)) }
	f := crm.Fact{Ref: ref, Gone: number("gone", 4) == 0}
	switch ref.Kind {
	case crm.KindCustomer:
		f.Body = &crm.Customer{Email: anyEmail(t), FirstName: text("name", 2), Birthday: "1990-01-0" + text("born", 2), RegisteredAt: instant("registered"), ModifiedAt: instant("modified")}
		return []crm.Fact{f, {Ref: ref, Gone: f.Gone, Body: &crm.Address{Country: "F" + text("country", 2), City: text("city", 2)}}}
	case crm.KindOrder:
		f.Body = &crm.Order{
			CustomerID: text("account", 3), Email: anyEmail(t), LastName: text("name", 2), CountsAsSale: number("sale", 1) == 1, State: rapid.SampledFrom([]string{"completed", "trash", "draft", "pending"}).Draw(t, "state"),
			Currency: rapid.SampledFrom([]string{"EUR", "EUR", "JPY"}).Draw(t, "currency"), BaseCurrency: "EUR", BaseTotal: int64(number("base", 1)) * 700, Purchase: rapid.SampledFrom([]string{"", "1", "p"}).Draw(t, "purchase"), CartID: text("from cart", 3), Total: int64(number("total", 3)) * 1000, PlacedAt: instant("placed"), Country: rapid.SampledFrom([]string{"", "DE", "ES"}).Draw(t, "country"), Lines: anyLines(t),
		}
	case crm.KindRefund:
		f.Body = &crm.Refund{OrderID: fmt.Sprint(rapid.IntRange(1, 3).Draw(t, "order")), Amount: int64(number("amount", 3)) * 100, Currency: "EUR", At: instant("refunded"), Lines: anyLines(t)}
	case crm.KindCart:
		f.Body = &crm.Cart{CustomerID: text("account", 3), Email: anyEmail(t), Currency: "EUR", Total: int64(number("total", 3)), CreatedAt: instant("created"), ActiveAt: instant("active"), Lines: anyLines(t), ClosedBy: "ordered"}
	case crm.KindProduct:
		f.Body = &crm.Product{Name: text("name", 3), Categories: []string{text("in", 3), text("in", 3)}}
		return []crm.Fact{f, {Ref: ref, Gone: f.Gone, Body: &crm.Stock{InStock: number("in stock", 1) == 1}}}
	case crm.KindCategory:
		f.Body = &crm.Category{Slug: "c" + text("slug", 3), ParentID: text("parent", 3)}
	case crm.KindEvent: // never changed, only repeated
		f.Gone = false
		f.Body = &crm.Event{Name: "viewed_product", CustomerID: ref.ID, Email: map[string]string{"2": "b@x.fr", "3": "d@x.fr"}[ref.ID], At: at("2026-10-04 00:00"), Properties: map[string]string{"id": ref.ID}}
	case crm.KindConsent:
		f.Gone = false
		f.Body = &crm.Consent{Email: map[string]string{"1": "a@x.fr", "2": "b@x.fr", "3": "e@x.fr"}[ref.ID], State: crm.ConsentGranted, At: at("2026-10-05 00:00")}
	}
	return []crm.Fact{f}
}

// Property: any order, repetition and overlap of the same reads, with the re-reads that Apply asks for, gives the
// mirror that the same reads give in order.
func TestFactsConvergeInAnyOrder(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		m := mirror.New(db)
		n := 0
		rapid.Check(t, func(rt *rapid.T) {
			n++
			reads, truth := history(rt)
			inOrder := newWorld(t, m, fmt.Sprint("in-order-", n))
			for _, r := range reads {
				inOrder.apply(r)
			}
			shuffled := newWorld(t, m, fmt.Sprint("shuffled-", n))
			for _, r := range scramble(rt, reads) {
				shuffled.apply(r)
			}
			shuffled.reread(reads[len(reads)-1].at+1000, truth)
			if diff := cmp.Diff(inOrder.dump(), shuffled.dump()); diff != "" {
				rt.Fatalf("in order (-) and shuffled (+) differ:\n%s", diff)
			}
		})
	})
}

// scramble shuffles the reads, repeats some and splits some.
func scramble(t *rapid.T, reads []reading) []reading {
	var parts []reading
	for _, r := range reads {
		cut := rapid.IntRange(0, len(r.facts)).Draw(t, "cut")
		for range rapid.IntRange(1, 2).Draw(t, "times") {
			parts = append(parts, reading{r.at, r.facts[:cut]}, reading{r.at, r.facts[cut:]})
		}
	}
	return rapid.Permutation(parts).Draw(t, "order")
}

// world is a shop with an audience of its own.
type world struct {
	b      *bench
	wanted map[crm.Ref]bool
}

func newWorld(t *testing.T, m *mirror.Mirror, name string) *world {
	s, err := m.EnsureShop(t.Context(), mirror.ShopSpec{Name: name, Audience: name})
	if err == nil {
		err = m.SetProbed(t.Context(), s.ID, connectors.ProbeResult{Currency: "EUR"}, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &world{b: &bench{tb: t, m: m, shop: s}, wanted: map[crm.Ref]bool{}}
}

func (w *world) apply(r reading) {
	for _, ref := range w.b.apply(mirror.Batch{ObservedAt: r.at, Facts: r.facts}).Reread {
		w.wanted[ref] = true
	}
}

func (w *world) reread(at crm.Instant, truth map[crm.Ref][]crm.Fact) {
	for ref := range w.wanted {
		at += 1000
		if res := w.b.apply(mirror.Batch{ObservedAt: at, Facts: truth[ref]}); len(res.Reread) > 0 {
			w.b.tb.Fatalf("a new read asks for another: %v", res.Reread)
		}
	}
}

// dump gives all live rows as texts, with contacts named by their address.
func (w *world) dump() map[string][]string {
	out := map[string][]string{}
	shop, audience := w.b.shop.ID, w.b.shop.AudienceID
	who := "(SELECT email_norm FROM contacts c WHERE c.id=x.contact_id) AS who"
	child := func(table, parents, parent string) string {
		return fmt.Sprintf("SELECT x.* FROM %s x JOIN %s p ON p.shop_id=x.shop_id AND p.id=x.%s AND p.gone_at=0 WHERE x.shop_id=%d", table, parents, parent, shop)
	}
	queries := map[string]string{
		"contacts":           fmt.Sprintf("SELECT * FROM contacts x WHERE audience_id=%d AND live=1", audience),
		"contact_stats":      fmt.Sprintf("SELECT x.*, %s FROM contact_stats x WHERE shop_id=%d", who, shop),
		"order_lines":        child("order_lines", "orders", "order_id"),
		"refund_lines":       child("refund_lines", "refunds", "refund_id"),
		"cart_lines":         child("cart_lines", "carts", "cart_id"),
		"product_categories": child("product_categories", "products", "product_id"),
	}
	for _, table := range []string{"customers", "orders", "carts", "events", "statements"} {
		queries[table] = fmt.Sprintf("SELECT x.*, %s FROM %s x WHERE shop_id=%d AND gone_at=0", who, table, shop)
	}
	for _, table := range []string{"addresses", "refunds", "products", "stocks", "categories"} {
		queries[table] = fmt.Sprintf("SELECT * FROM %s x WHERE shop_id=%d AND gone_at=0", table, shop)
	}
	for name, query := range queries {
		out[name] = texts(w.b.tb, w.b.m.DB(), query)
	}
	return out
}

// texts gives the rows of a query as sorted texts, without what differs from run to run.
func texts(tb testing.TB, db *store.DB, query string) []string {
	tb.Helper()
	var out []string
	rows, err := db.Read().QueryxContext(tb.Context(), query)
	if err != nil {
		tb.Fatal(query, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		out = append(out, rowText(tb, rows))
	}
	slices.Sort(out)
	return out
}

func rowText(tb testing.TB, rows *sqlx.Rows) string {
	row := map[string]any{}
	if err := rows.MapScan(row); err != nil {
		tb.Fatal(err)
	}
	_, contact := row["live"]
	var parts []string
	for name, v := range row {
		switch name {
		case "id":
			if contact { // random
				continue
			}
		case "contact_id", "shop_id", "home_shop_id", "audience_id", "observed_at", "lane":
			continue
		case "became_paid_at", "became_shipped_at", "became_cancelled_at", "became_refunded_at":
			continue // when a state was first seen depends on what was seen
		}
		if b, ok := v.([]byte); ok {
			v = string(b)
		}
		parts = append(parts, fmt.Sprintf("%s=%q", name, fmt.Sprint(v)))
	}
	slices.Sort(parts)
	return strings.Join(parts, " ")
}
