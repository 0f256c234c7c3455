package rule

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/relance/relance/internal/crm"
)

// Events that our own mails bring about. What a machine did (a scanner's click, a privacy proxy's open) has the property
// machine=1.
const (
	eventOpened  = "mail.opened"
	eventClicked = "mail.clicked"
	fromMail     = "mail."
	machine      = "machine"
)

// acts counts events of some names and properties.
type acts struct {
	what     string
	names    []string
	where    []property
	low      bound
	high     bound
	machines bool
	window   window
}

type property struct {
	name string
	test test
}

func (c *compiler) did(path string, w Did) condition {
	c.texts(path+".event", "event such as viewed_product", w.Event)
	return c.acts(path, strings.Join(w.Event, " or "), w.Event, w.Acts)
}

func (c *compiler) acts(path, what string, names List, w Acts) condition {
	a := acts{
		what: what, names: names, machines: w.Machine, window: c.window(path, w.Window),
		low: c.count(path+".at_least", w.AtLeast), high: c.count(path+".at_most", w.AtMost),
	}
	if exactly := c.count(path+".exactly", w.Exactly); exactly.given {
		if a.low.given || a.high.given {
			c.fail(path+".exactly", "exactly stands beside another bound", "exactly alone, or at_least and at_most")
		}
		a.low, a.high = exactly, exactly
	}
	if !a.low.given && !a.high.given {
		a.low = bound{given: true, n: 1}
	}
	if a.low.given && a.high.given && a.low.n > a.high.n {
		c.fail(path+".at_most", fmt.Sprintf("at_most %s is less than at_least %s: nobody could match", a.high, a.low), "at_most not below at_least")
	}
	for _, name := range slices.Sorted(maps.Keys(w.Where)) {
		at := path + ".where." + name
		if strings.ContainsAny(name, ". []'") {
			at = path + ".where.'" + strings.ReplaceAll(name, "'", `\'`) + "'"
		}
		a.where = append(a.where, property{name, c.test(at, w.Where[name].Comparison)})
	}
	return a
}

// count reads a bound that is no amount.
func (c *compiler) count(path string, raw Bound) bound {
	b := c.bound(path, raw)
	if b.currency != "" {
		c.fail(path, fmt.Sprintf("%s is an amount", raw), "a whole number of 0 or more")
		b.currency = ""
	}
	return b
}

func (a acts) counts(e *crm.ProfileEvent) bool {
	if !slices.Contains(a.names, e.Name) || !a.machines && byMachine(e) {
		return false
	}
	for i := range a.where {
		if !a.where[i].test.holds(e.Properties[a.where[i].name]) {
			return false
		}
	}
	return true
}

func byMachine(e *crm.ProfileEvent) bool {
	return strings.HasPrefix(e.Name, fromMail) && e.Properties[machine] == "1"
}

func (a acts) holds(n int64) bool {
	return (!a.low.given || n >= a.low.n) && (!a.high.given || n <= a.high.n)
}

// number is how many count at t.
func (a acts) number(p *crm.Profile, t crm.Instant) (n int64) {
	v := a.window.of(p)
	for i := range p.Events {
		e := &p.Events[i]
		if e.At > t || !a.counts(e) {
			continue
		}
		if from, to := v.span(e.At); from <= t && t < to {
			n++
		}
	}
	return n
}

func (a acts) match(p *crm.Profile, t crm.Instant) bool { return a.holds(a.number(p, t)) }

func (a acts) next(p *crm.Profile, t crm.Instant) crm.Instant {
	at, _ := a.turn(p, t)
	return at
}

// edge is an instant at which a fact begins or ceases to count.
type edge struct {
	at   crm.Instant
	step int64 // 1 or -1
	fact crm.Instant
}

// turn walks through the instants at which events enter and leave the window until the verdict turns.
func (a acts) turn(p *crm.Profile, t crm.Instant) (crm.Instant, reason) {
	v := a.window.of(p)
	var edges []edge
	for i := range p.Events {
		e := &p.Events[i]
		if !a.counts(e) {
			continue
		}
		from, to := v.span(e.At)
		if from < to && from > t {
			edges = append(edges, edge{from, 1, e.At})
		}
		if from < to && to > t && to != crm.Never {
			edges = append(edges, edge{to, -1, e.At})
		}
	}
	slices.SortStableFunc(edges, func(x, y edge) int { return cmp.Compare(x.at, y.at) })
	n := a.number(p, t)
	now := a.holds(n)
	for i, e := range edges {
		n += e.step
		if i+1 < len(edges) && edges[i+1].at == e.at || a.holds(n) == now {
			continue
		}
		if e.step > 0 {
			return e.at, a.window.came("an event dated %s", e.fact)
		}
		return e.at, a.window.left("the event of %s", e.fact)
	}
	return crm.Never, reason{}
}

