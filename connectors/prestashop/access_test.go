package prestashop_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/connectortest"
	"github.com/relance/relance/connectors/mapping"
	"github.com/relance/relance/connectors/prestashop"
	"github.com/relance/relance/connectors/prestashop/presshop"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
)

func TestProbeOfAGoodShop(t *testing.T) {
	shop, clock := openShop(t)
	res, err := connect(t, shop, clock).Probe(t.Context())
	if err != nil || !res.OK() {
		t.Fatalf("%+v %v", res.Findings, err)
	}
	if res.Name != "La Boutique d’Éloïse" || res.Version != "9.1.4" || res.Zone != "Europe/Paris" || res.Currency != "EUR" || !res.ShopTime.Equal(presshop.RecordedAt()) {
		t.Errorf("%+v", res)
	}
}

// Each missing right is named; streams that can do without go on.
func TestMissingRights(t *testing.T) {
	shop, clock := openShop(t)
	src := connect(t, shop, clock)
	shop.Forbid("orders", "combinations", "stock_availables", "countries", "groups", "manufacturers", "order_cart_rules")
	res, err := src.Probe(t.Context())
	if err != nil || res.OK() {
		t.Fatalf("%+v %v", res, err)
	}
	if f := connectortest.FindingOf(res, "right: orders"); f.OK || !strings.Contains(f.Mend, "orders") {
		t.Errorf("%+v", f)
	}
	if f := connectortest.FindingOf(res, "more rights"); !strings.Contains(f.Text, "countries") || !strings.Contains(f.Text, "manufacturers") {
		t.Errorf("%+v", f)
	}
	_, err = src.Pull(t.Context(), prestashop.StreamOrders, nil, 10)
	if fault.ClassOf(err) != fault.Operator || !strings.Contains(fault.HintOf(err), "View (GET) for orders") {
		t.Error(err)
	}
	if p := connectortest.Crawl(t, src, prestashop.StreamProducts, nil, 100); len(bodies[*crm.Product](p)) != 39 {
		t.Errorf("%d products", len(p.Facts))
	}
	if p := connectortest.Crawl(t, src, prestashop.StreamStock, nil, 100); len(p.Facts) != 0 {
		t.Errorf("stock %+v", p.Facts)
	}
	if p := connectortest.Crawl(t, src, prestashop.StreamProductIDs, nil, 100); len(p.IDs) != 39 {
		t.Errorf("%d ids", len(p.IDs))
	}
	connectortest.Crawl(t, src, prestashop.StreamCustomers, nil, 100)
}

func TestTheZoneComesFromTheFileOrTheShop(t *testing.T) {
	shop, clock := openShop(t)
	shop.Forbid("configurations")
	_, err := connect(t, shop, clock).Pull(t.Context(), prestashop.StreamCustomers, nil, 10)
	if fault.ClassOf(err) != fault.Operator || !strings.Contains(fault.HintOf(err), "zone:") {
		t.Error(err)
	}
	src := connect(t, shop, clock, func(c *prestashop.Config) { c.Zone = "America/Toronto" })
	c := read[*crm.Customer](t, src, crm.KindCustomer, "1") // 2026-11-04 05:56:04
	if got := c.RegisteredAt.Time().Format(time.RFC3339); got != "2026-11-04T10:56:04Z" {
		t.Error(got)
	}
	if o := read[*crm.Order](t, src, crm.KindOrder, "15"); o.BaseCurrency != "EUR" || o.State != crm.StateCompleted {
		t.Errorf("without the settings: %+v", o)
	}
}

// What stops everything says what to do, and never names the key.
func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		key    string
		change func(*presshop.Shop)
		hint   string
		class  fault.Class
	}{
		"unknown key":       {key: wrongKey, hint: "does not know", class: fault.Operator},
		"key without right": {key: presshop.DefaultKey[:31] + "N", hint: "does not know", class: fault.Operator},
		"switched off":      {change: func(s *presshop.Shop) { s.SwitchOff(true) }, hint: "switched off", class: fault.Operator},
		"redirect": {change: func(s *presshop.Shop) {
			s.SetFault(func(*http.Request) *presshop.Fault { return presshop.Redirect("https://elsewhere.example.com") })
		}, hint: "Shop URL", class: fault.Operator},
		"fatal error": {change: func(s *presshop.Shop) {
			s.SetFault(func(*http.Request) *presshop.Fault { return presshop.ServerError() })
		}, class: fault.Retry},
		"throttled": {change: func(s *presshop.Shop) {
			s.SetFault(func(*http.Request) *presshop.Fault { return presshop.Throttled(9 * time.Second) })
		}, class: fault.Throttled},
	} {
		t.Run(name, func(t *testing.T) {
			shop, clock := openShop(t)
			if c.change != nil {
				c.change(shop)
			}
			src := connect(t, shop, clock, func(cfg *prestashop.Config) {
				if c.key != "" {
					cfg.Key = c.key
				}
			})
			for _, ask := range []func() error{
				func() error { _, err := src.Pull(t.Context(), prestashop.StreamOrders, nil, 10); return err },
				func() error { _, err := src.Read(t.Context(), crm.Ref{Kind: crm.KindOrder, ID: "1"}); return err },
				func() error { _, err := src.Count(t.Context(), prestashop.StreamOrders); return err },
				func() error { _, err := src.Probe(t.Context()); return err },
			} {
				err := ask()
				if fault.ClassOf(err) != c.class || !strings.Contains(fault.HintOf(err), c.hint) || err == nil {
					t.Fatalf("%v, want %s with %q", err, c.class, c.hint)
				}
				if strings.Contains(err.Error(), presshop.DefaultKey[:20]) || strings.Contains(err.Error(), wrongKey) || strings.Contains(err.Error(), "?") {
					t.Errorf("the error tells too much: %v", err)
				}
			}
		})
	}
}

