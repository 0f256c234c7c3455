package rule

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"github.com/relance/relance/internal/crm"
)

// What contacts are ranked by.
const (
	byRecency = "recency" // the instant of the last purchase
	byOrders  = "orders"  // purchases
	byRevenue = "revenue" // net of refunds, in the currency of the thresholds
)

// FewestBuyers is how many buyers an audience must have for its thresholds to say anything; below nobody matches.
const FewestBuyers = 5

// Top is the best, or the last, part of an audience's buyers. Whoever equals the last one of them is in, too.
type Top struct {
	Percent Number `yaml:"percent"`
	By      string `yaml:"by"`
}

// RFM compares the contact's scores of recency, frequency and money, 1 to 5 each, where 5 is best. A bare word is a named
// group.
type RFM struct {
	Group string `yaml:"-"`
	R     List   `yaml:"r,omitempty"`
	F     List   `yaml:"f,omitempty"`
	M     List   `yaml:"m,omitempty"`
}

// UnmarshalYAML takes the name of a group or scores.
func (r *RFM) UnmarshalYAML(n ast.Node) error {
	if isMapping(n) {
		type plain RFM
		return yaml.NodeToValue(n, (*plain)(r), yaml.Strict())
	}
	text, err := scalar(n, "a group such as champions, or a mapping with r, f and m")
	r.Group = text
	return err
}

// MarshalYAML writes a group as its name.
func (r RFM) MarshalYAML() (any, error) {
	if r.Group != "" {
		return r.Group, nil
	}
	type plain RFM
	return plain(r), nil
}

// scores are ranges of r and f (each from, to) that make up a group.
type scores struct{ r, f [2]int }

// groups cut the 25 pairs of scores of recency and frequency into seven: everybody who bought is in exactly one.
func groups() map[string][]scores {
	return map[string][]scores{
		"champions":   {{r: [2]int{4, 5}, f: [2]int{4, 5}}},
		"loyal":       {{r: [2]int{4, 5}, f: [2]int{3, 3}}, {r: [2]int{3, 3}, f: [2]int{3, 5}}},
		"promising":   {{r: [2]int{3, 5}, f: [2]int{2, 2}}, {r: [2]int{3, 4}, f: [2]int{1, 1}}},
		"new":         {{r: [2]int{5, 5}, f: [2]int{1, 1}}},
		"at_risk":     {{r: [2]int{1, 2}, f: [2]int{3, 5}}},
		"hibernating": {{r: [2]int{2, 2}, f: [2]int{1, 2}}},
		"lost":        {{r: [2]int{1, 1}, f: [2]int{1, 2}}},
	}
}

// Cut is a cut point that a definition compares with: the value at a percentile (1…99).
type Cut struct {
	By         string
	Percentile int
}

// cutting is a condition that compares with cut points.
type cutting interface{ cuts() []Cut }

// Cuts lists the cut points that the definition compares with, its references' included.
func (s *Segment) Cuts() []Cut {
	var out []Cut
	s.each(map[string]bool{}, func(_ string, b *Segment) { out = append(out, b.cut...) })
	return append(out, s.cut...)
}

// ranked is what population conditions share: the thresholds in force and a contact's values.
type ranked struct{ all sales }

func (k ranked) inForce(p *crm.Profile, t crm.Instant) (in *crm.Thresholds, next crm.Instant) {
	next = crm.Never
	for _, x := range p.Thresholds {
		if x.PublishedAt > t {
			next = min(next, x.PublishedAt)
		} else if in == nil || x.PublishedAt >= in.PublishedAt {
			in = x
		}
	}
	if in != nil && in.Contacts < FewestBuyers {
		in = nil
	}
	return in, next
}

// value is what a contact is ranked by at t: the instant of the last purchase, the number of purchases, or the
// revenue in a currency; false for somebody who never bought, or never in that currency. The thresholds of an audience
// are made of the same values.
func (k ranked) value(p *crm.Profile, by, currency string, t crm.Instant) (n int64, bought bool) {
	if by == byOrders {
		for _, f := range k.all.purchases(p, window{}, nil).facts {
			if f.at <= t {
				n++
			}
		}
		return n, n > 0
	}
	for i := range p.Orders {
		o := &p.Orders[i]
		if !o.CountsAsSale || o.PlacedAt > t {
			continue
		}
		if by == byRevenue {
			v, known := k.all.goods.revenue(o, currency)
			n, bought = n+v, bought || known
			continue
		}
		if !bought || int64(o.PlacedAt) > n {
			n = int64(o.PlacedAt)
		}
		bought = true
	}
	return n, bought
}

