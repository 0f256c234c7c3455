package segments

import (
	"context"
	"fmt"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// piece is the part of a build's slice that lies in one lane.
type piece struct {
	lane int
	ids  []int64 // by growing id
	end  bool    // the lane has no more contacts
}

// buildSlice streams the next contacts into every slot that is being built. A contact is settled first, so that a
// build never sees an instant that the contact has not been stepped through.
func (m *Maintainer) buildSlice(ctx context.Context, now crm.Instant) (bool, error) {
	if !m.setup.building() {
		return false, nil
	}
	pieces, err := m.nextPieces(ctx)
	if err != nil || pieces == nil {
		return false, err
	}
	var ids []int64
	for _, p := range pieces {
		ids = append(ids, p.ids...)
	}
	b, err := load(ctx, m.mirror, m.db.Read(), m.setup, ids, true)
	if err != nil {
		return false, err
	}
	for _, p := range pieces {
		b.lanes = append(b.lanes, p.lane)
	}
	settled, was := b.settle(now)
	for _, c := range settled {
		if c.done {
			c.build(now)
		}
	}
	var reached map[int]int64
	_, err = m.commit(ctx, "segments.build", b, settled, was, now, func(tx *store.Tx, left map[int64]bool) error {
		for _, c := range settled {
			if !c.done {
				left[c.id] = true
			}
		}
		reached = reach(pieces, left)
		return m.advance(ctx, tx, reached, len(ids)-len(left))
	})
	if err != nil {
		return false, fmt.Errorf("building segments: %w", err)
	}
	for _, s := range m.setup.slots {
		for lane, at := range reached {
			if s.state == StateBuilding {
				s.positions[lane] = max(s.positions[lane], at)
			}
		}
	}
	m.stirred = true
	return true, nil
}

// nextPieces gathers up to batchSize contacts from the lanes that are not built to their end.
func (m *Maintainer) nextPieces(ctx context.Context) ([]piece, error) {
	var out []piece
	room := batchSize
	for _, lane := range m.lanes {
		from := laneBuilt
		for _, s := range m.setup.slots {
			if s.state == StateBuilding {
				from = min(from, s.positions[lane])
			}
		}
		if from == laneBuilt {
			continue
		}
		if room == 0 {
			break
		}
		ids, err := m.mirror.LaneContacts(ctx, m.db.Read(), lane, from, room)
		if err != nil {
			return nil, err
		}
		out = append(out, piece{lane, ids, len(ids) < room})
		room -= len(ids)
	}
	return out, nil
}

// reach says how far each lane has come: to its end, or to the contact before the first one that was left out.
func reach(pieces []piece, left map[int64]bool) map[int]int64 {
	out := map[int]int64{}
	for _, p := range pieces {
		at, whole := int64(0), true
		for _, id := range p.ids {
			if left[id] {
				whole = false
				break
			}
			at = id
		}
		switch {
		case whole && p.end:
			out[p.lane] = laneBuilt
		case at > 0:
			out[p.lane] = at
		}
	}
	return out
}

func (m *Maintainer) advance(ctx context.Context, tx *store.Tx, reached map[int]int64, seen int) error {
	var rows [][]any
	for _, s := range m.setup.slots {
		if s.state != StateBuilding {
			continue
		}
		for lane, at := range reached {
			if at > s.positions[lane] {
				rows = append(rows, []any{s.segment, s.generation, lane, at})
			}
		}
		if _, err := tx.ExecContext(ctx, "UPDATE segment_defs SET build_position=build_position+? WHERE segment=? AND generation=?", seen, s.segment, s.generation); err != nil {
			return err
		}
	}
	return tx.Upsert(ctx, "segment_builds", []string{"segment", "generation", "lane"}, []string{"segment", "generation", "lane", "position"}, rows)
}

// drain deletes the memberships of retired generations, a page at a time. Where the segment itself is no longer
// defined, its members leave it: recorded as redefined, which triggers nothing.
func (m *Maintainer) drain(ctx context.Context, now crm.Instant) (bool, error) {
	for _, d := range m.setup.retired {
		ids, err := m.page(ctx, d)
		if err != nil {
			return false, err
		}
		if len(ids) == 0 {
			err = m.emptied(ctx, d)
		} else {
			err = m.drop(ctx, d, ids, now)
		}
		if err != nil {
			return false, fmt.Errorf("deleting an old generation of %s: %w", d.Segment, err)
		}
		return true, nil
	}
	return false, nil
}

// page gives members of a retired generation in lanes of ours.
func (m *Maintainer) page(ctx context.Context, d defRow) ([]int64, error) {
	text, args, err := store.In("SELECT contact_id FROM memberships WHERE segment=? AND generation=? AND lane IN (?) ORDER BY contact_id LIMIT ?",
		d.Segment, d.Generation, m.lanes, batchSize)
	if err != nil {
		return nil, err
	}
	var ids []int64
	return ids, m.db.Read().SelectContext(ctx, &ids, text, args...)
}

// emptied ends a generation of which no lane has a membership left.
func (m *Maintainer) emptied(ctx context.Context, d defRow) error {
	return m.db.WriteBackground(ctx, "segments.drain", func(tx *store.Tx) error {
		var n int
		if err := tx.GetContext(ctx, &n, "SELECT COUNT(*) FROM (SELECT 1 AS one FROM memberships WHERE segment=? AND generation=? LIMIT 1) x", d.Segment, d.Generation); err != nil || n > 0 {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM segment_builds WHERE segment=? AND generation=?", d.Segment, d.Generation); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "UPDATE segment_defs SET state=? WHERE segment=? AND generation=? AND state='retired'", stateGone, d.Segment, d.Generation)
		return err
	})
}

func (m *Maintainer) drop(ctx context.Context, d defRow, ids []int64, now crm.Instant) error {
	b := &batch{}
	for _, id := range ids {
		b.subjects = append(b.subjects, &subject{id: id})
	}
	return m.db.WriteBackground(ctx, "segments.drain", func(tx *store.Tx) error {
		if err := m.leases.Fence(ctx, tx, b.leases()...); err != nil {
			return err
		}
		var successors int
		if err := tx.GetContext(ctx, &successors, "SELECT COUNT(*) FROM segment_defs WHERE segment=? AND state IN ('live','building')", d.Segment); err != nil {
			return err
		}
		if successors == 0 {
			if err := recordRemoval(ctx, tx, d.Segment, ids, now); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, "DELETE FROM memberships WHERE segment=? AND generation=? AND contact_id IN ("+list(ids)+")", d.Segment, d.Generation)
		return err
	})
}

func recordRemoval(ctx context.Context, tx *store.Tx, segment string, ids []int64, now crm.Instant) error {
	last, err := lastLogged(ctx, tx, ids, []string{segment})
	if err != nil {
		return err
	}
	in := map[int64]bool{}
	for _, l := range last {
		in[l.ContactID] = l.Entered
	}
	var rows [][]any
	for _, id := range ids {
		if in[id] {
			rows = append(rows, []any{tx.NewID(), id, crm.LaneOf(id), segment, 0, now, now, string(crm.CauseRedefined), 0})
		}
	}
	return tx.Insert(ctx, "segment_changes",
		[]string{"id", "contact_id", "lane", "segment", "entered", "effective_at", "recorded_at", "cause", "pending"}, rows)
}
