package mailer

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

// walk moves runs within one deciding transaction, each from where it stands until it has to wait. What follows from their
// steps is collected and written at the end. The lanes are fenced.
type walk struct {
	*pass
	e        *Engine
	tx       *store.Tx
	profiles map[int64]*crm.Profile // as they are in this transaction
	sent     map[sendKey]State
	called   map[sendKey]bool

	moved  []enrolment
	sends  [][]any
	logs   [][]any
	calls  [][]any
	sets   []mirror.Attributes
	halted map[int64]Reason // runs that ended while their mail waited
	moves  []move           // of those mails
	counts tally
}

func (e *Engine) newWalk(p *pass, tx *store.Tx, profiles map[int64]*crm.Profile) *walk {
	return &walk{pass: p, e: e, tx: tx, profiles: profiles, halted: map[int64]Reason{}, counts: tally{}}
}

// ledgers reads what the runs' contacts have had: never twice.
func (w *walk) ledgers(ctx context.Context, rows []enrolment) (err error) {
	if w.sent, err = sendsOf(ctx, w.tx, rows); err != nil {
		return err
	}
	w.called, err = w.callsOf(ctx, rows)
	return err
}

// due takes the step at which a run stands, and those after it. Where the campaign looks at the contact, goal and exit are
// looked at first.
func (w *walk) due(n *enrolment) {
	defer func() { w.moved = append(w.moved, *n) }()
	r, ok := w.campaigns[n.Campaign]
	var s *step
	if ok {
		s, ok = r.step(n.Step)
	}
	if !ok {
		n.exit(StepRemoved)
		return
	}
	if r.decides {
		p := w.profiles[n.ContactID]
		if p == nil {
			n.exit(ContactGone)
			return
		}
		w.notice(n, r, p)
		if why := w.over(n, r, p); why != NoReason {
			n.exit(why)
			return
		}
	}
	w.goOn(n, r, s)
}

// goOn walks from a step. Every way leads further down, so it ends. The run's own clock is when a step was due, also where
// that is past.
func (w *walk) goOn(n *enrolment, r running, s *step) {
	next, then, pause := w.take(n, r, s, n.DueAt)
	if pause {
		n.Generation = r.generation
		return
	}
	w.goOnFrom(n, r, next, then)
}

// goOnFrom arrives at a step and walks on, as far as it goes.
func (w *walk) goOnFrom(n *enrolment, r running, id string, at crm.Instant) {
	n.goTo(r, id, at)
	if s, ok := r.step(id); ok && n.DueAt <= w.now {
		w.goOn(n, r, s)
	}
}

// take does one step: where the run goes on and when, or that it pauses there.
func (w *walk) take(n *enrolment, r running, s *step, at crm.Instant) (next string, then crm.Instant, pause bool) {
	switch s.kind {
	case stepSend:
		return s.next, at, w.send(n, r, at)
	case stepWait:
		if n.BegunAt == 0 {
			n.BegunAt, n.DueAt = at, s.wait.over(at, w.zoneOf(n.ContactID))
		}
		return s.next, n.DueAt, n.DueAt > w.now
	case stepUntil:
		return w.until(n, s, at)
	case stepBranch:
		for _, way := range s.ways {
			if way.holds == nil || way.holds.Match(w.profiles[n.ContactID], at) {
				return way.to, at, false
			}
		}
	case stepSplit:
		return w.split(n, r, s, at), at, false
	case stepSet:
		w.set(n, s, at)
	case stepCall:
		w.call(n, r, at)
	case stepEnd:
		return "", at, false
	}
	return s.next, at, false
}

func (w *walk) zoneOf(contactID int64) *time.Location {
	if p := w.profiles[contactID]; p != nil {
		return w.e.zone(p.Contact)
	}
	return time.UTC
}

// send puts a mail into the ledger; it tells whether the run waits for what becomes of it. A mail that it has had, since
// an edit moved it back, is not sent twice.
func (w *walk) send(n *enrolment, r running, at crm.Instant) (pause bool) {
	key := sendKey{n.Campaign, n.Step, n.ContactID, n.Occurrence}
	if state, sent := w.sent[key]; sent {
		if state.Terminal() {
			return false
		}
		n.State = enrolmentSending
		return true
	}
	n.State, w.sent[key] = enrolmentSending, Ready
	id := w.tx.NewID()
	w.sends = append(w.sends, []any{
		id, n.Campaign, n.Step, n.ContactID, n.Occurrence, n.Lane, n.ID, n.AudienceID, n.ShopID, r.kind,
		string(Ready), w.now, at, at, at.Add(r.notAfter), 1, n.About, n.Variants, r.priority, n.TriggeredAt,
	})
	w.logs = append(w.logs, []any{id, 1, w.now, string(Ready)})
	return true
}

