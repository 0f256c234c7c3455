// Package wooshop is a shop on loopback that answers as a recorded WooCommerce does: its real bodies, paging, filters,
// headers, refusals and signed webhooks, quirks included. `relance demo` and tests run against it. It is no mock: it
// lives on when orders are placed, changed and deleted.
package wooshop

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/relance/relance/connectors/modelshop"
)

// Options of a shop. Zero values give a usable one.
type Options struct {
	Clock         func() time.Time // the shop's clock, shown in every Date header; nil: the machine's
	Key, Secret   string           // consumer key and secret of the administrator; "": DefaultKey, DefaultSecret
	WebhookSecret string           // as typed into the shop; "": DefaultWebhookSecret
	Home          string           // address that the shop believes to have, which signatures are over; "": where it is asked
	TLSProxy      bool             // stands behind a proxy that ends TLS and says so: plain requests count as https
}

// What a shop uses when Options are silent. All keys have the same secret; the key's ending says whose it is:
// Key+"_manager" is a shop manager's, Key+"_read" cannot write, Key+"_write" cannot read, Key+"_customer" belongs to
// somebody without rights.
const (
	DefaultKey           = "ck_loopback"
	DefaultSecret        = "cs_loopback"
	DefaultWebhookSecret = "loopback-webhooks"
)

const wireTime = "2006-01-02T15:04:05"

// Shop is the shop. Safe for concurrent use; it is an http.Handler.
type Shop struct {
	modelshop.Traffic

	opts  Options
	zone  *time.Location
	dates *regexp.Regexp

	index, status, currency []byte

	mu         sync.RWMutex
	orders     *table
	refunds    *table
	customers  *table
	products   *table
	variations *table
	categories *table
	webhooks   *table
	coupons    *table
	secrets    map[int64]*ownHook
	nextHook   int64
	nextID     int64 // orders, refunds, products share WordPress's ids
	nextUser   int64
	nextRow    int64 // lines and meta
	nonces     map[string]time.Time

	hooks hooks
}

// record is one resource. It is replaced, never changed, so that answers can be written without the lock.
type record struct {
	id       int64
	parent   int64
	raw      []byte
	name     string // customers are listed by it unless asked otherwise
	status   string
	role     string
	email    string
	created  string // GMT, as in the body
	modified string // GMT; of refunds it is not in the body
	customer int64
}

// New makes a shop in the recorded state.
func New(o Options) (*Shop, error) {
	o.Key, o.Secret = cmp.Or(o.Key, DefaultKey), cmp.Or(o.Secret, DefaultSecret)
	o.WebhookSecret = cmp.Or(o.WebhookSecret, DefaultWebhookSecret)
	if o.Clock == nil {
		o.Clock = time.Now
	}
	s := &Shop{opts: o, dates: regexp.MustCompile(dateForm), nonces: map[string]time.Time{}, webhooks: &table{}, coupons: &table{}, secrets: map[int64]*ownHook{}, nextHook: 3}
	var err error
	if s.zone, err = time.LoadLocation("Europe/Paris"); err != nil {
		return nil, fmt.Errorf("wooshop: loading the shop's zone: %w", err)
	}
	for name, to := range map[string]**table{
		"orders": &s.orders, "refunds": &s.refunds, "customers": &s.customers,
		"products": &s.products, "variations": &s.variations, "categories": &s.categories,
	} {
		if *to, err = load(name + ".json.gz"); err != nil {
			return nil, err
		}
	}
	for name, to := range map[string]*[]byte{"index.json": &s.index, "system_status.json": &s.status, "currency.json": &s.currency} {
		if *to, err = readFile(name); err != nil {
			return nil, err
		}
	}
	s.nextID = 1 + max(s.orders.largest(), s.refunds.largest(), s.products.largest(), s.variations.largest())
	s.nextUser = 1 + s.customers.largest()
	s.nextRow = 100_000
	return s, nil
}

// table holds the resources of one kind in the order of their ids.
type table struct{ rows []*record }

func load(name string) (*table, error) {
	var raws []json.RawMessage
	if err := readJSON(name, &raws); err != nil {
		return nil, err
	}
	t := &table{}
	for _, raw := range raws {
		r, err := newRecord(raw)
		if err != nil {
			return nil, fmt.Errorf("reading recording %s: %w", name, err)
		}
		t.put(r)
	}
	return t, nil
}

// newRecord reads from a body what lists are filtered and sorted by.
func newRecord(raw []byte) (*record, error) {
	var w struct {
		ID       int64   `json:"id"`
		Parent   int64   `json:"parent_id"`
		Name     string  `json:"name"`
		Status   string  `json:"status"`
		Role     string  `json:"role"`
		Email    string  `json:"email"`
		First    string  `json:"first_name"`
		Created  *string `json:"date_created_gmt"`
		Modified *string `json:"date_modified_gmt"`
		Customer int64   `json:"customer_id"`
	}
	if err := json.Unmarshal(raw, &w); err != nil {
		return nil, err
	}
	r := &record{id: w.ID, parent: w.Parent, raw: raw, name: cmp.Or(w.Name, w.First), status: w.Status, role: w.Role, email: w.Email, customer: w.Customer}
	if w.Created != nil {
		r.created, r.modified = *w.Created, *w.Created
	}
	if w.Modified != nil {
		r.modified = *w.Modified
	}
	return r, nil
}

func (t *table) find(id int64) (int, bool) {
	return slices.BinarySearchFunc(t.rows, id, func(r *record, id int64) int { return cmp.Compare(r.id, id) })
}

func (t *table) get(id int64) *record {
	if i, ok := t.find(id); ok {
		return t.rows[i]
	}
	return nil
}

func (t *table) put(r *record) {
	i, ok := t.find(r.id)
	if ok {
		t.rows[i] = r
		return
	}
	t.rows = slices.Insert(t.rows, i, r)
}

func (t *table) remove(id int64) {
	if i, ok := t.find(id); ok {
		t.rows = slices.Delete(t.rows, i, i+1)
	}
}

func (t *table) largest() int64 {
	if len(t.rows) == 0 {
		return 0
	}
	return t.rows[len(t.rows)-1].id
}

func (t *table) ids(want func(*record) bool) []int64 {
	var out []int64
	for _, r := range t.rows {
		if want(r) {
			out = append(out, r.id)
		}
	}
	return out
}

// OrderIDs lists the orders whose status is one of statuses; with none, all but those in the bin.
func (s *Shop) OrderIDs(statuses ...string) []int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.orders.ids(func(r *record) bool {
		if len(statuses) == 0 {
			return r.status != statusTrash
		}
		return slices.Contains(statuses, r.status)
	})
}

// CustomerIDs lists all accounts.
func (s *Shop) CustomerIDs() []int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.customers.ids(func(*record) bool { return true })
}

// ProductIDs lists all products and variations that are not in the bin, by id.
func (s *Shop) ProductIDs() []int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	live := func(r *record) bool { return r.status != statusTrash }
	ids := append(s.products.ids(live), s.variations.ids(live)...)
	slices.Sort(ids)
	return ids
}

// RefundIDs lists all refunds.
func (s *Shop) RefundIDs() []int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.refunds.ids(func(*record) bool { return true })
}

// Body is the resource as GET would show it now; nil when there is none. kind is "orders", "customers", "products" or
// "refunds".
func (s *Shop) Body(kind string, id int64) []byte {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t := map[string]*table{"orders": s.orders, "customers": s.customers, "products": s.products, "refunds": s.refunds}[kind]
	if t == nil {
		return nil
	}
	if r := t.get(id); r != nil {
		return r.raw
	}
	return nil
}
