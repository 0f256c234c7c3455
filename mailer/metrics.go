package mailer

import (
	"github.com/prometheus/client_golang/prometheus"
)

// Metrics of the mailer. Its labels are closed sets; campaign ids are the operator's own.
type Metrics struct {
	sends      *prometheus.CounterVec
	rows       *prometheus.GaugeVec
	lateness   prometheus.Histogram
	enrolments *prometheus.CounterVec
	paused     prometheus.Gauge
	coupons    *prometheus.GaugeVec
	stopped    *prometheus.GaugeVec
	breaks     *prometheus.CounterVec
	bounced    *prometheus.GaugeVec
	complained *prometheus.GaugeVec
	feedback   feedbackMetrics
	inFlight   *prometheus.GaugeVec
	limit      *prometheus.GaugeVec
	calls      *prometheus.CounterVec
	attributed *prometheus.CounterVec
}

// NewMetrics registers them; a nil registerer makes metrics that nobody sees.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		sends: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "relance_sends_total", Help: "Moves of sends in the ledger, by the state reached and the reason.",
		}, []string{"state", "reason"}),
		rows: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "relance_sends_rows", Help: "Sends that are not settled, by state.",
		}, []string{"state"}),
		lateness: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "relance_sends_lateness_seconds", Help: "From when a mail was due to when it was handed over, in business time.",
			Buckets: []float64{.1, .5, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600},
		}),
		enrolments: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "relance_campaign_enrolments_total", Help: "Entries into the segment of a campaign, by what became of them.",
		}, []string{"campaign", "outcome"}),
		paused: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "relance_sends_paused", Help: "1 while nothing is sent because sending is switched off or a provider refuses us.",
		}),
		stopped: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "relance_campaign_paused", Help: "1 while a campaign is paused, by a person or by its breaker.",
		}, []string{"campaign"}),
		breaks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "relance_campaign_breaks_total", Help: "Times that a campaign was paused because too many of its mails came back or were complained about.",
		}, []string{"campaign", "cause"}),
		bounced: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "relance_campaign_bounced_ratio", Help: "Share of a campaign's mails of the last 7 days that bounced for good.",
		}, []string{"campaign"}),
		complained: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "relance_campaign_complained_ratio", Help: "Share of a campaign's mails of the last 7 days that were complained about.",
		}, []string{"campaign"}),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "relance_provider_in_flight", Help: "Mails of an audience that its provider has not answered yet.",
		}, []string{"audience"}),
		limit: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "relance_provider_limit", Help: "How many mails of an audience may be under way at once; it adapts to the provider.",
		}, []string{"audience"}),
	}
	m.calls = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "relance_calls_total", Help: "Calls of web services by campaigns: done, failed (tried again), parked (given up) or dropped (contact or step gone).",
	}, []string{"outcome"})
	for _, outcome := range []string{callDone, "failed", callParked, callDropped} {
		m.calls.WithLabelValues(outcome)
	}
	m.attributed = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "relance_attributed_orders_total", Help: "Orders credited to a mail, by how it is known: code or click. Refunds and cancellations are not taken back here.",
	}, []string{"how"})
	for _, how := range []string{byCode, byClick} {
		m.attributed.WithLabelValues(how)
	}
	for _, s := range States() {
		for _, reason := range append(Reasons(s), NoReason) {
			m.sends.WithLabelValues(string(s), string(reason))
		}
		if !s.Terminal() {
			m.rows.WithLabelValues(string(s))
		}
	}
	m.coupons = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "relance_coupons_left", Help: "Codes of a list that are free; campaign@shop is what a shop makes for a campaign.",
	}, []string{"list"})
	m.feedback = newFeedbackMetrics(r)
	if r != nil {
		r.MustRegister(m.sends, m.rows, m.lateness, m.enrolments, m.paused, m.stopped, m.breaks, m.bounced, m.complained, m.inFlight, m.limit, m.calls, m.coupons, m.attributed)
	}
	return m
}

// campaign shows how a campaign does.
func (m *Metrics) campaign(id, state string, h Health) {
	stopped := 0.0
	if state == CampaignPaused {
		stopped = 1
	}
	m.stopped.WithLabelValues(id).Set(stopped)
	m.bounced.WithLabelValues(id).Set(h.BouncedPercent() / 100)
	m.complained.WithLabelValues(id).Set(h.ComplainedPercent() / 100)
}
