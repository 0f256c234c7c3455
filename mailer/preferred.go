package mailer

import (
	"fmt"
	"strconv"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/segments/rule"
)

const (
	preferredHourAttribute = "relance.preferred_hour" // 0 to 23, asked for by the contact
	hourFacts              = 3                        // acts that make a habit
	hourMemory             = 365 * 24 * time.Hour
	mostHeldBack           = 24 * time.Hour // from when a mail was due
)

// hour is when a contact likes to be written to, by its own clock.
type hour struct {
	known bool
	at    int // 0 to 23
	facts int // that it was learned from; 0: the contact asked for it
}

func (h hour) String() string {
	switch {
	case !h.known:
		return "none known"
	case h.facts == 0:
		return fmt.Sprintf("preferred hour %d, asked for", h.at)
	}
	return fmt.Sprintf("preferred hour %d, learned from %d acts", h.at, h.facts)
}

// hourOf is what the contact asked for, else the hour at which it most often ordered and clicked in mails within a year; of
// two that are as frequent the one of the latest act.
func hourOf(p *crm.Profile, now crm.Instant, loc *time.Location) hour {
	if v, ok := p.Contact.Attributes[preferredHourAttribute]; ok {
		if h, err := strconv.Atoi(v); err == nil && h >= 0 && h <= 23 {
			return hour{known: true, at: h}
		}
	}
	var counts [24]int
	var latest [24]crm.Instant
	facts := 0
	act := func(at crm.Instant) {
		if at > now || at <= now.Add(-hourMemory) {
			return
		}
		h := at.Time().In(loc).Hour()
		counts[h]++
		latest[h] = max(latest[h], at)
		facts++
	}
	for i := range p.Orders {
		if ordered(p.Orders[i]) {
			act(p.Orders[i].PlacedAt)
		}
	}
	for i := range p.Events {
		if e := &p.Events[i]; e.Name == clickedMail && e.Properties["machine"] != "1" {
			act(e.At)
		}
	}
	if facts < hourFacts {
		return hour{}
	}
	best := 0
	for h := range counts {
		if counts[h] > counts[best] || counts[h] == counts[best] && latest[h] > latest[best] {
			best = h
		}
	}
	return hour{known: true, at: best, facts: facts}
}

// nextHour is the first instant, now or later, in an hour of the day by the clock of loc. Where clocks skip that hour the one
// after the gap is meant; where it comes twice, the first.
func nextHour(h int, now crm.Instant, loc *time.Location) crm.Instant {
	local := now.Time().In(loc)
	for day := -1; ; day++ { // the hour that began before midnight may not be over
		start := rule.WallTime(local.Year(), local.Month(), local.Day()+day, h*60, loc)
		if now < start.Add(time.Hour) {
			return max(now, start)
		}
	}
}

// preferredUntil is until when a mail waits for its contact's hour: now or earlier when it does not. It never waits longer
// than a day after it was due, nor until it is stale, nor into quiet hours.
func preferredUntil(h hour, now, due, notAfter crm.Instant, q quiet, loc *time.Location) crm.Instant {
	if !h.known {
		return now
	}
	at := nextHour(h.at, now, loc)
	if at > due.Add(mostHeldBack) || at >= notAfter || !q.end(at.Time(), loc).Equal(at.Time()) {
		return now
	}
	return at
}
