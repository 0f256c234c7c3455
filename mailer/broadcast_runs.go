package mailer

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/segments/rule"
)

// runs are the days on which a broadcast goes out, at one time of the day on everybody's own clock.
type runs struct {
	y       int
	m       time.Month
	d       int
	minutes int // of the day
	every   int // 0 = one time
	unit    string
	window  time.Duration // 0 = the campaign's not_after
}

// Clocks of the world: a time of day comes first in UTC+14 and last in UTC-12.
const (
	earliestZone = 14 * time.Hour
	latestZone   = 12 * time.Hour
	allZones     = earliestZone + latestZone
)

func (k *compiler) runs(s BroadcastSpec) *runs {
	const path = ".trigger.broadcast"
	r := &runs{}
	at, err := time.Parse("2006-01-02 15:04", s.At)
	if err != nil {
		k.wrong(path+".at", quoted(s.At)+" is no day and time", `a day and a time on each contact's clock, in quotes: "2026-12-01 10:00"`)
	}
	r.y, r.m, r.d = at.Date()
	r.minutes = at.Hour()*60 + at.Minute()
	if s.Every != "" {
		parts := regexp.MustCompile(`^([1-9][0-9]?)(w|mo|y)$`).FindStringSubmatch(s.Every)
		if parts == nil {
			k.wrong(path+".every", quoted(s.Every)+" is no rhythm", "weeks, months or years: 1w, 2w, 1mo, 3mo, 1y")
		} else {
			r.every, _ = strconv.Atoi(parts[1]) // one or two digits
			r.unit = parts[2]
		}
	}
	if s.Window != "" {
		r.window = k.span(path+".window", s.Window, defaultNotAfter)
	}
	return r
}

// day is the civil day of the n-th run, from 0. A day that a month lacks is its last.
func (r *runs) day(n int) time.Time {
	if r.unit == "w" {
		return time.Date(r.y, r.m, r.d+7*r.every*n, 0, 0, 0, 0, time.UTC)
	}
	months := r.every * n
	if r.unit == "y" {
		months *= 12
	}
	first := time.Date(r.y, r.m+time.Month(months), 1, 0, 0, 0, 0, time.UTC)
	last := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(r.d, last)-1)
}

// at is when a run of a day comes where clocks show loc's time: the first such instant where it comes twice, the first
// after the gap where it does not come.
func (r *runs) at(day time.Time, loc *time.Location) crm.Instant {
	y, m, d := day.Date()
	return rule.WallTime(y, m, d, r.minutes, loc)
}

// around gives the days of the runs that come somewhere in the world between two instants, oldest first.
func (r *runs) around(from, to crm.Instant) []time.Time {
	var out []time.Time
	for n := r.near(from); ; n++ {
		day := r.day(n)
		noon := crm.At(day.Add(time.Duration(r.minutes) * time.Minute))
		if noon.Add(-earliestZone) > to {
			return out
		}
		if noon.Add(latestZone) >= from {
			out = append(out, day)
		}
		if r.every == 0 {
			return out
		}
	}
}

// near is the number of a run that is not after an instant, and not long before: no run is counted out one by one.
func (r *runs) near(at crm.Instant) int {
	if r.every == 0 {
		return 0
	}
	days := int(at.Time().Sub(r.day(0)) / (24 * time.Hour))
	length := map[string]int{"w": 7, "mo": 32, "y": 367}[r.unit] * r.every
	return max(days/length-1, 0)
}

// next is when the next run begins where it begins first; 0 when none is to come.
func (r *runs) next(ctx context.Context, m *mirror.Mirror, now crm.Instant) (crm.Instant, error) {
	shops, err := m.Shops(ctx)
	if err != nil {
		return 0, fmt.Errorf("listing shops: %w", err)
	}
	zones, err := zonesOf(ctx, m.DB().Read(), shops)
	if err != nil {
		return 0, err
	}
	horizon := now.Add(allZones)
	if r.every == 0 {
		horizon = crm.Never
	} else {
		horizon = max(horizon, crm.At(r.day(r.near(now)+4)).Add(allZones))
	}
	for _, day := range r.around(now, horizon) {
		var first crm.Instant
		for _, name := range zones {
			at := r.at(day, crm.Contact{Zone: name}.Location())
			if at >= now && (first == 0 || at < first) {
				first = at
			}
		}
		if first > 0 {
			return first, nil
		}
	}
	return 0, nil
}

// zonesOf lists the names of the zones that contacts live in: few, however many they are.
func zonesOf(ctx context.Context, q store.Queryer, shops []mirror.Shop) ([]string, error) {
	names := map[string]bool{}
	for _, s := range shops {
		names[s.Zone] = true
	}
	for last := ""; ; {
		var next string
		if err := q.GetContext(ctx, &next, "SELECT COALESCE(MIN(zone), '') FROM contacts WHERE zone>?", last); err != nil {
			return nil, fmt.Errorf("reading where contacts live: %w", err)
		}
		if next == "" {
			break
		}
		names[next], last = true, next
	}
	if len(names) == 0 {
		names["UTC"] = true
	}
	return slices.Sorted(maps.Keys(names)), nil
}
