package rule

import (
	"fmt"
	"math/bits"
	"strconv"
	"time"

	"github.com/relance/relance/internal/crm"
)

// nthPurchase looks at the age of one purchase by its place among all; there may be none such.
type nthPurchase struct {
	n     int
	what  string // the first purchase
	sales sales
	age   aged
}

func (c *compiler) firstPurchase(path string, w FirstPurchase) condition {
	return &nthPurchase{n: 1, what: "the first purchase", sales: c.sales(path, w.Sales, w.Goods), age: c.someAge(path, w.OlderThan, w.NewerThan, w.Window)}
}

func (c *compiler) nthPurchase(path string, w NthPurchase) condition {
	if w.N < 1 {
		c.fail(path+".n", fmt.Sprintf("there is no purchase number %d", w.N), "1 for the first purchase, 2 for the second…")
	}
	n := &nthPurchase{n: max(w.N, 1), sales: c.sales(path, w.Sales, w.Goods), age: c.aged(path, w.OlderThan, w.NewerThan, w.Window)}
	n.what = "the " + n.place() + " purchase"
	return n
}

// find is when the n-th purchase was or will be made: those dated later never change which one that is.
func (n *nthPurchase) find(p *crm.Profile) (at crm.Instant, found bool) {
	var few [8]dated
	fs := n.sales.purchases(p, window{}, few[:0]).facts
	if len(fs) < n.n {
		return 0, false
	}
	return fs[n.n-1].at, true
}

func (n *nthPurchase) match(p *crm.Profile, t crm.Instant) bool {
	at, found := n.find(p)
	if !found {
		return false
	}
	from, to := n.age.span(p, at)
	return from <= t && t < to
}

func (n *nthPurchase) next(p *crm.Profile, t crm.Instant) crm.Instant {
	at, _ := n.turn(p, t)
	return at
}

func (n *nthPurchase) turn(p *crm.Profile, t crm.Instant) (crm.Instant, reason) {
	at, found := n.find(p)
	if !found {
		return crm.Never, reason{}
	}
	return n.age.turn(p, at, t, n.what)
}

func (n *nthPurchase) needs() crm.Needs { return n.sales.needs() }

func (n *nthPurchase) explain(p *crm.Profile, t crm.Instant) Explanation {
	at, why := n.turn(p, t)
	value := "no " + n.place() + " purchase"
	if when, found := n.find(p); found && when <= t {
		value = "bought at " + stamp(when)
	}
	return leaf(n.place()+" purchase"+n.sales.String()+n.age.String(), n.match(p, t), value, at, why)
}

func (n *nthPurchase) place() string {
	if n.n == 1 {
		return "first"
	}
	ending := "th"
	if n.n/10%10 != 1 {
		switch n.n % 10 {
		case 1:
			ending = "st"
		case 2:
			ending = "nd"
		case 3:
			ending = "rd"
		}
	}
	return strconv.Itoa(n.n) + ending
}

// DaysBetween bounds the mean time between one purchase and the next, both ends included. With fewer than two purchases
// there is none, and nothing holds.
type DaysBetween struct {
	AtLeast Length `yaml:"at_least,omitempty"`
	AtMost  Length `yaml:"at_most,omitempty"`
	Goods   `yaml:",inline"`
	Sales   `yaml:",inline"`
}

// daysBetween compares (last − first) with bound × (n − 1).
type daysBetween struct {
	sales       sales
	least, most time.Duration
}

func (c *compiler) daysBetween(path string, w DaysBetween) condition {
	d := &daysBetween{
		sales: c.sales(path, w.Sales, w.Goods),
		least: c.length(path+".at_least", w.AtLeast), most: c.length(path+".at_most", w.AtMost),
	}
	switch {
	case w.AtLeast == "" && w.AtMost == "":
		c.fail(path, "no time is given", "at_least: or at_most: with a length such as 20d, or both")
	case d.most > 0 && d.least > d.most:
		c.fail(path+".at_most", fmt.Sprintf("at_most %s is less than at_least %s: nobody could match", words(d.most), words(d.least)), "at_most not below at_least")
	}
	return d
}

// holds looks at the first n purchases.
func (d *daysBetween) holds(fs []dated, n int) bool {
	if n < 2 {
		return false
	}
	took := uint64(fs[n-1].at - fs[0].at)
	high, least := bits.Mul64(uint64(d.least.Milliseconds()), uint64(n-1))
	if high > 0 || took < least {
		return false
	}
	high, most := bits.Mul64(uint64(d.most.Milliseconds()), uint64(n-1))
	return d.most == 0 || high > 0 || took <= most
}

// seen is how many purchases are dated up to t.
func seen(fs []dated, t crm.Instant) int {
	n := 0
	for n < len(fs) && fs[n].at <= t {
		n++
	}
	return n
}

func (d *daysBetween) match(p *crm.Profile, t crm.Instant) bool {
	var few [8]dated
	fs := d.sales.purchases(p, window{}, few[:0]).facts
	return d.holds(fs, seen(fs, t))
}

func (d *daysBetween) next(p *crm.Profile, t crm.Instant) crm.Instant {
	at, _ := d.turn(p, t)
	return at
}

// turn looks at purchases dated ahead: nothing else changes the mean.
func (d *daysBetween) turn(p *crm.Profile, t crm.Instant) (crm.Instant, reason) {
	var few [8]dated
	fs := d.sales.purchases(p, window{}, few[:0]).facts
	n := seen(fs, t)
	now := d.holds(fs, n)
	for n < len(fs) {
		at := fs[n].at
		n += seen(fs[n:], at)
		if d.holds(fs, n) != now {
			return at, reason{text: "an order dated %s counts from then on", at: at}
		}
	}
	return crm.Never, reason{}
}

func (d *daysBetween) needs() crm.Needs { return d.sales.needs() }

func (d *daysBetween) explain(p *crm.Profile, t crm.Instant) Explanation {
	at, why := d.turn(p, t)
	fs := d.sales.purchases(p, window{}, nil).facts
	value := "fewer than two purchases"
	if n := seen(fs, t); n > 1 {
		mean := time.Duration(int64(fs[n-1].at-fs[0].at)/int64(n-1)) * time.Millisecond
		value = fmt.Sprintf("%d purchases, %.1f days apart", n, mean.Hours()/24)
	}
	s := "days between purchases" + d.sales.String()
	if d.least > 0 {
		s += " at least " + words(d.least)
	}
	if d.most > 0 {
		s += " at most " + words(d.most)
	}
	return leaf(s, d.match(p, t), value, at, why)
}
