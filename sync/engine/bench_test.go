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

// BenchmarkBackfill100k reads a shop of 100 000 orders for the first time and, as the floor, writes the rows that came of
// it with bare upserts in as many transactions, on the same engine in the same run. ratio-to-floor is floor time ÷ our
// time, both without the JSON, whose decoding is given apart. The heap is what is live after a tenth, and at the end.
func BenchmarkBackfill100k(b *testing.B) {
	for _, dialect := range []store.Dialect{store.SQLite, store.MySQL} {
		b.Run(string(dialect), func(b *testing.B) {
			for b.Loop() {
				backfill(b, dialect)
			}
		})
	}
}

func backfill(b *testing.B, dialect store.Dialect) {
	db := servers.Open(b, dialect, store.Options{})
	m := mirror.New(db)
	if _, err := m.EnsureAudience(b.Context(), "default", "Default"); err != nil {
		b.Fatal(err)
	}
	shop, err := m.EnsureShop(b.Context(), mirror.ShopSpec{Name: "boutique", Audience: "default", Platform: "woocommerce", Zone: "Europe/Paris"})
	if err != nil {
		b.Fatal(err)
	}
	src := &bulk{rnd: rand.New(rand.NewPCG(1, 2))}
	e := engine.New(engine.Options{Mirror: m, Leases: store.NewLeases(db, "bench", time.Hour), Shop: shop, Source: src})
	now, pages := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC), 0
	heaps := map[int]float64{}
	start, measuring := time.Now(), time.Duration(0)
	for done := false; !done; {
		_, worked, err := e.Step(b.Context(), now)
		if err != nil {
			b.Fatal(err)
		}
		if pages++; !worked {
			done = true
		}
		if pages == (backfillOrders+backfillPeople)/1000 || done {
			at := time.Now()
			heaps[len(heaps)] = liveHeap()
			measuring += time.Since(at)
		}
	}
	ours := time.Since(start) - measuring - src.making - src.decoding
	floor, rows := bare(b, db, servers.Open(b, dialect, store.Options{}), pages)
	if n := rows["orders"]; n != backfillOrders {
		b.Fatalf("%d orders", n)
	}
	all := 0
	for _, n := range rows {
		all += n
	}
	b.ReportMetric(float64(floor)/float64(ours), "ratio-to-floor")
	b.ReportMetric(float64(all)/ours.Seconds(), "rows/s")
	b.ReportMetric(float64(all)/floor.Seconds(), "floor-rows/s")
	b.ReportMetric(backfillOrders/ours.Seconds(), "orders/s")
	b.ReportMetric(src.decoding.Seconds(), "decoding-s")
	b.ReportMetric(ours.Seconds(), "ours-s")
	b.ReportMetric(heaps[0], "heap-MB-at-10%")
	b.ReportMetric(heaps[1], "heap-MB-at-end")
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
	from, _ := strconv.Atoi(string(after))
	all := map[string]int{"customers": backfillPeople, "orders": backfillOrders}[stream]
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
		if r.Customer, r.Email, meta = 1+s.rnd.IntN(backfillPeople), "", 20; s.rnd.IntN(3) == 0 {
			r.Customer, r.Email = 0, fmt.Sprintf("guest%d@example.com", s.rnd.IntN(backfillPeople))
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

// bareTable is what came of the backfill in one table.
type bareTable struct {
	name string
	keys []string
	cols []string
	rows [][]any
}

// bare writes what is in one database into another with upserts alone, in as many transactions as given.
func bare(b *testing.B, from, to *store.DB, transactions int) (took time.Duration, rows map[string]int) {
	b.Helper()
	tables := []bareTable{
		{name: "customers", keys: []string{"shop_id", "id"}},
		{name: "addresses", keys: []string{"shop_id", "kind", "id"}},
		{name: "orders", keys: []string{"shop_id", "id"}},
		{name: "order_lines", keys: []string{"shop_id", "order_id", "line_id"}},
		{name: "refunds", keys: []string{"shop_id", "id"}},
		{name: "contacts", keys: []string{"id"}},
		{name: "contact_stats", keys: []string{"contact_id", "shop_id"}},
		{name: "dirty", keys: []string{"contact_id"}},
		{name: "source_records", keys: []string{"shop_id", "kind", "id"}},
	}
	rows = map[string]int{}
	for i := range tables {
		tables[i].dump(b, from)
		rows[tables[i].name] = len(tables[i].rows)
	}
	start := time.Now()
	for i := range transactions {
		if err := to.Write(b.Context(), "bench.bare", func(tx *store.Tx) error {
			for _, t := range tables {
				part := t.rows[len(t.rows)*i/transactions : len(t.rows)*(i+1)/transactions]
				if err := tx.Upsert(b.Context(), t.name, t.keys, t.cols, part); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(start), rows
}

func (t *bareTable) dump(b *testing.B, db *store.DB) {
	b.Helper()
	all, err := db.Read().QueryxContext(b.Context(), "SELECT * FROM "+t.name)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = all.Close() }() // read to its end
	if t.cols, err = all.Columns(); err != nil {
		b.Fatal(err)
	}
	for all.Next() {
		row, err := all.SliceScan()
		if err != nil {
			b.Fatal(err)
		}
		t.rows = append(t.rows, row)
	}
	if err := all.Err(); err != nil {
		b.Fatal(err)
	}
}