func (w *walk) until(n *enrolment, s *step, at crm.Instant) (next string, then crm.Instant, pause bool) {
	from := at
	if n.BegunAt == 0 {
		n.BegunAt = at
	}
	due, over := s.until.look(w.profiles[n.ContactID], n.BegunAt, from, w.now)
	n.DueAt = due
	return s.next, due, !over
}

// split gives the run its variant and counts it, once.
func (w *walk) split(n *enrolment, r running, s *step, at crm.Instant) (next string) {
	had := variantOf(n.Variants, s.id)
	for _, v := range s.split.variants {
		if v.id == had {
			return v.to
		}
	}
	v := s.split.of(n.Campaign, s.id, n.ContactID, w.won[[2]string{n.Campaign, s.id}])
	if had != "" { // an edit removed the variant and moved the run back
		return v.to
	}
	n.Variants = withVariant(n.Variants, s.id, v.id)
	if n.SplitAt == 0 {
		n.SplitAt = at
	}
	if !r.heldOut(n.ContactID) {
		w.counts.add(n.Campaign, splitCount(s.id, v.id, measureEntered), n.Lane)
	}
	return v.to
}

// heldOut tells whether the contact belongs to the group that gets nothing: it is not counted with those who do.
func (r running) heldOut(contactID int64) bool {
	return r.holdout > 0 && inHoldout(r.id, contactID, r.holdout)
}

// set notes attributes; the steps after it see them.
func (w *walk) set(n *enrolment, s *step, at crm.Instant) {
	w.sets = append(w.sets, mirror.Attributes{ContactID: n.ContactID, Values: s.set, By: "campaign " + n.Campaign, At: at})
	if p := w.profiles[n.ContactID]; p != nil {
		own := *p
		own.Contact.Attributes = maps.Clone(p.Contact.Attributes)
		mirror.Apply(&own.Contact, s.set)
		w.profiles[n.ContactID] = &own
	}
}

// write writes everything that the walk has led to.
func (w *walk) write(ctx context.Context) error {
	err := w.tx.Insert(ctx, "sends", []string{
		"id", "campaign", "step", "contact_id", "occurrence", "lane", "enrolment_id", "audience_id", "shop_id", "kind",
		"state", "created_at", "due_at", "until_at", "not_after", "moves", "about", "variants", "priority", "triggered_at",
	}, w.sends)
	if err != nil {
		return again(w.tx, err)
	}
	if err := w.tx.Insert(ctx, "send_log", []string{"send_id", "seq", "at", "state"}, w.logs); err != nil {
		return again(w.tx, err)
	}
	if err := w.tx.Insert(ctx, "calls", splitCols(newCallCols), w.calls); err != nil {
		return again(w.tx, err)
	}
	if err := w.e.mirror.SetAttributes(ctx, w.tx, w.sets...); err != nil {
		return err
	}
	if err := writeEnrolments(ctx, w.tx, w.moved); err != nil {
		return err
	}
	if err := w.halt(ctx); err != nil {
		return err
	}
	return w.counts.write(ctx, w.tx)
}

// halt refuses the mails of runs that ended while they waited.
func (w *walk) halt(ctx context.Context) error {
	if len(w.halted) == 0 {
		return nil
	}
	var contacts []int64
	for _, n := range w.moved {
		contacts = append(contacts, n.ContactID)
	}
	var rows []sendRow
	if err := selectIn(ctx, w.tx, &rows, "SELECT "+sendCols+" FROM sends WHERE enrolment_id IN (?) AND contact_id IN (?) AND +state IN ('ready','deferred')",
		slices.Sorted(maps.Keys(w.halted)), contacts); err != nil {
		return fmt.Errorf("reading mails that wait: %w", err)
	}
	for i := range rows {
		w.moves = append(w.moves, move{row: &rows[i], to: Refused, reason: w.halted[rows[i].EnrolmentID]})
	}
	return w.e.applyMoves(ctx, w.tx, w.pass, w.moves)
}
