package engine

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relance/relance/internal/fault"
)

// run has the governor ask one request after the other for a while; it gives the share of the time that they took.
func (g *governor) run(wall *time.Time, span time.Duration, answer func() (took time.Duration, class fault.Class)) float64 {
	start, busy := *wall, time.Duration(0)
	for wall.Sub(start) < span {
		if g.until.After(*wall) {
			*wall = g.until
		}
		took, class := answer()
		*wall, busy = wall.Add(took), busy+took
		if class != "" {
			g.strain(*wall, took, class)
		} else {
			g.answered(*wall, took)
		}
	}
	return float64(busy) / float64(wall.Sub(start))
}

func TestB7_ASlowOrFailingShopIsAskedForLessAndRecovers(t *testing.T) {
	wall := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	g := newGovernor()
	lively := func() (time.Duration, fault.Class) { return time.Second, "" }
	if share := g.run(&wall, time.Minute, lively); share < 0.99 || g.size != 100 {
		t.Errorf("a lively shop is asked %.2f of the time for %d", share, g.size)
	}
	for name, answer := range map[string]func() (time.Duration, fault.Class){
		"slow":    func() (time.Duration, fault.Class) { return 4 * time.Second, "" },
		"crawls":  func() (time.Duration, fault.Class) { return 25 * time.Second, "" },
		"fails":   func() (time.Duration, fault.Class) { return 4 * time.Second, fault.Retry },
		"refuses": func() (time.Duration, fault.Class) { return 2 * time.Second, fault.Throttled },
	} {
		t.Run(name, func(t *testing.T) {
			g := newGovernor()
			share := g.run(&wall, 20*time.Minute, answer)
			took, _ := answer()
			most := max(leastShare, float64(took)/float64(took+mostPause)) + 0.05
			if share > most || g.size != leastRecords {
				t.Errorf("asked %.2f of the time (at most %.2f) for %d", share, most, g.size)
			}
			if got := g.took.ratio(wall); got < share/2 || got > share*2 {
				t.Errorf("the gauge says %.3f, it was %.3f", got, share)
			}
			g.run(&wall, 10*time.Minute, lively)
			if share := g.run(&wall, time.Minute, lively); share < 0.99 || g.size != 100 {
				t.Errorf("after it recovered: asked %.2f of the time for %d", share, g.size)
			}
		})
	}
}

func TestAWrongKeyIsNoStrain(t *testing.T) {
	g := newGovernor()
	g.strain(time.Now(), time.Second, fault.Operator)
	if g.size != mostRecords || g.share != 1 {
		t.Errorf("%+v", g)
	}
}

func TestTheBudgetForgetsAfterTenMinutes(t *testing.T) {
	wall := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	b := &busy{}
	b.add(wall, 6*time.Second)
	if got := b.ratio(wall); got < 0.099 || got > 0.101 {
		t.Errorf("%v in the first minute", got)
	}
	if got := b.ratio(wall.Add(9 * time.Minute)); got < 0.0099 || got > 0.0101 {
		t.Errorf("%v after ten minutes", got)
	}
	if got := b.ratio(wall.Add(10 * time.Minute)); got != 0 {
		t.Errorf("%v after eleven", got)
	}
}

func TestB11_ARequestThatIgnoresItsEndIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), askTimeout, errNoAnswer)
		defer cancel()
		release := make(chan struct{})
		defer close(release)
		start := time.Now()
		_, err := watched(ctx, func(context.Context) (time.Time, error) { <-release; return time.Time{}, nil })
		if err != errNoAnswer || time.Since(start) != askTimeout+letGo { //nolint:errorlint // the very error
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}
