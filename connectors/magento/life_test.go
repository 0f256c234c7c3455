package magento_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/connectortest"
	"github.com/relance/relance/connectors/magento"
	"github.com/relance/relance/connectors/magento/magshop"
	"github.com/relance/relance/connectors/mapping"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
)

func fact[T any](t *testing.T, facts []crm.Fact, id int64) (T, bool) {
	t.Helper()
	for _, f := range facts {
		if b, ok := f.Body.(T); ok && f.Ref.ID == text(id) {
			return b, f.Gone
		}
	}
	var none T
	return none, false
}

// A guest's cart from the first line to the order. The e-mail of the payment step moves no date: the stream that reads
// recent carts of guests again finds it.
func TestGuestCart(t *testing.T) {
	shop, clock := openShop(t)
	src := connect(t, shop, clock)
	delta, guests := connectortest.Crawl(t, src, magento.StreamCarts, nil, 100).Next, connectors.Cursor(nil)
	next := func() []crm.Fact {
		clock.Add(time.Minute)
		p := connectortest.Crawl(t, src, magento.StreamCarts, delta, 100)
		delta = p.Next
		return p.Facts
	}
	clock.Add(time.Hour)
	id := shop.NewCart(0, 1)
	shop.Fill(id, magshop.Item{ProductID: 5, Quantity: 5})
	shop.Fill(id, magshop.Item{ProductID: 19, Quantity: 1})
	c, _ := fact[*crm.Cart](t, next(), id)
	if c == nil || c.Email != "" || len(c.Lines) != 2 || c.Lines[0].Quantity != 5 || c.Total != 9165+7417 {
		t.Fatalf("%+v", c) // unreachable: valued without tax
	}
	if l := c.Lines[1]; l.ProductID != "23" || l.VariationID != "19" {
		t.Errorf("%+v", l)
	}
	clock.Add(10 * time.Minute)
	next() // what lies within the overlap comes again
	clock.Add(10 * time.Minute)
	shop.PaymentStep(id, "Invitee@Example.com")
	if c, _ := fact[*crm.Cart](t, next(), id); c != nil {
		t.Error("the shop moved a date; it should not have")
	}
	page := connectortest.Crawl(t, src, magento.StreamGuestCarts, guests, 100)
	c, _ = fact[*crm.Cart](t, page.Facts, id)
	if c == nil || c.Email != "Invitee@Example.com" || c.Total != 10998+8900 || c.Lines[0].Total != 10998 || c.Country != "FR" {
		t.Fatalf("%+v, %d carts of guests", c, len(page.Facts))
	}
	// All ways of reading say the same.
	one, err := src.Read(t.Context(), crm.Ref{Kind: crm.KindCart, ID: text(id)})
	if again, _ := fact[*crm.Cart](t, one.Facts, id); err != nil || again == nil || again.Total != c.Total {
		t.Errorf("%+v %v", again, err)
	}
	stored, err := src.Normalise(t.Context(), one.Raw[0])
	if again, _ := fact[*crm.Cart](t, stored.Facts, id); err != nil || again == nil || again.Total != c.Total || again.Lines[1].VariationID != "19" {
		t.Errorf("%+v %v", again, err)
	}
	shop.PlaceOrder(magshop.Order{Email: "invitee@example.com", CartID: id, Items: []magshop.Item{{ProductID: 5, Quantity: 5}}})
	if c, gone := fact[*crm.Cart](t, next(), id); !gone || c.ClosedBy != "ordered" {
		t.Errorf("%+v", c)
	}
	merged := shop.NewCart(0, 1)
	shop.Fill(merged, magshop.Item{ProductID: 5, Quantity: 1})
	shop.Merge(merged)
	if c, gone := fact[*crm.Cart](t, next(), merged); !gone || c.ClosedBy != "deleted" {
		t.Errorf("merged into another: %+v", c)
	}
}

// A cart whose totals the shop cannot tell is read all the same.
func TestCartWithoutTotals(t *testing.T) {
	shop, clock := openShop(t)
	src := connect(t, shop, clock)
	id := shop.NewCart(48, 1)
	shop.Fill(id, magshop.Item{ProductID: 5, Quantity: 1})
	shop.SetFault(func(r *http.Request) *magshop.Fault {
		if r.URL.Path == "/rest/V1/carts/"+text(id)+"/totals" {
			return magshop.ServerError()
		}
		return nil
	})
	p, err := src.Read(t.Context(), crm.Ref{Kind: crm.KindCart, ID: text(id)})
	if c, _ := fact[*crm.Cart](t, p.Facts, id); err != nil || c == nil || c.Total != 1833 || c.CustomerID != "48" {
		t.Errorf("%+v %v", c, err)
	}
}

