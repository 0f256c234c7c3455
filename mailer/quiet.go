package mailer

import (
	"fmt"
	"time"
)

// QuietHours are hours of the contact's own day in which nothing is sent; From after To spans midnight.
type QuietHours struct {
	From string `yaml:"from" json:"from"` // "21:00"
	To   string `yaml:"to" json:"to"`     // "08:00", the first minute that is not quiet
}

// quiet is QuietHours in minutes of the local day; the zero value is never quiet.
type quiet struct{ from, to int }

func (q quiet) String() string {
	return fmt.Sprintf("%02d:%02d–%02d:%02d", q.from/60, q.from%60, q.to/60, q.to%60)
}

func parseClock(raw string) (minutes int, err error) {
	t, err := time.Parse("15:04", raw)
	if err != nil {
		return 0, fmt.Errorf("%q is no time of day", raw)
	}
	return t.Hour()*60 + t.Minute(), nil
}

func (q quiet) holds(t time.Time) bool {
	m := t.Hour()*60 + t.Minute()
	if q.from <= q.to {
		return q.from <= m && m < q.to
	}
	return m >= q.from || m < q.to
}

// end is the first instant at or after now that is not quiet on the clock of loc. On the days when clocks change
// it goes by what the clock shows: an hour that occurs twice is quiet twice, one that is skipped is over at once.
func (q quiet) end(now time.Time, loc *time.Location) time.Time {
	local := now.In(loc)
	if !q.holds(local) {
		return now
	}
	day := local.Day()
	if q.from > q.to && local.Hour()*60+local.Minute() >= q.from {
		day++
	}
	// Start at most half a day of clock changes before the civil end, never before now, and walk by the minute.
	t := time.Date(local.Year(), local.Month(), day, q.to/60, q.to%60, 0, 0, loc).Add(-3 * time.Hour)
	if !t.After(local) {
		t = local.Truncate(time.Minute)
	}
	for q.holds(t) {
		t = t.Add(time.Minute)
	}
	return t.In(now.Location())
}