func points(x *crm.Thresholds, by string) []int64 {
	switch by {
	case byRecency:
		return x.Recency
	case byOrders:
		return x.Orders
	}
	return x.Revenue
}

// next is when the clock alone may change a rank: when other thresholds come into force, or a purchase is seen.
func (k ranked) next(p *crm.Profile, t crm.Instant) crm.Instant {
	at, _ := k.turn(p, t)
	return at
}

func (k ranked) turn(p *crm.Profile, t crm.Instant) (crm.Instant, reason) {
	_, next := k.inForce(p, t)
	why := reason{text: "other thresholds come into force at %s", at: next}
	for i := range p.Orders {
		if o := &p.Orders[i]; o.CountsAsSale && o.PlacedAt > t && o.PlacedAt < next {
			next, why = o.PlacedAt, reason{text: "an order dated %s counts from then on", at: o.PlacedAt}
		}
	}
	if next == crm.Never {
		return next, reason{}
	}
	return next, why
}

func (k ranked) needs() crm.Needs { return crm.Needs{Orders: true, Ranks: true} }

// top compares with one cut point.
type top struct {
	ranked
	by         string
	percentile int
	bottom     bool
}

func (c *compiler) top(path string, bottom bool, w Top) condition {
	n := c.hundredths(path+".percent", w.Percent)
	if n%100 != 0 || n < 100 || n > 99*100 {
		c.fail(path+".percent", fmt.Sprintf("%q cannot be a part of all buyers here", string(w.Percent)), "a whole number from 1 to 99")
	}
	if w.By != byRevenue && w.By != byOrders && w.By != byRecency {
		c.fail(path+".by", fmt.Sprintf("nobody is ranked by %q", w.By), "revenue, orders or recency")
	}
	k := top{by: w.By, percentile: int(n / 100), bottom: bottom}
	if !bottom {
		k.percentile = 100 - k.percentile
	}
	return c.cutting(k)
}

// cutting notes the cut points of a condition for the segment.
func (c *compiler) cutting(k interface {
	condition
	cutting
},
) condition {
	c.cut = append(c.cut, k.cuts()...)
	return k
}

func (k top) cuts() []Cut { return []Cut{{k.by, k.percentile}} }

func (k top) match(p *crm.Profile, t crm.Instant) bool {
	x, _ := k.inForce(p, t)
	if x == nil {
		return false
	}
	v, bought := k.value(p, k.by, x.Currency, t)
	cut, known := cutAt(x, k.by, k.percentile)
	return bought && known && (k.bottom && v <= cut || !k.bottom && v >= cut)
}

func cutAt(x *crm.Thresholds, by string, percentile int) (int64, bool) {
	list := points(x, by)
	if percentile < 1 || percentile > len(list) {
		return 0, false
	}
	return list[percentile-1], true
}

func (k top) explain(p *crm.Profile, t crm.Instant) Explanation {
	at, why := k.turn(p, t)
	what, share := "top", 100-k.percentile
	if k.bottom {
		what, share = "bottom", k.percentile
	}
	return leaf(fmt.Sprintf("%s %d %% by %s", what, share, k.by), k.match(p, t), k.standing(p, t, k.by, k.percentile), at, why)
}

// standing says where the contact is and where the cut point.
func (k ranked) standing(p *crm.Profile, t crm.Instant, by string, percentile int) string {
	x, _ := k.inForce(p, t)
	if x == nil {
		return fmt.Sprintf("no thresholds: none were published yet, or the audience has fewer than %d buyers", FewestBuyers)
	}
	v, bought := k.value(p, by, x.Currency, t)
	if !bought {
		return "never bought"
	}
	cut, _ := cutAt(x, by, percentile)
	return fmt.Sprintf("%s; the cut point of %s is %s", amountOf(v, by, x.Currency), stamp(x.PublishedAt), amountOf(cut, by, x.Currency))
}

func amountOf(v int64, by, currency string) string {
	switch by {
	case byRecency:
		return "last purchase at " + stamp(crm.Instant(v))
	case byOrders:
		return fmt.Sprintf("%d purchases", v)
	}
	return crm.Money{Minor: v, Currency: currency}.Decimal() + " " + currency
}

// rfm compares scores: 1 plus the number of the cut points 20, 40, 60 and 80 that the contact's value is above.
type rfm struct {
	ranked
	name    string
	r, f, m [6]bool  // by score; used when group is nil
	group   []scores // a named group
}

