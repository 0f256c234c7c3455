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
func load(ctx context.Context, m *mirror.Mirror, q store.Queryer, s *setup, ids []int64, logs bool) (*batch, error) {
	b := &batch{setup: s}
	if len(ids) == 0 {
		return b, nil
	}
	byID := make(map[int64]*subject, len(ids))
	for _, id := range ids {
		c := &subject{id: id, due: crm.Never, in: make([]bool, len(s.slots)), since: make([]crm.Instant, len(s.slots))}
		b.subjects, byID[id] = append(b.subjects, c), c
	}
	marks, err := m.DirtyOf(ctx, q, ids)
	if err != nil {
		return nil, err
	}
	for id, d := range marks {
		byID[id].mark = &d
	}
	if err := b.stored(ctx, q, ids, byID); err != nil {
		return nil, err
	}
	if logs {
		if err := b.readLog(ctx, q, ids, byID); err != nil {
			return nil, err
		}
	}
	live, err := m.LiveAmong(ctx, q, ids)
	if err != nil {
		return nil, err
	}
	profiles, err := m.Profiles(ctx, q, ids, s.needs)
	if err != nil {
		return nil, err
	}
	for i := range profiles {
		if p := &profiles[i]; live[p.Contact.ID] {
			byID[p.Contact.ID].profile = p
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
	type key struct {
		segment    string
		generation int64
	}
	index := map[key]int{}
	for i, s := range b.setup.slots {
		index[key{s.segment, s.generation}] = i
	}
	rows, err := q.QueryxContext(ctx, "SELECT contact_id, segment, generation, since FROM memberships WHERE contact_id IN ("+in+")")
	if err != nil {
		return fmt.Errorf("reading memberships: %w", err)
	}
	defer rows.Close() //nolint:errcheck // read to its end below
	for rows.Next() {
		var id int64
		var k key
		var since crm.Instant
		if err := rows.Scan(&id, &k.segment, &k.generation, &since); err != nil {
			return fmt.Errorf("reading memberships: %w", err)
		}
		if i, ok := index[k]; ok {
			byID[id].in[i], byID[id].since[i] = true, since
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading memberships: %w", err)
	}
	return nil
}

// readLog says for each contact what segment_changes say last of the segments that are being redefined. Only
// definitions of a second or later generation have a past.
func (b *batch) readLog(ctx context.Context, q store.Queryer, ids []int64, byID map[int64]*subject) error {
	var again []string
	for _, s := range b.setup.slots {
		if s.state != StateBuilding || s.generation == 1 {
			continue
		}
		again = append(again, s.segment)
		for _, c := range b.subjects {
			if c.logged == nil {
				c.logged = map[string]bool{}
			}
			c.logged[s.segment] = s.live >= 0 && c.in[s.live]
		}
	}
	if again == nil {
		return nil
	}
	last, err := lastLogged(ctx, q, ids, again)
	if err != nil {
		return err
	}
	for _, l := range last {
		byID[l.ContactID].logged[l.Segment] = l.Entered
	}
	return nil
}

// lastLogged gives the changes of the contacts and segments in the order they were recorded: the last one of each counts.
func lastLogged(ctx context.Context, q store.Queryer, ids []int64, segments []string) ([]Change, error) {
	text, args, err := store.In("SELECT contact_id, segment, entered FROM segment_changes WHERE contact_id IN ("+list(ids)+
		") AND segment IN (?) ORDER BY contact_id, recorded_at, id", segments)
	if err != nil {
		return nil, fmt.Errorf("reading segment changes: %w", err)
	}
	var out []Change
	if err := q.SelectContext(ctx, &out, text, args...); err != nil {
		return nil, fmt.Errorf("reading segment changes: %w", err)
	}
	return out, nil
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
