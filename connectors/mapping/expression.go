package mapping

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/relance/relance/internal/crm"
)

// Expression is a field, or a comparison of one: `meta.newsletter_optin == "yes"`, `gender != "0"`,
// `custom.fidelite in ["or", "argent"]`. Comparing ignores case and blanks around the value.
type Expression struct {
	Field  string
	Negate bool     // of a comparison with !=
	Any    []string // values to compare with; nil: the field itself
}

// Lookup gives the value of a field of one record as text; known is false when the record has no such field, which is
// another thing than an empty value.
type Lookup func(field string) (value string, known bool)

// Parse reads an expression. Its error says what is wrong with it, for people.
func Parse(text string) (Expression, error) {
	s := strings.TrimSpace(text)
	end := strings.IndexAny(s, " \t=!")
	if end < 0 {
		return field(s)
	}
	e, err := field(s[:end])
	if err != nil {
		return e, err
	}
	rest := strings.TrimSpace(s[end:])
	switch {
	case strings.HasPrefix(rest, "=="):
		rest = rest[2:]
	case strings.HasPrefix(rest, "!="):
		e.Negate, rest = true, rest[2:]
	case strings.HasPrefix(rest, "in ") || strings.HasPrefix(rest, "in["):
		e.Any, err = list(strings.TrimSpace(rest[2:]))
		return e, err
	default:
		return e, fmt.Errorf("after %q comes ==, != or in", e.Field)
	}
	v, rest, err := literal(strings.TrimSpace(rest))
	if err == nil && rest != "" {
		err = fmt.Errorf("after the value nothing is expected, there is %q", rest)
	}
	e.Any = []string{v}
	return e, err
}

func field(s string) (Expression, error) {
	switch {
	case s == "":
		return Expression{}, errors.New("there is no field")
	case strings.ContainsAny(s, `"'[](){}<>,`):
		return Expression{}, fmt.Errorf("%q is not the name of a field", s)
	}
	return Expression{Field: s}, nil
}

func list(s string) ([]string, error) {
	if !strings.HasPrefix(s, "[") || !strings.HasSuffix(s, "]") {
		return nil, errors.New(`after in comes a list: ["yes", "1"]`)
	}
	var out []string
	for s = strings.TrimSpace(s[1 : len(s)-1]); s != ""; {
		v, rest, err := literal(s)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
		rest, comma := strings.CutPrefix(strings.TrimSpace(rest), ",")
		if s = strings.TrimSpace(rest); s != "" && !comma {
			return nil, errors.New("values of a list are separated by commas")
		}
	}
	if len(out) == 0 {
		return nil, errors.New("the list is empty")
	}
	return out, nil
}

// literal is a quoted text, or a bare word.
func literal(s string) (value, rest string, err error) {
	if s == "" || s[0] == ',' {
		return "", "", errors.New("the value is missing")
	}
	if q := s[0]; q == '"' || q == '\'' {
		end := strings.IndexByte(s[1:], q)
		if end < 0 {
			return "", "", errors.New("a quotation mark is missing at the end of the value")
		}
		return s[1 : 1+end], strings.TrimSpace(s[2+end:]), nil
	}
	if end := strings.IndexAny(s, " \t,"); end >= 0 {
		return s[:end], strings.TrimSpace(s[end:]), nil
	}
	return s, "", nil
}

// Value evaluates: the field's own value, or "yes" or "no" of a comparison; known is false when the record lacks the field.
func (e Expression) Value(look Lookup) (value string, known bool) {
	v, known := look(e.Field)
	if !known {
		return "", false
	}
	if e.Any == nil {
		return v, true
	}
	v = strings.TrimSpace(v)
	if slices.ContainsFunc(e.Any, func(a string) bool { return strings.EqualFold(strings.TrimSpace(a), v) }) != e.Negate {
		return "yes", true
	}
	return "no", true
}

// Yes evaluates as a statement: "yes", "no", or "" when the record does not say. A field without comparison means yes
// when it holds 1, yes, true or on.
func (e Expression) Yes(look Lookup) string {
	if e.Any == nil {
		e.Any = []string{"1", "yes", "true", "on"}
	}
	v, _ := e.Value(look)
	return v
}

// Compiled is a validated mapping, ready for records. Zero expressions are those not written.
type Compiled struct {
	Brand, Birthday, Locale     *Expression
	CustomerConsent, OrderOptIn *Expression
	Attributes                  map[string]Expression
	Statuses                    map[string]string
	topic, noMeans              string
}

// Compile parses a mapping that Validate finds nothing wrong with.
func Compile(m Mapping) (*Compiled, error) {
	c := &Compiled{Attributes: map[string]Expression{}, Statuses: m.Statuses, topic: "marketing", noMeans: Silence}
	var err error
	one := func(text string) *Expression {
		if text == "" {
			return nil
		}
		e, bad := Parse(text)
		err = errors.Join(err, bad)
		return &e
	}
	c.Brand, c.Birthday, c.Locale = one(m.Brand), one(m.Birthday), one(m.Locale)
	if m.Consent != nil {
		c.CustomerConsent, c.OrderOptIn = one(m.Consent.Customer), one(m.Consent.Order)
		if m.Consent.Topic != "" {
			c.topic = m.Consent.Topic
		}
		if m.Consent.False != "" {
			c.noMeans = m.Consent.False
		}
	}
	for name, text := range m.Attributes {
		if e := one(text); e != nil {
			c.Attributes[name] = *e
		}
	}
	return c, err
}

// OptIn is what a record says of consent, nil when nothing is mapped for its kind. SourceAt and Email are the caller's.
func (c *Compiled) OptIn(e *Expression, look Lookup) *crm.OptIn {
	if e == nil {
		return nil
	}
	return &crm.OptIn{Topic: c.topic, Channel: "email", Value: e.Yes(look), NoMeans: c.noMeans}
}

// AttributesOf evaluates the mapped attributes; empty ones are left out.
func (c *Compiled) AttributesOf(look Lookup) map[string]string {
	var out map[string]string
	for name, e := range c.Attributes {
		if v, ok := e.Value(look); ok && v != "" {
			if out == nil {
				out = map[string]string{}
			}
			out[name] = v
		}
	}
	return out
}
