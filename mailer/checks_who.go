package mailer

import (
	"fmt"
	"strings"
	"time"

	"github.com/relance/relance/internal/crm"
)

// The checks that ask whether this mail may go to this contact at all. What they see of a person is told by kind and date
// only: no address, no name.

// set checks what must be there before anything can be sent at all.
func (g *gating) set(c *candidate) verdict {
	if c.run.campaign == nil {
		return refuse(StepRemoved)
	}
	at, ok := c.run.step(c.Step)
	if !ok || !at.sends() {
		return g.value(refuse(StepRemoved), "step %s", c.Step)
	}
	c.template, c.sendgrid = at.template, at.sendgrid
	if r := g.missing(c); r != NoReason {
		return g.value(g.later(c, r), "the campaign is %s, step %s", strings.TrimSpace(c.run.state+" "+parenthesis(c.run.reason)), c.Step)
	}
	return g.ok("the campaign is %s, step %s", c.run.state, c.Step)
}

// missing says what is not there, or not switched on.
func (g *gating) missing(c *candidate) Reason {
	marketing := c.Kind == KindMarketing
	switch {
	case c.run.state != CampaignArmed:
		return Paused
	case c.sender.Provider == nil:
		return NoSender
	case marketing && len(g.e.o.Keys) == 0:
		return NoKey
	case marketing && c.sender.Provider.Real() && !strings.HasPrefix(g.e.o.PublicURL, "https://"):
		return NoPublicURL
	case marketing && c.sender.Provider.Real() && strings.TrimSpace(c.sender.PostalAddress) == "":
		return NoPostalAddress
	}
	return NoReason
}

func parenthesis(s string) string {
	if s == "" {
		return ""
	}
	return "(" + s + ")"
}

func (g *gating) freshEnough(shopID int64) bool {
	return shopID == 0 || g.fresh[shopID].Since(g.now.Add(-g.e.o.Freshness))
}

func (g *gating) shopFresh(c *candidate) verdict {
	f := g.fresh[c.ShopID]
	var saw string
	switch {
	case c.ShopID == 0:
		saw = "it concerns no shop"
	case f.Sends:
		saw = "the shop sends its records itself"
	case f.Read == 0:
		saw = "the shop has not been read whole yet"
	case g.telling:
		saw = fmt.Sprintf("shop read %s ago, at most %s", age(g.now, f.Read), spanText(g.e.o.Freshness))
	}
	if g.freshEnough(c.ShopID) {
		return g.ok("%s", saw)
	}
	g.wants[c.ShopID] = true
	return g.value(g.later(c, WaitingForShop), "%s", saw)
}

// eligible looks at the contact as it is now, and at the membership as it is recorded.
func (g *gating) eligible(c *candidate) verdict {
	switch {
	case c.profile == nil:
		return refuse(ContactGone)
	case c.profile.Contact.ErasedAt > 0:
		return refuse(Erased)
	case c.profile.Contact.MergedInto != 0:
		return refuse(MergedAway)
	case c.profile.Contact.EmailNorm == "":
		return refuse(NoAddress)
	case !c.run.exitWhenLeft || c.run.segment == "":
		return g.ok("no segment to be in")
	}
	in, err := g.e.o.Evaluate(c.profile, c.run.segment, g.now)
	recorded := g.members[c.run.segment][c.ContactID]
	switch {
	case err != nil:
		v := g.later(c, SegmentUnknown)
		v.detail = redact(err)
		return v
	case !in || !recorded:
		return g.value(refuse(LeftSegment), "segment %s: by the facts as they are now %s, as recorded %s", c.run.segment, inOrOut(in), inOrOut(recorded))
	}
	return g.ok("in the segment %s", c.run.segment)
}

func inOrOut(in bool) string {
	if in {
		return "in"
	}
	return "not in"
}

