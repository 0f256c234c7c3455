package woocommerce

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
)

// Names of the streams.
const (
	StreamCategories  = "categories"
	StreamProducts    = "products"
	StreamVariations  = "variations"
	StreamCustomers   = "customers"
	StreamOrders      = "orders"
	StreamOrdersTrash = "orders_trash"
	StreamRefunds     = "refunds"
	StreamOrderIDs    = "order_ids"
	StreamCustomerIDs = "customer_ids"
	StreamProductIDs  = "product_ids"
	StreamRefundIDs   = "refund_ids"
	StreamCategoryIDs = "category_ids"
)

// feed is a stream and how it is asked for.
type feed struct {
	connectors.Stream
	path   string
	sets   []url.Values // phases: read one after the other within a run
	fields string       // `_fields` of its rows; "" shows them whole
	below  bool         // brings what lies below its rows: a product's variations
}

// feeds lists the streams in the order of a backfill: what others refer to comes first.
func feeds(overrides map[string]time.Duration) []feed {
	anyStatus, trash := []url.Values{{"status": {"any"}}}, []url.Values{{"status": {"trash"}}} // "any" leaves the bin out
	allRoles, plain := []url.Values{{"role": {"all"}}}, []url.Values{{}}
	stream := func(name string, mode connectors.Mode, every time.Duration, kind crm.Kind) connectors.Stream {
		if e, ok := overrides[name]; ok {
			every = e
		}
		return connectors.Stream{Name: name, Mode: mode, Every: every, Kind: kind}
	}
	const delta, crawl, ids = connectors.ModeDelta, connectors.ModeCrawl, connectors.ModeIDs
	const idOnly, family = "id", "id,variations"
	return []feed{
		{Stream: stream(StreamCategories, crawl, time.Hour, crm.KindCategory), path: "products/categories", sets: plain},
		{Stream: stream(StreamProducts, delta, 5*time.Minute, crm.KindProduct), path: "products", sets: anyStatus},
		{Stream: stream(StreamVariations, crawl, 6*time.Hour, crm.KindProduct), path: "products", sets: anyStatus, fields: family, below: true},
		// There is no filter for changed customers, and the usual opt-in extensions move no date and fire no webhook.
		{Stream: stream(StreamCustomers, crawl, 6*time.Hour, crm.KindCustomer), path: "customers", sets: allRoles},
		{Stream: stream(StreamOrders, delta, time.Minute, crm.KindOrder), path: "orders", sets: anyStatus},
		{Stream: stream(StreamOrdersTrash, delta, 5*time.Minute, crm.KindOrder), path: "orders", sets: trash},
		{Stream: stream(StreamRefunds, delta, 5*time.Minute, crm.KindRefund), path: "refunds", sets: plain},
		{Stream: stream(StreamOrderIDs, ids, 6*time.Hour, crm.KindOrder), path: "orders", sets: slices.Concat(anyStatus, trash), fields: idOnly},
		{Stream: stream(StreamCustomerIDs, ids, 24*time.Hour, crm.KindCustomer), path: "customers", sets: allRoles, fields: idOnly},
		{Stream: stream(StreamProductIDs, ids, 24*time.Hour, crm.KindProduct), path: "products", sets: anyStatus, fields: family},
		{Stream: stream(StreamCategoryIDs, ids, 24*time.Hour, crm.KindCategory), path: "products/categories", sets: plain, fields: idOnly},
		{Stream: stream(StreamRefundIDs, ids, 6*time.Hour, crm.KindRefund), path: "refunds", sets: plain, fields: idOnly},
	}
}

// Source reads one WooCommerce shop. It implements connectors.Source and connectors.Hinter.
type Source struct {
	client *client
	norm   normaliser
	rules  string // name of the mapping
	feeds  []feed
	hook   string // the webhooks' secret as the shop uses it
	clock  func() time.Time

	secret  string // the webhooks' secret as configured
	hookURL string // where webhooks are to go, "" nowhere

	mu       sync.Mutex
	currency string // of the shop, as last read

	owners owners
}

var (
	_ connectors.Source     = (*Source)(nil)
	_ connectors.Hinter     = (*Source)(nil)
	_ connectors.Counter    = (*Source)(nil)
	_ connectors.Normaliser = (*Source)(nil)
	_ connectors.Actor      = (*Source)(nil)
)

// New makes a Source. transport nil means the machine's network, with c.CAFile trusted.
// An error is a *fault.Error of class operator: the configuration cannot work.
func New(c Config, transport http.RoundTripper) (*Source, error) {
	ps := c.Validate()
	for _, p := range c.Mapping.Validate(Fields()) {
		p.Path = "$.mapping" + strings.TrimPrefix(p.Path, "$")
		ps = append(ps, p)
	}
	if len(ps) > 0 {
		return nil, &fault.Error{
			Class: fault.Operator, Op: "woocommerce: reading the configuration",
			Err: errors.New(ps[0].Path + ": " + ps[0].Message), Hint: "It wants " + ps[0].Want + ".",
		}
	}
	clock := c.Clock
	if clock == nil {
		clock = time.Now
	}
	cl, err := newClient(c, transport, clock)
	if err != nil {
		return nil, err
	}
	norm, err := newNormaliser(cl.base, c.Mapping)
	if err != nil {
		return nil, fault.New(fault.Operator, "woocommerce: reading the mapping", err)
	}
	return &Source{
		client: cl, feeds: feeds(c.Every), hook: decodedSecret(c.WebhookSecret), secret: c.WebhookSecret, hookURL: c.HookURL, clock: clock, norm: norm, rules: c.Mapping.Rules(),
	}, nil
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
			if f.Kind == crm.KindRefund && s.owners.needed() {
				f = f.throughOrders()
			}
			return f, nil
		}
	}
	return feed{}, fault.New(fault.Reject, "woocommerce: read stream", errors.New("there is no stream of this name"))
}

// shopCurrency asks for the shop's currency, which product prices are in. A key that may not know it gives "".
func (s *Source) shopCurrency(ctx context.Context, refresh bool) (string, error) {
	s.mu.Lock()
	known := s.currency
	s.mu.Unlock()
	if known != "" && !refresh {
		return known, nil
	}
	const op = "read currency"
	a, err := s.client.get(ctx, op, "data/currencies/current", nil)
	if err != nil {
		if r, ok := errors.AsType[*refused](err); ok && (r.status == http.StatusForbidden || r.status == http.StatusNotFound) {
			return "", nil
		}
		return "", err
	}
	var w struct {
		Code text `json:"code"`
	}
	if err := s.client.Decode(op, a.Answer, &w); err != nil {
		return "", err
	}
	s.mu.Lock()
	s.currency = string(w.Code)
	s.mu.Unlock()
	return string(w.Code), nil
}
