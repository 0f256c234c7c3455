package engine

import "time"

const (
	mostRecords  = 100
	leastRecords = 10
	growEvery    = 10               // good pages before the page grows again
	slow         = 20 * time.Second // a page that takes longer is too large for this shop
)

// governor fits the page size to what the shop bears.
type governor struct {
	size int
	good int
}

func newGovernor() governor { return governor{size: mostRecords} }

func (g *governor) answered(took time.Duration) {
	if took > slow {
		g.failed()
		return
	}
	g.good++
	if g.good >= growEvery && g.size < mostRecords {
		g.size, g.good = min(g.size+g.size/4, mostRecords), 0
	}
}

func (g *governor) failed() { g.size, g.good = max(g.size/2, leastRecords), 0 }
