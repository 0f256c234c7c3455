package rule_test

import (
	"strings"
	"testing"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/segments/rule"
	"github.com/relance/relance/segments/rule/ruletest"
)

// counts is when an order of at counts for a condition with that window: the first and the last instant of it, and
// the first one after it.
func counts(t *testing.T, window, zone, at string) (from, to crm.Instant) {
	t.Helper()
	seg := segment(t, "bought: {"+window+"}")
	p := &crm.Profile{Contact: crm.Contact{Zone: zone}, Orders: []crm.ProfileOrder{sale(at, 100)}}
	from = seg.NextChange(p, instant(at)-1)
	to = seg.NextChange(p, from)
	if seg.Match(p, from-1) || !seg.Match(p, from) || !seg.Match(p, to-1) || seg.Match(p, to) || seg.NextChange(p, to) != crm.Never {
		t.Errorf("%s, %s, order of %s: [%v, %v) is not when it counts", window, zone, at, from.Time(), to.Time())
	}
	return from, to
}

func TestAMonthAndAYearGoByTheContactsCalendar(t *testing.T) {
	for _, c := range []struct{ window, zone, at, leaves string }{
		{"within: 1mo", "Europe/Paris", "2026-01-31T10:00:00+01:00", "2026-02-28T10:00:00+01:00"}, // the last day there is
		{"within: 1mo", "Europe/Paris", "2026-02-28T10:00:00+01:00", "2026-03-28T10:00:00+01:00"},
		{"within: 1mo", "Europe/Paris", "2028-01-30T23:59:59+01:00", "2028-02-29T23:59:59+01:00"},
		{"within: 1y", "Europe/Paris", "2028-02-29T10:00:00+01:00", "2029-02-28T10:00:00+01:00"},
		{"within: 12mo", "Europe/Paris", "2028-02-29T10:00:00+01:00", "2029-02-28T10:00:00+01:00"},
		{"within: 4y", "Europe/Paris", "2028-02-29T10:00:00+01:00", "2032-02-29T10:00:00+01:00"},
		{"within: 1y6mo", "Europe/Paris", "2026-08-31T10:00:00+02:00", "2028-02-29T10:00:00+01:00"},
		{"within: 1mo", "Europe/Paris", "2026-03-05T10:00:00+01:00", "2026-04-05T10:00:00+02:00"}, // an hour shorter
		{"within: 2mo", "Europe/Paris", "2026-01-29T02:30:00+01:00", "2026-03-29T03:00:00+02:00"}, // 02:30 does not come: the first instant after the gap
		{"within: 1mo", "Europe/Paris", "2026-09-25T02:30:00+02:00", "2026-10-25T02:30:00+02:00"}, // 02:30 comes twice: the first
		{"within: 1mo", "Asia/Beirut", "2026-02-28T00:00:00+02:00", "2026-03-28T00:00:00+02:00"},
		{"within: 1mo", "Asia/Beirut", "2026-02-28T23:30:00+02:00", "2026-03-28T23:30:00+02:00"},
		{"within: 7mo", "Asia/Beirut", "2026-08-29T00:20:00+03:00", "2027-03-29T00:20:00+03:00"},
		{"within: 1mo", "Asia/Beirut", "2027-02-28T00:20:00+02:00", "2027-03-28T01:00:00+03:00"},    // no midnight
		{"within: 1mo", "America/Havana", "2026-10-01T00:30:00-04:00", "2026-11-01T00:30:00-04:00"}, // two midnights
		{"within: 1mo", "Pacific/Apia", "2011-11-30T12:00:00-10:00", "2011-12-31T00:00:00+14:00"},   // no 30 December
		{"within: 1mo", "+02:00", "2026-01-31T10:00:00+02:00", "2026-02-28T10:00:00+02:00"},
	} {
		if from, to := counts(t, c.window, c.zone, c.at); from != instant(c.at) || to != instant(c.leaves) {
			t.Errorf("%s, %s, order of %s: leaves at %v, want %s", c.window, c.zone, c.at, to.Time(), c.leaves)
		}
	}
}

