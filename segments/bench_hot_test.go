package segments_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/segments/rule"
)

// BenchmarkWhale: one more order of a contact that has 50 000, to memberships of 50 segments; floor: loading its history.
func BenchmarkWhale(b *testing.B) {
	for _, engine := range []store.Dialect{store.SQLite, store.MySQL} {
		b.Run(string(engine), func(b *testing.B) {
			w := newWorld(b, engine)
			id := w.histories(b, 1000)[0]
			w.orders(b, id, 50_000)
			w.deploy(b, fifty(b)...)
			w.settle(b)
			var ours, floor rounds
			for n := 0; b.Loop(); n++ {
				w.now = w.now.Add(time.Minute)
				w.write(b, func(tx *store.Tx) error {
					return w.putOrder(tx, id, order{id: fmt.Sprintf("new-%d", n), at: w.now, total: 3000, sale: true})
				})
				floor.add(w.stream(b, []int64{id}, crm.Needs{Orders: true, Lines: true, Carts: true, Consents: true}))
				start := time.Now()
				w.settle(b)
				ours.add(time.Since(start))
			}
			report(b, 1, ours, floor)
			b.ReportMetric(ours.best.Seconds()*1000, "ms/change")
		})
	}
}

// BenchmarkMidnight: 20 000 contacts flip at one instant; floor: loading their histories.
func BenchmarkMidnight(b *testing.B) {
	for _, engine := range []store.Dialect{store.SQLite, store.MySQL} {
		b.Run(string(engine), func(b *testing.B) {
			w := newWorld(b, engine)
			ids := w.histories(b, 20_000)
			w.write(b, func(tx *store.Tx) error {
				_, err := tx.ExecContext(w.ctx, "UPDATE orders SET placed_at=?", w.now)
				return err
			})
			w.deploy(b, define(b, "lapsed", rule.Spec{Match: rule.Condition{LastPurchase: &rule.LastPurchase{OlderThan: "60d"}}}))
			w.settle(b)
			var ours, floor rounds
			for b.Loop() {
				floor.add(w.stream(b, ids, crm.Needs{Orders: true, Lines: true}))
				w.write(b, func(tx *store.Tx) error { // everybody ordered at one instant again
					if _, err := tx.ExecContext(w.ctx, "UPDATE orders SET placed_at=?", w.now); err != nil {
						return err
					}
					return w.mirror.MarkDirty(w.ctx, tx, ids, w.now, w.now, crm.CauseChange)
				})
				w.settle(b)
				w.now = w.now.Add(60*day + time.Second)
				start := time.Now()
				w.settle(b)
				ours.add(time.Since(start))
			}
			report(b, len(ids), ours, floor)
			b.ReportMetric(ours.best.Seconds(), "s/all")
		})
	}
}

// orders gives a contact n more orders of 2 lines each.
func (w *world) orders(b *testing.B, contact int64, n int) {
	b.Helper()
	for from := 0; from < n; from += 1000 {
		w.write(b, func(tx *store.Tx) error {
			var orders, lines [][]any
			for i := from; i < min(from+1000, n); i++ {
				id := fmt.Sprintf("w%d", i)
				orders = append(orders, []any{1, id, contact, "completed", 1, "EUR", 4000, w.now.Add(-time.Duration(i) * 10 * time.Minute), "", ""})
				for l := range 2 {
					lines = append(lines, []any{1, id, fmt.Sprint(l), fmt.Sprint((i + l) % 50), 1, 2000})
				}
			}
			if err := tx.Insert(w.ctx, "orders",
				[]string{"shop_id", "id", "contact_id", "state", "counts_as_sale", "currency", "total", "placed_at", "coupons", "attribution"}, orders); err != nil {
				return err
			}
			return tx.Insert(w.ctx, "order_lines", []string{"shop_id", "order_id", "line_id", "product_id", "quantity", "total"}, lines)
		})
	}
}
