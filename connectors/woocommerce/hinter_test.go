package woocommerce_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/connectors/connectortest"
	"github.com/relance/relance/connectors/woocommerce"
	"github.com/relance/relance/connectors/woocommerce/wooshop"
	"github.com/relance/relance/internal/crm"
)

func hinter(t *testing.T, secret string) *woocommerce.Source {
	t.Helper()
	c := config("http://127.0.0.1", connectortest.NewClock(wooshop.RecordedAt()))
	c.WebhookSecret = secret
	src, err := woocommerce.New(c, http.DefaultTransport)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func TestRecordedDeliveriesVerify(t *testing.T) {
	ds, err := wooshop.Deliveries()
	if err != nil {
		t.Fatal(err)
	}
	signed := 0
	for _, d := range ds {
		src := hinter(t, d.Secret)
		ping, err := src.Verify(d.Header, d.Body)
		if err != nil || ping != (d.Secret == "") {
			t.Errorf("%s: ping %v, %v", d.Name, ping, err)
		}
		if ping {
			continue
		}
		signed++
		for _, i := range []int{0, len(d.Body) / 2, len(d.Body) - 1} {
			flipped := slices.Clone(d.Body)
			flipped[i] ^= 1
			if _, err := src.Verify(d.Header, flipped); err == nil {
				t.Errorf("%s: verifies with byte %d flipped", d.Name, i)
			}
		}
		if _, err := hinter(t, "another").Verify(d.Header, d.Body); err == nil {
			t.Errorf("%s: verifies with another secret", d.Name)
		}
	}
	if signed != 36 || len(ds) != 38 {
		t.Errorf("%d signed of %d deliveries", signed, len(ds))
	}
}

// The secret is HTML-decoded before it signs; an unsigned delivery is a ping only if it claims to be nothing else.
func TestVerifyRefuses(t *testing.T) {
	shop, _ := openShop(t)
	h, body := shop.Ping()
	if ping, err := hinter(t, "").Verify(h, body); !ping || err != nil {
		t.Errorf("a ping: %v %v", ping, err)
	}
	withTopic := h.Clone()
	withTopic.Set("X-WC-Webhook-Topic", "order.created")
	for name, c := range map[string]struct {
		h    http.Header
		body string
	}{
		"a form with a topic":     {withTopic, "webhook_id=2"},
		"another form":            {h, "webhook_id=2&x=1"},
		"no signature":            {http.Header{"Content-Type": {"application/json"}}, `{"id":1}`},
		"an unreadable signature": {http.Header{"X-Wc-Webhook-Signature": {"%%%"}}, `{"id":1}`},
		"an empty signature":      {http.Header{"X-Wc-Webhook-Signature": {""}}, ``},
	} {
		if ping, err := hinter(t, "secret").Verify(c.h, []byte(c.body)); ping || err == nil {
			t.Errorf("%s is let in", name)
		}
	}
	if _, err := hinter(t, "").Verify(http.Header{"X-Wc-Webhook-Signature": {"YQ=="}}, nil); err == nil {
		t.Error("without a secret nothing is authentic")
	}
}

func TestDecode(t *testing.T) {
	ds, err := wooshop.Deliveries()
	if err != nil {
		t.Fatal(err)
	}
	order := func(id string) []crm.Ref { return []crm.Ref{{Kind: crm.KindOrder, ID: id}} }
	both := func(id string) []crm.Ref {
		return []crm.Ref{{Kind: crm.KindProduct, ID: id}, {Kind: crm.KindOrder, ID: id}}
	}
	want := map[string][]crm.Ref{
		"03-customer-created":                          {{Kind: crm.KindCustomer, ID: "155"}},
		"09-order-updated":                             order("765"),
		"14-order-deleted":                             order("765"),
		"15-order-restored":                            order("765"),
		"18-order-updated":                             nil, // an error body: the order was deleted meanwhile
		"22-coupon-deleted":                            both("768"),
		"23-product-deleted":                           both("768"),
		"26-product-updated":                           {{Kind: crm.KindProduct, ID: "55"}}, // a variation
		"27-coupon-created":                            nil,
		"28-customer-deleted":                          {{Kind: crm.KindCustomer, ID: "155"}},
		"33-order-updated":                             nil, // an error body: the webhook's owner lost the role
		"34-action-woocommerce_cart_updated":           nil,
		"35-action-woocommerce_add_to_cart":            nil,
		"36-action-woocommerce_order_status_completed": nil,
		"38-action-woocommerce_delete_order":           order("770"),
	}
	src := hinter(t, "x")
	for _, d := range ds {
		refs := src.Decode(d.Header, d.Body)
		if w, ok := want[d.Name]; ok {
			if diff := cmp.Diff(w, refs); diff != "" {
				t.Errorf("%s (%s): %s", d.Name, d.Note, diff)
			}
			delete(want, d.Name)
		}
	}
	for name := range want {
		t.Errorf("no delivery %s", name)
	}
	for _, body := range []string{
		"", "null", "[]", `{"id":"<script>"}`, `{"id":-5}`, `{"id":{}}`, "\x00", `{"id":12`, `{"id":`, `{"id"}`, `{"id":1x}`,
		`{"data":{"id":5}}`, `{"note":"\"id\":5,\\","items":[{"id":5},{"id":6}]}`, `[{"id":5}]`, `"id"`, `{"id":}`,
	} {
		if refs := src.Decode(http.Header{"X-Wc-Webhook-Topic": {"order.updated"}}, []byte(body)); refs != nil {
			t.Errorf("%q names %v", body, refs)
		}
	}
}

// The id is found wherever PHP may have put it, and what looks like one within other values is not taken for it.
func TestDecodeFindsTheIdOfTheRecordItself(t *testing.T) {
	src := hinter(t, "x")
	for body, want := range map[string]crm.Ref{
		`{"id":765,"number":"`:                         {Kind: crm.KindOrder, ID: "765"}, // all that is needed has been read
		"\n{ \"id\" : \"765\" }":                       {Kind: crm.KindOrder, ID: "765"},
		`{"note":"\"id\":5,\\","id":765}`:              {Kind: crm.KindOrder, ID: "765"},
		`{"a":{"id":5,"b":["}",{"id":6}]},"id":765}`:   {Kind: crm.KindOrder, ID: "765"},
		`{"a":[],"b":{},"c":null,"d":-1.5e3,"id":765}`: {Kind: crm.KindOrder, ID: "765"},
		`{"\u0069d":765}`:                              {Kind: crm.KindOrder, ID: "765"},
	} {
		if refs := src.Decode(http.Header{"X-Wc-Webhook-Topic": {"order.updated"}}, []byte(body)); len(refs) != 1 || refs[0] != want {
			t.Errorf("%s names %v", body, refs)
		}
	}
}

// TestB26_HintsOfALivingShop: what the shop fires leads to the right record, however the topics lie.
func TestB26_HintsOfALivingShop(t *testing.T) {
	shop, clock := openShop(t)
	src := connect(t, shop, clock)
	var refs []crm.Ref
	var topics []string
	shop.OnWebhook(func(h http.Header, body []byte) {
		if _, err := src.Verify(h, body); err != nil {
			t.Errorf("%s: %v", h.Get("X-WC-Webhook-Topic"), err)
		}
		topics = append(topics, h.Get("X-WC-Webhook-Topic"))
		refs = append(refs, src.Decode(h, body)...)
	})
	id, err := shop.CreateOrder(wooshop.OrderSpec{Email: "a@example.com", Items: []wooshop.Item{{ProductID: 15, Quantity: 2}}})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"order.updated", "order.created"}, topics); d != "" {
		t.Error(d)
	}
	// Updated, then deleted for good before the queue runs: a signed error body, which names nothing.
	refs = nil
	shop.HoldWebhooks(true)
	if err := shop.UpdateOrder(id, wooshop.OrderChange{Status: "completed"}); err != nil {
		t.Fatal(err)
	}
	if err := shop.DeleteOrder(id); err != nil {
		t.Fatal(err)
	}
	shop.RunWebhooks()
	if len(refs) != 0 {
		t.Errorf("an error body names %v", refs)
	}
	shop.HoldWebhooks(false)
	if err := shop.TrashProduct(15); err != nil {
		t.Fatal(err)
	}
	for _, ref := range refs { // the order of that id never was: gone, harmless
		p, err := src.Read(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range p.Facts {
			if !f.Gone {
				t.Errorf("%v shows %T", ref, f.Body)
			}
		}
	}
	if len(refs) != 4 {
		t.Errorf("hints %v", refs)
	}
}
