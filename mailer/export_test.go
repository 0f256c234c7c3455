package mailer

import (
	"time"

	"github.com/relance/relance/internal/crm"
)

// QuietEnd is the end of quiet hours given in minutes of the day.
func QuietEnd(from, to int, now time.Time, loc *time.Location) time.Time {
	return quiet{from: from, to: to}.end(now, loc)
}

// Legal is the table of transitions.
func Legal(from, to State) bool { return legal(from, to) }

// FormatMoney writes an amount for readers.
func FormatMoney(minor int64, currency, locale string) string {
	return formatMoney(minor, currency, locale)
}

// HourOf is the hour at which a contact likes to be written to; -1 when none is known.
func HourOf(p *crm.Profile, now crm.Instant, loc *time.Location) int {
	h := hourOf(p, now, loc)
	if !h.known {
		return -1
	}
	return h.at
}

// NextHour is the first instant, now or later, in an hour of the day.
func NextHour(h int, now time.Time, loc *time.Location) time.Time {
	return nextHour(h, crm.At(now), loc).Time()
}

func runsOf(b BroadcastSpec) *runs { return (&compiler{}).runs(b) }

// RunDay, RunAt and RunsAround ask when a broadcast comes.
func RunDay(b BroadcastSpec, n int) time.Time { return runsOf(b).day(n) }

func RunAt(b BroadcastSpec, n int, loc *time.Location) crm.Instant {
	return runsOf(b).at(RunDay(b, n), loc)
}

func RunsAround(b BroadcastSpec, from, to crm.Instant) (out []time.Time) {
	return runsOf(b).around(from, to)
}
