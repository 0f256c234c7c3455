package magshop

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

type condition struct{ field, value, how string }

// query is a parsed searchCriteria: groups are ANDed, filters of a group ORed.
type query struct {
	groups map[string]map[string]*condition
	sorts  map[string][2]string // number → field, direction
	size   string
	page   string
}

// parse reads searchCriteria[filter_groups][0][filters][0][field] and its camelCase and snake_case spellings.
func parse(q url.Values) (query, bool) {
	out, found := query{groups: map[string]map[string]*condition{}, sorts: map[string][2]string{}}, false
	for key, vs := range q {
		parts := strings.Split(strings.ReplaceAll(key, "]", ""), "[")
		if name := camel(parts[0]); name != "searchCriteria" {
			continue
		}
		found = true
		for i := range parts {
			parts[i] = camel(parts[i])
		}
		switch v := vs[0]; {
		case len(parts) == 2 && parts[1] == "pageSize":
			out.size = v
		case len(parts) == 2 && parts[1] == "currentPage":
			out.page = v
		case len(parts) == 6 && parts[1] == "filterGroups" && parts[3] == "filters":
			if out.groups[parts[2]] == nil {
				out.groups[parts[2]] = map[string]*condition{}
			}
			c := out.groups[parts[2]][parts[4]]
			if c == nil {
				c = &condition{how: "eq"}
				out.groups[parts[2]][parts[4]] = c
			}
			switch parts[5] {
			case "field":
				c.field = v
			case "value":
				c.value = v
			case "conditionType":
				c.how = v
			}
		case len(parts) == 4 && parts[1] == "sortOrders":
			sort := out.sorts[parts[2]]
			sort[map[string]int{"field": 0, "direction": 1}[parts[3]]] = v
			out.sorts[parts[2]] = sort
		}
	}
	return out, found
}

func camel(s string) string {
	parts := strings.Split(s, "_")
	for i, p := range parts[1:] {
		if p != "" {
			parts[i+1] = strings.ToUpper(p[:1]) + p[1:]
		}
	}
	return strings.Join(parts, "")
}

// list answers a search.
func (s *Shop) list(t *table, q url.Values) reply {
	c, found := parse(q)
	if !found {
		return refuse(http.StatusBadRequest, `"%fieldName" is required. Enter and try again.`, map[string]any{"fieldName": "searchCriteria"})
	}
	size, bad := wholeNumber("pageSize", c.size, 0)
	page, bad2 := wholeNumber("currentPage", c.page, 1)
	if bad = cmp.Or(bad, bad2); bad != nil {
		return *bad
	}
	if s.opts.MostRows > 0 && size > s.opts.MostRows {
		return refuse(http.StatusBadRequest, "Maximum SearchCriteria pageSize is %max", map[string]any{"max": s.opts.MostRows})
	}
	var rows []*record
	for _, r := range t.rows {
		ok, bad := s.matches(t, r, c)
		if bad != nil {
			return *bad
		}
		if ok {
			rows = append(rows, r)
		}
	}
	if len(t.rows) == 0 { // names are checked all the same
		if _, bad := s.matches(t, &record{}, c); bad != nil {
			return *bad
		}
	}
	if bad := s.sort(t, rows, c); bad != nil {
		return *bad
	}
	total := len(rows)
	rows = s.cut(rows, size, page)
	items := make([]any, len(rows))
	for i, r := range rows {
		if r.bad == "crash" {
			return crash()
		}
		items[i] = s.shown(t, r, false)
	}
	return ok(trimmed(object{"items": items, "search_criteria": object{}, "total_count": total}, q.Get("fields")))
}

func wholeNumber(name, v string, otherwise int) (int, *reply) {
	if v == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		a := refuse(http.StatusBadRequest, fmt.Sprintf(
			`Error occurred during "%s" processing. The "%s" value's type is invalid. The "int" type was expected. Verify and try again.`, name, v), nil)
		return 0, &a
	}
	return n, nil
}

// cut takes a page. Size 0 is everything, a negative one a single row; what lies past the end depends on the version.
func (s *Shop) cut(rows []*record, size, page int) []*record {
	switch {
	case size == 0:
		return rows
	case size < 0:
		size = 1
	}
	page = max(page, 1)
	if pages := max((len(rows)+size-1)/size, 1); s.opts.Old && page > pages {
		page = pages
	}
	from := min((page-1)*size, len(rows))
	return rows[from:min(from+size, len(rows))]
}

func (s *Shop) matches(t *table, r *record, c query) (bool, *reply) {
	all := true
	for _, group := range c.groups {
		one := false
		for _, f := range group {
			v, known := s.column(t, r, f.field)
			if !known {
				a := unknownField(t, f.field)
				return false, &a
			}
			one = one || f.holds(v)
		}
		all = all && one
	}
	return all, nil
}

