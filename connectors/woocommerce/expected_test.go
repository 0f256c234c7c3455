package woocommerce_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/relance/relance/connectors/connectortest"
	"github.com/relance/relance/connectors/woocommerce"
	"github.com/relance/relance/connectors/woocommerce/wooshop"
	"github.com/relance/relance/internal/crm"
)

// A crawl of the recorded shop equals what its database held.
func TestCrawlEqualsExpected(t *testing.T) {
	shop, clock := openShop(t)
	src := connect(t, shop, clock)
	want, err := wooshop.Expected()
	if err != nil {
		t.Fatal(err)
	}
	t.Run("orders", func(t *testing.T) { ordersEqual(t, src, want) })
	t.Run("customers", func(t *testing.T) { customersEqual(t, src, want) })
	t.Run("refunds", func(t *testing.T) { refundsEqual(t, src, want) })
	t.Run("products", func(t *testing.T) { productsEqual(t, src, want) })
	t.Run("ids", func(t *testing.T) { idsEqual(t, src, want) })
}

func ordersEqual(t *testing.T, src *woocommerce.Source, want wooshop.Expectation) {
	live, trash := connectortest.Crawl(t, src, woocommerce.StreamOrders, nil, 100), connectortest.Crawl(t, src, woocommerce.StreamOrdersTrash, nil, 100)
	if live.Total != len(want.OrderIDs) || trash.Total != want.OrdersByStatus["trash"] {
		t.Errorf("totals %d and %d", live.Total, trash.Total)
	}
	byStatus, byCurrency, gross, emails, typed := map[string]int{}, map[string]int{}, map[string]int64{}, map[string]bool{}, map[string]bool{}
	var ids []string
	guests, anonymous := 0, 0
	for _, f := range append(live.Facts, trash.Facts...) {
		o, ok := f.Body.(*crm.Order)
		if !ok {
			continue
		}
		if o.State == crm.StateTrash {
			byStatus["trash"]++
			continue
		}
		byStatus["wc-"+o.Status]++
		byCurrency[o.Currency]++
		ids = append(ids, f.Ref.ID)
		if o.CustomerID == "" {
			guests++
		}
		if o.Email == "" {
			anonymous++
		} else {
			emails[crm.NormEmail(o.Email)], typed[o.Email] = true, true
		}
		if o.CountsAsSale && o.Status != "en-preparation" { // the recording's query knew WooCommerce's own statuses only
			gross[o.Currency] += o.Total
		}
	}
	if d := cmp.Diff(want.OrdersByStatus, byStatus); d != "" {
		t.Errorf("orders by status: %s", d)
	}
	if d := cmp.Diff(want.OrdersByCurrency, byCurrency); d != "" {
		t.Errorf("orders by currency: %s", d)
	}
	if d := cmp.Diff(texts(want.OrderIDs), ids); d != "" {
		t.Errorf("ids: %s", d)
	}
	if guests != want.GuestOrders || anonymous != want.OrdersWithoutEmail {
		t.Errorf("%d guest orders and %d without e-mail, want %d and %d", guests, anonymous, want.GuestOrders, want.OrdersWithoutEmail)
	}
	if len(emails) != want.DistinctEmails || len(typed) != want.DistinctEmailsTyped {
		t.Errorf("%d addresses in %d spellings, want %d in %d", len(emails), len(typed), want.DistinctEmails, want.DistinctEmailsTyped)
	}
	for currency, sum := range want.GrossOfPaidOrders {
		if got := (crm.Money{Minor: gross[currency], Currency: currency}).Decimal(); got != sum {
			t.Errorf("gross of paid orders %s %s, want %s", got, currency, sum)
		}
	}
	if len(live.Rejected)+len(trash.Rejected) > 0 {
		t.Errorf("rejected: %+v", live.Rejected)
	}
}

func customersEqual(t *testing.T, src *woocommerce.Source, want wooshop.Expectation) {
	p := connectortest.Crawl(t, src, woocommerce.StreamCustomers, nil, 40)
	byRole, births, optins := map[string]int{}, 0, map[string]int{}
	for _, f := range p.Facts {
		switch b := f.Body.(type) {
		case *crm.Customer:
			byRole[b.Role]++
			if b.Birthday != "" {
				births++
			}
		case *crm.OptIn:
			optins[b.Value]++
		}
	}
	total := 0
	for role, n := range byRole {
		total += n
		if n > want.UsersByRole[role] {
			t.Errorf("%d of role %s, the database has %d", n, role, want.UsersByRole[role])
		}
	}
	// Accounts with several roles show one of them.
	if total != want.Users || p.Total != want.Users || byRole["customer"] != want.UsersByRole["customer"] {
		t.Errorf("%d accounts (total %d) by role %v", total, p.Total, byRole)
	}
	if d := cmp.Diff(map[string]int{"yes": 44, "no": 27, "": want.Users - 71}, optins); d != "" || births != 18 {
		t.Errorf("opt-ins %s, %d birthdays", d, births)
	}
}

