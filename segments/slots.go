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
type slot struct {
	segment    string
	generation int64
	state      string
	rule       *rule.Segment
	live       int              // of a building slot: index of the segment's live one, or -1
	building   int              // of a live slot: index of the segment's building one, or -1
	positions  [crm.Lanes]int64 // of a building slot: the last contact built in each lane
}

// laneBuilt is the position of a lane that has been built to its end.
const laneBuilt int64 = 1<<62 - 1

// covers tells whether the slot's membership of the contact is kept: always when live, else once it was built.
func (s *slot) covers(id int64) bool {
	return s.state == StateLive || id <= s.positions[crm.LaneOf(id)]
}

// buildCause is what a build's changes are recorded as.
func (s *slot) buildCause() crm.Cause {
	if s.live >= 0 {
		return crm.CauseRedefined
	}
	return crm.CauseBuilt
}

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
}

// setup is the definitions in force as the database has them.
type setup struct {
	key     string // identity of the rows behind it
	slots   []*slot
	retired []defRow
	needs   crm.Needs
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
	for _, r := range rows {
		if r.State == StateRetired {
			s.retired = append(s.retired, r)
			continue
		}
		if err := q.GetContext(ctx, &r.Spec, "SELECT spec FROM segment_defs WHERE segment=? AND generation=?", r.Segment, r.Generation); err != nil {
			return nil, fmt.Errorf("reading the definition of %s: %w", r.Segment, err)
		}
		seg, err := rule.Decode(r.Segment, r.Spec)
		if err != nil {
			return nil, err
		}
		s.slots = append(s.slots, &slot{segment: r.Segment, generation: r.Generation, state: r.State, rule: seg, live: -1, building: -1})
		s.needs = rule.Union(s.needs, seg.Needs())
	}
	s.pair()
	return s, s.readPositions(ctx, q)
}

// pair links the two generations of a segment that is being rebuilt.
func (s *setup) pair() {
	for i, a := range s.slots {
		for j, b := range s.slots {
			if a.segment == b.segment && a.state == StateLive && b.state == StateBuilding {
				a.building, b.live = j, i
			}
		}
	}
}

func (s *setup) readPositions(ctx context.Context, q store.Queryer) error {
	if !s.building() {
		return nil
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
		for _, sl := range s.slots {
			if sl.state == StateBuilding && sl.segment == r.Segment && sl.generation == r.Generation && r.Lane < crm.Lanes {
				sl.positions[r.Lane] = r.Position
			}
		}
	}
	return nil
}

func (s *setup) building() bool {
	return slices.ContainsFunc(s.slots, func(x *slot) bool { return x.state == StateBuilding })
}

// voice tells whether the slot's flips of the contact are recorded: the live one's, until the contact has been built
// into its successor.
func (s *setup) voice(i int, id int64) bool {
	b := s.slots[i].building
	return b < 0 || !s.slots[b].covers(id)
}