func TestPeriodsOfTheCalendar(t *testing.T) {
	for _, c := range []struct{ in, zone, at, from, to string }{
		{"today", "Europe/Paris", "2026-03-29T01:30:00+01:00", "", "2026-03-30T00:00:00+02:00"}, // 23 hours
		{"yesterday", "Europe/Paris", "2026-03-28T01:30:00+01:00", "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"},
		{"today", "Asia/Beirut", "2026-03-28T12:00:00+02:00", "", "2026-03-29T01:00:00+03:00"}, // the 29th begins at 01:00
		{"today", "Asia/Beirut", "2026-10-24T23:30:00+03:00", "", "2026-10-25T00:00:00+02:00"}, // 23:30 comes again
		{"today", "Asia/Beirut", "2026-10-24T23:30:00+02:00", "", "2026-10-25T00:00:00+02:00"},
		{"today", "America/Havana", "2026-10-31T12:00:00-04:00", "", "2026-11-01T00:00:00-04:00"}, // the first of two midnights
		{"today", "America/Havana", "2026-11-01T00:30:00-05:00", "", "2026-11-02T00:00:00-05:00"},
		{"this_week", "Europe/Paris", "2026-10-25T23:59:00+01:00", "", "2026-10-26T00:00:00+01:00"}, // a Sunday
		{"this_week", "Europe/Paris", "2026-10-26T00:00:00+01:00", "", "2026-11-02T00:00:00+01:00"}, // a Monday
		{"last_week", "Europe/Paris", "2026-10-21T12:00:00+02:00", "2026-10-26T00:00:00+01:00", "2026-11-02T00:00:00+01:00"},
		{"this_month", "Europe/Paris", "2026-01-31T12:00:00+01:00", "", "2026-02-01T00:00:00+01:00"},
		{"last_month", "Europe/Paris", "2026-01-31T12:00:00+01:00", "2026-02-01T00:00:00+01:00", "2026-03-01T00:00:00+01:00"},
		{"last_month", "Europe/Paris", "2026-12-01T00:00:00+01:00", "2027-01-01T00:00:00+01:00", "2027-02-01T00:00:00+01:00"},
		{"this_quarter", "Europe/Paris", "2026-08-31T12:00:00+02:00", "", "2026-10-01T00:00:00+02:00"},
		{"last_quarter", "Europe/Paris", "2026-10-01T00:00:00+02:00", "2027-01-01T00:00:00+01:00", "2027-04-01T00:00:00+02:00"},
		{"this_year", "Asia/Tokyo", "2026-12-31T23:59:59+09:00", "", "2027-01-01T00:00:00+09:00"},
		{"last_year", "Asia/Tokyo", "2026-12-31T23:59:59+09:00", "2027-01-01T00:00:00+09:00", "2028-01-01T00:00:00+09:00"},
	} {
		want := instant(c.at)
		if c.from != "" {
			want = instant(c.from)
		}
		if from, to := counts(t, "in: "+c.in, c.zone, c.at); from != want || to != instant(c.to) {
			t.Errorf("in: %s, %s, order of %s: [%v, %v)", c.in, c.zone, c.at, from.Time(), to.Time())
		}
	}
	// Samoa left out 30 December 2011: what was bought on the 29th is never of yesterday.
	p := &crm.Profile{Contact: crm.Contact{Zone: "Pacific/Apia"}, Orders: []crm.ProfileOrder{sale("2011-12-29T12:00:00-10:00", 1)}}
	if next := segment(t, "bought: {in: yesterday}").NextChange(p, 0); next != crm.Never {
		t.Error(next.Time())
	}
}

