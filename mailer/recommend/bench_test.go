package recommend_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/mailer/recommend"
)

// BenchmarkCompute computes a shop with a million order lines, in the background as it would be: it prints how long that
// takes, how long its longest step does, and how much more memory is held at the most.
func BenchmarkCompute(b *testing.B) {
	for _, engine := range []store.Dialect{store.SQLite, store.MySQL} {
		b.Run(string(engine), func(b *testing.B) {
			w := newWorld(b, servers.Open(b, engine, store.Options{}))
			lines := w.crowd(200_000, 5_000)
			for b.Loop() {
				w.now = w.now.Add(25 * time.Hour)
				e := recommend.NewEngine(w.m, w.leases, recommend.Options{})
				runtime.GC()
				var before, now runtime.MemStats
				runtime.ReadMemStats(&before)
				begun, longest, most, steps := time.Now(), time.Duration(0), uint64(0), 0
				for worked := true; worked; steps++ {
					at := time.Now()
					var err error
					if _, worked, err = e.Step(b.Context(), w.now); err != nil {
						b.Fatal(err)
					}
					longest = max(longest, time.Since(at))
					if steps%50 == 0 {
						runtime.GC()
						runtime.ReadMemStats(&now)
						most = max(most, now.HeapAlloc)
					}
				}
				b.ReportMetric(time.Since(begun).Seconds(), "s")
				b.ReportMetric(float64(lines)/time.Since(begun).Seconds(), "lines/s")
				b.ReportMetric(float64(longest.Milliseconds()), "longest_ms")
				b.ReportMetric(float64(most-min(most, before.HeapAlloc))/1e6, "MB")
			}
		})
	}
}

// crowd gives buyers orders: some products are bought far more than others, and each has neighbours that go with it.
func (w *world) crowd(buyers, products int) (lines int) {
	r := rand.New(rand.NewPCG(1, 2))
	var goods []good
	for i := range products {
		goods = append(goods, good{id: fmt.Sprint(i + 1), status: "publish", price: 100, inStock: true, brand: fmt.Sprint("b", i%40), category: fmt.Sprint("c", i%100)})
	}
	w.add(goods...)
	for from := 0; from < buyers; from += 2000 {
		var sales []sale
		for c := from; c < from+2000; c++ {
			taste := int(float64(products) * r.Float64() * r.Float64())
			for o := range 1 + r.IntN(2) {
				s := sale{contact: int64(1000 + c), id: fmt.Sprintf("%d.%d", c, o), state: crm.StateCompleted, at: crm.At(w.now.Add(-time.Duration(r.IntN(700)) * 24 * time.Hour))}
				for range 1 + r.IntN(6) {
					s.products = append(s.products, goods[(taste+r.IntN(12)*r.IntN(12))%products].id)
				}
				lines += len(s.products)
				sales = append(sales, s)
			}
		}
		w.sell(sales...)
		w.sales = nil
	}
	return lines
}
