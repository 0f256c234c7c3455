package mailer

import (
	"time"
)

// What starts a campaign: a closed set.
const (
	triggerEnters    = "enters"
	triggerLeaves    = "leaves"
	triggerEvent     = "event"
	triggerOrder     = "order"
	triggerDate      = "date"
	triggerStock     = "stock"
	triggerBroadcast = "broadcast"
)

// trigger is a TriggerSpec read, with the occurrence that goes with it.
type trigger struct {
	on           string // one of the constants
	segment      string // whose changes are looked at: enters, leaves, date (its own), broadcast (its members)
	occurrence   string
	againAfter   time.Duration
	exitWhenLeft bool
}

func (k *compiler) trigger(s CampaignSpec, c *campaign) {
	c.trigger.on = triggerEnters
	c.trigger.exitWhenLeft = s.ExitWhenLeft == nil || *s.ExitWhenLeft
	if s.Trigger.Enters == "" {
		k.wrong(".trigger", "nothing starts this campaign", "trigger: {enters: <segment>}")
	} else {
		c.trigger.segment = k.segment(".trigger.enters", s.Trigger.Enters)
	}
	k.occurrence(s, c)
}

func (k *compiler) occurrence(s CampaignSpec, c *campaign) {
	c.trigger.occurrence = orElse(s.Occurrence.Mode, OccurrenceOnce)
	switch c.trigger.occurrence {
	case OccurrenceOnce, OccurrenceEach, OccurrenceCart:
	case OccurrenceAgain:
		if s.Occurrence.AgainAfter == "" {
			k.wrong(".occurrence", "again_after has no length of time", "again_after: 90d")
		}
		c.trigger.againAfter = k.span(".occurrence.again_after", s.Occurrence.AgainAfter, 0)
	default:
		k.wrong(".occurrence", quoted(c.trigger.occurrence)+" is no occurrence", "once, each, cart or {again_after: 90d}")
	}
}
