package mailer

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/relance/relance/internal/crm"
)

// What became of a stored event: labels of relance_mail_events_total.
const (
	resultFact    = "fact"
	resultMachine = "machine" // a fact, too
	resultErased  = "erased"  // of somebody of whom nothing is known any more
)

type feedbackMetrics struct {
	events *prometheus.CounterVec
	rows   prometheus.Gauge
	oldest prometheus.Gauge
}

func newFeedbackMetrics(r prometheus.Registerer) feedbackMetrics {
	m := feedbackMetrics{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "relance_mail_events_total", Help: "Events of mails digested, by kind and what became of them.",
		}, []string{"kind", "result"}),
		rows: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "relance_mail_events_rows", Help: "Events of mails that are stored and not digested yet.",
		}),
		oldest: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "relance_mail_events_oldest_seconds", Help: "How long the oldest of them has been waiting, in business time; openings and clicks wait 15 seconds for others of the same mail.",
		}),
	}
	for _, kind := range EventKinds() {
		for _, result := range []string{resultFact, resultMachine, resultErased} {
			m.events.WithLabelValues(kind, result)
		}
	}
	if r != nil {
		r.MustRegister(m.events, m.rows, m.oldest)
	}
	return m
}

// observe counts what a committed transaction digested.
func (d *digestion) observe() {
	m := d.e.o.Metrics.feedback.events
	for i := range d.done {
		v, result := &d.done[i], resultFact
		if ownSigns(v.Kind, v.Source, v.UserAgent, v.Reason, v.Machine) != whyPerson {
			result = resultMachine
		}
		m.WithLabelValues(v.Kind, result).Inc()
	}
	for i := range d.wiped {
		m.WithLabelValues(d.wiped[i].Kind, resultErased).Inc()
	}
}

// eventGauges counts the events that wait; gauges calls it.
func (e *Engine) eventGauges(ctx context.Context, p *pass) {
	var row struct {
		N      int64
		Oldest crm.Instant
	}
	if err := selectOneIn(ctx, e.db.Read(), &row, "SELECT COUNT(*) AS n, COALESCE(MIN(received_at), 0) AS oldest FROM provider_events WHERE state IN (?) AND lane IN (?)",
		[]string{eventLookup, eventUrgent, eventPending}, p.lanes); err != nil {
		return // the next count will do
	}
	e.o.Metrics.feedback.rows.Set(float64(row.N))
	age := 0.0
	if row.Oldest > 0 {
		age = max(float64(p.now-row.Oldest)/1000, 0)
	}
	e.o.Metrics.feedback.oldest.Set(age)
}
