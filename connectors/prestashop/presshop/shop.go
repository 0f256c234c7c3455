// Package presshop is a shop on loopback that answers as a recorded PrestaShop 9 does: its real rows, filters, errors
// and headers, quirks included. `relance demo` and tests run against it. It is no mock: it lives on when people
// register, fill carts, order and leave.
package presshop

import (
	"bytes"
	"cmp"
	"compress/gzip"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/relance/relance/connectors/modelshop"
)

//go:embed recorded/tables.json.gz
var recorded []byte

// Options of a shop. Zero values give a usable one.
type Options struct {
	Clock         func() time.Time // the shop's clock; nil: the machine's
	Key           string           // 32 characters; "": DefaultKey
	Zone          string           // PS_TIMEZONE; "": Europe/Paris
	Version       string           // PSWS-Version; "": 9.1.4. Before 8 there is no PATCH.
	StringNumbers bool             // PHP up to 8.0
	OneLanguage   bool             // texts instead of lists of texts
	NoRewriting   bool             // /api/ is unknown to the web server
	DropsHeader   bool             // the web server keeps the Authorization header to itself
	Empty         bool             // without customers, orders and carts
}

// DefaultKey reads everything and may patch customers. Keys that differ in their last letter: "…N" has no right at all,
// "…R" may not write.
const DefaultKey = "LOOPBACKPRESTASHOPWEBSERVICEKEY0"

const wire = "2006-01-02 15:04:05"

// RecordedAt is when the recorded shop was read: a Clock that starts here continues its life.
func RecordedAt() time.Time { return time.Date(2026, 11, 22, 3, 57, 2, 0, time.UTC) }

// Shop is the shop. Safe for concurrent use; it is an http.Handler.
type Shop struct {
	modelshop.Traffic

	opts Options
	zone *time.Location

	mu        sync.RWMutex
	tables    map[string]*table
	forbidden map[string]bool
	disabled  bool
	junk      string
	stumbles  map[stumble]bool
	slips     map[int64]string // currency of each credit slip, for Truth
	lines     int64            // rows of orders made so far
}

type stumble struct {
	table string
	id    int64
	ids   bool // also when ids alone are listed
}

// table is a resource. Its fields stay known when it has no rows.
type table struct {
	name   string
	fields []string
	lists  []string
	rows   []*row // by id
	last   int64  // largest id ever given
}

// New makes a shop in the recorded state.
func New(o Options) (*Shop, error) {
	o.Key, o.Version, o.Zone = cmp.Or(o.Key, DefaultKey), cmp.Or(o.Version, "9.1.4"), cmp.Or(o.Zone, "Europe/Paris")
	if o.Clock == nil {
		o.Clock = time.Now
	}
	s := &Shop{opts: o, tables: map[string]*table{}, forbidden: map[string]bool{}, stumbles: map[stumble]bool{}, slips: map[int64]string{}}
	var err error
	if s.zone, err = time.LoadLocation(o.Zone); err != nil {
		return nil, fmt.Errorf("presshop: loading the shop's zone: %w", err)
	}
	if err := s.load(); err != nil {
		return nil, err
	}
	s.find("configurations", 69).set("value", o.Zone)
	if o.OneLanguage {
		s.tables["languages"].rows = s.tables["languages"].rows[:1]
	}
	for _, slip := range s.tables["order_slip"].rows {
		s.slips[slip.number("id")] = "EUR"
		if order := s.find("orders", slip.number("id_order")); order != nil {
			s.slips[slip.number("id")] = s.currency(order.number("id_currency"))
		}
	}
	if o.Empty {
		for _, name := range []string{"customers", "addresses", "orders", "order_histories", "order_slip", "order_cart_rules", "carts"} {
			s.tables[name].rows = nil
		}
	}
	return s, nil
}

