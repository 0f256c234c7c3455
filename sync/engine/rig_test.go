package engine_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/internal/store/storetest"
	"github.com/relance/relance/sync/engine"
)

var servers storetest.Servers //nolint:gochecknoglobals // one server per test binary

func TestMain(m *testing.M) { os.Exit(storetest.Main(m, &servers)) }

// odd is a source for what no recorded shop does; every function may be nil.
type odd struct {
	streams []connectors.Stream
	pull    func(ctx context.Context, stream string, after connectors.Cursor, size int) (connectors.Page, error)
	read    func(ctx context.Context, ref crm.Ref) (connectors.Page, error)
	probe   func(ctx context.Context) (connectors.ProbeResult, error)
}

func (o *odd) Streams() []connectors.Stream { return o.streams }

func (o *odd) Pull(ctx context.Context, stream string, after connectors.Cursor, size int) (connectors.Page, error) {
	if o.pull == nil {
		return connectors.Page{Total: 0}, nil
	}
	return o.pull(ctx, stream, after, size)
}

func (o *odd) Read(ctx context.Context, ref crm.Ref) (connectors.Page, error) {
	if o.read == nil {
		return connectors.Page{Total: -1}, nil
	}
	return o.read(ctx, ref)
}

func (o *odd) Probe(ctx context.Context) (connectors.ProbeResult, error) {
	if o.probe == nil {
		return connectors.ProbeResult{}, nil
	}
	return o.probe(ctx)
}

var orderStream = connectors.Stream{Name: "orders", Mode: connectors.ModeDelta, Every: time.Minute, Kind: crm.KindOrder} //nolint:gochecknoglobals // a constant

// rig is an engine on a database with both clocks in hand.
type rig struct {
	t      *testing.T
	db     *store.DB
	m      *mirror.Mirror
	leases *store.Leases
	shop   mirror.Shop
	e      *engine.Engine
	now    time.Time // business time
	wall   time.Time
	told   atomic.Int64 // now as the shop's own goroutines may read it
	seen   []engine.Progress
	logs   *observer.ObservedLogs
	reg    *prometheus.Registry
}

func newRig(t *testing.T, db *store.DB, src connectors.Source) *rig {
	t.Helper()
	r := &rig{t: t, db: db, m: mirror.New(db), leases: store.NewLeases(db, "here", time.Hour)}
	if _, err := r.m.EnsureAudience(t.Context(), "default", "Default"); err != nil {
		t.Fatal(err)
	}
	shop, err := r.m.EnsureShop(t.Context(), mirror.ShopSpec{Name: "boutique", Audience: "default", Platform: "woocommerce", Title: "Boutique", Address: "https://boutique.example.com", Zone: "Europe/Paris"})
	if err != nil {
		t.Fatal(err)
	}
	r.shop = shop
	r.at(time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC))
	if src != nil {
		r.restart(src)
	}
	return r
}

// newRigFor is a rig for one more shop of a database.
func newRigFor(t *testing.T, db *store.DB, shop mirror.Shop, src connectors.Source, now time.Time) *rig {
	t.Helper()
	r := &rig{t: t, db: db, m: mirror.New(db), leases: store.NewLeases(db, "here too", time.Hour), shop: shop}
	r.at(now)
	r.restart(src)
	return r
}

func (r *rig) at(now time.Time) {
	r.now, r.wall = now, now
	r.told.Store(now.UnixNano())
}

// restart makes a new engine on the same database, as a new process would.
func (r *rig) restart(src connectors.Source) {
	core, logs := observer.New(zap.InfoLevel)
	r.logs, r.reg = logs, prometheus.NewRegistry()
	r.e = engine.New(engine.Options{
		Mirror: r.m, Leases: r.leases, Shop: r.shop, Source: src, Log: zap.New(core), Metrics: engine.NewMetrics(r.reg),
		Progress: func(p engine.Progress) { r.seen = append(r.seen, p) },
		Wall:     func() time.Time { return r.wall },
	})
}

func (r *rig) step() (next time.Time, worked bool) {
	r.t.Helper()
	next, worked, err := r.e.Step(r.t.Context(), r.now)
	if err != nil {
		r.t.Fatalf("step: %v", err)
	}
	return next, worked
}

