package mailer

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
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

// verdict of one check; the zero verdict lets the send pass to the next check.
type verdict struct {
	to     State
	reason Reason
	detail string
	until  crm.Instant
}

func refuse(r Reason) verdict { return verdict{to: Refused, reason: r} }
func (g *gating) later(c *candidate, r Reason) verdict {
	return verdict{to: Deferred, reason: r, until: g.now.Add(g.patience(c))}
}

// patience grows with how long a send has waited, so that a long stop costs little and a short one is over soon.
func (g *gating) patience(c *candidate) time.Duration {
	return min(max(time.Duration(g.now-c.DueAt)*time.Millisecond/10, minPatience), maxPatience)
}

// checks are the gate, in its order. docs/campaigns.md shows them to users.
func (g *gating) checks() []func(*candidate) verdict {
	return []func(*candidate) verdict{
		g.set, g.shopFresh, g.eligible, g.exitRules, g.suppression, g.consent, g.caps, g.quietHours, g.staleness, g.clock, g.holdout,
	}
}

// decide gives what becomes of each send of the batch, and the mails to hand over.
func (g *gating) decide() (moves []move, hands []handed) {
	var passed []*candidate
	for i := range g.rows {
		c := g.candidate(&g.rows[i])
		if m, stopped := g.check(c); stopped {
			moves = append(moves, m)
			continue
		}
		if c.Kind == KindMarketing {
			g.earlier[c.ContactID] = append(g.earlier[c.ContactID], g.now)
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
		h := handed{row: *c.sendRow, mail: c.mail, provider: c.sender.Provider, before: before}
		h.row.HandBefore = before.UnixMilli()
		hands = append(hands, h)
		moves = append(moves, move{row: c.sendRow, to: Handing, provider: clip(c.sender.Provider.Name(), 32), subject: c.mail.Subject, handBefore: before.UnixMilli()})
	}
	// Whoever is capped by a mail that came to nothing is looked at again.
	moves = slices.DeleteFunc(moves, func(m move) bool { return m.reason == Capped && unmailed[m.row.ContactID] })
	return moves, hands
}

func (g *gating) candidate(s *sendRow) *candidate {
	c := &candidate{sendRow: s, run: g.campaigns[s.Campaign], sender: g.e.o.Senders[s.AudienceID], profile: g.profiles[s.ContactID]}
	if c.profile != nil {
		c.cart, c.zone = cartOf(c.profile, s.Occurrence), g.e.zone(c.profile.Contact)
	}
	return c
}

// check is the gate for one send: what becomes of it if it is stopped.
func (g *gating) check(c *candidate) (move, bool) {
	for _, check := range g.checks() {
		v := check(c)
		if v.to == "" {
			continue
		}
		if v.to == Deferred && g.now >= c.NotAfter { // waiting has an end
			v = verdict{to: Refused, reason: Stale, detail: "until then: " + v.reason.Sentence()}
			if !g.freshEnough(c.ShopID) && c.run.state != CampaignPaused {
				v.reason = ShopUnreachable
			}
		}
		return move{row: c.sendRow, to: v.to, reason: v.reason, detail: v.detail, until: min(v.until, c.NotAfter)}, true
	}
	return move{}, false
}

// set checks what must be there before anything can be sent at all.
func (g *gating) set(c *candidate) verdict {
	if c.run.campaign == nil {
		return refuse(StepRemoved)
	}
	at, ok := c.run.step(c.Step)
	if !ok || at.template == "" && at.sendgrid == "" {
		return refuse(StepRemoved)
	}
	c.template, c.sendgrid = at.template, at.sendgrid
	marketing := c.Kind == KindMarketing
	switch {
	case c.run.state != CampaignArmed:
		return g.later(c, Paused)
	case c.sender.Provider == nil:
		return g.later(c, NoSender)
	case marketing && len(g.e.o.Keys) == 0:
		return g.later(c, NoKey)
	case marketing && c.sender.Provider.Real() && !strings.HasPrefix(g.e.o.PublicURL, "https://"):
		return g.later(c, NoPublicURL)
	case marketing && c.sender.Provider.Real() && strings.TrimSpace(c.sender.PostalAddress) == "":
		return g.later(c, NoPostalAddress)
	}
	return verdict{}
}

func (g *gating) freshEnough(shopID int64) bool { return shopID == 0 || g.fresh[shopID] }

func (g *gating) shopFresh(c *candidate) verdict {
	if g.freshEnough(c.ShopID) {
		return verdict{}
	}
	g.wants[c.ShopID] = true
	return g.later(c, WaitingForShop)
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
	case !c.run.exitWhenLeft:
		return verdict{}
	}
	in, err := g.e.o.Evaluate(c.profile, c.run.segment, g.now)
	switch {
	case err != nil:
		v := g.later(c, SegmentUnknown)
		v.detail = redact(err)
		return v
	case !in || !g.members[c.run.segment][c.ContactID]:
		return refuse(LeftSegment)
	}
	return verdict{}
}

