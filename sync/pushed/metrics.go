package pushed

import "github.com/prometheus/client_golang/prometheus"

// The closed set of outcomes of a request.
const (
	taken       = "taken"
	badFormat   = "bad_format"
	refused     = "bad_signature"
	tooLarge    = "too_large"
	busy        = "busy"
	unknownShop = "unknown_shop"
	failed      = "not_stored"
)

// Metrics counts what was sent.
type Metrics struct {
	requests *prometheus.CounterVec
	records  *prometheus.CounterVec
}

// NewMetrics registers the counters.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "relance_push_requests_total",
			Help: "Requests to the push API by what became of them; an unknown shop's have no shop.",
		}, []string{"shop", "outcome"}),
		records: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "relance_push_records_total",
			Help: "Records sent to the push API by what became of them (applied, unchanged, rejected).",
		}, []string{"shop", "status"}),
	}
	reg.MustRegister(m.requests, m.records)
	return m
}

func (m *Metrics) request(shop, outcome string) { m.requests.WithLabelValues(shop, outcome).Inc() }

func (m *Metrics) results(shop string, rs []Result) {
	for _, r := range rs {
		m.records.WithLabelValues(shop, r.Status).Inc()
	}
}
