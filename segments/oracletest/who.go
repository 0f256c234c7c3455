package oracletest

import (
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"time"
)

func (o *Oracle) locale(list []string) bool {
	tag := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, "_", "-")) }
	have := tag(o.who.Locale)
	return have != "" && slices.ContainsFunc(list, func(want string) bool { return have == tag(want) || strings.HasPrefix(have, tag(want)+"-") })
}

func (o *Oracle) registered(n *node) bool {
	at := o.who.RegisteredAt
	there := at != 0 && at <= o.t
	is := !n.has("is") || n.flag("is")
	aged := there && o.aged(n, at)
	if !is {
		return !there
	}
	return aged
}

// source looks at the first order that counts as a sale.
func (o *Oracle) source(list []string) bool {
	first := -1
	for i, x := range o.who.Orders {
		if x.Sale && (first < 0 || x.PlacedAt < o.who.Orders[first].PlacedAt) {
			first = i
		}
	}
	if first < 0 || o.who.Orders[first].PlacedAt > o.t {
		return false
	}
	x := o.who.Orders[first]
	return x.Via != "" && amongAlike(list, x.Via) || x.Source != "" && amongAlike(list, x.Source)
}

// age counts the birthdays that have begun.
func (o *Oracle) age(n *node) bool {
	l := n.limits()
	born, ok := parseDate(o.who.Birthday)
	year, _, _ := born.parts()
	if !ok || year < 1800 || o.who.start(born) > o.t {
		return false
	}
	years := int64(0)
	for o.who.start(birthdayIn(born, year+int(years)+1)) <= o.t {
		years++
	}
	return l.hold(whole(years))
}

func (o *Oracle) birthday(path string, value any) bool {
	born, ok := parseDate(o.who.Birthday)
	var ahead, past int64
	if value != "today" {
		n := newNode(path, value, "today", "in_next", "in_last")
		if l := n.text("in_next"); l != "" {
			ahead, _ = lengthOf(l)
		}
		if l := n.text("in_last"); l != "" {
			past, _ = lengthOf(l)
		}
	}
	if !ok {
		return false
	}
	const oneDay = 86_400_000
	now := o.who.today(o.t)
	for d := now - date(past/oneDay); d <= now+date(ahead/oneDay); d++ { // is one of these days a birthday?
		if year, _, _ := d.parts(); birthdayIn(born, year) == d {
			return true
		}
	}
	return false
}

func (o *Oracle) consent(path string, value any) bool {
	topic, channel, state := "marketing", "email", fmt.Sprint(value)
	if m, ok := value.(map[string]any); ok {
		n := newNode(path, m, "topic", "channel", "state")
		state = n.text("state")
		if n.has("topic") {
			topic = n.text("topic")
		}
		if n.has("channel") {
			channel = n.text("channel")
		}
	}
	return o.answer(topic, channel) == state
}

// answer is the state of a consent at t.
func (o *Oracle) answer(topic, channel string) string {
	for _, c := range o.who.Consents {
		if c.Topic != topic || c.Channel != channel || c.SaidAt > o.t {
			continue
		}
		if c.State != "withdrawn" && c.ExpiresAt != 0 && c.ExpiresAt <= o.t {
			return "none"
		}
		return c.State
	}
	return "none"
}

// contactable: no address is suppressed; consent, or nobody ever said anything and a basis allows it.
func (o *Oracle) contactable() bool {
	if len(o.who.Suppressed) > 0 {
		return false
	}
	for _, c := range o.who.Consents {
		if c.Topic == "marketing" && c.Channel == "email" && c.SaidAt <= o.t && c.State != "none" && c.State != "" {
			return o.answer("marketing", "email") == "granted"
		}
	}
	return o.who.Bases[o.who.HomeShop] == "implied" || slices.ContainsFunc(o.who.Orders, func(x Order) bool {
		return x.Sale && x.PlacedAt <= o.t && o.who.Bases[x.Shop] == "soft_opt_in"
	})
}

