package prestashop_test

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/connectortest"
	"github.com/relance/relance/connectors/prestashop"
	"github.com/relance/relance/connectors/prestashop/presshop"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
)

// requests keeps what a shop is asked.
type requests struct {
	mu   sync.Mutex
	asks []string
}

func (r *requests) watch(s *presshop.Shop) {
	s.Requested(func(req *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.asks = append(r.asks, req.URL.Path+"?"+req.URL.Query().Encode())
	})
}

func (r *requests) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.asks
	r.asks = nil
	return out
}

// B8: one row that a module stumbles over breaks every answer that holds it. It alone is rejected, with the reason.
func TestB8_OneBadRowStopsNothing(t *testing.T) {
	for _, evenIDs := range []bool{false, true} {
		shop, clock := openShop(t)
		src := connect(t, shop, clock)
		shop.Stumble("orders", 60, evenIDs)
		shop.Stumble("orders", 61, evenIDs)
		shop.Stumble("orders", 250, evenIDs)
		p := connectortest.Crawl(t, src, prestashop.StreamOrders, nil, 100)
		if got := bodies[*crm.Order](p); len(got) != 398 || len(p.Rejected) != 3 || p.Total != 401 {
			t.Errorf("%d orders, %d rejected, total %d", len(got), len(p.Rejected), p.Total)
		}
		for _, r := range p.Rejected {
			if !strings.Contains(r.Reason, "modules/somemodule/somemodule.php, line 50") || len(r.Raw) == 0 || r.Ref.Kind != crm.KindOrder || r.Ref.ID == "" {
				t.Errorf("rejected %+v", r)
			}
		}
		// Read alone it is rejected as well, and mended it is read.
		one, err := src.Read(t.Context(), crm.Ref{Kind: crm.KindOrder, ID: "60"})
		if err != nil || len(one.Rejected) != 1 || len(one.Facts) != 0 {
			t.Errorf("%+v %v", one, err)
		}
		shop.Mend()
		read[*crm.Order](t, src, crm.KindOrder, "60")
	}
}

// A row that breaks even the list of ids is found by ranges, and what others refer to it by is left out.
func TestB8_RowsThatBreakEvenListsOfIDs(t *testing.T) {
	shop, clock := openShop(t)
	src := connect(t, shop, clock)
	at := connectortest.Crawl(t, src, prestashop.StreamOrders, nil, 100).Next
	clock.Add(time.Hour)
	if err := shop.Save("orders", shop.IDs("orders")[:80]...); err != nil {
		t.Fatal(err)
	}
	shop.Stumble("orders", 7, true)
	shop.Stumble("orders", 8, true)
	shop.Stumble("products", 3, true)
	shop.Stumble("customers", 116, true)
	p := connectortest.Crawl(t, src, prestashop.StreamOrders, at, 30)
	if got := bodies[*crm.Order](p); len(got) != 78 || len(p.Rejected) != 2 {
		t.Errorf("%d orders, %d rejected", len(got), len(p.Rejected))
	}
	carts := connectortest.Crawl(t, src, prestashop.StreamCarts, nil, 100)
	if len(bodies[*crm.Cart](carts)) == 0 {
		t.Errorf("no cart: %+v", carts.Rejected)
	}
}

// A module that spoils every answer is no row's fault.
func TestEveryAnswerSpoilt(t *testing.T) {
	shop, clock := openShop(t)
	src := connect(t, shop, clock)
	connectortest.Crawl(t, src, prestashop.StreamCategories, nil, 100)
	shop.SetFault(func(*http.Request) *presshop.Fault { return presshop.Warning() })
	_, err := src.Pull(t.Context(), prestashop.StreamOrders, nil, 100)
	if fault.ClassOf(err) != fault.Operator || !strings.Contains(fault.HintOf(err), "module") || strings.Contains(err.Error(), "Undefined") {
		t.Error(err)
	}
}

// B12: a shop whose cache answers every page with the same one is noticed.
func TestB12_RunsEnd(t *testing.T) {
	shop, clock := openShop(t)
	var once sync.Once
	first := ""
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if q := r.URL.Query(); strings.HasSuffix(r.URL.Path, "/orders") && q.Get("filter[id]") != "" && strings.HasPrefix(q.Get("filter[id]"), ">") {
			once.Do(func() { first = q.Get("filter[id]") })
			q.Del("filter[id]")
			r.URL.RawQuery = q.Encode()
		}
		shop.ServeHTTP(w, r)
	})
	src := connect(t, handler, clock)
	var at connectors.Cursor
	for range 20 {
		p, err := src.Pull(t.Context(), prestashop.StreamOrderIDs, at, 10)
		if err != nil {
			if fault.ClassOf(err) != fault.Operator || !strings.Contains(fault.HintOf(err), "cache") || first == "" {
				t.Error(err)
			}
			return
		}
		at = p.Next
	}
	t.Error("a shop that repeats its first page is read on")
}

