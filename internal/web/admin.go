package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"

	"github.com/relance/relance/internal/fault"
)

// How many lines the lists show.
const (
	frontLines = 8
	pageLines  = 50
)

// readLimit bounds what one request may ask of the database.
const readLimit = 10 * time.Second

// AdminOptions are what the admin surface needs. The functions read and change nothing.
type AdminOptions struct {
	Overview func(ctx context.Context) (Overview, error)
	// Contacts lists at most limit contacts after the cursor ("" = newest).
	Contacts func(ctx context.Context, after string, limit int) (ContactPage, error)
	// Mails lists at most limit captured mails after the cursor; nil when mail is not captured here.
	Mails func(ctx context.Context, after string, limit int) (MailPage, error)
	// Mail opens one captured mail; ErrNotFound when it is not kept. nil with Mails.
	Mail func(ctx context.Context, id string) (Mail, error)
	// Ready is nil when work can be done: database reachable, migrated, leases held. Its error is one sentence.
	Ready    func(ctx context.Context) error
	Gatherer prometheus.Gatherer
	// Hosts are the names beyond loopback that the surface is reached by, without port.
	Hosts   []string
	Metrics *Metrics
	Log     *zap.Logger
}

type admin struct {
	o    AdminOptions
	page adminPages
}

// NewAdmin makes the surface for owners and ops. It has no log-in: bind it to loopback.
func NewAdmin(o AdminOptions) http.Handler {
	a := &admin{o: o, page: newAdminPages()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.front)
	mux.HandleFunc("GET /contacts", a.contacts)
	mux.HandleFunc("GET /mails", a.mails)
	mux.HandleFunc("GET /mails/{id}", a.mail)
	mux.HandleFunc("GET /mails/{id}/html", a.mailHTML)
	mux.HandleFunc("GET /api/status", a.status)
	mux.HandleFunc("GET /api/contacts", a.apiContacts)
	mux.HandleFunc("GET /api/mails", a.apiMails)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { sentence(w, http.StatusOK, "alive") })
	mux.HandleFunc("GET /readyz", a.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(o.Gatherer, promhttp.HandlerOpts{
		ErrorLog: zap.NewStdLog(o.Log.Named("metrics")), ErrorHandling: promhttp.ContinueOnError, Timeout: readLimit,
	}))
	mux.HandleFunc("GET /", a.lost)
	// Nothing here answers anything but GET yet; what comes later is protected from the day it comes.
	guarded := http.NewCrossOriginProtection().Handler(mux)
	return o.Metrics.count(surfaceAdmin, secure(a.page.policy, a.knownHost(limitTime(guarded))))
}

func limitTime(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readLimit)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

func (a *admin) ready(w http.ResponseWriter, r *http.Request) {
	if err := a.o.Ready(r.Context()); err != nil {
		sentence(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	sentence(w, http.StatusOK, "ready")
}

func sentence(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n"))
}

func (a *admin) status(w http.ResponseWriter, r *http.Request) {
	answerJSON(r.Context(), a, w, func(ctx context.Context) (Overview, error) {
		o, err := a.o.Overview(ctx)
		return o.whole(), err
	})
}

func (a *admin) apiContacts(w http.ResponseWriter, r *http.Request) {
	answerJSON(r.Context(), a, w, func(ctx context.Context) (ContactPage, error) {
		p, err := a.o.Contacts(ctx, r.URL.Query().Get("after"), pageLines)
		p.Contacts = listed(p.Contacts)
		return p, err
	})
}

func (a *admin) apiMails(w http.ResponseWriter, r *http.Request) {
	answerJSON(r.Context(), a, w, func(ctx context.Context) (MailPage, error) {
		return a.mailPage(ctx, r.URL.Query().Get("after"), pageLines)
	})
}

func answerJSON[T any](ctx context.Context, a *admin, w http.ResponseWriter, read func(context.Context) (T, error)) {
	v, err := read(ctx)
	status := http.StatusOK
	var body any = v
	if err != nil {
		status = a.statusOf(err)
		body = map[string]string{"error": err.Error()}
	}
	raw, err := json.Marshal(body)
	if err != nil {
		a.o.Log.Error("encoding an answer", zap.Error(err))
		sentence(w, http.StatusInternalServerError, "this answer could not be encoded")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(raw, '\n'))
}

// statusOf logs what is ours to mend and picks the status.
func (a *admin) statusOf(err error) int {
	if errors.Is(err, ErrNotFound) {
		return http.StatusNotFound
	}
	a.o.Log.Warn("admin page", zap.String("class", string(fault.ClassOf(err))), zap.Error(err))
	return http.StatusServiceUnavailable
}

// mailPage masks recipients: a list is what gets photographed.
func (a *admin) mailPage(ctx context.Context, after string, limit int) (MailPage, error) {
	if a.o.Mails == nil {
		return MailPage{}, nil
	}
	p, err := a.o.Mails(ctx, after, limit)
	lines := make([]MailLine, len(p.Mails))
	for i, m := range p.Mails {
		m.To = maskEmail(m.To)
		lines[i] = m
	}
	p.Mails = lines
	return p, err
}
