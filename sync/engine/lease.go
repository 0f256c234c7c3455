package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

// leaseState is what this engine believes of its shop's lease; the fence in each transaction decides.
type leaseState struct {
	held    bool
	renewed time.Time // real time
}

// holdLease takes the shop's lease or renews it in good time. On taking it, what another process may have changed
// is read anew.
func (e *Engine) holdLease(ctx context.Context) (bool, error) {
	now := e.o.Wall()
	if e.lease.held && now.Sub(e.lease.renewed) < e.o.Leases.TTL()/3 {
		return true, nil
	}
	name := store.ShopLease(e.shop.ID)
	got, err := e.o.Leases.Acquire(ctx, name)
	if err != nil {
		return false, fmt.Errorf("taking shop %s: %w", e.shop.Name, err)
	}
	if len(got) == 0 {
		e.lease = leaseState{}
		return false, nil
	}
	if !e.lease.held {
		if err := e.takeOver(ctx); err != nil {
			return false, err
		}
	}
	e.lease = leaseState{held: true, renewed: now}
	return true, nil
}

// takeOver starts from what the last owner left: the shop's row, and the newest read that was applied.
func (e *Engine) takeOver(ctx context.Context) error {
	shop, err := e.o.Mirror.ShopByName(ctx, e.shop.Name)
	if err != nil {
		return err
	}
	last, err := e.o.Mirror.LastObserved(ctx, shop.ID)
	if err != nil {
		return err
	}
	e.shop = shop
	e.clock.resume(last, shop.SkewMS)
	e.faults.known = shop.Fault != ""
	e.budget = budget{ppm: shop.BusyPPM}
	if err := e.declareStreams(ctx); err != nil {
		return err
	}
	return e.startRedefining(ctx)
}

// declareStreams stores a row for every stream that has none: wishes of the gate need one to be written to.
func (e *Engine) declareStreams(ctx context.Context) error {
	stored, err := e.o.Mirror.Streams(ctx, e.shop.ID)
	if err != nil || len(stored) == len(e.streams) {
		return err
	}
	has := map[string]bool{}
	for _, s := range stored {
		has[s.Stream] = true
	}
	return e.write(ctx, "sync.streams", func(tx *store.Tx) error {
		for _, s := range e.streams {
			if has[s.Name] {
				continue
			}
			if err := e.o.Mirror.SaveStream(ctx, tx, mirror.Stream{ShopID: e.shop.ID, Stream: s.Name, Kind: s.Kind, Mode: s.Mode, Part: s.Part}); err != nil {
				return err
			}
		}
		return nil
	})
}

// lostLease forgets the lease when a fence said that it is gone.
func (e *Engine) lostLease(err error) error {
	if errors.Is(err, store.ErrLost) {
		e.lease = leaseState{}
		e.log.Info("another process took the shop over")
	}
	return err
}

// keepLease renews the lease while a slow shop is being waited for, so that it does not change hands in the middle
// of a read. stop ends it.
func (e *Engine) keepLease(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(max(e.o.Leases.TTL()/3, time.Millisecond))
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if _, err := e.o.Leases.Acquire(ctx, store.ShopLease(e.shop.ID)); err != nil && ctx.Err() == nil {
				e.log.Warn("renewing the shop's lease failed", zap.Error(err))
			}
		}
	})
	return func() { cancel(); done.Wait() }
}

// write runs fn in a transaction that only the owner of the shop can commit. A backfill lets other writers go first.
func (e *Engine) write(ctx context.Context, name string, fn func(*store.Tx) error) error {
	run := e.o.Mirror.DB().Write
	if e.shop.BackfilledAt == 0 {
		run = e.o.Mirror.DB().WriteBackground
	}
	return run(ctx, name, func(tx *store.Tx) error {
		if err := e.o.Leases.Fence(ctx, tx, store.ShopLease(e.shop.ID)); err != nil {
			return err
		}
		return fn(tx)
	})
}
