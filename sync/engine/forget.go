package engine

import "github.com/prometheus/client_golang/prometheus"

// Forget drops what is measured of a shop that is read no more: its ages would stand still. Its counters stay.
func (m *Metrics) Forget(shop string) {
	for _, g := range []*prometheus.GaugeVec{m.lags, m.busy, m.done, m.total} {
		g.DeletePartialMatch(prometheus.Labels{"shop": shop})
	}
}
