package magento_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/connectortest"
	"github.com/relance/relance/connectors/magento"
	"github.com/relance/relance/connectors/magento/magshop"
	"github.com/relance/relance/internal/crm"
)

// Magento 2.3 repeats the last page for ever: every run ends all the same, and so do dictionaries, which page by number.
func TestB12_PageBeyondTheEndIsTheLastPageAgain(t *testing.T) {
	shop, clock := openShop(t, func(o *magshop.Options) { o.Old = true })
	src := connect(t, shop, clock)
	for _, size := range []int{1, 7, 50, 100} { // 200 orders: 50 and 100 end exactly on a page
		for _, stream := range []string{magento.StreamRefunds, magento.StreamOrderIDs, magento.StreamCategories} {
			before := shop.Requests()
			p := connectortest.Crawl(t, src, stream, nil, size)
			if n := shop.Requests() - before; n > 5+2*p.Total {
				t.Errorf("%s by %d: %d requests for %d records", stream, size, n, p.Total)
			}
		}
	}
	if p := connectortest.Crawl(t, src, magento.StreamOrders, nil, 50); len(p.Facts) != 200 {
		t.Errorf("%d orders", len(p.Facts))
	}
}

// A shop (or its cache) that answers every question with the same page is a fault, not an endless run.
func TestB12_TheSamePageForEverIsAFault(t *testing.T) {
	shop, clock := openShop(t)
	var first []byte
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		shop.ServeHTTP(rec, r)
		if r.URL.Path == "/rest/V1/orders" {
			if first == nil {
				first = bytes.Clone(rec.Body.Bytes())
			}
			_, _ = w.Write(first)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(rec.Body.Bytes())
	}))
	defer srv.Close()
	src := open(t, bearer(srv.URL, clock))
	p, err := src.Pull(t.Context(), magento.StreamOrders, nil, 50)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = src.Pull(t.Context(), magento.StreamOrders, p.Next, 50); err == nil {
		t.Error("the same page twice is taken for two")
	}
}

// Rows move to the end while a window is read, with hundreds in one second: nothing is skipped and the run ends.
func TestB13_RowsThatMoveWhileAWindowIsRead(t *testing.T) {
	for _, size := range []int{1, 10} {
		shop, clock := openShop(t)
		src := connect(t, shop, clock)
		at := connectortest.Crawl(t, src, magento.StreamOrders, nil, 100).Next
		clock.Add(time.Hour)
		ids := shop.IDs("orders")
		shop.Touch("orders", ids[:120]...) // one second
		clock.Add(time.Second)
		shop.Touch("orders", ids[120:]...)
		seen, pages := map[string]int{}, 0
		for more := true; more; pages++ {
			p, err := src.Pull(t.Context(), magento.StreamOrders, at, size)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range p.Facts {
				seen[f.Ref.ID]++
			}
			if pages%5 == 2 && pages < 30 { // an order that was read and one that was not
				clock.Add(time.Second)
				shop.Touch("orders", ids[pages], ids[199-pages])
			}
			if at, more = p.Next, p.More; pages > 900 {
				t.Fatalf("pages of %d: the run does not end", size)
			}
		}
		again := connectortest.Crawl(t, src, magento.StreamOrders, at, 50) // what moved while it was read is in the next run at the latest
		for _, f := range again.Facts {
			seen[f.Ref.ID]++
		}
		for _, id := range ids {
			if seen[text(id)] == 0 {
				t.Errorf("pages of %d: order %d was skipped", size, id)
			}
		}
	}
}

// A page that ends within a second is gone on with from the row after: no order comes twice within a run.
func TestB20_NoOrderTwiceInARun(t *testing.T) {
	shop, clock := openShop(t)
	src := connect(t, shop, clock)
	at := connectortest.Crawl(t, src, magento.StreamOrders, nil, 100).Next
	clock.Add(time.Hour)
	shop.Touch("orders", shop.IDs("orders")...)
	for _, cursor := range []connectors.Cursor{nil, at} {
		for _, size := range []int{30, 70} {
			var ids []string
			for _, f := range connectortest.Crawl(t, src, magento.StreamOrders, cursor, size).Facts {
				ids = append(ids, f.Ref.ID)
			}
			slices.Sort(ids)
			if n := len(slices.Compact(slices.Clone(ids))); n != len(ids) || n != 200 {
				t.Errorf("pages of %d: %d orders, %d of them different", size, len(ids), n)
			}
		}
	}
}