func (c *compiler) rfm(path string, w RFM) condition {
	k := rfm{name: w.Group}
	if w.Group != "" {
		known := groups()
		if k.group = known[w.Group]; k.group == nil {
			c.fail(path, fmt.Sprintf("there is no group %q", w.Group), nearest(w.Group, []string{"champions", "loyal", "promising", "new", "at_risk", "hibernating", "lost"}))
		}
		return c.cutting(k)
	}
	if w.R == nil && w.F == nil && w.M == nil {
		c.fail(path, "no score is given", "r:, f: or m: with scores from 1 to 5, or a group such as champions")
	}
	k.r, k.f, k.m = c.scores(path+".r", w.R), c.scores(path+".f", w.F), c.scores(path+".m", w.M)
	var said []string
	for _, x := range []struct {
		name string
		list List
	}{{"r", w.R}, {"f", w.F}, {"m", w.M}} {
		if x.list != nil {
			said = append(said, x.name+" "+strings.Join(x.list, " or "))
		}
	}
	k.name = strings.Join(said, ", ")
	return c.cutting(k)
}

func (c *compiler) scores(path string, w List) (out [6]bool) {
	if w != nil && len(w) == 0 {
		c.fail(path, "the list is empty", "scores from 1 to 5, such as [4, 5]")
	}
	for _, text := range w {
		if len(text) != 1 || text[0] < '1' || text[0] > '5' {
			c.fail(path, fmt.Sprintf("%q is no score", text), "scores from 1 to 5, such as [4, 5]")
			continue
		}
		out[text[0]-'0'] = true
	}
	for i := range out {
		out[i] = out[i] || w == nil // not asked: any, that of nobody knows what included
	}
	return out
}

func (k rfm) cuts() []Cut {
	var out []Cut
	for _, by := range []string{byRecency, byOrders, byRevenue} {
		for _, at := range quintiles() {
			out = append(out, Cut{by, at})
		}
	}
	return out
}

func quintiles() []int { return []int{20, 40, 60, 80} }

func (k rfm) score(p *crm.Profile, x *crm.Thresholds, by string, t crm.Instant) (int, bool) {
	v, bought := k.value(p, by, x.Currency, t)
	score := 1
	for _, at := range quintiles() {
		cut, known := cutAt(x, by, at)
		if !known {
			return 0, false
		}
		if v > cut { // those who tie share the lower score: with many who bought once, buying once is no merit
			score++
		}
	}
	return score, bought
}

// scored gives the scores; m is 0, which no list has, for somebody who bought in other currencies alone.
func (k rfm) scored(p *crm.Profile, t crm.Instant) (r, f, m int, ok bool) {
	x, _ := k.inForce(p, t)
	if x == nil {
		return 0, 0, 0, false
	}
	r, ok = k.score(p, x, byRecency, t)
	f, bought := k.score(p, x, byOrders, t)
	if v, known := k.score(p, x, byRevenue, t); known {
		m = v
	}
	return r, f, m, ok && bought
}

func (k rfm) match(p *crm.Profile, t crm.Instant) bool {
	r, f, m, ok := k.scored(p, t)
	if !ok {
		return false
	}
	for _, g := range k.group {
		if g.r[0] <= r && r <= g.r[1] && g.f[0] <= f && f <= g.f[1] {
			return true
		}
	}
	return k.group == nil && k.r[r] && k.f[f] && k.m[m]
}

func (k rfm) explain(p *crm.Profile, t crm.Instant) Explanation {
	at, why := k.turn(p, t)
	value := fmt.Sprintf("no scores: never bought, no thresholds yet, or fewer than %d buyers", FewestBuyers)
	if r, f, m, ok := k.scored(p, t); ok {
		value = fmt.Sprintf("r %d, f %d, m %d", r, f, m)
	}
	return leaf("rfm "+k.name, k.match(p, t), value, at, why)
}

// Concerned tells whether a contact may stand elsewhere between two thresholds (was is nil before the first ones): whether a
// value of it lies between what a cut point was and what it has become. Both are of the same audience.
func Concerned(p *crm.Profile, was, is *crm.Thresholds, cuts []Cut, t crm.Instant) bool {
	k := ranked{}
	blank := func(x *crm.Thresholds) bool { return x == nil || x.Contacts < FewestBuyers }
	if blank(was) && blank(is) {
		return false
	}
	for _, c := range cuts {
		if blank(was) || blank(is) || was.Currency != is.Currency {
			_, bought := k.value(p, byRecency, "", t)
			return bought
		}
		a, known := cutAt(was, c.By, c.Percentile)
		b, too := cutAt(is, c.By, c.Percentile)
		if !known || !too || a == b {
			if known != too {
				return true
			}
			continue
		}
		if v, bought := k.value(p, c.By, is.Currency, t); bought && min(a, b) <= v && v <= max(a, b) {
			return true
		}
	}
	return false
}
