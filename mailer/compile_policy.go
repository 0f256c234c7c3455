package mailer

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

const standardPriority = 50

// policy is what the gate goes by.
type policy struct {
	notAfter      time.Duration
	quiet         quiet
	preferredHour bool
	holdout       int
	priority      int // 1 to 100
	ownCap        Cap // of this campaign's mails, beside the sender's
	ramp          ramp
	breaker       limits
}

func (k *compiler) policy(s CampaignSpec, c *campaign) {
	c.notAfter = k.span(".not_after", s.NotAfter, defaultNotAfter)
	k.quiet(s, c)
	k.preferred(s, c)
	if c.priority = s.Priority; c.priority == 0 {
		c.priority = standardPriority
	}
	if c.priority < 1 || c.priority > 100 {
		k.wrong(".priority", fmt.Sprintf("%d is no priority", c.priority), "1 to 100, the higher goes first; 50 if nothing is said")
	}
	k.ownCap(s, c)
	k.holdout(s, c)
	k.ramp(s, c)
	k.breaker(s, c)
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

func (k *compiler) preferred(s CampaignSpec, c *campaign) {
	c.preferredHour = s.PreferredHour
	switch {
	case !s.PreferredHour:
	case c.kind == KindTransactional:
		k.wrong(".preferred_hour", "a transactional mail does not wait for an hour", "no preferred_hour")
	case c.occurrence == OccurrenceCart:
		k.wrong(".preferred_hour", "a mail about a cart does not wait for an hour", "no preferred_hour, or another occurrence")
	}
}

func (k *compiler) ownCap(s CampaignSpec, c *campaign) {
	var err error
	c.ownCap, err = ParseCap(s.Cap)
	switch {
	case err != nil:
		k.wrong(".cap", err.Error(), "a number of mails and a length of time: 2 per 30d")
	case s.Cap != "" && c.kind == KindTransactional:
		k.wrong(".cap", "a transactional mail is not capped", "no cap")
	}
}

func (k *compiler) holdout(s CampaignSpec, c *campaign) {
	c.holdout = s.Holdout
	if s.Holdout < 0 || s.Holdout > 90 {
		k.wrong(".holdout", fmt.Sprintf("%d is no percentage to hold out", s.Holdout), "0 to 90, the percentage of contacts who get nothing")
	}
	if s.Holdout > 0 && c.kind == KindTransactional {
		k.wrong(".holdout", "a transactional mail cannot be held out", "no holdout")
	}
}

func (k *compiler) ramp(s CampaignSpec, c *campaign) {
	if s.Ramp == nil {
		return
	}
	r := ramp{start: s.Ramp.Start, factor: s.Ramp.Factor, days: s.Ramp.Days}
	if r.factor == 0 {
		r.factor = standardRampFactor
	}
	if r.days == 0 {
		r.days = standardRampDays
	}
	if r.start < 1 {
		k.wrong(".ramp.start", fmt.Sprintf("%d is no number of mails to begin with", r.start), "mails on the first day, at least 1")
	}
	if r.factor < 1 || r.factor > 10 {
		k.wrong(".ramp.factor", fmt.Sprintf("%d is no factor to grow by", r.factor), "1 to 10; 2 if nothing is said")
	}
	if r.days < 1 || r.days > 60 {
		k.wrong(".ramp.days", fmt.Sprintf("%d is no number of days to be careful", r.days), "1 to 60; 7 if nothing is said")
	}
	c.ramp = r
}

func (k *compiler) breaker(s CampaignSpec, c *campaign) {
	c.breaker = standardLimits()
	if s.Breaker == nil {
		return
	}
	b := &c.breaker
	b.bounced = k.percent(".breaker.bounced", s.Breaker.Bounced, b.bounced)
	b.complained = k.percent(".breaker.complained", s.Breaker.Complained, b.complained)
	if s.Breaker.After < 0 {
		k.wrong(".breaker.after", fmt.Sprintf("%d is no number of mails", s.Breaker.After), "mails delivered or bounced before it judges; 200 if nothing is said")
	}
	if s.Breaker.After > 0 {
		b.after = int64(s.Breaker.After)
	}
}

// percent reads "0.3%".
func (k *compiler) percent(path, raw string, standard float64) float64 {
	if raw == "" {
		return standard
	}
	digits, ok := strings.CutSuffix(strings.TrimSpace(raw), "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if !ok || err != nil || !(v >= 0 && v <= 100) {
		k.wrong(path, quoted(raw)+" is no percentage", "such as 5% or 0.3%, from 0% to 100%")
		return standard
	}
	return v
}
