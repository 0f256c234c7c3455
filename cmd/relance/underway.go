package main

import (
	"cmp"
	"slices"
	"sync"

	"github.com/relance/relance/internal/web"
	"github.com/relance/relance/sync/engine"
)

// underway is which streams of which shops are being read for the first time in this process, for the page.
type underway struct {
	mu    sync.Mutex
	shops map[string][]web.Progress
}

func newUnderway() *underway { return &underway{shops: map[string][]web.Progress{}} }

// update is engine.Options.Progress of every shop.
func (u *underway) update(p engine.Progress) {
	if !p.Backfill {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	line := web.Progress{Stream: p.Stream, Done: int64(p.Done), Total: int64(max(p.Total, 0))}
	lines := u.shops[p.Shop]
	at := slices.IndexFunc(lines, func(l web.Progress) bool { return l.Stream == p.Stream })
	switch {
	case p.Finished:
		u.shops[p.Shop] = slices.DeleteFunc(lines, func(l web.Progress) bool { return l.Stream == p.Stream })
	case at >= 0:
		lines[at] = line
	default:
		u.shops[p.Shop] = append(lines, line)
	}
}

// of is a shop's first reads, by stream.
func (u *underway) of(shop string) []web.Progress {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.SortedFunc(slices.Values(u.shops[shop]), func(a, b web.Progress) int { return cmp.Compare(a.Stream, b.Stream) })
}
