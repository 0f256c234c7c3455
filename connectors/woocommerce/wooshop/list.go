package wooshop

import (
	"bytes"
	"cmp"
	"fmt"
	"hash/fnv"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// collection says how one kind of resource is listed.
type collection struct {
	name         string
	table        *table
	orderBy      []string
	defaultOrder string // orderby, then order
	ownTables    bool   // HPOS: beyond the end the totals are 0, a suffix of dates is understood
	dated        bool   // modified_after is a filter
	notFound     string
	notFoundText string
}

func (s *Shop) collections() map[string]collection {
	posts := []string{"date", "id", "include", "title", "slug", "modified"}
	return map[string]collection{
		"orders":              {"orders", s.orders, posts, "date desc", true, true, "woocommerce_rest_shop_order_invalid_id", "Invalid ID."},
		"refunds":             {"refunds", s.refunds, posts, "date desc", true, true, "", ""},
		"customers":           {"customers", s.customers, []string{"id", "include", "name", "registered_date"}, "name asc", false, false, "woocommerce_rest_invalid_id", "Invalid resource ID."},
		"products":            {"products", s.products, append(posts, "price", "popularity", "rating", "menu_order"), "date desc", false, true, "woocommerce_rest_product_invalid_id", "Invalid ID."},
		"coupons":             {"coupons", s.coupons, posts, "date desc", false, true, "woocommerce_rest_shop_coupon_invalid_id", "Invalid ID."},
		"webhooks":            {"webhooks", s.webhooks, []string{"date", "id", "title"}, "date desc", false, false, "woocommerce_rest_shop_webhook_invalid_id", "Invalid ID."},
		"products/categories": {"categories", s.categories, []string{"id", "include", "name", "slug", "term_group", "description", "count"}, "name asc", false, false, "woocommerce_rest_term_invalid", "Resource does not exist."},
	}
}

func statuses() []string {
	return []string{"any", statusTrash, "auto-draft", "pending", "processing", "on-hold", "completed", "cancelled", "refunded", "failed", "en-preparation", "checkout-draft"}
}

// list answers a collection: first the parameters are checked, then the rights, as WordPress does.
func (s *Shop) list(who caller, c collection, all []*record, q url.Values) reply {
	p, bad := s.params(c, q)
	if bad != nil {
		return *bad
	}
	if !who.reads {
		return cannotView(who)
	}
	var rows []*record
	for _, r := range all {
		if p.wants(c, r) {
			rows = append(rows, r)
		}
	}
	p.sort(rows)
	total := len(rows)
	from := min((p.page-1)*p.perPage, total)
	if p.offset >= 0 {
		from = min(p.offset, total)
	}
	rows = rows[from:min(from+p.perPage, total)]
	if len(rows) == 0 && c.ownTables {
		total = 0
	}
	raws := make([][]byte, len(rows))
	for i, r := range rows {
		raws[i] = who.sees(c, r)
		if len(p.fields) > 0 {
			if o, err := parseObject(raws[i]); err == nil {
				raws[i] = o.filter(p.fields).bytes()
			}
		}
	}
	a := reply{Status: http.StatusOK, Header: http.Header{}, Body: array(raws)}
	pages := (total + p.perPage - 1) / p.perPage
	a.Header.Set("X-WP-Total", strconv.Itoa(total))
	a.Header.Set("X-WP-TotalPages", strconv.Itoa(pages))
	if l := links(c, q, p.page, pages); l != "" {
		a.Header.Set("Link", l)
	}
	return a
}

func array(raws [][]byte) []byte {
	return slices.Concat([]byte("["), bytes.Join(raws, []byte(",")), []byte("]"))
}

// links carries the host that the shop believes it has, not the one asked.
func links(c collection, q url.Values, page, pages int) string {
	var out []string
	link := func(n int, rel string) {
		v := url.Values{}
		for k := range q {
			v[k] = q[k]
		}
		v.Set("page", strconv.Itoa(n))
		out = append(out, fmt.Sprintf(`<%s/wp-json/wc/v3/%s?%s>; rel="%s"`, home, c.name, v.Encode(), rel))
	}
	if page > 1 {
		link(min(page-1, pages), "prev")
	}
	if page < pages {
		link(page+1, "next")
	}
	return strings.Join(out, ", ")
}

// params are the checked parameters of a list.
type params struct {
	page, perPage, offset int
	by, order             string
	status                []string
	role, email, code     string
	customer              string
	after, before         string // modified, GMT
	include               []int64
	fields                []string
}

func fieldsOf(q url.Values) []string {
	if v := q.Get("_fields"); v != "" {
		return strings.Split(v, ",")
	}
	return nil
}

func (s *Shop) params(c collection, q url.Values) (params, *reply) {
	p := params{page: 1, perPage: 10, offset: -1, fields: fieldsOf(q), role: "customer", email: q.Get("email"), customer: q.Get("customer"), code: q.Get("code")}
	p.by, p.order, _ = strings.Cut(c.defaultOrder, " ")
	var bad *reply
	number := func(name string, to *int, least, most int, text string) {
		v, err := strconv.Atoi(q.Get(name))
		switch {
		case !q.Has(name):
		case err != nil || v < least || v > most:
			bad = invalid(name, "rest_out_of_bounds", text)
		default:
			*to = v
		}
	}
	number("page", &p.page, 1, 1<<30, "page must be greater than or equal to 1")
	number("per_page", &p.perPage, 1, 100, "per_page must be between 1 (inclusive) and 100 (inclusive)")
	number("offset", &p.offset, 0, 1<<30, "offset must be an integer")
	if v := q.Get("orderby"); v != "" {
		if !slices.Contains(c.orderBy, v) {
			bad = invalid("orderby", "rest_not_in_enum", "orderby is not one of "+enum(c.orderBy)+".")
		}
		p.by, p.order = v, "desc"
	}
	if v := q.Get("order"); v != "" {
		p.order = v
	}
	if v := q.Get("role"); v != "" {
		p.role = v
	}
	p.status = many(q, "status")
	for i, v := range p.status {
		if c.name == "orders" && !slices.Contains(statuses(), v) {
			bad = invalid("status", "rest_not_in_enum", fmt.Sprintf("status[%d] is not one of %s.", i, enum(statuses())))
		}
	}
	for _, v := range many(q, "include") {
		if id, err := strconv.ParseInt(v, 10, 64); err == nil {
			p.include = append(p.include, id)
		}
	}
	for name, to := range map[string]*string{"modified_after": &p.after, "modified_before": &p.before} {
		if v := q.Get(name); v != "" && c.dated {
			t, ok := s.date(v, q.Get("dates_are_gmt") == "true" || q.Get("dates_are_gmt") == "1", c.ownTables)
			if !ok {
				bad = invalid(name, "rest_invalid_date", "Invalid date.")
			}
			*to = t.UTC().Format(wireTime)
		}
	}
	return p, bad
}

// many reads a,b as well as x[]=a&x[]=b and x[0]=a.
func many(q url.Values, name string) []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(q)) {
		if k != name && !strings.HasPrefix(k, name+"[") {
			continue
		}
		for _, v := range q[k] {
			out = append(out, strings.Split(v, ",")...)
		}
	}
	return out
}