// B13: pages are cut by id, so that rows of one second, rows that leave and rows that enter lose nothing; no offset is
// ever asked for.
func TestB13_NothingIsSkipped(t *testing.T) {
	shop, clock := openShop(t)
	src := connect(t, shop, clock)
	at := connectortest.Crawl(t, src, prestashop.StreamOrders, nil, 100).Next
	clock.Add(time.Hour)
	ids := shop.IDs("orders")[:130]
	if err := shop.Save("orders", ids...); err != nil {
		t.Fatal(err)
	}
	var asked requests
	asked.watch(shop)
	for _, size := range []int{100, 17, 5, 1} {
		seen, cursor, left := map[string]bool{}, at, 0
		for more := true; more; {
			p, err := src.Pull(t.Context(), prestashop.StreamOrders, cursor, size)
			if err != nil {
				t.Fatal(err)
			}
			for id := range bodies[*crm.Order](p) {
				seen[id] = true
			}
			cursor, more = p.Next, p.More
			if left < 20 && size == 5 { // read rows leave the window's front
				if err := shop.SQL("orders", ids[left], "date_upd", "2030-01-01 00:00:00"); err != nil {
					t.Fatal(err)
				}
				left++
			}
		}
		for _, id := range texts(ids[20:]) {
			if !seen[id] {
				t.Errorf("page size %d: order %s was skipped", size, id)
			}
		}
	}
	for _, q := range asked.take() {
		if strings.Contains(q, "limit=0") || strings.Contains(q, "%2C%20") || !strings.Contains(q, "display=%5B") || !strings.Contains(q, "id_ASC%5D") ||
			strings.Contains(q, "date_upd") && strings.Contains(q, "filter%5Bdate_upd") && !strings.Contains(q, "date=1") {
			t.Errorf("asked %s", q)
		}
	}
}

// B27: every kind of change that some stream claims to see is seen by it, also what moves no date.
func TestB27_OldRecordEditedIsSeen(t *testing.T) {
	shop, clock := openShop(t)
	src := connect(t, shop, clock)
	at := map[string]connectors.Cursor{}
	for _, st := range src.Streams() {
		at[st.Name] = connectortest.Crawl(t, src, st.Name, nil, 100).Next
	}
	clock.Add(24 * time.Hour)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(shop.ChangeState(5, 4))
	must(shop.Edit(3, "firstname", "Théodore"))
	must(shop.Block(9))
	must(shop.NewsletterBlock(16, false))
	must(shop.NewsletterBlock(18, true))
	must(shop.Join(26, 5))
	must(shop.EditProduct(3, "price", "10.000000"))
	must(shop.SQL("combinations", 1, "price", "100.000000"))
	must(shop.SetStock(39, 0, 0, 0))
	must(shop.AddToCart(21, presshop.Item{Product: 3, Quantity: 1}))
	slip, err := shop.Slip(397, true)
	must(err)
	if shop.Move(10, "Bordeaux") == 0 {
		t.Fatal("nobody moved")
	}
	see := func(stream string) connectors.Page { return connectortest.Crawl(t, src, stream, at[stream], 100) }
	if o := bodies[*crm.Order](see(prestashop.StreamOrders))["5"]; o == nil || o.State != crm.StateShipped {
		t.Errorf("order %+v", o)
	}
	customers := see(prestashop.StreamCustomers)
	if c := bodies[*crm.Customer](customers)["3"]; c == nil || c.FirstName != "Théodore" {
		t.Errorf("customer %+v", c)
	}
	blocked := false
	for _, f := range customers.Facts {
		blocked = blocked || f.Ref.ID == "9" && f.Gone
	}
	if !blocked {
		t.Error("a customer who was deleted softly is not gone")
	}
	consents := bodies[*crm.OptIn](see(prestashop.StreamConsents))
	if consents["16"].Value != "no" || consents["18"].Value != "yes" {
		t.Errorf("consents %+v %+v", consents["16"], consents["18"])
	}
	if c := bodies[*crm.Customer](see(prestashop.StreamAllCustomers))["26"]; c == nil || !strings.Contains(c.Attributes["groups"], ", ") {
		t.Errorf("groups of %+v", c)
	}
	if p := bodies[*crm.Product](see(prestashop.StreamProducts))["3"]; p == nil || p.Price != 1200 {
		t.Errorf("product %+v", p)
	}
	if p := bodies[*crm.Product](see(prestashop.StreamAllProducts))["1000000000001"]; p == nil || p.Price < 12000 {
		t.Errorf("combination %+v", p)
	}
	if s := bodies[*crm.Stock](see(prestashop.StreamStock))["39"]; s == nil || s.InStock || *s.Stock != 0 {
		t.Errorf("stock %+v", s)
	}
	if r := bodies[*crm.Refund](see(prestashop.StreamRefunds))[strconv.FormatInt(slip, 10)]; r == nil || r.OrderID != "397" || r.Amount == 0 {
		t.Errorf("refund %+v", r)
	}
	if c := bodies[*crm.Cart](see(prestashop.StreamCarts)); len(c) != 1 {
		t.Errorf("carts %+v", c)
	}
	if a := bodies[*crm.Address](see(prestashop.StreamAddresses))["10"]; a == nil || a.City != "Bordeaux" {
		t.Errorf("address %+v", a)
	}
}

