package oracletest_test

import (
	"slices"
	"testing"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/segments/oracletest"
	"github.com/relance/relance/segments/rule"
)

// turns gives the instants at which somebody enters and leaves, by the engine and by the oracle, which must agree.
func turns(t *testing.T, text string, p *crm.Profile, from, to crm.Instant) []string {
	t.Helper()
	seg, err := rule.Decode("s", "match: "+text)
	if err != nil {
		t.Fatal(err)
	}
	o, err := oracletest.Read("match: " + text)
	if err != nil {
		t.Fatal(err)
	}
	who := oracletest.FromProfile(p)
	course, err := o.Watch(who, stepped(from, to, time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := oracletest.Follow(seg, p, o, who, course); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	var out []string
	for _, flip := range course.Flips() {
		out = append(out, crm.Instant(flip).Time().Format("2006-01-02T15:04:05.999Z"))
	}
	return out
}

func at(t *testing.T, text string) crm.Instant {
	t.Helper()
	x, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return crm.At(x)
}

func buyer(t *testing.T, zone, placed string) *crm.Profile {
	t.Helper()
	return &crm.Profile{Contact: crm.Contact{Zone: zone}, Orders: []crm.ProfileOrder{{ID: "1", CountsAsSale: true, PlacedAt: at(t, placed)}}}
}

// TestB40_TimesAreInstantsInTheContactsZone: actions 2 hours, or 12, off, and snapping back. A length of days is so many
// times 24 hours whatever clocks do; months and periods go by the contact's clock, with written rules for gaps and repeats.
func TestB40_TimesAreInstantsInTheContactsZone(t *testing.T) {
	for _, c := range []struct{ zone, placed, match, from, to string }{
		{"Europe/Paris", "2026-09-01T10:00:00Z", "{last_purchase: {newer_than: 60d}}", "2026-09-01T10:00:00Z", "2026-10-31T10:00:00Z"},           // clocks went back: still J+60
		{"Europe/Paris", "2026-02-01T10:00:00Z", "{last_purchase: {within: 60d}}", "2026-02-01T10:00:00Z", "2026-04-02T10:00:00Z"},               // and forward
		{"Europe/Paris", "2026-10-01T10:00:00+02:00", "{last_purchase: {within: 1mo}}", "2026-10-01T08:00:00Z", "2026-11-01T09:00:00Z"},          // ten o'clock stays ten o'clock
		{"Europe/Paris", "2026-09-25T02:30:00+02:00", "{last_purchase: {within: 1mo}}", "2026-09-25T00:30:00Z", "2026-10-25T00:30:00Z"},          // 02:30 comes twice: the first
		{"Europe/Paris", "2026-01-29T02:30:00+01:00", "{last_purchase: {within: 2mo}}", "2026-01-29T01:30:00Z", "2026-03-29T01:00:00Z"},          // 02:30 never comes: after the gap
		{"Europe/Paris", "2026-01-31T12:00:00+01:00", "{last_purchase: {within: 1mo}}", "2026-01-31T11:00:00Z", "2026-02-28T11:00:00Z"},          // a month's end
		{"Europe/Paris", "2024-02-29T12:00:00+01:00", "{last_purchase: {within: 1y}}", "2024-02-29T11:00:00Z", "2025-02-28T11:00:00Z"},           // a leap day
		{"Asia/Tokyo", "2026-10-24T15:30:00Z", "{bought: {in: today}}", "2026-10-24T15:30:00Z", "2026-10-25T15:00:00Z"},                          // their today
		{"America/Los_Angeles", "2026-10-24T15:30:00Z", "{bought: {in: today}}", "2026-10-24T15:30:00Z", "2026-10-25T07:00:00Z"},                 // and theirs
		{"America/Havana", "2026-10-31T12:00:00-04:00", "{bought: {in: yesterday}}", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"},             // midnight comes twice: the first
		{"Asia/Beirut", "2026-03-28T12:00:00+02:00", "{bought: {in: yesterday}}", "2026-03-28T22:00:00Z", "2026-03-29T21:00:00Z"},                // midnight never comes
		{"Australia/Lord_Howe", "2026-10-04T12:00:00+11:00", "{bought: {in: yesterday}}", "2026-10-04T13:00:00Z", "2026-10-05T13:00:00Z"},        // clocks put by half an hour
		{"+05:45", "2026-10-04T12:00:00+05:45", "{bought: {in: last_week}}", "2026-10-04T18:15:00Z", "2026-10-11T18:15:00Z"},                     // a shop that knows an offset alone
		{"Pacific/Apia", "2011-12-29T12:00:00-10:00", "{bought: {between: {from: 2011-12-29, before: 2011-12-31}}}", "2011-12-29T22:00:00Z", ""}, // the 30th was left out
	} {
		const day = 24 * time.Hour
		want := []string{c.from, c.to}
		if c.to == "" {
			want = want[:1]
		}
		from := at(t, c.from)
		if got := turns(t, c.match, buyer(t, c.zone, c.placed), from.Add(-2*day), from.Add(400*day)); !slices.Equal(got, want) {
			t.Errorf("%s, %s, order of %s: %v, want %v", c.match, c.zone, c.placed, got, want)
		}
	}
}

// TestB41_BirthdaysAreCivilDays: birthdays a day early for years, since relative dates were reckoned in UTC.
func TestB41_BirthdaysAreCivilDays(t *testing.T) {
	for _, c := range []struct {
		zone, born, match, from, to string
		want                        []string
	}{
		{"Pacific/Auckland", "1990-06-15", "{birthday: today}", "2026-06-01T00:00:00Z", "2026-07-01T00:00:00Z", []string{"2026-06-14T12:00:00Z", "2026-06-15T12:00:00Z"}},
		{"America/Los_Angeles", "1990-06-15", "{birthday: today}", "2026-06-01T00:00:00Z", "2026-07-01T00:00:00Z", []string{"2026-06-15T07:00:00Z", "2026-06-16T07:00:00Z"}},
		{"Europe/Paris", "1990-10-25", "{birthday: today}", "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z", []string{"2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"}}, // a day of 25 hours
		{"Europe/Paris", "2000-02-29", "{birthday: today}", "2026-02-01T00:00:00Z", "2026-04-01T00:00:00Z", []string{"2026-02-27T23:00:00Z", "2026-02-28T23:00:00Z"}},
		{"Europe/Paris", "2000-02-29", "{birthday: today}", "2028-02-01T00:00:00Z", "2028-04-01T00:00:00Z", []string{"2028-02-28T23:00:00Z", "2028-02-29T23:00:00Z"}},
		{"Europe/Paris", "1990-01-02", "{birthday: {in_next: 7d}}", "2026-12-01T00:00:00Z", "2027-02-01T00:00:00Z", []string{"2026-12-25T23:00:00Z", "2027-01-02T23:00:00Z"}}, // over the year's end
		{"Europe/Paris", "1990-12-30", "{birthday: {in_last: 7d}}", "2026-12-10T00:00:00Z", "2027-02-01T00:00:00Z", []string{"2026-12-29T23:00:00Z", "2027-01-06T23:00:00Z"}},
		{"Europe/Paris", "2008-02-29", "{age: {at_least: 18}}", "2026-02-01T00:00:00Z", "2026-04-01T00:00:00Z", []string{"2026-02-27T23:00:00Z"}}, // of age on the 28th
		{"America/Havana", "2008-11-01", "{age: {at_most: 17}}", "2026-10-01T00:00:00Z", "2026-12-01T00:00:00Z", []string{"2026-11-01T04:00:00Z"}},
		{"Asia/Beirut", "1990-03-29", "{birthday: today}", "2026-03-01T00:00:00Z", "2026-04-20T00:00:00Z", []string{"2026-03-28T22:00:00Z", "2026-03-29T21:00:00Z"}}, // it begins at 01:00
	} {
		p := &crm.Profile{Contact: crm.Contact{Zone: c.zone, Birthday: c.born}}
		if got := turns(t, c.match, p, at(t, c.from), at(t, c.to)); !slices.Equal(got, c.want) {
			t.Errorf("%s, %s, born on %s: %v, want %v", c.match, c.zone, c.born, got, c.want)
		}
	}
}
