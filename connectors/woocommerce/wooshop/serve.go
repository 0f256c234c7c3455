package wooshop

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/relance/relance/connectors/modelshop"
)

const statusTrash = "trash"

// ServeHTTP answers wc/v3 and the index.
func (s *Shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := s.Take(r)
	a := s.answer(r) //nolint:contextcheck // a webhook is delivered although whoever caused it went away
	f.Send(w, r, a)
}

// reply is an answer before it is written.
type reply = modelshop.Reply

// answer routes a request. The Date is taken first: what it shows was true at or after it.
func (s *Shop) answer(r *http.Request) reply {
	now := s.opts.Clock().UTC()
	a := s.route(r)
	h := a.Header
	h.Set("Date", now.Format(http.TimeFormat))
	h.Set("X-Powered-By", "PHP/8.2.36")
	h.Set("X-Robots-Tag", "noindex")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Access-Control-Expose-Headers", "X-WP-Total, X-WP-TotalPages, Link")
	h.Set("Content-Type", "application/json; charset=UTF-8")
	if h.Get("Link") == "" && h.Get("X-Wp-Total") != "0" {
		h.Set("Link", `<`+home+`/wp-json/>; rel="https://api.w.org/"`)
	}
	if a.Status == http.StatusOK {
		h.Set("Cache-Control", "no-cache, must-revalidate, max-age=0, no-store, private")
		h.Set("Expires", "Wed, 11 Jan 1984 05:00:00 GMT")
	}
	return a
}

const home = "https://boutique.example.com"

func (s *Shop) route(r *http.Request) reply {
	path := strings.TrimSuffix(r.URL.Path, "/")
	q := r.URL.Query()
	if path == "/wp-json" && r.Method == http.MethodGet {
		return single(s.index, fieldsOf(q), false)
	}
	rest, ok := strings.CutPrefix(path, "/wp-json/wc/v3/")
	who := s.who(r)
	if ok && who.refusal != nil {
		return *who.refusal
	}
	if !ok {
		return noRoute()
	}
	if r.Method != http.MethodGet {
		return s.write(who, r, rest)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	switch rest {
	case "system_status":
		return s.guarded(who, single(s.status, fieldsOf(q), true))
	case "data/currencies/current":
		return s.guarded(who, single(s.currency, fieldsOf(q), true))
	}
	if c, ok := s.collections()[rest]; ok {
		return s.list(who, c, c.table.rows, q)
	}
	return s.one(who, rest, q)
}

// one answers orders/95, orders/95/refunds, products/19, products/19/variations…
func (s *Shop) one(who caller, path string, q url.Values) reply {
	cut := strings.LastIndexByte(path, '/')
	if cut < 0 {
		return noRoute()
	}
	if sub := path[cut+1:]; sub == "refunds" || sub == "variations" {
		return s.below(who, path[:cut], sub, q)
	}
	c, ok := s.collections()[path[:cut]]
	id, err := strconv.ParseInt(path[cut+1:], 10, 64)
	if !ok || err != nil || c.name == "refunds" {
		return noRoute()
	}
	if !who.reads {
		return cannotView(who)
	}
	rec := c.table.get(id)
	if rec == nil && c.name == "products" {
		rec = s.variations.get(id)
	}
	if rec == nil {
		return errorBody(http.StatusNotFound, c.notFound, c.notFoundText)
	}
	return single(who.sees(c, rec), fieldsOf(q), true)
}

// below lists what belongs to one order or product.
func (s *Shop) below(who caller, parent, sub string, q url.Values) reply {
	t, of, c := s.refunds, s.orders, "orders/"
	if sub == "variations" {
		t, of, c = s.variations, s.products, "products/"
	}
	tail, ok := strings.CutPrefix(parent, c)
	id, err := strconv.ParseInt(tail, 10, 64)
	if !ok || err != nil {
		return noRoute()
	}
	if !who.reads {
		return cannotView(who)
	}
	if of.get(id) == nil {
		return errorBody(http.StatusNotFound, "woocommerce_rest_shop_order_invalid_id", "Invalid ID.")
	}
	col := s.collections()[strings.TrimSuffix(c, "/")]
	col.table, col.name = t, c+sub
	var rows []*record
	for _, r := range t.rows {
		if r.parent == id && r.status != statusTrash {
			rows = append(rows, r)
		}
	}
	return s.list(who, col, rows, q)
}

func (s *Shop) guarded(who caller, a reply) reply {
	if !who.reads {
		return cannotView(who)
	}
	return a
}

// single filters one resource; its _links stay whatever the fields.
func single(raw []byte, fields []string, links bool) reply {
	if len(fields) > 0 {
		if o, err := parseObject(raw); err == nil {
			if links {
				fields = append(fields, "_links")
			}
			raw = o.filter(fields).bytes()
		}
	}
	return reply{Status: http.StatusOK, Header: http.Header{}, Body: raw}
}

func noRoute() reply {
	return errorBody(http.StatusNotFound, "rest_no_route", "No route was found matching the URL and request method.")
}

func errorBody(status int, code, text string) reply {
	type data struct {
		Status int `json:"status"`
	}
	return reply{Status: status, Header: http.Header{}, Body: phpJSON(struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Data    data   `json:"data"`
	}{code, text, data{status}})}
}

func (s *Shop) now() time.Time { return s.opts.Clock().UTC().Truncate(time.Second) }
