package mailer

import (
	"context"
	"fmt"
	"strings"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// sendRow is a row of the ledger. Instants are business time but for RetryAt and HandBefore, which are real.
type sendRow struct {
	ID          int64
	Campaign    string
	Step        string
	ContactID   int64 `db:"contact_id"`
	Occurrence  string
	Lane        int
	EnrolmentID int64 `db:"enrolment_id"`
	AudienceID  int64 `db:"audience_id"`
	ShopID      int64 `db:"shop_id"`
	Kind        string
	State       State
	Reason      Reason
	DueAt       crm.Instant `db:"due_at"`
	NotAfter    crm.Instant `db:"not_after"`
	HandBefore  int64       `db:"hand_before"`
	Attempts    int64
	Moves       int64 // rows of send_log
	About       string
	Variants    string
	Priority    int
	TriggeredAt crm.Instant `db:"triggered_at"`
}

// In questions about known sends the state is written +state: SQLite takes any index on a state for better than a list of
// ids, and would read every mail that waits.
const sendCols = "id, campaign, step, contact_id, occurrence, lane, enrolment_id, audience_id, shop_id, kind, state, reason, due_at, not_after, hand_before, attempts, moves, about, variants, priority, triggered_at"

func splitCols(cols string) []string { return strings.Split(cols, ", ") }

// move is one transition of one send.
type move struct {
	row        *sendRow
	to         State
	reason     Reason
	detail     string      // for people: the provider's words, the template's mistake; no address
	until      crm.Instant // deferred: business time
	retryAt    int64       // deferred: real time in ms besides
	attempt    bool        // counts towards the ceiling
	provider   string      // handing
	subject    string      // handing
	handBefore int64       // handing: real time in ms
	messageID  string      // accepted
	handedAt   crm.Instant // when it was handing: business time
}

// logged tells whether the move is news: a send that is deferred again for the same reason is not.
func (m *move) logged() bool {
	return m.to != Deferred || m.row.State != Deferred || m.row.Reason != m.reason
}

type moveGroup struct {
	to            State
	reason        Reason
	logged, tries bool
	provider      string
	handBefore    int64
}

// applyMoves writes transitions, their log, the counters, and what follows for the enrolments. The lanes are fenced.
func (e *Engine) applyMoves(ctx context.Context, tx *store.Tx, p *pass, moves []move) error {
	groups := map[moveGroup][]move{}
	var order []moveGroup
	var logs [][]any
	counts, perDay := tally{}, newDays(p.now)
	var settled []move
	for _, m := range moves {
		if !legal(m.row.State, m.to) {
			return fmt.Errorf("moving send %d: %s to %s is not legal", m.row.ID, m.row.State, m.to)
		}
		g := moveGroup{m.to, m.reason, m.logged(), m.attempt, m.provider, m.handBefore}
		if groups[g] == nil {
			order = append(order, g)
		}
		groups[g] = append(groups[g], m)
		if g.logged {
			logs = append(logs, []any{m.row.ID, m.row.Moves + 1, p.now, string(m.to), string(m.reason), clip(m.detail, 1000)})
		}
		perDay.moved(&m)
		if m.to.Terminal() {
			counts.add(m.row.Campaign, sendCount(m.to, m.reason), m.row.Lane)
			if m.row.State == Unknown { // it counted as such; its run has gone on since
				counts[tallyKey{campaign: m.row.Campaign, name: string(Unknown), shard: m.row.Lane}]--
				continue
			}
			settled = append(settled, m)
		}
	}
	for _, g := range order {
		if err := inChunks(groups[g], func(some []move) error { return writeMoves(ctx, tx, p, g, some) }); err != nil {
			return err
		}
	}
	if err := tx.Insert(ctx, "send_log", []string{"send_id", "seq", "at", "state", "reason", "detail"}, logs); err != nil {
		return fmt.Errorf("logging sends: %w", err)
	}
	if err := e.goOn(ctx, tx, p, settled); err != nil {
		return err
	}
	if err := perDay.write(ctx, tx); err != nil {
		return err
	}
	return counts.write(ctx, tx)
}

func writeMoves(ctx context.Context, tx *store.Tx, p *pass, g moveGroup, some []move) error {
	ids := make([]int64, len(some))
	for i, m := range some {
		ids[i] = m.row.ID
	}
	var c cases
	c.same("state", string(g.to))
	c.same("reason", string(g.reason))
	if g.logged {
		c.add("moves", 1)
	}
	if g.tries {
		c.add("attempts", 1)
	}
	switch g.to {
	case Handing:
		c.same("provider", g.provider)
		c.same("hand_before", g.handBefore)
		c.same("handed_at", p.now)
		c.each("subject", ids, func(i int) any { return clip(some[i].subject, 500) })
	case Deferred:
		c.same("hand_before", 0)
		c.same("handed_at", 0)
		c.each("until_at", ids, func(i int) any { return some[i].until })
		c.each("retry_at", ids, func(i int) any { return some[i].retryAt })
	case Accepted:
		c.same("settled_at", p.now)
		c.each("message_id", ids, func(i int) any { return clip(some[i].messageID, 255) })
	case Refused, Unknown, Ready:
		c.same("settled_at", p.now)
	}
	n, err := execPrepared(ctx, tx, "UPDATE sends SET "+strings.Join(c.sets, ", ")+" WHERE id IN (?) AND +state IN (?)", append(c.args, ids, statesBefore(g.to))...)
	if err != nil {
		return fmt.Errorf("moving sends to %s: %w", g.to, err)
	}
	if n != int64(len(some)) {
		return fmt.Errorf("moving sends to %s: %d of %d were where they should be", g.to, n, len(some))
	}
	return nil
}

func statesBefore(to State) []string {
	var from []string
	for _, s := range States() {
		if legal(s, to) {
			from = append(from, string(s))
		}
	}
	return from
}

// goOn moves the enrolments whose send is settled: to the next step, or out.
func (e *Engine) goOn(ctx context.Context, tx *store.Tx, p *pass, settled []move) error {
	if len(settled) == 0 {
		return nil
	}
	reasons := map[int64]Reason{}
	var ids []int64
	for _, m := range settled {
		reasons[m.row.EnrolmentID] = m.reason
		ids = append(ids, m.row.EnrolmentID)
	}
	var rows []enrolment
	if err := selectIn(ctx, tx, &rows, "SELECT "+enrolmentCols+" FROM enrolments WHERE id IN (?) AND state=?", ids, enrolmentSending); err != nil {
		return fmt.Errorf("reading enrolments: %w", err)
	}
	for i := range rows {
		n := &rows[i]
		r, ok := p.campaigns[n.Campaign]
		var at *step
		if ok {
			at, ok = r.step(n.Step)
		}
		switch reason := reasons[n.ID]; {
		case reason.exits():
			n.State, n.ExitReason = enrolmentExited, string(reason)
		case !ok:
			n.State, n.ExitReason = enrolmentExited, string(StepRemoved)
		default:
			n.goTo(r, at.next, p.now)
		}
	}
	return writeEnrolments(ctx, tx, rows)
}

// observe counts what a committed transaction moved.
func (e *Engine) observe(p *pass, moves []move) {
	for i := range moves {
		m := &moves[i]
		if !m.logged() {
			continue
		}
		e.o.Metrics.sends.WithLabelValues(string(m.to), string(m.reason)).Inc()
		if m.to == Handing {
			e.o.Metrics.lateness.Observe(float64(p.now-m.row.DueAt) / 1000)
		}
	}
}
