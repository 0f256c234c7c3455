package prestashop

import (
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/mapping"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
)

// Names of the streams.
const (
	StreamCategories   = "categories"
	StreamProducts     = "products"
	StreamStock        = "stock"
	StreamAddresses    = "addresses"
	StreamCustomers    = "customers"
	StreamOrders       = "orders"
	StreamRefunds      = "refunds"
	StreamCarts        = "carts"
	StreamConsents     = "consents"
	StreamAllProducts  = "products_all"
	StreamAllCustomers = "customers_all"
	StreamAllCarts     = "carts_all"
	StreamAllOrders    = "orders_all"
	StreamOrderIDs     = "order_ids"
	StreamCustomerIDs  = "customer_ids"
	StreamRefundIDs    = "refund_ids"
	StreamCartIDs      = "cart_ids"
	StreamProductIDs   = "product_ids"
	StreamCategoryIDs  = "category_ids"
)

// feed is a stream and how it is asked for.
type feed struct {
	connectors.Stream
	res    []resource // one, or for lists of ids several, read one after the other
	filter url.Values
	later  bool // the first run only notes its start: another stream's backfill brings everything that was before
	quiet  bool // what it brings is only a part, so that its rows are no raw records
}

// feeds lists the streams in the order of a backfill: what others refer to comes first. Changed addresses are noted from
// before the customers are read. The streams named _all find what moves no date: prices of combinations and special
// prices, groups of a customer, whatever modules write past PrestaShop's own classes.
func (s *Source) feeds(every map[string]time.Duration) []feed {
	const delta, crawl, ids = connectors.ModeDelta, connectors.ModeCrawl, connectors.ModeIDs
	alive := url.Values{"filter[deleted]": {"[0]"}}
	customers, products, orders := s.customers(), s.products(), s.orders()
	fs := []feed{
		{connectors.Stream{Name: StreamCategories, Mode: crawl, Every: time.Hour, Kind: crm.KindCategory}, []resource{categoryTable()}, nil, false, false},
		{connectors.Stream{Name: StreamProducts, Mode: delta, Every: 5 * time.Minute, Kind: crm.KindProduct}, []resource{products}, nil, false, false},
		{connectors.Stream{Name: StreamStock, Mode: crawl, Every: 15 * time.Minute, Kind: crm.KindProduct, Part: true}, []resource{stockTable()}, nil, false, true},
		{connectors.Stream{Name: StreamAddresses, Mode: delta, Every: 5 * time.Minute, Kind: crm.KindCustomer, Part: true}, []resource{addressTable()}, nil, true, false},
		{connectors.Stream{Name: StreamCustomers, Mode: delta, Every: 5 * time.Minute, Kind: crm.KindCustomer}, []resource{customers}, nil, false, false},
		{connectors.Stream{Name: StreamOrders, Mode: delta, Every: time.Minute, Kind: crm.KindOrder}, []resource{orders}, nil, false, false},
		{connectors.Stream{Name: StreamRefunds, Mode: delta, Every: 5 * time.Minute, Kind: crm.KindRefund}, []resource{slipTable()}, nil, false, false},
		{connectors.Stream{Name: StreamCarts, Mode: delta, Every: time.Minute, Kind: crm.KindCart}, []resource{cartTable()}, nil, false, false},
		{connectors.Stream{Name: StreamConsents, Mode: crawl, Every: 15 * time.Minute, Kind: crm.KindCustomer, Part: true}, []resource{s.consents()}, alive, false, true},
		{connectors.Stream{Name: StreamAllProducts, Mode: crawl, Every: time.Hour, Kind: crm.KindProduct, Part: true}, []resource{products}, nil, true, false},
		{connectors.Stream{Name: StreamAllCustomers, Mode: crawl, Every: 6 * time.Hour, Kind: crm.KindCustomer, Part: true}, []resource{customers}, alive, true, false},
		{connectors.Stream{Name: StreamAllCarts, Mode: crawl, Every: 24 * time.Hour, Kind: crm.KindCart, Part: true}, []resource{cartTable()}, nil, true, false},
		{connectors.Stream{Name: StreamAllOrders, Mode: crawl, Every: 24 * time.Hour, Kind: crm.KindOrder, Part: true}, []resource{orders}, nil, true, false},
		{connectors.Stream{Name: StreamOrderIDs, Mode: ids, Every: 6 * time.Hour, Kind: crm.KindOrder}, []resource{orders.only("id")}, nil, false, false},
		{connectors.Stream{Name: StreamCustomerIDs, Mode: ids, Every: 6 * time.Hour, Kind: crm.KindCustomer}, []resource{customers.only("id")}, alive, false, false},
		{connectors.Stream{Name: StreamRefundIDs, Mode: ids, Every: 6 * time.Hour, Kind: crm.KindRefund}, []resource{slipTable().only("id")}, nil, false, false},
		{connectors.Stream{Name: StreamCartIDs, Mode: ids, Every: 12 * time.Hour, Kind: crm.KindCart}, []resource{cartTable().only("id", "cart_rows[id_product]")}, nil, false, false},
		{connectors.Stream{Name: StreamProductIDs, Mode: ids, Every: 24 * time.Hour, Kind: crm.KindProduct}, []resource{products.only("id"), combinationTable().only("id")}, nil, false, false},
		{connectors.Stream{Name: StreamCategoryIDs, Mode: ids, Every: 24 * time.Hour, Kind: crm.KindCategory}, []resource{categoryTable().only("id")}, nil, false, false},
	}
	for i := range fs {
		if e, ok := every[fs[i].Name]; ok {
			fs[i].Every = e
		}
	}
	return fs
}