// column is what a filter or a sort compares.
func (s *Shop) column(t *table, r *record, field string) (any, bool) {
	switch {
	case field == "entity_id" && t.name != "groups", field == "id" && t.name == "groups", field == "customer_group_id" && t.name == "groups":
		return r.id, true
	case field == "id":
		return nil, false
	}
	if v, ok := r.hidden[field]; ok {
		return v, true
	}
	if v, ok := r.data[field]; ok {
		switch v.(type) {
		case object, []any:
			return nil, false
		}
		return v, true
	}
	if attributes, ok := r.data["custom_attributes"].([]any); ok {
		for _, a := range attributes {
			if a, ok := a.(object); ok && a["attribute_code"] == field {
				return a["value"], true
			}
		}
	}
	if t.name == "customers" && field == "is_subscribed" {
		return nil, false
	}
	return nil, s.knows(t, field)
}

// knows tells whether any row has the column: nulls are left out of answers.
func (s *Shop) knows(t *table, field string) bool {
	for _, r := range t.rows {
		if v, ok := r.data[field]; ok {
			_, deep := v.(object)
			_, many := v.([]any)
			return !deep && !many
		}
		if _, ok := r.hidden[field]; ok {
			return true
		}
	}
	return slices.Contains([]string{"store_id", "updated_at", "created_at", "type_id", "sku", "is_active", "items_count", "customer_id"}, field)
}

func unknownField(t *table, field string) reply {
	switch t.name {
	case "customers", "products", "categories":
		return refuse(http.StatusBadRequest, `The "%1" attribute name is invalid. Reset the name and try again.`, []any{field})
	}
	return crash()
}

func (f condition) holds(v any) bool {
	have := text(v)
	if d, ok := f.dated(); ok {
		f.value = d
	}
	switch f.how {
	case "null":
		return v == nil
	case "notnull":
		return v != nil
	}
	if v == nil {
		return false
	}
	in := slices.ContainsFunc(strings.Split(f.value, ","), func(w string) bool { return compare(have, strings.TrimSpace(w)) == 0 })
	switch d := compare(have, f.value); f.how {
	case "gt":
		return d > 0
	case "gteq", "from", "moreq":
		return d >= 0
	case "lt":
		return d < 0
	case "lteq", "to":
		return d <= 0
	case "neq":
		return d != 0
	case "in", "finset":
		return in
	case "nin":
		return !in
	case "like":
		return like(strings.ToLower(have), strings.ToLower(f.value))
	default: // a condition that it does not know becomes eq
		return d == 0
	}
}

// dated reads the value of a date as MariaDB does: garbage is less than everything.
func (f condition) dated() (string, bool) {
	if !strings.HasSuffix(f.field, "_at") {
		return "", false
	}
	for _, layout := range []string{time.DateTime, time.DateOnly, "2006-01-02T15:04:05Z"} {
		if t, err := time.Parse(layout, f.value); err == nil {
			return t.Format(time.DateTime), true
		}
	}
	if f.value == "0000-00-00 00:00:00" {
		return f.value, true
	}
	return "", true
}

func compare(a, b string) int {
	x, err := decimal.NewFromString(a)
	y, err2 := decimal.NewFromString(b)
	if err == nil && err2 == nil {
		return x.Cmp(y)
	}
	return cmp.Compare(strings.ToLower(a), strings.ToLower(b))
}

// like knows % at both ends only.
func like(v, pattern string) bool {
	core := strings.Trim(pattern, "%")
	switch head, tail := strings.HasPrefix(pattern, "%"), strings.HasSuffix(pattern, "%"); {
	case head && tail:
		return strings.Contains(v, core)
	case head:
		return strings.HasSuffix(v, core)
	case tail:
		return strings.HasPrefix(v, core)
	}
	return v == core
}

func (s *Shop) sort(t *table, rows []*record, c query) *reply {
	slices.SortFunc(rows, byID)
	numbers := slices.Sorted(func(yield func(string) bool) {
		for n := range c.sorts {
			if !yield(n) {
				return
			}
		}
	})
	for _, n := range slices.Backward(numbers) {
		field, direction := c.sorts[n][0], strings.ToUpper(cmp.Or(c.sorts[n][1], "ASC"))
		if direction != "ASC" && direction != "DESC" {
			a := refuse(http.StatusBadRequest, "The sort order has to be specified as %1 for ascending order or %2 for descending order.", []any{"ASC", "DESC"})
			return &a
		}
		if _, known := s.column(t, &record{}, field); !known && field != "entity_id" {
			a := unknownField(t, field)
			return &a
		}
		slices.SortStableFunc(rows, func(a, b *record) int {
			x, _ := s.column(t, a, field)
			y, _ := s.column(t, b, field)
			d := compare(text(x), text(y))
			if direction == "DESC" {
				return -d
			}
			return d
		})
	}
	return nil
}
