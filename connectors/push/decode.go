package push

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
)

// KindHint is the kind of a record that carries nothing but the wish to read a record of a polled shop again.
const KindHint crm.Kind = "hint"

// Kinds lists every kind of record that may be sent.
func Kinds() []crm.Kind { return append(crm.Kinds(), KindHint) }

// Problem is a mistake in a body. Pointer (RFC 6901) names the place from the body's top; Message is a sentence. Neither
// repeats a value.
type Problem struct {
	Pointer string `json:"pointer"`
	Message string `json:"message"`
}

// FormatError says that a body as a whole cannot be read.
type FormatError struct {
	Problem
	TooMany bool // more records than MaxRecords
}

// Error reads "at /records: what is wrong".
func (e *FormatError) Error() string {
	if e.Pointer == "" {
		return e.Message
	}
	return "at " + e.Pointer + ": " + e.Message
}

// Record is one record of a batch. With Problems it is rejected; else it has Facts, or Hint.
type Record struct {
	Ref      crm.Ref // Kind and ID as far as they could be read; a hint's Ref has KindHint and no ID
	Sequence int64
	Facts    []crm.Fact
	Hint     crm.Ref // of KindHint: the record to read again
	Problems []Problem
	Raw      []byte
}

// Rejected is the record as quarantine takes it.
func (r Record) Rejected(reason string) connectors.Rejected {
	return connectors.Rejected{Ref: r.Ref, Reason: reason, Raw: r.Raw}
}

// Reason is what quarantine says of a rejected record.
func (r Record) Reason() string {
	said := make([]string, len(r.Problems))
	for i, p := range r.Problems {
		said[i] = p.Pointer + " " + p.Message
	}
	return strings.Join(said, "; ")
}

// Batch is a decoded body.
type Batch struct {
	History bool // records of the past: they trigger nothing
	Records []Record
}

// Decode reads a body record by record: a record that cannot be understood has Problems and harms no other. The error,
// of type *FormatError, says that the body is none of ours. It never panics, whatever the bytes.
func Decode(body []byte) (Batch, error) {
	var b Batch
	top, err := members(body)
	if err != nil {
		return b, err
	}
	var list []json.RawMessage
	for name, raw := range top {
		switch name {
		case "history":
			if json.Unmarshal(raw, &b.History) != nil {
				return b, format("/history", "must be true or false")
			}
		case "records":
			if json.Unmarshal(raw, &list) != nil {
				return b, format("/records", "must be a list of records")
			}
		default:
			return b, format(pointer("", name), unknownField(name, []string{"history", "records"}))
		}
	}
	switch {
	case len(list) == 0:
		return b, format("/records", "is missing or empty: there is nothing to take")
	case len(list) > MaxRecords:
		return b, &FormatError{Problem{"/records", fmt.Sprintf("has %d records; a batch has at most %d", len(list), MaxRecords)}, true}
	}
	b.Records = make([]Record, len(list))
	for i, raw := range list {
		b.Records[i] = decodeRecord(raw, fmt.Sprintf("/records/%d", i))
	}
	return b, nil
}

func format(at, message string) error { return &FormatError{Problem: Problem{at, message}} }

// members splits the body's outermost object.
func members(body []byte) (map[string]json.RawMessage, error) {
	var top map[string]json.RawMessage
	d := json.NewDecoder(bytes.NewReader(body))
	err := d.Decode(&top)
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return nil, format("", fmt.Sprintf("the body is not JSON: it breaks off at byte %d", syntax.Offset))
	}
	if err != nil {
		return nil, format("", "the body is not a JSON object with a list of records")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, format("", "something follows the JSON object")
	}
	if top == nil {
		return nil, format("", "the body is not a JSON object with a list of records")
	}
	return top, nil
}

func decodeRecord(raw json.RawMessage, at string) Record {
	r := Record{Raw: bytes.Clone(raw)}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	ps := &problems{}
	if err := d.Decode(&v); err != nil {
		ps.add(at, "cannot be read")
	} else if fields, ok := v.(map[string]any); !ok {
		ps.add(at, "a record must be an object")
	} else {
		r.read(&object{at: at, fields: fields, ps: ps})
	}
	r.Problems = ps.list
	if len(r.Problems) > 0 {
		r.Facts, r.Hint = nil, crm.Ref{}
	}
	return r
}

