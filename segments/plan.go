package segments

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/segments/rule"
)

// What deploying would do to a segment.
const (
	PlanNew       = "new"
	PlanChanged   = "changed"
	PlanRemoved   = "removed"
	PlanUnchanged = "unchanged"
)

// Intent is what deploying definitions would do to one segment, by the facts known now. Contacts that wait to be settled
// count as if they had been. Examples are contact ids, the lowest first.
type Intent struct {
	Segment  string  `json:"segment"`
	Title    string  `json:"title,omitempty"`
	What     string  `json:"what"`
	Building bool    `json:"building,omitempty"` // the database is still building what was deployed last; readers see the one before, or none
	Before   int64   `json:"before"`             // members that readers see now
	After    int64   `json:"after"`
	Enter    int64   `json:"enter"`
	Leave    int64   `json:"leave"`
	Entering []int64 `json:"-"`
	Leaving  []int64 `json:"-"`
	Soon     int64   `json:"soon,omitempty"` // of PlanOptions.Watch: contacts that the clock alone lets in by PlanOptions.Until
}

// PlanOptions of Plan.
type PlanOptions struct {
	Now      time.Time
	Until    time.Time                                                         // how far Intent.Soon looks ahead
	Watch    []string                                                          // segments to look ahead for
	Examples int                                                               // at most so many each way
	Leaving  func(ctx context.Context, segment string, contacts []int64) error // told who would leave, a page at a time; may be nil
}

// Plan compares definitions with those in force, contact by contact, and writes nothing. It may run beside the
// maintainer, page by page, and takes about as long as a build.
func Plan(ctx context.Context, m *mirror.Mirror, defs []*rule.Segment, o PlanOptions) ([]Intent, error) {
	q := m.DB().Read()
	p := &planning{o: o, until: crm.At(o.Until)}
	clock, err := readMeta(ctx, q, metaClock)
	if err != nil {
		return nil, err
	}
	p.now = max(crm.At(o.Now), clock)
	if err := p.compare(ctx, q, defs); err != nil {
		return nil, err
	}
	for after := int64(0); p.evaluates(); {
		ids, err := m.ContactIDs(ctx, q, after, batchSize)
		if err != nil {
			return nil, fmt.Errorf("planning segments: %w", err)
		}
		if len(ids) == 0 {
			break
		}
		after = ids[len(ids)-1]
		if err := p.page(ctx, m, ids); err != nil {
			return nil, fmt.Errorf("planning segments: %w", err)
		}
	}
	if err := p.remove(ctx, q); err != nil {
		return nil, err
	}
	out := make([]Intent, len(p.of))
	for i, x := range p.of {
		out[i] = x.Intent
	}
	return out, nil
}

type planning struct {
	o          PlanOptions
	now, until crm.Instant
	of         []*intent
	needs      crm.Needs
}

type intent struct {
	Intent
	rule *rule.Segment // nil when nobody has to be evaluated
	diff bool          // its members are compared with those stored
	soon bool
}

// compare finds out what is new, edited, removed.
func (p *planning) compare(ctx context.Context, q store.Queryer, defs []*rule.Segment) error {
	var rows []defRow
	if err := q.SelectContext(ctx, &rows, "SELECT segment, generation, state, hash, spec FROM segment_defs WHERE state IN ('live','building') ORDER BY segment, generation"); err != nil {
		return fmt.Errorf("reading the segments in force: %w", err)
	}
	newest, left := map[string]defRow{}, map[string]bool{}
	for _, r := range rows {
		newest[r.Segment], left[r.Segment] = r, true
	}
	for _, d := range defs {
		x := &intent{Intent: Intent{Segment: d.ID, Title: d.Title, What: PlanUnchanged}, soon: slices.Contains(p.o.Watch, d.ID)}
		old, stored := newest[d.ID]
		switch {
		case !stored:
			x.What = PlanNew
		case old.Hash != d.Hash():
			x.What = PlanChanged
		}
		x.Building = stored && old.State == StateBuilding
		x.diff = x.What != PlanUnchanged || x.Building
		if x.diff || x.soon {
			x.rule = d
			p.needs = rule.Union(p.needs, d.Needs())
		}
		p.of = append(p.of, x)
		delete(left, d.ID)
	}
	for _, r := range rows {
		if left[r.Segment] {
			p.of = append(p.of, &intent{Intent: Intent{Segment: r.Segment, What: PlanRemoved}})
			delete(left, r.Segment)
		}
	}
	for _, x := range p.of {
		var err error
		if x.Before, err = Size(ctx, q, x.Segment); err != nil {
			return err
		}
		if !x.diff && x.What != PlanRemoved {
			x.After = x.Before
		}
	}
	slices.SortFunc(p.of, func(a, b *intent) int { return compareKeys(slotKey{segment: a.Segment}, slotKey{segment: b.Segment}) })
	return nil
}

