package segments

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/segments/rule"
)

// Profiles loads contacts with all that definitions may need: what the mirror knows, and when they entered and left the
// segments of n.History. Everybody who evaluates definitions loads profiles by it.
func Profiles(ctx context.Context, m *mirror.Mirror, q store.Queryer, ids []int64, n crm.Needs) ([]crm.Profile, error) {
	ps, err := m.Profiles(ctx, q, ids, n)
	if err != nil || len(n.History) == 0 || len(ps) == 0 {
		return ps, err
	}
	byID := make(map[int64]*crm.Profile, len(ps))
	for i := range ps {
		byID[ps[i].Contact.ID] = &ps[i]
	}
	names := "'" + strings.Join(n.History, "','") + "'" // ids of segments have letters, digits, - and _
	rows, err := q.QueryxContext(ctx, "SELECT contact_id, segment, entered, effective_at FROM segment_changes WHERE contact_id IN ("+list(ids)+
		") AND segment IN ("+names+") AND cause IN ('change','clock','consent') ORDER BY contact_id, effective_at, id")
	if err != nil {
		return nil, fmt.Errorf("reading when contacts entered and left segments: %w", err)
	}
	defer rows.Close() //nolint:errcheck // read to its end below
	for rows.Next() {
		var id int64
		var segment string
		var entered bool
		var at crm.Instant
		if err := rows.Scan(&id, &segment, &entered, &at); err != nil {
			return nil, fmt.Errorf("reading when contacts entered and left segments: %w", err)
		}
		if p := byID[id]; p != nil {
			passed(p, segment, entered, at)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading when contacts entered and left segments: %w", err)
	}
	return ps, nil
}

// passed adds to a profile that the contact entered or left a segment. Only changes that may start campaigns are
// remembered, so that an entry may be without an end that was an edit, and an end without an entry that was a build.
func passed(p *crm.Profile, segment string, entered bool, at crm.Instant) {
	if !entered {
		for i := len(p.History) - 1; i >= 0; i-- {
			if h := &p.History[i]; h.Segment == segment {
				if h.LeftAt == 0 {
					h.LeftAt = at
					return
				}
				break
			}
		}
		p.History = append(p.History, crm.ProfileMembership{Segment: segment, LeftAt: at})
		return
	}
	p.History = append(p.History, crm.ProfileMembership{Segment: segment, EnteredAt: at})
}

// sort puts the slots in an order in which each comes after those whose history it reads, so that one pass over a contact
// settles them at an instant.
func (s *setup) sort() {
	speaks := map[string]int{} // the slot whose flips are recorded, by segment
	for i, sl := range s.slots {
		if sl.speaks() {
			speaks[sl.segment] = i
		}
	}
	seen := make([]bool, len(s.slots))
	order := make([]int, 0, len(s.slots))
	var visit func(i int)
	visit = func(i int) {
		if seen[i] {
			return
		}
		seen[i] = true
		for _, name := range s.slots[i].rule.Needs().History {
			if j, ok := speaks[name]; ok {
				visit(j)
			}
		}
		order = append(order, i)
	}
	for i := range s.slots {
		visit(i)
	}
	place := make([]int, len(order))
	slots := make([]*slot, len(order))
	for to, from := range order {
		place[from], slots[to] = to, s.slots[from]
	}
	for _, sl := range slots {
		if sl.live >= 0 {
			sl.live = place[sl.live]
		}
		sl.told = sl.speaks() && slices.Contains(s.needs.History, sl.segment)
		sl.cuts = sl.rule.Cuts()
	}
	s.slots = slots
}

// tell lets the slots that come later in the pass know of a flip.
func (c *settling) tell(i int, at crm.Instant, cause crm.Cause) {
	if s := c.slots[i]; s.told && c.profile != nil && cause.Triggers() {
		passed(c.profile, s.segment, c.in[i], at)
		rule.Remember(c.profile)
	}
}