// Saving a promotion rule gives every cart a new date: all that differs is a date that does not count.
func TestB23_PromotionTouchesEveryCart(t *testing.T) {
	shop, clock := openShop(t)
	src := connect(t, shop, clock)
	before := connectortest.Crawl(t, src, magento.StreamCarts, nil, 100)
	clock.Add(time.Hour)
	shop.SavePromotion()
	after := connectortest.Crawl(t, src, magento.StreamCarts, before.Next, 100)
	if len(before.Facts) != 56 || len(after.Facts) < 56 {
		t.Fatalf("%d carts, then %d", len(before.Facts), len(after.Facts))
	}
	was := map[crm.Ref]*crm.Cart{}
	for _, f := range before.Facts {
		was[f.Ref] = f.Body.(*crm.Cart)
	}
	for _, f := range after.Facts {
		if f.Gone {
			continue // an empty cart
		}
		c := f.Body.(*crm.Cart)
		if !c.ByContent {
			t.Errorf("cart %s: its date counts", f.Ref.ID)
		}
		old := was[f.Ref]
		// Totals end 30 days after the last change, so only carts that had theirs before can be compared by amount.
		ignore := cmpopts.IgnoreFields(crm.Cart{}, "ActiveAt")
		if clock.Now().Add(-30 * 24 * time.Hour).After(time.UnixMilli(int64(old.ActiveAt))) {
			ignore = cmpopts.IgnoreFields(crm.Cart{}, "ActiveAt", "Total", "Lines")
		}
		if d := cmp.Diff(old, c, ignore); d != "" {
			t.Errorf("cart %s: %s", f.Ref.ID, d)
		}
	}
}

// An old record that was edited is seen by the next run of its stream, for every stream that reads what changed.
func TestB27_EditOfAnOldRecordIsSeen(t *testing.T) {
	shop, clock := openShop(t)
	src := connect(t, shop, clock)
	for stream, table := range map[string]string{
		magento.StreamOrders: "orders", magento.StreamCustomers: "customers", magento.StreamProducts: "products", magento.StreamRefunds: "creditmemos",
		magento.StreamCarts: "carts",
	} {
		at := connectortest.Crawl(t, src, stream, nil, 100).Next
		clock.Add(3 * time.Hour)
		id := shop.IDs(table)[0]
		if table == "carts" {
			id = 201 // the first ones were ordered
		}
		shop.Touch(table, id)
		p := connectortest.Crawl(t, src, stream, at, 10)
		if !slices.ContainsFunc(p.Facts, func(f crm.Fact) bool { return f.Ref.ID == text(id) }) {
			t.Errorf("%s: the edit of %d is not seen", stream, id)
		}
		if len(p.Facts) > 3 {
			t.Errorf("%s: one edit brings %d facts", stream, len(p.Facts))
		}
	}
}

