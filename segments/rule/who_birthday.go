package rule

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/relance/relance/internal/crm"
)

// bornOn reads a birthday; a year before 1800 is a shop's way of saying that it knows day and month alone.
func bornOn(p *crm.Profile) (born civil, known bool) {
	t, err := time.Parse(time.DateOnly, p.Contact.Birthday)
	if err != nil {
		return civil{}, false
	}
	y, m, d := t.Date()
	return civil{y, m, d}, true
}

// anniversary is the birthday of a year; who was born on 29 February has it on the 28th in years without one.
func anniversary(born civil, year int) civil {
	if born.m == time.February && born.d == 29 && time.Date(year, time.February, 29, 0, 0, 0, 0, time.UTC).Month() != time.February {
		return civil{year, time.February, 28}
	}
	return civil{year, born.m, born.d}
}

// age counts birthdays in the contact's zone.
type age struct {
	low, high bound
	zones     *zones
}

const maxAge = 150

func (c *compiler) age(path string, w Age) condition {
	a := age{low: c.years(path+".at_least", w.AtLeast), high: c.years(path+".at_most", w.AtMost), zones: c.zones()}
	switch {
	case !a.low.given && !a.high.given:
		c.fail(path, "no age is given", "at_least: 18, at_most: 30, or both")
	case a.low.given && a.high.given && a.low.n > a.high.n:
		c.fail(path+".at_most", fmt.Sprintf("at_most %s is less than at_least %s: nobody could match", a.high, a.low), "at_most not below at_least")
	}
	return a
}

func (c *compiler) years(path string, raw Bound) bound {
	b := c.bound(path, raw)
	if b.currency != "" || b.n > maxAge {
		c.fail(path, fmt.Sprintf("%s is no age", raw), "whole years such as 18")
		b.n, b.currency = 0, ""
	}
	return b
}

// span is [from, to): when the contact is of that age.
func (a age) span(p *crm.Profile) (from, to crm.Instant, known bool) {
	born, known := bornOn(p)
	if !known || born.y < 1800 {
		return 0, 0, false
	}
	loc := a.zones.of(p)
	from, to = born.start(loc), crm.Never
	if a.low.given {
		from = anniversary(born, born.y+int(a.low.n)).start(loc)
	}
	if a.high.given {
		to = anniversary(born, born.y+int(a.high.n)+1).start(loc)
	}
	return from, to, true
}

func (a age) match(p *crm.Profile, t crm.Instant) bool {
	from, to, known := a.span(p)
	return known && from <= t && t < to
}

func (a age) next(p *crm.Profile, t crm.Instant) crm.Instant {
	at, _ := a.turn(p, t)
	return at
}

func (a age) turn(p *crm.Profile, t crm.Instant) (crm.Instant, reason) {
	from, to, known := a.span(p)
	switch {
	case known && from > t:
		return from, reason{text: "the contact turns " + strconv.FormatInt(a.low.n, 10) + " then"}
	case known && to > t && to != crm.Never:
		return to, reason{text: "the contact turns " + strconv.FormatInt(a.high.n+1, 10) + " then"}
	}
	return crm.Never, reason{}
}

func (a age) needs() crm.Needs { return crm.Needs{} }

func (a age) explain(p *crm.Profile, t crm.Instant) Explanation {
	s := "age"
	if a.low.given {
		s += " at least " + a.low.String()
	}
	if a.high.given {
		s += " at most " + a.high.String()
	}
	at, why := a.turn(p, t)
	return leaf(s, a.match(p, t), a.value(p, t), at, why)
}

func (a age) value(p *crm.Profile, t crm.Instant) string {
	born, known := bornOn(p)
	if !known || born.y < 1800 {
		return "date of birth is not known"
	}
	loc := a.zones.of(p)
	today := t.Time().In(loc)
	years := today.Year() - born.y
	if anniversary(born, today.Year()).start(loc) > t {
		years--
	}
	if years < 0 {
		return "not yet born"
	}
	return fmt.Sprintf("%d years, born on %s", years, born)
}

// birthday matches on whole days of the contact's calendar around its birthday, which is day 0: from before days ahead
// of it to after days past it.
type birthday struct {
	before, after int
	words         string
	zones         *zones
}

func (c *compiler) birthday(path string, w Birthday) condition {
	given := 0
	b := birthday{words: "birthday", zones: c.zones()}
	if w.Today {
		given++
		b.words += " today"
	}
	if w.InNext != "" {
		given++
		b.before = c.days(path+".in_next", w.InNext)
		b.words += " in the next " + daysOf(b.before)
	}
	if w.InLast != "" {
		given++
		b.after = c.days(path+".in_last", w.InLast)
		b.words += " in the last " + daysOf(b.after)
	}
	if given != 1 {
		c.fail(path, fmt.Sprintf("%d of today, in_next and in_last are given", given), "today, {in_next: 7d} or {in_last: 7d}")
	}
	return b
}

func daysOf(n int) string {
	if n == 1 {
		return "day"
	}
	return strconv.Itoa(n) + " days"
}

// days reads a length that is a whole number of days, less than a year.
func (c *compiler) days(path string, l Length) int {
	const want = "whole days or weeks, at most 365d, such as 7d or 2w; for the day itself write today"
	s, ok := parseLength(string(l))
	if !ok || s.months > 0 || s.fixed < day || s.fixed%day != 0 || s.fixed > 365*day || strings.ContainsAny(string(l), "hms") {
		c.fail(path, fmt.Sprintf("%q is no number of days", string(l)), want)
		return 1
	}
	return int(s.fixed / day)
}

// spans are the periods [from, to) of the birthdays around t, oldest first.
func (b birthday) spans(p *crm.Profile, t crm.Instant) [][2]crm.Instant {
	born, known := bornOn(p)
	if !known {
		return nil
	}
	loc := b.zones.of(p)
	year := t.Time().In(loc).Year()
	out := make([][2]crm.Instant, 0, 4)
	for y := year - 2; y <= year+2; y++ {
		d := anniversary(born, y)
		out = append(out, [2]crm.Instant{d.plus(-b.before).start(loc), d.plus(b.after + 1).start(loc)})
	}
	return out
}

func (b birthday) match(p *crm.Profile, t crm.Instant) bool {
	for _, s := range b.spans(p, t) {
		if s[0] <= t && t < s[1] {
			return true
		}
	}
	return false
}

func (b birthday) next(p *crm.Profile, t crm.Instant) crm.Instant {
	at, _ := b.turn(p, t)
	return at
}

func (b birthday) turn(p *crm.Profile, t crm.Instant) (crm.Instant, reason) {
	next, why := crm.Never, reason{}
	for _, s := range b.spans(p, t) {
		if s[0] > t && s[0] < next {
			next, why = s[0], reason{text: "the day comes"}
			if b.before > 0 {
				why = reason{text: "the birthday is " + strconv.Itoa(b.before) + " days away"}
			}
		}
		if s[1] > t && s[1] < next {
			next, why = s[1], reason{text: "the birthday is over"}
			if b.after > 0 {
				why = reason{text: "the birthday is more than " + daysOf(b.after) + " ago"}
			}
		}
	}
	return next, why
}

func (b birthday) needs() crm.Needs { return crm.Needs{} }

func (b birthday) explain(p *crm.Profile, t crm.Instant) Explanation {
	value := "date of birth is not known"
	if _, known := bornOn(p); known {
		value = "born on " + p.Contact.Birthday
	}
	at, why := b.turn(p, t)
	return leaf(b.words, b.match(p, t), value, at, why)
}
