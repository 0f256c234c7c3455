package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/sync/engine"
)

const (
	backfillOrders = 100_000
	backfillPeople = 30_000
)

// BenchmarkBackfill100k reads a shop of 100 000 orders for the first time. The floor writes the very rows that came of it
// with bare upserts, each in the transaction in which the backfill wrote it first; both go side by side, a few pages each in
// turn, so that whoever else uses the machine slows both. ratio-to-floor is floor time ÷ our time, both without the JSON,
// whose decoding is given apart. The heap is what is live after a tenth, and at the end, of a run of its own.
func BenchmarkBackfill100k(b *testing.B) {
	for _, dialect := range []store.Dialect{store.SQLite, store.MySQL} {
		b.Run(string(dialect), func(b *testing.B) {
			for b.Loop() {
				backfill(b, dialect)
			}
		})
	}
}

const benchTurn = 10 // pages that one of the two writes before the other has its turn

func backfill(b *testing.B, dialect store.Dialect) {
	recorded := newBackfill(b, dialect, backfillPeople)
	heaps := map[int]float64{}
	for recorded.step(b) {
		if recorded.src.pulled == (backfillOrders+backfillPeople)/1000 {
			heaps[0] = liveHeap()
		}
	}
	heaps[1] = liveHeap()
	floor := newFloor(b, recorded.db, servers.Open(b, dialect, store.Options{}))
	ours := newBackfill(b, dialect, backfillPeople)
	for pages, more := 0, true; more; {
		if more = ours.step(b); ours.src.pulled >= pages+benchTurn || !more {
			pages = ours.src.pulled
			floor.write(b, pages)
		}
	}
	if n := floor.rows["orders"]; n != backfillOrders {
		b.Fatalf("%d orders", n)
	}
	all := 0
	for _, n := range floor.rows {
		all += n
	}
	took := ours.took - ours.src.making - ours.src.decoding
	b.ReportMetric(float64(floor.took)/float64(took), "ratio-to-floor")
	b.ReportMetric(float64(all)/took.Seconds(), "rows/s")
	b.ReportMetric(float64(all)/floor.took.Seconds(), "floor-rows/s")
	b.ReportMetric(backfillOrders/took.Seconds(), "orders/s")
	b.ReportMetric(ours.src.decoding.Seconds(), "decoding-s")
	b.ReportMetric(took.Seconds(), "ours-s")
	b.ReportMetric(heaps[0], "heap-MB-at-10%")
	b.ReportMetric(heaps[1], "heap-MB-at-end")
}

// running is one first read of the shop.
type running struct {
	db   *store.DB
	src  *bulk
	e    *engine.Engine
	took time.Duration
}

func newBackfill(b *testing.B, dialect store.Dialect, people int) *running {
	b.Helper()
	r := &running{db: servers.Open(b, dialect, store.Options{}), src: &bulk{people: people, rnd: rand.New(rand.NewPCG(1, 2))}}
	m := mirror.New(r.db)
	if _, err := m.EnsureAudience(b.Context(), "default", "Default"); err != nil {
		b.Fatal(err)
	}
	shop, err := m.EnsureShop(b.Context(), mirror.ShopSpec{Name: "boutique", Audience: "default", Platform: "woocommerce", Zone: "Europe/Paris"})
	if err != nil {
		b.Fatal(err)
	}
	r.e = engine.New(engine.Options{Mirror: m, Leases: store.NewLeases(r.db, "bench", time.Hour), Shop: shop, Source: r.src})
	return r
}

// step tells whether there is more to read.
func (r *running) step(b *testing.B) bool {
	b.Helper()
	start := time.Now()
	_, worked, err := r.e.Step(b.Context(), time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC))
	if err != nil {
		b.Fatal(err)
	}
	r.took += time.Since(start)
	return worked
}

func liveHeap() float64 {
	var s runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&s)
	return float64(s.HeapAlloc) / (1 << 20)
}

// bulk is a shop of many customers and orders, made page by page and decoded from JSON as a connector would.
type bulk struct {
	rnd              *rand.Rand
	people           int
	pulled           int // pages
	making, decoding time.Duration
}

type bulkRecord struct {
	ID       int        `json:"id"`
	Customer int        `json:"customer_id"`
	Email    string     `json:"email"`
	Total    int64      `json:"total"`
	Lines    []crm.Line `json:"line_items"`
	Refund   int64      `json:"refund"`
	Meta     []struct {
		ID    int    `json:"id"`
		Key   string `json:"key"`
		Value string `json:"value"`
	} `json:"meta_data"`
}

func (s *bulk) Streams() []connectors.Stream {
	return []connectors.Stream{
		{Name: "customers", Mode: connectors.ModeCrawl, Every: 6 * time.Hour, Kind: crm.KindCustomer},
		{Name: "orders", Mode: connectors.ModeDelta, Every: time.Hour, Kind: crm.KindOrder},
	}
}

