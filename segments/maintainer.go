package segments

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/segments/rule"
)

const (
	batchSize = 500                    // contacts of one transaction
	idle      = 500 * time.Millisecond // business time between two looks at the marks: half of what the watermark may lag
	keepWall  = 200 * time.Millisecond // real time between two writes of the watermark, each a commit
)

// Options of a Maintainer; all may be left out.
type Options struct {
	Log     *zap.Logger
	Metrics *Metrics
	Wall    func() time.Time // real time, for how often metrics and the watermark are refreshed

	Thresholds time.Duration       // business time from one publication of thresholds to the next; 0 = 24 h
	Used       map[string][]string // segment → campaigns that use it: Deploy does not remove it

	// Listening tells whether campaigns wait for facts rather than for segments; nil: none does. It is asked in each
	// deciding transaction, so that whatever is settled after a campaign was stored is told to it.
	Listening func(ctx context.Context, q store.Queryer) (bool, error)
	// Told is called, in each deciding transaction, with the contacts whose changed facts are settled, whatever changed
	// them; nil: nobody asks.
	Told func(ctx context.Context, tx *store.Tx, contacts []int64) error
}

// Maintainer keeps memberships true for the contacts in the lanes that this process holds. Several processes may run
// one each: every contact is settled, and built, by the owner of its lane. Not safe for concurrent use.
type Maintainer struct {
	mirror  *mirror.Mirror
	db      *store.DB
	leases  *store.Leases
	defs    []*rule.Segment
	log     *zap.Logger
	metrics *Metrics
	wall    func() time.Time
	page    int    // batchSize; less in tests, so that few contacts make many pages
	between func() // called amid reading a batch and before writing it; nil but in tests

	setup     *setup
	lanes     []int       // held, as of this step
	clock     crm.Instant // the latest now that was evaluated at
	watermark crm.Instant // as stored
	wroteWall time.Time
	stirred   bool // something happened since the watermark was written
	started   bool
	counted   string // identity of the definitions whose sizes were counted
	costs     costs

	thresholds time.Duration
	used       map[string][]string
	listening  func(ctx context.Context, q store.Queryer) (bool, error)
	told       func(ctx context.Context, tx *store.Tx, contacts []int64) error
}

// NewMaintainer makes one for the definitions in force. Deploy stores them; Step works on what is stored.
func NewMaintainer(m *mirror.Mirror, l *store.Leases, defs []*rule.Segment, o Options) *Maintainer {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Wall == nil {
		o.Wall = time.Now
	}
	if o.Thresholds == 0 {
		o.Thresholds = everyThresholds
	}
	return &Maintainer{
		mirror: m, db: m.DB(), leases: l, defs: defs, log: o.Log, metrics: o.Metrics, wall: o.Wall, page: batchSize,
		thresholds: o.Thresholds, used: o.Used, listening: o.Listening, told: o.Told,
	}
}

// Step settles one batch of contacts whose facts changed, one of contacts whose instant has come, and one of contacts
// that a build still has to see, in that order. now never goes backwards: an earlier one counts as the latest seen.
func (m *Maintainer) Step(ctx context.Context, now time.Time) (next time.Time, worked bool, err error) {
	if err := m.begin(ctx, crm.At(now)); err != nil {
		m.setup = nil
		return now, false, err
	}
	if len(m.lanes) == 0 {
		return now.Add(time.Second), false, nil
	}
	soonest, worked, err := m.work(ctx, m.clock)
	if err != nil {
		m.setup = nil // what is held in memory may be behind a transaction whose end we did not see
		if errors.Is(err, store.ErrLost) {
			return now.Add(time.Second), false, nil
		}
		return now, false, fmt.Errorf("maintaining segments: %w", err)
	}
	wake := now.Add(idle)
	if soonest < crm.At(wake) {
		wake = soonest.Time()
	}
	return wake, worked, nil
}