// tested judges one text by is, is_not, at_least, at_most, before, after, contains and exists; n has no other fields but name.
func tested(n *node, value string) bool {
	in := true
	parts := []string{value}
	var raw []any
	isList := strings.HasPrefix(strings.TrimSpace(value), "[") && decode(value, &raw)
	if isList {
		parts = texts(raw)
	}
	anyOf := func(list []string) bool {
		return slices.ContainsFunc(parts, func(x string) bool { return amongAlike(list, x) })
	}
	if n.has("is") {
		in = in && value != "" && anyOf(n.list("is"))
	}
	if n.has("is_not") {
		in = in && value != "" && !anyOf(n.list("is_not"))
	}
	if want := n.text("contains"); want != "" {
		if isList {
			in = in && anyOf([]string{want})
		} else {
			in = in && strings.Contains(strings.ToLower(value), strings.ToLower(strings.TrimSpace(want)))
		}
	}
	if n.has("exists") {
		in = in && (value != "") == n.flag("exists")
	}
	if low, high := n.text("at_least"), n.text("at_most"); low+high != "" {
		x, ok := decimal(value)
		in = in && ok
		if low != "" {
			y, _ := decimal(low)
			in = in && x.Cmp(y) >= 0
		}
		if high != "" {
			y, _ := decimal(high)
			in = in && x.Cmp(y) <= 0
		}
	}
	if before, after := n.text("before"), n.text("after"); before+after != "" {
		d, ok := dayIn(value)
		in = in && ok
		if x, given := parseDate(before); given {
			in = in && d < x
		}
		if x, given := parseDate(after); given {
			in = in && d > x
		}
	}
	return in
}

func decode(text string, into *[]any) bool {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	return d.Decode(into) == nil && !d.More()
}

func decimal(text string) (*big.Rat, bool) {
	text = strings.Replace(strings.TrimSpace(text), ",", ".", 1)
	if !regexp.MustCompile(`^[+-]?\d+(\.\d+)?$`).MatchString(text) {
		return new(big.Rat), false
	}
	return new(big.Rat).SetString(text)
}

func dayIn(text string) (date, bool) {
	for _, layout := range []string{"2006-01-02", time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04", "02/01/2006", "02.01.2006", "20060102"} {
		if t, err := time.Parse(layout, strings.TrimSpace(text)); err == nil {
			return dateOf(t.Date()), true
		}
	}
	return 0, false
}

// did counts events of the names.
func (o *Oracle) did(n *node, names []string) bool {
	l := n.limits()
	if l.none() {
		l.low = whole(1)
	}
	machines := n.flag("machine")
	where, _ := n.get("where").(map[string]any)
	count := int64(0)
	for _, e := range o.who.Events {
		fits := among(names, e.Name) && o.window(n, e.At) && (machines || !byMachine(e))
		for name, want := range where {
			if _, ok := want.(map[string]any); !ok {
				want = map[string]any{"is": want}
			}
			fits = fits && tested(newNode(n.path+".where."+name, want, testFields()...), e.Properties[name])
		}
		if fits {
			count++
		}
	}
	return l.hold(whole(count))
}

func byMachine(e Event) bool {
	return strings.HasPrefix(e.Name, "mail.") && e.Properties["machine"] == "1"
}

// engaged: a click of the person's own, any other event that is none of our mails', an order, a cart.
func (o *Oracle) engaged(n *node) bool {
	in := false
	for _, x := range o.who.Orders {
		in = in || x.Sale && o.window(n, x.PlacedAt)
	}
	for _, k := range o.who.Carts {
		in = in || o.window(n, max(k.CreatedAt, k.ActiveAt))
	}
	for _, e := range o.who.Events {
		own := e.Name == "mail.clicked" && !byMachine(e) || !strings.HasPrefix(e.Name, "mail.")
		in = in || own && o.window(n, e.At)
	}
	return in
}
