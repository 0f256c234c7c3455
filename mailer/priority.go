package mailer

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/relance/relance/internal/crm"
)

// rival is a mail that waits for the same cap.
type rival struct {
	ID        int64
	ContactID int64 `db:"contact_id"`
	Campaign  string
	Priority  int
	DueAt     crm.Instant `db:"due_at"`
	UntilAt   crm.Instant `db:"until_at"`
	State     State
	Reason    Reason
}

// byRank puts first who goes first: the higher priority, else the mail that was due earlier, else the older one.
func byRank(priorityA int, dueA crm.Instant, idA int64, priorityB int, dueB crm.Instant, idB int64) int {
	return cmp.Or(cmp.Compare(priorityB, priorityA), cmp.Compare(dueA, dueB), cmp.Compare(idA, idB))
}

func (r *rival) outranks(c *candidate) bool {
	return r.ID != c.ID && byRank(r.Priority, r.DueAt, r.ID, c.Priority, c.DueAt, c.ID) < 0
}

// claims tells whether a mail may leave as soon as it is looked at again: then those behind it wait. One that waits for
// somebody to mend or resume something, or for its own campaign's cap or ramp, keeps nobody else back.
func (r *rival) claims(now crm.Instant) bool {
	soon := []Reason{NoReason, WaitingForShop, Quiet, PreferredHour, Capped, Outranked, ProviderBusy, ProviderDown, SharedRequest, Late}
	own := []Reason{CappedCampaign, RampFull}
	return slices.Contains(soon, r.Reason) || slices.Contains(own, r.Reason) && r.UntilAt <= now
}

// loadRivals reads what else is due for the contacts of the batch where a sender's cap makes mails compete.
func (g *gating) loadRivals(ctx context.Context, contacts []int64) error {
	if !slices.ContainsFunc(g.rows, func(s sendRow) bool { return s.Kind == KindMarketing && g.e.o.Senders[s.AudienceID].Cap.Count > 0 }) {
		return nil
	}
	var rows []rival
	if err := selectIn(ctx, g.q, &rows, `SELECT id, contact_id, campaign, priority, due_at, until_at, state, reason FROM sends
 WHERE contact_id IN (?) AND handed_at=0 AND kind=? AND due_at<=? AND not_after>? AND +state IN ('ready','deferred')`, contacts, KindMarketing, g.now, g.now); err != nil {
		return fmt.Errorf("reading mails that compete: %w", err)
	}
	for _, r := range rows {
		if g.campaigns[r.Campaign].state == CampaignArmed { // one that is paused keeps nobody else back
			g.rivals[r.ContactID] = append(g.rivals[r.ContactID], r)
		}
	}
	return nil
}

// decided notes what became of a mail of this batch, for those behind it.
func (g *gating) decided(c *candidate, v verdict) {
	all := g.rivals[c.ContactID]
	for i := range all {
		if all[i].ID != c.ID {
			continue
		}
		if v.to != Deferred {
			g.rivals[c.ContactID] = slices.Delete(all, i, i+1)
			return
		}
		all[i].Reason, all[i].UntilAt = v.reason, v.until
	}
}

// priority lets mails that compete for the sender's cap go in their order, whichever batch they are in: one behind others
// that may take what is left of the cap waits until the first of them has been decided.
func (g *gating) priority(c *candidate) verdict {
	limit := c.sender.Cap
	if c.Kind != KindMarketing || limit.Count == 0 {
		return g.ok("no cap to compete for")
	}
	var ahead []rival
	for _, r := range g.rivals[c.ContactID] {
		if r.outranks(c) && r.claims(g.now) {
			ahead = append(ahead, r)
		}
	}
	left := limit.Count - limit.within(g.instants(c.ContactID, ""), g.now)
	if len(ahead) == 0 || len(ahead) < left {
		return g.ok("%d, %d ahead", c.Priority, len(ahead))
	}
	first := slices.MinFunc(ahead, func(a, b rival) int { return cmp.Compare(a.UntilAt, b.UntilAt) })
	v := g.later(c, Outranked)
	v.until = max(v.until, first.UntilAt)
	v.detail = fmt.Sprintf("%s, priority %d", first.Campaign, first.Priority)
	return g.value(v, "%d, behind %s (%d)", c.Priority, first.Campaign, first.Priority)
}
