package engine_test

import (
	"testing"
	"time"

	"github.com/relance/relance/internal/store"
)

// bareTable is what came of a backfill in one table.
type bareTable struct {
	name string
	keys []string
	page string // SQL: the read that first wrote the row t
	cols []string
	rows [][]any
	ends []int // per page: where its rows end
}

func bareTables() []bareTable {
	return []bareTable{
		{name: "customers", keys: []string{"shop_id", "id"}, page: "t.observed_at"},
		{name: "addresses", keys: []string{"shop_id", "kind", "id"}, page: "t.observed_at"},
		{name: "orders", keys: []string{"shop_id", "id"}, page: "t.observed_at"},
		{name: "order_lines", keys: []string{"shop_id", "order_id", "line_id"}, page: "(SELECT o.observed_at FROM orders o WHERE o.shop_id=t.shop_id AND o.id=t.order_id)"},
		{name: "refunds", keys: []string{"shop_id", "id"}, page: "t.observed_at"},
		{name: "contacts", keys: []string{"id"}, page: firstRead("t.id", "customers", "orders")},
		{name: "contact_stats", keys: []string{"contact_id", "shop_id"}, page: firstRead("t.contact_id", "orders")},
		{name: "dirty", keys: []string{"contact_id"}, page: firstRead("t.contact_id", "customers", "orders")},
		{name: "source_records", keys: []string{"shop_id", "kind", "id"}, page: "t.read_at"},
	}
}

// firstRead is the first read that brought something of a contact.
func firstRead(contact string, tables ...string) string {
	first := ""
	for _, table := range tables {
		one := "COALESCE((SELECT MIN(x.observed_at) FROM " + table + " x WHERE x.contact_id=" + contact + "),9e15)"
		if first == "" {
			first = one
		} else {
			first = "CASE WHEN " + first + "<" + one + " THEN " + first + " ELSE " + one + " END"
		}
	}
	return first
}

// floor writes with upserts alone what a backfill wrote.
type floor struct {
	db     *store.DB
	tables []bareTable
	rows   map[string]int
	pages  int // written
	took   time.Duration
}

func newFloor(b *testing.B, from, to *store.DB) *floor {
	b.Helper()
	f := &floor{db: to, tables: bareTables(), rows: map[string]int{}}
	var reads []int64
	if err := from.Read().SelectContext(b.Context(), &reads, "SELECT DISTINCT read_at FROM source_records ORDER BY read_at"); err != nil {
		b.Fatal(err)
	}
	for i := range f.tables {
		f.tables[i].dump(b, from, reads)
		f.rows[f.tables[i].name] = len(f.tables[i].rows)
	}
	return f
}

// write writes up to the page.
func (f *floor) write(b *testing.B, upTo int) {
	b.Helper()
	start := time.Now()
	for ; f.pages < upTo; f.pages++ {
		if err := f.db.Write(b.Context(), "bench.bare", func(tx *store.Tx) error {
			for i := range f.tables {
				t := &f.tables[i]
				if err := tx.Upsert(b.Context(), t.name, t.keys, t.cols, t.ofPage(f.pages)); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
	f.took += time.Since(start)
}

func (t *bareTable) ofPage(n int) [][]any {
	if n == 0 {
		return t.rows[:t.ends[0]]
	}
	return t.rows[t.ends[n-1]:t.ends[n]]
}

// dump takes the rows in the order of the reads that wrote them.
func (t *bareTable) dump(b *testing.B, db *store.DB, reads []int64) {
	b.Helper()
	key := t.keys[len(t.keys)-1]
	all, err := db.Read().QueryxContext(b.Context(), "SELECT t.*, "+t.page+" AS page FROM "+t.name+" t ORDER BY page, LENGTH("+t.keys[min(1, len(t.keys)-1)]+"), "+key)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = all.Close() }() // read to its end
	cols, err := all.Columns()
	if err != nil {
		b.Fatal(err)
	}
	t.cols = cols[:len(cols)-1]
	for all.Next() {
		row, err := all.SliceScan()
		if err != nil {
			b.Fatal(err)
		}
		page, _ := row[len(t.cols)].(int64)
		for len(t.ends) < len(reads) && reads[len(t.ends)] < page {
			t.ends = append(t.ends, len(t.rows))
		}
		t.rows = append(t.rows, row[:len(t.cols)])
	}
	for len(t.ends) < len(reads) {
		t.ends = append(t.ends, len(t.rows))
	}
	if err := all.Err(); err != nil {
		b.Fatal(err)
	}
}
