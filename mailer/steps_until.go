package mailer

import (
	"time"

	"github.com/relance/relance/internal/crm"
)

// until is an UntilSpec read.
type until struct {
	fact
	timeout time.Duration
}

func (k *compiler) until(path string, raw UntilSpec, c *campaign) until {
	u := until{fact: k.fact(path, raw.Order, raw.Click, raw.Event, raw.If != nil, "if: <condition>", c)}
	if raw.Timeout == "" {
		k.wrong(path+".timeout", "it does not say how long to wait at most", "timeout: 7d")
	}
	u.timeout = k.span(path+".timeout", raw.Timeout, 0)
	u.holds = k.condition(path+".if", raw.If)
	return u
}

// longestLook bounds how many instants of one wait are looked at in one go.
const longestLook = 1000

// look tells where a wait that began at an instant stands at now: over, with when that was, or to be looked at again at
// due. from is where the instants begin that nobody has looked at; it goes through them in their order, so that what
// held for a while is not missed.
func (u until) look(p *crm.Profile, begun, from, now crm.Instant) (at crm.Instant, over bool) {
	end := begun.Add(u.timeout)
	t := min(from, end)
	for range longestLook {
		if happened, ok := u.since(p, begun, t); ok {
			return max(happened, begun), true
		}
		if t >= end {
			return end, true
		}
		if t = min(u.next(p, begun, t), end); t > now {
			return t, false
		}
	}
	return t, false
}
