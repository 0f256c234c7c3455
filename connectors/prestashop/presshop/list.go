package presshop

import (
	"bytes"
	"cmp"
	"fmt"
	"hash/fnv"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// list answers a list: filters, sort, limit, display. Mistakes are answered as PrestaShop does: 500, the reason first,
// its own complaints behind.
func (s *Shop) list(req request, t *table) reply {
	if v := req.q.Get("language"); v != "" && v != "1" && v != "2" && !strings.HasPrefix(v, "[") {
		return req.refuse(http.StatusBadRequest, said{81, "language is not available"})
	}
	rows, wrong := s.filtered(req, t)
	if wrong == nil {
		wrong = t.sorted(req, rows)
	}
	if wrong == nil {
		rows, wrong = limited(req, rows)
	}
	display, mistake := s.display(req, t)
	if wrong == nil {
		wrong = mistake
	}
	if wrong != nil {
		return req.mistake(*wrong)
	}
	for _, r := range rows {
		id := r.number("id")
		onlyIDs := len(display) == 1 && display["id"] != nil
		if s.stumbles[stumble{t.name, id, true}] || s.stumbles[stumble{t.name, id, false}] && !onlyIDs {
			return req.refuse(http.StatusInternalServerError, phpWarning())
		}
	}
	if len(rows) == 0 {
		return req.data([]byte("[]"))
	}
	st := s.style()
	st.single = st.single || req.q.Get("language") == "1"
	out := make([][]byte, len(rows))
	for i, r := range rows {
		if _, ok := display["final"]; ok {
			r = s.priced(t, r)
		}
		out[i] = r.render(st, display)
	}
	return req.data(fmt.Appendf(nil, `{"%s":[%s]}`, node(t.name), bytes.Join(out, []byte(","))))
}

func phpWarning() said {
	return said{3, `[PHP Warning #2] Undefined array key "foo" (/var/www/html/modules/somemodule/somemodule.php, line 50)`}
}

func (req request) mistake(first said) reply {
	errs := []said{first}
	for line := 1299; line <= 1302; line++ {
		errs = append(errs, said{3, fmt.Sprintf("[PHP Warning #2] Trying to access array offset on value of type bool (/var/www/html/classes/webservice/WebserviceRequest.php, line %d)", line)})
	}
	return req.refuse(http.StatusInternalServerError, errs...)
}

// known lists the fields that can be filtered and sorted by: dates only when they are asked for.
func (t *table) known(req request, name string) bool {
	switch name {
	case "date_add", "date_upd":
		return slices.Contains(t.fields, name) && req.q.Get("date") == "1"
	case "manufacturer_name", "shipping_number", "final", "id_default_image", "position_in_category":
		return false // computed
	}
	return slices.Contains(t.fields, name)
}

func (s *Shop) filtered(req request, t *table) ([]*row, *said) {
	rows := slices.Clone(t.rows)
	for key, values := range req.q {
		name, ok := strings.CutPrefix(key, "filter[")
		if !ok {
			continue
		}
		name = strings.TrimSuffix(name, "]")
		if !t.known(req, name) {
			return nil, &said{32, fmt.Sprintf(`This filter does not exist. Did you mean: "note"? The full list is: %q`, t.fields)}
		}
		match := matcher(values[len(values)-1])
		rows = slices.DeleteFunc(rows, func(r *row) bool { return !match(r.text(name)) })
	}
	return rows, nil
}

// matcher reads one filter. What is not written exactly as it must be matches nothing, silently.
func matcher(v string) func(string) bool {
	m := regexp.MustCompile(`^([<>!%]?)\[(.*)\](%?)$`).FindStringSubmatch(v)
	if m == nil {
		if regexp.MustCompile(`^[\w .:-]+$`).MatchString(v) {
			return func(s string) bool { return strings.EqualFold(s, v) }
		}
		return func(string) bool { return false }
	}
	op, inner, tail := m[1], m[2], m[3]
	anyOf := func(s string) bool {
		return slices.ContainsFunc(strings.Split(inner, "|"), func(w string) bool { return strings.EqualFold(s, w) })
	}
	lower := strings.ToLower(inner)
	switch {
	case op == ">":
		return func(s string) bool { return compare(s, inner) > 0 }
	case op == "<":
		return func(s string) bool { return compare(s, inner) < 0 }
	case op == "!":
		return func(s string) bool { return !anyOf(s) }
	case op == "%" && tail == "%":
		return func(s string) bool { return strings.Contains(strings.ToLower(s), lower) }
	case op == "%":
		return func(s string) bool { return strings.HasSuffix(strings.ToLower(s), lower) }
	case tail == "%":
		return func(s string) bool { return strings.HasPrefix(strings.ToLower(s), lower) }
	}
	if a, b, ok := strings.Cut(inner, ","); ok {
		if regexp.MustCompile(`[^0-9.: -]`).MatchString(a + b) {
			return func(string) bool { return false }
		}
		if compare(a, b) > 0 {
			a, b = b, a
		}
		return func(s string) bool { return compare(s, a) >= 0 && compare(s, b) <= 0 }
	}
	return anyOf
}

func compare(a, b string) int {
	x, err := strconv.ParseInt(a, 10, 64)
	y, err2 := strconv.ParseInt(b, 10, 64)
	if err == nil && err2 == nil {
		return cmp.Compare(x, y)
	}
	return cmp.Compare(a, b)
}

// sorted sorts in place; without a sort rows come in the order of some index.
func (t *table) sorted(req request, rows []*row) *said {
	v := req.q.Get("sort")
	if v == "" {
		slices.SortFunc(rows, func(a, b *row) int { return cmp.Compare(shuffled(a), shuffled(b)) })
		return nil
	}
	type by struct {
		name string
		desc bool
	}
	var bys []by
	for part := range strings.SplitSeq(strings.TrimSuffix(strings.TrimPrefix(v, "["), "]"), ",") {
		name, up := strings.CutSuffix(part, "_ASC")
		name, down := strings.CutSuffix(name, "_DESC")
		if !up && !down {
			return &said{37, `The "sort" value has to be formed as this example: "field_ASC" or '[field_1_DESC,field_2_ASC,field_3_ASC,...]' ("field" has to be an available field)`}
		}
		if !t.known(req, name) {
			return &said{38, fmt.Sprintf("Unable to filter by this field. However, these are available: %s", strings.Join(t.fields, ", "))}
		}
		bys = append(bys, by{name, down})
	}
	slices.SortStableFunc(rows, func(a, b *row) int {
		for _, x := range bys {
			d := compare(a.text(x.name), b.text(x.name))
			if x.desc {
				d = -d
			}
			if d != 0 {
				return d
			}
		}
		return 0
	})
	return nil
}

func shuffled(r *row) uint64 {
	h := fnv.New64a()
	fmt.Fprint(h, r.text("email"), r.text("id"))
	return h.Sum64()
}

func limited(req request, rows []*row) ([]*row, *said) {
	v := req.q.Get("limit")
	if v == "" {
		return rows, nil
	}
	parts := strings.Split(v, ",")
	if len(parts) > 2 {
		return nil, &said{39, `The "limit" value has to be formed as this example: "5,25" or "10"`}
	}
	offset := 0
	n, _ := strconv.Atoi(parts[len(parts)-1]) // what is no number is 0, silently
	if len(parts) == 2 {
		offset, _ = strconv.Atoi(parts[0])
	}
	offset = min(offset, len(rows))
	return rows[offset:min(offset+max(n, 0), len(rows))], nil
}

// display says which fields are wanted, and which of their lists: nil is everything.
func (s *Shop) display(req request, t *table) (map[string][]string, *said) {
	v := req.q.Get("display")
	switch v {
	case "":
		return map[string][]string{"id": {}}, nil
	case "full":
		return nil, nil
	}
	out := map[string][]string{}
	for _, f := range split(strings.TrimSuffix(strings.TrimPrefix(v, "["), "]")) {
		name, inner, list := strings.Cut(f, "[")
		switch {
		case slices.Contains(t.lists, name):
			out[name] = strings.Split(strings.TrimSuffix(inner, "]"), ",")
		case name == "final" && req.q.Has("price[final][use_tax]") && (t.name == "products" || t.name == "combinations"),
			slices.Contains(t.fields, name) && !list:
			out[name] = []string{}
		default:
			return nil, &said{35, fmt.Sprintf(`Unable to display this field "%s". However, these are available: %s`, name, strings.Join(t.fields, ", "))}
		}
	}
	return out, nil
}

// split cuts at commas that are not inside brackets.
func split(s string) []string {
	var out []string
	depth, from := 0, 0
	for i, c := range s {
		switch c {
		case '[':
			depth++
		case ']':
			depth--
		case ',':
			if depth == 0 {
				out = append(out, s[from:i])
				from = i + 1
			}
		}
	}
	return append(out, s[from:])
}
