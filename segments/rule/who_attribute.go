package rule

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/relance/relance/internal/crm"
)

// test is a compiled Comparison.
type test struct {
	is, isNot   []string
	low, high   *big.Rat
	before      *civil
	after       *civil
	contains    string
	exists      *bool
	description string
}

func (c *compiler) test(path string, w Comparison) test {
	t := test{is: w.Is, isNot: w.IsNot, contains: strings.TrimSpace(w.Contains), exists: w.Exists}
	var said []string
	say := func(given bool, kind, text string) {
		if given && (len(said) == 0 || said[len(said)-1] != kind) {
			said = append(said, kind)
		}
		if given {
			t.description += " " + text
		}
	}
	say(w.Is != nil, "is", "is "+strings.Join(w.Is, " or "))
	say(w.IsNot != nil, "is_not", "is not "+strings.Join(w.IsNot, " or "))
	say(w.AtLeast != "", "a number", "at least "+string(w.AtLeast))
	say(w.AtMost != "", "a number", "at most "+string(w.AtMost))
	say(w.After != "", "a day", "after "+w.After)
	say(w.Before != "", "a day", "before "+w.Before)
	say(w.Contains != "", "contains", "contains "+w.Contains)
	say(w.Exists != nil, "exists", "")
	const want = "one of is, is_not, at_least and at_most, before and after, contains, exists"
	switch {
	case len(said) == 0:
		c.fail(path, "nothing is compared", want)
	case len(said) > 1:
		c.fail(path, fmt.Sprintf("%s and %s stand side by side", said[0], said[1]), want+"; put several under all: or any:")
	}
	c.testValues(path, w, &t)
	return t
}

func (c *compiler) testValues(path string, w Comparison, t *test) {
	if w.Is != nil && len(w.Is) == 0 {
		c.fail(path+".is", "nothing is listed", "one value or a list of them")
	}
	if w.IsNot != nil && len(w.IsNot) == 0 {
		c.fail(path+".is_not", "nothing is listed", "one value or a list of them")
	}
	t.low, t.high = c.number(path+".at_least", w.AtLeast), c.number(path+".at_most", w.AtMost)
	if t.low != nil && t.high != nil && t.low.Cmp(t.high) > 0 {
		c.fail(path+".at_most", fmt.Sprintf("at_most %s is less than at_least %s: nobody could match", w.AtMost, w.AtLeast), "at_most not below at_least")
	}
	if d, ok := c.civil(path+".before", w.Before); ok {
		t.before = &d
	}
	if d, ok := c.civil(path+".after", w.After); ok {
		t.after = &d
	}
	if t.before != nil && t.after != nil && t.after.plus(1).compare(*t.before) >= 0 {
		c.fail(path+".before", fmt.Sprintf("no day is after %s and before %s", t.after, t.before), "a later day")
	}
}

func (c *compiler) number(path string, n Number) *big.Rat {
	if n == "" {
		return nil
	}
	r := decimal(string(n))
	if r == nil {
		c.fail(path, fmt.Sprintf("%q is no number", string(n)), "a number such as 100, -3 or 12.5")
	}
	return r
}

// decimal reads a plain number as people and shops write it, exactly; nil when it is none.
func decimal(text string) *big.Rat {
	text = strings.TrimSpace(text)
	digits := strings.TrimLeft(text, "+-")
	if len(text)-len(digits) > 1 || len(text) > 40 {
		return nil
	}
	whole, fraction, point := strings.Cut(strings.Replace(digits, ",", ".", 1), ".")
	if !allDigits(whole) || point && !allDigits(fraction) {
		return nil
	}
	r, ok := new(big.Rat).SetString(strings.Replace(text, ",", ".", 1))
	if !ok {
		return nil
	}
	return r
}

func allDigits(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }) < 0
}

// calendarDay reads the ways in which shops write a day, with or without a time.
func calendarDay(text string) (civil, bool) {
	text = strings.TrimSpace(text)
	for _, layout := range []string{time.DateOnly, time.RFC3339, "2006-01-02T15:04:05", time.DateTime, "2006-01-02 15:04", "02/01/2006", "02.01.2006", "20060102"} {
		if t, err := time.Parse(layout, text); err == nil {
			y, m, d := t.Date()
			return civil{y, m, d}, true
		}
	}
	return civil{}, false
}

func (d civil) compare(o civil) int {
	return (d.y-o.y)*400 + (int(d.m)-int(o.m))*32 + d.d - o.d
}

// holds judges a value; "" is the same as none at all.
func (t *test) holds(value string) bool {
	if t.exists != nil {
		return (value != "") == *t.exists
	}
	if value == "" {
		return false
	}
	switch {
	case t.is != nil:
		return t.among(value, t.is)
	case t.isNot != nil:
		return !t.among(value, t.isNot)
	case t.contains != "":
		if list, ok := elements(value); ok {
			return slices.ContainsFunc(list, func(have string) bool { return sameText(have, t.contains) })
		}
		return strings.Contains(strings.ToLower(value), strings.ToLower(t.contains))
	case t.low != nil || t.high != nil:
		n := decimal(value)
		return n != nil && (t.low == nil || n.Cmp(t.low) >= 0) && (t.high == nil || n.Cmp(t.high) <= 0)
	}
	d, ok := calendarDay(value)
	return ok && (t.after == nil || d.compare(*t.after) > 0) && (t.before == nil || d.compare(*t.before) < 0)
}

func (t *test) among(value string, list []string) bool {
	have, ok := elements(value)
	if !ok {
		have = []string{value}
	}
	return slices.ContainsFunc(have, func(h string) bool {
		return slices.ContainsFunc(list, func(want string) bool { return sameText(h, want) })
	})
}

// elements reads a value that is a JSON list of texts or numbers.
func elements(value string) ([]string, bool) {
	if value = strings.TrimSpace(value); !strings.HasPrefix(value, "[") {
		return nil, false
	}
	var raw []any
	d := json.NewDecoder(strings.NewReader(value))
	d.UseNumber()
	if d.Decode(&raw) != nil || d.More() {
		return nil, false
	}
	out := make([]string, len(raw))
	for i, v := range raw {
		out[i] = fmt.Sprint(v)
	}
	return out, true
}

// attribute tests one attribute of the contact's accounts; the clock has no part in it.
type attribute struct {
	name string
	test test
}

func (c *compiler) attribute(path string, w Attribute) condition {
	if strings.TrimSpace(w.Name) == "" {
		c.fail(path+".name", "no attribute is named", "name: fidelite, as the mapping or the shop calls it")
	}
	return attribute{w.Name, c.test(path, w.Comparison)}
}

func (a attribute) match(p *crm.Profile, _ crm.Instant) bool {
	return a.test.holds(p.Contact.Attributes[a.name])
}

func (a attribute) next(*crm.Profile, crm.Instant) crm.Instant { return crm.Never }
func (a attribute) needs() crm.Needs                           { return crm.Needs{Account: true} }

func (a attribute) explain(p *crm.Profile, t crm.Instant) Explanation {
	value := "not known"
	if v := p.Contact.Attributes[a.name]; v != "" {
		value = v
	}
	return leaf("attribute "+a.name+a.test.String(), a.match(p, t), value, crm.Never, reason{})
}

func (t *test) String() string {
	if t.exists != nil {
		return " " + negated("known", *t.exists)
	}
	return t.description
}
