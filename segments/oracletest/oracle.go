package oracletest

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
)

// Oracle judges one definition. Not safe for concurrent use.
type Oracle struct {
	match any
	below map[string]any
	can   map[string]func(path string, value any) bool
	who   *Person
	t     int64
}

// Read takes a definition as people write it or as it is stored (match, and below: what it refers to).
func Read(text string) (*Oracle, error) {
	o := &Oracle{}
	o.can = o.judges()
	err := calmly(func() {
		m := parse(text)
		o.match = m["match"]
		o.below, _ = m["below"].(map[string]any)
	})
	return o, err
}

// Member tells whether the person belongs to the segment at t (UTC milliseconds). The error says what the oracle does not understand.
func (o *Oracle) Member(p *Person, t int64) (in bool, err error) {
	o.who, o.t = p, t
	err = calmly(func() { in = o.holds("match", o.match) })
	return in, err
}

func calmly(fn func()) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case confused:
			err = errors.New(string(r))
		default:
			panic(r)
		}
	}()
	fn()
	return nil
}

// holds judges one condition.
func (o *Oracle) holds(path string, value any) bool {
	m, ok := value.(map[string]any)
	if !ok || len(m) != 1 {
		panic(confused(fmt.Sprintf("%s holds not one condition but %d", path, len(m))))
	}
	for name, v := range m {
		judge, ok := o.can[name]
		if !ok {
			panic(confused("the oracle does not know the condition " + path + "." + name))
		}
		return judge(path+"."+name, v)
	}
	return false
}

// What several conditions may hold.
func windowFields() []string { return []string{"within", "in", "between"} }
func agedFields() []string   { return append(windowFields(), "older_than", "newer_than") }
func goodsFields() []string  { return []string{"product", "sku", "category", "brand", "price"} }
func salesFields() []string  { return append(goodsFields(), "coupon", "shop", "status") }
func heldFields() []string   { return append(goodsFields(), "shop", "items") }
func boundFields() []string  { return []string{"at_least", "at_most", "exactly"} }
func testFields() []string {
	return []string{"is", "is_not", "contains", "exists", "at_least", "at_most", "before", "after"}
}

func actsFields() []string {
	return slices.Concat(boundFields(), windowFields(), []string{"where", "machine"})
}

