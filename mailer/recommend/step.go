package recommend

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

const (
	standardEvery = 24 * time.Hour
	standardPairs = 300_000 // some 20 MB
	pageRows      = 1000    // products, or rows of buyers, of one step
	writeLists    = 100     // of one transaction
	idle          = time.Minute
)

// Options of an Engine; all may be left out.
type Options struct {
	Every    time.Duration // between two runs of a shop, business time; 0 = a day
	MostPair int           // pairs held in memory at once; 0 = 300 000
	Log      *zap.Logger
	Metrics  *Metrics
}

// Metrics of the recommendations; shops are the operator's own names.
type Metrics struct{ age *prometheus.GaugeVec }

// NewMetrics registers them; a nil registerer makes metrics that nobody sees.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{age: prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "relance_picks_age_seconds", Help: "Business time since the recommendations of a shop were computed.",
	}, []string{"shop"})}
	if r != nil {
		r.MustRegister(m.age)
	}
	return m
}

// Engine computes each shop's lists anew every day of business time, in the background: a page of products or buyers per
// Step, one shop at a time, in memory bounded by the shop's catalogue and MostPair. A run that was cut off begins anew;
// until it ends, the lists of the run before are used. The process that holds the shop's lane computes. One goroutine
// calls Step.
type Engine struct {
	mirror *mirror.Mirror
	leases *store.Leases
	o      Options
	run    *run
}

// NewEngine makes one; leases are those of the lanes.
func NewEngine(m *mirror.Mirror, l *store.Leases, o Options) *Engine {
	if o.Every == 0 {
		o.Every = standardEvery
	}
	if o.MostPair == 0 {
		o.MostPair = standardPairs
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics(nil)
	}
	return &Engine{mirror: m, leases: l, o: o}
}

// run is one computation.
type run struct {
	shop    mirror.Shop
	lane    string // the lease that lets this process write
	now     crm.Instant
	c       *catalogue
	phase   phase
	product string // the last one read
	contact int64  // the last one read
	pairs   *pairs
	pending []list // to be written
	strong  int64  // pairs found
}

// Step does one page of a run, or begins one that is due. It implements loop.Step; now is business time.
func (e *Engine) Step(ctx context.Context, now time.Time) (next time.Time, worked bool, err error) {
	if e.run == nil {
		if next, err = e.begin(ctx, crm.At(now)); err != nil || e.run == nil {
			return next, false, err
		}
	}
	if !slices.Contains(e.leases.Held(), e.run.lane) { // it is somebody else's now
		e.run = nil
		return now, true, nil
	}
	done, err := e.run.step(ctx, e)
	switch {
	case err != nil:
		shop := e.run.shop.Name
		e.run = nil // what it had read may be half a page: it begins anew
		return now.Add(idle), false, fmt.Errorf("computing recommendations of shop %s: %w", shop, err)
	case done:
		e.o.Log.Debug("recommendations computed", zap.String("shop", e.run.shop.Name), zap.Int64("buyers", e.run.c.buyers), zap.Int64("pairs", e.run.strong))
		e.run = nil
	}
	return now, true, nil
}

// begin looks for a shop whose lists are to be computed.
func (e *Engine) begin(ctx context.Context, now crm.Instant) (next time.Time, err error) {
	next = now.Add(idle).Time()
	shops, err := e.mirror.Shops(ctx)
	if err != nil {
		return next, err
	}
	var rows []struct {
		ShopID     int64       `db:"shop_id"`
		ComputedAt crm.Instant `db:"computed_at"`
	}
	if err := e.mirror.DB().Read().SelectContext(ctx, &rows, "SELECT shop_id, computed_at FROM pick_runs"); err != nil {
		return next, fmt.Errorf("reading when recommendations were computed: %w", err)
	}
	computed := map[int64]crm.Instant{}
	for _, r := range rows {
		computed[r.ShopID] = r.ComputedAt
	}
	held := e.leases.Held()
	for _, s := range shops {
		lane := store.LaneLease(crm.LaneOf(s.ID))
		if s.BackfilledAt == 0 || !slices.Contains(held, lane) {
			continue
		}
		at := computed[s.ID]
		if at > 0 {
			e.o.Metrics.age.WithLabelValues(s.Name).Set(float64(now-at) / 1000)
		}
		if e.run == nil && (at == 0 || at.Add(e.o.Every) <= now) {
			e.run = &run{shop: s, lane: lane, now: now, c: newCatalogue(), phase: readCatalogue}
		}
	}
	return next, nil
}

// phase does a page of one part of a run; next is the part that follows, nil at the end of all.
type phase func(ctx context.Context, e *Engine, r *run) (next phase, err error)

func (r *run) step(ctx context.Context, e *Engine) (done bool, err error) {
	r.phase, err = r.phase(ctx, e, r)
	return r.phase == nil, err
}

