package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/connectors/woocommerce/wooshop"
	"github.com/relance/relance/internal/web"
	"github.com/relance/relance/internal/web/metricstest"
)

// The demo as scripts use it: one JSON object on stdout that says what the shop has, what became of it and which mails
// left, and nothing stays on the machine.
func TestDemoOnceSaysWhatTheShopHasAndLeavesNothing(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp) // where it works
	var out, errs bytes.Buffer
	code := execute(&deps{
		ctx: t.Context(), args: []string{"demo", "--once", "--json"}, in: strings.NewReader(""), out: &out, err: &errs,
		env: func(string) (string, bool) { return "", false }, now: func() time.Time { return time.Now().UTC() },
	})
	if code != exitOK {
		t.Fatalf("exit %d: %s", code, errs.String())
	}
	var said map[string]json.RawMessage
	in := json.NewDecoder(&out)
	if err := in.Decode(&said); err != nil || in.More() {
		t.Fatalf("stdout is not one JSON object: %v", err)
	}
	part := func(name string, into any) {
		t.Helper()
		if err := json.Unmarshal(said[name], into); err != nil {
			t.Fatalf("%s: %v in %s", name, err, said[name])
		}
	}

	want, err := wooshop.Expected()
	if err != nil {
		t.Fatal(err)
	}
	recorded, err := wooshop.New(wooshop.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var shop map[string]map[string]int
	part("shop", &shop)
	for kind, has := range map[string]int{
		"orders":    len(want.OrderIDs) + want.OrdersByStatus["trash"] + 3, // with the three carts of the scene
		"customers": want.Users + 1, "products": len(recorded.ProductIDs()), "refunds": want.Refunds,
	} {
		c := shop[kind]
		if c["source"] != has || c["mirrored"]+c["quarantined"] != has || c["quarantined"] != 0 {
			t.Errorf("%s: %v, the shop has %d", kind, c, has)
		}
	}
	var mails, segments map[string]int
	part("mails", &mails)
	if diff := cmp.Diff(map[string]int{
		"abandoned_cart": 2, "order_confirmation": 1, "welcome": 1, "win_back": 1, "vip": 0, "cross_sell": 0, "review_request": 0, "order_shipped": 0, "order_refunded": 0,
	}, mails); diff != "" {
		t.Errorf("mails (-want +got):\n%s", diff)
	}
	part("segments", &segments)
	for _, id := range []string{"cart_left", "dormant", "newcomers", "loyal"} {
		if segments[id] == 0 {
			t.Errorf("nobody is in %s: %v", id, segments)
		}
	}
	var contacts int
	var seconds float64
	part("contacts", &contacts)
	part("seconds", &seconds)
	if contacts < want.DistinctEmails || seconds <= 0 || seconds > 60 {
		t.Errorf("%d contacts after %.1f s", contacts, seconds)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("the demo left %v, %v", left, err)
	}
	if strings.Contains(errs.String(), wooshop.DefaultSecret) {
		t.Error("a secret is shown")
	}
}

// Every metric of a whole installation is named and labelled as promised, and the operator finds each in the manual.
func TestMetricsAreAsPromisedAndDocumented(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite:relance.db")
	if err := w.open(); err != nil {
		t.Fatal(err)
	}
	w.settle()
	if _, err := w.shop.CreateDraft(w.people[0].order(w.shop.Goods()[0].Item)); err != nil {
		t.Fatal(err)
	}
	w.settle()
	web.NewPublic(w.public)
	web.NewAdmin(w.d.adminOptions())
	metricstest.Lint(t, w.d.registry)
	metricstest.Documented(t, w.d.registry, "../../docs/operations.md")
}