func (o *Oracle) judges() map[string]func(path string, value any) bool {
	on := func(judge func(n *node) bool, fields ...[]string) func(string, any) bool { // conditions that are mappings
		return func(path string, value any) bool { return judge(newNode(path, value, slices.Concat(fields...)...)) }
	}
	listed := func(judge func(list []string) bool) func(string, any) bool {
		return func(_ string, value any) bool { return judge(texts(value)) }
	}
	list := func(names ...string) []string { return names }
	return map[string]func(string, any) bool{
		"all":             func(path string, v any) bool { in, of := o.count(path, v); return in == of },
		"any":             func(path string, v any) bool { in, _ := o.count(path, v); return in > 0 },
		"not":             func(path string, v any) bool { return !o.holds(path, v) },
		"at_least":        on(o.several, list("n", "of")),
		"segment":         listed(o.inSegment),
		"entered":         on(func(n *node) bool { return o.passed(n, false) }, windowFields(), list("segment")),
		"left":            on(func(n *node) bool { return o.passed(n, true) }, windowFields(), list("segment")),
		"share":           on(o.inShare, list("key", "percent", "from")),
		"bought":          on(o.bought, boundFields(), salesFields(), windowFields(), list("of")),
		"never_bought":    on(func(n *node) bool { return len(o.sales(n)) == 0 }, salesFields()),
		"last_purchase":   on(o.lastPurchase, salesFields(), agedFields()),
		"first_purchase":  on(func(n *node) bool { return o.nthPurchase(n, 1) }, salesFields(), agedFields()),
		"nth_purchase":    on(func(n *node) bool { return o.nthPurchase(n, n.number("n")) }, salesFields(), agedFields(), list("n")),
		"days_between":    on(o.daysBetween, salesFields(), list("at_least", "at_most")),
		"bought_with":     on(o.boughtWith, salesFields(), windowFields(), list("and")),
		"open_cart":       on(o.openCart, heldFields(), list("at_least", "at_most", "idle_for", "younger_than")),
		"recovered_cart":  on(o.recoveredCart, heldFields(), windowFields(), list("at_least", "at_most", "idle_for")),
		"abandoned_carts": on(o.abandonedCarts, heldFields(), windowFields(), boundFields(), list("idle_for")),
		"registered":      on(o.registered, agedFields(), list("is")),
		"consent":         o.consent,
		"country":         listed(func(l []string) bool { return o.who.Country != "" && among(l, o.who.Country) }),
		"region":          listed(func(l []string) bool { return o.who.Region != "" && amongAlike(l, o.who.Region) }),
		"city":            listed(func(l []string) bool { return o.who.City != "" && amongAlike(l, o.who.City) }),
		"locale":          listed(o.locale),
		"group": listed(func(l []string) bool {
			return slices.ContainsFunc(o.who.Groups, func(g string) bool { return amongAlike(l, g) })
		}),
		"shop": listed(func(l []string) bool {
			return slices.ContainsFunc(o.who.Shops, func(s Shop) bool { return s.Since <= o.t && among(l, s.Name) })
		}),
		"source":        listed(o.source),
		"age":           on(o.age, list("at_least", "at_most")),
		"birthday":      o.birthday,
		"attribute":     on(func(n *node) bool { return tested(n, o.who.Attributes[n.text("name")]) }, testFields(), list("name")),
		"contactable":   func(_ string, v any) bool { return o.contactable() == (fmt.Sprint(v) == "true") },
		"bounced":       func(_ string, v any) bool { return among(o.who.Suppressed, "bounced") == (fmt.Sprint(v) == "true") },
		"engaged":       on(o.engaged, windowFields()),
		"not_engaged":   on(func(n *node) bool { return !o.engaged(n) }, windowFields()),
		"did":           on(func(n *node) bool { return o.did(n, n.list("event")) }, actsFields(), list("event")),
		"opened":        on(func(n *node) bool { return o.did(n, list("mail.opened")) }, actsFields()),
		"clicked":       on(func(n *node) bool { return o.did(n, list("mail.clicked")) }, actsFields()),
		"rfm":           o.rfm,
		"top":           on(func(n *node) bool { return o.top(n, false) }, list("percent", "by")),
		"bottom":        on(func(n *node) bool { return o.top(n, true) }, list("percent", "by")),
		"next_purchase": on(o.nextPurchase, list("in_next")),
		"overdue":       on(o.overdue, list("factor")),
	}
}

// Knows lists the conditions that the oracle can judge.
func Knows() []string {
	var names []string
	for name := range (&Oracle{}).judges() {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// count tells how many of a list hold; all are looked at, so that each is understood.
func (o *Oracle) count(path string, value any) (in, of int) {
	list, ok := value.([]any)
	if !ok {
		panic(confused(path + " is no list"))
	}
	for i, v := range list {
		if o.holds(fmt.Sprintf("%s[%d]", path, i), v) {
			in++
		}
	}
	return in, len(list)
}

// window tells whether something dated f counts at t by within, in and between.
func (o *Oracle) window(n *node, f int64) bool {
	if f > o.t {
		return false
	}
	if l := n.text("within"); l != "" && o.t >= o.who.plus(f, l) {
		return false
	}
	if name := n.text("in"); name != "" {
		then, now := o.who.today(f), o.who.today(o.t)
		switch {
		case name == "today":
			return then == now
		case name == "yesterday":
			return then == now-1
		case strings.HasPrefix(name, "this_"):
			return period(then, name[5:]) == period(now, name[5:])
		case strings.HasPrefix(name, "last_"):
			return period(then, name[5:]) == period(now, name[5:])-1
		}
		panic(confused(n.path + ": the oracle does not know the period " + name))
	}
	if n.has("between") {
		b := n.child("between", "from", "before")
		if d, ok := parseDate(b.text("from")); ok && f < o.who.start(d) {
			return false
		}
		if d, ok := parseDate(b.text("before")); ok && f >= o.who.start(d) {
			return false
		}
	}
	return true
}

// aged tells whether something dated f has the age that is asked for: older_than and idle_for begin with the length,
// newer_than, younger_than and within end with it.
func (o *Oracle) aged(n *node, f int64) bool {
	if f > o.t {
		return false
	}
	for _, name := range []string{"older_than", "idle_for"} {
		if l := n.text(name); l != "" && o.t < o.who.plus(f, l) {
			return false
		}
	}
	for _, name := range []string{"newer_than", "younger_than"} {
		if l := n.text(name); l != "" && o.t >= o.who.plus(f, l) {
			return false
		}
	}
	return o.window(n, f)
}
