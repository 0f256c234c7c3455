package mapping

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/internal/crm"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]Expression{
		`meta.newsletter_optin`:               {Field: "meta.newsletter_optin"},
		`  gender  `:                          {Field: "gender"},
		`meta.optin == "yes"`:                 {Field: "meta.optin", Any: []string{"yes"}},
		`meta.optin=="yes"`:                   {Field: "meta.optin", Any: []string{"yes"}},
		`meta.optin == yes`:                   {Field: "meta.optin", Any: []string{"yes"}},
		`meta.optin == ''`:                    {Field: "meta.optin", Any: []string{""}},
		`gender != "0"`:                       {Field: "gender", Negate: true, Any: []string{"0"}},
		`custom.fidelite in ["or", "argent"]`: {Field: "custom.fidelite", Any: []string{"or", "argent"}},
		`custom.fidelite in[or,'a, b' , "c"]`: {Field: "custom.fidelite", Any: []string{"or", "a, b", "c"}},
		`a in ["x",]`:                         {Field: "a", Any: []string{"x"}},
		`meta._wc_other/shop/optin == "1"`:    {Field: "meta._wc_other/shop/optin", Any: []string{"1"}},
		`a == "b == c"`:                       {Field: "a", Any: []string{"b == c"}},
	} {
		got, err := Parse(text)
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("%s: %v %s", text, err, d)
		}
	}
}

// A mistake is said so that its writer knows what to change.
func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		``:                  "there is no field",
		`== "yes"`:          "there is no field",
		`"meta.optin"`:      "is not the name of a field",
		`meta.optin = yes`:  "comes ==, != or in",
		`meta.optin is yes`: "comes ==, != or in",
		`meta.optin like x`: "comes ==, != or in",
		`a ==`:              "the value is missing",
		`a == "yes`:         "a quotation mark is missing",
		`a == yes no`:       `there is "no"`,
		`a == "x" or b`:     `there is "or b"`,
		`a in "x"`:          "after in comes a list",
		`a in ["x" "y"]`:    "separated by commas",
		`a in []`:           "the list is empty",
		`a in [ , ]`:        "the value is missing",
		`a in ["x", "y]`:    "a quotation mark is missing",
	} {
		if e, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, error %v, want %q", text, e, err, want)
		}
	}
}

func TestValues(t *testing.T) {
	record := map[string]string{"yes": "Yes", "one": " 1 ", "no": "0", "empty": "", "club": "Or"}
	look := func(f string) (string, bool) { v, ok := record[f]; return v, ok }
	for text, want := range map[string]struct {
		value, statement string
		known            bool
	}{
		`yes`:                      {"Yes", "yes", true},
		`one`:                      {" 1 ", "yes", true},
		`no`:                       {"0", "no", true},
		`empty`:                    {"", "no", true},
		`absent`:                   {"", "", false},
		`absent == ""`:             {"", "", false},
		`absent != "1"`:            {"", "", false}, // a record without the field says nothing
		`no != "1"`:                {"yes", "yes", true},
		`no == "1"`:                {"no", "no", true},
		`club in ["or", "argent"]`: {"yes", "yes", true},
		`club == "argent"`:         {"no", "no", true},
		`empty == ""`:              {"yes", "yes", true},
	} {
		e, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		v, known := e.Value(look)
		if v != want.value || known != want.known || e.Yes(look) != want.statement {
			t.Errorf("%s: %q %v %q", text, v, known, e.Yes(look))
		}
	}
}

func fields() Fields {
	return Fields{Customer: []string{"meta.", "role"}, Order: []string{"meta."}, Statuses: true}
}

