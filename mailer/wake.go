package mailer

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/segments/rule"
)

// lateFacts is how long after the time that a goal gives a fact may come to be known and still count.
const lateFacts = 7 * 24 * time.Hour

// wake looks at the runs of contacts whose facts have changed: one whose goal is reached, whose exit_if holds or whose cart
// was bought ends, its waiting mail with it; one that waits for what has happened goes on. The lanes of the contacts are
// fenced; their profiles are loaded here, where there is a run that looks at them. The caller gives the moves to observe
// once the transaction is committed. touched calls it.
func (e *Engine) wake(ctx context.Context, tx *store.Tx, p *pass, contacts []int64) ([]move, error) {
	var rows []enrolment
	if err := selectIn(ctx, tx, &rows, "SELECT "+enrolmentCols+" FROM enrolments WHERE contact_id IN (?) ORDER BY id", contacts); err != nil {
		return nil, fmt.Errorf("reading enrolments: %w", err)
	}
	var needs crm.Needs
	var looked []int64
	rows = slices.DeleteFunc(rows, func(n enrolment) bool {
		r, ok := p.campaigns[n.Campaign]
		if !ok || !r.alert() || !n.open() && (n.TriggeredAt.Add(r.within()+lateFacts) < p.now || n.noticed(r)) {
			return true
		}
		needs, looked = rule.Union(needs, r.wakeNeeds()), append(looked, n.ContactID)
		return false
	})
	if len(rows) == 0 {
		return nil, nil
	}
	profiles, err := e.profiles(ctx, tx, looked, needs)
	if err != nil {
		return nil, err
	}
	w := e.newWalk(p, tx, profiles)
	if err := w.ledgers(ctx, rows); err != nil {
		return nil, err
	}
	for i := range rows {
		w.touched(&rows[i])
	}
	if err := w.write(ctx); err != nil {
		return nil, fmt.Errorf("moving runs of contacts that changed: %w", err)
	}
	return w.moves, nil
}

// noticed tells whether nothing that the run's contact may do is news any more.
func (n *enrolment) noticed(r running) bool {
	return (n.GoalAt > 0 || r.goal == nil) && (n.SplitAt == 0 || n.ClickedAt > 0 && n.OrderedAt > 0)
}

// touched looks at one run.
func (w *walk) touched(n *enrolment) {
	r, ok := w.campaigns[n.Campaign]
	p := w.profiles[n.ContactID]
	why := Reason(n.ExitReason)
	if !ok || p == nil || p.Contact.MergedInto != 0 || p.Contact.ErasedAt > 0 || why == MergedAway || why == Erased {
		return
	}
	w.notice(n, r, p)
	moved := n.marked
	if n.open() {
		moved = w.moveOn(n, r, p) || moved
	}
	if moved {
		w.moved = append(w.moved, *n)
	}
}

// moveOn ends a run, or moves it on if it stands at a step that waits for something; it tells whether it did.
func (w *walk) moveOn(n *enrolment, r running, p *crm.Profile) bool {
	if why := w.over(n, r, p); why != NoReason {
		if n.State == enrolmentSending {
			w.halted[n.ID] = why
		}
		n.exit(why)
		return true
	}
	s, there := r.step(n.Step)
	if n.State != enrolmentActive || !there || s.kind != stepUntil || n.BegunAt == 0 {
		return false
	}
	before := n.DueAt
	due, over := s.until.look(p, n.BegunAt, min(n.DueAt, w.now), w.now)
	if n.DueAt = due; !over {
		return due != before
	}
	w.goOnFrom(n, r, s.next, due)
	return true
}
