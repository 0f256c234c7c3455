package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/config"
	"github.com/relance/relance/connectors/woocommerce/wooshop"
	"github.com/relance/relance/mailer"
)

// layOutScenarios replaces the world's campaigns and segments by those of the starting set.
func (w *world) layOutScenarios() {
	w.t.Helper()
	for _, folder := range []string{"campaigns", "segments"} {
		if err := os.RemoveAll(filepath.Join(w.dir, folder)); err != nil {
			w.t.Fatal(err)
		}
	}
	files, err := starterFiles(config.WooCommerce)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range files {
		if strings.HasPrefix(f.name, "campaigns/") || strings.HasPrefix(f.name, "segments/") {
			w.write(f.name, string(f.text))
		}
	}
}

// got lists what a person was sent: hours after a beginning, campaign and step.
func (w *world) got(email string, since time.Time) []string {
	w.t.Helper()
	mails, err := w.d.outboxes["default"].Mails(10_000)
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, m := range mails {
		if m.To == email {
			out = append(out, m.Created.Sub(since).Truncate(time.Hour).String()+" "+m.Campaign+" "+m.Step)
		}
	}
	return out
}

// Every campaign of the starting set is armed as it lies; a cart is left, somebody registers, somebody orders once and never again.
func TestTheScenariosOfTheStartingSetRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite:relance.db")
	w.layOutScenarios()
	if err := w.open(); err != nil {
		t.Fatal(err)
	}
	w.settle()
	now := w.clock.Now()
	w.move(time.Date(now.Year(), now.Month(), now.Day()+1, 13, 0, 0, 0, time.UTC).Sub(now)) // two in the afternoon in the shop
	w.settle()
	for _, id := range slices.Sorted(maps.Keys(w.cfg.Campaigns)) {
		if _, err := mailer.Arm(t.Context(), w.d.mirror, id, w.instant()); err != nil {
			t.Fatal(id, err)
		}
	}
	begun := w.clock.Now()
	goods := w.shop.Goods()
	leaves := w.people[0]
	orders := person{First: "Basile", Last: "Petit", Email: "basile@example.org"}
	if _, err := w.shop.CreateDraft(leaves.order(goods[0].Item, goods[3].Item)); err != nil {
		t.Fatal(err)
	}
	order, err := w.shop.CreateOrder(orders.order(goods[1].Item))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.shop.CreateCustomer(wooshop.CustomerSpec{Email: "ines@example.org", FirstName: "Inès", Meta: map[string]string{"newsletter_optin": "1"}}); err != nil {
		t.Fatal(err)
	}
	day := func(days, hours int) {
		t.Helper()
		if d := begun.Add(time.Duration(24*days+hours) * time.Hour).Add(5 * time.Minute).Sub(w.clock.Now()); d > 0 {
			w.move(d)
		}
		w.settle()
	}
	day(0, 0)
	day(0, 1)
	day(0, 20)
	day(1, 0)
	if err := w.shop.UpdateOrder(order, wooshop.OrderChange{Status: "completed"}); err != nil {
		t.Fatal(err)
	}
	for _, at := range [][2]int{{1, 2}, {2, 2}, {3, 2}, {5, 2}, {11, 2}, {15, 5}, {60, 2}, {70, 2}, {90, 2}} {
		day(at[0], at[1])
	}
	for who, want := range map[string][]string{
		leaves.Email: {
			"1h0m0s abandoned_cart reminder", "24h0m0s abandoned_cart reassurance", "74h0m0s abandoned_cart last_reminder",
		},
		"ines@example.org": {
			"0s account_confirmation account", "0s subscription_confirmation subscribed", "20h0m0s welcome hello", "122h0m0s welcome second_try",
		},
		orders.Email: {
			"0s order_confirmation confirmation", "0s subscription_confirmation subscribed", "26h0m0s order_shipped on_its_way", "266h0m0s cross_sell ideas",
			"365h0m0s review_request opinion", "1442h0m0s win_back we_miss_you", "1682h0m0s win_back goes_with_it", "2162h0m0s win_back your_wishes",
		},
	} {
		have := w.got(who, begun)
		slices.Sort(want) // two mails of one instant have no order
		slices.Sort(have)
		if diff := cmp.Diff(want, have); diff != "" {
			t.Errorf("%s (-want +got):\n%s", who, diff)
		}
	}
	// The instants are exact although time went by in days: 60, 70 and 90 of them after the order itself.
	placed := w.number("SELECT placed_at FROM orders WHERE id=?", order)
	for step, days := range map[string]int{"we_miss_you": 60, "goes_with_it": 70, "your_wishes": 90} {
		due := w.number("SELECT due_at FROM sends WHERE campaign='win_back' AND step=? AND contact_id=?", step, w.contact(orders.Email).ContactID)
		if want := placed + days*24*60*60*1000; due != want {
			t.Errorf("%s was due %s off", step, time.Duration(due-want)*time.Millisecond)
		}
	}
}
