package engine

import (
	"context"
	"time"

	"github.com/relance/relance/internal/store"
)

// budgetEvery is how often, in real time, shops.busy_ppm is looked at.
const budgetEvery = time.Minute

// budget is what the shop's row says of how busy we keep the shop.
type budget struct {
	looked time.Time
	ppm    int64
}

// worth tells whether the share, in millionths, is to be written: at most once a minute, when it changed by a tenth.
func (b *budget) worth(wall time.Time, ppm int64) bool {
	if wall.Sub(b.looked) < budgetEvery {
		return false
	}
	b.looked = wall
	return ppm != b.ppm && (10*(ppm-b.ppm) >= b.ppm || 10*(b.ppm-ppm) >= b.ppm)
}

// storeBudget publishes the share of the shop's time that we use.
func (e *Engine) storeBudget(ctx context.Context) error {
	wall := e.o.Wall()
	ratio := e.size.took.ratio(wall)
	e.o.Metrics.busy.WithLabelValues(e.shop.Name).Set(ratio)
	ppm := int64(ratio * 1e6)
	if !e.budget.worth(wall, ppm) {
		return nil
	}
	if err := e.write(ctx, "sync.budget", func(tx *store.Tx) error { return e.o.Mirror.SetBusy(ctx, tx, e.shop.ID, ppm) }); err != nil {
		return err
	}
	e.budget.ppm = ppm
	return nil
}

// pace remembers the last pages of a run.
type pace struct {
	pages [paceOf]struct {
		at   time.Time // real
		done int
	}
	n int
}

const paceOf = 16

// eta is how long, in real time, the run will take at the rate of its last pages; 0 when that cannot be said.
func (e *Engine) eta(r *row) time.Duration {
	p := e.pace[r.spec.Name]
	if p == nil || !r.pos.Running || (p.n > 0 && p.pages[(p.n-1)%paceOf].done > r.pos.Done) {
		p = &pace{}
		e.pace[r.spec.Name] = p
	}
	wall := e.o.Wall()
	oldest := p.pages[max(p.n-paceOf, 0)%paceOf]
	if p.n >= paceOf {
		oldest = p.pages[p.n%paceOf]
	}
	p.pages[p.n%paceOf].at, p.pages[p.n%paceOf].done = wall, r.pos.Done
	p.n++
	left, read, took := r.pos.Total-r.pos.Done, r.pos.Done-oldest.done, wall.Sub(oldest.at)
	if p.n < 2 || !r.pos.Running || left <= 0 || read <= 0 || took <= 0 {
		return 0
	}
	return (took * time.Duration(left) / time.Duration(read)).Round(time.Second)
}
