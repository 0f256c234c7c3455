package mailer

import (
	"fmt"
	"time"
)

const standardPriority = 50

// policy is what the gate goes by.
type policy struct {
	notAfter time.Duration
	quiet    quiet
	holdout  int
	priority int // 1 to 100
}

func (k *compiler) policy(s CampaignSpec, c *campaign) {
	c.notAfter = k.span(".not_after", s.NotAfter, defaultNotAfter)
	k.quiet(s, c)
	c.holdout = s.Holdout
	if c.priority = s.Priority; c.priority == 0 {
		c.priority = standardPriority
	}
	if c.holdout < 0 || c.holdout > 90 {
		k.wrong(".holdout", fmt.Sprintf("%d is no percentage to hold out", c.holdout), "0 to 90, the percentage of contacts who get nothing")
	}
	if c.holdout > 0 && c.kind == KindTransactional {
		k.wrong(".holdout", "a transactional mail cannot be held out", "no holdout")
	}
}

func (k *compiler) quiet(s CampaignSpec, c *campaign) {
	if s.QuietHours == nil {
		return
	}
	from, err := parseClock(s.QuietHours.From)
	if err != nil {
		k.wrong(".quiet_hours.from", err.Error(), `a time of day in quotes: "21:00"`)
	}
	to, err2 := parseClock(s.QuietHours.To)
	if err2 != nil {
		k.wrong(".quiet_hours.to", err2.Error(), `a time of day in quotes: "08:00"`)
	}
	if err == nil && err2 == nil && from == to {
		k.wrong(".quiet_hours", "quiet hours begin and end at the same time", "two different times, or no quiet_hours")
	}
	c.quiet = quiet{from: from, to: to}
}
