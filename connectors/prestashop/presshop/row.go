package presshop

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// object is a JSON object that keeps the order of its fields, as PHP does.
type object struct {
	names []string
	vals  map[string]json.RawMessage
}

// row is one entity: its fields, and lists of what belongs to it.
type row struct {
	object
	lists  []string
	linked map[string][]object
}

func parseObject(raw []byte) (object, error) {
	o := object{vals: map[string]json.RawMessage{}}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return o, errors.New("no object")
	}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return o, err
		}
		name, _ := t.(string)
		var v json.RawMessage
		if err := dec.Decode(&v); err != nil {
			return o, err
		}
		o.names = append(o.names, name)
		o.vals[name] = v
	}
	return o, nil
}

func parseRow(raw []byte) (*row, error) {
	o, err := parseObject(raw)
	if err != nil {
		return nil, err
	}
	r := &row{object: o, linked: map[string][]object{}}
	links, ok := o.vals["associations"]
	if !ok {
		return r, nil
	}
	r.drop("associations")
	all, err := parseObject(links)
	if err != nil {
		return nil, err
	}
	for _, name := range all.names {
		var raws []json.RawMessage
		if err := json.Unmarshal(all.vals[name], &raws); err != nil {
			return nil, err
		}
		for _, raw := range raws {
			o, err := parseObject(raw)
			if err != nil {
				return nil, err
			}
			r.link(name, o)
		}
	}
	return r, nil
}

func (r *row) link(name string, o object) {
	if !slices.Contains(r.lists, name) {
		r.lists = append(r.lists, name)
	}
	r.linked[name] = append(r.linked[name], o)
}

func (o *object) drop(name string) {
	o.names = slices.DeleteFunc(slices.Clone(o.names), func(n string) bool { return n == name })
	delete(o.vals, name)
}

// made is a row of fields given in pairs.
func made(pairs ...any) object {
	o := object{vals: map[string]json.RawMessage{}}
	for i := 0; i+1 < len(pairs); i += 2 {
		name, _ := pairs[i].(string)
		o.set(name, pairs[i+1])
	}
	return o
}

// set writes a value as PHP 8.1 and newer do: whole numbers as numbers, everything else as text.
func (o *object) set(name string, v any) {
	if !slices.Contains(o.names, name) {
		o.names = append(o.names, name)
	}
	b, _ := json.Marshal(v) // texts, numbers and lists of them
	o.vals[name] = b
}

func (o *object) clone() object {
	return object{names: slices.Clone(o.names), vals: maps.Clone(o.vals)}
}

// text is a field as the database would compare it.
func (o *object) text(name string) string {
	v := o.vals[name]
	if len(v) == 0 || v[0] == 'n' {
		return ""
	}
	if v[0] == '"' {
		var s string
		_ = json.Unmarshal(v, &s) // it is one
		return s
	}
	return string(v)
}

func (o *object) number(name string) int64 {
	n, _ := strconv.ParseInt(o.text(name), 10, 64) // no number counts as 0, as in SQL
	return n
}

// translation is a text in the shop's first language.
func (o *object) translation(name string) string {
	var ws []struct {
		Value string `json:"value"`
	}
	if json.Unmarshal(o.vals[name], &ws) != nil || len(ws) == 0 {
		return o.text(name)
	}
	return ws[0].Value
}

func translated(fr, en string) any {
	type one struct {
		ID    int64  `json:"id"`
		Value string `json:"value"`
	}
	return []one{{1, fr}, {2, en}}
}

// style is how values are written.
type style struct {
	strings bool // PHP up to 8.0: all but the entity's own id are strings
	single  bool // one language: texts instead of lists
}

func (st style) value(raw json.RawMessage, own bool) []byte {
	if st.single && bytes.HasPrefix(raw, []byte(`[{"id":`)) {
		o := object{vals: map[string]json.RawMessage{"x": raw}}
		raw, _ = json.Marshal(o.translation("x")) // a text
	}
	if st.strings && !own {
		if c := raw[0]; c == '-' || c >= '0' && c <= '9' {
			raw = fmt.Appendf(nil, `"%s"`, raw)
		} else if c == '[' {
			raw = st.quoteIDs(raw)
		}
	}
	return bytes.ReplaceAll(raw, []byte("/"), []byte(`\/`))
}

func (st style) quoteIDs(raw []byte) []byte {
	var ws []struct {
		ID    json.Number `json:"id"`
		Value string      `json:"value"`
	}
	if json.Unmarshal(raw, &ws) != nil {
		return raw
	}
	var parts []string
	for _, w := range ws {
		v, _ := json.Marshal(w.Value) // a text
		parts = append(parts, fmt.Sprintf(`{"id":"%s","value":%s}`, w.ID, v))
	}
	return []byte("[" + strings.Join(parts, ",") + "]")
}

// write renders the fields that are wanted; nil wants all.
func (o object) write(st style, top bool, wanted func(string) bool) []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	for _, n := range o.names {
		if wanted != nil && !wanted(n) {
			continue
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:", n)
		b.Write(st.value(o.vals[n], top && n == "id"))
	}
	b.WriteByte('}')
	return b.Bytes()
}

// render writes a row as a list shows it; display nil shows everything.
func (r *row) render(st style, display map[string][]string) []byte {
	all := display == nil
	out := r.write(st, true, func(n string) bool { _, ok := display[n]; return all || ok })
	var lists [][]byte
	for _, name := range r.lists {
		fields, ok := display[name]
		if len(r.linked[name]) == 0 || !ok && !all {
			continue
		}
		var rows [][]byte
		for _, o := range r.linked[name] {
			rows = append(rows, o.write(st, false, func(n string) bool { return len(fields) == 0 || slices.Contains(fields, n) }))
		}
		lists = append(lists, fmt.Appendf(nil, "%q:[%s]", name, bytes.Join(rows, []byte(","))))
	}
	if len(lists) == 0 {
		return out
	}
	links := fmt.Appendf(nil, `"associations":{%s}}`, bytes.Join(lists, []byte(",")))
	if len(out) > 2 {
		links = append([]byte(","), links...)
	}
	return append(out[:len(out)-1], links...)
}

// detail writes a row as /resource/id does: whatever is empty or 0 is left out.
func (r *row) detail(st style) []byte {
	d := &row{object: r.clone(), lists: r.lists, linked: r.linked}
	for _, n := range r.names {
		switch v := string(r.vals[n]); v {
		case `"0"`, `""`, "0", "null", "false", "[]":
			d.drop(n)
		}
	}
	return d.render(st, nil)
}
