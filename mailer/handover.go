package mailer

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/internal/store"
)

// handed is a mail committed as handing, and what the provider said to it.
type handed struct {
	row      sendRow
	mail     Mail
	provider Provider
	before   time.Time   // wall and monotonic: not one byte leaves at or after it
	at       crm.Instant // of the decision, business time
	answer   answer
	took     time.Duration // from when it left to the answer, real time
}

// answer is what becomes of a mail that was handed over.
type answer struct {
	to        State
	reason    Reason
	detail    string
	messageID string
	wait      time.Duration // real time until it may be tried again
	retryAt   int64         // the same as an instant, ms
	attempt   bool
}

const (
	maxAttempts   = 8
	standardWait  = 30 * time.Second // throttled without saying for how long
	longestWait   = time.Hour
	refusingWait  = time.Minute
	firstRetry    = 5 * time.Second
	settleTimeout = 10 * time.Second
)

func notSent(r Reason, wall time.Time) answer {
	return answer{to: Deferred, reason: r, retryAt: wall.UnixMilli()}
}

// flight is a batch on its way to the provider.
type flight struct {
	e     *Engine
	hands []handed
	cuts  map[int64]int // of the paces when it began
	wg    sync.WaitGroup
}

// handOver hands every mail to its provider at once, each once. A context that ends stops mails that have not begun;
// those under way are waited for, within handWindow.
func (e *Engine) handOver(ctx context.Context, hands []handed) *flight {
	f := &flight{e: e, hands: hands, cuts: e.paces.begin(hands)}
	e.paces.show(e.o.Metrics)
	alone, together := parties(hands)
	for _, h := range alone {
		f.wg.Go(func() { h.answer = e.handOne(ctx, h) })
	}
	for _, p := range together {
		f.wg.Go(func() { e.handTogether(ctx, p) })
	}
	return f
}

// land waits for every answer of the flight; none for no flight.
func (f *flight) land() []handed {
	if f == nil {
		return nil
	}
	f.wg.Wait()
	f.e.breakersLearn(f.hands)
	f.e.paces.learn(f.hands, f.cuts)
	f.e.paces.show(f.e.o.Metrics)
	return f.hands
}

func (e *Engine) handOne(ctx context.Context, h *handed) answer {
	wall := e.o.Wall()
	if late(ctx, h.before, wall) {
		return notSent(Late, wall)
	}
	sending, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.before.Sub(wall))
	defer cancel()
	id, err := sendOnce(sending, h.provider, h.mail)
	h.took = e.since(wall)
	return judge(id, err, h.row.Attempts, e.o.Wall())
}

// sendOnce turns a panic of a provider into an answer that nobody knows.
func sendOnce(ctx context.Context, p Provider, m Mail) (id string, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fault.New(fault.Unknown, "handing a mail to "+p.Name(), fmt.Errorf("the program failed: %v", r))
		}
	}()
	return p.Send(ctx, m)
}

// judge says what an answer means. What is not classed may have been sent.
func judge(id string, err error, attempts int64, wall time.Time) answer {
	if err == nil {
		return answer{to: Accepted, messageID: id}
	}
	class, after := fault.Unknown, time.Duration(0)
	if fe, ok := errors.AsType[*fault.Error](err); ok {
		class, after = fe.Class, fe.After
	}
	a := answer{detail: redact(err)}
	switch class {
	case fault.Reject:
		a.to, a.reason = Refused, Rejected
	case fault.Operator:
		a.to, a.reason, a.wait = Deferred, ProviderRefusing, refusingWait
	case fault.Throttled:
		if after <= 0 {
			after = standardWait
		}
		a.to, a.reason, a.wait = Deferred, ProviderBusy, min(max(after, time.Second), longestWait)
	case fault.Retry:
		a.attempt = true
		if attempts+1 >= maxAttempts {
			a.to, a.reason = Refused, TooManyAttempts
			break
		}
		a.to, a.reason, a.wait = Deferred, ProviderDown, min(firstRetry<<attempts, longestWait)
	default:
		a.to, a.reason = Unknown, NoAnswer
	}
	a.retryAt = wall.Add(a.wait).UnixMilli()
	return a
}

// redact makes an error fit to be kept: providers like to repeat the address that they did not like.
func redact(err error) string { return clip(withoutAddresses(err.Error()), 1000) }

func withoutAddresses(s string) string {
	return regexp.MustCompile(`[^\s<>"'=:,;()]+@[^\s<>"'=:,;()]+`).ReplaceAllString(s, "…@…")
}

