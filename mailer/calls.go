package mailer

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// States of a call.
const (
	callOpen    = "open"
	callDone    = "done"
	callParked  = "parked"  // given up: the service did not take it for a day
	callDropped = "dropped" // the contact is gone, or the step is
)

const (
	callsAtOnce  = 32
	callTimeout  = 5 * time.Second
	callAttempts = 33 // 5 s, doubled up to an hour: about a day
	firstCall    = 5 * time.Second
	longestCall  = time.Hour
	quietService = 30 * time.Second // nobody asks a service for so long after it could not be reached
)

// callRow is a web service to be called. NextAt is real time.
type callRow struct {
	ID          int64
	Campaign    string
	Step        string
	ContactID   int64 `db:"contact_id"`
	Occurrence  string
	Lane        int
	EnrolmentID int64 `db:"enrolment_id"`
	State       string
	Attempts    int64
	CreatedAt   crm.Instant `db:"created_at"`
	NextAt      int64       `db:"next_at"`
}

const (
	callCols    = "id, campaign, step, contact_id, occurrence, lane, enrolment_id, state, attempts, created_at, next_at"
	newCallCols = "id, campaign, step, contact_id, occurrence, lane, enrolment_id, audience_id, generation, state, created_at"
)

// call queues a call of a run, once.
func (w *walk) call(n *enrolment, r running, at crm.Instant) {
	key := sendKey{n.Campaign, n.Step, n.ContactID, n.Occurrence}
	if w.called[key] {
		return
	}
	w.called[key] = true
	w.calls = append(w.calls, []any{w.tx.NewID(), n.Campaign, n.Step, n.ContactID, n.Occurrence, n.Lane, n.ID, n.AudienceID, r.generation, callOpen, at})
}

// callsOf finds what has been queued for the contacts already, where their campaigns call anything.
func (w *walk) callsOf(ctx context.Context, rows []enrolment) (map[sendKey]bool, error) {
	called := map[sendKey]bool{}
	var contacts []int64
	for _, n := range rows {
		r, ok := w.campaigns[n.Campaign]
		if ok && slices.ContainsFunc(r.steps, func(s step) bool { return s.kind == stepCall }) {
			contacts = append(contacts, n.ContactID)
		}
	}
	if len(contacts) == 0 {
		return called, nil
	}
	var calls []callRow
	if err := selectIn(ctx, w.tx, &calls, "SELECT "+callCols+" FROM calls WHERE contact_id IN (?)", contacts); err != nil {
		return nil, fmt.Errorf("reading calls: %w", err)
	}
	for _, c := range calls {
		called[sendKey{c.Campaign, c.Step, c.ContactID, c.Occurrence}] = true
	}
	return called, nil
}

// callOut posts what is due, the calls of one contact one after another: at least once, since an answer that could not be
// written is asked for again.
func (e *Engine) callOut(ctx context.Context, p *pass) (worked bool, err error) {
	if !e.allowed() {
		return false, nil
	}
	due, err := e.dueCalls(ctx, p)
	if err != nil || len(due) == 0 {
		return false, err
	}
	asked, err := e.prepareCalls(ctx, p, due)
	if err != nil {
		return false, err
	}
	if len(asked) == 0 {
		return false, nil
	}
	e.post(ctx, asked)
	if err := e.settleCalls(ctx, p, asked); err != nil {
		return false, fmt.Errorf("writing what web services answered: %w", err)
	}
	e.observeCalls(asked)
	return true, nil
}

// dueCalls finds the next call of each contact, of those that are due and whose service is not left alone.
func (e *Engine) dueCalls(ctx context.Context, p *pass) ([]callRow, error) {
	wall := e.o.Wall()
	var query strings.Builder
	query.WriteString("SELECT " + callCols + ` FROM calls c WHERE lane IN (?) AND next_at<=? AND state='open'
 AND NOT EXISTS (SELECT 1 FROM calls b WHERE b.contact_id=c.contact_id AND b.state='open' AND b.id<c.id)`)
	args := []any{p.lanes, wall.UnixMilli()}
	calling := false
	for _, id := range slices.Sorted(maps.Keys(p.campaigns)) {
		for _, s := range p.campaigns[id].steps {
			calling = calling || s.kind == stepCall
			if s.kind == stepCall && e.services.shut(serviceOf(s.call.URL), wall) {
				query.WriteString(" AND NOT (c.campaign=? AND c.step=?)")
				args = append(args, id, s.id)
			}
		}
	}
	if !calling { // nor has anybody who could
		return nil, nil
	}
	var rows []callRow
	if err := selectIn(ctx, e.db.Read(), &rows, query.String()+" ORDER BY next_at, id LIMIT ?", append(args, callsAtOnce*4)...); err != nil {
		return nil, fmt.Errorf("reading due calls: %w", err)
	}
	return rows, nil
}

// settleCalls writes the answers. A call that another process has answered meanwhile stays as it is.
func (e *Engine) settleCalls(ctx context.Context, p *pass, asked []*asking) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	return e.db.Write(ctx, "mailer.calls", func(tx *store.Tx) error {
		var lanes []int
		for _, a := range asked {
			lanes = append(lanes, a.row.Lane)
		}
		if err := e.fence(ctx, tx, lanes); err != nil {
			return err
		}
		counts := tally{}
		for _, a := range asked {
			n, err := store.Matched(tx.ExecContext(ctx, "UPDATE calls SET state=?, attempts=?, next_at=?, done_at=?, error=? WHERE id=? AND state='open' AND attempts=?",
				a.state, a.attempts, a.nextAt, a.doneAt(p.now), clip(a.why, 1000), a.row.ID, a.row.Attempts))
			if err != nil {
				return err
			}
			if n > 0 && a.state != callOpen {
				counts.add(a.row.Campaign, "call:"+a.state, a.row.Lane)
			}
		}
		return counts.write(ctx, tx)
	})
}

// observeCalls counts answers and says what nobody will try again.
func (e *Engine) observeCalls(asked []*asking) {
	for _, a := range asked {
		outcome := a.state
		if outcome == callOpen {
			outcome = "failed"
		}
		e.o.Metrics.calls.WithLabelValues(outcome).Inc()
		if a.state == callParked {
			e.o.Log.Error("a web service did not take a call for a day; it is not called again for it",
				zap.String("campaign", a.row.Campaign), zap.String("step", a.row.Step), zap.String("call", SendID(a.row.ID)), zap.String("because", a.why))
		}
	}
}
