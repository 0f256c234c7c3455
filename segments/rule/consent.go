package rule

import (
	"fmt"
	"slices"
	"strings"

	"github.com/relance/relance/internal/crm"
)

// consent compares the state of one topic and channel.
type consent struct{ topic, channel, state string }

func (c *compiler) consent(path string, w Consent) condition {
	out := consent{topic: w.Topic, channel: w.Channel, state: w.State}
	if out.topic == "" {
		out.topic = "marketing"
	}
	if out.channel == "" {
		out.channel = "email"
	}
	states := []string{crm.ConsentGranted, crm.ConsentNone, crm.ConsentPending, crm.ConsentWithdrawn}
	if !slices.Contains(states, w.State) {
		c.fail(path, fmt.Sprintf("%q is no state of a consent", w.State), strings.Join(states, ", "))
	}
	return out
}

// at is the state at t. An answer dated after t is not known yet; a granted or pending one may expire, a
// withdrawal never does.
func (c consent) at(p *crm.Profile, t crm.Instant) string {
	s := c.stored(p)
	if s == nil || s.SourceAt > t || c.expires(s) && t >= s.ExpiresAt {
		return crm.ConsentNone
	}
	return s.State
}

func (c consent) stored(p *crm.Profile) *crm.ConsentState {
	for i := range p.Consents {
		if s := &p.Consents[i]; s.Topic == c.topic && s.Channel == c.channel {
			return s
		}
	}
	return nil
}

func (c consent) expires(s *crm.ConsentState) bool {
	return s.ExpiresAt != 0 && s.State != crm.ConsentWithdrawn
}

func (c consent) match(p *crm.Profile, t crm.Instant) bool { return c.at(p, t) == c.state }

func (c consent) next(p *crm.Profile, t crm.Instant) crm.Instant {
	at, _ := c.turn(p, t)
	return at
}

func (c consent) turn(p *crm.Profile, t crm.Instant) (crm.Instant, reason) {
	s := c.stored(p)
	switch {
	case s == nil:
		return crm.Never, reason{}
	case s.SourceAt > t:
		return s.SourceAt, reason{text: "the answer is dated %s", at: s.SourceAt}
	case c.expires(s) && s.ExpiresAt > t:
		return s.ExpiresAt, reason{text: "the consent expires"}
	}
	return crm.Never, reason{}
}

func (c consent) needs() crm.Needs { return crm.Needs{Consents: true} }
