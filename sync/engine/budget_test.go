package engine

import (
	"testing"
	"time"

	"github.com/relance/relance/connectors"
)

func TestB29_TheTimeLeftIsToldByTheLastPages(t *testing.T) {
	wall := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	e := &Engine{o: Options{Wall: func() time.Time { return wall }}, pace: map[string]*pace{}}
	r := &row{spec: connectors.Stream{Name: "orders"}, pos: position{Running: true, Total: 10_000}}
	page := func(records int, took time.Duration) time.Duration {
		wall = wall.Add(took)
		r.pos.Done += records
		return e.eta(r)
	}
	if got := page(100, time.Second); got != 0 {
		t.Errorf("one page says nothing: %v", got)
	}
	if got := page(100, time.Second); got != 98*time.Second {
		t.Errorf("after two pages of a second: %v", got)
	}
	for range 20 { // the shop gets slower: what was long ago does not count
		page(100, 10*time.Second)
	}
	if got := page(100, 10*time.Second); got != 770*time.Second {
		t.Errorf("when a page takes ten seconds: %v", got)
	}
	r.pos.Running = false
	if got := page(7700, time.Second); got != 0 {
		t.Errorf("at the end: %v", got)
	}
	r.pos = position{Running: true, Total: -1}
	page(100, time.Second)
	if got := page(100, time.Second); got != 0 {
		t.Errorf("a shop that does not say how much there is: %v", got)
	}
}

// What the shop's row says of our share of its time is written when it changed, and at most once a minute.
func TestTheBudgetIsStoredCheaply(t *testing.T) {
	writes := 0
	wall := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	b := &budget{}
	for range 600 { // ten minutes of a request of 100 ms a second
		wall = wall.Add(time.Second)
		if b.worth(wall, 100_000) {
			b.ppm = 100_000
			writes++
		}
	}
	if writes != 1 {
		t.Errorf("%d writes of the same share", writes)
	}
	if b.worth(wall.Add(time.Minute), 105_000) || !b.worth(wall.Add(2*time.Minute), 120_000) || !b.worth(wall.Add(3*time.Minute), 0) {
		t.Error("a change of a tenth is what counts")
	}
}