// B28: windows are local time of the shop from before the START of the run before; nothing written in the hour that
// comes twice is skipped, and what was written in its first half is seen in the minute after.
func TestB28_WindowsAcrossBothChanges(t *testing.T) {
	for zone, nights := range map[string][]time.Time{
		"Europe/Paris":    {time.Date(2027, 3, 28, 1, 0, 0, 0, time.UTC), time.Date(2027, 10, 31, 1, 0, 0, 0, time.UTC)},
		"America/Toronto": {time.Date(2027, 3, 14, 7, 0, 0, 0, time.UTC), time.Date(2027, 11, 7, 6, 0, 0, 0, time.UTC)},
	} {
		shop, clock := openShop(t, func(o *presshop.Options) { o.Zone = zone })
		src := connect(t, shop, clock)
		ids, n := shop.IDs("orders"), 0
		for _, change := range nights {
			clock.Set(change.Add(-4 * time.Hour))
			at := connectortest.Crawl(t, src, prestashop.StreamOrders, nil, 100).Next
			for minute := -150; minute < 200; minute += 7 {
				clock.Set(change.Add(time.Duration(minute) * time.Minute))
				id := ids[n%len(ids)]
				n++
				if err := shop.Save("orders", id); err != nil {
					t.Fatal(err)
				}
				clock.Add(time.Minute)
				if minute%3 == 0 { // not every run falls into every minute
					continue
				}
				p := connectortest.Crawl(t, src, prestashop.StreamOrders, at, 60)
				at = p.Next
				if bodies[*crm.Order](p)[strconv.FormatInt(id, 10)] == nil {
					t.Errorf("%s: written %d minutes from the change, order %d is not seen in the minute after", zone, minute, id)
				}
			}
		}
	}
}

// B30: amounts stay in their currency; in the shop's own they are at the order's rate, and a payment written on one part
// of a split cart is no revenue.
func TestB30_Currencies(t *testing.T) {
	shop, clock := openShop(t)
	src := connect(t, shop, clock)
	o := read[*crm.Order](t, src, crm.KindOrder, "15")
	if o.Currency != "CAD" || o.Total != 101_005 || o.BaseCurrency != "EUR" || o.BaseTotal != 66_787 || o.TotalRaw != "1010.050000" {
		t.Errorf("%+v", o)
	}
	for id, want := range map[string]int64{"402": 33_962, "403": 30_258} {
		if o := read[*crm.Order](t, src, crm.KindOrder, id); o.Total != want || o.Purchase != "473" || o.CartID != "473" {
			t.Errorf("part %s: %+v", id, o)
		}
	}
	for id, o := range bodies[*crm.Order](connectortest.Crawl(t, src, prestashop.StreamOrders, nil, 100)) {
		state := number(t, shop.Text("orders", number(t, id), "current_state"))
		if paid := shop.Text("order_states", state, "paid") == "1"; paid != o.CountsAsSale {
			t.Errorf("order %s counts as a sale: %v, it is paid: %v", id, o.CountsAsSale, paid)
		}
	}
	// A cart in another currency is valued at its rate.
	cart := shop.OpenCart(1, 2, presshop.Item{Product: 3, Quantity: 2})
	eur := read[*crm.Product](t, src, crm.KindProduct, "3").Price
	c := read[*crm.Cart](t, src, crm.KindCart, strconv.FormatInt(cart, 10))
	if want := 2 * ((eur*1_512_345 + 500_000) / 1_000_000); c.Currency != "CAD" || c.Total != want {
		t.Errorf("cart of %d %s, want %d", c.Total, c.Currency, want)
	}
}

func number(t *testing.T, s string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
