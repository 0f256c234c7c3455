package mailer

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/segments"
	"github.com/relance/relance/segments/rule"
)

// gating is one batch at the gate: everything is read in the deciding transaction.
type gating struct {
	*pass
	e          *Engine
	q          store.Queryer
	wall       time.Time
	rows       []sendRow
	profiles   map[int64]*crm.Profile
	suppressed map[int64]map[string]bool
	members    map[string]map[int64]bool // by segment, of those asked about
	earlier    map[int64][]earlier       // marketing mails of a contact, oldest first
	rivals     map[int64][]rival         // marketing mails of a contact that are due, where a cap bounds them
	heldOut    map[member]bool           // already in holdouts, by campaign
	ramps      map[string]*ramped        // by campaign, of those that begin carefully
	wants      map[int64]bool            // shops to be read
	newHoldout []member
	content    content
	telling    bool // values of the checks are wanted, for people
}

type member struct {
	contact int64
	name    string // of a campaign
}

// earlier is a marketing mail that has left.
type earlier struct {
	campaign string
	at       crm.Instant
}

func (e *Engine) newGating(q store.Queryer, p *pass) *gating {
	return &gating{
		pass: p, e: e, q: q, wall: e.o.Wall(), members: map[string]map[int64]bool{}, earlier: map[int64][]earlier{}, rivals: map[int64][]rival{},
		heldOut: map[member]bool{}, ramps: map[string]*ramped{}, wants: map[int64]bool{},
	}
}

// load reads the batch as it is now: what was settled since it was looked for is no longer in it.
func (e *Engine) load(ctx context.Context, q store.Queryer, p *pass, due []sendRow) (*gating, error) {
	g := e.newGating(q, p)
	ids := make([]int64, len(due))
	for i, s := range due {
		ids[i] = s.ID
	}
	if err := selectIn(ctx, q, &g.rows, "SELECT "+sendCols+" FROM sends WHERE id IN (?) AND +state IN ('ready','deferred')", ids); err != nil {
		return nil, fmt.Errorf("reading sends: %w", err)
	}
	return g, g.loadFacts(ctx)
}

// loadFacts reads what the checks look at: what every mail needs, and what only some campaigns ask for if one of them is in
// the batch.
func (g *gating) loadFacts(ctx context.Context) error {
	contacts := map[int64]bool{}
	needs := g.e.o.Needs
	seen := map[string]bool{}
	for _, s := range g.rows {
		contacts[s.ContactID] = true
		if r := g.campaigns[s.Campaign]; r.campaign != nil && !seen[s.Campaign] {
			seen[s.Campaign] = true
			needs = rule.Union(needs, r.gateNeeds())
		}
	}
	list := slices.Sorted(maps.Keys(contacts))
	if len(list) == 0 {
		return nil
	}
	var err error
	if g.profiles, err = g.e.profiles(ctx, g.q, list, needs); err != nil {
		return err
	}
	aliases, err := g.e.mirror.Aliases(ctx, g.q, list)
	if err != nil {
		return err
	}
	if g.suppressed, err = suppressedContacts(ctx, g.q, g.profiles, aliases); err != nil {
		return err
	}
	for _, load := range []func(context.Context, []int64) error{g.loadMembers, g.loadEarlier, g.loadRivals, g.loadRamps, g.loadHoldouts, g.loadContent} {
		if err := load(ctx, list); err != nil {
			return err
		}
	}
	return nil
}

// gateNeeds says what profiles must hold for the gate to judge mails of a campaign, beside what it always looks at.
func (c *campaign) gateNeeds() crm.Needs {
	n := c.needs()
	if c.exitIf != nil {
		n = rule.Union(n, c.exitIf.Needs())
	}
	if c.preferredHour {
		n = rule.Union(n, crm.Needs{Account: true, Events: []string{clickedMail}})
	}
	return n
}

// loadMembers asks once per segment, with the contacts of its campaigns' mails.
func (g *gating) loadMembers(ctx context.Context, _ []int64) error {
	asked := map[string][]int64{}
	for _, s := range g.rows {
		if r := g.campaigns[s.Campaign]; r.campaign != nil && r.exitWhenLeft && r.segment != "" {
			asked[r.segment] = append(asked[r.segment], s.ContactID)
		}
	}
	for segment, contacts := range asked {
		in, err := segments.MembersAmong(ctx, g.q, contacts, segment)
		if err != nil {
			return err
		}
		g.members[segment] = in
	}
	return nil
}

// loadEarlier reads the marketing mails that count for the caps of the batch.
func (g *gating) loadEarlier(ctx context.Context, contacts []int64) error {
	var longest time.Duration
	for _, s := range g.rows {
		if r := g.campaigns[s.Campaign]; r.campaign != nil && s.Kind == KindMarketing {
			longest = max(longest, g.e.o.Senders[s.AudienceID].Cap.Per, r.ownCap.Per)
			if p := g.profiles[s.ContactID]; p != nil {
				longest = max(longest, frequencyCap(p.Contact).Per)
			}
		}
	}
	if longest == 0 {
		return nil
	}
	var rows []struct {
		Campaign  string
		ContactID int64       `db:"contact_id"`
		HandedAt  crm.Instant `db:"handed_at"`
	}
	merged, err := g.e.mergedFrom(ctx, g.q, contacts)
	if err != nil {
		return err
	}
	err = selectIn(ctx, g.q, &rows, `SELECT campaign, contact_id, handed_at FROM sends WHERE contact_id IN (?) AND handed_at>? AND kind=?
 AND +state IN ('handing','accepted','unknown') ORDER BY handed_at`, slices.Concat(contacts, slices.Collect(maps.Keys(merged))), g.now.Add(-longest), KindMarketing)
	if err != nil {
		return fmt.Errorf("reading earlier mails: %w", err)
	}
	for _, r := range rows {
		id := cmp.Or(merged[r.ContactID], r.ContactID)
		g.earlier[id] = append(g.earlier[id], earlier{r.Campaign, r.HandedAt})
	}
	return nil
}

func (g *gating) loadHoldouts(ctx context.Context, contacts []int64) error {
	if !slices.ContainsFunc(g.rows, func(s sendRow) bool { r, ok := g.campaigns[s.Campaign]; return ok && r.holdout > 0 }) {
		return nil
	}
	var rows []struct {
		Campaign  string
		ContactID int64 `db:"contact_id"`
	}
	if err := selectIn(ctx, g.q, &rows, "SELECT campaign, contact_id FROM holdouts WHERE contact_id IN (?)", contacts); err != nil {
		return fmt.Errorf("reading holdouts: %w", err)
	}
	for _, r := range rows {
		g.heldOut[member{r.ContactID, r.Campaign}] = true
	}
	return nil
}

// writeWishes asks for the reads that deferred mails wait for, and logs new holdouts.
func (g *gating) writeWishes(ctx context.Context, tx *store.Tx) error {
	for _, shopID := range slices.Sorted(maps.Keys(g.wants)) {
		// The oldest read that would do is asked for: a read already under way then serves every mail that waits.
		if err := g.e.mirror.RequestRead(ctx, tx, shopID, freshKinds(), g.now.Add(-g.e.o.Freshness)); err != nil {
			return fmt.Errorf("asking for a read of the shop: %w", err)
		}
	}
	var rows [][]any
	for _, h := range g.newHoldout {
		rows = append(rows, []any{h.name, h.contact, g.now})
	}
	return tx.Upsert(ctx, "holdouts", []string{"campaign", "contact_id"}, []string{"campaign", "contact_id", "at"}, rows)
}
