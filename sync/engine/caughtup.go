package engine

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/relance/relance/internal/crm"
)

// owed is what was due when the engine began: the streams and the end of their last complete run. Once they have
// had another, the shop is caught up, however soon the next run is due.
type owed struct {
	mu     sync.Mutex
	known  bool
	before map[string]crm.Instant
}

func (o *owed) remember(ctx context.Context, e *Engine, now time.Time) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.known {
		return nil
	}
	rows, err := e.load(ctx)
	if err != nil {
		return err
	}
	o.before = map[string]crm.Instant{}
	for _, r := range rows {
		if r.pos.Running || r.NextAt <= crm.At(now) || r.wanted() || r.BackfilledAt == 0 {
			o.before[r.Stream.Stream] = r.ReadAt
		}
	}
	o.known = true
	return nil
}

// forget makes the next Step remember anew what is due.
func (o *owed) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.known = false
}

// CaughtUp tells whether every stream that was due when the engine took its first Step (or the first one after counts
// that differed) has completed a run, by whichever process, everything stored has been read by the mapping in force,
// no re-read is queued (parked ones do not count), and no change of the catalogue is still on its way to contacts.
func (e *Engine) CaughtUp(ctx context.Context) (bool, error) {
	e.owed.mu.Lock()
	defer e.owed.mu.Unlock()
	if !e.owed.known {
		return false, nil
	}
	if rules := e.rules(); rules != "" {
		shop, err := e.o.Mirror.ShopByName(ctx, e.o.Shop.Name)
		if err != nil || shop.Rules != rules {
			return false, err
		}
	}
	rows, err := e.load(ctx)
	if err != nil {
		return false, err
	}
	for _, r := range rows {
		read, due := e.owed.before[r.Stream.Stream]
		if r.BackfilledAt == 0 || (due && r.ReadAt == read) {
			return false, nil
		}
	}
	hints, err := e.o.Mirror.DueHints(ctx, e.shop.ID, crm.Never-1, 1)
	if err != nil {
		return false, fmt.Errorf("asking whether %s is caught up: %w", e.o.Shop.Name, err)
	}
	if len(hints) > 0 {
		return false, nil
	}
	pending, err := e.o.Mirror.FanOutPending(ctx, e.o.Mirror.DB().Read())
	return !pending, err
}
