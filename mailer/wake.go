package mailer

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// wake looks at the runs of contacts whose facts have changed: one whose goal is reached, whose exit_if holds or whose cart
// was bought ends, its waiting mail with it; one that waits for what has happened goes on. profiles are loaded in this
// transaction with pass.needs at least; the lanes of the contacts are fenced. The caller calls observe on the moves that it
// returns, once the transaction is committed.
func (e *Engine) wake(ctx context.Context, tx *store.Tx, p *pass, profiles map[int64]*crm.Profile) ([]move, error) {
	contacts := slices.Sorted(maps.Keys(profiles))
	if len(contacts) == 0 {
		return nil, nil
	}
	var rows []enrolment
	if err := selectIn(ctx, tx, &rows, "SELECT "+enrolmentCols+" FROM enrolments WHERE contact_id IN (?) ORDER BY id", contacts); err != nil {
		return nil, fmt.Errorf("reading enrolments: %w", err)
	}
	w := e.newWalk(p, tx, maps.Clone(profiles))
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
