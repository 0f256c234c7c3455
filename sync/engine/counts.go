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

// countEvery is how old the count of a stream may get, in business time: a run that reads only what changed does not
// say how many records there are.
const countEvery = 10 * time.Minute

// counts keeps kinds whose count failed from being asked for at every Step.
type counts struct {
	after map[crm.Kind]crm.Instant
}

// due gives the streams of one kind that should be counted again: one of them has read changes since its count. They
// are counted together, for a record can go from one to the other.
func (c *counts) due(rows []*row, now crm.Instant) []*row {
	for _, r := range rows {
		if r.spec.Mode != connectors.ModeDelta || r.spec.Part || r.ReadAt <= r.CountedAt || r.CountedAt.Add(countEvery) > now || c.after[r.spec.Kind] > now {
			continue
		}
		if same := readers(rows, r.spec.Kind); backfilled(same) {
			return same
		}
	}
	return nil
}

// readers are the streams that bring whole records of a kind.
func readers(rows []*row, kind crm.Kind) []*row {
	var out []*row
	for _, r := range rows {
		if r.spec.Kind == kind && r.spec.Mode != connectors.ModeIDs && !r.spec.Part {
			out = append(out, r)
		}
	}
	return out
}

// recount refreshes the counts of one kind when they are due. Step calls it when there is nothing else to do.
func (e *Engine) recount(ctx context.Context, rows []*row, now time.Time) (worked bool, err error) {
	source, ok := e.o.Source.(connectors.Counter)
	if !ok {
		return false, nil
	}
	due := e.counts.due(rows, crm.At(now))
	if len(due) == 0 {
		return false, nil
	}
	return true, e.count(ctx, source, due, now)
}

// count asks the shop for the size of the streams and stores the answers together. When the shop cannot say, what is
// known stays: the next page finds out what is wrong with it.
func (e *Engine) count(ctx context.Context, source connectors.Counter, rows []*row, now time.Time) error {
	counted := make([]mirror.Stream, 0, len(rows))
	for _, r := range rows {
		n := -1
		err := e.ask(ctx, now, func(ctx context.Context) (time.Time, error) {
			var err error
			n, err = source.Count(ctx, r.spec.Name)
			return time.Time{}, err
		})
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil || n < 0 {
			return e.uncounted(ctx, r, now, err)
		}
		s := r.Stream
		s.SourceCount, s.CountedAt = int64(n), crm.At(now)
		counted = append(counted, s)
	}
	return e.save(ctx, "sync.count", counted)
}

func (e *Engine) save(ctx context.Context, name string, streams []mirror.Stream) error {
	return e.write(ctx, name, func(tx *store.Tx) error {
		for _, s := range streams {
			if err := e.o.Mirror.SaveStream(ctx, tx, s); err != nil {
				return err
			}
		}
		return nil
	})
}

func (e *Engine) uncounted(ctx context.Context, r *row, now time.Time, cause error) error {
	e.counts.after[r.spec.Kind] = crm.At(now.Add(countEvery))
	e.log.Info("the shop does not say how many records a stream has", zap.String("stream", r.spec.Name), zap.Error(cause))
	if cause != nil && fault.ClassOf(cause) == fault.Throttled {
		_, err := e.shopFailed(ctx, now, cause, false)
		return err
	}
	return nil
}

// RefreshCounts asks the shop how many records it has now, so that what mirror.Counts says is no older than this call.
// differs tells that a kind has more or fewer records than are mirrored and quarantined: its list of ids is then due
// at once, and the engine is not caught up before it has been compared. It waits for a Step under way and may be
// called from another goroutine; nothing happens while another process reads the shop. An error is the database's.
func (e *Engine) RefreshCounts(ctx context.Context, now time.Time) (differs bool, err error) {
	source, ok := e.o.Source.(connectors.Counter)
	if !ok {
		return false, nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	held, err := e.holdLease(ctx)
	if err != nil || !held {
		return false, err
	}
	rows, err := e.load(ctx)
	if err != nil {
		return false, err
	}
	for _, kind := range crm.Kinds() {
		if same := readers(rows, kind); len(same) > 0 && backfilled(same) {
			if err := e.count(ctx, source, same, now); err != nil {
				return false, e.lostLease(err)
			}
		}
	}
	differs, err = e.compare(ctx, now)
	return differs, e.lostLease(err)
}

// compare makes the lists of ids of those kinds due that do not add up.
func (e *Engine) compare(ctx context.Context, now time.Time) (differs bool, err error) {
	kinds, err := e.o.Mirror.Counts(ctx, e.shop.ID)
	if err != nil {
		return false, err
	}
	wrong := map[crm.Kind]bool{}
	for _, c := range kinds {
		wrong[c.Kind] = c.Source != c.Mirrored+c.Quarantined+c.Erased
	}
	rows, err := e.load(ctx)
	if err != nil {
		return false, err
	}
	var lists []mirror.Stream
	for _, r := range rows {
		if r.spec.Mode == connectors.ModeIDs && wrong[r.spec.Kind] {
			s := r.Stream
			s.NextAt = min(s.NextAt, max(crm.At(now), s.ReadAt+1)) // a run that starts later than the last is known to be another
			lists = append(lists, s)
		}
	}
	if len(lists) == 0 {
		return false, nil
	}
	if err := e.save(ctx, "sync.compare", lists); err != nil {
		return false, err
	}
	e.owed.forget()
	return true, nil
}
