package oracletest_test

import (
	"fmt"
	"os"
	"testing"
	"time"
	_ "time/tzdata" // as in the binary

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/segments/oracletest"
	"github.com/relance/relance/segments/rule"
	"github.com/relance/relance/segments/rule/ruletest"
)

// odd tells that clocks were put around midnight, or the calendar: what is most easily got wrong.
func odd(shift time.Time) bool {
	before, after := shift.Add(-time.Second).In(shift.Location()), shift
	return before.Hour() == 23 || before.Hour() == 0 || after.Hour() == 0 || before.Day() != after.Day() && after.Hour() > 0
}

// chosen are the shifts of a zone that are looked at: the newest odd ones, and one more that differs from zone to zone.
func chosen(n int, all []time.Time) []time.Time {
	if os.Getenv("RELANCE_SOAK") != "" || len(all) < 2 {
		return all
	}
	out := []time.Time{all[n*7%len(all)]}
	for i := len(all) - 1; i >= 0 && len(out) < 2; i-- {
		if odd(all[i]) {
			out = append(out, all[i])
		}
	}
	return out
}

// timely are definitions that the calendar decides, for somebody with facts around a day.
func timely(t *testing.T, day time.Time) []*rule.Segment {
	t.Helper()
	texts := []string{
		"{last_purchase: {within: 1mo}}", "{bought: {exactly: 3, within: 1mo}}", "{nth_purchase: {n: 2, older_than: 1mo, newer_than: 1y}}",
		"{bought: {at_least: 2, within: 1y}}", "{open_cart: {idle_for: 1mo}}", "{birthday: today}", "{birthday: {in_next: 2d}}", "{birthday: {in_last: 1d}}",
		fmt.Sprintf("{age: {at_least: %d}}", day.Year()-1960), fmt.Sprintf("{age: {at_most: %d}}", day.Year()-1960-1),
		fmt.Sprintf("{bought: {between: {from: %s, before: %s}}}", day.Format(time.DateOnly), day.AddDate(0, 0, 1).Format(time.DateOnly)),
	}
	for _, in := range []string{"today", "yesterday", "this_week", "last_week", "this_month", "last_month", "this_quarter", "last_year"} {
		texts = append(texts, "{bought: {exactly: 2, in: "+in+"}}")
	}
	var out []*rule.Segment
	for _, text := range texts {
		seg, err := rule.Decode("s", "match: "+text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, seg)
	}
	return out
}

// around gives somebody facts before and after a shift, a month and a year earlier at the times that it skips or repeats,
// and birthdays on its day.
func around(shift time.Time, leapling bool) *crm.Profile {
	zone := shift.Location()
	p := &crm.Profile{Contact: crm.Contact{Zone: zone.String(), Birthday: shift.AddDate(1960-shift.Year(), 0, 0).Format(time.DateOnly)}}
	if leapling {
		p.Contact.Birthday = "1960-02-29"
	}
	before := shift.Add(-time.Second).In(zone) // the clock that is put
	y, m, d := before.Date()
	wall := func(y int, m time.Month, d, minutes int) time.Time {
		return time.Date(y, m, d, before.Hour(), before.Minute()+minutes, 0, 0, zone)
	}
	for i, at := range []time.Time{
		wall(y-1, m, d, 1), wall(y-1, m, d, 31), wall(y, m-1, d, 1), wall(y, m-1, d, 31), wall(y, m-1, d, -29), time.Date(y, m, 0, 12, 0, 0, 0, zone),
		shift.AddDate(0, 0, -1), shift.Add(-30 * time.Minute), shift, shift.Add(30 * time.Minute), shift.Add(90 * time.Minute),
	} {
		p.Orders = append(p.Orders, crm.ProfileOrder{ID: fmt.Sprint(i), CountsAsSale: true, Currency: "EUR", PlacedAt: crm.At(at)})
	}
	opened := crm.At(wall(y, m-1, d, 31))
	p.Carts = []crm.ProfileCart{{CreatedAt: opened, ActiveAt: opened}}
	return p
}

// TestEveryZoneOfTheDatabase follows people with facts around the shifts of clocks of every zone.
func TestEveryZoneOfTheDatabase(t *testing.T) {
	const day = 24 * time.Hour
	var sum oracletest.Tally
	zones, looked := 0, map[string]bool{}
	for n, name := range ruletest.ZoneNames(t) {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		zones++
		for _, shift := range chosen(n, ruletest.ClockChanges(zone, 1971, 2038)) {
			_, was := shift.Add(-time.Second).In(zone).Zone()
			_, is := shift.Zone()
			key := fmt.Sprint(shift.Unix(), was, is)
			if looked[key] {
				continue // the same clock under another name
			}
			looked[key] = true
			p := around(shift, len(looked)%2 == 0)
			who := oracletest.FromProfile(p)
			from := crm.At(shift.Add(-2 * day))
			grid := stepped(from, from.Add(4*day), 6*time.Hour)
			grid = append(grid, stepped(from.Add(4*day), from.Add(40*day), 70*time.Hour)...)
			for _, seg := range timely(t, shift) {
				text, _ := seg.Encode()
				o, err := oracletest.Read(text)
				if err != nil {
					t.Fatal(err)
				}
				course, err := o.Watch(who, grid)
				if err != nil {
					t.Fatal(err)
				}
				got, err := oracletest.Follow(seg, p, o, who, course)
				if err != nil {
					t.Errorf("%s, clocks put at %s: %v\n%s", name, shift.UTC(), err, text)
				}
				add(&sum, got)
			}
		}
	}
	t.Logf("%d zones, %d different shifts, %d (contact, instant) pairs, %d flips", zones, len(looked), sum.Pairs, sum.Flips)
	if zones < 500 || len(looked) < 300 || sum.Flips < 5000 {
		t.Error("that shows little")
	}
}

func stepped(from, to crm.Instant, by time.Duration) []int64 {
	var out []int64
	for at := from; at < to; at = at.Add(by) {
		out = append(out, int64(at))
	}
	return out
}
