package magshop

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/relance/relance/connectors/modelshop"
)

// Options of a shop. Zero values give a usable one.
type Options struct {
	Clock func() time.Time // the shop's clock, shown in every Date header; nil: the machine's
	// Old: Magento 2.3. The last page repeats for ever, SHA-1 signatures pass, an integration's token passes alone.
	Old bool
	// NoBearer: an integration's token is refused when it comes alone, the default since 2.4.4.
	NoBearer bool
	// Behind: the shop stands behind a proxy that hides the scheme: it believes to be asked by this one.
	Behind string
	Denied []string // resources that the integration may not see
	// MostRows: larger pages are refused; 0: any size.
	MostRows int
}

// The integration's secrets.
const (
	Token          = "magshop0access0token000000000003"
	ConsumerKey    = "magshop0consumer0key000000000001"
	ConsumerSecret = "magshop0consumer0secret000000002"
	TokenSecret    = "magshop0token0secret000000000004" //nolint:gosec // of a loopback shop
)

type object = map[string]any

// record is a row of a table. data is what the API shows; hidden are columns that only filters see.
type record struct {
	id     int64
	data   object
	hidden object
	bad    string // "broken": the answer cannot be understood; "crash": the shop fails on it
}

type table struct {
	name, id string
	rows     map[int64]*record
	next     int64
}

// Shop is the shop. Safe for concurrent use; it is an http.Handler.
type Shop struct {
	modelshop.Traffic

	opts Options

	mu         sync.Mutex
	orders     *table
	customers  *table
	carts      *table
	products   *table
	refunds    *table
	categories *table
	groups     *table
	facts      map[string]any   // configs, views, websites, customer_attributes, brands, currency
	stocks     map[int64]object // by product
	nonces     map[string]bool
	nextRow    int64 // lines, addresses
}

// New makes a shop in the recorded state.
func New(o Options) (*Shop, error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	s := &Shop{opts: o, facts: map[string]any{}, stocks: map[int64]object{}, nonces: map[string]bool{}, nextRow: 100_000}
	for _, l := range []struct {
		name, id string
		to       **table
	}{
		{"orders", "entity_id", &s.orders},
		{"customers", "id", &s.customers},
		{"carts", "id", &s.carts},
		{"products", "id", &s.products},
		{"creditmemos", "entity_id", &s.refunds},
		{"categories", "id", &s.categories},
	} {
		t, err := load(l.name, l.id)
		if err != nil {
			return nil, err
		}
		*l.to = t
	}
	if err := readJSON("shop", &s.facts); err != nil {
		return nil, err
	}
	s.groups = &table{name: "groups", id: "id", rows: map[int64]*record{}}
	groups, _ := s.facts["groups"].([]any)
	for _, g := range groups {
		if data, ok := g.(object); ok {
			s.groups.put(&record{id: number(data["id"]), data: data})
		}
	}
	item, _ := s.facts["stock_item"].(object)
	for id := range s.products.rows {
		s.stocks[id] = maps.Clone(item)
		s.stocks[id]["product_id"] = id
	}
	s.hideCarts()
	return s, nil
}

func load(name, id string) (*table, error) {
	var rows []object
	if err := readJSON(name, &rows); err != nil {
		return nil, err
	}
	t := &table{name: name, id: id, rows: map[int64]*record{}}
	for _, data := range rows {
		t.put(&record{id: number(data[id]), data: data})
	}
	return t, nil
}

func (t *table) put(r *record) {
	t.rows[r.id] = r
	t.next = max(t.next, r.id+1)
}

func (t *table) ids() []int64 { return slices.Sorted(maps.Keys(t.rows)) }

// hideCarts fills the columns of carts that the API shows otherwise.
func (s *Shop) hideCarts() {
	for _, r := range s.carts.rows {
		r.hidden = object{"customer_id": nil, "customer_email": nil}
		if c, ok := r.data["customer"].(object); ok && c["id"] != nil {
			r.hidden["customer_id"] = c["id"]
		}
	}
}

func number(v any) int64 {
	switch v := v.(type) {
	case json.Number:
		n, _ := v.Int64()
		return n
	case int64:
		return v
	case int:
		return int64(v)
	case string:
		n, _ := strconv.ParseInt(v, 10, 64)
		return n
	}
	return 0
}

func (s *Shop) row() int64 {
	s.nextRow++
	return s.nextRow
}

func (s *Shop) now() string { return s.opts.Clock().UTC().Format(time.DateTime) }

// touch moves the date of a record.
func (s *Shop) touch(r *record) { r.data["updated_at"] = s.now() }

// IDs lists the records of a kind: orders, customers, carts, products, creditmemos, categories.
func (s *Shop) IDs(kind string) []int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.table(kind); t != nil {
		return t.ids()
	}
	return nil
}

func (s *Shop) table(kind string) *table {
	for _, t := range []*table{s.orders, s.customers, s.carts, s.products, s.refunds, s.categories} {
		if t.name == kind {
			return t
		}
	}
	return nil
}

// Get is a field of a record as its table holds it, as text; "" when there is none.
func (s *Shop) Get(kind string, id int64, path ...string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.table(kind).rows[id]
	if r == nil {
		return ""
	}
	var v any = r.data
	for _, p := range path {
		o, ok := v.(object)
		if !ok {
			return ""
		}
		v = o[p]
	}
	return text(v)
}

// Touch changes records: all get the same date.
func (s *Shop) Touch(kind string, ids ...int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if r := s.table(kind).rows[id]; r != nil {
			s.touch(r)
		}
	}
}

// Delete removes a record without a trace.
func (s *Shop) Delete(kind string, id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.table(kind).rows, id)
}

// Spoil makes a record that cannot be understood; Crash one that the shop itself fails on.
func (s *Shop) Spoil(kind string, id int64) { s.mark(kind, id, "broken") }

// Crash makes a record that the shop itself fails on, with a 500.
func (s *Shop) Crash(kind string, id int64) { s.mark(kind, id, "crash") }

func (s *Shop) mark(kind string, id int64, how string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.table(kind).rows[id]; r != nil {
		r.bad = how
	}
}

func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		return map[bool]string{true: "1", false: "0"}[v]
	case json.Number:
		return v.String()
	case int64:
		return strconv.FormatInt(v, 10)
	case int:
		return strconv.Itoa(v)
	}
	return ""
}

func byID(a, b *record) int { return cmp.Compare(a.id, b.id) }

// Lines counts the lines of an order as its owner sees them: configurable products once.
func (s *Shop) Lines(order int64) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	if r := s.orders.rows[order]; r != nil {
		items, _ := r.data["items"].([]any)
		for _, i := range items {
			if o, ok := i.(object); ok && o["parent_item_id"] == nil {
				n++
			}
		}
	}
	return n
}

// Price is what a product costs now: its special price, where that is lower. The recorded ones hold without an end.
func (s *Shop) Price(product int64) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.products.rows[product]
	if r == nil {
		return ""
	}
	special, _ := s.column(s.products, r, "special_price")
	if text(special) != "" && amount(special).LessThan(amount(r.data["price"])) {
		return text(special)
	}
	return text(r.data["price"])
}
