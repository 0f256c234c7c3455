package mailer

import (
	"fmt"
	"slices"
	"time"

	"github.com/relance/relance/internal/crm"
)

const (
	maxSkew      = 5 * time.Minute
	minPatience  = 5 * time.Second
	maxPatience  = time.Minute
	channelEmail = "email"

	// What a shop's configuration may say of people who were never asked (shops.basis).
	basisSoftOptIn = "soft_opt_in" // bought there and did not object
	basisImplied   = "implied"     // consent is taken for granted
)

// candidate is one send before the gate.
type candidate struct {
	*sendRow
	run      running
	template string
	sendgrid string // a dynamic template of SendGrid in the template's place
	sender   Sender
	profile  *crm.Profile // nil when the contact is gone
	zone     *time.Location
	cart     *crm.ProfileCart

	mail       Mail  // once it has passed
	unrendered error // why there is none
}

// verdict of one check; with the zero state it lets the send pass to the next check.
type verdict struct {
	to     State
	reason Reason
	detail string
	until  crm.Instant
	value  string // what the check saw and what it compares with, for people; only where it is asked for
}

func refuse(r Reason) verdict { return verdict{to: Refused, reason: r} }
func (g *gating) later(c *candidate, r Reason) verdict {
	return verdict{to: Deferred, reason: r, until: g.now.Add(g.patience(c))}
}

// value adds to a verdict what the check saw.
func (g *gating) value(v verdict, format string, args ...any) verdict {
	if g.telling {
		v.value = fmt.Sprintf(format, args...)
	}
	return v
}

func (g *gating) ok(format string, args ...any) verdict { return g.value(verdict{}, format, args...) }

// patience grows with how long a send has waited, so that a long stop costs little and a short one is over soon.
func (g *gating) patience(c *candidate) time.Duration {
	return min(max(time.Duration(g.now-c.DueAt)*time.Millisecond/10, minPatience), maxPatience)
}

// check is one row of the gate.
type check struct {
	name  string // as docs/campaigns.md and `relance campaign why` have it
	judge func(*gating, *candidate) verdict
}

// checks are the gate, in its order: there is no other. `relance campaign why` asks all of them, the engine until one
// does not let the mail pass.
func checks() []check {
	return []check{
		{"set up", (*gating).set},
		{"shop read", (*gating).shopFresh},
		{"eligible", (*gating).eligible},
		{"exit rules", (*gating).exitRules},
		{"suppression", (*gating).suppression},
		{"consent", (*gating).consent},
		{"caps", (*gating).caps},
		{"priority", (*gating).priority},
		{"quiet hours", (*gating).quietHours},
		{"preferred hour", (*gating).preferred},
		{"not after", (*gating).staleness},
		{"clocks", (*gating).clock},
		{"coupon", (*gating).coupon},
		{"ramp", (*gating).ramped},
		{"holdout", (*gating).holdout},
	}
}

// decide gives what becomes of each send of the batch, and the mails to hand over.
func (g *gating) decide() (moves []move, hands []handed) {
	g.sort()
	var passed []*candidate
	for i := range g.rows {
		c := g.candidate(&g.rows[i])
		if v := g.admit(c); v.to != "" {
			moves = append(moves, move{row: c.sendRow, to: v.to, reason: v.reason, detail: v.detail, until: v.until})
			continue
		}
		passed = append(passed, c)
	}
	g.fillIn(passed)
	before := g.wall.Add(handWindow)
	unmailed := map[int64]bool{}
	for _, c := range passed {
		if c.unrendered != nil {
			unmailed[c.ContactID] = true
			moves = append(moves, move{row: c.sendRow, to: Refused, reason: Unrendered, detail: redact(c.unrendered)})
			continue
		}
		h := handed{row: *c.sendRow, mail: c.mail, provider: c.sender.Provider, before: before, at: g.now}
		h.row.HandBefore = before.UnixMilli()
		hands = append(hands, h)
		moves = append(moves, move{row: c.sendRow, to: Handing, provider: clip(c.sender.Provider.Name(), 32), subject: c.mail.Subject, handBefore: before.UnixMilli()})
	}
	// Whoever is kept back by a mail that came to nothing is looked at again.
	moves = slices.DeleteFunc(moves, func(m move) bool {
		return unmailed[m.row.ContactID] && slices.Contains([]Reason{Capped, CappedCampaign, Outranked}, m.reason)
	})
	return moves, hands
}

func (g *gating) candidate(s *sendRow) *candidate {
	c := &candidate{sendRow: s, run: g.campaigns[s.Campaign], sender: g.e.o.Senders[s.AudienceID], profile: g.profiles[s.ContactID]}
	if c.profile != nil {
		c.cart, c.zone = cartOf(c.profile, s.Occurrence), g.e.zone(c.profile.Contact)
	}
	return c
}

// sort puts first who goes first.
func (g *gating) sort() {
	slices.SortStableFunc(g.rows, func(a, b sendRow) int { return byRank(a.Priority, a.DueAt, a.ID, b.Priority, b.DueAt, b.ID) })
}

// admit is the gate's verdict on one send, noted for those of the batch that come after it.
func (g *gating) admit(c *candidate) verdict {
	v := g.check(c)
	g.decided(c, v)
	if v.to != "" {
		return v
	}
	if c.Kind == KindMarketing {
		g.earlier[c.ContactID] = append(g.earlier[c.ContactID], earlier{c.Campaign, g.now})
	}
	if r := g.ramps[c.Campaign]; r != nil {
		r.take()
	}
	return v
}

// check is the gate for one send: the verdict of the first check that does not let it pass.
func (g *gating) check(c *candidate) verdict {
	for _, check := range checks() {
		if v := check.judge(g, c); v.to != "" {
			return g.final(c, v)
		}
	}
	return verdict{}
}

// final makes an end of waiting.
func (g *gating) final(c *candidate, v verdict) verdict {
	if v.to != Deferred {
		return v
	}
	if g.now >= c.NotAfter {
		v.to, v.detail = Refused, "until then: "+v.reason.Sentence()
		if v.reason = Stale; !g.freshEnough(c.ShopID) && c.run.state != CampaignPaused {
			v.reason = ShopUnreachable
		}
	}
	v.until = min(v.until, c.NotAfter)
	return v
}
