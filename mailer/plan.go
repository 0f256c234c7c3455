package mailer

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/segments/rule"
)

// What deploying would do to a campaign.
const (
	PlanNew       = "new"       // it becomes a draft, which starts nothing
	PlanChanged   = "changed"   // edits apply from the next step of everybody under way
	PlanRemoved   = "removed"   // it is paused
	PlanResumed   = "resumed"   // it was paused for being gone from the files, and is back
	PlanUnchanged = "unchanged" // nothing happens
)

// Planned is what deploying definitions would do to one campaign, and what it has before it anyway.
type Planned struct {
	Campaign     string      `json:"campaign"`
	Title        string      `json:"title,omitempty"`
	Starts       string      `json:"starts"`            // what starts it, by the files; as stored when it is removed
	Segment      string      `json:"segment,omitempty"` // that this looks at; "" when it looks at none
	What         string      `json:"what"`
	State        string      `json:"state"` // now: draft, armed or paused; "" when it is new
	ExitWhenLeft bool        `json:"-"`
	ByEntry      bool        `json:"-"`                 // entering the segment starts it
	UnderWay     int64       `json:"under_way"`         // runs that are not over
	DueBy        int64       `json:"due_by"`            // of them, those whose next step is due by the end of the look ahead
	NextDue      crm.Instant `json:"next_due_ms"`       // the earliest of them; 0 = none waits
	Waiting      int64       `json:"waiting"`           // mails in the ledger that wait for their moment
	StepsGone    int64       `json:"steps_gone"`        // runs that stand at a step which is no longer there: they end
	Leaving      int64       `json:"leaving,omitempty"` // runs that end since their contact leaves the segment; the caller counts them
}

// Plan compares definitions with those in force; it writes nothing. The specs are all of the installation, and valid.
func Plan(ctx context.Context, q store.Queryer, specs CampaignFile, segments rule.File, until crm.Instant) ([]Planned, error) {
	var rows []campaignRow
	if err := q.SelectContext(ctx, &rows, "SELECT "+campaignCols+" FROM campaigns"); err != nil {
		return nil, fmt.Errorf("reading the campaigns in force: %w", err)
	}
	stored := map[string]campaignRow{}
	for _, r := range rows {
		stored[r.Campaign] = r
	}
	var out []Planned
	for _, id := range slices.Sorted(maps.Keys(specs)) {
		spec, row := specs[id], stored[id]
		delete(stored, id)
		c, _ := compile(id, spec, segments, nil)
		_, hash, err := encode(id, spec, segments)
		if err != nil {
			return nil, err
		}
		p := Planned{Campaign: id, Title: spec.Title, What: PlanUnchanged, State: row.State}
		p.starts(c)
		switch {
		case row.Generation == 0:
			p.What = PlanNew
		case row.State == CampaignPaused && row.Reason == reasonNotInFiles:
			p.What = PlanResumed
		case row.Hash != hash:
			p.What = PlanChanged
		}
		if err := p.open(ctx, q, c, until); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	for _, id := range slices.Sorted(maps.Keys(stored)) {
		row := stored[id]
		if row.State == CampaignPaused && row.Reason == reasonNotInFiles {
			continue // it happened already
		}
		c, err := definition(ctx, q, id, row.Generation)
		if err != nil {
			return nil, err
		}
		p := Planned{Campaign: id, Title: c.title, What: PlanRemoved, State: row.State}
		p.starts(c)
		if err := p.open(ctx, q, c, until); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

func (p *Planned) starts(c *campaign) {
	p.Starts, p.Segment, p.ExitWhenLeft, p.ByEntry = c.sentence, c.segment, c.exitWhenLeft, c.on == triggerEnters || c.on == triggerDate
}

// open counts what is under way, step by step.
func (p *Planned) open(ctx context.Context, q store.Queryer, c *campaign, until crm.Instant) error {
	var rows []struct {
		Step  string
		State string
		N     int64
		Due   int64
		First crm.Instant
	}
	if err := q.SelectContext(ctx, &rows, `SELECT step, state, COUNT(*) AS n, SUM(CASE WHEN due_at<=? THEN 1 ELSE 0 END) AS due, MIN(due_at) AS first
 FROM enrolments WHERE campaign=? AND state IN ('active','sending') GROUP BY step, state`, until, p.Campaign); err != nil {
		return fmt.Errorf("counting who is under way in %s: %w", p.Campaign, err)
	}
	for _, r := range rows {
		p.UnderWay += r.N
		if r.State == enrolmentActive {
			p.DueBy += r.Due
			if p.NextDue == 0 || r.First < p.NextDue {
				p.NextDue = r.First
			}
		}
		if _, ok := c.step(r.Step); !ok {
			p.StepsGone += r.N
		}
	}
	if err := q.GetContext(ctx, &p.Waiting, "SELECT COUNT(*) FROM sends WHERE campaign=? AND state IN ('ready','deferred')", p.Campaign); err != nil {
		return fmt.Errorf("counting the mails of %s that wait: %w", p.Campaign, err)
	}
	return nil
}

// UnderWayAmong counts the runs of a campaign that are not over, of contacts (≤ 500 ids).
func UnderWayAmong(ctx context.Context, q store.Queryer, campaign string, contacts []int64) (int64, error) {
	if len(contacts) == 0 {
		return 0, nil
	}
	var n int64
	text, args, err := store.In("SELECT COUNT(*) FROM enrolments WHERE contact_id IN (?) AND campaign=? AND state IN ('active','sending')", contacts, campaign)
	if err == nil {
		err = q.GetContext(ctx, &n, text, args...)
	}
	if err != nil {
		return 0, fmt.Errorf("counting who is under way in %s: %w", campaign, err)
	}
	return n, nil
}
