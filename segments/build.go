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
	b, err := load(ctx, m.mirror, m.db.Read(), m.setup, ids)
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
		return m.advance(ctx, tx, reached, len(ids)-len(left), now)
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
	room, weight := m.page, maxWeight
	for _, lane := range m.lanes {
		from := laneDone
		for _, s := range m.setup.slots {
			if s.state == StateBuilding {
				from = min(from, s.positions[lane])
			}
		}
		if from == laneDone {
			continue
		}
		if room == 0 {
			break
		}
		ids, err := m.mirror.LaneContacts(ctx, m.db.Read(), lane, from, room)
		if err != nil {
			return nil, err
		}
		fit, left, err := m.fitInto(ctx, ids, weight)
		if err != nil {
			return nil, err
		}
		out = append(out, piece{lane, fit, len(ids) < room && len(fit) == len(ids)})
		if room, weight = room-len(fit), left; len(fit) < len(ids) {
			break
		}
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
			out[p.lane] = laneDone
		case at > 0:
			out[p.lane] = at
		}
	}
	return out
}

func (m *Maintainer) advance(ctx context.Context, tx *store.Tx, reached map[int]int64, seen int, now crm.Instant) error {
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
		if _, err := tx.ExecContext(ctx, `UPDATE segment_defs SET build_position=build_position+?, build_began=CASE WHEN build_began=0 THEN ? ELSE build_began END, build_seen=?
 WHERE segment=? AND generation=?`, seen, now, now, s.segment, s.generation); err != nil {
			return err
		}
	}
	return tx.Upsert(ctx, "segment_builds", []string{"segment", "generation", "lane"}, []string{"segment", "generation", "lane", "position"}, rows)
}
