package magento

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"github.com/relance/relance/connectors/lenient"
	"github.com/relance/relance/connectors/rest"
	"github.com/relance/relance/internal/fault"
)

// client asks one shop.
type client struct {
	*rest.Client
	keys *credentials
	most atomic.Int64 // the largest page that the shop's settings allow; 0 = not known to be limited
}

func newClient(c Config, transport http.RoundTripper) (*client, error) {
	keys, secrets := newCredentials(c), c.secrets()
	rc, err := rest.New(rest.Options{
		Platform: "magento", Base: c.URL, Transport: transport, CAFile: c.CAFile, Sign: keys.sign,
		Classify: func(op string, a rest.Answer) error { return classify(op, a, secrets) },
	})
	if err != nil {
		return nil, err
	}
	return &client{Client: rc, keys: keys}, nil
}

// get asks for /rest/<path>; op reads "list orders". A refusal is looked into before it is reported.
func (c *client) get(ctx context.Context, op, path, query string) (rest.Answer, error) {
	a, err := c.signedEitherWay(func() (rest.Answer, error) { return c.Get(ctx, op, "/rest/"+path, query) })
	if err != nil {
		err = c.understood(ctx, path, err)
	}
	return a, err
}

// put writes, once.
func (c *client) put(ctx context.Context, op, path string, body []byte) (rest.Answer, error) {
	return c.signedEitherWay(func() (rest.Answer, error) {
		return c.Send(ctx, op, http.MethodPut, "/rest/"+path, "", "application/json", body)
	})
}

// signedEitherWay tries once with the other scheme in the signature when the shop calls it invalid: behind a proxy the
// shop may believe that it was asked by http. What worked is remembered.
func (c *client) signedEitherWay(ask func() (rest.Answer, error)) (rest.Answer, error) {
	other := c.keys.other.Load()
	a, err := ask()
	if err == nil || c.keys.oauth == nil || !refusal(err).badSignature() {
		return a, err
	}
	c.keys.other.Store(!other)
	again, err2 := ask()
	if err2 != nil && refusal(err2).badSignature() {
		c.keys.other.Store(other)
		return a, err
	}
	return again, err2
}

// rights are resources and a small question for each, asked to tell a token without a right from a dead one: Magento
// gives both the same answer.
type right struct{ resource, what, path, query string }

func rights() []right {
	one := criteria{size: 1, fields: "total_count"}.encode()
	return []right{
		{"Magento_Backend::store", "store views (Stores → Settings → All Stores)", "V1/store/storeConfigs", ""},
		{"Magento_Customer::customer", "customers (Customers → All Customers)", "V1/customers/search", one},
		{"Magento_Sales::actions_view", "orders (Sales → Operations → Orders → Actions → View)", "V1/orders", one},
		{"Magento_Sales::sales_creditmemo", "credit memos (Sales → Operations → Credit Memos)", "V1/creditmemos", one},
		{"Magento_Cart::manage", "carts (Carts → Manage carts)", "V1/carts/search", one},
		{"Magento_Catalog::products", "products (Catalog → Inventory → Products)", "V1/products", one},
		{"Magento_Catalog::categories", "categories (Catalog → Inventory → Categories)", "V1/categories/list", one},
		{"Magento_Customer::group", "customer groups (Customers → Customer Groups)", "V1/customerGroups/search", one},
		{"Magento_Catalog::attributes_attributes", "product attributes (Stores → Attributes → Product)", "V1/products/attributes/manufacturer/options", ""},
	}
}

func rightNamed(resource string) string {
	for _, r := range rights() {
		if r.resource == resource {
			return r.what
		}
	}
	return resource
}

// understood says of a 401 for want of a right whether the token still works elsewhere, and of a crash whether the shop
// as a whole is down.
func (c *client) understood(ctx context.Context, path string, err error) error {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return err
	}
	switch r := refusal(err); {
	case r.status == http.StatusUnauthorized && r.resource != "":
		works, asked := c.tokenWorks(ctx, r.resource)
		switch {
		case works:
			f.Hint = "The token works, but its integration may not read " + rightNamed(r.resource) +
				": tick " + r.resource + " under System → Integrations → (the integration) → API, save and reauthorise."
		case asked && c.keys.oauth != nil:
			f.Hint = hintNoRights
		}
	case r.crashed():
		if _, err := c.Get(ctx, "look whether the shop is up", "/rest/"+path, criteria{size: 1, fields: "total_count"}.encode()); err == nil {
			f.Hint = hintCrash
		}
	}
	return f
}

