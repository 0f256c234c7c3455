package engine_test

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/relance/relance/internal/store"
)

const memoryPeople = 100_000

// BenchmarkMemory100k reads a shop of 100 000 customers and 100 000 orders into SQLite and says what the process holds
// meanwhile, the database's cache and the making of the shop's answers included. Run it alone: what other benchmarks of
// the process have used counts too.
func BenchmarkMemory100k(b *testing.B) {
	const pages = (memoryPeople + backfillOrders) / 100
	for b.Loop() {
		r := newBackfill(b, store.SQLite, memoryPeople)
		peak, at, next := 0.0, map[int]float64{}, pages/100
		for more := true; more; {
			more = r.step(b)
			if r.src.pulled < next && more {
				continue
			}
			mb := resident(b)
			at[100*next/pages], peak = mb, max(peak, mb)
			next += pages / 100
		}
		for _, percent := range []int{10, 25, 50, 75, 100} {
			b.ReportMetric(at[percent], "RSS-MB-at-"+strconv.Itoa(percent)+"%")
		}
		b.ReportMetric(peak, "RSS-MB-peak")
		b.ReportMetric(liveHeap(), "heap-MB-at-end")
	}
}

// resident is the process's resident memory, in MB. Only Linux says it.
func resident(b *testing.B) float64 {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip("the system does not say what a process holds: ", err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				b.Fatal(err)
			}
			return float64(kb) / 1024
		}
	}
	b.Fatal("/proc/self/status has no VmRSS")
	return 0
}