func (a acts) needs() crm.Needs {
	return crm.Needs{Events: slices.Compact(slices.Sorted(slices.Values(a.names)))}
}

func (a acts) explain(p *crm.Profile, t crm.Instant) Explanation {
	n := a.number(p, t)
	value := fmt.Sprintf("%d times", n)
	if n == 1 {
		value = "once"
	}
	at, why := a.turn(p, t)
	return leaf(a.String(), a.holds(n), value, at, why)
}

func (a acts) String() string {
	parts := []string{a.what}
	for i := range a.where {
		parts = append(parts, a.where[i].name+a.where[i].test.String())
	}
	switch {
	case a.low.given && a.low == a.high:
		parts = append(parts, "exactly "+times(a.low.n))
	case a.low.given && a.high.given:
		parts = append(parts, a.low.String()+" to "+times(a.high.n))
	case a.low.given:
		parts = append(parts, "at least "+times(a.low.n))
	case a.high.given:
		parts = append(parts, "at most "+times(a.high.n))
	}
	s := strings.Join(parts, ", ") + a.window.String()
	if a.machines {
		s += ", by machines, too"
	}
	return s
}

func times(n int64) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// engaged asks for something that the contact did itself: a clean click in a mail, a visit or another event of its own, a
// cart, an order. Opening a mail is none: machines do it.
type engaged struct{ window window }

func (c *compiler) engaged(path string, w Engaged) condition {
	return engaged{c.window(path, w.Window)}
}

// each calls fn with every sign of life.
func (g engaged) each(p *crm.Profile, fn func(at crm.Instant, what string)) {
	for i := range p.Orders {
		if o := &p.Orders[i]; o.CountsAsSale {
			fn(o.PlacedAt, "order")
		}
	}
	for i := range p.Carts {
		c := &p.Carts[i]
		fn(max(c.ActiveAt, c.CreatedAt), "cart")
	}
	for i := range p.Events {
		switch e := &p.Events[i]; {
		case e.Name == eventClicked && !byMachine(e):
			fn(e.At, "click")
		case !strings.HasPrefix(e.Name, fromMail):
			fn(e.At, e.Name)
		}
	}
}

func (g engaged) match(p *crm.Profile, t crm.Instant) bool {
	v, found := g.window.of(p), false
	g.each(p, func(at crm.Instant, _ string) {
		if !found && at <= t {
			from, to := v.span(at)
			found = from <= t && t < to
		}
	})
	return found
}

func (g engaged) next(p *crm.Profile, t crm.Instant) crm.Instant {
	at, _ := g.turn(p, t)
	return at
}

// turn is the first sign that is to count, or the instant at which the last one that counts no longer does.
func (g engaged) turn(p *crm.Profile, t crm.Instant) (crm.Instant, reason) {
	v := g.window.of(p)
	coming, came := crm.Never, crm.Instant(0)
	over, left := crm.Instant(0), crm.Instant(0)
	g.each(p, func(at crm.Instant, _ string) {
		from, to := v.span(at)
		switch {
		case from >= to:
		case from > t && from < coming:
			coming, came = from, at
		case from <= t && to > t && to > over:
			over, left = to, at
		}
	})
	switch {
	case over == 0 && coming < crm.Never:
		return coming, g.window.came("something dated %s", came)
	case over > 0 && over < crm.Never && coming > over:
		return over, g.window.left("the last sign of life, of %s,", left)
	case over > 0 && over < crm.Never:
		return coming, g.window.came("something dated %s", came) // early: it may go on from there
	}
	return crm.Never, reason{}
}

func (g engaged) needs() crm.Needs {
	return crm.Needs{Orders: true, Carts: true, Events: []string{crm.AllEvents}}
}

func (g engaged) explain(p *crm.Profile, t crm.Instant) Explanation {
	value, last := "no sign of life", -crm.Never
	g.each(p, func(at crm.Instant, what string) {
		if at <= t && at > last {
			value, last = what+" at "+stamp(at), at
		}
	})
	at, why := g.turn(p, t)
	return leaf("engaged"+g.window.String(), g.match(p, t), value, at, why)
}
