package engine

import (
	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
)

// turn decides whose turn it is. Acts in the shop and hints come first, then reads that a mail waits for, then streams;
// each gives way after a few in a row, so that none starves.
type turn struct {
	steps  int64
	served map[string]int64 // stream → step at which it last had a page
	acted  bool             // the last step was an act in the shop
	hints  int              // in a row
	wanted int              // in a row

	hintsAfter   crm.Instant // re-reads as such are failing: none before
	hintFailures int         // in a row
	forgiven     map[string]bool
}

const (
	hintsInARow       = 5
	hintsBeforeAMail  = 1 // while somebody waits for a fresh read
	wantedPagesInARow = 8
)

// work is an act, a re-read or a page of a stream; none of them means that nothing is due.
type work struct {
	task bool
	hint bool
	row  *row
}

func (t *turn) next(rows []*row, q queued, now crm.Instant) work {
	t.steps++
	due := t.dueRows(rows, now)
	hint := len(q.hints) > 0
	if t.acted = len(q.tasks) > 0 && (!t.acted || !hint && len(due) == 0); t.acted {
		return work{task: true}
	}
	wanted := t.oldest(due, func(r *row) bool { return r.wanted() })
	limit := hintsInARow
	if wanted != nil {
		limit = hintsBeforeAMail
	}
	if hint && (t.hints < limit || len(due) == 0) {
		t.hints++
		return work{hint: true}
	}
	if len(due) == 0 {
		return work{}
	}
	t.hints = 0
	pick := wanted
	if pick == nil || t.wanted >= wantedPagesInARow {
		if other := t.oldest(due, func(r *row) bool { return !r.wanted() }); other != nil {
			pick = other
		}
	}
	if pick.wanted() {
		t.wanted++
	} else {
		t.wanted = 0
	}
	t.served[pick.Stream.Stream] = t.steps
	delete(t.forgiven, pick.Stream.Stream)
	return work{row: pick}
}

// oldest is the matching row that was served longest ago.
func (t *turn) oldest(rows []*row, match func(*row) bool) *row {
	var best *row
	for _, r := range rows {
		if match(r) && (best == nil || t.served[r.Stream.Stream] < t.served[best.Stream.Stream]) {
			best = r
		}
	}
	return best
}

// dueRows are the streams that may have a page now. First runs come one after the other in the declared order
// (customers before their orders); lists of ids are compared when everything has been read once.
func (t *turn) dueRows(rows []*row, now crm.Instant) []*row {
	complete := backfilled(rows)
	var due []*row
	first := true
	for _, r := range rows {
		if !r.due(now) && !t.forgiven[r.Stream.Stream] {
			continue
		}
		if r.spec.Mode == connectors.ModeIDs && !complete {
			continue
		}
		if r.BackfilledAt == 0 && r.spec.Mode != connectors.ModeIDs {
			if !first {
				continue
			}
			first = false
		}
		due = append(due, r)
	}
	return due
}

// forgive makes failing streams due, once.
func (t *turn) forgive(rows []*row) {
	t.forgiven = map[string]bool{}
	for _, r := range rows {
		if r.Attempts > 0 {
			t.forgiven[r.Stream.Stream] = true
		}
	}
}

// due tells whether the stream may have a page now. A stream that waits after a failure is not due, whoever wants it.
func (r *row) due(now crm.Instant) bool {
	if r.Attempts > 0 && r.NextAt > now {
		return false
	}
	return r.pos.Running || r.NextAt <= now || r.wanted()
}

// wanted: the gate holds a mail until a run that started at or after WantedAt is complete.
func (r *row) wanted() bool { return r.WantedAt > r.ReadAt }

// backfilled tells whether every stream that brings records has completed its first run.
func backfilled(rows []*row) bool {
	for _, r := range rows {
		if r.spec.Mode != connectors.ModeIDs && r.BackfilledAt == 0 {
			return false
		}
	}
	return true
}
