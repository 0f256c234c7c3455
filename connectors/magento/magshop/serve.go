package magshop

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/relance/relance/connectors/modelshop"
)

// reply is an answer before it is written.
type reply = modelshop.Reply

func ok(v any) reply {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(v) != nil { // made of texts, numbers, lists and maps
		return crash()
	}
	return reply{Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/json; charset=utf-8"}}, Body: bytes.TrimSpace(b.Bytes())}
}

// refuse is an error: a template and what fills it, an object by name or a list by number.
func refuse(status int, message string, parameters any) reply {
	v := object{"message": message}
	if parameters != nil {
		v["parameters"] = parameters
	}
	a := ok(v)
	a.Status = status
	return a
}

func crash() reply {
	return refuse(http.StatusInternalServerError, "Internal Error. Details are available in Magento log file. Report ID: webapi-6b026f7441913", nil)
}

func notAllowed(resource string) reply {
	return refuse(http.StatusUnauthorized, "The consumer isn't authorized to access %resources.", object{"resources": resource})
}

func noRoute() reply { return refuse(http.StatusNotFound, "Request does not match any route.", nil) }

// ServeHTTP answers the REST API and /magento_version.
func (s *Shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := s.Take(r)
	date := s.opts.Clock().UTC().Format(http.TimeFormat) // what is shown was true at or after it
	a := s.answer(r)
	a.Header.Set("Date", date)
	a.Header.Set("X-Powered-By", "PHP/8.2.36")
	a.Header.Set("Set-Cookie", "PHPSESSID=magshop; path=/; HttpOnly; SameSite=Lax")
	a.Header.Set("Cache-Control", "no-store")
	f.Send(w, r, a)
}

func (s *Shop) answer(r *http.Request) reply {
	if r.URL.Path == "/magento_version" {
		version := "Magento/2.4 (Community)"
		if s.opts.Old {
			version = "Magento/2.3 (Community)"
		}
		return reply{Status: http.StatusOK, Header: http.Header{"Content-Type": {"text/html; charset=UTF-8"}}, Body: []byte(version)}
	}
	if accept := r.Header.Get("Accept"); strings.HasPrefix(accept, "text/") {
		return page(http.StatusInternalServerError, "There has been an error processing your request")
	}
	rest, found := strings.CutPrefix(r.URL.Path, "/rest/")
	if !found {
		return page(http.StatusNotFound, "404 Not Found")
	}
	if code, below, cut := strings.Cut(rest, "/"); cut && code != "V1" {
		if code != "all" && !s.hasStore(code) {
			return refuse(http.StatusBadRequest, "Specified request cannot be processed.", nil)
		}
		rest = below
	}
	rest, found = strings.CutPrefix(rest, "V1/")
	if !found {
		return noRoute()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	route, handle := s.route(r, rest)
	if handle == nil {
		return noRoute()
	}
	if bad := s.refused(r, route); bad != nil {
		return *bad
	}
	return handle()
}

func page(status int, title string) reply {
	return reply{Status: status, Header: http.Header{"Content-Type": {"text/html; charset=UTF-8"}}, Body: []byte("<!doctype html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" >\n<head>\n    <title>" + title + "</title>\n</head><body></body></html>")}
}

func (s *Shop) hasStore(code string) bool {
	configs, _ := s.facts["configs"].([]any)
	return slices.ContainsFunc(configs, func(c any) bool { o, ok := c.(object); return ok && o["code"] == code })
}

// route finds what a path needs the right to, and what answers it.
func (s *Shop) route(r *http.Request, path string) (resource string, handle func() reply) {
	q := rawQuery(r.URL.RawQuery)
	fact := func(name string) func() reply { return func() reply { return ok(s.facts[name]) } }
	list := func(t *table) func() reply { return func() reply { return s.list(t, q) } }
	if r.Method == http.MethodGet {
		switch path {
		case "orders":
			return "Magento_Sales::actions_view", list(s.orders)
		case "customers/search":
			return "Magento_Customer::customer", list(s.customers)
		case "carts/search":
			return "Magento_Cart::manage", list(s.carts)
		case "products":
			return "Magento_Catalog::products", list(s.products)
		case "creditmemos":
			return "Magento_Sales::sales_creditmemo", list(s.refunds)
		case "categories/list":
			return "Magento_Catalog::categories", list(s.categories)
		case "customerGroups/search":
			return "Magento_Customer::group", list(s.groups)
		case "store/storeConfigs":
			return "Magento_Backend::store", fact("configs")
		case "store/storeViews":
			return "Magento_Backend::store", fact("views")
		case "store/websites":
			return "Magento_Backend::store", fact("websites")
		case "directory/currency":
			return "", fact("currency")
		case "attributeMetadata/customer":
			return "Magento_Customer::customer", fact("customer_attributes")
		case "products/attributes/manufacturer/options":
			return "Magento_Catalog::attributes_attributes", fact("brands")
		}
	}
	return s.single(r, path, q)
}

// single answers one record.
func (s *Shop) single(r *http.Request, path string, q url.Values) (resource string, handle func() reply) {
	kind, id, _ := strings.Cut(path, "/")
	resources := map[string]string{ //nolint:gosec // names of rights
		"orders": "Magento_Sales::actions_view", "customers": "Magento_Customer::customer", "carts": "Magento_Cart::manage",
		"creditmemo": "Magento_Sales::sales_creditmemo", "categories": "Magento_Catalog::categories", "products": "Magento_Catalog::products",
	}
	tables := map[string]*table{"orders": s.orders, "customers": s.customers, "carts": s.carts, "creditmemo": s.refunds, "categories": s.categories}
	t := tables[kind]
	switch {
	case kind == "products" && r.Method == http.MethodGet && !strings.HasPrefix(id, "attributes/"):
		return resources[kind], func() reply { return s.productOf(id, q) }
	case kind == "carts" && r.Method == http.MethodGet && strings.HasSuffix(id, "/totals"):
		return resources[kind], func() reply { return s.totals(strings.TrimSuffix(id, "/totals"), q) }
	case kind == "customers" && r.Method == http.MethodPut:
		return "Magento_Customer::manage", func() reply { return s.putCustomer(r, id) }
	case t == nil || r.Method != http.MethodGet || strings.Contains(id, "/") || id == "":
		return "", nil
	}
	return resources[kind], func() reply {
		n, err := strconv.ParseInt(id, 10, 64)
		if err != nil {
			return refuse(http.StatusBadRequest, `The "`+id+`" value's type is invalid. The "int" type was expected. Verify and try again.`, nil)
		}
		rec := t.rows[n]
		switch {
		case rec == nil && t == s.orders:
			return refuse(http.StatusNotFound, "The entity that was requested doesn't exist. Verify the entity and try again.", nil)
		case rec == nil:
			return refuse(http.StatusNotFound, "No such entity with %fieldName = %fieldValue", object{"fieldName": strings.TrimSuffix(kind, "s") + "Id", "fieldValue": n})
		case rec.bad == "crash":
			return crash()
		}
		return ok(trimmed(s.shown(t, rec, true), q.Get("fields")))
	}
}

// shown is a record as the API shows it. Orders and carts repeat their lines below shipping_assignments, lines of
// configurable products their parents.
func (s *Shop) shown(t *table, r *record, alone bool) object {
	out := maps.Clone(r.data)
	if r.bad == "broken" {
		out["order_currency_code"], out["base_currency_code"] = nil, nil
		out["currency"], out["email"], out["sku"] = nil, object{"a": 1}, nil
		out["items"] = "broken"
		return out
	}
	switch t.name {
	case "orders":
		items, _ := out["items"].([]any)
		out["items"] = withParents(items)
		repeated(out)
	case "carts":
		if !active(r) {
			delete(out, "items")
			delete(out, "extension_attributes")
			return out
		}
		repeated(out)
	case "products":
		if alone {
			e, _ := out["extension_attributes"].(object)
			e = maps.Clone(e)
			e["stock_item"] = s.stocks[r.id]
			out["extension_attributes"] = e
		}
	}
	return out
}

func withParents(items []any) []any {
	parents := map[string]object{}
	for _, i := range items {
		if o, ok := i.(object); ok {
			parents[text(o["item_id"])] = o
		}
	}
	out := make([]any, len(items))
	for n, i := range items {
		out[n] = i
		if o, ok := i.(object); ok && o["parent_item_id"] != nil {
			o = maps.Clone(o)
			o["parent_item"] = parents[text(o["parent_item_id"])]
			out[n] = o
		}
	}
	return out
}

func repeated(out object) {
	e, ok := out["extension_attributes"].(object)
	if !ok {
		return
	}
	assignments, ok := e["shipping_assignments"].([]any)
	if !ok || len(assignments) == 0 {
		return
	}
	first, ok := assignments[0].(object)
	if !ok {
		return
	}
	first, e = maps.Clone(first), maps.Clone(e)
	first["items"] = out["items"]
	e["shipping_assignments"] = []any{first}
	out["extension_attributes"] = e
}