// idle steps until nothing is due at this instant.
func (r *rig) idle() {
	r.t.Helper()
	for range 5000 {
		if _, worked := r.step(); !worked {
			return
		}
	}
	r.t.Fatal("the engine never comes to rest")
}

// after moves both clocks and steps until nothing is due.
func (r *rig) after(d time.Duration) {
	r.t.Helper()
	r.at(r.now.Add(d))
	r.idle()
}

// settle lets time go by until everything has been read once.
func (r *rig) settle() {
	r.t.Helper()
	r.idle()
	for range 1000 {
		if done, err := r.e.CaughtUp(r.t.Context()); err != nil {
			r.t.Fatal(err)
		} else if done {
			return
		}
		r.after(5 * time.Second)
	}
	r.t.Fatalf("never caught up; streams: %+v", r.streams())
}

func (r *rig) streams() map[string]mirror.Stream {
	r.t.Helper()
	rows, err := r.m.Streams(r.t.Context(), r.shop.ID)
	if err != nil {
		r.t.Fatal(err)
	}
	out := map[string]mirror.Stream{}
	for _, s := range rows {
		out[s.Stream] = s
	}
	return out
}

func (r *rig) reload() mirror.Shop {
	r.t.Helper()
	s, err := r.m.ShopByName(r.t.Context(), r.shop.Name)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

func (r *rig) hint(refs ...crm.Ref) {
	r.t.Helper()
	if err := r.db.Write(r.t.Context(), "test", func(tx *store.Tx) error {
		return r.m.AddHints(r.t.Context(), tx, r.shop.ID, refs, crm.At(r.now))
	}); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) count(query string, args ...any) int {
	r.t.Helper()
	var n int
	if err := r.db.Read().GetContext(r.t.Context(), &n, query, args...); err != nil {
		r.t.Fatalf("%s: %v", query, err)
	}
	return n
}

// contents is every row of the tables that the mirror fills, to see whether anything was written.
func (r *rig) contents() string {
	r.t.Helper()
	var all []string
	for _, table := range []string{
		"contacts", "customers", "addresses", "optins", "orders", "order_lines", "refunds", "refund_lines", "carts", "cart_lines", "cart_versions",
		"products", "product_categories", "categories", "contact_stats", "consents", "consent_state", "dirty", "quarantine", "source_records",
	} {
		all = append(all, r.rows("SELECT * FROM "+table)...)
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// rows are the rows of a query as text.
func (r *rig) rows(query string) (all []string) {
	r.t.Helper()
	rows, err := r.db.Read().QueryxContext(r.t.Context(), query)
	if err != nil {
		r.t.Fatalf("%s: %v", query, err)
	}
	for rows.Next() {
		cells, err := rows.SliceScan()
		if err != nil {
			r.t.Fatal(err)
		}
		line := query
		for _, c := range cells {
			line += fmt.Sprintf(" %s", bytesOf(c))
		}
		all = append(all, line)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		r.t.Fatal(err)
	}
	return all
}

// bytesOf evens out how drivers give a cell.
func bytesOf(cell any) []byte {
	if b, ok := cell.([]byte); ok {
		return b
	}
	return fmt.Append(nil, cell)
}

// order is a small order as a source gives it.
func order(id, number string) crm.Fact {
	return crm.Fact{Ref: crm.Ref{Kind: crm.KindOrder, ID: id}, Body: &crm.Order{
		Number: number, Email: "Ada@Example.org", Status: "completed", State: crm.StateCompleted, CountsAsSale: true, Currency: "EUR",
		Goods: 1000, Total: 1000, TotalRaw: "10.00", PlacedAt: crm.At(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)),
	}}
}

func raw(f crm.Fact) connectors.RawRecord {
	return connectors.RawRecord{Ref: f.Ref, Body: []byte(`{"id":` + f.Ref.ID + `}`)}
}

func page(next string, more bool, facts ...crm.Fact) connectors.Page {
	p := connectors.Page{Facts: facts, Next: connectors.Cursor(next), More: more, Total: -1}
	for _, f := range facts {
		p.Raw = append(p.Raw, raw(f))
	}
	return p
}
