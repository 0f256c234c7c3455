package engine

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"go.uber.org/zap"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/internal/store"
)

const (
	operatorPause  = 2 * time.Minute
	longestPause   = 15 * time.Minute
	throttledPause = 30 * time.Second // at least, when the shop does not say how long
	streamBackoff  = 5 * time.Second
	streamLongest  = 5 * time.Minute
	operatorMost   = 10 * time.Minute

	attemptsToSeeFault = 5 // failing so often in a row, a stream becomes the shop's visible fault
)

// faultState is how the shop as a whole is doing.
type faultState struct {
	until    time.Time // real time: nothing is asked of the shop before
	known    bool      // shops.fault says something
	operator bool      // a person is needed, as far as we know
	paused   bool      // we wait for that person: afterwards every stream may try once, to see whether all is well again
	said     string    // the last fault that was logged

	throttled int // times in a row
}

func (f *faultState) pause(wall time.Time) time.Duration { return f.until.Sub(wall) }

// backoff grows with the attempts and is spread over its upper half, so that shops do not come back in step. The same
// shop, work and attempt always wait as long, so that a test can be repeated.
func (e *Engine) backoff(first, most time.Duration, attempts int, work string) time.Duration {
	d := min(first<<min(max(attempts-1, 0), 20), most)
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%s/%s/%d", e.shop.Name, work, attempts) // a hash takes everything
	return d/2 + time.Duration(h.Sum64()%uint64(d/2+1))
}

// shopFailed does what a failed request means for the whole shop and tells whether it counts as an attempt.
// visible asks that a fault that mends itself be shown all the same.
func (e *Engine) shopFailed(ctx context.Context, now time.Time, err error, visible bool) (counts bool, _ error) {
	switch fault.ClassOf(err) {
	case fault.Throttled:
		e.faults.throttled++
		e.faults.until = e.o.Wall().Add(e.throttleWait(err))
		if e.faults.throttled >= attemptsToSeeFault {
			return false, e.showFault(ctx, now, err)
		}
		return false, nil
	case fault.Operator:
		e.faults.operator, e.probed = true, false // the probe says what exactly is wrong, or that all is well again
		return true, e.showFault(ctx, now, err)
	case fault.Reject: // a whole answer was refused: somebody should look, but it may pass
		return true, e.showFault(ctx, now, err)
	case fault.Retry, fault.Unknown:
	}
	if visible {
		return true, e.showFault(ctx, now, err)
	}
	return true, nil
}

// throttleWait is as long as the shop asks for, or grows when it does not say; never longer than longestPause.
func (e *Engine) throttleWait(err error) time.Duration {
	if fe, ok := errors.AsType[*fault.Error](err); ok && fe.After > 0 {
		return min(fe.After, longestPause)
	}
	return e.backoff(2*throttledPause, longestPause, e.faults.throttled, "throttled")
}

func (e *Engine) showFault(ctx context.Context, now time.Time, cause error) error {
	if text := cause.Error(); text != e.faults.said {
		e.log.Warn("the shop cannot be read", zap.String("class", string(fault.ClassOf(cause))), zap.Error(cause))
		e.faults.said = text
	}
	e.faults.known = true
	return e.o.Mirror.SetShopFault(ctx, e.shop.ID, cause, crm.At(now))
}

// works takes the fault back once an answer came and no stream is failing.
func (e *Engine) works(ctx context.Context, rows []*row, answered *row) error {
	e.faults.operator = false
	if !e.faults.known {
		return nil
	}
	for _, r := range rows {
		if r != answered && r.Attempts > 0 {
			return nil
		}
	}
	e.faults.known, e.faults.said = false, ""
	e.log.Info("the shop can be read again")
	return e.o.Mirror.SetShopFault(ctx, e.shop.ID, nil, 0)
}

// pageFailed records a failed page: the stream waits, the page gets smaller, the position stays.
func (e *Engine) pageFailed(ctx context.Context, r *row, now time.Time, cause error) error {
	if ctx.Err() != nil {
		return cause
	}
	class := fault.ClassOf(cause)
	counts, err := e.shopFailed(ctx, now, cause, r.Attempts+1 >= attemptsToSeeFault)
	if err != nil || !counts {
		return err
	}
	e.log.Info("a page failed", zap.String("stream", r.Stream.Stream), zap.String("class", string(class)), zap.Int("attempts", r.Attempts+1), zap.Error(cause))
	s := r.Stream
	s.Attempts++
	s.Error = cause.Error()
	wait := e.backoff(streamBackoff, streamLongest, s.Attempts, s.Stream)
	if class == fault.Operator {
		wait = e.backoff(2*operatorPause, operatorMost, s.Attempts, s.Stream)
	}
	s.NextAt = crm.At(now.Add(wait))
	return e.write(ctx, "sync.failed", func(tx *store.Tx) error { return e.o.Mirror.SaveStream(ctx, tx, s) })
}