// exitRules: a mail about a cart needs the cart still open, and nothing ordered since it was begun.
func (g *gating) exitRules(c *candidate) verdict {
	if !strings.HasPrefix(c.Occurrence, cartPrefix) {
		return verdict{}
	}
	if c.cart == nil {
		return refuse(CartClosed)
	}
	for _, o := range c.profile.Orders {
		if ordered(o) && o.PlacedAt >= c.cart.CreatedAt {
			return refuse(Bought)
		}
	}
	if c.cart.ClosedAt > 0 {
		return refuse(CartClosed)
	}
	return verdict{}
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
	if scopes[ScopeAll] || c.Kind == KindMarketing && scopes[ScopeMarketing] {
		return refuse(Suppressed)
	}
	return verdict{}
}

func (g *gating) consent(c *candidate) verdict {
	if c.Kind != KindMarketing {
		return verdict{}
	}
	for _, s := range c.profile.Consents {
		if s.Topic != TopicMarketing || s.Channel != channelEmail {
			continue
		}
		switch {
		case s.State == crm.ConsentWithdrawn:
			return refuse(ConsentWithdrawn)
		case s.State == crm.ConsentPending:
			return refuse(ConsentPending)
		case s.State == crm.ConsentGranted && s.ExpiresAt > 0 && s.ExpiresAt <= g.now:
			return refuse(ConsentExpired)
		case s.State == crm.ConsentGranted:
			return verdict{}
		}
	}
	if g.shops[c.ShopID].Basis == basisImplied {
		return verdict{}
	}
	for _, o := range c.profile.Orders {
		if o.CountsAsSale && g.shops[o.ShopID].Basis == basisSoftOptIn {
			return verdict{}
		}
	}
	return refuse(ConsentMissing)
}

func (g *gating) caps(c *candidate) verdict {
	if c.Kind != KindMarketing {
		return verdict{}
	}
	if free := c.sender.Cap.freeAt(g.earlier[c.ContactID], g.now); free > g.now {
		return verdict{to: Deferred, reason: Capped, until: free}
	}
	return verdict{}
}

func (g *gating) quietHours(c *candidate) verdict {
	if end := crm.At(c.run.quiet.end(g.now.Time(), c.zone)); end > g.now {
		return verdict{to: Deferred, reason: Quiet, until: end}
	}
	return verdict{}
}

func (g *gating) staleness(c *candidate) verdict {
	if g.now >= c.NotAfter {
		return refuse(Stale)
	}
	return verdict{}
}

func (g *gating) clock(c *candidate) verdict {
	skew := time.Duration(g.shops[c.ShopID].SkewMS) * time.Millisecond
	if skew.Abs() > maxSkew {
		return g.later(c, ClockSkew)
	}
	return verdict{}
}

// holdout is last, so that the group that gets nothing consists of people who would have got something.
func (g *gating) holdout(c *candidate) verdict {
	if c.run.holdout == 0 || !inHoldout(c.Campaign, c.ContactID, c.run.holdout) {
		return verdict{}
	}
	key := member{c.ContactID, c.Campaign}
	if !g.heldOut[key] {
		g.heldOut[key] = true
		g.newHoldout = append(g.newHoldout, key)
	}
	return refuse(HeldOut)
}

// inHoldout hashes ids: the same people whatever the definition's edits, others for each campaign.
func inHoldout(campaign string, contactID int64, percent int) bool {
	h := sha256.Sum256([]byte("relance holdout\x00" + campaign + "\x00" + strconv.FormatInt(contactID, 10)))
	return binary.BigEndian.Uint64(h[:8])%100 < uint64(percent)
}
