package engine

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/internal/mirror"
)

// Metrics of all engines of a process; the label shop tells them apart.
type Metrics struct {
	lags     *prometheus.GaugeVec
	facets   *prometheus.CounterVec
	requests *prometheus.CounterVec
	hints    *prometheus.CounterVec
	tasks    *prometheus.CounterVec
	stuck    *prometheus.CounterVec
	busy     *prometheus.GaugeVec
	done     *prometheus.GaugeVec
	total    *prometheus.GaugeVec
}

// NewMetrics registers them.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &Metrics{
		lags:     gauge("relance_sync_lag_seconds", "Age of the newest complete read of a stream; absent before the first.", "shop", "stream"),
		facets:   counter("relance_sync_facets_total", "Facets read, by what the mirror did with them.", "shop", "result"),
		requests: counter("relance_sync_requests_total", "Pages, re-reads and probes asked of a shop: ok, or the class of the error.", "shop", "outcome"),
		hints:    counter("relance_sync_hints_total", "Re-reads by outcome; a parked one is tried no more.", "shop", "result"),
		tasks:    counter("relance_shop_tasks_total", "Acts in a shop by outcome; a parked one is tried no more.", "shop", "kind", "result"),
		stuck:    counter("relance_sync_stuck_total", "Requests given up by the watchdog; the stream goes on where it was.", "shop"),
		busy:     gauge("relance_shop_busy_ratio", "Share of the shop's time that Relance used over the last 10 minutes: the time its requests were under way.", "shop"),
		done:     gauge("relance_sync_progress_records", "Records seen by the run under way, or by the last one.", "shop", "stream"),
		total:    gauge("relance_sync_expected_records", "Records that the run will see, as the shop said; -1 when it did not.", "shop", "stream"),
	}
	reg.MustRegister(m.lags, m.facets, m.requests, m.hints, m.tasks, m.stuck, m.busy, m.done, m.total)
	return m
}

func (m *Metrics) lag(shop, stream string, readAt crm.Instant, now time.Time) {
	if readAt > 0 {
		m.lags.WithLabelValues(shop, stream).Set(now.Sub(readAt.Time()).Seconds())
	}
}

func (m *Metrics) applied(shop string, r mirror.Result) {
	m.facets.WithLabelValues(shop, "applied").Add(float64(r.Applied))
	m.facets.WithLabelValues(shop, "unchanged").Add(float64(r.Unchanged))
	m.facets.WithLabelValues(shop, "quarantined").Add(float64(r.Quarantined))
}

func (m *Metrics) requested(shop string, err error) {
	outcome := "ok"
	if err != nil {
		outcome = string(fault.ClassOf(err))
	}
	m.requests.WithLabelValues(shop, outcome).Inc()
}

func (m *Metrics) hinted(shop, result string) { m.hints.WithLabelValues(shop, result).Inc() }

func (m *Metrics) acted(shop, kind, result string) {
	if kind != connectors.TaskUnsubscribe && kind != connectors.TaskHooks {
		kind = "other"
	}
	m.tasks.WithLabelValues(shop, kind, result).Inc()
}

func (m *Metrics) stuckIn(shop string) { m.stuck.WithLabelValues(shop).Inc() }

func (m *Metrics) progress(p Progress) {
	m.done.WithLabelValues(p.Shop, p.Stream).Set(float64(p.Done))
	m.total.WithLabelValues(p.Shop, p.Stream).Set(float64(p.Total))
}
