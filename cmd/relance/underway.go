package main

import (
	"sync"
	"time"

	"github.com/relance/relance/sync/engine"
)

// underway is how long the first reads under way in this process will take, for the page.
type underway struct {
	mu   sync.Mutex
	left map[[2]string]time.Duration // by shop and stream
}

func newUnderway() *underway { return &underway{left: map[[2]string]time.Duration{}} }

// update is engine.Options.Progress of every shop.
func (u *underway) update(p engine.Progress) {
	u.mu.Lock()
	defer u.mu.Unlock()
	key := [2]string{p.Shop, p.Stream}
	if p.Finished || p.ETA == 0 {
		delete(u.left, key)
		return
	}
	u.left[key] = p.ETA
}

// eta is 0 when nothing is known.
func (u *underway) eta(shop, stream string) time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.left[[2]string{shop, stream}]
}
