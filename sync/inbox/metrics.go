package inbox

import "github.com/prometheus/client_golang/prometheus"

// The closed set of outcomes of a delivery.
const (
	stored      = "stored"
	pinged      = "ping"
	refused     = "bad_signature"
	tooLarge    = "too_large"
	unknownShop = "unknown_shop"
	failed      = "not_stored"
)

// Metrics counts deliveries.
type Metrics struct {
	webhooks *prometheus.CounterVec
}

// NewMetrics registers the counters.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{webhooks: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "relance_webhooks_total",
		Help: "Webhook deliveries by what became of them; an unknown shop's have no shop.",
	}, []string{"shop", "outcome"})}
	reg.MustRegister(m.webhooks)
	return m
}

func (m *Metrics) count(shop, outcome string) { m.webhooks.WithLabelValues(shop, outcome).Inc() }
