package rule_test

import (
	"testing"

	"github.com/relance/relance/internal/crm"
)

func part(shop int64, id, purchase, at string, minor int64, lines ...crm.ProfileLine) crm.ProfileOrder {
	o := sale(at, minor, lines...)
	o.ShopID, o.ID, o.Purchase = shop, id, purchase
	return o
}

func TestOrdersOfOnePurchaseCountOnce(t *testing.T) {
	shoe := crm.ProfileLine{SKU: "S-7", Quantity: 2, Total: 3000}
	hat := crm.ProfileLine{SKU: "H-8", Quantity: 1, Total: 2000}
	p := &crm.Profile{Contact: crm.Contact{Zone: "UTC"}, Orders: []crm.ProfileOrder{
		part(1, "1", "1", "2026-10-01T00:00:00Z", 3000, shoe),
		part(1, "2", "1", "2026-10-05T00:00:00Z", 2000, hat), // edited: in the place of 1
		part(1, "3", "REF", "2026-10-10T00:00:00Z", 3000, shoe),
		part(1, "4", "REF", "2026-10-10T00:00:00Z", 2000, hat), // split
		part(2, "1", "REF", "2026-10-20T00:00:00Z", 2000, hat), // another shop's
		part(2, "5", "5", "2026-10-21T00:00:00Z", 2000, hat),
	}}
	at := instant("2026-11-01T00:00:00Z")
	for text, want := range map[string]bool{
		"bought: {exactly: 4}":                                                  true,
		"bought: {at_least: 5}":                                                 false,
		"bought: {exactly: 4, sku: H-8}":                                        true,
		"bought: {exactly: 2, sku: S-7}":                                        true,
		"bought: {at_least: 140 EUR, at_most: 140 EUR}":                         true, // amounts add up
		"bought: {of: quantity, exactly: 4, sku: H-8}":                          true,
		"bought: {between: {from: 2026-10-02}, exactly: 4}":                     true, // of each purchase, what lies in the period
		"bought: {between: {from: 2026-10-02, before: 2026-10-11}, exactly: 2}": true,
	} {
		if got := segment(t, text).Match(p, at); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	// A purchase is dated when the first of its orders was placed, and leaves a window as a whole.
	seg := segment(t, "bought: {at_least: 4, within: 30d}")
	if flip := instant("2026-10-31T00:00:00Z"); !seg.Match(p, flip-1) || seg.Match(p, flip) || seg.NextChange(p, flip-1) != flip {
		t.Error("the edited order leaves with the order that it replaced")
	}
	if e := segment(t, "bought: {}").Explain(p, at); e.Value != "4 orders" {
		t.Errorf("%+v", e)
	}
	if len(p.Orders) != 6 || p.Orders[1].ID != "2" {
		t.Error("the profile was changed")
	}
}
