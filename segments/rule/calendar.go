package rule

import (
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	"github.com/relance/relance/internal/crm"
)

// civil is a calendar day without a zone.
type civil struct {
	y int
	m time.Month
	d int
}

func (c *compiler) civil(path, text string) (civil, bool) {
	if text == "" {
		return civil{}, false
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		c.fail(path, fmt.Sprintf("%q is no day of the calendar", text), "a day such as 2026-11-27")
		return civil{}, false
	}
	y, m, d := t.Date()
	return civil{y, m, d}, true
}

// civilAt is the day that the calendar on the wall shows.
func civilAt(f crm.Instant, loc *time.Location) civil {
	y, m, d := time.UnixMilli(int64(f)).In(loc).Date()
	return civil{y, m, d}
}

// start is the first instant of the day in a zone. Where clocks go forward at midnight the day begins at the
// change; where midnight comes twice, with the first.
func (d civil) start(loc *time.Location) crm.Instant { return wall(d.y, d.m, d.d, 0, 0, 0, 0, loc) }

// plus moves by days; a day of the calendar that a zone left out (30 December 2011 in Samoa) is one, too.
func (d civil) plus(days int) civil {
	y, m, dd := time.Date(d.y, d.m, d.d+days, 0, 0, 0, 0, time.UTC).Date()
	return civil{y, m, dd}
}

func (d civil) String() string { return fmt.Sprintf("%04d-%02d-%02d", d.y, d.m, d.d) }

func daysIn(y int, m time.Month) int {
	return time.Date(y, m+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// WallTime is the instant at which clocks of a zone show a date and a time of the day, in minutes: the first where it comes
// twice, the first instant after the gap where it does not come. A day beyond its month counts on, as in time.Date.
// Campaigns wait by it.
func WallTime(y int, m time.Month, d, minutes int, loc *time.Location) crm.Instant {
	return wall(y, m, d, minutes/60, minutes%60, 0, 0, loc)
}

// wall is WallTime to the nanosecond.
func wall(y int, m time.Month, d, h, mi, s, ns int, loc *time.Location) crm.Instant {
	t := time.Date(y, m, d, h, mi, s, ns, loc)
	from, to := t.ZoneBounds()
	const far = 26 * time.Hour // no clock was ever put by more
	if (from.IsZero() || t.Sub(from) > far) && (to.IsZero() || to.Sub(t) > far) {
		return crm.Instant(t.UnixMilli())
	}
	return wallNear(time.Date(y, m, d, h, mi, s, ns, time.UTC), t, loc)
}

// wallNear tries the offsets in force within a day and a bit around a guess, in their order.
func wallNear(shown, guess time.Time, loc *time.Location) crm.Instant {
	const far = 52 * time.Hour
	at := guess.Add(-far)
	for {
		_, offset := at.In(loc).Zone()
		from, to := at.In(loc).ZoneBounds()
		if !to.IsZero() && !to.After(at) { // Go ends leap years beyond a zone's table a day early, and never comes past that end
			to = at.Add(time.Hour)
		}
		x := shown.Add(-time.Duration(offset) * time.Second).In(loc)
		switch {
		case !from.IsZero() && x.Before(from):
			return crm.Instant(from.UnixMilli()) // later offsets show it earlier still: it fell into the gap before
		case to.IsZero() || x.Before(to):
			return crm.Instant(x.UnixMilli())
		}
		at = to
	}
}

// calendar is a window of the calendar: the period of a unit that now lies in, or the one before.
type calendar struct {
	name string // "" = none
	unit byte   // d w m q y
	last bool
}

// calendars are all of them, in the order in which people are told.
func calendars() []calendar {
	return []calendar{
		{"today", 'd', false},
		{"yesterday", 'd', true},
		{"this_week", 'w', false},
		{"last_week", 'w', true},
		{"this_month", 'm', false},
		{"last_month", 'm', true},
		{"this_quarter", 'q', false},
		{"last_quarter", 'q', true},
		{"this_year", 'y', false},
		{"last_year", 'y', true},
	}
}

// first is the first day of the period that a day lies in. Weeks begin on Monday.
func (k calendar) first(d civil) civil {
	switch k.unit {
	case 'd':
		return d
	case 'w':
		weekday := time.Date(d.y, d.m, d.d, 0, 0, 0, 0, time.UTC).Weekday()
		return d.plus(-(int(weekday) + 6) % 7)
	case 'm':
		return civil{d.y, d.m, 1}
	case 'q':
		return civil{d.y, (d.m-1)/3*3 + 1, 1}
	}
	return civil{d.y, 1, 1}
}

// next is the first day of the period after the one that begins with a day.
func (k calendar) next(d civil) civil {
	switch k.unit {
	case 'd':
		return d.plus(1)
	case 'w':
		return d.plus(7)
	case 'm':
		return k.first(d.plus(31))
	case 'q':
		return k.first(d.plus(92))
	}
	return civil{d.y + 1, 1, 1}
}

// zones keeps the time zones of contacts: loading one reads a file. Shared by all conditions of a segment.
type zones struct {
	known atomic.Pointer[map[string]*time.Location]
}

// of is the contact's zone. What is kept is bounded: zones are some 600 names, but a shop may send anything.
func (z *zones) of(p *crm.Profile) *time.Location {
	known := z.known.Load()
	if known != nil {
		if loc := (*known)[p.Contact.Zone]; loc != nil {
			return loc
		}
	}
	loc := p.Contact.Location()
	more := map[string]*time.Location{p.Contact.Zone: loc}
	if known != nil && len(*known) < 2000 {
		maps.Copy(more, *known)
	}
	z.known.Store(&more)
	return loc
}

// later is the instant a span after f in the contact's zone.
func (z *zones) later(p *crm.Profile, f crm.Instant, s span) crm.Instant {
	if s.months == 0 {
		return f.Add(s.fixed)
	}
	return s.after(f, z.of(p))
}
