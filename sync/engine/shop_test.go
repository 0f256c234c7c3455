package engine_test

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/connectors/woocommerce"
	"github.com/relance/relance/connectors/woocommerce/wooshop"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/sync/inbox"
)

// shopRig is a rig whose shop is the recorded one, on loopback.
type shopRig struct {
	*rig
	woo *wooshop.Shop
	url string
	src *woocommerce.Source
}

func newShopRig(t *testing.T, db *store.DB) *shopRig {
	t.Helper()
	r := &shopRig{rig: newRig(t, db, nil)}
	r.at(wooshop.RecordedAt().Add(time.Hour).Truncate(time.Second))
	var err error
	if r.woo, err = wooshop.New(wooshop.Options{Clock: func() time.Time { return time.Unix(0, r.told.Load()) }}); err != nil {
		t.Fatal(err)
	}
	url, stop, err := r.woo.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	r.url = url
	r.src = r.source(wooshop.DefaultKey, wooshop.DefaultSecret)
	r.restart(r.src)
	return r
}

func (r *shopRig) source(key, secret string) *woocommerce.Source {
	r.t.Helper()
	src, err := woocommerce.New(woocommerce.Config{
		URL: r.url, Key: key, Secret: secret, WebhookSecret: wooshop.DefaultWebhookSecret, Shop: "boutique",
		Clock: func() time.Time { return time.Unix(0, r.told.Load()) },
	}, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return src
}

func (r *shopRig) ids(table string) []int64 {
	r.t.Helper()
	var texts []string
	if err := r.db.Read().SelectContext(r.t.Context(), &texts, "SELECT id FROM "+table+" WHERE gone_at=0"); err != nil {
		r.t.Fatal(err)
	}
	ids := make([]int64, len(texts))
	for i, s := range texts {
		ids[i], _ = strconv.ParseInt(s, 10, 64)
	}
	slices.Sort(ids)
	return ids
}

// whole compares the mirror with what the shop has at this moment.
func (r *shopRig) whole() {
	r.t.Helper()
	orders := append(r.woo.OrderIDs(), r.woo.OrderIDs("trash")...)
	slices.Sort(orders)
	for table, want := range map[string][]int64{
		"orders": orders, "customers": r.woo.CustomerIDs(), "products": r.woo.ProductIDs(), "refunds": r.woo.RefundIDs(),
	} {
		if diff := cmp.Diff(want, r.ids(table)); diff != "" {
			r.t.Errorf("%s (-shop +mirror):\n%s", table, diff)
		}
	}
}

func TestTheRecordedShopIsMirroredWholeAndASecondReadingWritesNothing(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		r := newShopRig(t, db)
		r.settle()
		r.whole()
		want, err := wooshop.Expected()
		if err != nil {
			t.Fatal(err)
		}
		for status, n := range want.OrdersByStatus {
			if got := r.count("SELECT COUNT(*) FROM orders WHERE status=?", strings.TrimPrefix(status, "wc-")); got != n {
				t.Errorf("%d orders are %s, want %d", got, status, n)
			}
		}
		counts, err := r.m.Counts(t.Context(), r.shop.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range counts {
			if c.Kind == crm.KindCart || c.Kind == crm.KindEvent || c.Kind == crm.KindConsent { // no stream of its own
				continue
			}
			if c.Source != c.Mirrored+c.Quarantined || c.Source == 0 {
				t.Errorf("%s: %+v", c.Kind, c)
			}
		}
		if n := r.count("SELECT COUNT(*) FROM dirty WHERE cause<>'backfill'"); n != 0 {
			t.Errorf("history marked %d contacts as changed", n)
		}
		r.clearDirty()
		before := r.contents()
		r.after(25 * time.Hour) // every stream is due again
		for name, s := range r.streams() {
			if s.ReadAt != crm.At(r.now) {
				t.Errorf("%s was last read at %v", name, s.ReadAt.Time())
			}
		}
		if r.contents() != before {
			t.Error("reading an unchanged shop wrote something")
		}
		if n := r.count("SELECT COUNT(*) FROM hints"); n != 0 {
			t.Errorf("%d re-reads were asked for", n)
		}
	})
}

func TestADeletedOrderIsFoundByItsIdAndConfirmedByTheShop(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		r := newShopRig(t, db)
		r.settle()
		gone := r.woo.OrderIDs("completed")[3]
		if err := r.woo.DeleteOrder(gone); err != nil { // WooCommerce tells nobody
			t.Fatal(err)
		}
		r.after(5 * time.Minute)
		if slices.Contains(r.ids("orders"), gone) == false {
			t.Fatal("gone before anybody could know")
		}
		r.after(7 * time.Hour)
		r.whole()
		if n := r.count("SELECT COUNT(*) FROM orders WHERE gone_at>0"); n != 1 {
			t.Errorf("%d tombstones", n)
		}
	})
}

func TestAFailedListOfIdsDeletesNothing(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		r := newShopRig(t, db)
		r.settle()
		before := len(r.ids("orders"))
		r.woo.SetFault(func(q *http.Request) *wooshop.Fault {
			if q.URL.Query().Get("_fields") == "id" && strings.HasSuffix(q.URL.Path, "/orders") {
				return wooshop.WebPage()
			}
			return nil
		})
		r.after(7 * time.Hour)
		if s := r.streams()["order_ids"]; s.Attempts == 0 || s.Error == "" {
			t.Errorf("the failure is not visible: %+v", s)
		}
		if n := len(r.ids("orders")); n != before {
			t.Fatalf("%d of %d orders are left", n, before)
		}
	})
}

