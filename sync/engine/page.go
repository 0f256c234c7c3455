package engine

import (
	"bytes"
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/sync/reconcile"
)

var errStuck = errors.New("the page after this one is this one")

// page reads the next page of a stream and commits it together with the position behind it.
func (e *Engine) page(ctx context.Context, rows []*row, r *row, now time.Time) error {
	n := *r // the row as it will be
	if !n.pos.Running {
		n.pos.start()
		n.RunStartedAt = crm.At(now)
	}
	observed := e.clock.observe(now)
	var p connectors.Page
	err := e.ask(ctx, now, func(ctx context.Context) (time.Time, error) {
		var err error
		p, err = e.o.Source.Pull(ctx, r.spec.Name, connectors.Cursor(n.pos.Cursor), e.size.page(r.Attempts))
		if err == nil && p.More && bytes.Equal(p.Next, n.pos.Cursor) { // B12
			err = fault.New(fault.Retry, "paging through "+r.spec.Name, errStuck)
		}
		return p.ShopTime, err
	})
	if err != nil {
		return e.pageFailed(ctx, r, now, err)
	}
	if ready, err := e.redefineFirst(ctx, p.Facts, now); err != nil || !ready {
		return err
	}
	reread, err := e.advance(ctx, &n, p, now)
	if err != nil {
		return err
	}
	b := mirror.Batch{ShopID: e.shop.ID, ObservedAt: observed, Cause: e.cause(r), Facts: p.Facts, Raw: p.Raw, Rejected: p.Rejected, Rules: e.rules()}
	if r.spec.Part {
		b.Raw = nil // it would take the place of the whole record's
	}
	if err := e.commitPage(ctx, rows, r, &n, b, reread, now); err != nil {
		return err
	}
	return e.works(ctx, rows, r)
}

// cause keeps history from triggering anything: nothing counts as a change before the whole shop has been read once,
// nor in the first run of a stream that came later.
func (e *Engine) cause(r *row) crm.Cause {
	if e.shop.BackfilledAt == 0 || (r != nil && r.BackfilledAt == 0) {
		return crm.CauseBackfill
	}
	return crm.CauseChange
}

// advance moves the position behind the page. At the end of a list of ids it says which records to read again.
func (e *Engine) advance(ctx context.Context, n *row, p connectors.Page, now time.Time) ([]crm.Ref, error) {
	if n.pos.Total < 0 && n.pos.Done == 0 {
		n.pos.Total = p.Total
	}
	n.pos.Cursor = p.Next
	n.pos.Done += records(p, n.spec.Kind)
	n.Attempts, n.Error = 0, ""
	var ids *reconcile.State
	if n.spec.Mode == connectors.ModeIDs {
		ids = &reconcile.State{}
		if n.pos.IDs != nil {
			*ids = *n.pos.IDs
		}
		if err := ids.Compare(ctx, e.o.Mirror, e.o.Mirror.DB().Read(), e.shop.ID, n.spec.Kind, p.IDs, !p.More); err != nil {
			return nil, err
		}
		n.pos.IDs, n.Error = ids, ids.Broken
	}
	if p.More {
		n.NextAt = crm.At(now)
		return nil, nil
	}
	return e.finish(n, now), nil
}

// finish ends a run: the read is as fresh as its start, and the next one starts Every after that.
func (e *Engine) finish(n *row, now time.Time) (reread []crm.Ref) {
	n.pos.Running = false
	n.RunDoneAt, n.ReadAt = crm.At(now), n.RunStartedAt
	n.NextAt = max(n.RunStartedAt.Add(n.spec.Every), crm.At(now)+1)
	switch {
	case n.spec.Mode == connectors.ModeIDs:
		ids, next := n.pos.IDs.Finish(n.pos.Total)
		if n.Error = n.pos.IDs.Broken; n.Error == "" {
			n.SourceCount, n.CountedAt = n.pos.IDs.Seen, n.RunStartedAt
		}
		n.pos.IDs = next
		for _, id := range ids {
			reread = append(reread, crm.Ref{Kind: n.spec.Kind, ID: id})
		}
	case n.spec.Part: // how many parts there are says nothing of how many records
	case n.spec.Mode == connectors.ModeCrawl, n.BackfilledAt == 0: // later runs of a delta stream see only what changed
		n.SourceCount, n.CountedAt = int64(max(n.pos.Total, n.pos.Done)), n.RunStartedAt
	}
	if n.BackfilledAt == 0 {
		n.BackfilledAt = max(crm.At(now), 1)
	}
	return reread
}

// records counts what a page brought, in records of the stream's kind.
func records(p connectors.Page, kind crm.Kind) int {
	if len(p.IDs) > 0 {
		return len(p.IDs)
	}
	seen := map[crm.Ref]bool{}
	for _, f := range p.Facts {
		if f.Ref.Kind == kind {
			seen[f.Ref] = true
		}
	}
	return len(seen) + len(p.Rejected)
}

func (e *Engine) commitPage(ctx context.Context, rows []*row, r, n *row, b mirror.Batch, reread []crm.Ref, now time.Time) error {
	var err error
	if n.Cursor, err = n.pos.encode(); err != nil {
		return err
	}
	first := e.shop.BackfilledAt == 0 && n.BackfilledAt > 0 && backfilledWith(rows, r, n)
	res, err := e.apply(ctx, "sync.page", b, func(tx *store.Tx, res mirror.Result) error {
		if err := e.o.Mirror.SaveStream(ctx, tx, n.Stream); err != nil {
			return err
		}
		if first {
			if err := e.o.Mirror.SetBackfilled(ctx, tx, e.shop.ID, n.BackfilledAt); err != nil {
				return err
			}
		}
		return e.o.Mirror.AddHints(ctx, tx, e.shop.ID, append(res.Reread, reread...), crm.At(now))
	})
	if err != nil {
		return err
	}
	if first {
		e.shop.BackfilledAt = n.BackfilledAt
		e.log.Info("the backfill is complete")
	}
	e.o.Metrics.applied(e.shop.Name, res)
	e.report(r, n)
	return nil
}

// backfilledWith tells whether all streams have been read once when r becomes n.
func backfilledWith(rows []*row, r, n *row) bool {
	after := make([]*row, len(rows))
	for i, old := range rows {
		after[i] = old
		if old == r {
			after[i] = n
		}
	}
	return backfilled(after)
}

func (e *Engine) report(r, n *row) {
	p := Progress{
		Shop: e.shop.Name, Stream: n.spec.Name, Done: n.pos.Done, Total: n.pos.Total,
		Backfill: r.BackfilledAt == 0, Finished: !n.pos.Running, ETA: e.eta(n),
	}
	e.o.Metrics.progress(p)
	e.o.Progress(p)
	if p.Finished && p.Backfill {
		e.log.Info("a stream has been read for the first time", zap.String("stream", p.Stream), zap.Int("records", p.Done))
	}
}
