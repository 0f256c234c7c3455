package engine

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/fault"
)

// probe looks at the connection: once per process, and after a fault that needs a person. It stops nothing by
// itself: a shop whose start page is closed to us may still serve its data.
func (e *Engine) probe(ctx context.Context, now time.Time) error {
	var found connectors.ProbeResult
	err := e.ask(ctx, now, func(ctx context.Context) (time.Time, error) {
		var err error
		found, err = e.o.Source.Probe(ctx)
		return found.ShopTime, err
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	e.probed = true
	if e.faults.operator && (err != nil || !found.OK()) {
		e.pauseForOperator()
	}
	if err != nil {
		return e.probeFailed(ctx, now, err)
	}
	for _, f := range found.Findings {
		if !f.OK {
			e.log.Warn("the probe found something to mend", zap.String("what", f.What), zap.String("found", f.Text), zap.String("mend", f.Mend))
		}
	}
	return e.o.Mirror.SetProbed(ctx, e.shop.ID, found, e.clock.skew.Milliseconds())
}

// pauseForOperator leaves the shop alone until somebody may have mended it.
func (e *Engine) pauseForOperator() {
	e.faults.until, e.faults.paused = e.o.Wall().Add(operatorPause), true
}

func (e *Engine) probeFailed(ctx context.Context, now time.Time, err error) error {
	_, failed := e.shopFailed(ctx, now, err, false)
	e.probed = true // asked and answered; the next fault of a page asks again
	if fault.ClassOf(err) == fault.Operator {
		e.pauseForOperator()
	}
	return failed
}