const dateForm = `^(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.\d+)?(Z|[+-]\d{2}:?\d{2})?$`

// date reads a filter the way WooCommerce does: local time of the shop unless told that dates are GMT. With that flag on,
// posts turn a value with a suffix into local time and compare it with the GMT column all the same.
func (s *Shop) date(v string, gmt, ownTables bool) (time.Time, bool) {
	m := s.dates.FindStringSubmatch(v)
	if m == nil {
		return time.Time{}, false
	}
	if m[3] != "" {
		t, err := time.Parse("2006-01-02T15:04:05Z07:00", m[1]+"T"+m[2]+m[3])
		if gmt && !ownTables && err == nil {
			_, offset := t.In(s.zone).Zone()
			t = t.Add(time.Duration(offset) * time.Second)
		}
		return t, err == nil
	}
	zone := s.zone
	if gmt {
		zone = time.UTC
	}
	t, err := time.ParseInLocation(wireTime, m[1]+"T"+m[2], zone)
	return t, err == nil
}

func (p params) wants(c collection, r *record) bool {
	switch {
	case len(p.include) > 0 && !slices.Contains(p.include, r.id):
		return false
	case p.after != "" && r.modified <= p.after, p.before != "" && r.modified >= p.before:
		return false
	}
	switch c.name {
	case "orders", "products":
		if p.customer != "" && strconv.FormatInt(r.customer, 10) != p.customer {
			return false
		}
		if len(p.status) == 0 || slices.Contains(p.status, "any") {
			return r.status != statusTrash
		}
		return slices.Contains(p.status, r.status)
	case "coupons":
		return p.code == "" || strings.EqualFold(p.code, r.name)
	case "customers":
		return (p.role == "all" || p.role == r.role) && (p.email == "" || strings.EqualFold(p.email, r.email))
	}
	return true
}

// sort has no tie-breaker for orderby=modified: rows of one second come in an order that differs from page to page.
func (p params) sort(rows []*record) {
	slices.SortStableFunc(rows, func(a, b *record) int {
		var d int
		switch p.by {
		case "modified":
			if d = cmp.Compare(a.modified, b.modified); d == 0 {
				return cmp.Compare(p.shuffled(a.id), p.shuffled(b.id))
			}
		case "date", "registered_date":
			d = cmp.Or(cmp.Compare(a.created, b.created), cmp.Compare(a.id, b.id))
		case "name":
			d = cmp.Compare(a.name, b.name)
		default:
			d = cmp.Compare(a.id, b.id)
		}
		if p.order == "desc" {
			return -d
		}
		return d
	})
}

func (p params) shuffled(id int64) uint64 {
	h := fnv.New64a()
	fmt.Fprint(h, p.page, "/", id)
	return h.Sum64()
}

func enum(vs []string) string {
	return strings.Join(vs[:len(vs)-1], ", ") + ", and " + vs[len(vs)-1]
}

func invalid(param, code, text string) *reply {
	type detail struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Data    any    `json:"data"`
	}
	type data struct {
		Status  int               `json:"status"`
		Params  map[string]string `json:"params"`
		Details map[string]detail `json:"details"`
	}
	return &reply{Status: http.StatusBadRequest, Header: http.Header{}, Body: phpJSON(struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Data    data   `json:"data"`
	}{"rest_invalid_param", "Invalid parameter(s): " + param, data{
		http.StatusBadRequest, map[string]string{param: text}, map[string]detail{param: {Code: code, Message: text}},
	}})}
}