// Without rewriting, and where the header is dropped, the shop is read by a detour that is tried once and then kept.
func TestDetours(t *testing.T) {
	for _, c := range []struct{ rewriting, header bool }{{false, true}, {true, false}, {false, false}} {
		shop, clock := openShop(t, func(o *presshop.Options) { o.NoRewriting, o.DropsHeader = !c.rewriting, !c.header })
		src := connect(t, shop, clock)
		res, err := src.Probe(t.Context())
		if err != nil || !res.OK() {
			t.Fatalf("%+v: %+v %v", c, res.Findings, err)
		}
		if (connectortest.FindingOf(res, "rewriting").Text != "") != !c.rewriting || (connectortest.FindingOf(res, "header").Text != "") != !c.header {
			t.Errorf("%+v: %+v", c, res.Findings)
		}
		before := shop.Requests()
		if p := connectortest.Crawl(t, src, prestashop.StreamCategories, nil, 100); len(p.Facts) != 11 || shop.Requests() != before+1 {
			t.Errorf("%+v: %d facts in %d requests", c, len(p.Facts), shop.Requests()-before)
		}
		if _, err := src.Perform(t.Context(), connectors.Task{Kind: connectors.TaskUnsubscribe, Key: "1"}); err != nil || shop.Text("customers", 1, "newsletter") != "0" {
			t.Errorf("%+v: %v", c, err)
		}
	}
	// An address without any webservice, and one that asks for its own password.
	for status, body := range map[int]string{404: "<html>Not here</html>", 401: "<html>Restricted</html>"} {
		var asked atomic.Int32
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			if r.URL.Query().Has("ws_key") {
				t.Error("the key was put into the address")
			}
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		})
		_, clock := openShop(t)
		_, err := connect(t, h, clock).Pull(t.Context(), prestashop.StreamOrders, nil, 10)
		if fault.ClassOf(err) != fault.Operator || fault.HintOf(err) == "" || asked.Load() > 2 {
			t.Errorf("%d: %v after %d requests", status, err, asked.Load())
		}
	}
}