const (
	maxID       = 64
	maxSequence = 1<<53 - 1 // what every JSON reader keeps exact
)

// read decodes the envelope and what it carries.
func (r *Record) read(o *object) {
	kind := o.oneOf("kind", true, kindNames()...)
	r.Ref.Kind = crm.Kind(kind)
	if kind == "" {
		o.skip("id", "sequence", "deleted", "data")
		r.Ref.ID = o.id("id", false)
		o.end()
		return
	}
	if r.Ref.Kind == KindHint {
		r.readHint(o)
		return
	}
	r.Ref.ID = o.id("id", true)
	immutable := r.Ref.Kind == crm.KindEvent || r.Ref.Kind == crm.KindConsent
	if r.Sequence = o.integer("sequence", 0, maxSequence); r.Sequence == 0 {
		if !immutable {
			o.bad("sequence", "is missing: a whole number from 1 that grows with every change of this record, for example the time of the change in milliseconds")
		}
		r.Sequence = 1
	}
	deleted := o.flag("deleted", false)
	data, has := o.object("data")
	switch {
	case deleted && immutable:
		o.bad("deleted", "what happened cannot be deleted: send a new "+kind)
	case deleted:
		r.Facts = gone(r.Ref)
		if has {
			o.bad("data", "a deleted record has no data")
		}
	case !has:
		o.bad("data", "is missing")
	default:
		r.Facts = body(r.Ref, data)
		data.end()
	}
	o.end()
}

func (r *Record) readHint(o *object) {
	data, has := o.object("data")
	if !has {
		o.bad("data", "is missing: the kind and id of the record to read again")
		o.end()
		return
	}
	kind := data.oneOf("kind", true, "customer", "order", "refund", "cart", "product", "category")
	r.Hint = crm.Ref{Kind: crm.Kind(kind), ID: data.id("id", true)}
	data.end()
	o.end()
}

func kindNames() []string {
	var names []string
	for _, k := range Kinds() {
		names = append(names, string(k))
	}
	return names
}

// gone are the facets of a deleted record.
func gone(ref crm.Ref) []crm.Fact {
	fact := func(b crm.Body) crm.Fact { return crm.Fact{Ref: ref, Gone: true, Body: b} }
	switch ref.Kind {
	case crm.KindCustomer:
		return []crm.Fact{fact(&crm.Customer{}), fact(&crm.Address{})}
	case crm.KindOrder:
		return []crm.Fact{fact(&crm.Order{})}
	case crm.KindRefund:
		return []crm.Fact{fact(&crm.Refund{})}
	case crm.KindCart:
		return []crm.Fact{fact(&crm.Cart{ClosedBy: "deleted"})}
	case crm.KindProduct:
		return []crm.Fact{fact(&crm.Product{})}
	case crm.KindCategory:
		return []crm.Fact{fact(&crm.Category{})}
	case crm.KindEvent, crm.KindConsent:
	}
	return nil
}

// body decodes the data of a record of a kind.
func body(ref crm.Ref, o *object) []crm.Fact {
	fact := func(b crm.Body) crm.Fact { return crm.Fact{Ref: ref, Body: b} }
	switch ref.Kind {
	case crm.KindCustomer:
		facts := []crm.Fact{fact(customer(o))}
		if a, has := o.object("address"); has {
			facts = append(facts, fact(address(a)))
			a.end()
		}
		return facts
	case crm.KindOrder:
		return []crm.Fact{fact(order(o))}
	case crm.KindRefund:
		return []crm.Fact{fact(refund(o))}
	case crm.KindCart:
		c := cart(o)
		return []crm.Fact{{Ref: ref, Gone: c.ClosedBy != "", Body: c}}
	case crm.KindProduct:
		return []crm.Fact{fact(product(o))}
	case crm.KindCategory:
		return []crm.Fact{fact(&crm.Category{ParentID: o.id("parent_id", false), Name: o.need("name", 255), Slug: o.text("slug", 255)})}
	case crm.KindEvent:
		return []crm.Fact{fact(event(o))}
	case crm.KindConsent:
		return []crm.Fact{fact(consent(o))}
	}
	return nil
}
