package segments

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/segments/rule"
)

// slot is one generation of one segment that is kept true: live, or being built.
//
// The recorded changes of a segment follow what readers see: the live generation, or the one being built when it is
// the first. At a switch the old generation's memberships stay behind as what is recorded, contact by contact, until
// reconciling has passed: it records the difference as redefined and deletes the row.
type slot struct {
	segment    string
	generation int64
	state      string
	rule       *rule.Segment
	live       int              // of a building slot: index of the segment's live one, or -1
	positions  [crm.Lanes]int64 // of a building slot: the last contact built in each lane
	before     *past            // of a live slot: the generation before it, while it is not reconciled
	told       bool             // others read its history
	cuts       []rule.Cut       // that it compares with
}

// past is a retired generation: what is recorded of the contacts beyond its positions.
type past struct {
	segment    string
	generation int64
	next       int64            // the generation that took its place; 0 when the segment was removed
	silent     bool             // it never was what readers saw, and nothing of it was recorded
	positions  [crm.Lanes]int64 // the last contact reconciled in each lane
}

// laneDone is the position of a lane that has been gone through to its end.
const laneDone int64 = 1<<62 - 1

// covers tells whether the slot's membership of the contact is kept: always when live, else once it was built.
func (s *slot) covers(id int64) bool {
	return s.state == StateLive || id <= s.positions[crm.LaneOf(id)]
}

// speaks tells whether the slot's flips are recorded.
func (s *slot) speaks() bool { return s.live < 0 }

// holds tells whether this past is what is recorded of the contact.
func (p *past) holds(id int64) bool { return p != nil && id > p.positions[crm.LaneOf(id)] }

// defRow is a row of segment_defs.
type defRow struct {
	Segment    string
	Generation int64
	State      string
	Hash       string
	Spec       string
	BuildDone  int64       `db:"build_position"`
	BuildTotal int64       `db:"build_total"`
	BuiltAt    crm.Instant `db:"built_at"`
	BuildBegan crm.Instant `db:"build_began"` // the first slice, and the newest
	BuildSeen  crm.Instant `db:"build_seen"`
}

// setup is the definitions in force as the database has them.
type setup struct {
	key   string // identity of the rows behind it
	slots []*slot
	pasts []*past // by segment and generation
	needs crm.Needs

	waiting []*slot     // to be built once an older generation is gone
	ranked  crm.Instant // when thresholds are to be looked at again
	between func()      // as Maintainer.between
}

// readSetup loads the definitions; held is returned when it is still right.
func readSetup(ctx context.Context, q store.Queryer, held *setup) (*setup, error) {
	var rows []defRow
	if err := q.SelectContext(ctx, &rows, "SELECT segment, generation, state FROM segment_defs WHERE state<>'gone' ORDER BY segment, generation"); err != nil {
		return nil, fmt.Errorf("reading the segments' definitions: %w", err)
	}
	var key strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&key, "%s/%d/%s ", r.Segment, r.Generation, r.State)
	}
	if held != nil && held.key == key.String() {
		return held, nil
	}
	s := &setup{key: key.String()}
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && rows[n].Segment == rows[0].Segment {
			n++
		}
		if err := s.add(ctx, q, rows[:n]); err != nil {
			return nil, err
		}
		rows = rows[n:]
	}
	s.sort()
	return s, s.readPositions(ctx, q)
}

// add takes in the generations of one segment, oldest first. One that waits to be built is left out while an older
// one is not gone, so that what is recorded never has two sources.
func (s *setup) add(ctx context.Context, q store.Queryer, rows []defRow) error {
	live := -1
	var open *past
	for _, r := range rows {
		switch r.State {
		case StateRetired, stateDropped:
			p := &past{segment: r.Segment, generation: r.Generation, silent: r.State == stateDropped}
			if open != nil && !p.silent {
				open.next = p.generation
			}
			if !p.silent {
				open = p
			}
			s.pasts = append(s.pasts, p)
		case StateLive, StateBuilding:
			sl, err := readSlot(ctx, q, r)
			if err != nil {
				return err
			}
			if r.State == StateBuilding && (open != nil || len(s.pasts) > 0 && s.pasts[len(s.pasts)-1].segment == r.Segment) {
				s.waiting = append(s.waiting, sl)
				continue
			}
			if sl.live = live; r.State == StateLive {
				live = len(s.slots)
				if sl.before = open; open != nil {
					open.next = r.Generation
				}
			}
			s.slots = append(s.slots, sl)
			s.needs = rule.Union(s.needs, sl.rule.Needs())
		}
	}
	return nil
}

func readSlot(ctx context.Context, q store.Queryer, r defRow) (*slot, error) {
	var text string
	if err := q.GetContext(ctx, &text, "SELECT spec FROM segment_defs WHERE segment=? AND generation=?", r.Segment, r.Generation); err != nil {
		return nil, fmt.Errorf("reading the definition of %s: %w", r.Segment, err)
	}
	seg, err := rule.Decode(r.Segment, text)
	if err != nil {
		return nil, err
	}
	return &slot{segment: r.Segment, generation: r.Generation, state: r.State, rule: seg, live: -1}, nil
}

func (s *setup) readPositions(ctx context.Context, q store.Queryer) error {
	if !s.building() && s.pasts == nil {
		return nil
	}
	at := map[slotKey]*[crm.Lanes]int64{}
	for _, sl := range s.slots {
		at[slotKey{sl.segment, sl.generation}] = &sl.positions
	}
	for _, p := range s.pasts {
		at[slotKey{p.segment, p.generation}] = &p.positions
	}
	var rows []struct {
		Segment    string
		Generation int64
		Lane       int
		Position   int64
	}
	if err := q.SelectContext(ctx, &rows, "SELECT segment, generation, lane, position FROM segment_builds"); err != nil {
		return fmt.Errorf("reading how far builds are: %w", err)
	}
	for _, r := range rows {
		if to := at[slotKey{r.Segment, r.Generation}]; to != nil && r.Lane < crm.Lanes {
			to[r.Lane] = r.Position
		}
	}
	return nil
}

func (s *setup) building() bool {
	return slices.ContainsFunc(s.slots, func(x *slot) bool { return x.state == StateBuilding })
}
