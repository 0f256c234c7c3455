package segments

import (
	"context"
	"fmt"
	"slices"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// reconcile takes one page of one retired generation out of the way, oldest generation first: what its successor
// says differently is recorded as redefined, which triggers nothing; without a successor its members leave.
func (m *Maintainer) reconcile(ctx context.Context, now crm.Instant) (bool, error) {
	for i, p := range m.setup.pasts {
		if i > 0 && m.setup.pasts[i-1].segment == p.segment {
			continue // the one before it first
		}
		did, err := m.reconcilePage(ctx, p, now)
		if err != nil {
			return false, fmt.Errorf("reconciling segment %s: %w", p.segment, err)
		}
		if did {
			return true, nil
		}
	}
	return false, nil
}

func (m *Maintainer) reconcilePage(ctx context.Context, p *past, now crm.Instant) (bool, error) {
	ids, reached, err := m.pastPage(ctx, p)
	if err != nil {
		return false, err
	}
	b := &batch{}
	for _, lane := range m.lanes {
		if p.positions[lane] < laneDone {
			b.lanes = append(b.lanes, lane)
		}
	}
	if b.lanes == nil { // ours are through; the others' owners go on
		return m.forget(ctx, p)
	}
	err = m.db.WriteBackground(ctx, "segments.reconcile", func(tx *store.Tx) error {
		if err := m.leases.Fence(ctx, tx, b.leases()...); err != nil {
			return err
		}
		if len(ids) > 0 {
			if err := p.reconcile(ctx, tx, ids, now); err != nil {
				return err
			}
		}
		rows := make([][]any, 0, len(b.lanes))
		for _, lane := range b.lanes {
			rows = append(rows, []any{p.segment, p.generation, lane, max(reached, p.positions[lane])})
		}
		return tx.Upsert(ctx, "segment_builds", []string{"segment", "generation", "lane"}, []string{"segment", "generation", "lane", "position"}, rows)
	})
	if err != nil {
		return false, err
	}
	for _, lane := range b.lanes {
		p.positions[lane] = max(reached, p.positions[lane])
	}
	return true, nil
}

// pastPage gives the next members of the generation or its successor that are ours, and how far the page reaches.
func (m *Maintainer) pastPage(ctx context.Context, p *past) (ids []int64, reached int64, err error) {
	after := laneDone
	for _, lane := range m.lanes {
		after = min(after, p.positions[lane])
	}
	reached = laneDone
	for _, generation := range []int64{p.generation, p.next} {
		var page []int64
		if err := m.db.Read().SelectContext(ctx, &page, "SELECT contact_id FROM memberships WHERE segment=? AND generation=? AND contact_id>? ORDER BY contact_id LIMIT ?",
			p.segment, generation, after, m.page); err != nil {
			return nil, 0, err
		}
		if len(page) == m.page {
			reached = min(reached, page[m.page-1])
		}
		ids = append(ids, page...)
	}
	slices.Sort(ids)
	ids = slices.DeleteFunc(slices.Compact(ids), func(id int64) bool {
		lane := crm.LaneOf(id)
		return id > reached || id <= p.positions[lane] || !slices.Contains(m.lanes, lane)
	})
	return ids, reached, nil
}

// reconcile compares both generations of the contacts and deletes the older one's rows.
func (p *past) reconcile(ctx context.Context, tx *store.Tx, ids []int64, now crm.Instant) error {
	type row struct {
		ContactID  int64 `db:"contact_id"`
		Generation int64
	}
	var stored []row
	if err := tx.SelectContext(ctx, &stored, "SELECT contact_id, generation FROM memberships WHERE segment=? AND generation IN (?,?) AND contact_id IN ("+list(ids)+")",
		p.segment, p.generation, p.next); err != nil {
		return err
	}
	was, is := map[int64]bool{}, map[int64]bool{}
	for _, r := range stored {
		was[r.ContactID] = was[r.ContactID] || r.Generation == p.generation
		is[r.ContactID] = is[r.ContactID] || r.Generation == p.next
	}
	var changes [][]any
	var entered []int64
	for _, id := range ids {
		if was[id] != is[id] && !p.silent {
			if is[id] {
				entered = append(entered, id)
			}
			changes = append(changes, []any{tx.NewID(), id, crm.LaneOf(id), p.segment, flag(is[id]), now, now, string(crm.CauseRedefined), 0})
		}
	}
	if err := tx.Insert(ctx, "segment_changes",
		[]string{"id", "contact_id", "lane", "segment", "entered", "effective_at", "recorded_at", "cause", "pending"}, changes); err != nil {
		return err
	}
	if len(entered) > 0 { // they entered now, as it is recorded: nobody leaves before that
		if _, err := tx.ExecContext(ctx, "UPDATE memberships SET since=? WHERE segment=? AND generation=? AND contact_id IN ("+list(entered)+")",
			now, p.segment, p.next); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, "DELETE FROM memberships WHERE segment=? AND generation=? AND contact_id IN ("+list(ids)+")", p.segment, p.generation)
	return err
}

// forget ends a generation that is reconciled in every lane. Its row stays, so that its number is never used again.
func (m *Maintainer) forget(ctx context.Context, p *past) (bool, error) {
	var left int
	if err := m.db.Read().GetContext(ctx, &left, "SELECT COUNT(*) FROM segment_builds WHERE segment=? AND generation=? AND position<?",
		p.segment, p.generation, laneDone); err != nil || left > 0 {
		return false, err
	}
	err := m.db.WriteBackground(ctx, "segments.forget", func(tx *store.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM segment_builds WHERE segment=? AND generation=?", p.segment, p.generation); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM segment_sizes WHERE segment=? AND generation=?", p.segment, p.generation); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "UPDATE segment_defs SET state=? WHERE segment=? AND generation=?", stateGone, p.segment, p.generation)
		return err
	})
	return err == nil, err
}
