package engine

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

const (
	hintBackoff  = 10 * time.Second
	hintLongest  = time.Hour
	hintAttempts = 12 // then it is parked: polling and reconciliation still find the record
)

// dueHints gives the oldest due re-read, or none while re-reads as such are failing.
func (e *Engine) dueHints(ctx context.Context, now time.Time) ([]mirror.Hint, error) {
	if e.turn.hintsAfter > crm.At(now) {
		return nil, nil
	}
	return e.o.Mirror.DueHints(ctx, e.shop.ID, crm.At(now), 1)
}

// reread asks the shop for one record and commits what it shows together with the end of the hint.
func (e *Engine) reread(ctx context.Context, rows []*row, h mirror.Hint, now time.Time) error {
	ref := crm.Ref{Kind: h.Kind, ID: h.ID}
	observed := e.clock.observe(now)
	var p connectors.Page
	err := e.ask(ctx, now, func(ctx context.Context) (time.Time, error) {
		var err error
		p, err = e.o.Source.Read(ctx, ref)
		if fault.ClassOf(err) == fault.Reject && err != nil { // this record, not the shop
			p, err = connectors.Page{Rejected: []connectors.Rejected{{Ref: ref, Reason: err.Error()}}}, nil
		}
		return p.ShopTime, err
	})
	if err != nil {
		return e.hintFailed(ctx, h, now, err)
	}
	e.turn.hintFailures = 0
	if ready, err := e.redefineFirst(ctx, p.Facts, now); err != nil || !ready {
		return err
	}
	b := mirror.Batch{ShopID: e.shop.ID, ObservedAt: observed, Cause: e.cause(nil), Facts: p.Facts, Raw: p.Raw, Rejected: p.Rejected, Rules: e.rules()}
	if h.Cause == crm.CauseRedefined && b.Cause == crm.CauseChange {
		b.Cause = crm.CauseRedefined
	}
	res, err := e.apply(ctx, "sync.reread", b, func(tx *store.Tx, res mirror.Result) error {
		if err := e.o.Mirror.AddHints(ctx, tx, e.shop.ID, res.Reread, crm.At(now)); err != nil {
			return err
		}
		return e.o.Mirror.DoneHint(ctx, tx, h)
	})
	if err != nil {
		return err
	}
	e.o.Metrics.applied(e.shop.Name, res)
	e.o.Metrics.hinted(e.shop.Name, "done")
	return e.works(ctx, rows, nil)
}

func (e *Engine) hintFailed(ctx context.Context, h mirror.Hint, now time.Time, cause error) error {
	if ctx.Err() != nil {
		return cause
	}
	counts, err := e.shopFailed(ctx, now, cause, false)
	if err != nil || !counts {
		return err
	}
	e.turn.hintFailures++ // a shop that is down must not use up the attempts of every hint
	e.turn.hintsAfter = crm.At(now.Add(e.backoff(time.Second, time.Minute, e.turn.hintFailures, "hints")))
	next, result := crm.At(now.Add(e.backoff(hintBackoff, hintLongest, h.Attempts+1, h.ID))), "failed"
	if h.Attempts+1 >= hintAttempts {
		next, result = crm.Never, "parked"
		e.log.Warn("a re-read is given up; polling goes on", zap.String("kind", string(h.Kind)), zap.String("id", h.ID), zap.Error(cause))
	}
	e.o.Metrics.hinted(e.shop.Name, result)
	return e.write(ctx, "sync.hint_failed", func(tx *store.Tx) error { return e.o.Mirror.FailHint(ctx, tx, h, next, cause) })
}
