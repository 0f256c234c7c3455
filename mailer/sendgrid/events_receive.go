package sendgrid

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/mailer"
)

// MaxEvents is the largest delivery taken, in bytes: SendGrid's have up to 768 KB.
const MaxEvents = 2 << 20

// The closed set of outcomes of a delivery.
const (
	postStored   = "stored"
	postRefused  = "bad_signature"
	postNoKey    = "no_key"
	postUnknown  = "unknown_audience"
	postTooLarge = "too_large"
	postBad      = "bad_format"
	postFailed   = "not_stored"
)

// What became of the events of deliveries: a closed set.
const (
	eventNew       = "stored"
	eventRepeated  = "repeated"
	eventMalformed = "malformed"
	eventIgnored   = "ignored"
)

// EventMetrics counts deliveries of the Event Webhook and the events in them.
type EventMetrics struct {
	posts  *prometheus.CounterVec
	events *prometheus.CounterVec
}

// NewEventMetrics registers them.
func NewEventMetrics(reg prometheus.Registerer) *EventMetrics {
	m := &EventMetrics{
		posts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "relance_mail_event_posts_total", Help: "Deliveries of SendGrid's Event Webhook by what became of them.",
		}, []string{"outcome"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "relance_mail_events_received_total", Help: "Events in deliveries of SendGrid's Event Webhook: new, known already, not readable, or of no meaning here.",
		}, []string{"result"}),
	}
	for _, o := range []string{postStored, postRefused, postNoKey, postUnknown, postTooLarge, postBad, postFailed} {
		m.posts.WithLabelValues(o)
	}
	for _, r := range []string{eventNew, eventRepeated, eventMalformed, eventIgnored} {
		m.events.WithLabelValues(r)
	}
	reg.MustRegister(m.posts, m.events)
	return m
}

// EventAudience is one audience whose events are taken.
type EventAudience struct {
	ID  int64
	Key EventKey // the zero key: none is configured, and nothing is taken
}

// EventOptions of an EventReceiver.
type EventOptions struct {
	Audiences map[string]EventAudience // by name
	Now       func() time.Time         // business time
	Metrics   *EventMetrics
	Log       *zap.Logger
}

// EventReceiver is the door for SendGrid's Event Webhook; safe for concurrent use.
type EventReceiver struct {
	mirror *mirror.Mirror
	o      EventOptions
	said   sync.Map // audience and outcome → *rate.Sometimes: SendGrid repeats, the log need not
}

// NewEventReceiver makes one.
func NewEventReceiver(m *mirror.Mirror, o EventOptions) *EventReceiver {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Metrics == nil {
		o.Metrics = NewEventMetrics(prometheus.NewRegistry())
	}
	return &EventReceiver{mirror: m, o: o}
}

// Receive handles one delivery and says which status to answer: 200 once its events are durable, 403 for a wrong or
// absent signature, 404 for an audience that is not there or has no key, 413 beyond MaxEvents, 400 for a signed body that
// is no list of events, 503 when it could not be stored; SendGrid repeats all but the first for 24 hours. The web layer
// calls it with the raw bytes.
func (r *EventReceiver) Receive(ctx context.Context, audience string, h http.Header, body []byte) (status int) {
	a, known := r.o.Audiences[audience]
	switch {
	case !known:
		r.o.Metrics.posts.WithLabelValues(postUnknown).Inc()
		return http.StatusNotFound
	case a.Key.key == nil:
		return r.refuse(audience, postNoKey, http.StatusNotFound, "events came for an audience without a key: set sendgrid.webhook_key to the verification key that SendGrid shows")
	case len(body) > MaxEvents:
		return r.refuse(audience, postTooLarge, http.StatusRequestEntityTooLarge, "a delivery of events is larger than SendGrid's are")
	}
	if err := a.Key.Verify(h, body); err != nil {
		return r.refuse(audience, postRefused, http.StatusForbidden, "events were refused: "+err.Error()+
			"; if they are SendGrid's, switch Signed Event Webhook on and set sendgrid.webhook_key to its verification key")
	}
	events, err := DecodeEvents(body)
	if err != nil {
		return r.refuse(audience, postBad, http.StatusBadRequest, "signed events cannot be read: "+err.Error()+"; SendGrid repeats them for 24 hours")
	}
	stored, err := mailer.RecordEvents(ctx, r.mirror, a.ID, events.Events, crm.At(r.o.Now()))
	if err != nil {
		return r.refuse(audience, postFailed, http.StatusServiceUnavailable, fmt.Sprintf("%v; SendGrid repeats them", err))
	}
	r.o.Metrics.posts.WithLabelValues(postStored).Inc()
	for result, n := range map[string]int{
		eventNew: stored, eventRepeated: len(events.Events) - stored, eventMalformed: events.Malformed, eventIgnored: events.Ignored,
	} {
		r.o.Metrics.events.WithLabelValues(result).Add(float64(n))
	}
	if events.Malformed > 0 {
		r.say(audience, eventMalformed, "elements of a delivery of events cannot be read and were left out; the others count")
	}
	return http.StatusOK
}

func (r *EventReceiver) refuse(audience, outcome string, status int, sentence string) int {
	r.o.Metrics.posts.WithLabelValues(outcome).Inc()
	r.say(audience, outcome, sentence)
	return status
}

// say logs a sentence about an audience, once a minute.
func (r *EventReceiver) say(audience, outcome, sentence string) {
	now, _ := r.said.LoadOrStore(audience+"\x00"+outcome, &rate.Sometimes{First: 1, Interval: time.Minute})
	if s, ok := now.(*rate.Sometimes); ok {
		s.Do(func() { r.o.Log.Warn(sentence, zap.String("audience", audience), zap.String("outcome", outcome)) })
	}
}
