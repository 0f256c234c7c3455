package engine

import (
	"time"

	"github.com/relance/relance/internal/fault"
)

const (
	mostRecords  = 100
	leastRecords = 10
	growEvery    = 10               // good pages before the page grows again
	lively       = 3 * time.Second  // an answer within this costs a shop little
	slow         = 20 * time.Second // a page that takes longer is too large for this shop

	// A lively shop is asked one request after the other. One that is slow or fails has its pages made smaller and gets
	// pauses, so that its time is ours by no more than this part, halved each time, down to the least.
	leastShare = 1.0 / 8
	mostPause  = 30 * time.Second // real time; a mail may be waiting for the next read
)

// governor fits page size and pace to what the shop bears. There is one request in flight.
type governor struct {
	size  int
	good  int       // quick answers in a row
	share float64   // of the shop's time that we may use
	until time.Time // real time: no request before
	took  busy
}

func newGovernor() governor { return governor{size: mostRecords, share: 1} }

// answered learns from an answer that was complete at wall, after took.
func (g *governor) answered(wall time.Time, took time.Duration) {
	switch {
	case took > slow:
		g.strained()
	case took > lively:
		g.good, g.share = 0, max(g.share/2, leastShare)
		g.size = max(g.size-g.size/4, leastRecords)
	default:
		if g.good++; g.good >= growEvery {
			g.good = 0
			g.size, g.share = min(g.size+g.size/4, mostRecords), min(g.share*2, 1)
		}
	}
	g.rest(wall, took)
}

// strain learns from a request that failed at wall after took. A wrong key or a bad record is no strain.
func (g *governor) strain(wall time.Time, took time.Duration, class fault.Class) {
	if class == fault.Retry || class == fault.Unknown || class == fault.Throttled {
		g.strained()
	}
	g.rest(wall, took)
}

func (g *governor) strained() {
	g.size, g.good, g.share = max(g.size/2, leastRecords), 0, max(g.share/2, leastShare)
}

// rest leaves the shop alone long enough that took is our share of its time.
func (g *governor) rest(wall time.Time, took time.Duration) {
	g.took.add(wall, took)
	pause := time.Duration(float64(took) * (1/g.share - 1))
	g.until = wall.Add(min(pause, mostPause))
}

// page is the size of the next page of a stream of which so many pages failed in a row: it shrinks quickly down to one
// record, so that a record on which the shop breaks is soon alone, and holds nothing else up (B7).
func (g *governor) page(attempts int) int { return max(g.size>>min(attempts, 10), 1) }

const (
	budgetMinutes = 10
	budgetLeast   = 1 // minutes: a process that has just begun is not busy for good
)

// busy adds up how long a shop worked for us in the last ten minutes of real time, minute by minute.
type busy struct {
	began   int64 // minute
	minutes [budgetMinutes]struct {
		minute int64
		took   time.Duration
	}
}

func (b *busy) add(wall time.Time, took time.Duration) {
	minute := wall.Unix() / 60
	if b.began == 0 {
		b.began = minute
	}
	m := &b.minutes[minute%budgetMinutes]
	if m.minute != minute {
		m.minute, m.took = minute, 0
	}
	m.took += took
}

// ratio is the share of the shop's time that was ours over the last ten minutes.
func (b *busy) ratio(wall time.Time) float64 {
	minute := wall.Unix() / 60
	sum := time.Duration(0)
	for _, m := range b.minutes {
		if minute-m.minute < budgetMinutes {
			sum += m.took
		}
	}
	span := min(max(minute-b.began+1, budgetLeast), budgetMinutes)
	return min(float64(sum)/float64(time.Duration(span)*time.Minute), 1)
}
