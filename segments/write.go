package segments

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

// before is what was stored of a contact when its batch was read.
type before struct {
	in    []bool
	since []crm.Instant
	due   crm.Instant
}

// rows is what a batch writes, table by table, so that each takes a few statements.
type rows struct {
	changes [][]any
	join    [][]any
	leave   map[slotKey][]int64
	due     [][]any
	noDue   []int64
	marks   []mirror.Dirty
	sizes   map[slotKey]int64 // by how many members each generation grew
}

type slotKey struct {
	segment    string
	generation int64
}

// add collects what settling one contact changed.
func (r *rows) add(tx *store.Tx, s *setup, c *settling, was before, now crm.Instant) {
	lane := crm.LaneOf(c.id)
	r.record(tx, s, c, was, now)
	for i, sl := range s.slots {
		switch {
		case c.in[i] && (!was.in[i] || was.since[i] != c.since[i]):
			r.join = append(r.join, []any{c.id, sl.segment, sl.generation, lane, c.since[i]})
		case !c.in[i] && was.in[i]:
			k := slotKey{sl.segment, sl.generation}
			r.leave[k] = append(r.leave[k], c.id)
		}
		if c.in[i] != was.in[i] {
			r.sizes[slotKey{sl.segment, sl.generation}] += int64(2*flag(c.in[i]) - 1)
		}
	}
	switch c.next {
	case was.due:
	case crm.Never:
		r.noDue = append(r.noDue, c.id)
	default:
		r.due = append(r.due, []any{c.id, lane, c.next})
	}
	if c.mark != nil && c.done {
		r.marks = append(r.marks, *c.mark)
	}
}

// record appends the flips of the slots that speak. Where what is recorded is still the generation before, the
// difference to it comes first, and the row of that generation goes along, since reconciling has yet to pass.
func (r *rows) record(tx *store.Tx, s *setup, c *settling, was before, now crm.Instant) {
	lane := crm.LaneOf(c.id)
	said, from := map[int]bool{}, map[int]crm.Instant{}
	say := func(f flip) {
		r.changes = append(r.changes, []any{
			tx.NewID(), c.id, lane, s.slots[f.slot].segment, flag(f.entered), f.at, now, string(f.cause), flag(f.cause.Triggers()),
		})
	}
	for _, f := range c.flips {
		sl := s.slots[f.slot]
		if !sl.speaks() {
			continue
		}
		if !said[f.slot] && c.log[f.slot] != was.in[f.slot] {
			from[f.slot] = max(min(f.at, now), c.logged[f.slot]) // nobody leaves before having entered
			say(flip{f.slot, was.in[f.slot], from[f.slot], crm.CauseRedefined})
		}
		said[f.slot] = true
		f.at = max(f.at, from[f.slot])
		say(f)
	}
	for i, at := range from {
		c.since[i] = max(c.since[i], at)
	}
	for i := range said {
		if p := s.slots[i].before; p.holds(c.id) && c.log[i] != c.in[i] {
			k := slotKey{p.segment, p.generation}
			if c.in[i] {
				r.join = append(r.join, []any{c.id, p.segment, p.generation, lane, c.since[i]})
			} else {
				r.leave[k] = append(r.leave[k], c.id)
			}
		}
	}
}

// write stores what was collected. counter is a lane that this process owns: no other one counts under it, so that
// processes do not wait for each other.
func (r *rows) write(ctx context.Context, m *mirror.Mirror, tx *store.Tx, counter int) error {
	if err := tx.Insert(ctx, "segment_changes",
		[]string{"id", "contact_id", "lane", "segment", "entered", "effective_at", "recorded_at", "cause", "pending"}, r.changes); err != nil {
		return fmt.Errorf("recording segment changes: %w", err)
	}
	if err := tx.Upsert(ctx, "memberships", []string{"contact_id", "segment", "generation"},
		[]string{"contact_id", "segment", "generation", "lane", "since"}, r.join); err != nil {
		return fmt.Errorf("writing memberships: %w", err)
	}
	keys := slices.SortedFunc(maps.Keys(r.leave), func(a, b slotKey) int { return compareKeys(a, b) })
	for _, k := range keys {
		if _, err := tx.ExecContext(ctx, "DELETE FROM memberships WHERE segment=? AND generation=? AND contact_id IN ("+list(r.leave[k])+")",
			k.segment, k.generation); err != nil {
			return fmt.Errorf("ending memberships: %w", err)
		}
	}
	if err := r.writeSizes(ctx, tx, counter); err != nil {
		return fmt.Errorf("counting members: %w", err)
	}
	if err := tx.Upsert(ctx, "segment_due", []string{"contact_id"}, []string{"contact_id", "lane", "due_at"}, r.due); err != nil {
		return fmt.Errorf("writing due instants: %w", err)
	}
	if len(r.noDue) > 0 {
		if _, err := tx.ExecContext(ctx, "DELETE FROM segment_due WHERE contact_id IN ("+list(r.noDue)+")"); err != nil {
			return fmt.Errorf("ending due instants: %w", err)
		}
	}
	if len(r.marks) > 0 {
		return m.ClearDirty(ctx, tx, r.marks)
	}
	return nil
}

// writeSizes keeps the counts that pages show, so that nobody has to count members (B32).
func (r *rows) writeSizes(ctx context.Context, tx *store.Tx, counter int) error {
	var grown [][]any
	for _, k := range slices.SortedFunc(maps.Keys(r.sizes), compareKeys) {
		if n := r.sizes[k]; n != 0 {
			grown = append(grown, []any{k.segment, k.generation, counter, n})
		}
	}
	return tx.InsertOr(ctx, "segment_sizes", []string{"segment", "generation", "lane", "members"},
		tx.Dialect().OnConflict("segment", "generation", "lane")+"members=segment_sizes.members+"+tx.Dialect().Refused("members"), grown)
}

func compareKeys(a, b slotKey) int {
	if a.segment != b.segment {
		if a.segment < b.segment {
			return -1
		}
		return 1
	}
	return int(a.generation - b.generation)
}