// Source reads one PrestaShop shop. It implements connectors.Source, Counter, Normaliser and Actor.
type Source struct {
	client  *client
	mapping *mapping.Compiled
	rules   string
	zone    string
	streams []feed
	clock   func() time.Time

	mu   sync.Mutex
	dict *dictionary
}

var (
	_ connectors.Source     = (*Source)(nil)
	_ connectors.Counter    = (*Source)(nil)
	_ connectors.Normaliser = (*Source)(nil)
	_ connectors.Actor      = (*Source)(nil)
)

// New makes a Source. transport nil means the machine's network, with c.CAFile trusted. An error is a *fault.Error of
// class operator: the configuration cannot work.
func New(c Config, transport http.RoundTripper) (*Source, error) {
	if ps := append(c.Validate(), c.Mapping.Validate(Fields())...); len(ps) > 0 {
		return nil, &fault.Error{
			Class: fault.Operator, Op: "prestashop: reading the configuration",
			Err: errors.New(ps[0].Path + ": " + ps[0].Message), Hint: "It wants " + ps[0].Want + ".",
		}
	}
	m, err := mapping.Compile(c.Mapping)
	if err != nil {
		return nil, fault.New(fault.Operator, "prestashop: reading the mapping", err)
	}
	if m.CustomerConsent == nil {
		m.CustomerConsent = &mapping.Expression{Field: fieldNewsletter} // PrestaShop's own opt-in for its newsletter
	}
	clock := c.Clock
	if clock == nil {
		clock = time.Now
	}
	cl, err := newClient(c, transport, clock)
	if err != nil {
		return nil, err
	}
	s := &Source{client: cl, mapping: m, rules: c.Mapping.Rules(), zone: c.Zone, clock: clock}
	s.streams = s.feeds(c.Every)
	return s, nil
}

// Streams lists the ways of reading, in the order of a backfill.
func (s *Source) Streams() []connectors.Stream {
	out := make([]connectors.Stream, len(s.streams))
	for i, f := range s.streams {
		out[i] = f.Stream
	}
	return out
}

func (s *Source) feed(name string) (feed, error) {
	for _, f := range s.streams {
		if f.Name == name {
			return f, nil
		}
	}
	return feed{}, fault.New(fault.Reject, "prestashop: read stream", errors.New("there is no stream of this name"))
}
