package woocommerce_test

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/connectortest"
	"github.com/relance/relance/connectors/woocommerce"
	"github.com/relance/relance/connectors/woocommerce/wooshop"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
)

// requests keeps the queries that a shop is asked.
type requests struct {
	mu sync.Mutex
	qs []string
}

func (r *requests) watch(s *wooshop.Shop) {
	s.SetFault(func(req *http.Request) *wooshop.Fault {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.qs = append(r.qs, req.URL.RequestURI())
		return nil
	})
}

func (r *requests) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.qs
	r.qs = nil
	return out
}

// B12: a list ends whatever lies beyond its end; an answer that repeats itself for ever is noticed.
func TestB12_RunsEnd(t *testing.T) {
	shop, clock := openShop(t)
	src := connect(t, shop, clock)
	var asked requests
	asked.watch(shop)
	for _, st := range src.Streams() {
		for _, size := range []int{1, 9, 50, 100} {
			connectortest.Crawl(t, src, st.Name, nil, size)
		}
	}
	for _, q := range asked.take() {
		if strings.Contains(q, "offset=") || strings.Contains(q, "consumer_secret") {
			t.Errorf("asked %s", q)
		}
	}
	// A shop whose cache answers every page with the first one.
	body := "[" + strings.TrimSuffix(strings.Repeat(`{"id":7},`, 100), ",") + "]"
	same := answering(t, 200, http.Header{"Content-Type": {"application/json"}, "X-WP-Total": {"5000"}}, body)
	var at connectors.Cursor
	for range 20 {
		p, err := same.Pull(t.Context(), woocommerce.StreamOrderIDs, at, 100)
		if err != nil {
			if fault.ClassOf(err) != fault.Operator || !strings.Contains(fault.HintOf(err), "cache") {
				t.Error(err)
			}
			return
		}
		at = p.Next
	}
	t.Error("a shop that repeats its first page is read on")
}

// B13: 130 orders share one second. Paging by date of change loses some of them; paging by id does not.
func TestB13_PagingByIDLosesNothing(t *testing.T) {
	shop, clock := openShop(t)
	src := connect(t, shop, clock)
	first := connectortest.Crawl(t, src, woocommerce.StreamOrders, nil, 100)
	clock.Add(time.Hour)
	ids := shop.OrderIDs()[:130]
	if err := shop.Bulk("completed", ids...); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{100, 17, 5} {
		got := connectortest.Crawl(t, src, woocommerce.StreamOrders, first.Next, size)
		seen := map[string]bool{}
		for _, f := range got.Facts {
			seen[f.Ref.ID] = true
		}
		for _, id := range texts(ids) {
			if !seen[id] {
				t.Errorf("page size %d: order %s was skipped", size, id)
			}
		}
	}
}

