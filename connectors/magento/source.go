package magento

import (
	"errors"
	"net/http"
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
	StreamCustomers    = "customers"
	StreamOrders       = "orders"
	StreamRefunds      = "refunds"
	StreamCarts        = "carts"
	StreamCatalogue    = "catalogue"     // every product again with its stock: neither stock nor the day of a special price moves a date
	StreamNewsletter   = "newsletter"    // the newsletter box of every account: it moves no date
	StreamGuestCarts   = "guest_carts"   // recent carts of guests again: the e-mail of the payment step moves no date
	StreamOpenCarts    = "open_carts"    // every open cart again: an account's new e-mail or its deletion moves no date
	StreamRecentOrders = "recent_orders" // recent orders again: an edited address or a deleted account moves no date
	StreamCategoryIDs  = "category_ids"
	StreamProductIDs   = "product_ids"
	StreamCustomerIDs  = "customer_ids"
	StreamOrderIDs     = "order_ids"
	StreamRefundIDs    = "refund_ids"
	StreamCartIDs      = "cart_ids"
)

// list is a resource that can be searched.
type list struct {
	path      string
	id        string // what a row calls its id; filters call it entity_id everywhere
	catalogue bool   // its texts differ from store view to store view, and it belongs to none
}

// feed is a stream and how it is asked for.
type feed struct {
	connectors.Stream
	list
	full   []filter // of a complete run
	fields string   // of an item; "" = all
	most   int      // largest page; 0 = maxPage
	recent string   // a date; only what has it within the time below
	within time.Duration
}

// feeds lists the streams in the order of a backfill: what others refer to comes first.
func feeds(every map[string]time.Duration) []feed {
	categories := list{path: "V1/categories/list", id: "id", catalogue: true}
	products := list{path: "V1/products", id: "id", catalogue: true}
	customers, orders := list{path: "V1/customers/search", id: "id"}, list{path: "V1/orders", id: "entity_id"}
	refunds, carts := list{path: "V1/creditmemos", id: "entity_id"}, list{path: "V1/carts/search", id: "id"}
	open := []filter{{"is_active", "eq", "1"}, {"items_count", "gt", "0"}} // the list holds every cart ever ordered as well
	stream := func(name string, mode connectors.Mode, every time.Duration, kind crm.Kind) connectors.Stream {
		return connectors.Stream{Name: name, Mode: mode, Every: every, Kind: kind}
	}
	part := func(s connectors.Stream) connectors.Stream { s.Part = true; return s }
	const delta, crawl, ids, day = connectors.ModeDelta, connectors.ModeCrawl, connectors.ModeIDs, 24 * time.Hour
	fs := []feed{
		{Stream: stream(StreamCategories, crawl, time.Hour, crm.KindCategory), list: categories},
		{Stream: stream(StreamProducts, delta, 5*time.Minute, crm.KindProduct), list: products},
		{Stream: stream(StreamCustomers, delta, 2*time.Minute, crm.KindCustomer), list: customers},
		{Stream: stream(StreamOrders, delta, time.Minute, crm.KindOrder), list: orders},
		{Stream: stream(StreamRefunds, delta, 5*time.Minute, crm.KindRefund), list: refunds},
		// Each cart with an e-mail costs a question for its totals besides.
		{Stream: stream(StreamCarts, delta, time.Minute, crm.KindCart), list: carts, full: open, most: 25},
		{Stream: part(stream(StreamCatalogue, crawl, 12*time.Hour, crm.KindProduct)), list: products, most: 20},
		{Stream: part(stream(StreamNewsletter, crawl, 2*time.Hour, crm.KindCustomer)), list: customers, fields: "id,store_id,extension_attributes"},
		{
			Stream: part(stream(StreamGuestCarts, crawl, 5*time.Minute, crm.KindCart)), list: carts, most: 25,
			full: append(open[:2:2], filter{"customer_id", "null", "1"}), recent: "updated_at", within: 36 * time.Hour,
		},
		{Stream: part(stream(StreamOpenCarts, crawl, day, crm.KindCart)), list: carts, full: open, most: 25},
		{Stream: part(stream(StreamRecentOrders, crawl, day, crm.KindOrder)), list: orders, recent: "created_at", within: 60 * day},
		{Stream: stream(StreamCategoryIDs, ids, day, crm.KindCategory), list: categories},
		{Stream: stream(StreamProductIDs, ids, day, crm.KindProduct), list: products},
		{Stream: stream(StreamCustomerIDs, ids, day, crm.KindCustomer), list: customers},
		{Stream: stream(StreamOrderIDs, ids, day, crm.KindOrder), list: orders},
		{Stream: stream(StreamRefundIDs, ids, day, crm.KindRefund), list: refunds},
		{Stream: stream(StreamCartIDs, ids, 2*time.Hour, crm.KindCart), list: carts, full: open},
	}
	for i := range fs {
		if e, ok := every[fs[i].Name]; ok {
			fs[i].Every = e
		}
		if fs[i].Mode == ids {
			fs[i].fields = fs[i].id
		}
	}
	return fs
}

