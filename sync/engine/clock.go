package engine

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

const (
	// skewStep is the change of the shop's clock against ours that is worth a write.
	skewStep = 30 * time.Second
	// skewAlarm is what DESIGN allows; beyond it nothing is sent.
	skewAlarm = 5 * time.Minute
)

// clock stamps reads with the shop's time and knows how far that is from ours.
type clock struct {
	last   crm.Instant   // newest stamp given
	skew   time.Duration // shop's clock minus ours, as far as it is certain
	stored time.Duration
}

func (c *clock) resume(last crm.Instant, skewMS int64) {
	c.last = max(c.last, last)
	c.skew = time.Duration(skewMS) * time.Millisecond
	c.stored = c.skew
}

// observe is the stamp of a read that starts now: by the shop's clock as stored (the mirror converts it back with
// shops.skew_ms), later than every stamp before.
func (c *clock) observe(now time.Time) crm.Instant {
	c.last = max(c.last+1, crm.At(now.Add(c.stored)))
	return c.last
}

// learn takes the shop's Date of an answer to a request sent at from and read at to (business time). The header has
// whole seconds and was written in between, so the true difference lies in a span; of it, what is nearest to zero
// is certain.
func (c *clock) learn(shop, from, to time.Time) {
	if shop.IsZero() {
		return
	}
	low, high := shop.Sub(to), shop.Add(time.Second).Sub(from)
	switch {
	case low > 0:
		c.skew = low
	case high < 0:
		c.skew = high
	default:
		c.skew = 0
	}
}

// business is the business time at the end of a read that started at now, elapsed real time ago.
func (e *Engine) business(now time.Time, elapsed time.Duration) time.Time {
	if e.o.Now != nil {
		return e.o.Now()
	}
	return now.Add(elapsed)
}

// storeSkew keeps shops.skew_ms true; the mailer reads it.
func (e *Engine) storeSkew(ctx context.Context) error {
	if (e.clock.skew - e.clock.stored).Abs() < skewStep {
		return nil
	}
	skew := e.clock.skew
	err := e.write(ctx, "sync.skew", func(tx *store.Tx) error {
		return e.o.Mirror.SetSkew(ctx, tx, e.shop.ID, skew.Milliseconds())
	})
	if err != nil {
		return err
	}
	e.clock.stored = skew
	if skew.Abs() > skewAlarm {
		e.log.Warn("the shop's clock and ours differ: nothing is sent until both are right", zap.Duration("skew", skew))
	}
	return nil
}
