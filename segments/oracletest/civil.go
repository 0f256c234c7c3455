package oracletest

import (
	"fmt"
	"strings"
	"time"
)

// date is a day of the calendar: days since 1 January 1970.
type date int

func dateOf(y int, m time.Month, d int) date {
	return date(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

func parseDate(text string) (date, bool) {
	t, err := time.Parse("2006-01-02", text)
	if err != nil {
		return 0, false
	}
	return dateOf(t.Date()), true
}

func (d date) parts() (int, time.Month, int) {
	return time.Date(1970, 1, 1+int(d), 0, 0, 0, 0, time.UTC).Date()
}

// Calendar is the calendar on the wall in a zone.
type Calendar struct {
	zone  *time.Location
	known map[time.Time]int64 // what was looked up before
}

// In gives the calendar of a zone: an IANA name, or an offset such as +02:00; UTC when it is neither.
func In(name string) *Calendar {
	c := &Calendar{zone: time.UTC, known: map[time.Time]int64{}}
	if l, err := time.LoadLocation(name); err == nil {
		c.zone = l
	} else if t, err := time.Parse("-07:00", name); err == nil {
		_, offset := t.Zone()
		c.zone = time.FixedZone(name, offset)
	}
	return c
}

// start is the first instant of a day.
func (c *Calendar) start(d date) int64 {
	y, m, day := d.parts()
	return c.instant(time.Date(y, m, day, 0, 0, 0, 0, time.UTC))
}

func (c *Calendar) instant(want time.Time) int64 {
	at, ok := c.known[want]
	if !ok {
		at = instantOf(want, c.zone)
		c.known[want] = at
	}
	return at
}

// instantOf is the first instant at which clocks of the zone show what want shows; if they never do, they were put
// forward over it: then the instant at which that happened.
func instantOf(want time.Time, zone *time.Location) int64 {
	const around = 50 * time.Hour
	shown := func(t time.Time) time.Time { // what clocks show, written as if it were UTC
		_, offset := t.In(zone).Zone()
		return t.Add(time.Duration(offset) * time.Second)
	}
	offsets := map[time.Duration]bool{}
	if a, b := want.Add(-around), want.Add(around); shown(a).Sub(a) == shown(b).Sub(b) && shown(want).Sub(want) == shown(a).Sub(a) {
		return want.Add(-shown(a).Sub(a)).UnixMilli()
	}
	after := time.Time{} // the first look that shows want or later
	for t := want.Add(-around); t.Before(want.Add(around)); t = t.Add(15 * time.Minute) {
		offsets[shown(t).Sub(t)] = true
		if after.IsZero() && !shown(t).Before(want) {
			after = t
		}
	}
	first := time.Time{}
	for offset := range offsets {
		if t := want.Add(-offset); shown(t).Equal(want) && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	if !first.IsZero() {
		return first.UnixMilli()
	}
	before := after.Add(-15 * time.Minute)
	for after.Sub(before) > time.Millisecond {
		if middle := before.Add(after.Sub(before) / 2).Truncate(time.Millisecond); shown(middle).Before(want) {
			before = middle
		} else {
			after = middle
		}
	}
	return after.UnixMilli()
}

// today is the day that has begun last. Clocks that go back over midnight show the day before once more; it is over.
func (c *Calendar) today(t int64) date {
	d := dateOf(time.UnixMilli(t).In(c.zone).Date())
	for c.start(d+1) <= t {
		d++
	}
	return d
}

// period numbers the periods of the calendar of one unit: the next one has the next number.
func period(d date, unit string) int {
	y, m, _ := d.parts()
	switch unit {
	case "week":
		return int(d+3+7*100000) / 7 // 1 January 1970 was a Thursday
	case "month":
		return y*12 + int(m) - 1
	case "quarter":
		return (y*12 + int(m) - 1) / 3
	case "year":
		return y
	}
	return int(d)
}

// plus is the instant a length such as 1d12h or 1y6mo after another one.
func (c *Calendar) plus(f int64, length string) int64 {
	fixed, months := lengthOf(length)
	if months == 0 {
		return f + fixed
	}
	t := time.UnixMilli(f).In(c.zone)
	y, m, d := t.Date()
	last := time.Date(y, m+time.Month(months)+1, 0, 0, 0, 0, 0, time.UTC) // of the month that is meant
	return c.instant(time.Date(last.Year(), last.Month(), min(d, last.Day()), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC))
}

func lengthOf(text string) (ms int64, months int) {
	units := map[string]int64{"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
	for text != "" {
		var n int
		var unit string
		if _, err := fmt.Sscanf(text, "%d%1s", &n, &unit); err != nil {
			panic(confused("the oracle cannot read the length " + text))
		}
		text = strings.TrimLeft(text, "0123456789")[1:]
		switch {
		case unit == "m" && strings.HasPrefix(text, "o"):
			text = text[1:]
			months += n
		case unit == "y":
			months += 12 * n
		default:
			ms += int64(n) * units[unit]
		}
	}
	return ms, months
}

// birthdayIn is the birthday of a year; who was born on 29 February has it on the 28th in other years.
func birthdayIn(born date, year int) date {
	_, m, d := born.parts()
	if m == time.February && d == 29 && time.Date(year, 2, 29, 0, 0, 0, 0, time.UTC).Day() != 29 {
		d = 28
	}
	return dateOf(year, m, d)
}
