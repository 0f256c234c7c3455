package segments

import (
	"context"
	"slices"

	"github.com/relance/relance/internal/mirror"
)

// maxWeight bounds the facts that one batch loads, so that a few contacts with long histories take no more memory and
// time than many with short ones. A single contact may be heavier: then it is a batch of its own.
const maxWeight int64 = 20_000

// contactWeight is what a contact without any facts weighs.
const contactWeight = 1

// fitting is the beginning of ids that makes a batch; at least one.
func (m *Maintainer) fitting(ctx context.Context, ids []int64) ([]int64, error) {
	out, _, err := m.fitInto(ctx, ids, maxWeight)
	return out, err
}

// fitInto is the beginning of ids that fits what is left of a batch; one that is empty yet takes at least one.
func (m *Maintainer) fitInto(ctx context.Context, ids []int64, left int64) ([]int64, int64, error) {
	weights, err := m.mirror.Weights(ctx, m.db.Read(), ids, m.setup.needs)
	if err != nil {
		return nil, 0, err
	}
	for i, id := range ids {
		w := weights[id] + contactWeight
		if w > left && left < maxWeight || left <= 0 {
			return ids[:i], left, nil
		}
		left -= w
	}
	return ids, left, nil
}

// One contact in aged of a batch is taken by the age of their marks, whatever else happens: what is not
// fresh waits, but not for ever.
const aged = 10

// freshest picks a batch among marks: what may start campaigns first, then the oldest.
func (m *Maintainer) freshest(ctx context.Context, oldest []mirror.Dirty) ([]int64, error) {
	marks := oldest
	if len(oldest) >= m.page { // a backlog
		fresh, err := m.mirror.FreshMarks(ctx, m.db.Read(), m.lanes, max(m.page-m.page/aged, 1))
		if err != nil {
			return nil, err
		}
		marks = append(fresh, oldest...)
	} else {
		marks = slices.Clone(marks)
		slices.SortStableFunc(marks, func(a, b mirror.Dirty) int { return flag(b.Cause.Triggers()) - flag(a.Cause.Triggers()) })
	}
	seen := map[int64]bool{}
	var ids []int64
	for _, d := range marks {
		if !seen[d.ContactID] && len(ids) < m.page {
			seen[d.ContactID] = true
			ids = append(ids, d.ContactID)
		}
	}
	return m.fitting(ctx, ids)
}
