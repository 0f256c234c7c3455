package push

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/internal/crm"
)

// document is what the tests look at of the OpenAPI document.
type document struct {
	Paths map[string]map[string]struct {
		Parameters  []struct{ Name, In string }
		RequestBody struct {
			Content map[string]struct {
				Examples map[string]struct{ Value json.RawMessage }
			}
		}
	}
	Components struct{ Schemas map[string]schema }
}

type schema struct {
	Properties map[string]json.RawMessage
	Required   []string
	Enum       []string
	Examples   []json.RawMessage
}

func described(t *testing.T) document {
	t.Helper()
	var d document
	if err := json.Unmarshal(OpenAPI(), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// Whoever copies an example from the document is understood.
func TestEveryExampleOfTheDocumentIsAccepted(t *testing.T) {
	t.Parallel()
	post := described(t).Paths["/v1/shops/{shop}/records"]["post"]
	seen := map[crm.Kind]bool{}
	for name, ex := range post.RequestBody.Content["application/json"].Examples {
		b, err := Decode(ex.Value)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, r := range b.Records {
			seen[r.Ref.Kind] = true
			if len(r.Problems) > 0 {
				t.Errorf("%s: %v", name, r.Problems)
			}
		}
	}
	for _, k := range Kinds() {
		if !seen[k] {
			t.Errorf("there is no example of %s", k)
		}
	}
	var headers []string
	for _, p := range post.Parameters {
		headers = append(headers, p.Name)
	}
	for _, h := range []string{HeaderTimestamp, HeaderSignature} {
		if !slices.Contains(headers, h) {
			t.Errorf("%s is not described", h)
		}
	}
}

// The document names exactly the fields that the decoder reads, and exactly those as required that it misses.
func TestTheDocumentDescribesWhatTheDecoderReads(t *testing.T) {
	t.Parallel()
	d := described(t)
	check := func(name string, read func(o *object)) {
		t.Helper()
		o := &object{fields: map[string]any{}, ps: &problems{}}
		read(o)
		s, ok := d.Components.Schemas[name]
		if !ok {
			t.Fatalf("there is no schema %s", name)
		}
		slices.Sort(o.known)
		if diff := cmp.Diff(slices.Sorted(maps.Keys(s.Properties)), slices.Compact(o.known)); diff != "" {
			t.Errorf("%s: fields (-described +read):\n%s", name, diff)
		}
		var missed []string
		for _, p := range o.ps.list {
			if field := strings.TrimPrefix(p.Pointer, "/"); strings.HasPrefix(p.Message, "is missing") && !strings.Contains(p.Message, "customer_id") {
				missed = append(missed, field)
			}
		}
		slices.Sort(missed)
		slices.Sort(s.Required)
		if diff := cmp.Diff(s.Required, slices.Compact(missed)); diff != "" {
			t.Errorf("%s: required (-described +missed):\n%s", name, diff)
		}
	}
	for _, k := range crm.Kinds() {
		title := strings.ToUpper(string(k[:1])) + string(k[1:])
		check(title, func(o *object) { body(crm.Ref{Kind: k}, o) })
		record := d.Components.Schemas[title+"Record"]
		var r Record
		o := &object{fields: map[string]any{"kind": string(k)}, ps: &problems{}}
		r.read(o)
		slices.Sort(o.known)
		described := slices.Sorted(maps.Keys(record.Properties))
		if k == crm.KindEvent || k == crm.KindConsent { // read, to be refused with a sentence
			described = slices.Insert(described, 1, "deleted")
		}
		if diff := cmp.Diff(described, slices.Compact(o.known)); diff != "" {
			t.Errorf("%sRecord: fields (-described +read):\n%s", title, diff)
		}
	}
	check("Address", func(o *object) { address(o) })
	check("Line", func(o *object) {
		var line *object
		o.fields["lines"] = []any{map[string]any{}}
		lines(o, "EUR")
		line = &object{fields: map[string]any{}, ps: o.ps}
		for name := range d.Components.Schemas["Line"].Properties { // what lines takes without complaint, it knows
			o.ps.list = nil
			lines(&object{fields: map[string]any{"lines": []any{map[string]any{name: nil}}}, ps: o.ps}, "EUR")
			if len(o.ps.list) == 0 {
				line.skip(name)
			}
		}
		o.known = line.known
	})
	var state struct{ Enum []string }
	if err := json.Unmarshal(d.Components.Schemas["Order"].Properties["state"], &state); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(states(), state.Enum); diff != "" {
		t.Errorf("states (-read +described):\n%s", diff)
	}
}