func refundsEqual(t *testing.T, src *woocommerce.Source, want wooshop.Expectation) {
	p := connectortest.Crawl(t, src, woocommerce.StreamRefunds, nil, 30)
	n, sum := 0, int64(0)
	for _, f := range p.Facts {
		r := f.Body.(*crm.Refund)
		n, sum = n+1, sum+r.Amount
		if r.OrderID == "" || r.Currency != "EUR" || r.At == 0 {
			t.Errorf("refund %s: %+v", f.Ref.ID, r)
		}
		for _, l := range r.Lines {
			if l.Total < 0 || l.Quantity < 0 || l.ID == "" {
				t.Errorf("refund %s: line %+v", f.Ref.ID, l)
			}
		}
	}
	wantSum, err := crm.ParseMinor(want.RefundedAmount, "EUR")
	if err != nil || n != want.Refunds || sum != wantSum {
		t.Errorf("%d refunds of %d, want %d of %s (%v)", n, sum, want.Refunds, want.RefundedAmount, err)
	}
}

func productsEqual(t *testing.T, src *woocommerce.Source, want wooshop.Expectation) {
	byStatus := map[string]int{"trash": want.ProductsByStatus["trash"]} // leaves no trace in the list
	for _, f := range connectortest.Crawl(t, src, woocommerce.StreamProducts, nil, 100).Facts {
		p := f.Body.(*crm.Product)
		byStatus[p.Status]++
		if p.Currency != "EUR" {
			t.Errorf("product %s is priced in %q", f.Ref.ID, p.Currency)
		}
	}
	if d := cmp.Diff(want.ProductsByStatus, byStatus); d != "" {
		t.Errorf("products by status: %s", d)
	}
	for _, size := range []int{1, 3, 100} {
		parents, variations := map[string]int{}, connectortest.Crawl(t, src, woocommerce.StreamVariations, nil, size)
		for _, f := range variations.Facts {
			p := f.Body.(*crm.Product)
			parents[p.ParentID]++
			if p.Name == "" || p.Price == 0 || p.Currency != "EUR" || p.Type != "variation" {
				t.Errorf("variation %s: %+v", f.Ref.ID, p)
			}
		}
		if len(variations.Raw) != want.Variations || len(parents) != 8 || parents["19"] != 4 {
			t.Errorf("size %d: %d variations of %v", size, len(variations.Raw), parents)
		}
	}
	names := map[string]bool{}
	for _, f := range connectortest.Crawl(t, src, woocommerce.StreamCategories, nil, 5).Facts {
		names[f.Body.(*crm.Category).Name] = true
	}
	if len(names) != 11 || !names["Écharpes & foulards"] {
		t.Errorf("categories %v", keys(names))
	}
}

func idsEqual(t *testing.T, src *woocommerce.Source, want wooshop.Expectation) {
	p := connectortest.Crawl(t, src, woocommerce.StreamOrderIDs, nil, 100)
	all := append(texts(want.OrderIDs), "103", "104")
	less := cmpopts.SortSlices(func(a, b string) bool { return a < b })
	if d := cmp.Diff(all, p.IDs, less); d != "" || p.Total != len(all) {
		t.Errorf("order ids, total %d: %s", p.Total, d)
	}
	for stream, n := range map[string]int{
		woocommerce.StreamCustomerIDs: want.Users, woocommerce.StreamRefundIDs: want.Refunds, woocommerce.StreamProductIDs: 38,
	} {
		ids := n
		if stream == woocommerce.StreamProductIDs {
			ids += want.Variations // the shop announces products only
		}
		if p := connectortest.Crawl(t, src, stream, nil, 100); len(p.IDs) != ids || p.Total != n {
			t.Errorf("%s: %d ids, total %d, want %d and %d", stream, len(p.IDs), p.Total, ids, n)
		}
	}
}