// tokenWorks asks for things that need other rights; asked is false when no clear answer came.
func (c *client) tokenWorks(ctx context.Context, without string) (works, asked bool) {
	for _, r := range rights()[:4] {
		if r.resource == without {
			continue
		}
		switch _, err := c.Get(ctx, "look whether the token works", "/rest/"+r.path, r.query); {
		case err == nil:
			return true, true
		case refusal(err).status == http.StatusUnauthorized:
			asked = true
		case refusal(err).status != http.StatusNotFound && refusal(err).status != http.StatusBadRequest:
			return false, false
		}
	}
	return false, asked
}

// listing is the answer to a search.
type listing struct {
	items []json.RawMessage
	total int // all matches, -1 when the shop did not say
	date  time.Time
}

// search asks a list. A shop may limit the size of pages: then it is asked for as many as it gives.
func (c *client) search(ctx context.Context, op, path string, q criteria) (listing, int, error) {
	if most := int(c.most.Load()); most > 0 {
		q.size = min(q.size, most)
	}
	a, err := c.get(ctx, op, path, q.encode())
	if r := refusal(err); err != nil && r.most > 0 && r.most < q.size {
		c.most.Store(int64(r.most))
		q.size = r.most
		a, err = c.get(ctx, op, path, q.encode())
	}
	if err != nil {
		return listing{}, q.size, err
	}
	l, err := c.listing(op, a)
	if err == nil && len(l.items) > q.size {
		err = cached(op, "the shop sends more rows than it is asked for")
	}
	return l, q.size, err
}

// listing decodes {"items":[…],"total_count":n}; items are null or absent where there are none. Anything else, also [],
// is an error: an answer that only looks empty would end a run, and what is missing from a run of ids counts as gone.
func (c *client) listing(op string, a rest.Answer) (listing, error) {
	var w struct {
		Items *[]json.RawMessage `json:"items"`
		Total *lenient.Count     `json:"total_count"`
	}
	if err := c.Decode(op, a, &w); err != nil {
		return listing{}, err
	}
	if w.Items == nil && w.Total == nil {
		return listing{}, fault.New(fault.Retry, "magento: "+op, errors.New("the answer has another shape than expected"))
	}
	l := listing{total: -1, date: a.Date()}
	if w.Items != nil {
		l.items = *w.Items
	}
	if w.Total != nil {
		l.total = int(*w.Total)
	}
	return l, nil
}

// all reads a short list whole, for dictionaries. It pages by number, so it stops on every sign of the end: 2.3 repeats
// the last page for ever (B12).
func (c *client) all(ctx context.Context, op, path string, q criteria) ([]json.RawMessage, error) {
	q.size = maxPage
	var out []json.RawMessage
	for q.page = 1; q.page <= 1000; q.page++ {
		l, size, err := c.search(ctx, op, path, q)
		if err != nil {
			return nil, err
		}
		n := len(l.items)
		if n > 0 && len(out) >= n && string(out[len(out)-1]) == string(l.items[n-1]) {
			return out, nil
		}
		out = append(out, l.items...)
		if n < size || l.total >= 0 && len(out) >= l.total {
			return out, nil
		}
	}
	return out, nil
}

func cached(op, what string) error {
	return &fault.Error{Class: fault.Operator, Op: "magento: " + op, Err: errors.New(what), Hint: hintCache}
}

// criteria is a search: groups of filters, all of which must hold.
type criteria struct {
	filters []filter
	sort    []string // ascending
	size    int
	page    int    // 0 = 1
	fields  string // "" = everything
}

type filter struct{ field, condition, value string }

func (q criteria) with(fs ...filter) criteria {
	q.filters = append(slices.Clip(q.filters), fs...)
	return q
}

// encode writes the query with brackets and blanks percent-encoded, as the signature reads it.
func (q criteria) encode() string {
	v := url.Values{}
	set := func(key, value string) { v.Set("searchCriteria"+key, value) }
	for i, f := range q.filters {
		at := fmt.Sprintf("[filter_groups][%d][filters][0]", i)
		set(at+"[field]", f.field)
		set(at+"[value]", f.value)
		set(at+"[condition_type]", f.condition)
	}
	for i, field := range q.sort {
		at := fmt.Sprintf("[sortOrders][%d]", i)
		set(at+"[field]", field)
		set(at+"[direction]", "ASC")
	}
	set("[pageSize]", fmt.Sprint(q.size))
	set("[currentPage]", fmt.Sprint(max(q.page, 1)))
	if q.fields != "" {
		v.Set("fields", q.fields)
	}
	return rest.Query(v)
}
