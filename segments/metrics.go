package segments

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/relance/relance/internal/crm"
)

// Metrics of the maintainer; a nil *Metrics measures nothing.
type Metrics struct {
	watermarkLag prometheus.Gauge
	dirty        prometheus.Gauge
	dirtyOldest  prometheus.Gauge
	dueRows      prometheus.Gauge
	dueOldest    prometheus.Gauge
	lateness     prometheus.Histogram
	size         *prometheus.GaugeVec
	evaluations  prometheus.Counter
	costSeconds  *prometheus.CounterVec
	costRows     *prometheus.CounterVec
	auditFound   prometheus.Gauge
	auditSeen    prometheus.Counter
	auditPasses  prometheus.Counter

	lastMarks time.Time // real time of the last count
	lastDue   time.Time
}

// Counting rows is not free, so it is not done at every step (real time).
const (
	everyMarks = 5 * time.Second
	everyDue   = time.Minute
)

// NewMetrics registers the metrics.
func NewMetrics(r prometheus.Registerer) *Metrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	m := &Metrics{
		watermarkLag: gauge("relance_segments_watermark_lag_seconds", "Business time between now and the instant as of which memberships are exact."),
		dirty:        gauge("relance_segments_dirty_contacts", "Contacts whose facts changed and that wait to be evaluated."),
		dirtyOldest:  gauge("relance_segments_dirty_oldest_seconds", "Age of the oldest mark on a contact whose facts changed."),
		dueRows:      gauge("relance_segments_due_rows", "Contacts that the clock will change some day."),
		dueOldest:    gauge("relance_segments_due_oldest_seconds", "How long the contact that is most overdue has been waiting to be evaluated."),
		lateness: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "relance_segments_due_lateness_seconds", Help: "How long after its due instant a contact was evaluated.",
			Buckets: []float64{.1, .5, 1, 2, 5, 15, 60, 600, 3600, 86400},
		}),
		size: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "relance_segments_size", Help: "Members of a segment."}, []string{"segment"}),
		evaluations: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "relance_segments_evaluations_total", Help: "Definitions evaluated for a contact at an instant.",
		}),
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m.costSeconds = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "relance_segments_cost_seconds_total", Help: "Time of one core that evaluating a segment took, estimated from samples.",
	}, []string{"segment"})
	m.costRows = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "relance_segments_cost_rows_total", Help: "Facts that evaluating a segment looked at (estimated from samples) and rows that it wrote.",
	}, []string{"segment", "kind"})
	m.auditFound = gauge("relance_segments_audit_differences", "Memberships that the newest background audit found to differ from their definition. Never anything but 0.")
	m.auditSeen = counter("relance_segments_audit_contacts_total", "Contacts that the background audit evaluated from scratch.")
	m.auditPasses = counter("relance_segments_audit_passes_total", "Times that the background audit came to the end of all contacts.")
	r.MustRegister(m.watermarkLag, m.dirty, m.dirtyOldest, m.dueRows, m.dueOldest, m.lateness, m.size, m.evaluations)
	r.MustRegister(m.costSeconds, m.costRows, m.auditFound, m.auditSeen, m.auditPasses)
	return m
}

func (x *Metrics) lag(now, watermark crm.Instant) {
	if x != nil && watermark > 0 {
		x.watermarkLag.Set(float64(now-watermark) / 1000)
	}
}

// overdue shows the earliest due instant of all contacts.
func (x *Metrics) overdue(soonest, now crm.Instant) {
	if x != nil {
		x.dueOldest.Set(float64(max(now-soonest, 0)) / 1000)
	}
}

func (x *Metrics) late(due []dueRow, now crm.Instant) {
	if x == nil {
		return
	}
	for _, d := range due {
		x.lateness.Observe(float64(now-d.DueAt) / 1000)
	}
}

// settled counts evaluations and follows the sizes of live segments.
func (x *Metrics) settled(cs []*settling, slots []*slot, sizes map[slotKey]int64) {
	if x == nil {
		return
	}
	for _, c := range cs {
		x.evaluations.Add(float64(c.steps * len(slots)))
	}
	for _, s := range slots {
		if n := sizes[slotKey{s.segment, s.generation}]; n != 0 && s.state == StateLive {
			x.size.WithLabelValues(s.segment).Add(float64(n))
		}
	}
}

// count sets the sizes anew after the definitions in force changed.
func (x *Metrics) count(ctx context.Context, m *Maintainer) error {
	if x == nil {
		return nil
	}
	x.size.Reset()
	for _, s := range m.setup.slots {
		if s.state != StateLive {
			continue
		}
		n, err := Size(ctx, m.db.Read(), s.segment)
		if err != nil {
			return err
		}
		x.size.WithLabelValues(s.segment).Set(float64(n))
	}
	return nil
}

// observe counts marks and due rows from time to time.
func (x *Metrics) observe(ctx context.Context, m *Maintainer) error {
	if x == nil {
		return nil
	}
	wall := m.wall()
	if wall.Sub(x.lastMarks) >= everyMarks {
		n, oldest, err := m.mirror.DirtyStats(ctx)
		if err != nil {
			return err
		}
		x.dirty.Set(float64(n))
		x.dirtyOldest.Set(0)
		if n > 0 {
			x.dirtyOldest.Set(float64(max(m.clock-oldest, 0)) / 1000)
		}
		x.lastMarks = wall
	}
	if wall.Sub(x.lastDue) >= everyDue {
		var n int64
		if err := m.db.Read().GetContext(ctx, &n, "SELECT COUNT(*) FROM segment_due"); err != nil {
			return fmt.Errorf("counting due rows: %w", err)
		}
		x.dueRows.Set(float64(n))
		x.lastDue = wall
	}
	return nil
}

// spent counts what evaluating took.
func (x *Metrics) spent(by map[string]*spending) {
	if x == nil {
		return
	}
	for segment, s := range by {
		x.costSeconds.WithLabelValues(segment).Add(s.spent.Seconds())
		x.costRows.WithLabelValues(segment, "read").Add(float64(s.read))
		x.costRows.WithLabelValues(segment, "written").Add(float64(s.written))
	}
}

// audited counts what the auditor looked at. What a pass finds is shown at once, what the pass before found until then.
func (x *Metrics) audited(contacts int64, differences int, done bool) {
	if x == nil {
		return
	}
	x.auditSeen.Add(float64(contacts))
	if done || differences > 0 {
		x.auditFound.Set(float64(differences))
	}
	if done {
		x.auditPasses.Inc()
	}
}