func TestAShopThatMisbehavesIsMirroredWholeAllTheSame(t *testing.T) {
	faults := []func() *wooshop.Fault{
		func() *wooshop.Fault { return wooshop.Throttled(20 * time.Second) }, wooshop.ServerError, wooshop.Truncated, wooshop.WebPage,
	}
	servers.Each(t, func(t *testing.T, db *store.DB) {
		r := newShopRig(t, db)
		dice := rand.New(rand.NewPCG(1, 2))
		var mu sync.Mutex
		r.woo.SetFault(func(*http.Request) *wooshop.Fault {
			mu.Lock()
			defer mu.Unlock()
			if dice.IntN(5) == 0 {
				return faults[dice.IntN(len(faults))]()
			}
			return nil
		})
		r.settle()
		r.whole()
		r.woo.SetFault(nil)
		for range 15 {
			r.after(time.Minute)
		}
		if s := r.reload(); s.Fault != "" {
			t.Errorf("the fault stays: %s", s.Fault)
		}
	})
}

func TestWithAWrongKeyTheShopSaysWhatToDoAndWithTheRightOneItGoesOn(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		r := newShopRig(t, db)
		r.restart(r.source(wooshop.DefaultKey, "cs_wrong"))
		for range 60 {
			r.after(5 * time.Second)
		}
		s := r.reload()
		if s.FaultClass != "operator" || !strings.Contains(s.Fault, ". ") {
			t.Fatalf("fault %q of class %q", s.Fault, s.FaultClass)
		}
		if strings.Contains(s.Fault, "cs_") || strings.Contains(s.Fault, "ck_") {
			t.Fatalf("the fault tells a secret: %q", s.Fault)
		}
		if n := r.woo.Requests(); n > 30 {
			t.Errorf("%d requests in five minutes with a wrong key", n)
		}
		r.restart(r.src) // the key was mended and the configuration loaded again
		r.after(5 * time.Minute)
		r.settle()
		r.whole()
		if s := r.reload(); s.Fault != "" {
			t.Errorf("the fault stays: %s", s.Fault)
		}
	})
}

func TestB8_ASpoiledOrderIsQuarantinedCountedAndMendedLater(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		r := newShopRig(t, db)
		id := r.woo.OrderIDs("completed")[0]
		if err := r.woo.Spoil(id); err != nil {
			t.Fatal(err)
		}
		r.settle()
		counts, err := r.m.Counts(t.Context(), r.shop.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range counts {
			if c.Kind == crm.KindOrder && (c.Quarantined != 1 || c.Source != c.Mirrored+1) {
				t.Errorf("%+v", c)
			}
		}
		if n := r.count("SELECT COUNT(*) FROM quarantine WHERE kind='order' AND id=?", strconv.FormatInt(id, 10)); n != 1 {
			t.Errorf("%d in quarantine", n)
		}
	})
}

// webhooks connects the shop's deliveries with a receiver that wakes nobody.
func (r *shopRig) webhooks(times int) (refused *int) {
	rec := inbox.NewReceiver(r.m, inbox.Options{
		Shops: map[string]inbox.Target{"boutique": {ShopID: r.shop.ID, Hinter: r.src}}, Now: func() time.Time { return r.now },
	})
	refused = new(int)
	r.woo.OnWebhook(func(h http.Header, body []byte) {
		for range times {
			if rec.Receive(r.t.Context(), "boutique", h, body) != http.StatusOK {
				*refused++
			}
		}
	})
	return refused
}

func TestAWebhookBringsAnOrderInWithoutWaitingForThePoll(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		r := newShopRig(t, db)
		r.settle()
		r.clearDirty()
		refused := r.webhooks(100)
		id, err := r.woo.CreateOrder(wooshop.OrderSpec{Email: "new@example.org", FirstName: "Nia", Items: []wooshop.Item{{ProductID: r.woo.Goods()[0].ProductID, Quantity: 1}}})
		if err != nil {
			t.Fatal(err)
		}
		before := r.woo.Requests()
		r.idle()
		if n := r.woo.Requests() - before; n != 1 || *refused != 0 {
			t.Errorf("two hundred deliveries made %d requests, %d were refused", n, *refused)
		}
		if !slices.Contains(r.ids("orders"), id) {
			t.Fatal("the order is not mirrored")
		}
		if n := r.count("SELECT COUNT(*) FROM dirty WHERE cause='change'"); n != 1 {
			t.Errorf("%d contacts are marked", n)
		}
		r.clearDirty()
		contents := r.contents()
		r.hint(crm.Ref{Kind: crm.KindOrder, ID: strconv.FormatInt(id, 10)}) // as a late delivery would
		r.idle()
		if r.contents() != contents {
			t.Error("a re-read of the same order wrote something")
		}
	})
}

func TestOneShopsTroubleIsNotTheOthers(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		r := newShopRig(t, db)
		other, err := r.m.EnsureShop(t.Context(), mirror.ShopSpec{Name: "atelier", Audience: "default", Platform: "woocommerce", Zone: "Europe/Paris"})
		if err != nil {
			t.Fatal(err)
		}
		broken := newRigFor(t, db, other, r.source(wooshop.DefaultKey, "cs_wrong"), r.now)
		for range 20 {
			broken.after(time.Minute)
		}
		r.settle()
		r.whole()
		if s := r.reload(); s.Fault != "" {
			t.Errorf("the good shop has the other's fault: %s", s.Fault)
		}
		if s := broken.reload(); s.Fault == "" {
			t.Error("the broken shop's fault is not shown")
		}
	})
}