func (m *Maintainer) work(ctx context.Context, now crm.Instant) (soonest crm.Instant, worked bool, err error) {
	published, err := m.publishThresholds(ctx, now) // first, so that what is settled now knows them
	if err != nil {
		return 0, false, err
	}
	soonest, worked, err = m.fresh(ctx, now)
	if err != nil {
		return 0, false, err
	}
	worked = worked || published
	for _, part := range []func(context.Context, crm.Instant) (bool, error){m.tellThresholds, m.buildSlice, m.finish, m.reconcile} {
		did, err := part(ctx, now)
		if err != nil {
			return 0, false, err
		}
		worked = worked || did
	}
	if err := m.flushCosts(ctx, now, costFlush); err != nil {
		return 0, false, err
	}
	return soonest, worked, m.metrics.observe(ctx, m)
}

// begin reads what may have changed since the last step: leases, definitions, the stored clock.
func (m *Maintainer) begin(ctx context.Context, now crm.Instant) error {
	q := m.db.Read()
	if !m.started {
		var err error
		if m.clock, err = readMeta(ctx, q, metaClock); err != nil {
			return err
		}
		if m.watermark, err = readMeta(ctx, q, metaWatermark); err != nil {
			return err
		}
		m.started = true
	}
	m.clock = max(m.clock, now)
	if lanes := heldLanes(m.leases); !slices.Equal(lanes, m.lanes) {
		m.lanes, m.setup = lanes, nil // positions of lanes that were another's are not ours to remember
	}
	held := m.setup
	s, err := readSetup(ctx, q, held)
	if err != nil {
		return err
	}
	m.setup = s
	s.between = m.between
	if s.key == m.counted {
		return nil
	}
	m.counted = s.key
	return m.metrics.count(ctx, m)
}

func heldLanes(l *store.Leases) []int {
	var out []int
	for _, name := range l.Held() {
		if n, ok := strings.CutPrefix(name, "lane:"); ok {
			if lane, err := strconv.Atoi(n); err == nil && lane >= 0 && lane < crm.Lanes {
				out = append(out, lane)
			}
		}
	}
	slices.Sort(out)
	return out
}

// fresh settles marks, then due rows, and publishes the watermark as it was before that work.
func (m *Maintainer) fresh(ctx context.Context, now crm.Instant) (soonest crm.Instant, worked bool, err error) {
	q := m.db.Read()
	marks, err := m.mirror.DirtyBatch(ctx, q, m.lanes, m.page) // with the oldest, for the watermark
	if err != nil {
		return 0, false, err
	}
	soonest, err = firstDue(ctx, q, allLanes())
	if err != nil {
		return 0, false, err
	}
	m.metrics.overdue(soonest, now)
	if err := m.publish(ctx, now, marks, soonest); err != nil {
		return 0, false, err
	}
	if len(marks) > 0 {
		ids, err := m.freshest(ctx, marks)
		if err != nil {
			return 0, false, err
		}
		if err := m.settle(ctx, "segments.settle", ids, now); err != nil {
			return 0, false, err
		}
		worked = true
	}
	if soonest <= now {
		due, err := dueBatch(ctx, q, m.lanes, now, m.page)
		if err != nil {
			return 0, false, err
		}
		if len(due) > 0 {
			ids, err := m.fitting(ctx, dueIDs(due))
			if err != nil {
				return 0, false, err
			}
			m.metrics.late(due[:len(ids)], now)
			if err := m.settle(ctx, "segments.settle", ids, now); err != nil {
				return 0, false, err
			}
			worked = true
		}
	}
	m.stirred = m.stirred || worked
	return soonest, worked, nil
}

