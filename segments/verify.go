package segments

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
)

// Difference is a membership, or a due instant, that evaluation from scratch does not confirm.
type Difference struct {
	ContactID int64  `json:"contact"`
	Segment   string `json:"segment,omitempty"` // "" for a due instant
	Stored    bool   `json:"stored"`            // in the segment by the memberships
	Computed  bool   `json:"computed"`          // in the segment by its definition
	Detail    string `json:"detail,omitempty"`
}

// Report is what Verify found.
type Report struct {
	At          crm.Instant  `json:"at_ms"`
	Contacts    int64        `json:"contacts"`    // counted anew
	Unsettled   int64        `json:"unsettled"`   // left out: their facts or their instant wait for the maintainer, or they differ while a change of the catalogue is on its way
	Memberships int64        `json:"memberships"` // found stored
	Differences []Difference `json:"differences"`

	only []string // segments to look at; nil: all
}

const maxDifferences = 1000

// Verify counts every live segment anew from the facts, page by page, and lists what differs (at most 1000). It may run
// beside the maintainer: a contact that seems wrong is looked at again before it is listed. With only, it looks at those
// segments alone.
func Verify(ctx context.Context, m *mirror.Mirror, now time.Time, only ...string) (Report, error) {
	r := Report{At: crm.At(now), only: only}
	q := m.DB().Read()
	setup, err := readSetup(ctx, q, nil)
	if err != nil {
		return r, err
	}
	for after := int64(0); ; {
		ids, err := m.ContactIDs(ctx, q, after, batchSize)
		if err != nil {
			return r, fmt.Errorf("verifying segments: %w", err)
		}
		if len(ids) == 0 {
			return r, r.orphans(ctx, m, setup)
		}
		after = ids[len(ids)-1]
		if err := r.page(ctx, m, setup, ids); err != nil {
			return r, fmt.Errorf("verifying segments: %w", err)
		}
	}
}

// page counts a page; a contact that differs is read again, since the maintainer may have moved it meanwhile.
func (r *Report) page(ctx context.Context, m *mirror.Mirror, s *setup, ids []int64) error {
	const tries = 3
	r.Contacts += int64(len(ids))
	for try := 1; len(ids) > 0; try++ {
		c, err := r.check(ctx, m, s, ids)
		if err != nil {
			return err
		}
		r.Memberships += c.memberships
		r.Unsettled += c.unsettled
		if try == tries && len(c.again) > 0 {
			pending, err := m.FanOutPending(ctx, m.DB().Read())
			if err != nil {
				return err
			}
			ranked, err := s.rankings(ctx, m.DB().Read())
			if err != nil {
				return err
			}
			if pending || ranksBelow(ranked) < crm.Never { // not marked yet: nobody claims that they are up to date
				r.Unsettled += int64(len(c.again))
				return nil
			}
		}
		if try == tries {
			r.Differences = append(r.Differences, c.found[:min(len(c.found), max(maxDifferences-len(r.Differences), 0))]...)
			return nil
		}
		ids = c.again
	}
	return nil
}

type checked struct {
	memberships, unsettled int64
	again                  []int64
	found                  []Difference
}

func (r *Report) wants(segment string) bool {
	return len(r.only) == 0 || slices.Contains(r.only, segment)
}

func (r *Report) check(ctx context.Context, m *mirror.Mirror, s *setup, ids []int64) (checked, error) {
	var out checked
	q := m.DB().Read()
	b, err := load(ctx, m, q, s, ids)
	if err != nil {
		return out, err
	}
	clock, err := readMeta(ctx, q, metaClock) // after the rows: they are at most that new
	if err != nil {
		return out, err
	}
	now := max(r.At, clock)
	for _, c := range b.subjects {
		if c.mark != nil || c.due <= now {
			out.unsettled++
			continue
		}
		n, found := c.differences(s, now, r.wants)
		if len(found) > 0 {
			out.again, out.found = append(out.again, c.id), append(out.found, found...)
			continue
		}
		out.memberships += n
	}
	return out, nil
}

func (c *subject) differences(s *setup, now crm.Instant, wants func(segment string) bool) (members int64, found []Difference) {
	for i, sl := range s.slots {
		if !sl.covers(c.id) || !wants(sl.segment) {
			continue
		}
		should := c.profile != nil && sl.rule.Match(c.profile, now)
		if should != c.in[i] {
			found = append(found, Difference{ContactID: c.id, Segment: sl.segment, Stored: c.in[i], Computed: should})
		}
		if c.profile != nil {
			next := sl.rule.NextChange(c.profile, now)
			for published(c.profile, next) && sl.rule.Match(c.profile, next) == should { // whom thresholds to come do not move is not told of them
				next = sl.rule.NextChange(c.profile, next)
			}
			if next < c.due {
				found = append(found, Difference{
					ContactID: c.id, Segment: sl.segment, Stored: c.in[i], Computed: should,
					Detail: fmt.Sprintf("the clock changes it at %d, but the contact is not due until %d", next, c.due),
				})
			}
		}
		if c.in[i] && sl.state == StateLive {
			members++
		}
	}
	return members, found
}

// orphans looks for members to whom nothing refers any more.
func (r *Report) orphans(ctx context.Context, m *mirror.Mirror, s *setup) error {
	for _, sl := range s.slots {
		if sl.state != StateLive || !r.wants(sl.segment) {
			continue
		}
		if err := eachMembers(ctx, m.DB().Read(), sl.segment, func(ids []int64) error { return r.lifeless(ctx, m, s, ids) }); err != nil {
			return err
		}
	}
	return nil
}

func (r *Report) lifeless(ctx context.Context, m *mirror.Mirror, s *setup, ids []int64) error {
	live, err := m.LiveAmong(ctx, m.DB().Read(), ids)
	if err != nil {
		return err
	}
	var gone []int64
	for _, id := range ids {
		if !live[id] {
			gone = append(gone, id)
		}
	}
	if gone == nil {
		return nil
	}
	return r.page(ctx, m, s, gone)
}
