package main

import (
	"context"
	"sync"
	"time"

	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/segments"
)

// trends are the sizes of segments over the last days, for the page. The page renews itself every other second, and counting a
// month of changes may take long: what was counted is shown again until a hundred times as long as counting took has passed.
type trends struct {
	mu   sync.Mutex
	seen map[string]trend
}

type trend struct {
	sizes []int64
	fresh time.Time // until when, real time
}

const (
	trendDays  = 30
	trendShare = 100
)

func (t *trends) of(ctx context.Context, q store.Queryer, segment string, now time.Time) ([]int64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if have, ok := t.seen[segment]; ok && time.Now().Before(have.fresh) {
		return have.sizes, nil
	}
	began := time.Now()
	days, err := segments.History(ctx, q, segment, now, trendDays)
	if err != nil {
		return nil, err
	}
	next := trend{sizes: make([]int64, len(days))}
	for i, d := range days {
		next.sizes[i] = d.Size
	}
	next.fresh = time.Now().Add(max(time.Second, trendShare*time.Since(began)))
	if t.seen == nil {
		t.seen = map[string]trend{}
	}
	t.seen[segment] = next
	return next.sizes, nil
}
