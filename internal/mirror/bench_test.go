package mirror_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

const (
	benchPage   = 100
	benchOrders = 6000
	benchPeople = 3000
)

// BenchmarkMirrorWrites applies the backfill of a synthetic shop and, as the floor, writes the rows that came of it with
// bare upserts in as many transactions, on the same engine in the same run. ratio-to-floor is floor time ÷ our time.
// Ours includes encoding, hashing, comparing, contacts, statistics, dirty marks and compressing the raw bodies; JSON
// decoding is the connectors'. Rows that ours writes more than once (contacts, statistics) the floor writes once.
func BenchmarkMirrorWrites(b *testing.B) {
	for _, engine := range []store.Dialect{store.SQLite, store.MySQL} {
		b.Run(string(engine), func(b *testing.B) {
			ours, floor := time.Hour, time.Hour // the best of all rounds: neighbours on the machine only ever slow one down
			rows := 0
			for b.Loop() {
				warm(b, servers.Open(b, engine, store.Options{}))
				db := servers.Open(b, engine, store.Options{})
				bench := newBench(b, db)
				pages := benchPages()
				start := time.Now()
				for _, p := range pages {
					bench.at += 1000
					bench.apply(p)
				}
				ours = min(ours, time.Since(start))
				tables := dumpTables(b, db)
				bare := servers.Open(b, engine, store.Options{})
				start = time.Now()
				rows = writeBare(b, bare, tables, len(pages))
				floor = min(floor, time.Since(start))
			}
			b.ReportMetric(float64(floor)/float64(ours), "ratio-to-floor")
			b.ReportMetric(float64(rows)/ours.Seconds(), "rows/s")
			b.ReportMetric(float64(rows)/floor.Seconds(), "floor-rows/s")
		})
	}
}

// warm lets the engine touch its files once before anything is measured.
func warm(b *testing.B, db *store.DB) {
	bench := newBench(b, db)
	for _, p := range benchPages()[:3] {
		bench.at += 1000
		bench.apply(p)
	}
}

func benchPages() []mirror.Batch {
	rnd := rand.New(rand.NewPCG(1, 2))
	var pages []mirror.Batch
	page := mirror.Batch{Cause: crm.CauseBackfill}
	records := 0
	add := func(raw string, facts ...crm.Fact) {
		page.Facts = append(page.Facts, facts...)
		page.Raw = append(page.Raw, connectors.RawRecord{Ref: facts[0].Ref, Body: []byte(raw)})
		if records++; records%benchPage == 0 {
			pages = append(pages, page)
			page = mirror.Batch{Cause: crm.CauseBackfill}
		}
	}
	for i := range benchPeople {
		c := customer(i, fmt.Sprintf("person%d@example.com", i))
		add(benchBody(rnd, 900), c, crm.Fact{Ref: c.Ref, Body: &crm.Address{Line1: "1 rue de la Paix", City: "Lyon", Postcode: "69001", Country: "FR"}})
	}
	for i := range benchOrders {
		account, email := fmt.Sprint(rnd.IntN(benchPeople)), ""
		if rnd.IntN(3) == 0 {
			account, email = "", fmt.Sprintf("guest%d@example.com", rnd.IntN(benchPeople))
		}
		o := order(i, account, email, 4200)
		body := o.Body.(*crm.Order)
		for l := range rnd.IntN(4) {
			body.Lines = append(body.Lines, crm.Line{ID: fmt.Sprint(l + 2), ProductID: fmt.Sprint(rnd.IntN(500)), SKU: "SKU-1", Name: "Robe longue en lin", Quantity: 1, Total: 1400})
		}
		facts := []crm.Fact{o, {Ref: crm.Ref{Kind: crm.KindCart, ID: o.Ref.ID}, Gone: true, Body: &crm.Cart{ClosedBy: "ordered", ClosedAt: body.PlacedAt}}}
		if rnd.IntN(20) == 0 {
			facts = append(facts, refund(100000+i, i, 1000))
		}
		add(benchBody(rnd, 2500), facts...)
	}
	return pages
}

// benchBody is as long and as compressible as a recorded order.
func benchBody(rnd *rand.Rand, size int) string {
	var b strings.Builder
	for b.Len() < size {
		fmt.Fprintf(&b, `{"id":%d,"key":"_field_%d","value":"%x","display_value":"","taxes":[],"meta_data":[]},`, rnd.IntN(100000), rnd.IntN(30), rnd.Uint64())
	}
	return b.String()
}

type tableRows struct {
	name string
	keys []string
	cols []string
	rows [][]any
}

func dumpTables(b *testing.B, db *store.DB) []tableRows {
	tables := []tableRows{
		{name: "customers", keys: []string{"shop_id", "id"}},
		{name: "addresses", keys: []string{"shop_id", "kind", "id"}},
		{name: "orders", keys: []string{"shop_id", "id"}},
		{name: "order_lines", keys: []string{"shop_id", "order_id", "line_id"}},
		{name: "refunds", keys: []string{"shop_id", "id"}},
		{name: "refund_lines", keys: []string{"shop_id", "refund_id", "line_id"}},
		{name: "contacts", keys: []string{"id"}},
		{name: "contact_stats", keys: []string{"contact_id", "shop_id"}},
		{name: "dirty", keys: []string{"contact_id"}},
		{name: "source_records", keys: []string{"shop_id", "kind", "id"}},
	}
	for i := range tables {
		t := &tables[i]
		rows, err := db.Read().QueryxContext(b.Context(), "SELECT * FROM "+t.name)
		if err != nil {
			b.Fatal(err)
		}
		if t.cols, err = rows.Columns(); err != nil {
			b.Fatal(err)
		}
		for rows.Next() {
			row, err := rows.SliceScan()
			if err != nil {
				b.Fatal(err)
			}
			t.rows = append(t.rows, row)
		}
		if err := rows.Close(); err != nil {
			b.Fatal(err)
		}
	}
	return tables
}

func writeBare(b *testing.B, db *store.DB, tables []tableRows, transactions int) (n int) {
	for i := range transactions {
		if err := db.Write(b.Context(), "bench.bare", func(tx *store.Tx) error {
			for _, t := range tables {
				part := t.rows[len(t.rows)*i/transactions : len(t.rows)*(i+1)/transactions]
				if err := tx.Upsert(b.Context(), t.name, t.keys, t.cols, part); err != nil {
					return err
				}
				n += len(part)
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
	return n
}
