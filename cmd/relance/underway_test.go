package main

import (
	"testing"
	"time"

	"github.com/relance/relance/sync/engine"
)

func TestHowLongFirstReadsTakeIsKnownWhileTheyAreUnderWay(t *testing.T) {
	t.Parallel()
	u := newUnderway()
	for _, p := range []engine.Progress{
		{Shop: "a", Stream: "orders", Done: 20, Total: 100, Backfill: true, ETA: time.Minute},
		{Shop: "b", Stream: "orders", Done: 10, Total: 50, Backfill: true, ETA: time.Hour},
		{Shop: "a", Stream: "customers", Done: 7, Total: 7, Backfill: true, Finished: true, ETA: time.Second},
	} {
		u.update(p)
	}
	for want, got := range map[time.Duration]time.Duration{time.Minute: u.eta("a", "orders"), time.Hour: u.eta("b", "orders"), 0: u.eta("a", "customers")} {
		if got != want {
			t.Errorf("%s instead of %s", got, want)
		}
	}
	u.update(engine.Progress{Shop: "a", Stream: "orders", Finished: true})
	if got := u.eta("a", "orders"); got != 0 {
		t.Errorf("%s for what is done", got)
	}
}
