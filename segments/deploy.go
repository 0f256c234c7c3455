package segments

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/segments/rule"
)

// Deploy stores the definitions that the maintainer was made with. What is new or says something else than what is
// stored gets a generation of its own, which Step then builds; what is no longer defined is retired.
// Call it once after the leases were taken and at every reload; it may be repeated.
func (m *Maintainer) Deploy(ctx context.Context, now time.Time) error {
	total, err := m.mirror.LiveContacts(ctx)
	if err != nil {
		return fmt.Errorf("deploying segments: %w", err)
	}
	at := max(crm.At(now), m.clock)
	err = m.db.Write(ctx, "segments.deploy", func(tx *store.Tx) error {
		stored, err := storedDefs(ctx, tx)
		if err != nil {
			return err
		}
		wanted := map[string]bool{}
		for _, d := range m.defs {
			wanted[d.ID] = true
			if err := deployOne(ctx, tx, d, stored[d.ID], total, at); err != nil {
				return err
			}
		}
		if err := m.refuseRemoval(stored, wanted); err != nil {
			return err
		}
		for id := range stored {
			if !wanted[id] {
				if err := retire(ctx, tx, id, stored[id], true); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("deploying segments: %w", err)
	}
	return nil
}

func storedDefs(ctx context.Context, tx *store.Tx) (map[string][]defRow, error) {
	var rows []defRow
	if err := tx.SelectContext(ctx, &rows, "SELECT segment, generation, state, hash, spec FROM segment_defs ORDER BY segment, generation"); err != nil {
		return nil, err
	}
	out := map[string][]defRow{}
	for _, r := range rows {
		out[r.Segment] = append(out[r.Segment], r)
	}
	return out, nil
}

// deployOne compares with the newest generation in force: the one being built, else the live one.
func deployOne(ctx context.Context, tx *store.Tx, d *rule.Segment, rows []defRow, total int64, now crm.Instant) error {
	var newest *defRow
	generation := int64(1)
	for i := range rows {
		generation = rows[i].Generation + 1
		if rows[i].State == StateBuilding || rows[i].State == StateLive {
			newest = &rows[i]
		}
	}
	text, err := d.Encode()
	if err != nil {
		return err
	}
	if newest != nil && newest.Hash == d.Hash() {
		if newest.Spec == text {
			return nil
		}
		_, err := tx.ExecContext(ctx, "UPDATE segment_defs SET spec=? WHERE segment=? AND generation=?", text, d.ID, newest.Generation)
		return err
	}
	if err := retire(ctx, tx, d.ID, rows, false); err != nil {
		return err
	}
	err = tx.Insert(ctx, "segment_defs", []string{"segment", "generation", "state", "hash", "spec", "build_position", "build_total", "created_at", "built_at"},
		[][]any{{d.ID, generation, StateBuilding, d.Hash(), text, 0, total, now, 0}})
	if err != nil {
		if tx.Dialect().Duplicate(err) { // another process deploys the same
			return fmt.Errorf("%w: %w", store.ErrAgain, err)
		}
		return err
	}
	return startPositions(ctx, tx, d.ID, generation)
}

// startPositions puts every lane of a generation at its beginning.
func startPositions(ctx context.Context, tx *store.Tx, segment string, generation int64) error {
	rows := make([][]any, crm.Lanes)
	for lane := range rows {
		rows[lane] = []any{segment, generation, lane, 0}
	}
	return tx.Upsert(ctx, "segment_builds", []string{"segment", "generation", "lane"}, []string{"segment", "generation", "lane", "position"}, rows)
}

// retire gives up the generation being built and, when the segment is removed, the live one. What was built beside a
// live generation is dropped silently: nothing of it was recorded.
func retire(ctx context.Context, tx *store.Tx, segment string, rows []defRow, removed bool) error {
	live := false
	for _, r := range rows {
		live = live || r.State == StateLive
	}
	for _, r := range rows {
		state := StateRetired
		switch {
		case r.State == StateBuilding && live:
			state = stateDropped
		case r.State == StateBuilding, r.State == StateLive && removed:
		default:
			continue
		}
		if _, err := tx.ExecContext(ctx, "UPDATE segment_defs SET state=? WHERE segment=? AND generation=?", state, segment, r.Generation); err != nil {
			return err
		}
		if err := startPositions(ctx, tx, segment, r.Generation); err != nil {
			return err
		}
	}
	return nil
}

// refuseRemoval names the campaigns that a segment in force is taken away from.
func (m *Maintainer) refuseRemoval(stored map[string][]defRow, wanted map[string]bool) error {
	for _, id := range slices.Sorted(maps.Keys(stored)) {
		inForce := slices.ContainsFunc(stored[id], func(r defRow) bool { return r.State == StateLive || r.State == StateBuilding })
		if users := m.used[id]; inForce && !wanted[id] && len(users) > 0 {
			return &fault.Error{
				Class: fault.Operator, Op: "removing segment " + id, Err: errors.New("campaigns use it: " + strings.Join(users, ", ")),
				Hint: "Put it back into segments/, or take those campaigns away first",
			}
		}
	}
	return nil
}

// finish makes every building slot that has been built in all lanes the live one of its segment, at once, and together
// with those that it leans on and that lean on it.
func (m *Maintainer) finish(ctx context.Context, now crm.Instant) (bool, error) {
	var ready []*slot
	for _, s := range m.setup.slots {
		if s.state != StateBuilding || !m.builtHere(s) {
			continue
		}
		var left int
		if err := m.db.Read().GetContext(ctx, &left, "SELECT COUNT(*) FROM segment_builds WHERE segment=? AND generation=? AND position<?",
			s.segment, s.generation, laneDone); err != nil {
			return false, fmt.Errorf("asking how far a build is: %w", err)
		}
		if left == 0 {
			ready = append(ready, s)
		}
	}
	if ready == nil {
		return false, nil
	}
	if ready = m.setup.together(ready); ready == nil {
		return false, nil
	}
	err := m.db.Write(ctx, "segments.switch", func(tx *store.Tx) error {
		if same, err := m.setup.sameBuilds(ctx, tx); err != nil || !same {
			return err // deployed anew meanwhile: what was ready may no longer belong together
		}
		for _, s := range ready {
			if err := switchTo(ctx, tx, s, now); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("switching to built segments: %w", err)
	}
	return true, nil
}

func switchTo(ctx context.Context, tx *store.Tx, s *slot, now crm.Instant) error {
	var state string
	if err := tx.GetContext(ctx, &state, "SELECT state FROM segment_defs WHERE segment=? AND generation=?", s.segment, s.generation); err != nil || state != StateBuilding {
		return err // another process switched or retired it
	}
	var old []int64
	if err := tx.SelectContext(ctx, &old, "SELECT generation FROM segment_defs WHERE segment=? AND state='live'", s.segment); err != nil {
		return err
	}
	for _, generation := range old {
		if _, err := tx.ExecContext(ctx, "UPDATE segment_defs SET state='retired' WHERE segment=? AND generation=?", s.segment, generation); err != nil {
			return err
		}
		if err := startPositions(ctx, tx, s.segment, generation); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, "UPDATE segment_defs SET state='live', built_at=? WHERE segment=? AND generation=? AND state='building'",
		now, s.segment, s.generation); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, "DELETE FROM segment_builds WHERE segment=? AND generation=?", s.segment, s.generation)
	return err
}

// builtHere tells whether the slot is built in every lane that is ours.
func (m *Maintainer) builtHere(s *slot) bool {
	for _, lane := range m.lanes {
		if s.positions[lane] != laneDone {
			return false
		}
	}
	return len(m.lanes) > 0
}

// together keeps of the slots that are ready those that stand in no connection with one that is not.
func (s *setup) together(ready []*slot) []*slot {
	builds := slices.Clone(s.waiting)
	for _, sl := range s.slots {
		if sl.state == StateBuilding {
			builds = append(builds, sl)
		}
	}
	held := slices.DeleteFunc(slices.Clone(builds), func(sl *slot) bool { return slices.Contains(ready, sl) })
	for i := 0; i < len(held); i++ { // whatever is connected with what is held is held, too
		for _, sl := range builds {
			if !slices.Contains(held, sl) && connected(held[i], sl) {
				held = append(held, sl)
			}
		}
	}
	if ready = slices.DeleteFunc(ready, func(sl *slot) bool { return slices.Contains(held, sl) }); len(ready) == 0 {
		return nil
	}
	return ready
}

func connected(a, b *slot) bool {
	_, leans := a.rule.Below()[b.segment]
	_, carries := b.rule.Below()[a.segment]
	return leans || carries
}

// sameBuilds tells whether what is being built is still what the setup knows.
func (s *setup) sameBuilds(ctx context.Context, q store.Queryer) (bool, error) {
	var rows []defRow
	if err := q.SelectContext(ctx, &rows, "SELECT segment, generation FROM segment_defs WHERE state='building'"); err != nil {
		return false, err
	}
	known := map[slotKey]bool{}
	for _, sl := range slices.Concat(s.slots, s.waiting) {
		if sl.state == StateBuilding {
			known[slotKey{sl.segment, sl.generation}] = true
		}
	}
	for _, r := range rows {
		if !known[slotKey{r.Segment, r.Generation}] {
			return false, nil
		}
	}
	return len(rows) == len(known), nil
}