// exitRules: the campaign's goal is not reached, exit_if does not hold, and for a mail about a cart: it is still open, and
// nothing was ordered since it was begun.
func (g *gating) exitRules(c *candidate) verdict {
	if at, reached := goalReached(c.run.campaign, c.profile, c.TriggeredAt, g.now); reached {
		return g.value(refuse(GoalReached), "goal reached %s", at.Time().Format(time.RFC3339))
	}
	if c.run.exitIf != nil && c.run.exitIf.Match(c.profile, g.now) {
		return g.value(refuse(ExitRule), "exit_if holds")
	}
	if !strings.HasPrefix(c.Occurrence, cartPrefix) {
		return g.ok("none applies")
	}
	if c.cart == nil {
		return g.value(refuse(CartClosed), "the cart is gone")
	}
	if r := cartOver(c.profile, c.Occurrence); r != NoReason {
		return g.value(refuse(r), "the cart of the run")
	}
	return g.ok("the cart is open and nothing was ordered since it was begun")
}

// ordered tells an order from a checkout that was not gone through with.
func ordered(o crm.ProfileOrder) bool {
	switch o.State {
	case crm.StateDraft, crm.StatePending, crm.StateFailed, crm.StateCancelled, crm.StateTrash:
		return false
	}
	return true
}

func (g *gating) suppression(c *candidate) verdict {
	scopes := g.suppressed[c.ContactID]
	switch {
	case scopes[ScopeAll]:
		return g.value(refuse(Suppressed), "an address is suppressed for all mail")
	case scopes[ScopeMarketing] && c.Kind == KindMarketing:
		return g.value(refuse(Suppressed), "an address is suppressed for marketing")
	}
	return g.ok("no address of the contact")
}

// consent is what the contact said of the campaign's topic; of somebody who never said anything of it, what the shops assume
// unless marketing as such was declined.
func (g *gating) consent(c *candidate) verdict {
	if c.Kind != KindMarketing {
		return g.ok("not needed for transactional mail")
	}
	v, said := g.stated(c, c.run.topic)
	if said {
		return v
	}
	if c.run.topic != TopicMarketing {
		if v, said = g.stated(c, TopicMarketing); said && v.to != "" && v.reason != ConsentExpired {
			return v
		}
	}
	if g.shops[c.ShopID].Basis == basisImplied {
		return g.ok("never asked; the shop has basis: implied")
	}
	for _, o := range c.profile.Orders {
		if o.CountsAsSale && g.shops[o.ShopID].Basis == basisSoftOptIn {
			return g.ok("never asked; bought in a shop with basis: soft_opt_in")
		}
	}
	return g.value(refuse(ConsentMissing), "never asked for %s", c.run.topic)
}

// stated judges what is on record about a topic; false when nothing is.
func (g *gating) stated(c *candidate, topic string) (verdict, bool) {
	for i := range c.profile.Consents {
		s := &c.profile.Consents[i]
		if s.Topic != topic || s.Channel != channelEmail {
			continue
		}
		switch {
		case s.State == crm.ConsentWithdrawn:
			return g.value(refuse(ConsentWithdrawn), "%s", consentText(s)), true
		case s.State == crm.ConsentPending:
			return g.value(refuse(ConsentPending), "%s", consentText(s)), true
		case s.State == crm.ConsentGranted && s.ExpiresAt > 0 && s.ExpiresAt <= g.now:
			return g.value(refuse(ConsentExpired), "%s", consentText(s)), true
		case s.State == crm.ConsentGranted:
			return g.ok("%s", consentText(s)), true
		}
	}
	return verdict{}, false
}

// consentText is "marketing granted 2026-03-01 (opt_in), until 2027-03-01".
func consentText(s *crm.ConsentState) string {
	text := s.Topic + " " + s.State
	if s.SourceAt > 0 {
		text += " " + dayOf(s.SourceAt)
	}
	if s.Basis != "" {
		text += " (" + s.Basis + ")"
	}
	if s.ExpiresAt > 0 {
		text += ", until " + dayOf(s.ExpiresAt)
	}
	return text
}