// The newsletter box moves no date; it is read again in full, and by the mapping where there is one.
func TestNewsletter(t *testing.T) {
	shop, clock := openShop(t)
	src := connect(t, shop, clock)
	at := connectortest.Crawl(t, src, magento.StreamCustomers, nil, 100).Next
	clock.Add(time.Hour)
	was := shop.Get("customers", 48, "extension_attributes", "is_subscribed") == "1"
	shop.Subscribe(48, !was)
	if p := connectortest.Crawl(t, src, magento.StreamCustomers, at, 100); len(p.Facts) != 0 {
		t.Errorf("the shop moved a date: %d facts", len(p.Facts))
	}
	p := connectortest.Crawl(t, src, magento.StreamNewsletter, nil, 100)
	said, _ := fact[*crm.OptIn](t, p.Facts, 48)
	if want := map[bool]string{true: "no", false: "yes"}[was]; said == nil || said.Value != want || said.Topic != "marketing" || said.NoMeans != "silence" || len(p.Facts) != 102 || len(p.Raw) != 0 {
		t.Errorf("%+v of %d", said, len(p.Facts))
	}
	own := connect(t, shop, clock, mapped(mapping.Mapping{Consent: &mapping.Consent{Customer: `custom.fidelite != ""`, False: "withdrawn"}}))
	with, without := 0, 0
	for _, f := range connectortest.Crawl(t, own, magento.StreamNewsletter, nil, 100).Facts {
		switch o := f.Body.(*crm.OptIn); {
		case o.Value == "yes" && o.NoMeans == "withdrawn":
			with++
		case o.Value == "":
			without++ // an attribute that an account lacks says nothing
		}
	}
	if with != 17 || without != 85 || len(own.Acts()) != 0 {
		t.Errorf("%d and %d, acts %v", with, without, own.Acts())
	}
}

// Unsubscribing in the shop leaves addresses and everything else as they are.
func TestUnsubscribe(t *testing.T) {
	shop, clock := openShop(t)
	src := connect(t, shop, clock)
	id := shop.CreateCustomer(magshop.Account{Email: "zoe@example.com", FirstName: "Zoé", LastName: "Martin", Subscribed: true})
	task := connectors.Task{Kind: connectors.TaskUnsubscribe, Key: text(id)}
	before, err := src.Read(t.Context(), crm.Ref{Kind: crm.KindCustomer, ID: text(id)})
	if err != nil {
		t.Fatal(err)
	}
	out, err := src.Perform(t.Context(), task)
	if err != nil || out.Done == "" || out.Mend != "" || len(out.Reread) != 1 || out.Reread[0].ID != text(id) {
		t.Fatalf("%+v %v", out, err)
	}
	after, err := src.Read(t.Context(), out.Reread[0])
	if err != nil {
		t.Fatal(err)
	}
	said, _ := fact[*crm.OptIn](t, after.Facts, id)
	was, _ := fact[*crm.Address](t, before.Facts, id)
	is, _ := fact[*crm.Address](t, after.Facts, id)
	if said.Value != "no" || *was != *is || is.City != "Lyon" {
		t.Errorf("%+v, address %+v, then %+v", said, was, is)
	}
	denied, dclock := openShop(t, func(o *magshop.Options) { o.Denied = []string{"Magento_Customer::manage"} })
	id = denied.CreateCustomer(magshop.Account{Email: "a@example.com", FirstName: "A", LastName: "B", Subscribed: true})
	if out, err = connect(t, denied, dclock).Perform(t.Context(), connectors.Task{Kind: connectors.TaskUnsubscribe, Key: text(id)}); err != nil || out.Mend == "" {
		t.Errorf("without the right: %+v %v", out, err)
	}
	id = shop.CreateCustomer(magshop.Account{Email: "b@example.com", FirstName: "", LastName: "B", Subscribed: true})
	if _, err = src.Perform(t.Context(), connectors.Task{Kind: connectors.TaskUnsubscribe, Key: text(id)}); fault.ClassOf(err) != fault.Reject {
		t.Errorf("an account that the shop itself finds incomplete: %v", err)
	}
}