// Source reads one Magento shop. It implements connectors.Source, Counter, Normaliser and Actor.
type Source struct {
	client *client
	config Config
	mapped *mapping.Compiled
	said   mapping.Expression // what says that an account wants marketing mail
	feeds  []feed
	clock  func() time.Time
	dict   dictionary
	priced totalsKept
}

// New makes a Source; it implements connectors.Counter, Normaliser and Actor as well. transport nil means the machine's
// network, with c.CAFile trusted. An error is a *fault.Error of class operator: the configuration cannot work.
func New(c Config, transport http.RoundTripper) (connectors.Source, error) {
	wrong := func(path, message, want string) error {
		return &fault.Error{
			Class: fault.Operator, Op: "magento: reading the configuration", Err: errors.New(path + ": " + message), Hint: "It wants " + want + ".",
		}
	}
	if ps := c.Validate(); len(ps) > 0 {
		return nil, wrong(ps[0].Path, ps[0].Message, ps[0].Want)
	}
	mapped, err := mapping.Compile(c.Mapping)
	if err != nil {
		return nil, wrong("$.mapping", err.Error(), "an expression that can be read")
	}
	said, err := mapping.Parse(subscribed)
	if err != nil {
		return nil, wrong("$.mapping", err.Error(), "an expression that can be read")
	}
	if mapped.CustomerConsent != nil {
		said = *mapped.CustomerConsent
	}
	cl, err := newClient(c, transport)
	if err != nil {
		return nil, err
	}
	s := &Source{client: cl, config: c, mapped: mapped, said: said, feeds: feeds(c.Every), clock: c.Clock}
	if s.clock == nil {
		s.clock = time.Now
	}
	for i := range s.feeds { // what the consent is mapped to has to be asked for
		if s.feeds[i].Name == StreamNewsletter {
			s.feeds[i].fields += consentField(said.Field)
		}
	}
	return s, nil
}

// Streams lists the ways of reading, in the order of a backfill.
func (s *Source) Streams() []connectors.Stream {
	out := make([]connectors.Stream, len(s.feeds))
	for i, f := range s.feeds {
		out[i] = f.Stream
	}
	return out
}

func (s *Source) feed(name string) (feed, error) {
	for _, f := range s.feeds {
		if f.Name == name {
			return f, nil
		}
	}
	return feed{}, fault.New(fault.Reject, "magento: read stream", errors.New("there is no stream of this name"))
}

// feedOf is the stream that brings a kind whole.
func (s *Source) feedOf(kind crm.Kind) (feed, bool) {
	for _, f := range s.feeds {
		if f.Kind == kind && !f.Part && f.Mode != connectors.ModeIDs {
			return f, true
		}
	}
	return feed{}, false
}