// TestClocksOnTheWallOfEveryZone looks for each quarter of an hour around each change: the instant must show that
// time and be the first that does, or none does and it is the change that skips it.
func TestClocksOnTheWallOfEveryZone(t *testing.T) {
	n := 0
	for _, name := range ruletest.ZoneNames(t) {
		loc, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, change := range ruletest.ClockChanges(loc, 1970, 2040) {
			_, before := change.Add(-time.Second).Zone()
			_, after := change.Zone()
			size := max(before, after) - min(before, after)
			for s := -900; s <= size+900; s += max(450, size/8) {
				shown := change.Add(time.Duration(min(before, after)+s) * time.Second).UTC()
				got := rule.Wall(shown, loc)
				n++
				var want time.Time
				for _, offset := range []int{max(before, after), min(before, after)} { // the larger offset shows it earlier
					x := shown.Add(-time.Duration(offset) * time.Second).In(loc)
					if _, is := x.Zone(); is == offset && want.IsZero() {
						want = x
					}
				}
				if want.IsZero() {
					want = change
				}
				if got != crm.At(want) {
					t.Fatalf("%s: %s on the wall is %v, want %v", name, shown.Format(time.DateTime), got.Time(), want.UTC())
				}
			}
		}
	}
	if n < 100_000 {
		t.Errorf("only %d were looked at", n)
	}
}

// shownDay is the day of an instant: what the calendar on the wall shows, but no day comes again when clocks are put
// back over midnight.
func shownDay(at crm.Instant, loc *time.Location) time.Time {
	t := at.Time().In(loc)
	date := func(t time.Time) time.Time { y, m, d := t.Date(); return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }
	day := date(t)
	if from, _ := t.ZoneBounds(); !from.IsZero() && t.Sub(from) < 26*time.Hour {
		if before := date(from.Add(-time.Nanosecond)); before.After(day) {
			return before
		}
	}
	return day
}

// period numbers the periods of a calendar one after the other.
func period(unit string, d time.Time) int {
	days := int(d.Unix() / 86400)
	switch unit {
	case "day":
		return days
	case "week":
		return (days + 3) / 7 // 1 January 1970 was a Thursday
	case "month":
		return d.Year()*12 + int(d.Month())
	case "quarter":
		return d.Year()*4 + (int(d.Month())-1)/3
	}
	return d.Year()
}

// TestPeriodsOfEveryZone compares each period with the dates that the clocks of the zone show, at each flip and the
// milliseconds around it, for orders on both sides of the changes of the clocks.
func TestPeriodsOfEveryZone(t *testing.T) {
	units := map[string]string{"today": "day", "yesterday": "day"}
	segments := map[string]*rule.Segment{}
	for _, u := range []string{"week", "month", "quarter", "year"} {
		units["this_"+u], units["last_"+u] = u, u
	}
	for name := range units {
		segments[name] = segment(t, "bought: {in: "+name+"}")
	}
	n := 0
	for _, zone := range ruletest.ZoneNames(t) {
		loc, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		for i, change := range append(ruletest.ClockChanges(loc, 1993, 2030), time.Date(2028, 2, 29, 12, 0, 0, 0, loc)) {
			if i%12 != 0 && change.Hour() > 0 && change.Hour() < 23 {
				continue // those at midnight are what matters
			}
			for _, off := range []time.Duration{-25 * time.Hour, -30 * time.Minute, 0, 30 * time.Minute, 20 * time.Hour} {
				at := crm.At(change.Add(off))
				p := &crm.Profile{Contact: crm.Contact{Zone: zone}, Orders: []crm.ProfileOrder{{CountsAsSale: true, PlacedAt: at}}}
				bought := shownDay(at, loc)
				for name, unit := range units {
					seg, behind := segments[name], 0
					if name == "yesterday" || strings.HasPrefix(name, "last") {
						behind = 1
					}
					for u := at; u != crm.Never; u = seg.NextChange(p, u) {
						for _, v := range []crm.Instant{u - 1, u, u + 1} {
							n++
							want := v >= at && period(unit, shownDay(v, loc))-period(unit, bought) == behind
							if got := seg.Match(p, v); got != want {
								t.Fatalf("in: %s, %s, order of %v: %v at %v", name, zone, at.Time().In(loc), got, v.Time().In(loc))
							}
						}
					}
				}
			}
		}
	}
	if n < 100_000 {
		t.Errorf("only %d were looked at", n)
	}
}