// Stock moves no date either; the catalogue is read again with it.
func TestStock(t *testing.T) {
	shop, clock := openShop(t)
	src := connect(t, shop, clock)
	shop.SetStock(5, 0)
	p := connectortest.Crawl(t, src, magento.StreamCatalogue, nil, 100)
	sold, _ := fact[*crm.Stock](t, p.Facts, 5)
	parent, _ := fact[*crm.Stock](t, p.Facts, 23)
	if sold == nil || sold.InStock || sold.Stock == nil || *sold.Stock != 0 || parent == nil || parent.Stock != nil || !parent.InStock {
		t.Errorf("%+v %+v", sold, parent)
	}
	one, err := src.Read(t.Context(), crm.Ref{Kind: crm.KindProduct, ID: "5"})
	if again, _ := fact[*crm.Stock](t, one.Facts, 5); err != nil || again == nil || again.InStock {
		t.Errorf("%+v %v", again, err)
	}
	// A family that changes: its variations did not move.
	at := connectortest.Crawl(t, src, magento.StreamProducts, nil, 100).Next
	clock.Add(time.Hour)
	shop.SetProduct(23, "extension_attributes", map[string]any{"configurable_product_links": []any{int64(19)}})
	changed := connectortest.Crawl(t, src, magento.StreamProducts, at, 100)
	left, _ := fact[*crm.Product](t, changed.Facts, 20)
	if left == nil || left.ParentID != "" {
		t.Errorf("a variation that left its family: %+v", left)
	}
}

// Only the store views of the shop's file are read; what belongs to others is not there.
func TestStores(t *testing.T) {
	shop, clock := openShop(t)
	src := connect(t, shop, clock, func(c *magento.Config) { c.Stores = []string{"qc", "be"} })
	if p := connectortest.Crawl(t, src, magento.StreamOrders, nil, 100); len(p.Facts) != 24+27 || p.Total != 51 {
		t.Errorf("%d orders", len(p.Facts))
	}
	if p := connectortest.Crawl(t, src, magento.StreamCustomerIDs, nil, 100); len(p.IDs) != 30 {
		t.Errorf("%d accounts", len(p.IDs))
	}
	if p := connectortest.Crawl(t, src, magento.StreamProducts, nil, 100); len(p.Facts) != 33 {
		t.Errorf("%d products", len(p.Facts))
	}
	other := shop.PlaceOrder(magshop.Order{Email: "a@example.com", Items: []magshop.Item{{ProductID: 5, Quantity: 1}}})
	p, err := src.Read(t.Context(), crm.Ref{Kind: crm.KindOrder, ID: text(other)})
	if _, gone := fact[*crm.Order](t, p.Facts, other); err != nil || !gone {
		t.Errorf("an order of another store view: %+v %v", p.Facts, err)
	}
	wrong := connect(t, shop, clock, func(c *magento.Config) { c.Stores = []string{"nope"} })
	if _, err := wrong.Pull(t.Context(), magento.StreamOrders, nil, 10); fault.ClassOf(err) != fault.Operator || err == nil {
		t.Errorf("%v", err)
	}
	if res, _ := wrong.Probe(t.Context()); res.OK() {
		t.Error("the probe is content with an unknown store view")
	}
}

func TestProbe(t *testing.T) {
	shop, clock := openShop(t)
	res, err := connect(t, shop, clock).Probe(t.Context())
	if err != nil || !res.OK() || res.Zone != "Europe/Paris" || res.Currency != "EUR" || res.Version != "2.4 (Community)" || res.Name != "Boutique France" {
		t.Errorf("%+v %v", res, err)
	}
	clock.Skew(time.Hour)
	if res, err = connect(t, shop, clock).Probe(t.Context()); err != nil || res.OK() {
		t.Errorf("clocks an hour apart: %+v %v", res, err)
	}
}

func TestValidate(t *testing.T) {
	good := magento.Config{URL: "https://boutique.example.com", Token: "a"}
	full := magento.Config{URL: "http://boutique.example.com", Token: "a", TokenSecret: "b", ConsumerKey: "c", ConsumerSecret: "d", Stores: []string{"default", "qc"}}
	for _, c := range []magento.Config{good, full} {
		if ps := c.Validate(); len(ps) > 0 {
			t.Errorf("%+v", ps)
		}
	}
	for path, c := range map[string]magento.Config{
		"$.url": {URL: "http://boutique.example.com", Token: "a"}, "$.token": {URL: "https://boutique.example.com"},
		"$.token_secret": {URL: "https://boutique.example.com", Token: "a", ConsumerKey: "c", ConsumerSecret: "d"},
		"$.stores[1]":    {URL: "https://boutique.example.com", Token: "a", Stores: []string{"qc", "q c"}},
		"$.ca_file":      {URL: "https://boutique.example.com", Token: "a", CAFile: "/nowhere"},
	} {
		if ps := c.Validate(); len(ps) != 1 || ps[0].Path != path || ps[0].Want == "" {
			t.Errorf("%s: %+v", path, ps)
		}
	}
	if c := (magento.Config{URL: "https://boutique.example.com/rest", Token: "a"}); len(c.Validate()) != 1 {
		t.Error("the path of the API is no address of a shop")
	}
	if ps := (mapping.Mapping{Brand: "custom.marque", Birthday: "dob", Attributes: map[string]string{"carte": "custom.fidelite"}}).Validate(magento.Fields()); len(ps) > 0 {
		t.Errorf("%+v", ps)
	}
}