// settleMoves reads back the rows of answers and says where they go. A row that is no longer handing was settled by
// whoever took it over.
func (e *Engine) settleMoves(ctx context.Context, tx *store.Tx, answered []handed) ([]move, error) {
	if len(answered) == 0 {
		return nil, nil
	}
	ids := make([]int64, len(answered))
	for i, h := range answered {
		ids[i] = h.row.ID
	}
	var rows []struct {
		ID         int64
		HandBefore int64 `db:"hand_before"`
		Moves      int64
	}
	if err := selectIn(ctx, tx, &rows, "SELECT id, hand_before, moves FROM sends WHERE id IN (?) AND +state='handing'", ids); err != nil {
		return nil, fmt.Errorf("reading what was handed over: %w", err)
	}
	before, logged := map[int64]int64{}, map[int64]int64{}
	for _, r := range rows {
		before[r.ID], logged[r.ID] = r.HandBefore, r.Moves
	}
	var moves []move
	for i := range answered {
		h := &answered[i]
		if before[h.row.ID] != h.row.HandBefore {
			continue
		}
		row, a := new(h.row), h.answer
		row.State, row.Reason, row.Moves = Handing, NoReason, logged[row.ID]
		moves = append(moves, move{
			row: row, to: a.to, reason: a.reason, detail: a.detail, messageID: a.messageID, retryAt: a.retryAt, attempt: a.attempt,
			until: min(row.DueAt, row.NotAfter), handedAt: h.at,
		})
	}
	return moves, nil
}

// settle writes the answers of the last batch. It does so even while the process is being stopped.
func (e *Engine) settle(ctx context.Context, p *pass, answered []handed) error {
	if len(answered) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	var moves []move
	err := e.db.Write(ctx, "mailer.settle", func(tx *store.Tx) error {
		var err error
		if err = e.fence(ctx, tx, lanesOf(answered, nil)); err != nil {
			return err
		}
		if moves, err = e.settleMoves(ctx, tx, answered); err != nil {
			return err
		}
		return e.applyMoves(ctx, tx, p, moves)
	})
	if err != nil {
		e.unsettled = append(e.unsettled, answered...)
		return fmt.Errorf("writing the provider's answers: %w", err)
	}
	e.observe(p, moves)
	return nil
}

// settleLeftovers writes answers whose transaction failed at an earlier step. If the lanes are gone, their new owner
// takes the mails for unknown, which is all that can be said then.
func (e *Engine) settleLeftovers(ctx context.Context, p *pass) (bool, error) {
	if len(e.unsettled) == 0 {
		return false, nil
	}
	held := map[int]bool{}
	for _, l := range p.lanes {
		held[l] = true
	}
	var ours []handed
	for _, h := range e.unsettled {
		if held[h.row.Lane] {
			ours = append(ours, h)
		}
	}
	if lost := len(e.unsettled) - len(ours); lost > 0 {
		e.o.Log.Warn("answers of the provider could not be written before the lanes went to another process", zap.Int("mails", lost))
	}
	e.unsettled = nil
	return len(ours) > 0, e.settle(ctx, p, ours)
}

// recover finds mails that were being handed over when a process ended. They may have been sent: nobody knows.
func (e *Engine) recover(ctx context.Context, p *pass) (bool, error) {
	wall := e.o.Wall().UnixMilli()
	const crashed = " FROM sends WHERE lane IN (?) AND state='handing' AND hand_before<=? LIMIT 500"
	var peek []sendRow
	if err := selectIn(ctx, e.db.Read(), &peek, "SELECT "+sendCols+crashed, p.lanes, wall); err != nil {
		return false, fmt.Errorf("looking for interrupted mails: %w", err)
	}
	if len(peek) == 0 {
		return false, nil
	}
	var moves []move
	err := e.db.Write(ctx, "mailer.recover", func(tx *store.Tx) error {
		moves = nil
		if err := e.fence(ctx, tx, lanesOf(nil, peek)); err != nil {
			return err
		}
		var rows []sendRow
		if err := selectIn(ctx, tx, &rows, "SELECT "+sendCols+crashed, p.lanes, wall); err != nil {
			return err
		}
		fenced := map[int]bool{}
		for _, l := range lanesOf(nil, peek) {
			fenced[l] = true
		}
		for i := range rows {
			if fenced[rows[i].Lane] {
				moves = append(moves, move{row: &rows[i], to: Unknown, reason: Crashed})
			}
		}
		return e.applyMoves(ctx, tx, p, moves)
	})
	if err != nil {
		return false, fmt.Errorf("settling interrupted mails: %w", err)
	}
	e.observe(p, moves)
	e.o.Log.Warn("mails were interrupted while being handed over; they may have been sent and are not repeated", zap.Int("mails", len(moves)))
	return true, nil
}