func (s *Shop) load() error {
	z, err := gzip.NewReader(bytes.NewReader(recorded))
	if err != nil {
		return fmt.Errorf("presshop: unpacking the recording: %w", err)
	}
	body, err := io.ReadAll(z)
	if err != nil {
		return fmt.Errorf("presshop: unpacking the recording: %w", err)
	}
	var all map[string][]json.RawMessage
	if err := json.Unmarshal(body, &all); err != nil {
		return fmt.Errorf("presshop: reading the recording: %w", err)
	}
	for name, raws := range all {
		t := &table{name: name}
		for _, raw := range raws {
			r, err := parseRow(raw)
			if err != nil {
				return fmt.Errorf("presshop: reading recorded %s: %w", name, err)
			}
			t.put(r)
			if len(t.fields) == 0 {
				t.fields = slices.Clone(r.names)
			}
			for _, l := range r.lists {
				if !slices.Contains(t.lists, l) {
					t.lists = append(t.lists, l)
				}
			}
		}
		s.tables[name] = t
	}
	return nil
}

func (t *table) put(r *row) {
	id := r.number("id")
	i, ok := slices.BinarySearchFunc(t.rows, id, func(r *row, id int64) int { return cmp.Compare(r.number("id"), id) })
	if ok {
		t.rows[i] = r
		return
	}
	t.rows = slices.Insert(t.rows, i, r)
	t.last = max(t.last, id)
}

// add gives a row the next id. Fields that are not given get the ones of the first row there ever was, emptied.
func (t *table) add(pairs ...any) *row {
	r := &row{object: made("id", t.last+1), linked: map[string][]object{}}
	given := made(pairs...)
	for _, name := range t.fields {
		if v, ok := given.vals[name]; ok {
			r.set(name, v)
		} else if name != "id" {
			r.set(name, "0")
		}
	}
	t.put(r)
	return r
}

func (t *table) remove(match func(*row) bool) (n int) {
	before := len(t.rows)
	t.rows = slices.DeleteFunc(t.rows, match)
	return before - len(t.rows)
}

func (t *table) where(match func(*row) bool) []*row {
	var out []*row
	for _, r := range t.rows {
		if match(r) {
			out = append(out, r)
		}
	}
	return out
}

func is(name string, id int64) func(*row) bool {
	return func(r *row) bool { return r.number(name) == id }
}

// find gives a row, nil when there is none. Callers hold the lock.
func (s *Shop) find(name string, id int64) *row {
	t := s.tables[name]
	i, ok := slices.BinarySearchFunc(t.rows, id, func(r *row, id int64) int { return cmp.Compare(r.number("id"), id) })
	if !ok {
		return nil
	}
	return t.rows[i]
}

func (s *Shop) currency(id int64) string {
	if c := s.find("currencies", id); c != nil {
		return c.text("iso_code")
	}
	return ""
}

// local is now as PHP writes it.
func (s *Shop) local() string { return s.opts.Clock().In(s.zone).Format(wire) }

// IDs lists the rows of a resource by id.
func (s *Shop) IDs(resource string) []int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []int64
	for _, r := range s.tables[resource].rows {
		out = append(out, r.number("id"))
	}
	return out
}

// Text is a field of a row, "" when there is none.
func (s *Shop) Text(resource string, id int64, field string) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if r := s.find(resource, id); r != nil {
		return r.text(field)
	}
	return ""
}

// SQL writes a field past PrestaShop's classes, as modules and imports do: no date moves.
func (s *Shop) SQL(resource string, id int64, field string, value any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.find(resource, id)
	if r == nil {
		return gone(resource, id)
	}
	r.set(field, value)
	return nil
}

// Save is what a saved form does: every row given gets the same date_upd.
func (s *Shop) Save(resource string, ids ...int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.local()
	for _, id := range ids {
		r := s.find(resource, id)
		if r == nil {
			return gone(resource, id)
		}
		r.set("date_upd", now)
	}
	return nil
}

// Delete removes a row, and nothing else.
func (s *Shop) Delete(resource string, id int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tables[resource].remove(is("id", id)) == 0 {
		return gone(resource, id)
	}
	return nil
}

func gone(resource string, id int64) error {
	return fmt.Errorf("presshop: there is no %d in %s", id, resource)
}
