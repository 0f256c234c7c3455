package woocommerce_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/connectortest"
	"github.com/relance/relance/connectors/mapping"
	"github.com/relance/relance/connectors/woocommerce"
	"github.com/relance/relance/connectors/woocommerce/wooshop"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
)

// receiver is the daemon's end of the webhooks.
type receiver struct {
	*httptest.Server
	status int
	pings  int
	bad    int // deliveries that do not verify
	refs   []crm.Ref
}

func (r *receiver) url() string { return r.URL + "/hooks/boutique" }

// receive makes a shop deliver to the source.
func receive(t *testing.T, shop *wooshop.Shop, src func() *woocommerce.Source) *receiver {
	t.Helper()
	rec := &receiver{status: http.StatusOK}
	rec.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.WriteHeader(rec.status)
		if rec.status != http.StatusOK {
			return
		}
		ping, err := src().Verify(r.Header, body)
		switch {
		case ping:
			rec.pings++
		case err != nil:
			rec.bad++
		default:
			rec.refs = append(rec.refs, src().Decode(r.Header, body)...)
		}
	}))
	t.Cleanup(rec.Close)
	shop.SendWebhooks(rec.Client())
	return rec
}

func perform(t *testing.T, src *woocommerce.Source, kind, key string) connectors.Outcome {
	t.Helper()
	out, err := src.Perform(t.Context(), connectors.Task{Kind: kind, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// hooked opens a shop whose webhooks are to come to a receiver.
func hooked(t *testing.T, change ...func(*woocommerce.Config)) (*wooshop.Shop, *woocommerce.Source, *receiver) {
	t.Helper()
	shop, clock := openShop(t)
	var src *woocommerce.Source
	rec := receive(t, shop, func() *woocommerce.Source { return src })
	src = connect(t, shop, clock, append([]func(*woocommerce.Config){func(c *woocommerce.Config) { c.HookURL = rec.url() }}, change...)...)
	return shop, src, rec
}

func TestWebhooksAreMadeAndDeliver(t *testing.T) {
	shop, src, rec := hooked(t)
	if out := perform(t, src, connectors.TaskHooks, ""); out.Done != "12 webhooks created" || out.Mend != "" {
		t.Errorf("%+v", out)
	}
	if rec.pings != 12 {
		t.Errorf("%d pings", rec.pings)
	}
	before := shop.Hooks()
	if out := perform(t, src, connectors.TaskHooks, ""); out.Done != "all 12 webhooks are in place" || out.Mend != "" {
		t.Errorf("the second time: %+v", out)
	}
	if d := cmp.Diff(before, shop.Hooks()); d != "" || len(before) != 12 {
		t.Errorf("the second time changes %s", d)
	}
	id, err := shop.CreateOrder(wooshop.OrderSpec{Email: "a@example.com", Items: []wooshop.Item{{ProductID: 15, Quantity: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := shop.DeleteOrder(id); err != nil { // fires no topic, but an action
		t.Fatal(err)
	}
	ref := crm.Ref{Kind: crm.KindOrder, ID: texts([]int64{id})[0]}
	if d := cmp.Diff([]crm.Ref{ref, ref, ref}, rec.refs); d != "" || rec.bad != 0 {
		t.Errorf("%d bad, %s", rec.bad, d)
	}
	for _, h := range before {
		if strings.Contains(h.Name, wooshop.DefaultWebhookSecret) || h.Secret != wooshop.DefaultWebhookSecret {
			t.Errorf("%+v", h)
		}
	}
}

// B26: WooCommerce disables a webhook after seven failures in a row. It is seen, enabled again and said.
func TestB26_DisabledWebhooksAreEnabledAgain(t *testing.T) {
	shop, src, rec := hooked(t)
	perform(t, src, connectors.TaskHooks, "")
	rec.status = http.StatusInternalServerError // the daemon is down
	for range 8 {
		if err := shop.UpdateOrder(95, wooshop.OrderChange{}); err != nil {
			t.Fatal(err)
		}
	}
	disabled := func() (out []string) {
		for _, h := range shop.Hooks() {
			if h.Status != "active" {
				out = append(out, h.Topic)
			}
		}
		return out
	}
	if d := cmp.Diff([]string{"order.updated"}, disabled()); d != "" {
		t.Fatalf("disabled: %s", d)
	}
	rec.status = http.StatusOK
	if out := perform(t, src, connectors.TaskHooks, ""); out.Done != "1 webhook enabled again" {
		t.Errorf("%+v", out)
	}
	if err := shop.UpdateOrder(95, wooshop.OrderChange{}); err != nil {
		t.Fatal(err)
	}
	if len(rec.refs) != 1 || len(disabled()) != 0 {
		t.Errorf("%v, disabled %v", rec.refs, disabled())
	}
}

// B26: a webhook with an old address or secret of ours is repaired, one of somebody else is left alone.
func TestB26_WebhooksOfOursAreRepaired(t *testing.T) {
	shop, src, rec := hooked(t)
	perform(t, src, connectors.TaskHooks, "")
	hooks := shop.Hooks()
	if err := shop.SetHook(hooks[0].ID, map[string]string{"delivery_url": "https://old.example.com/hooks/boutique"}); err != nil {
		t.Fatal(err)
	}
	if err := shop.SetHook(hooks[1].ID, map[string]string{"status": "paused"}); err != nil {
		t.Fatal(err)
	}
	if err := shop.SetHook(hooks[2].ID, map[string]string{"delivery_url": "https://erp.example.com/woo", "name": "ERP"}); err != nil {
		t.Fatal(err)
	}
	out := perform(t, src, connectors.TaskHooks, "")
	if out.Done != "1 webhook created, 1 webhook repaired" || !strings.Contains(out.Mend, "paused") || !strings.Contains(out.Mend, hooks[1].Topic) {
		t.Errorf("%+v", out)
	}
	if after := shop.Hooks(); after[0].URL != rec.url() || after[2].Name != "ERP" || after[2].Secret != hooks[2].Secret || len(after) != 13 {
		t.Errorf("%+v", after)
	}
	// A new webhook_secret reaches the shop by itself.
	_, clock := openShop(t)
	again := connect(t, shop, clock, func(c *woocommerce.Config) { c.HookURL, c.WebhookSecret = rec.url(), "another-secret" })
	if out := perform(t, again, connectors.TaskHooks, ""); out.Done != "12 webhooks repaired" {
		t.Errorf("%+v", out)
	}
	for _, h := range shop.Hooks() {
		if h.URL == rec.url() && h.Secret != "another-secret" {
			t.Errorf("%+v", h)
		}
	}
}

// B26: a webhook made by hand stays as it is while it works; disabled, its secret may be what is wrong.
func TestB26_WebhooksMadeByHandAreTakenOverWhenTheyFail(t *testing.T) {
	shop, src, _ := hooked(t)
	perform(t, src, connectors.TaskHooks, "")
	h := shop.Hooks()[0]
	if err := shop.SetHook(h.ID, map[string]string{"name": "by hand", "secret": "mistyped"}); err != nil {
		t.Fatal(err)
	}
	if out := perform(t, src, connectors.TaskHooks, ""); out.Done != "all 12 webhooks are in place" {
		t.Errorf("%+v", out)
	}
	if err := shop.SetHook(h.ID, map[string]string{"status": "disabled"}); err != nil {
		t.Fatal(err)
	}
	perform(t, src, connectors.TaskHooks, "")
	if after := shop.Hooks()[0]; after.Status != "active" || after.Secret != wooshop.DefaultWebhookSecret || after.Name != h.Name {
		t.Errorf("%+v", after)
	}
}

// B26: what the key may not do is said, with what to do by hand; it is no fault of the shop.
func TestB26_AKeyThatMayNotManageWebhooks(t *testing.T) {
	for _, key := range []string{"_read", "_customer"} {
		shop, src, rec := hooked(t, func(c *woocommerce.Config) { c.Key += key })
		if key == "_read" { // proved to be a good key
			if _, err := src.Pull(t.Context(), woocommerce.StreamOrders, nil, 1); err != nil {
				t.Fatal(err)
			}
		}
		out := perform(t, src, connectors.TaskHooks, "")
		for _, want := range []string{"order.created", rec.url(), "webhook_secret", "WooCommerce → Settings → Advanced"} {
			if !strings.Contains(out.Mend, want) {
				t.Errorf("%s: %q does not say %q", key, out.Mend, want)
			}
		}
		if strings.Contains(out.Mend, wooshop.DefaultWebhookSecret) || len(shop.Hooks()) != 0 || out.Done != "" {
			t.Errorf("%s: %+v", key, out)
		}
	}
}

func TestWebhooksThatCannotBe(t *testing.T) {
	_, src, _ := hooked(t, func(c *woocommerce.Config) { c.WebhookSecret = "" })
	if out := perform(t, src, connectors.TaskHooks, ""); !strings.Contains(out.Mend, "webhook_secret") {
		t.Errorf("%+v", out)
	}
	for url, want := range map[string]string{
		"https://relance.example.com:9443/hooks/b": "443", "https://10.1.2.3/hooks/b": "public", "https://relance.example.com/hooks/b": "",
	} {
		_, src, _ := hooked(t, func(c *woocommerce.Config) { c.HookURL = url })
		if out := perform(t, src, connectors.TaskHooks, ""); !strings.Contains(out.Mend, want) || (want == "") != (out.Mend == "") {
			t.Errorf("%s: %+v", url, out)
		}
	}
	shop, clock := openShop(t)
	src = connect(t, shop, clock)
	if _, err := src.Perform(t.Context(), connectors.Task{Kind: connectors.TaskHooks}); fault.ClassOf(err) != fault.Reject || slices.Contains(src.Acts(), connectors.TaskHooks) {
		t.Errorf("without an address: %v", err)
	}
}

func TestUnsubscribing(t *testing.T) {
	for condition, cases := range map[string]map[string]string{ // what stands there, what is written
		"meta.newsletter_optin":                     {"1": "0", "yes": "no", "True": "false", "on": "off", "0": "0", "no": "no"},
		`meta.newsletter_optin == "yes"`:            {"yes": "no", "1": "1"},
		`meta.newsletter_optin in ["oui", "yes"]`:   {"oui": "non", "yes": "no"},
		`meta.newsletter_optin != "opted-out"`:      {"": "opted-out", "x": "opted-out", "opted-out": "opted-out"},
		`meta.newsletter_optin in ["1", "0", "on"]`: {"1": "off"},
	} {
		for before, after := range cases {
			shop, clock := openShop(t)
			src := connect(t, shop, clock, func(c *woocommerce.Config) { c.Mapping.Consent = &mapping.Consent{Customer: condition} })
			if err := shop.SetUserMeta(5, "newsletter_optin", before); err != nil {
				t.Fatal(err)
			}
			out := perform(t, src, connectors.TaskUnsubscribe, "5")
			if d := cmp.Diff([]crm.Ref{{Kind: crm.KindCustomer, ID: "5"}}, out.Reread); d != "" || out.Mend != "" || out.Done == "" {
				t.Errorf("%+v", out)
			}
			body := string(shop.Body("customers", 5))
			if !strings.Contains(body, `"key":"newsletter_optin","value":"`+after+`"`) {
				t.Errorf("%s: %q became %s, want %q", condition, before, body, after)
			}
			if again := perform(t, src, connectors.TaskUnsubscribe, "5"); again.Done != "The account says no already." || string(shop.Body("customers", 5)) != body {
				t.Errorf("the second time: %+v", again)
			}
		}
	}
}

func TestUnsubscribingThatCannotBe(t *testing.T) {
	for condition, can := range map[string]bool{
		"": false, "role == customer": false, `meta.club == "or"`: false, `meta.optin == "1"`: true, "meta.optin": true, `meta.x != "or"`: true,
	} {
		shop, clock := openShop(t)
		src := connect(t, shop, clock, func(c *woocommerce.Config) {
			c.Mapping.Consent = nil
			if condition != "" {
				c.Mapping.Consent = &mapping.Consent{Customer: condition}
			}
		})
		if got := slices.Contains(src.Acts(), connectors.TaskUnsubscribe); got != can {
			t.Errorf("%s: %v", condition, got)
		}
		if _, err := src.Perform(t.Context(), connectors.Task{Kind: connectors.TaskUnsubscribe, Key: "5"}); (err == nil) != can {
			t.Errorf("%s: %v", condition, err)
		}
	}
	for key, want := range map[string]string{"_read": "Read/Write", "_manager": "administrator"} {
		shop, clock := openShop(t)
		if err := shop.SetUserMeta(5, "newsletter_optin", "1"); err != nil {
			t.Fatal(err)
		}
		src := connect(t, shop, clock, func(c *woocommerce.Config) { c.Key += key })
		if out := perform(t, src, connectors.TaskUnsubscribe, "5"); !strings.Contains(out.Mend, want) || out.Done != "" {
			t.Errorf("%s: %+v", key, out)
		}
	}
	shop, clock := openShop(t)
	src := connect(t, shop, clock)
	if out := perform(t, src, connectors.TaskUnsubscribe, "99999"); out.Mend != "" || !strings.Contains(out.Done, "no longer") {
		t.Errorf("%+v", out)
	}
	if _, err := src.Perform(t.Context(), connectors.Task{Kind: connectors.TaskUnsubscribe, Key: "x"}); fault.ClassOf(err) != fault.Reject {
		t.Error(err)
	}
}

func TestProbeSaysWhatTheKeyMayDoAndWhetherWebhooksCome(t *testing.T) {
	shop, src, _ := hooked(t)
	probe := func(src *woocommerce.Source, what string) string {
		r, err := src.Probe(t.Context())
		if err != nil || !r.OK() {
			t.Fatalf("%+v %v", r, err)
		}
		return connectortest.FindingOf(r, what).Text
	}
	if text := probe(src, "webhooks"); !strings.HasPrefix(text, "0 of 12") || !strings.Contains(text, "relance run") {
		t.Error(text)
	}
	perform(t, src, connectors.TaskHooks, "")
	if text := probe(src, "webhooks"); text != "12 of 12 webhooks come here." {
		t.Error(text)
	}
	if err := shop.SetHook(shop.Hooks()[0].ID, map[string]string{"status": "disabled"}); err != nil {
		t.Fatal(err)
	}
	if text := probe(src, "webhooks"); !strings.Contains(text, "1 of them") {
		t.Error(text)
	}
	if text := probe(src, "permission"); text != "The key may write." {
		t.Error(text)
	}
	_, src, _ = hooked(t, func(c *woocommerce.Config) { c.Key += "_read" })
	if text := probe(src, "permission"); !strings.Contains(text, "only read") {
		t.Error(text)
	}
}