func TestUnsubscribing(t *testing.T) {
	task := func(id string) connectors.Task { return connectors.Task{Kind: connectors.TaskUnsubscribe, Key: id} }
	shop, clock := openShop(t)
	src := connect(t, shop, clock)
	if d := cmp.Diff([]string{connectors.TaskUnsubscribe}, src.Acts()); d != "" {
		t.Error(d)
	}
	out, err := src.Perform(t.Context(), task("1"))
	if err != nil || shop.Text("customers", 1, "newsletter") != "0" || len(out.Reread) != 1 || out.Done == "" || out.Mend != "" {
		t.Errorf("%+v %v", out, err)
	}
	if o := read[*crm.OptIn](t, src, crm.KindCustomer, "1"); o.Value != "no" {
		t.Errorf("the echo is %+v", o)
	}
	for _, id := range []string{"1", "99999", "41"} { // done, missing, deleted
		if out, err := src.Perform(t.Context(), task(id)); err != nil || out.Done == "" || len(out.Reread) > 0 {
			t.Errorf("%s: %+v %v", id, out, err)
		}
	}
	for _, bad := range []connectors.Task{task("x"), task("-1"), {Kind: connectors.TaskHooks}} {
		if _, err := src.Perform(t.Context(), bad); fault.ClassOf(err) != fault.Reject || err == nil {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	// Without the right, and before PrestaShop 8, a person has to do it.
	readOnly := connect(t, shop, clock, func(c *prestashop.Config) { c.Key = presshop.DefaultKey[:31] + "R" })
	if out, err := readOnly.Perform(t.Context(), task("3")); err != nil || !strings.Contains(out.Mend, "customer 3") {
		t.Errorf("%+v %v", out, err)
	}
	old, clock := openShop(t, func(o *presshop.Options) { o.Version, o.StringNumbers = "1.7.8.11", true })
	if out, err := connect(t, old, clock).Perform(t.Context(), task("3")); err != nil || !strings.Contains(out.Mend, "PrestaShop 8") || old.Text("customers", 3, "newsletter") != "1" {
		t.Errorf("%+v %v", out, err)
	}
	// A mapping says which field is meant, or that none can be written.
	partner := connect(t, shop, clock, func(c *prestashop.Config) {
		c.Mapping.Consent = &mapping.Consent{Customer: `optin == "1"`, False: "withdrawn"}
	})
	if _, err := partner.Perform(t.Context(), task("3")); err != nil || shop.Text("customers", 3, "optin") != "0" || shop.Text("customers", 3, "newsletter") != "1" {
		t.Errorf("%v", err)
	}
	foreign := connect(t, shop, clock, func(c *prestashop.Config) { c.Mapping.Consent = &mapping.Consent{Customer: "field.sms"} })
	if len(foreign.Acts()) > 0 {
		t.Error("a field that nobody knows would be written")
	}
}

func TestMapping(t *testing.T) {
	shop, clock := openShop(t)
	src := connect(t, shop, clock, func(c *prestashop.Config) {
		c.Mapping = mapping.Mapping{
			Consent: &mapping.Consent{Customer: "optin", False: "withdrawn", Topic: "offers"}, Brand: "reference",
			Attributes: map[string]string{"guest": "is_guest", "card": "field.loyalty_card", "cluster": "group"},
			Statuses:   map[string]string{"payment accepted": "shipped", "13": "accepted"},
		}
	})
	if o := read[*crm.OptIn](t, src, crm.KindCustomer, "3"); o.Value != "yes" || o.Topic != "offers" || o.NoMeans != "withdrawn" {
		t.Errorf("%+v", o)
	}
	if c := read[*crm.Customer](t, src, crm.KindCustomer, "155"); c.Attributes["guest"] == "" || c.Attributes["cluster"] == "" {
		t.Errorf("%+v", c)
	}
	if p := read[*crm.Product](t, src, crm.KindProduct, "3"); p.Brand != "REF-0003" {
		t.Errorf("%+v", p)
	}
	byState := map[string]string{}
	for id, o := range bodies[*crm.Order](connectortest.Crawl(t, src, prestashop.StreamOrders, nil, 100)) {
		byState[shop.Text("orders", number(t, id), "current_state")] = o.State
	}
	if byState["2"] != "shipped" || byState["13"] != "accepted" || byState["5"] != "completed" {
		t.Errorf("%v", byState)
	}
	res, err := src.Probe(t.Context())
	if f := connectortest.FindingOf(res, "mapping"); err != nil || f.OK || !strings.Contains(f.Text, "loyalty_card") {
		t.Errorf("%+v %v", f, err)
	}
}

// A guest who becomes a customer keeps the id; a cart that was ordered is closed by its order, whichever is read.
func TestLivesOn(t *testing.T) {
	shop, clock := openShop(t)
	src := connect(t, shop, clock)
	at := map[string]connectors.Cursor{}
	for _, st := range []string{prestashop.StreamCarts, prestashop.StreamOrders, prestashop.StreamCustomers} {
		at[st] = connectortest.Crawl(t, src, st, nil, 100).Next
	}
	clock.Add(time.Hour)
	guest := shop.Register(presshop.Person{Email: "Nouveau@Example.com", First: "Zoé", Last: "Lôme", Guest: true, City: "Lyon"})
	cart := shop.OpenCart(guest, 1, presshop.Item{Product: 3, Quantity: 1}, presshop.Item{Product: 39, Quantity: 2})
	empty := shop.OpenCart(guest, 1)
	ids, err := shop.Order(cart, 10, true)
	if err != nil || len(ids) != 2 {
		t.Fatal(ids, err)
	}
	id := texts([]int64{guest, cart, empty, ids[0], ids[1]})
	carts := connectortest.Crawl(t, src, prestashop.StreamCarts, at[prestashop.StreamCarts], 100)
	closed := map[string]string{}
	for _, f := range carts.Facts {
		if c, ok := f.Body.(*crm.Cart); ok && f.Gone {
			closed[f.Ref.ID] = c.ClosedBy
		}
	}
	if closed[id[1]] != "ordered" || closed[id[2]] != "deleted" {
		t.Errorf("closed carts: %v", closed)
	}
	if err := shop.ChangeState(ids[0], 2); err != nil {
		t.Fatal(err)
	}
	clock.Add(time.Hour)
	if err := shop.ChangeState(ids[0], 6); err != nil {
		t.Fatal(err)
	}
	orders := bodies[*crm.Order](connectortest.Crawl(t, src, prestashop.StreamOrders, at[prestashop.StreamOrders], 100))
	o := orders[id[3]]
	if o == nil || orders[id[4]] == nil || o.Purchase != orders[id[4]].Purchase || o.CartID != id[1] || o.Email != "Nouveau@Example.com" || o.City != "Lyon" || o.Country != "FR" {
		t.Fatalf("%+v", orders)
	}
	if o.State != crm.StateCancelled || o.CountsAsSale || o.PaidAt == 0 || o.CancelledAt.Time().Sub(o.PaidAt.Time()) != time.Hour {
		t.Errorf("%+v", o)
	}
	if c := read[*crm.Customer](t, src, crm.KindCustomer, id[0]); c.Role != "guest" || c.Phone == "" {
		t.Errorf("%+v", c)
	}
	if !shop.Convert(guest) {
		t.Fatal("refused")
	}
	if c := bodies[*crm.Customer](connectortest.Crawl(t, src, prestashop.StreamCustomers, at[prestashop.StreamCustomers], 100))[id[0]]; c == nil || c.Role != "customer" {
		t.Errorf("%+v", c)
	}
	for _, ref := range []crm.Ref{
		{Kind: crm.KindCustomer, ID: "77777"},
		{Kind: crm.KindCart, ID: "77777"},
		{Kind: crm.KindRefund, ID: "77777"},
		{Kind: crm.KindProduct, ID: "77777"},
		{Kind: crm.KindProduct, ID: "1000000077777"},
		{Kind: crm.KindCategory, ID: "77777"},
		{Kind: crm.KindCustomer, ID: "41"},
	} {
		p, err := src.Read(t.Context(), ref)
		if err != nil || len(p.Facts) == 0 || p.ShopTime.IsZero() {
			t.Errorf("%v: %+v %v", ref, p, err)
		}
		for _, f := range p.Facts {
			if !f.Gone || f.Ref != ref {
				t.Errorf("%v: %+v", ref, f)
			}
		}
	}
	for _, ref := range []crm.Ref{{Kind: crm.KindOrder, ID: "1 or 1"}, {Kind: crm.KindEvent, ID: "1"}, {Kind: crm.KindOrder, ID: "-4"}} {
		if _, err := src.Read(t.Context(), ref); fault.ClassOf(err) != fault.Reject || err == nil {
			t.Errorf("%v: %v", ref, err)
		}
	}
}

func TestConfigurations(t *testing.T) {
	good := prestashop.Config{URL: "https://shop.example.com/fr", Key: presshop.DefaultKey}
	if ps := good.Validate(); len(ps) > 0 {
		t.Errorf("%+v", ps)
	}
	for path, change := range map[string]func(*prestashop.Config){
		"$.url":     func(c *prestashop.Config) { c.URL = "http://shop.example.com" },
		"$.key":     func(c *prestashop.Config) { c.Key = "short-secret" },
		"$.ca_file": func(c *prestashop.Config) { c.CAFile = "/nowhere/ca.pem" },
	} {
		c := good
		change(&c)
		ps := c.Validate()
		if len(ps) != 1 || ps[0].Path != path || ps[0].Want == "" || strings.Contains(ps[0].Message, "short-secret") {
			t.Errorf("%s: %+v", path, ps)
		}
		if _, err := prestashop.New(c, nil); fault.ClassOf(err) != fault.Operator || err == nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, url := range []string{"", "shop", "https://shop.example.com/api", "https://k:p@shop.example.com", "ftp://shop.example.com", "https://shop.example.com/?a=1"} {
		c := good
		c.URL = url
		if len(c.Validate()) != 1 {
			t.Errorf("%q passes", url)
		}
	}
}

// A module that prints before the data, and a shop that was switched to one language meanwhile, are read all the same.
func TestDirtyShop(t *testing.T) {
	shop, clock := openShop(t, func(o *presshop.Options) { o.StringNumbers, o.OneLanguage = true, true })
	shop.Print("\nWarning: Undefined array key \"foo\" in /var/www/html/modules/foo/foo.php on line 12\n")
	src := connect(t, shop, clock)
	if res, err := src.Probe(t.Context()); err != nil || !res.OK() {
		t.Errorf("%+v %v", res.Findings, err)
	}
	plain, clock2 := openShop(t)
	clean := connect(t, plain, clock2)
	dirty := bodies[*crm.Order](connectortest.Crawl(t, src, prestashop.StreamOrders, nil, 100))
	if d := cmp.Diff(bodies[*crm.Order](connectortest.Crawl(t, clean, prestashop.StreamOrders, nil, 100)), dirty); d != "" {
		t.Errorf("orders differ: %s", d)
	}
	if len(bodies[*crm.Product](connectortest.Crawl(t, src, prestashop.StreamProducts, nil, 100))) != 81 {
		t.Error("products differ")
	}
}
