// Package loop runs steps. An engine is a Step: single-threaded, no timers, no sleep inside; the time is an
// argument. This package owns the goroutines and the waiting.
package loop

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/relance/relance/internal/fault"
)

// Step does one bounded piece of work at business time now. next is when it wants to run again, in business
// time, if nothing wakes it before; worked means: run me again at once.
type Step interface {
	Step(ctx context.Context, now time.Time) (next time.Time, worked bool, err error)
}

// Clock is business time: the real clock, or a quickened one in the demo and in simulations.
type Clock interface {
	Now() time.Time
	// Real converts a span of business time into real time to wait.
	Real(d time.Duration) time.Duration
}

// RealClock is business time at the speed of life.
type RealClock struct{}

// Now is the wall clock in UTC.
func (RealClock) Now() time.Time { return time.Now().UTC() }

// Real is the same span.
func (RealClock) Real(d time.Duration) time.Duration { return d }

// FastClock is business time that can be quickened; it never goes backwards. Safe for concurrent use.
type FastClock struct {
	mu    sync.Mutex
	from  time.Time // business time at start
	start time.Time
	speed int64
}

// NewFastClock starts at from and runs speed times as fast as life.
func NewFastClock(from time.Time, speed int64) *FastClock {
	return &FastClock{from: from.UTC(), start: time.Now(), speed: speed}
}

// Now is the quickened time.
func (c *FastClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now()
}

func (c *FastClock) now() time.Time { return c.from.Add(time.Since(c.start) * time.Duration(c.speed)) }

// SetSpeed goes on from now at another speed.
func (c *FastClock) SetSpeed(speed int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.from, c.start, c.speed = c.now(), time.Now(), speed
}

// Speed is how many times faster than life it runs.
func (c *FastClock) Speed() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.speed
}

// Real converts a span of quickened time.
func (c *FastClock) Real(d time.Duration) time.Duration { return d / time.Duration(c.Speed()) }

// Runner drives one Step until its context ends.
type Runner struct {
	Name  string
	Step  Step
	Clock Clock
	Log   *zap.Logger
	// Wake, when signalled, ends the wait early; a buffered channel of one.
	Wake <-chan struct{}
	// Grace is how long (real time) a step under way may go on once ctx has ended: a mail being handed over is not cut.
	Grace time.Duration
}

const (
	minWait = 20 * time.Millisecond
	maxWait = 5 * time.Second
)

// Run steps until ctx ends. An error is logged once and followed by a growing wait (real time), at most a minute.
func (r *Runner) Run(ctx context.Context) {
	work, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(r.Grace, cut) })()
	failures := 0
	for ctx.Err() == nil {
		next, worked, err := r.Step.Step(work, r.Clock.Now())
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			failures++
			r.report(err, failures)
			r.wait(ctx, backoff(err, failures))
			continue
		}
		failures = 0
		if worked {
			continue
		}
		r.wait(ctx, min(max(r.Clock.Real(next.Sub(r.Clock.Now())), minWait), maxWait))
	}
}

func (r *Runner) report(err error, failures int) {
	r.Log.Warn("step failed", zap.String("worker", r.Name), zap.String("class", string(fault.ClassOf(err))),
		zap.Int("failures", failures), zap.Error(err))
}

func backoff(err error, failures int) time.Duration {
	if fe, ok := errors.AsType[*fault.Error](err); ok && fe.After > 0 {
		return min(fe.After, time.Minute)
	}
	return min(100*time.Millisecond<<min(failures, 10), time.Minute)
}

func (r *Runner) wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-r.Wake:
	case <-t.C:
	}
}
