package wooshop

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
)

// object is a JSON object that keeps the order of its fields and the bytes of those that were not touched, so that a
// recorded body stays what the shop sent.
type object struct{ fields []field }

type field struct {
	name string
	raw  json.RawMessage
}

func parseObject(raw []byte) (*object, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("not an object")
	}
	o := &object{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, ok := t.(string)
		if !ok {
			return nil, errors.New("a field has no name")
		}
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return nil, err
		}
		o.fields = append(o.fields, field{name, v})
	}
	return o, nil
}

func (o *object) get(name string) json.RawMessage {
	for _, f := range o.fields {
		if f.name == name {
			return f.raw
		}
	}
	return nil
}

// set changes or appends a field.
func (o *object) set(name string, v any) { o.setRaw(name, phpJSON(v)) }

// setRaw is set with what is written as PHP does already.
func (o *object) setRaw(name string, raw json.RawMessage) {
	for i := range o.fields {
		if o.fields[i].name == name {
			o.fields[i].raw = raw
			return
		}
	}
	o.fields = append(o.fields, field{name, raw})
}

func (o *object) without(name string) *object {
	return &object{fields: slices.DeleteFunc(slices.Clone(o.fields), func(f field) bool { return f.name == name })}
}

func (o *object) bytes() []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, f := range o.fields {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(phpJSON(f.name))
		b.WriteByte(':')
		b.Write(f.raw)
	}
	b.WriteByte('}')
	return b.Bytes()
}

// filter keeps what `_fields` names: nested objects by dots, never into lists.
func (o *object) filter(names []string) *object {
	out := &object{}
	for _, f := range o.fields {
		var below []string
		whole := false
		for _, n := range names {
			head, rest, nested := strings.Cut(n, ".")
			whole = whole || (head == f.name && !nested)
			if head == f.name && nested {
				below = append(below, rest)
			}
		}
		switch {
		case whole:
			out.fields = append(out.fields, f)
		case len(below) > 0:
			if inner, err := parseObject(f.raw); err == nil {
				out.fields = append(out.fields, field{f.name, inner.filter(below).bytes()})
			}
		}
	}
	return out
}

// phpJSON writes as PHP's json_encode does: ASCII only, slashes escaped.
func phpJSON(v any) []byte {
	var plain bytes.Buffer
	e := json.NewEncoder(&plain)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(fmt.Sprintf("wooshop: encoding %T: %v", v, err)) // only our own types come here
	}
	var b bytes.Buffer
	for _, r := range strings.TrimSuffix(plain.String(), "\n") {
		switch {
		case r == '/':
			b.WriteString(`\/`)
		case r < 0x80:
			b.WriteRune(r)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, hi, lo)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.Bytes()
}