// readCatalogue reads a page of products.
func readCatalogue(ctx context.Context, e *Engine, r *run) (phase, error) {
	q := e.mirror.DB().Read()
	ids, err := e.mirror.ProductIDs(ctx, q, r.shop.ID, r.product, pageRows)
	if err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		return countBuyers, nil
	}
	r.product = ids[len(ids)-1]
	keys := make([]mirror.RecordKey, len(ids))
	for i, id := range ids {
		keys[i] = mirror.RecordKey{ShopID: r.shop.ID, ID: id}
	}
	page, err := e.mirror.Offers(ctx, q, keys)
	if err != nil {
		return nil, err
	}
	categories, err := e.mirror.CategoriesOf(ctx, q, keys)
	if err != nil {
		return nil, err
	}
	r.c.take(page, categories)
	return readCatalogue, nil
}

// buyers hands what each buyer of the next page bought to take; end tells that there are no more.
func (r *run) buyers(ctx context.Context, e *Engine, take func([]bought)) (end bool, err error) {
	q := e.mirror.DB().Read()
	contacts, reached, err := e.mirror.BuyersIn(ctx, q, r.shop.ID, r.contact, pageRows)
	if err != nil {
		return false, err
	}
	lines, err := e.mirror.Baskets(ctx, q, r.shop.ID, contacts)
	if err != nil {
		return false, err
	}
	for len(lines) > 0 {
		n := 1
		for n < len(lines) && lines[n].ContactID == lines[0].ContactID {
			n++
		}
		take(fold(lines[:n], r.c))
		lines = lines[n:]
	}
	r.contact = reached
	return reached == 0, nil
}

// countBuyers counts who bought each product.
func countBuyers(ctx context.Context, e *Engine, r *run) (phase, error) {
	end, err := r.buyers(ctx, e, func(all []bought) { r.c.count(all, r.now) })
	if err != nil || !end {
		return countBuyers, err
	}
	r.pairs = &pairs{counts: map[pair]int64{}, parts: 1, most: e.o.MostPair}
	return countPairs, nil
}

// countPairs counts who bought which two, for one part of the catalogue.
func countPairs(ctx context.Context, e *Engine, r *run) (phase, error) {
	end, err := r.buyers(ctx, e, func(all []bought) { r.pairs.take(r.c, all) })
	if err != nil || !end {
		return countPairs, err
	}
	strong := r.pairs.strong(r.c)
	for _, n := range slices.Sorted(maps.Keys(strong)) {
		r.strong += int64(len(strong[n]))
		r.pending = append(r.pending, list{scope: scopeProduct(r.c.products[n].id), size: r.c.products[n].buyers, picks: strong[n]})
	}
	if r.pairs.part++; r.pairs.part < r.pairs.parts {
		clear(r.pairs.counts)
		return writing(countPairs), nil
	}
	r.pairs = nil
	r.pending = append(r.pending, r.c.best()...)
	return writing(dropOld), nil
}

// writing writes what is pending, a transaction a step, and goes on with then.
func writing(then phase) phase {
	var self phase
	self = func(ctx context.Context, e *Engine, r *run) (phase, error) {
		some := r.pending[:min(len(r.pending), writeLists)]
		if err := r.write(ctx, e, some); err != nil {
			return nil, err
		}
		if r.pending = r.pending[len(some):]; len(r.pending) > 0 {
			return self, nil
		}
		r.pending = nil
		return then, nil
	}
	return self
}

func (r *run) write(ctx context.Context, e *Engine, some []list) error {
	rows := make([][]any, 0, len(some))
	for _, l := range some {
		raw, err := json.Marshal(l.picks)
		if err != nil {
			return fmt.Errorf("writing a list: %w", err)
		}
		rows = append(rows, []any{r.shop.ID, l.scope, l.size, string(raw), r.now})
	}
	return e.mirror.DB().WriteBackground(ctx, "recommend.lists", func(tx *store.Tx) error {
		if err := e.leases.Fence(ctx, tx, r.lane); err != nil {
			return err
		}
		return tx.Upsert(ctx, "pick_lists", []string{"shop_id", "scope"}, []string{"shop_id", "scope", "size", "picks", "computed_at"}, rows)
	})
}

// dropOld removes lists that this run did not find again, then notes that it is over.
func dropOld(ctx context.Context, e *Engine, r *run) (phase, error) {
	var old []string
	if err := e.mirror.DB().Read().SelectContext(ctx, &old, "SELECT scope FROM pick_lists WHERE shop_id=? AND computed_at<>? LIMIT ?", r.shop.ID, r.now, writeLists); err != nil {
		return nil, fmt.Errorf("reading old lists: %w", err)
	}
	err := e.mirror.DB().WriteBackground(ctx, "recommend.done", func(tx *store.Tx) error {
		if err := e.leases.Fence(ctx, tx, r.lane); err != nil {
			return err
		}
		if len(old) > 0 {
			text, args, err := store.In("DELETE FROM pick_lists WHERE shop_id=? AND scope IN (?)", r.shop.ID, old)
			if err == nil {
				_, err = tx.ExecContext(ctx, text, args...)
			}
			return err
		}
		return tx.Upsert(ctx, "pick_runs", []string{"shop_id"}, []string{"shop_id", "computed_at", "buyers", "products", "pairs"},
			[][]any{{r.shop.ID, r.now, r.c.buyers, int64(len(r.c.products)), r.strong}})
	})
	if err != nil || len(old) == 0 {
		return nil, err
	}
	return dropOld, nil
}
