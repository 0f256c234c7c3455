package mailer

import (
	"fmt"
	"slices"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/segments/rule"
)

// wait is a WaitSpec read: a length of time, or a place in the contact's calendar.
type wait struct {
	span  time.Duration
	civil bool
	days  int
	clock int             // minutes of the day; -1: the time of the day at which the wait begins
	on    map[string]bool // nil: any day
}

const (
	mostDaysWaited = 3660
	wantWait       = `1h, 7d, or a mapping such as {days: 1, at: "09:00", on: [mon, tue]}`
)

// weekdays in the order of time.Weekday.
func weekdays() []string { return []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"} }

func (k *compiler) wait(path string, raw WaitSpec) wait {
	w := wait{days: raw.Days, clock: -1, civil: raw.Days != 0 || raw.At != "" || len(raw.On) > 0}
	switch {
	case raw.For != "" && w.civil:
		k.wrong(path, "a length of time stands beside days of the calendar", "one of them: "+wantWait)
	case raw.For != "":
		w.span = k.span(path, raw.For, 0)
	case !w.civil:
		k.wrong(path, "it does not say how long", wantWait)
	}
	if raw.Days < 0 || raw.Days > mostDaysWaited {
		k.wrong(path+".days", fmt.Sprintf("%d days cannot be waited", raw.Days), fmt.Sprintf("0 to %d; 0 is today or, when the time has passed, the next day that fits", mostDaysWaited))
	}
	if raw.At != "" {
		var err error
		if w.clock, err = parseClock(raw.At); err != nil {
			k.wrong(path+".at", err.Error(), `a time of day in quotes: "09:00"`)
		}
	}
	for i, name := range raw.On {
		if !slices.Contains(weekdays(), name) {
			k.wrong(fmt.Sprintf("%s.on[%d]", path, i), quoted(name)+" is no day of the week", "mon, tue, wed, thu, fri, sat or sun")
			continue
		}
		if w.on == nil {
			w.on = map[string]bool{}
		}
		w.on[name] = true
	}
	return w
}

// over is when a wait that begins at an instant ends, on the clock of loc. A time that the clocks leave out is the first
// instant after the gap; of an hour that comes twice it is the first.
func (w wait) over(begun crm.Instant, loc *time.Location) crm.Instant {
	if !w.civil {
		return begun.Add(w.span)
	}
	local := begun.Time().In(loc)
	y, m, d := local.Date()
	for days := w.days; ; days++ {
		weekday := time.Date(y, m, d+days, 0, 0, 0, 0, time.UTC).Weekday()
		if w.on != nil && !w.on[weekdays()[weekday]] {
			continue
		}
		if w.clock < 0 && days == 0 {
			return begun
		}
		minutes, rest := w.clock, time.Duration(0)
		if minutes < 0 {
			minutes = local.Hour()*60 + local.Minute()
			rest = time.Duration(local.Second())*time.Second + time.Duration(local.Nanosecond())
		}
		if at := rule.WallTime(y, m, d+days, minutes, loc).Add(rest); at >= begun {
			return at
		}
	}
}
