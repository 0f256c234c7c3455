package prestashop

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/probe"
	"github.com/relance/relance/internal/fault"
)

// prober collects findings.
type prober struct {
	*Source
	probe.Report
}

// Probe checks address, key, each right, version, time zone, currency and clock (connectors.Source). Its error repeats
// the finding that ended it.
func (s *Source) Probe(ctx context.Context) (connectors.ProbeResult, error) {
	p := &prober{Source: s}
	may, err := p.root(ctx)
	if err != nil {
		return p.ProbeResult, err
	}
	p.rights(may)
	p.ways()
	if err := p.meanings(ctx); err != nil {
		p.Failed("time zone", err)
	}
	if err := p.mapped(ctx, may); err != nil {
		p.Failed("mapping", err)
	}
	p.CompareClocks(p.clock())
	return p.ProbeResult, nil
}

// methods are what a key may do with a resource.
type methods struct{ get, patch bool }

// root asks what the key may read. It is XML: the same question in JSON is a fatal error of PrestaShop.
func (p *prober) root(ctx context.Context) (map[string]methods, error) {
	const op = "list the key's rights"
	a, err := p.client.get(ctx, op, "", nil)
	if err != nil {
		what := "key"
		if r := asRefused(err); r == nil || r.away && !r.bare {
			what = "address"
		}
		p.Failed(what, err)
		return nil, err
	}
	p.ShopTime = shopTime(a)
	name, may, err := readRights(a.Body)
	if err != nil {
		err := &fault.Error{Class: fault.Operator, Op: "prestashop: " + op, Err: err, Hint: hintNone}
		p.Failed("address", err)
		return nil, err
	}
	p.Name, p.Version = name, p.client.shopVersion()
	p.Found("address", fmt.Sprintf("The shop %q answers.", name))
	p.Found("key", fmt.Sprintf("The key may read %d kinds of records.", len(may)))
	if p.Version == "" {
		p.Found("version", "The shop does not tell its version.")
	} else {
		p.Found("version", "PrestaShop "+p.Version+".")
	}
	return may, nil
}

// readRights reads the index of the webservice, also behind what modules print before it.
func readRights(body []byte) (name string, may map[string]methods, err error) {
	if i := bytes.Index(body, []byte("<?xml")); i > 0 {
		body = body[i:]
	}
	may = map[string]methods{}
	dec := xml.NewDecoder(bytes.NewReader(body))
	dec.Strict = false
	for depth := 0; ; {
		t, err := dec.Token()
		if err != nil {
			if name == "" && len(may) == 0 {
				return "", nil, errors.New("the answer is not the index of a webservice")
			}
			return name, may, nil
		}
		switch e := t.(type) {
		case xml.StartElement:
			if depth++; depth == 2 && e.Name.Local == "api" {
				name = attribute(e, "shopName")
			} else if m := (methods{attribute(e, "get") == "true", attribute(e, "patch") == "true"}); depth == 3 && (m.get || m.patch) {
				may[e.Name.Local] = m
			}
		case xml.EndElement:
			depth--
		}
	}
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// rights reports each resource that the key may not read, and what is not known without it.
func (p *prober) rights(may map[string]methods) {
	var missing, optional []string
	for _, r := range []struct{ path, lost string }{
		{"customers", "customers and their consent"},
		{"addresses", "places and phone numbers"},
		{"orders", "orders"},
		{"order_states", "what the state of an order means"},
		{"order_histories", "when orders were paid, completed or cancelled"},
		{"order_slip", "refunds"},
		{"carts", "carts"},
		{"products", "products"},
		{"combinations", "variations of products"},
		{"stock_availables", "stock"},
		{"categories", "categories"},
		{"currencies", "currencies"},
		{"languages", "languages"},
	} {
		if !may[r.path].get {
			missing = append(missing, r.path)
			p.Wrong("right: "+r.path, "The key may not read "+r.path+": "+r.lost+" stay unknown.",
				"Tick View (GET) for "+r.path+" under Advanced Parameters → Webservice.")
		}
	}
	if !may["configurations"].get && p.zone == "" {
		missing = append(missing, "configurations")
		p.Wrong("right: configurations", "The key may not read configurations: the shop's time zone stays unknown.",
			"Tick View (GET) for configurations, or write the shop's zone into its file (zone: Europe/Paris).")
	}
	for _, r := range []string{"configurations", "countries", "states", "groups", "manufacturers", "product_option_values", "order_cart_rules", "cart_rules"} {
		if !may[r].get && (r != "configurations" || p.zone != "") {
			optional = append(optional, r)
		}
	}
	if len(missing) == 0 {
		p.Found("rights", "The key may read everything that is needed.")
	}
	if len(optional) > 0 {
		p.Found("more rights", "With the right to view "+strings.Join(optional, ", ")+" more would be known: names of countries, groups, brands, options and vouchers, or the shop's settings.")
	}
	if may["customers"].patch {
		p.Found("unsubscribe", "The key may write an unsubscription back into the shop.")
	} else {
		p.Found("unsubscribe", "The key may not change customers: unsubscriptions are kept here, and not written back into the shop. The right is Partial edit (PATCH) for customers, from PrestaShop 8 on.")
	}
}

// ways says by which detour the webservice is reached.
func (p *prober) ways() {
	dispatcher, inQuery := p.client.way()
	if dispatcher {
		p.Found("rewriting", "The server does not rewrite /api/, so /webservice/dispatcher.php is asked.")
	}
	if inQuery {
		p.Found("header", "The server drops the Authorization header, so the key travels in the address, where the server's access log keeps it. Better let the header through in .htaccess.")
	}
}

// meanings reads what every record is understood by.
func (p *prober) meanings(ctx context.Context) error {
	d, err := p.readWords(ctx)
	if err != nil {
		return err
	}
	p.Zone, p.Currency = d.zoneName, d.base.iso
	if d.shopName != "" {
		p.Name = d.shopName
	}
	p.Found("time zone", "The shop lives in "+d.zoneName+".")
	p.Found("currency", "Prices are in "+d.base.iso+".")
	return nil
}

// mapped tells of fields that the mapping names and the shop does not have.
func (p *prober) mapped(ctx context.Context, may map[string]methods) error {
	for _, res := range []resource{p.customers(), p.orders(), p.products()} {
		if !may[res.path].get {
			continue
		}
		if _, err := p.client.list(ctx, res, url.Values{"limit": {"1"}}); err != nil && !brokenRow(err) {
			return err
		}
		for _, f := range plain(p.expressions()) {
			if p.client.lacks(res.path, f) {
				p.Wrong("mapping", "The shop's "+res.path+" have no field "+f+", which the mapping names.", "Correct the mapping, or let the module that adds the field show it in the webservice.")
			}
		}
	}
	return nil
}
