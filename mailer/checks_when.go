package mailer

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/relance/relance/internal/crm"
)

// The checks that ask whether now is the moment, and at last whether the contact is one of those who get nothing.

// caps defer, they never drop: not_after alone ends the wait.
func (g *gating) caps(c *candidate) verdict {
	if c.Kind != KindMarketing {
		return g.ok("not for transactional mail")
	}
	for _, one := range []struct {
		of       string
		limit    Cap
		campaign string // "" = marketing mails of all campaigns
		reason   Reason
	}{{"the sender", c.sender.Cap, "", Capped}, {"the campaign", c.run.ownCap, c.Campaign, CappedCampaign}, {"the contact's own wish", c.wish(), "", Capped}} {
		if one.limit.Count == 0 {
			continue
		}
		if free := one.limit.freeAt(g.instants(c.ContactID, one.campaign), g.now); free > g.now {
			v := verdict{to: Deferred, reason: one.reason, until: free}
			return g.value(v, "%s of %s, free on %s", g.used(c, one.limit, one.campaign), one.of, free.Time().Format(time.RFC3339))
		}
	}
	if !g.telling {
		return verdict{}
	}
	return g.ok("%s", g.capsText(c))
}

func (g *gating) used(c *candidate, limit Cap, campaign string) string {
	return fmt.Sprintf("%d of %d in %s", limit.within(g.instants(c.ContactID, campaign), g.now), limit.Count, spanText(limit.Per))
}

func (g *gating) capsText(c *candidate) string {
	var parts []string
	if c.sender.Cap.Count > 0 {
		parts = append(parts, g.used(c, c.sender.Cap, "")+" of the sender")
	}
	if c.run.ownCap.Count > 0 {
		parts = append(parts, g.used(c, c.run.ownCap, c.Campaign)+" of the campaign")
	}
	if c.wish().Count > 0 {
		parts = append(parts, g.used(c, c.wish(), "")+" of the contact's own wish")
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// wish is the cap that the contact chose on the page of choices.
func (c *candidate) wish() Cap {
	if c.profile == nil {
		return Cap{}
	}
	return frequencyCap(c.profile.Contact)
}

// instants are when a contact was mailed, oldest first, by one campaign or by all ("").
func (g *gating) instants(contact int64, campaign string) []crm.Instant {
	var at []crm.Instant
	for _, m := range g.earlier[contact] {
		if campaign == "" || m.campaign == campaign {
			at = append(at, m.at)
		}
	}
	return at
}

func (g *gating) quietHours(c *candidate) verdict {
	if c.run.quiet == (quiet{}) {
		return g.ok("none")
	}
	end := crm.At(c.run.quiet.end(g.now.Time(), c.zone))
	var v verdict
	if end > g.now {
		v = verdict{to: Deferred, reason: Quiet, until: end}
	}
	return g.value(v, "%s, %s", c.run.quiet, g.clockText(c))
}

// clockText is what the contact's clock shows.
func (g *gating) clockText(c *candidate) string {
	return g.now.Time().In(c.zone).Format("15:04") + " in " + c.zone.String()
}

// preferred never holds back what somebody waits for, nor a mail about a cart.
func (g *gating) preferred(c *candidate) verdict {
	if !c.run.preferredHour || c.Kind != KindMarketing || strings.HasPrefix(c.Occurrence, cartPrefix) {
		return g.ok("not asked for")
	}
	h := hourOf(c.profile, g.now, c.zone)
	var v verdict
	if at := preferredUntil(h, g.now, c.DueAt, c.NotAfter, c.run.quiet, c.zone); at > g.now {
		v = verdict{to: Deferred, reason: PreferredHour, until: at}
	}
	return g.value(v, "%s, %s", h, g.clockText(c))
}

func (g *gating) staleness(c *candidate) verdict {
	var v verdict
	if g.now >= c.NotAfter {
		v = refuse(Stale)
	}
	return g.value(v, "due %s, not after %s", c.DueAt.Time().Format(time.RFC3339), c.NotAfter.Time().Format(time.RFC3339))
}

func (g *gating) clock(c *candidate) verdict {
	skew := time.Duration(g.shops[c.ShopID].SkewMS) * time.Millisecond
	var v verdict
	if skew.Abs() > maxSkew {
		v = g.later(c, ClockSkew)
	}
	return g.value(v, "the shop's differs by %s, at most %s", skew.Round(time.Second), spanText(maxSkew))
}

// ramped lets a campaign begin carefully.
func (g *gating) ramped(c *candidate) verdict {
	r := g.ramps[c.Campaign]
	if r == nil {
		return g.ok("none")
	}
	var v verdict
	if r.full() {
		v = verdict{to: Deferred, reason: RampFull, until: nextDay(g.now)}
	}
	return g.value(v, "%d of %d today", r.used+r.batch, r.limit)
}

// holdout is last, so that the group that gets nothing consists of people who would have got something.
func (g *gating) holdout(c *candidate) verdict {
	percent := c.run.holdout
	if percent == 0 {
		return g.ok("none")
	}
	if !inHoldout(c.Campaign, c.ContactID, percent) {
		return g.ok("no, %d %% are", percent)
	}
	key := member{c.ContactID, c.Campaign}
	if !g.heldOut[key] {
		g.heldOut[key] = true
		g.newHoldout = append(g.newHoldout, key)
	}
	return g.value(refuse(HeldOut), "yes, as %d %% are", percent)
}

// inHoldout hashes ids: the same people whatever the definition's edits, others for each campaign.
func inHoldout(campaign string, contactID int64, percent int) bool {
	h := sha256.Sum256([]byte("relance holdout\x00" + campaign + "\x00" + strconv.FormatInt(contactID, 10)))
	return binary.BigEndian.Uint64(h[:8])%100 < uint64(percent)
}

// age is how long ago an instant was, for people.
func age(now, at crm.Instant) string {
	return (time.Duration(now-at) * time.Millisecond).Round(time.Second).String()
}

// spanText writes a length of time as it is written in files: 7d, 90m, 60s.
func spanText(d time.Duration) string {
	for _, u := range []struct {
		of   time.Duration
		name string
	}{{7 * 24 * time.Hour, "w"}, {24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}} {
		if d >= 2*u.of && d%u.of == 0 || d == u.of && u.name != "w" {
			return strconv.FormatInt(int64(d/u.of), 10) + u.name
		}
	}
	return d.String()
}