func (s *bulk) Pull(_ context.Context, stream string, after connectors.Cursor, size int) (connectors.Page, error) {
	start := time.Now()
	s.pulled++
	from, _ := strconv.Atoi(string(after))
	all := map[string]int{"customers": s.people, "orders": backfillOrders}[stream]
	to := min(from+size, all)
	bodies := make([]json.RawMessage, 0, size)
	for i := from; i < to; i++ {
		bodies = append(bodies, s.body(i, stream == "orders"))
	}
	answer, err := json.Marshal(bodies)
	if err != nil {
		return connectors.Page{}, err
	}
	s.making += time.Since(start)
	start = time.Now()
	var raws []json.RawMessage
	if err := json.Unmarshal(answer, &raws); err != nil {
		return connectors.Page{}, err
	}
	records := make([]bulkRecord, len(raws))
	for i, raw := range raws {
		if err := json.Unmarshal(raw, &records[i]); err != nil {
			return connectors.Page{}, err
		}
	}
	s.decoding += time.Since(start)
	p := connectors.Page{Next: connectors.Cursor(strconv.Itoa(to)), More: to < all, Total: all}
	for i, r := range records {
		facts := r.facts(stream == "orders")
		p.Facts = append(p.Facts, facts...)
		p.Raw = append(p.Raw, connectors.RawRecord{Ref: facts[0].Ref, Body: raws[i]})
	}
	return p, nil
}

// body is as long and as compressible as a recorded one.
func (s *bulk) body(i int, order bool) json.RawMessage {
	r := bulkRecord{ID: i + 1, Email: fmt.Sprintf("person%d@example.com", i), Total: 4200}
	meta := 5
	if order {
		if r.Customer, r.Email, meta = 1+s.rnd.IntN(s.people), "", 20; s.rnd.IntN(3) == 0 {
			r.Customer, r.Email = 0, fmt.Sprintf("guest%d@example.com", s.rnd.IntN(s.people))
		}
		for l := range 1 + s.rnd.IntN(4) {
			r.Lines = append(r.Lines, crm.Line{ID: strconv.Itoa(l + 1), ProductID: strconv.Itoa(s.rnd.IntN(500)), SKU: "SKU-1", Name: "Robe longue en lin", Quantity: 1, Total: 1400})
		}
		if s.rnd.IntN(20) == 0 {
			r.Refund = 1000
		}
	}
	for k := range meta {
		r.Meta = append(r.Meta, struct {
			ID    int    `json:"id"`
			Key   string `json:"key"`
			Value string `json:"value"`
		}{s.rnd.IntN(100000), fmt.Sprintf("_field_%d", k), strconv.FormatUint(s.rnd.Uint64(), 16)})
	}
	body, err := json.Marshal(r)
	if err != nil {
		panic(err) // numbers and texts
	}
	return body
}

func (r bulkRecord) facts(order bool) []crm.Fact {
	id := strconv.Itoa(r.ID)
	if !order {
		ref := crm.Ref{Kind: crm.KindCustomer, ID: id}
		return []crm.Fact{
			{Ref: ref, Body: &crm.Customer{Email: r.Email, FirstName: "Ana", LastName: "Silva", RegisteredAt: crm.Instant(1_700_000_000_000 + r.ID)}},
			{Ref: ref, Body: &crm.Address{Line1: "1 rue de la Paix", City: "Lyon", Postcode: "69001", Country: "FR"}},
		}
	}
	placed := crm.Instant(1_700_000_000_000 + 60_000*r.ID)
	facts := []crm.Fact{{Ref: crm.Ref{Kind: crm.KindOrder, ID: id}, Body: &crm.Order{
		Number: id, CustomerID: strconv.Itoa(r.Customer), Email: r.Email, Status: "completed", State: crm.StateCompleted, CountsAsSale: true, Currency: "EUR",
		Goods: r.Total, Total: r.Total, TotalRaw: "42.00", PlacedAt: placed, PaidAt: placed, ModifiedAt: placed, Lines: r.Lines,
	}}}
	if r.Refund > 0 {
		facts = append(facts, crm.Fact{Ref: crm.Ref{Kind: crm.KindRefund, ID: id}, Body: &crm.Refund{OrderID: id, Amount: r.Refund, Currency: "EUR", At: placed}})
	}
	return facts
}

func (s *bulk) Read(context.Context, crm.Ref) (connectors.Page, error) {
	return connectors.Page{Total: -1}, nil
}

func (s *bulk) Probe(context.Context) (connectors.ProbeResult, error) {
	return connectors.ProbeResult{Zone: "Europe/Paris", Currency: "EUR"}, nil
}
