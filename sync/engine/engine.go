// Package engine reads one shop into the mirror: its streams page by page, the re-reads that webhooks and
// reconciliation ask for, and what to do when the shop misbehaves. One Engine per shop, driven by Step; the shop's
// lease lets one process at a time decide.
package engine

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

// Options of an Engine. Mirror, Leases, Shop and Source are needed.
type Options struct {
	Mirror  *mirror.Mirror
	Leases  *store.Leases
	Shop    mirror.Shop
	Source  connectors.Source
	Log     *zap.Logger
	Metrics *Metrics
	// HookURL is the public address to which the shop is to send its webhooks; "" when it cannot reach us. The engine
	// sees to it that they are there and enabled, on start and hourly; the source knows the address by its own Config.
	HookURL string
	// MayAct, when set, is asked before anything is done in the shop; no leaves it to later (a copied database).
	MayAct func() bool
	// Progress is told after every committed page; may be nil. It must not block.
	Progress func(Progress)
	// Wall is real time: leases, waits, latency.
	Wall func() time.Time
	// Now is business time, asked again after a read to judge the shop's clock. Nil: Step's now plus the real
	// time that the read took, which is right unless business time is quickened.
	Now func() time.Time
}

// Progress is how far a run of a stream has come, in records. Total is -1 when the shop did not say.
type Progress struct {
	Shop, Stream string
	Done, Total  int
	Backfill     bool // the stream's first run
	Finished     bool
	ETA          time.Duration // of real time until the run is done, at the rate of its last pages; 0 when unknown
}

// Engine reads one shop. Step is for one goroutine; CaughtUp and RefreshCounts may be called from others.
type Engine struct {
	o       Options
	shop    mirror.Shop
	streams []connectors.Stream
	log     *zap.Logger

	mu     sync.Mutex // held by Step and RefreshCounts: whatever follows is theirs
	lease  leaseState
	clock  clock
	size   governor
	turn   turn
	faults faultState
	probed bool
	tasks  tasks
	redef  redefining
	pruned crm.Instant // when the inbox was last found pruned
	counts counts
	owed   owed

	patience time.Duration // of one request
	budget   budget
	pace     map[string]*pace // stream → how fast its run goes
}

// New makes an Engine; it touches nothing until Step.
func New(o Options) *Engine {
	if o.Wall == nil {
		o.Wall = time.Now
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics(prometheus.NewRegistry())
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	return &Engine{
		o: o, shop: o.Shop, streams: o.Source.Streams(), log: o.Log.With(zap.String("shop", o.Shop.Name)),
		size: newGovernor(), turn: turn{served: map[string]int64{}}, counts: counts{after: map[crm.Kind]crm.Instant{}},
		patience: askTimeout, pace: map[string]*pace{},
	}
}

// idle is how long a Step without work waits at most before it looks again (somebody may want a read).
const idle = 5 * time.Second

// Step does one piece of work at business time now: one probe, one re-read, one page or one count. What goes wrong at the shop
// is recorded (streams, hints, shops.fault) and not returned; an error is the database's, or store.ErrLost.
func (e *Engine) Step(ctx context.Context, now time.Time) (next time.Time, worked bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.owed.remember(ctx, e, now); err != nil {
		return now, false, err
	}
	held, err := e.holdLease(ctx)
	if err != nil || !held {
		return now.Add(idle), false, err
	}
	if wait := max(e.faults.pause(e.o.Wall()), e.size.until.Sub(e.o.Wall())); wait > 0 {
		return now.Add(wait), false, nil
	}
	if !e.probed {
		return now, true, e.probe(ctx, now)
	}
	rows, err := e.load(ctx)
	if err != nil {
		return now, false, err
	}
	e.measure(rows, now)
	if e.faults.paused {
		e.faults.paused = false
		e.turn.forgive(rows)
	}
	queue, err := e.queued(ctx, now)
	if err != nil {
		return now, false, e.lostLease(err)
	}
	worked = true
	switch w := e.turn.next(rows, queue, crm.At(now)); {
	case w.task:
		err = e.perform(ctx, queue.tasks[0], now)
	case w.hint:
		err = e.reread(ctx, rows, queue.hints[0], now)
	case w.row != nil:
		err = e.page(ctx, rows, w.row, now)
	default:
		if worked, err = e.recount(ctx, rows, now); !worked && err == nil {
			worked, err = e.redefine(ctx, now)
		}
		if !worked && err == nil {
			worked, err = e.prune(ctx, now)
		}
		if !worked && err == nil { // what the catalogue's changes mean for contacts, of whatever shop
			worked, err = e.o.Mirror.FanOutStep(ctx, crm.At(now))
		}
		next = e.nextDue(rows, now)
	}
	if err == nil {
		err = e.storeSkew(ctx)
	}
	if err == nil {
		err = e.storeBudget(ctx)
	}
	return next, worked, e.lostLease(err)
}

// nextDue is the earliest instant at which something is due by itself; hints and wishes of the gate come with a wake.
func (e *Engine) nextDue(rows []*row, now time.Time) time.Time {
	next := now.Add(idle)
	for _, r := range rows {
		if t := r.NextAt.Time(); t.After(now) && t.Before(next) {
			next = t
		}
	}
	return next
}

// queued is the next re-read and the next task that are due, at most one of each.
type queued struct {
	hints []mirror.Hint
	tasks []mirror.TaskRow
}

func (e *Engine) queued(ctx context.Context, now time.Time) (q queued, err error) {
	if q.hints, err = e.dueHints(ctx, now); err != nil {
		return q, err
	}
	q.tasks, err = e.dueTasks(ctx, now)
	return q, err
}

// row is a stream as declared and as stored, with its position decoded.
type row struct {
	mirror.Stream
	spec connectors.Stream
	pos  position
}

// load reads the positions of the declared streams, in their order; one that was never read is an empty row.
func (e *Engine) load(ctx context.Context) ([]*row, error) {
	stored, err := e.o.Mirror.Streams(ctx, e.o.Shop.ID)
	if err != nil {
		return nil, fmt.Errorf("reading stream positions of %s: %w", e.o.Shop.Name, err)
	}
	byName := make(map[string]mirror.Stream, len(stored))
	for _, s := range stored {
		byName[s.Stream] = s
	}
	rows := make([]*row, 0, len(e.streams))
	for _, spec := range e.streams {
		s := byName[spec.Name]
		s.ShopID, s.Stream, s.Kind, s.Mode, s.Part = e.o.Shop.ID, spec.Name, spec.Kind, spec.Mode, spec.Part
		rows = append(rows, &row{Stream: s, spec: spec, pos: decode(s.Cursor)})
	}
	return rows, nil
}

func (e *Engine) measure(rows []*row, now time.Time) {
	for _, r := range rows {
		e.o.Metrics.lag(e.shop.Name, r.Stream.Stream, r.ReadAt, now)
	}
}
