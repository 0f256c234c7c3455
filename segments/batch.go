package segments

import (
	"context"
	"fmt"
	"slices"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

// batch is up to batchSize contacts with all that settling them needs.
type batch struct {
	setup    *setup
	subjects []*subject
	lanes    []int // further lanes that its transaction decides about
}

// load reads a batch. Marks are read before facts: a change committed in between moves its mark's generation, which
// the writing transaction notices.
func load(ctx context.Context, m *mirror.Mirror, q store.Queryer, s *setup, ids []int64) (*batch, error) {
	b := &batch{setup: s}
	if len(ids) == 0 {
		return b, nil
	}
	byID := make(map[int64]*subject, len(ids))
	for _, id := range ids {
		c := &subject{id: id, due: crm.Never, in: make([]bool, len(s.slots)), since: make([]crm.Instant, len(s.slots)), log: make([]bool, len(s.slots)), logged: make([]crm.Instant, len(s.slots))}
		b.subjects, byID[id] = append(b.subjects, c), c
	}
	marks, err := m.DirtyOf(ctx, q, ids)
	if err != nil {
		return nil, err
	}
	for id, d := range marks {
		byID[id].mark = &d
	}
	if s.between != nil {
		s.between()
	}
	if err := b.stored(ctx, q, ids, byID); err != nil {
		return nil, err
	}
	live, err := m.LiveAmong(ctx, q, ids)
	if err != nil {
		return nil, err
	}
	profiles, err := Profiles(ctx, m, q, ids, s.needs)
	if err != nil {
		return nil, err
	}
	ranked, err := s.rankings(ctx, q)
	if err != nil {
		return nil, err
	}
	for i := range profiles {
		if p := &profiles[i]; live[p.Contact.ID] {
			byID[p.Contact.ID].profile = p
			byID[p.Contact.ID].untold = slices.ContainsFunc(ranked, func(r ranking) bool { return r.audience == p.Contact.AudienceID && p.Contact.ID > r.told })
		}
	}
	return b, nil
}

// stored reads memberships and due instants.
func (b *batch) stored(ctx context.Context, q store.Queryer, ids []int64, byID map[int64]*subject) error {
	in := list(ids)
	var due []dueRow
	if err := q.SelectContext(ctx, &due, "SELECT contact_id, due_at FROM segment_due WHERE contact_id IN ("+in+")"); err != nil {
		return fmt.Errorf("reading due instants: %w", err)
	}
	for _, d := range due {
		byID[d.ContactID].due = d.DueAt
	}
	index, pasts := map[slotKey]int{}, map[slotKey]int{}
	for i, s := range b.setup.slots {
		index[slotKey{s.segment, s.generation}] = i
		if s.before != nil {
			pasts[slotKey{s.segment, s.before.generation}] = i
		}
	}
	rows, err := q.QueryxContext(ctx, "SELECT contact_id, segment, generation, since FROM memberships WHERE contact_id IN ("+in+")")
	if err != nil {
		return fmt.Errorf("reading memberships: %w", err)
	}
	defer rows.Close() //nolint:errcheck // read to its end below
	for rows.Next() {
		var id int64
		var k slotKey
		var since crm.Instant
		if err := rows.Scan(&id, &k.segment, &k.generation, &since); err != nil {
			return fmt.Errorf("reading memberships: %w", err)
		}
		c := byID[id]
		if i, ok := index[k]; ok {
			c.in[i], c.since[i] = true, since
			c.log[i] = c.log[i] || !b.setup.slots[i].before.holds(id)
		}
		if i, ok := pasts[k]; ok && b.setup.slots[i].before.holds(id) {
			c.log[i], c.logged[i] = true, since
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading memberships: %w", err)
	}
	return nil
}

// moved gives the contacts whose mark is another one than when the batch was read: their facts may be newer than what
// was evaluated, or another process settled them. They are left for the next batch.
func (b *batch) moved(ctx context.Context, m *mirror.Mirror, tx *store.Tx) (map[int64]bool, error) {
	ids := make([]int64, len(b.subjects))
	for i, c := range b.subjects {
		ids[i] = c.id
	}
	marks, err := m.DirtyOf(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	out := map[int64]bool{}
	for _, c := range b.subjects {
		d, marked := marks[c.id]
		if marked != (c.mark != nil) || marked && d.Generation != c.mark.Generation {
			out[c.id] = true
		}
	}
	return out, nil
}

// leases names the leases of the batch's lanes.
func (b *batch) leases() []string {
	var held [crm.Lanes]bool
	var out []string
	for _, lane := range b.lanes {
		held[lane] = true
	}
	for _, c := range b.subjects {
		held[crm.LaneOf(c.id)] = true
	}
	for lane, is := range held {
		if is {
			out = append(out, store.LaneLease(lane))
		}
	}
	slices.Sort(out)
	return out
}