func TestValidate(t *testing.T) {
	for name, c := range map[string]struct {
		m          Mapping
		path, want string
	}{
		"nothing":          {Mapping{}, "", ""},
		"good":             {Mapping{Birthday: "meta.born", Locale: "role", Consent: &Consent{Customer: `meta.a == "b"`, Order: "meta.a", False: Withdrawn}, Attributes: map[string]string{"a": "meta.x"}, Statuses: map[string]string{"x": crm.StateShipped}}, "", ""},
		"no product here":  {Mapping{Brand: "meta.x"}, "$.brand", "no mapping"},
		"unknown field":    {Mapping{Birthday: "born"}, "$.birthday", "meta.…, role"},
		"only the root":    {Mapping{Birthday: "meta."}, "$.birthday", "meta.…"},
		"below a field":    {Mapping{Birthday: "role.x"}, "$.birthday", "role"},
		"half a condition": {Mapping{Locale: "meta.a =="}, "$.locale", "comparison"},
		"attribute":        {Mapping{Attributes: map[string]string{"club": "fidelite"}}, "$.attributes.club", "meta.…"},
		"empty attribute":  {Mapping{Attributes: map[string]string{"club": ""}}, "$.attributes.club", "a field"},
		"our attribute":    {Mapping{Attributes: map[string]string{"relance.x": "meta.x"}}, "$.attributes.relance.x", "another name"},
		"state":            {Mapping{Statuses: map[string]string{"x": "cooking"}}, "$.statuses.x", crm.StateCompleted},
		"empty consent":    {Mapping{Consent: &Consent{}}, "$.consent", "customer:"},
		"consent":          {Mapping{Consent: &Consent{Customer: "optin"}}, "$.consent.customer", "meta.…"},
		"consent of order": {Mapping{Consent: &Consent{Order: "role"}}, "$.consent.order", "meta.…"},
		"false":            {Mapping{Consent: &Consent{Customer: "role", False: "no"}}, "$.consent.false", "silence"},
	} {
		ps := c.m.Validate(fields())
		if c.path == "" {
			if len(ps) > 0 {
				t.Errorf("%s: %+v", name, ps)
			}
			continue
		}
		if len(ps) != 1 || ps[0].Path != c.path || !strings.Contains(ps[0].Want, c.want) || ps[0].Message == "" {
			t.Errorf("%s: %+v, want %s %s", name, ps, c.path, c.want)
		}
	}
	if ps := (Mapping{Statuses: map[string]string{"x": crm.StateShipped}}).Validate(Fields{}); len(ps) != 1 {
		t.Errorf("statuses where they are fixed: %+v", ps)
	}
}

func TestCompiled(t *testing.T) {
	c, err := Compile(Mapping{
		Consent: &Consent{Customer: "role == club"}, Attributes: map[string]string{"a": "x", "b": "y", "c": "z", "d": `x == "1"`},
	})
	if err != nil {
		t.Fatal(err)
	}
	look := func(f string) (string, bool) {
		v, ok := map[string]string{"x": "1", "y": "", "role": "Club"}[f]
		return v, ok
	}
	if d := cmp.Diff(map[string]string{"a": "1", "d": "yes"}, c.AttributesOf(look)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(&crm.OptIn{Topic: "marketing", Channel: "email", Value: "yes", NoMeans: Silence}, c.OptIn(c.CustomerConsent, look)); d != "" {
		t.Error(d)
	}
	if c.OptIn(c.OrderOptIn, look) != nil || c.Brand != nil {
		t.Error("what is not mapped says something")
	}
	c, err = Compile(Mapping{Consent: &Consent{Order: "x", Topic: "news", False: Withdrawn}})
	if err != nil {
		t.Fatal(err)
	}
	if o := c.OptIn(c.OrderOptIn, look); o.Topic != "news" || o.NoMeans != Withdrawn {
		t.Errorf("%+v", o)
	}
	if _, err := Compile(Mapping{Brand: "a =="}); err == nil {
		t.Error("half a condition compiles")
	}
}

// Normalising again is asked for when, and only when, the mapping means something else.
func TestRules(t *testing.T) {
	a := Mapping{Attributes: map[string]string{"x": "meta.x", "y": "meta.y"}}
	b := Mapping{Attributes: map[string]string{"y": "meta.y", "x": "meta.x"}}
	if a.Rules() != b.Rules() || a.Rules() == "" {
		t.Error("equal mappings have different names")
	}
	b.Statuses = map[string]string{"x": crm.StateShipped}
	if a.Rules() == b.Rules() {
		t.Error("different mappings have one name")
	}
}

// No text panics, and what parses means the same when written again.
func FuzzParse(f *testing.F) {
	for _, s := range []string{`meta.a == "b"`, `a in ["x", 'y', z]`, `a != b`, `a`, `a in [`, `"`, `a == "`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := Parse(text)
		if err != nil {
			return
		}
		if e.Field == "" || e.Any != nil && len(e.Any) == 0 {
			t.Fatalf("%q parses as %+v", text, e)
		}
		for _, v := range []string{"", "yes", text} {
			look := func(string) (string, bool) { return v, true }
			if s := e.Yes(look); s != "yes" && s != "no" {
				t.Fatalf("%q says %q", text, s)
			}
		}
		quoted := e.Field
		for i, v := range e.Any {
			if strings.Contains(v, `"`) {
				return
			}
			e.Any[i] = v
		}
		if e.Any != nil {
			quoted += ` in ["` + strings.Join(e.Any, `", "`) + `"]`
		}
		again, err := Parse(quoted)
		again.Negate = e.Negate
		if d := cmp.Diff(e, again); err != nil || d != "" {
			t.Fatalf("%q written as %q: %v %s", text, quoted, err, d)
		}
	})
}
