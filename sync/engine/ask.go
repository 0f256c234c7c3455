package engine

import (
	"context"
	"errors"
	"time"

	"github.com/relance/relance/internal/fault"
)

// askTimeout is the watchdog: no single request of a shop may take longer (B11).
const askTimeout = 2 * time.Minute

var errNoAnswer = errors.New("no complete answer within 2 minutes")

// ask makes one request of the shop: with a deadline, with the lease kept meanwhile, outside any transaction.
// fn returns the shop's time of the answer. Its error is the shop's doing unless ctx has ended.
func (e *Engine) ask(ctx context.Context, now time.Time, fn func(context.Context) (time.Time, error)) error {
	defer e.keepLease(ctx)()
	limited, cancel := context.WithTimeoutCause(ctx, askTimeout, errNoAnswer)
	defer cancel()
	start := e.o.Wall()
	shopTime, err := fn(limited)
	took := e.o.Wall().Sub(start)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil && limited.Err() != nil {
		err = fault.New(fault.Retry, "waiting for the shop", errNoAnswer)
	}
	e.o.Metrics.requested(e.shop.Name, err)
	if err != nil {
		return err
	}
	e.size.answered(took)
	e.clock.learn(shopTime, now, e.business(now, took))
	return nil
}
