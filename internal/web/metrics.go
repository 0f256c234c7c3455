package web

import (
	"net/http"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
)

// Surfaces are the values of the label "surface".
const (
	surfacePublic = "public"
	surfaceAdmin  = "admin"
)

// Metrics counts answers. Make one per process and hand it to both surfaces.
type Metrics struct {
	requests *prometheus.CounterVec
	clicks   *prometheus.CounterVec
}

// NewMetrics registers relance_http_requests_total, relance_clicks_total and relance_build_info.
func NewMetrics(reg prometheus.Registerer, version string) *Metrics {
	m := &Metrics{requests: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "relance_http_requests_total",
		Help: "HTTP requests answered, by surface (public, admin) and class of the status code (2xx, 3xx, 4xx, 5xx).",
	}, []string{"surface", "code"}), clicks: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "relance_clicks_total",
		Help: "Redirects of links in mails, by what became of the record: stored, lost because the database did not take it, left out because one address asked for too many.",
	}, []string{"outcome"})}
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "relance_build_info",
		Help: "Always 1; its labels say which build is running.",
	}, []string{"version", "go"})
	reg.MustRegister(m.requests, m.clicks, info)
	info.WithLabelValues(version, runtime.Version()).Set(1)
	for _, s := range []string{surfacePublic, surfaceAdmin} {
		for _, c := range []string{"2xx", "3xx", "4xx", "5xx"} {
			m.requests.WithLabelValues(s, c)
		}
	}
	for _, o := range []string{clickRecorded, clickLost, clickHeld} {
		m.clicks.WithLabelValues(o)
	}
	return m
}

// click counts what became of one.
func (m *Metrics) click(outcome string) {
	if m != nil {
		m.clicks.WithLabelValues(outcome).Inc()
	}
}

// count wraps a surface. A handler that panics counts as 5xx: the connection is cut.
func (m *Metrics) count(surface string, next http.Handler) http.Handler {
	if m == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := &recorder{ResponseWriter: w}
		done := false
		defer func() {
			if !done {
				rec.status = http.StatusInternalServerError
			}
			m.requests.WithLabelValues(surface, codeClass(rec.status)).Inc()
		}()
		next.ServeHTTP(rec, r)
		done = true
	})
}

func codeClass(status int) string {
	switch {
	case status < 300:
		return "2xx"
	case status < 400:
		return "3xx"
	case status < 500:
		return "4xx"
	default:
		return "5xx"
	}
}

type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
