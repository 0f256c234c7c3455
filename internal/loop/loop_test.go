package loop_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/relance/relance/internal/loop"
)

// script is a Step that answers from a list and notes when it was called.
type script struct {
	calls   []time.Time
	answers []func(now time.Time) (time.Time, bool, error)
	end     context.CancelFunc
}

func (s *script) Step(_ context.Context, now time.Time) (time.Time, bool, error) {
	s.calls = append(s.calls, now)
	i := len(s.calls) - 1
	if i >= len(s.answers) {
		s.end()
		return now, false, nil
	}
	return s.answers[i](now)
}

func TestTheRunnerWaitsUntilNextGoesOnAfterWorkAndBacksOffAfterErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		s := &script{end: end}
		s.answers = []func(time.Time) (time.Time, bool, error){
			func(now time.Time) (time.Time, bool, error) { return now, true, nil },
			func(now time.Time) (time.Time, bool, error) { return now.Add(3 * time.Second), false, nil },
			func(now time.Time) (time.Time, bool, error) { return now, false, errors.New("boom") },
			func(now time.Time) (time.Time, bool, error) { return now.Add(time.Hour), false, nil },
		}
		start := time.Now()
		(&loop.Runner{Name: "test", Step: s, Clock: loop.RealClock{}, Log: zap.NewNop()}).Run(ctx)
		want := []time.Duration{0, 0, 3 * time.Second, 3*time.Second + 200*time.Millisecond, 8*time.Second + 200*time.Millisecond}
		for i, w := range want {
			if got := s.calls[i].Sub(start); got != w {
				t.Errorf("call %d after %v, want %v", i, got, w)
			}
		}
	})
}

func TestASignalEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		wake := make(chan struct{}, 1)
		s := &script{end: end}
		s.answers = []func(time.Time) (time.Time, bool, error){
			func(now time.Time) (time.Time, bool, error) {
				wake <- struct{}{}
				return now.Add(time.Hour), false, nil
			},
		}
		start := time.Now()
		(&loop.Runner{Name: "test", Step: s, Clock: loop.RealClock{}, Log: zap.NewNop(), Wake: wake}).Run(ctx)
		if waited := s.calls[1].Sub(start); waited != 0 {
			t.Errorf("woken after %v", waited)
		}
	})
}

func TestAQuickenedClockConvertsSpans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from := time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)
		c := loop.NewFastClock(from, 600)
		time.Sleep(6 * time.Second) // synctest's own time
		if got := c.Now(); !got.Equal(from.Add(time.Hour)) {
			t.Errorf("after 6 s it is %v", got)
		}
		if got := c.Real(time.Hour); got != 6*time.Second {
			t.Errorf("an hour takes %v", got)
		}
		c.SetSpeed(1)
		time.Sleep(time.Second)
		if got := c.Now(); !got.Equal(from.Add(time.Hour + time.Second)) {
			t.Errorf("a second after slowing down it is %v", got)
		}
	})
}