func (p *planning) evaluates() bool {
	return slices.ContainsFunc(p.of, func(x *intent) bool { return x.rule != nil })
}

func (p *planning) page(ctx context.Context, m *mirror.Mirror, ids []int64) error {
	q := m.DB().Read()
	in, err := membersOf(ctx, q, ids)
	if err != nil {
		return err
	}
	profiles, err := Profiles(ctx, m, q, ids, p.needs)
	if err != nil {
		return err
	}
	leaving := map[string][]int64{}
	for i := range profiles {
		rule.Remember(&profiles[i])
		for _, x := range p.of {
			if x.rule != nil && x.look(&profiles[i], in[x.Segment], p) {
				leaving[x.Segment] = append(leaving[x.Segment], profiles[i].Contact.ID)
			}
		}
	}
	for segment, ids := range leaving {
		if p.o.Leaving != nil {
			if err := p.o.Leaving(ctx, segment, ids); err != nil {
				return err
			}
		}
	}
	return nil
}

// look compares what is stored of one contact with what the definition says.
func (x *intent) look(c *crm.Profile, stored map[int64]bool, p *planning) (leaves bool) {
	is, was := x.rule.Match(c, p.now), stored[c.Contact.ID]
	if x.diff {
		if is {
			x.After++
		}
		switch {
		case is && !was:
			x.Enter++
			if len(x.Entering) < p.o.Examples {
				x.Entering = append(x.Entering, c.Contact.ID)
			}
		case was && !is:
			x.Leave++
			if len(x.Leaving) < p.o.Examples {
				x.Leaving = append(x.Leaving, c.Contact.ID)
			}
			leaves = true
		}
	}
	if x.soon && x.entersBy(c, is, p.now, p.until) {
		x.Soon++
	}
	return leaves
}

// entersBy tells whether the clock alone lets the contact in after t and until an instant.
func (x *intent) entersBy(c *crm.Profile, in bool, t, until crm.Instant) bool {
	for range maxSteps {
		if t = x.rule.NextChange(c, t); t > until {
			return false
		}
		is := x.rule.Match(c, t)
		if is && !in {
			return true
		}
		in = is
	}
	return false
}

// remove counts those who leave segments that are gone from the files.
func (p *planning) remove(ctx context.Context, q store.Queryer) error {
	for _, x := range p.of {
		if x.What != PlanRemoved {
			continue
		}
		err := eachMembers(ctx, q, x.Segment, func(ids []int64) error {
			x.Leave += int64(len(ids))
			x.Leaving = append(x.Leaving, ids[:min(len(ids), max(p.o.Examples-len(x.Leaving), 0))]...)
			if p.o.Leaving == nil {
				return nil
			}
			return p.o.Leaving(ctx, x.Segment, ids)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// membersOf gives the contacts' memberships that readers see: segment → contact.
func membersOf(ctx context.Context, q store.Queryer, ids []int64) (map[string]map[int64]bool, error) {
	var rows []struct {
		ContactID int64 `db:"contact_id"`
		Segment   string
		State     string
	}
	if err := q.SelectContext(ctx, &rows, `SELECT m.contact_id, m.segment, COALESCE(d.state,'') AS state FROM memberships m
 LEFT JOIN segment_defs d ON d.segment=m.segment AND d.generation=m.generation WHERE m.contact_id IN (`+list(ids)+")"); err != nil {
		return nil, fmt.Errorf("reading memberships: %w", err)
	}
	out := map[string]map[int64]bool{}
	for _, r := range rows {
		if r.State != StateLive {
			continue
		}
		if out[r.Segment] == nil {
			out[r.Segment] = map[int64]bool{}
		}
		out[r.Segment][r.ContactID] = true
	}
	return out, nil
}