// Rows that leave a delta's set while others enter it hide each other in the total.
func TestB13_DeltaWithMovingRows(t *testing.T) {
	shop, clock := openShop(t)
	src := connect(t, shop, clock)
	at := connectortest.Crawl(t, src, woocommerce.StreamOrders, nil, 100).Next
	clock.Add(time.Hour)
	ids := shop.OrderIDs()
	changed, rest := ids[:200], ids[200:]
	if err := shop.Bulk("completed", changed...); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for n := 0; ; n++ {
		p, err := src.Pull(t.Context(), woocommerce.StreamOrders, at, 30)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range p.Facts {
			seen[f.Ref.ID] = true
		}
		if at = p.Next; !p.More {
			break
		}
		for i := range 4 { // four leave at the front, four enter at the back
			if k := n*4 + i; k < 28 {
				if err := shop.TrashOrder(changed[k]); err != nil {
					t.Fatal(err)
				}
				if err := shop.UpdateOrder(rest[len(rest)-1-k], wooshop.OrderChange{}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for _, id := range texts(changed[28:]) {
		if !seen[id] {
			t.Errorf("order %s was skipped", id)
		}
	}
}

// B24: a link never opens somebody else's cart, and a draft's payment link is never sent.
func TestB24_RecoverURL(t *testing.T) {
	shop, clock := openShop(t)
	src := connect(t, shop, clock)
	for _, c := range []struct {
		items []wooshop.Item
		want  string
	}{
		{[]wooshop.Item{{ProductID: 15, Quantity: 2}}, "/?add-to-cart=15&quantity=2"},
		{[]wooshop.Item{{ProductID: 15, Quantity: 1}, {ProductID: 72, Quantity: 1}}, "https://boutique.example.com/checkout/"},
		{[]wooshop.Item{{ProductID: 19, VariationID: 20, Quantity: 1}}, "https://boutique.example.com/checkout/"},
	} {
		id, err := shop.CreateDraft(wooshop.OrderSpec{Email: "x@example.com", Items: c.items})
		if err != nil {
			t.Fatal(err)
		}
		cart := cartOf(t, src, id)
		if !strings.HasSuffix(cart.RecoverURL, c.want) || strings.Contains(cart.RecoverURL, "key=") {
			t.Errorf("a draft of %d lines leads to %s", len(c.items), cart.RecoverURL)
		}
		if err := shop.UpdateOrder(id, wooshop.OrderChange{Status: "pending"}); err != nil {
			t.Fatal(err)
		}
		if u := cartOf(t, src, id).RecoverURL; !strings.Contains(u, "/order-pay/"+strconv.FormatInt(id, 10)+"/") {
			t.Errorf("an unpaid order leads to %s", u)
		}
	}
}

func cartOf(t *testing.T, src *woocommerce.Source, id int64) *crm.Cart {
	t.Helper()
	p, err := src.Read(t.Context(), crm.Ref{Kind: crm.KindOrder, ID: strconv.FormatInt(id, 10)})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range p.Facts {
		if c, ok := f.Body.(*crm.Cart); ok && !f.Gone {
			return c
		}
	}
	t.Fatalf("order %d shows no cart: %+v", id, p.Facts)
	return nil
}

// B17: what closes a cart says so.
func TestB17_CartsClose(t *testing.T) {
	shop, clock := openShop(t)
	src := connect(t, shop, clock)
	spec := wooshop.OrderSpec{Email: "x@example.com", Items: []wooshop.Item{{ProductID: 15, Quantity: 1}}}
	for status, want := range map[string]string{"processing": "ordered", "on-hold": "ordered", "cancelled": "expired", "trash": "deleted"} {
		id, err := shop.CreateDraft(spec)
		if err != nil {
			t.Fatal(err)
		}
		if status == "trash" {
			err = shop.TrashOrder(id)
		} else {
			err = shop.UpdateOrder(id, wooshop.OrderChange{Status: status})
		}
		if err != nil {
			t.Fatal(err)
		}
		p, err := src.Read(t.Context(), crm.Ref{Kind: crm.KindOrder, ID: strconv.FormatInt(id, 10)})
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(p.Facts, func(f crm.Fact) bool { return f.Ref.Kind == crm.KindCart })
		if c := p.Facts[i].Body.(*crm.Cart); !p.Facts[i].Gone || c.ClosedBy != want || c.ClosedAt == 0 {
			t.Errorf("%s closes the cart as %+v", status, c)
		}
	}
}

// B27: every stream that claims to see changes sees an old record that was edited.
func TestB27_OldRecordEditedIsSeen(t *testing.T) {
	shop, clock := openShop(t)
	src := connect(t, shop, clock)
	cursors := map[string]connectors.Cursor{}
	for _, st := range src.Streams() {
		cursors[st.Name] = connectortest.Crawl(t, src, st.Name, nil, 100).Next
	}
	clock.Add(24 * time.Hour)
	order, customer := shop.OrderIDs("completed")[0], shop.CustomerIDs()[3]
	refund, err := shop.Refund(order, "1.50", "Geste")
	if err != nil {
		t.Fatal(err)
	}
	if err := shop.SetUserMeta(customer, "newsletter_optin", "yes"); err != nil { // moves no date
		t.Fatal(err)
	}
	if err := shop.UpdateProduct(15, map[string]string{"price": "9.00"}); err != nil {
		t.Fatal(err)
	}
	if err := shop.TrashOrder(shop.OrderIDs()[7]); err != nil {
		t.Fatal(err)
	}
	for stream, n := range map[string]int{woocommerce.StreamOrders: 1, woocommerce.StreamProducts: 1, woocommerce.StreamRefunds: 1, woocommerce.StreamOrdersTrash: 1} {
		if p := connectortest.Crawl(t, src, stream, cursors[stream], 100); len(p.Raw) != n {
			t.Errorf("%s: %d changed records, want %d", stream, len(p.Raw), n)
		}
	}
	p := connectortest.Crawl(t, src, woocommerce.StreamRefunds, cursors[woocommerce.StreamRefunds], 100)
	if r := p.Facts[0].Body.(*crm.Refund); p.Facts[0].Ref.ID != strconv.FormatInt(refund, 10) || r.Amount != 150 || r.Currency != "EUR" {
		t.Errorf("refund %+v", r)
	}
	for _, f := range connectortest.Crawl(t, src, woocommerce.StreamCustomers, cursors[woocommerce.StreamCustomers], 100).Facts {
		if o, ok := f.Body.(*crm.OptIn); ok && f.Ref.ID == strconv.FormatInt(customer, 10) && o.Value != "yes" {
			t.Errorf("opt-in %+v", o)
		}
	}
}

// B28: the next run asks for what changed since the START of this one, less an overlap, as GMT without suffix.
func TestB28_WatermarkIsStartOfRunInGMT(t *testing.T) {
	shop, clock := openShop(t)
	src := connect(t, shop, clock)
	start := clock.Now()
	var at connectors.Cursor
	for {
		p, err := src.Pull(t.Context(), woocommerce.StreamOrders, at, 100)
		if err != nil {
			t.Fatal(err)
		}
		clock.Add(10 * time.Minute) // a slow shop
		if at = p.Next; !p.More {
			break
		}
	}
	var asked requests
	asked.watch(shop)
	if _, err := src.Pull(t.Context(), woocommerce.StreamOrders, at, 100); err != nil {
		t.Fatal(err)
	}
	q := asked.take()[0]
	want := "modified_after=" + strings.ReplaceAll(start.Add(-5*time.Minute).Format("2006-01-02T15:04:05"), ":", "%3A")
	if !strings.Contains(q+"&", want+"&") || !strings.Contains(q, "dates_are_gmt=true") || !strings.Contains(q, "orderby=id") {
		t.Errorf("asked %s, want %s", q, want)
	}
}

// B30: currencies stay apart and each amount is rounded once to its currency.
func TestB30_Currencies(t *testing.T) {
	shop, clock := openShop(t)
	src := connect(t, shop, clock)
	for id, want := range map[string]crm.Money{"138": {Minor: 994, Currency: "JPY"}, "137": {Minor: 38323, Currency: "USD"}} {
		p, err := src.Read(t.Context(), crm.Ref{Kind: crm.KindOrder, ID: id})
		if err != nil {
			t.Fatal(err)
		}
		o := p.Facts[0].Body.(*crm.Order)
		if (crm.Money{Minor: o.Total, Currency: o.Currency}) != want {
			t.Errorf("order %s is %d %s", id, o.Total, o.Currency)
		}
	}
	for _, f := range connectortest.Crawl(t, src, woocommerce.StreamOrders, nil, 100).Facts {
		o, ok := f.Body.(*crm.Order)
		if !ok {
			continue
		}
		if sale := o.CountsAsSale; sale && slices.Contains([]string{"cancelled", "pending", "failed", "checkout-draft", "on-hold"}, o.Status) {
			t.Errorf("order %s counts as a sale: %s", f.Ref.ID, o.Status)
		}
		var lines int64
		for _, l := range o.Lines {
			lines += l.Total
		}
		if d := lines - o.Goods; d > 3 || d < -3 {
			t.Errorf("order %s: lines %d, goods %d", f.Ref.ID, lines, o.Goods)
		}
	}
}

// B20: a list that shows a record twice, on one page or on two, gives it once, and the same each time.
func TestB20_ARepeatedOrderIsOneRecord(t *testing.T) {
	const order = `{"id":7,"status":"completed","currency":"EUR","total":"10.00","billing":{"email":"a@example.com"}}`
	src, err := woocommerce.New(config("https://boutique.example.com", connectortest.NewClock(wooshop.RecordedAt())), pages(func(_ string, perPage, page int) []string {
		return part([]string{order, order, strings.Replace(order, "7", "8", 1), order, strings.Replace(order, "7", "9", 1)}, perPage, page)
	}))
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{2, 3, 100} {
		seen := map[string]int{}
		for _, f := range connectortest.Crawl(t, src, woocommerce.StreamOrders, nil, size).Facts {
			if _, ok := f.Body.(*crm.Order); ok {
				seen[f.Ref.ID]++
			}
		}
		if seen["7"] != 1 || seen["8"] != 1 || seen["9"] != 1 {
			t.Errorf("size %d: %v", size, seen)
		}
	}
}

// B29: a backfill that fails on any page goes on from that page, with the same cursor and another process; what was
// read before is not read again.
func TestB29_ABackfillResumesWhereItFailed(t *testing.T) {
	shop, clock := openShop(t)
	seen, pages := map[string]bool{}, 0
	var at connectors.Cursor
	for more := true; more; pages++ {
		src := connect(t, shop, clock) // a process that knows nothing but the cursor
		shop.SetFault(func(*http.Request) *wooshop.Fault { return wooshop.Throttled(time.Second) })
		if _, err := src.Pull(t.Context(), woocommerce.StreamOrders, at, 50); fault.ClassOf(err) != fault.Throttled {
			t.Fatal(err)
		}
		shop.SetFault(nil)
		p, err := src.Pull(t.Context(), woocommerce.StreamOrders, at, 50)
		if err != nil || pages > 20 {
			t.Fatal(pages, err)
		}
		for _, raw := range p.Raw {
			if seen[raw.Ref.ID] {
				t.Errorf("order %s is read twice", raw.Ref.ID)
			}
			seen[raw.Ref.ID] = true
		}
		at, more = p.Next, p.More
	}
	if len(seen) != 599 {
		t.Errorf("%d orders", len(seen))
	}
}

// B28: variations are products that no feed of changes shows: their product's date stays where it is. The next crawl,
// and a hint, see them all the same.
func TestB28_AVariationThatMovesNoDateIsSeen(t *testing.T) {
	shop, clock := openShop(t)
	src := connect(t, shop, clock)
	ends := map[string]connectors.Cursor{}
	for _, stream := range []string{woocommerce.StreamProducts, woocommerce.StreamVariations} {
		ends[stream] = connectortest.Crawl(t, src, stream, nil, 100).Next
	}
	clock.Add(24 * time.Hour)
	if err := shop.UpdateVariation(30, map[string]string{"price": "1.23"}); err != nil {
		t.Fatal(err)
	}
	if p := connectortest.Crawl(t, src, woocommerce.StreamProducts, ends[woocommerce.StreamProducts], 100); len(p.Raw) != 0 {
		t.Errorf("%d products changed", len(p.Raw))
	}
	if v := productsOf(t, connectortest.Crawl(t, src, woocommerce.StreamVariations, ends[woocommerce.StreamVariations], 100))["30"]; v == nil || v.Price != 123 {
		t.Errorf("%+v", v)
	}
}
