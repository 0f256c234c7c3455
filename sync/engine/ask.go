package engine

import (
	"context"
	"errors"
	"time"

	"github.com/relance/relance/internal/fault"
)

// askTimeout is the watchdog: nothing asked of a shop may go without an end for longer (B11).
const askTimeout = 2 * time.Minute

// letGo is how long a cancelled request may take to come back before it is left behind.
const letGo = 5 * time.Second

var errNoAnswer = errors.New("no complete answer within 2 minutes")

// ask makes one request of the shop: with a deadline, with the lease kept meanwhile, outside any transaction.
// fn returns the shop's time of the answer. Its error is the shop's doing unless ctx has ended. fn may still be
// running when an error is returned: what it sets is looked at only without one.
func (e *Engine) ask(ctx context.Context, now time.Time, fn func(context.Context) (time.Time, error)) error {
	defer e.keepLease(ctx)()
	limited, cancel := context.WithTimeoutCause(ctx, e.patience, errNoAnswer)
	defer cancel()
	start := e.o.Wall()
	shopTime, err := watched(limited, fn)
	wall := e.o.Wall()
	took := wall.Sub(start)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil && limited.Err() != nil {
		err = fault.New(fault.Retry, "waiting for the shop", errNoAnswer)
		e.o.Metrics.stuckIn(e.shop.Name)
	}
	e.o.Metrics.requested(e.shop.Name, err)
	if err != nil {
		e.size.strain(wall, took, fault.ClassOf(err))
		return err
	}
	e.faults.throttled = 0
	e.size.answered(wall, took)
	e.clock.learn(shopTime, now, e.business(now, took))
	return nil
}

// watched runs fn and comes back when it is done, or soon after its context has ended even if fn takes no notice.
func watched(ctx context.Context, fn func(context.Context) (time.Time, error)) (time.Time, error) {
	type answer struct {
		at  time.Time
		err error
	}
	done := make(chan answer, 1)
	go func() {
		at, err := fn(ctx)
		done <- answer{at, err}
	}()
	select {
	case a := <-done:
		return a.at, a.err
	case <-ctx.Done():
	}
	grace := time.NewTimer(letGo)
	defer grace.Stop()
	select {
	case a := <-done:
		return a.at, a.err
	case <-grace.C:
		return time.Time{}, context.Cause(ctx)
	}
}