// publish raises the watermark: nothing that was marked, and no instant that came, up to it is unsettled.
func (m *Maintainer) publish(ctx context.Context, now crm.Instant, marks []mirror.Dirty, soonest crm.Instant) error {
	if len(m.lanes) < crm.Lanes { // marks of other processes hold it back, too
		others, err := m.mirror.DirtyBatch(ctx, m.db.Read(), allLanes(), 1)
		if err != nil {
			return err
		}
		marks = append(others, marks...)
	}
	ranked, err := m.setup.rankings(ctx, m.db.Read())
	if err != nil {
		return err
	}
	w := min(now, soonest-1, ranksBelow(ranked))
	for _, d := range marks {
		w = min(w, d.MarkedAt-1)
	}
	defer func() { m.metrics.lag(now, m.watermark) }()
	settled := m.stirred && w == now // the end of some work is told at once, the way there and idleness now and then
	if w <= m.watermark || !settled && m.wall().Sub(m.wroteWall) < keepWall {
		return nil
	}
	err = m.db.Write(ctx, "segments.watermark", func(tx *store.Tx) error { return raiseMeta(ctx, tx, metaWatermark, w) })
	if err != nil {
		return err
	}
	m.watermark, m.wroteWall, m.stirred = w, m.wall(), false
	return nil
}

// settle brings contacts up to now in one transaction.
func (m *Maintainer) settle(ctx context.Context, name string, ids []int64, now crm.Instant) error {
	b, err := load(ctx, m.mirror, m.db.Read(), m.setup, ids)
	if err != nil {
		return err
	}
	settled, was := b.settle(now)
	_, err = m.commit(ctx, name, b, settled, was, now, nil)
	return err
}

func (b *batch) settle(now crm.Instant) ([]*settling, []before) {
	was := make([]before, len(b.subjects))
	settled := make([]*settling, len(b.subjects))
	for i, c := range b.subjects {
		was[i] = before{slices.Clone(c.in), slices.Clone(c.since), c.due}
		settled[i] = settle(c, b.setup.slots, now)
	}
	return settled, was
}

// commit writes what became of a batch; then, when given, adds to the transaction and is told which contacts were left out.
func (m *Maintainer) commit(ctx context.Context, name string, b *batch, settled []*settling, was []before, now crm.Instant,
	then func(tx *store.Tx, left map[int64]bool) error,
) (map[int64]bool, error) {
	var left map[int64]bool
	var sizes map[slotKey]int64
	leases := b.leases()
	if m.between != nil {
		m.between()
	}
	write := m.db.Write
	if then != nil {
		write = m.db.WriteBackground
	}
	err := write(ctx, name, func(tx *store.Tx) error {
		if err := m.leases.Fence(ctx, tx, leases...); err != nil {
			return err
		}
		var err error
		if left, err = b.moved(ctx, m.mirror, tx); err != nil {
			return err
		}
		r := &rows{leave: map[slotKey][]int64{}, sizes: map[slotKey]int64{}}
		for i, c := range settled {
			if !left[c.id] {
				r.add(tx, b.setup, c, was[i], now)
			}
		}
		sizes = r.sizes
		if err := m.touch(ctx, tx, settled, left, now); err != nil {
			return err
		}
		if err := r.write(ctx, m.mirror, tx, m.lanes[0]); err != nil {
			return err
		}
		if then != nil {
			if err := then(tx, left); err != nil {
				return err
			}
		}
		return raiseMeta(ctx, tx, metaClock, now)
	})
	if err != nil {
		return nil, err
	}
	m.metrics.settled(settled, b.setup.slots, sizes)
	m.measure(b.setup, settled, was, now, left)
	return left, nil
}

// Settled tells whether nothing is left to do at now: no mark, no instant that has come, no build, no old generation.
func (m *Maintainer) Settled(ctx context.Context, now time.Time) (bool, error) {
	q := m.db.Read()
	marks, err := m.mirror.DirtyBatch(ctx, q, allLanes(), 1)
	if err != nil || len(marks) > 0 {
		return false, err
	}
	due, err := firstDue(ctx, q, allLanes())
	if err != nil || due <= crm.At(now) {
		return false, err
	}
	var open int
	if err := q.GetContext(ctx, &open, "SELECT COUNT(*) FROM segment_defs WHERE state IN ('building','retired','dropped')"); err != nil {
		return false, fmt.Errorf("asking whether segments are built: %w", err)
	}
	if m.setup != nil {
		ranked, err := m.setup.rankings(ctx, q)
		if err != nil || ranksBelow(ranked) < crm.Never {
			return false, err
		}
	}
	return open == 0, nil
}