// An order in another currency carries its rate; cancelled and replaced ones are no sales; what was refunded stays apart.
func TestB30_CurrenciesAndCancelledOrders(t *testing.T) {
	shop, clock := openShop(t)
	src := connect(t, shop, clock)
	item := []magshop.Item{{ProductID: 5, Quantity: 2}}
	dollars := shop.PlaceOrder(magshop.Order{Email: "a@example.com", StoreID: 2, Items: item, Coupon: "BIENVENUE10"})
	shop.Invoice(dollars)
	cancelled := shop.PlaceOrder(magshop.Order{Email: "a@example.com", Items: item})
	shop.Cancel(cancelled)
	edited := shop.PlaceOrder(magshop.Order{Email: "a@example.com", Items: item})
	fresh := shop.EditOrder(edited, []magshop.Item{{ProductID: 19, Quantity: 1}})
	again := shop.EditOrder(fresh, item)
	refunded := shop.PlaceOrder(magshop.Order{Email: "a@example.com", Items: item})
	shop.Invoice(refunded)
	shop.Refund(refunded, 40)

	o := order(t, src, dollars)
	// 2 × 22.00 EUR at 1.4873 = 2 × 32.72 CAD, 10 % off, and 10.26 CAD of shipping.
	if o.Currency != "CAD" || o.Total != 6544-654+1026 || o.Lines[0].Total != 6544-654 || o.Goods != 6544-654 || o.Discount != 654 || o.BaseCurrency != "EUR" || o.BaseTotal != 4650 || !o.CountsAsSale {
		t.Errorf("%+v", o)
	}
	if o := order(t, src, cancelled); o.State != crm.StateCancelled || o.CountsAsSale || o.CancelledAt == 0 || o.Purchase != "" {
		t.Errorf("%+v", o)
	}
	first, second, third := order(t, src, edited), order(t, src, fresh), order(t, src, again)
	if first.State != crm.StateReplaced || second.State != crm.StateReplaced || third.State != crm.StatePending || first.CountsAsSale {
		t.Errorf("an edited order: %s, %s, %s", first.State, second.State, third.State)
	}
	if first.Purchase == "" || first.Purchase != second.Purchase || second.Purchase != third.Purchase {
		t.Errorf("one purchase: %q %q %q", first.Purchase, second.Purchase, third.Purchase)
	}
	if l := second.Lines; len(l) != 1 || l[0].ProductID != "23" || l[0].VariationID != "19" || l[0].SKU != "EX-019-S-BLEU-NUIT" {
		t.Errorf("a configurable product is one line: %+v", l)
	}
	if o := order(t, src, refunded); o.State != crm.StateAccepted || o.Total != 4400+690 {
		t.Errorf("a refund leaves the total: %+v", o)
	}
}

func order(t *testing.T, src source, id int64) *crm.Order {
	t.Helper()
	p, err := src.Read(t.Context(), crm.Ref{Kind: crm.KindOrder, ID: text(id)})
	if err != nil || len(p.Facts) != 1 {
		t.Fatalf("order %d: %v %v", id, p.Facts, err)
	}
	return p.Facts[0].Body.(*crm.Order)
}

// A guest who types his address in capitals, and an account whose address changes, stay the people they are: orders name
// the account by its id and guests by nothing but their e-mail.
func TestB49_GuestsAndAccounts(t *testing.T) {
	shop, clock := openShop(t)
	src := connect(t, shop, clock)
	item := []magshop.Item{{ProductID: 5, Quantity: 1}}
	account := shop.CreateCustomer(magshop.Account{Email: "zoe@example.com", FirstName: "Zoé", LastName: "Martin"})
	guest := shop.PlaceOrder(magshop.Order{Email: "ZOE@Example.com", Items: item})
	own := shop.PlaceOrder(magshop.Order{CustomerID: account, Items: item})
	a, b := order(t, src, guest), order(t, src, own)
	if a.CustomerID != "" || b.CustomerID != text(account) || crm.NormEmail(a.Email) != crm.NormEmail(b.Email) {
		t.Errorf("%+v\n%+v", a, b)
	}
	shop.ChangeEmail(account, "zoe.martin@example.com") // rewrites the order that has the old address
	if b = order(t, src, own); b.Email != "zoe.martin@example.com" || b.CustomerID != text(account) {
		t.Errorf("%+v", b)
	}
	shop.DeleteCustomer(account) // customer_is_guest stays 0
	if b = order(t, src, own); b.CustomerID != "" || b.Email != "zoe.martin@example.com" {
		t.Errorf("%+v", b)
	}
	// The same address twice, on two websites: two accounts.
	emails := map[string][]string{}
	for _, f := range connectortest.Crawl(t, src, magento.StreamCustomers, nil, 100).Facts {
		if c, ok := f.Body.(*crm.Customer); ok {
			emails[crm.NormEmail(c.Email)] = append(emails[crm.NormEmail(c.Email)], f.Ref.ID)
		}
	}
	twice := 0
	for _, ids := range emails {
		if len(ids) == 2 {
			twice++
		}
	}
	if twice != 2 {
		t.Errorf("%d addresses with two accounts", twice)
	}
}
