package push

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/relance/relance/internal/crm"
)

// maxProblems bounds what is said of one record.
const maxProblems = 8

type problems struct{ list []Problem }

func (p *problems) add(at, message string) {
	if len(p.list) < maxProblems {
		p.list = append(p.list, Problem{at, message})
	}
}

// object reads the fields of one JSON object. Whatever is asked for is known; end refuses the rest. null is as good as
// absent.
type object struct {
	at     string // JSON pointer
	fields map[string]any
	known  []string
	ps     *problems
}

func (o *object) bad(name, message string) { o.ps.add(pointer(o.at, name), message) }

func (o *object) get(name string) (v any, has bool) {
	o.skip(name)
	v = o.fields[name]
	return v, v != nil
}

// skip lets fields stand that nobody looks at.
func (o *object) skip(names ...string) { o.known = append(o.known, names...) }

// end refuses fields that nobody asked for.
func (o *object) end() {
	var unknown []string
	for name := range o.fields {
		if !slices.Contains(o.known, name) {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	for _, name := range unknown {
		if isName(name) {
			o.bad(name, unknownField(name, o.known))
		} else {
			o.ps.add(o.at, "has a field whose name is none of ours")
		}
	}
}

// text reads a text of at most max characters; a number is taken as it is written. Control characters become spaces.
func (o *object) text(name string, most int) string {
	v, has := o.get(name)
	if !has {
		return ""
	}
	var s string
	switch v := v.(type) {
	case string:
		s = clean(v)
	case json.Number:
		s = v.String()
	default:
		o.bad(name, "must be a text")
		return ""
	}
	if utf8.RuneCountInString(s) > most {
		o.bad(name, fmt.Sprintf("is longer than %d characters", most))
		return ""
	}
	return s
}

func (o *object) need(name string, most int) string {
	if v, has := o.get(name); !has || v == "" {
		o.bad(name, "is missing")
		return ""
	}
	return o.text(name, most)
}

// id reads a platform's id: a text or a whole number.
func (o *object) id(name string, needed bool) string {
	v, has := o.get(name)
	if !has || v == "" {
		if needed {
			o.bad(name, "is missing")
		}
		return ""
	}
	var s string
	switch v := v.(type) {
	case string:
		s = v
	case json.Number:
		s = v.String()
		if _, err := strconv.ParseInt(s, 10, 64); err != nil {
			o.bad(name, "must be a text or a whole number")
			return ""
		}
	default:
		o.bad(name, "must be a text or a whole number")
		return ""
	}
	switch {
	case utf8.RuneCountInString(s) > maxID:
		o.bad(name, fmt.Sprintf("is longer than %d characters", maxID))
	case strings.TrimSpace(s) != s || strings.ContainsFunc(s, unicode.IsControl) || !utf8.ValidString(s):
		o.bad(name, "has spaces around it or control characters in it")
	default:
		return s
	}
	return ""
}

// email reads an address; the text stays as written.
func (o *object) email(name string) string {
	s := strings.TrimSpace(o.text(name, 320))
	if s != "" && crm.NormEmail(s) == "" {
		o.bad(name, "is no e-mail address; leave it out when there is none")
		return ""
	}
	return s
}

// oneOf reads one of a closed set of words, "" when absent or wrong.
func (o *object) oneOf(name string, needed bool, words ...string) string {
	s := o.text(name, 64)
	switch {
	case s == "":
		if v, has := o.get(name); needed && (!has || v == "") {
			o.bad(name, "is missing: one of "+strings.Join(words, ", "))
		}
		return ""
	case slices.Contains(words, s):
		return s
	}
	if near := closest(s, words); near != "" {
		o.bad(name, "must be one of "+strings.Join(words, ", ")+"; did you mean "+near+"?")
	} else {
		o.bad(name, "must be one of "+strings.Join(words, ", "))
	}
	return ""
}

// integer reads a whole number from..most, 0 when absent. Texts of digits and decimals with nothing behind the point
// are taken: that is how PHP's decimals look in JSON.
func (o *object) integer(name string, from, most int64) int64 {
	v, has := o.get(name)
	if !has {
		return 0
	}
	s, ok := number(v)
	whole, fraction, _ := strings.Cut(s, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	switch {
	case !ok || err != nil || strings.Trim(fraction, "0") != "":
		o.bad(name, "must be a whole number")
	case n < from || n > most:
		o.bad(name, fmt.Sprintf("must be between %d and %d", from, most))
	default:
		return n
	}
	return 0
}

// plain is a decimal number as people write it. Exponents are not taken: 1e999999999 would be a long calculation.
var plain = regexp.MustCompile(`^-?[0-9]{1,18}(\.[0-9]{1,30})?$`)

// number gives the text of a JSON number or of a text that is one.
func number(v any) (string, bool) {
	var s string
	switch v := v.(type) {
	case json.Number:
		s = v.String()
	case string:
		s = strings.TrimSpace(v)
	default:
		return "", false
	}
	return s, plain.MatchString(s)
}

// maxAmount keeps sums of amounts within 64 bits: ten million million euros.
const maxAmount = 1e15

// amount reads an amount in major units and gives minor units of the currency; raw is it as written.
func (o *object) amount(name, currency string) (minor int64, raw string) {
	v, has := o.get(name)
	if !has || v == "" {
		return 0, ""
	}
	s, ok := number(v)
	if !ok {
		o.bad(name, `must be an amount with a decimal point such as "12.34"`)
		return 0, ""
	}
	minor, err := crm.ParseMinor(s, currency)
	if err != nil || minor > maxAmount || minor < -maxAmount {
		o.bad(name, "is out of range")
		return 0, ""
	}
	return minor, s
}

// positive is amount where a minus sign makes no sense.
func (o *object) positive(name, currency string) (minor int64, raw string) {
	if minor, raw = o.amount(name, currency); minor < 0 {
		o.bad(name, "is negative")
	}
	return minor, raw
}

// currency reads an ISO 4217 code.
func (o *object) currency(name string, needed bool) string {
	s := strings.ToUpper(o.text(name, 8))
	if s == "" {
		if v, has := o.get(name); needed && (!has || v == "") {
			o.bad(name, "is missing: an ISO code such as EUR")
		}
		return ""
	}
	if len(s) != 3 || strings.ContainsFunc(s, func(r rune) bool { return r < 'A' || r > 'Z' }) {
		o.bad(name, "must be an ISO code such as EUR")
		return ""
	}
	return s
}

// instant reads an RFC 3339 instant, with its offset.
func (o *object) instant(name string, needed bool) crm.Instant {
	s := o.text(name, 64)
	if s == "" {
		if v, has := o.get(name); needed && (!has || v == "") {
			o.bad(name, "is missing: an instant such as 2026-11-20T09:30:00+01:00")
		}
		return 0
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		o.bad(name, "must be an instant with its offset, such as 2026-11-20T09:30:00+01:00 or 2026-11-20T08:30:00Z")
		return 0
	}
	if y := t.UTC().Year(); y < 1971 || y > 2199 {
		o.bad(name, "is not in a year between 1971 and 2199")
		return 0
	}
	return crm.At(t)
}

// day reads a civil date.
func (o *object) day(name string) string {
	s := o.text(name, 10)
	if s == "" {
		return ""
	}
	if t, err := time.Parse(time.DateOnly, s); err != nil || t.Year() < 1880 {
		o.bad(name, "must be a date such as 1990-02-28")
		return ""
	}
	return s
}

// flag reads true or false; 0, 1 and their texts are taken.
func (o *object) flag(name string, absent bool) bool {
	v, has := o.get(name)
	if !has {
		return absent
	}
	switch v := v.(type) {
	case bool:
		return v
	case json.Number:
		if v == "0" || v == "1" {
			return v == "1"
		}
	case string:
		if b, err := strconv.ParseBool(v); err == nil {
			return b
		}
	}
	o.bad(name, "must be true or false")
	return absent
}

func (o *object) object(name string) (*object, bool) {
	v, has := o.get(name)
	if !has {
		return nil, false
	}
	fields, ok := v.(map[string]any)
	if list, isList := v.([]any); isList && len(list) == 0 { // PHP's empty map
		fields, ok = map[string]any{}, true
	}
	if !ok {
		o.bad(name, "must be an object")
		return nil, false
	}
	return &object{at: pointer(o.at, name), fields: fields, ps: o.ps}, true
}

// list hands every item to each, at most most of them.
func (o *object) list(name string, most int, each func(i int, v any)) {
	v, has := o.get(name)
	if !has {
		return
	}
	items, ok := v.([]any)
	switch {
	case !ok:
		o.bad(name, "must be a list")
	case len(items) > most:
		o.bad(name, fmt.Sprintf("has more than %d items", most))
	default:
		for i, item := range items {
			each(i, item)
		}
	}
}

// texts reads a list of texts or numbers.
func (o *object) texts(name string, most, width int) []string {
	var out []string
	o.list(name, most, func(i int, v any) {
		item := object{at: pointer(o.at, name), fields: map[string]any{strconv.Itoa(i): v}, ps: o.ps}
		if s := item.text(strconv.Itoa(i), width); s != "" {
			out = append(out, s)
		}
	})
	return out
}

const (
	maxPairs = 100
	maxValue = 1000
)

// pairs reads a flat object of texts, numbers and flags as texts. Its keys may be anything but people's data: they are
// not repeated in messages.
func (o *object) pairs(name string) map[string]string {
	in, has := o.object(name)
	if !has {
		return nil
	}
	if len(in.fields) > maxPairs {
		o.bad(name, fmt.Sprintf("has more than %d fields", maxPairs))
		return nil
	}
	out := make(map[string]string, len(in.fields))
	for key, v := range in.fields {
		var s string
		switch v := v.(type) {
		case nil:
			continue
		case string:
			s = clean(v)
		case json.Number:
			s = v.String()
		case bool:
			s = strconv.FormatBool(v)
		default:
			o.bad(name, "must be flat: its values are texts, numbers, true or false")
			return nil
		}
		if key = clean(key); key == "" || utf8.RuneCountInString(key) > 64 || utf8.RuneCountInString(s) > maxValue {
			o.bad(name, fmt.Sprintf("has an empty or longer name than 64 characters, or a value longer than %d", maxValue))
			return nil
		}
		out[key] = s
	}
	return out
}
