package web

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"time"

	"go.uber.org/zap"
)

// maxHook is the largest webhook body that is taken: the largest recorded order is a tenth of it.
const maxHook = 1 << 20

// Subscription is what an unsubscribe link stands for.
type Subscription struct {
	Sender string // who writes, for people to read
	Ended  bool   // already unsubscribed
}

// PublicOptions are what the public surface needs.
type PublicOptions struct {
	// Receive stores a webhook durably and says the status: 2xx only after the commit. shop is a name from the URL
	// and may be unknown. It must not keep body after it returned.
	Receive func(ctx context.Context, shop string, h http.Header, body []byte) (status int)
	// Subscription looks at a token and changes nothing; ErrNotFound when it was not signed here.
	Subscription func(ctx context.Context, token string) (Subscription, error)
	// Unsubscribe acts on a token, durably before it returns, and may be repeated; ErrNotFound as above.
	Unsubscribe func(ctx context.Context, token string) (Subscription, error)
	// Follow reads the token of a redirect link without a database; any error: it was not signed here. nil: no redirect.
	Follow func(token string) (Followed, error)
	// Landing gathers a page that mails lead to; nil: there is none.
	Landing LandingFunc
	// Choices are the pages on which contacts choose what to get, and say yes; nil: there are none.
	Choices *ChoicesFuncs
	// Push takes records of the push API; nil: there is none.
	Push PushFunc
	// PushPerSecond bounds the push requests of one remote address; 0 is 100.
	PushPerSecond int
	// Events takes what providers say of mails; nil: nobody listens.
	Events EventsFunc
	// OpenAPI describes the push API: a JSON document, served as it is.
	OpenAPI []byte
	// TrustedProxies are the addresses whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// HooksPerSecond bounds the webhooks of one remote address; 0 is 1000. A platform switches a webhook off after
	// a few failures, so this is a dam against floods, not a pace.
	HooksPerSecond int
	Metrics        *Metrics
	Log            *zap.Logger
}

type public struct {
	o     PublicOptions
	hooks *limiter
	links *limiter
	page  unsubscribePages

	pushes *limiter

	landing   landingPages
	choices   choicePages
	floods    *limiter      // of redirects
	clicks    *limiter      // of redirects that are recorded
	recording chan struct{} // a place for each click that is being recorded
}

// NewPublic makes the surface that shops, mail programs and customers reach.
func NewPublic(o PublicOptions) http.Handler {
	if o.HooksPerSecond == 0 {
		o.HooksPerSecond = 1000
	}
	p := &public{
		o: o, page: newUnsubscribePages(), landing: newLandingPages(), choices: newChoicePages(),
		hooks: newLimiter(float64(o.HooksPerSecond), 2*o.HooksPerSecond),
		links: newLimiter(5, 60), // mail providers post the one-click of many people from few addresses
	}
	mux := http.NewServeMux()
	mux.Handle("POST /hooks/{shop}", p.limited(p.hooks, http.HandlerFunc(p.hook)))
	mux.Handle("GET /u/{token}", p.limited(p.links, http.HandlerFunc(p.showUnsubscribe)))
	mux.Handle("POST /u/{token}", p.limited(p.links, http.HandlerFunc(p.unsubscribe)))
	p.routePush(mux)
	p.routeEvents(mux)
	p.routeClicks(mux)
	p.routeLandings(mux)
	p.routeChoices(mux)
	mux.HandleFunc("GET /robots.txt", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, "User-agent: *\nDisallow: /\n")
	})
	return o.Metrics.count(surfacePublic, secure(p.page.policy, mux))
}

func (p *public) limited(l *limiter, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !l.allow(clientAddr(r, p.o.TrustedProxies), time.Now()) {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "too many requests", http.StatusTooManyRequests)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hook takes a webhook.
func (p *public) hook(w http.ResponseWriter, r *http.Request) {
	deliver(w, r, maxHook, func(ctx context.Context, body []byte) int {
		return p.o.Receive(ctx, r.PathValue("shop"), r.Header, body)
	})
}

// deliver reads the body of what somebody delivers and answers with the status that take gives. WooCommerce repeats
// deliveries answered 201, 202 or 204, so success is exactly 200.
func deliver(w http.ResponseWriter, r *http.Request, most int64, take func(ctx context.Context, body []byte) (status int)) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	if err != nil {
		status := http.StatusBadRequest
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			status = http.StatusRequestEntityTooLarge
		}
		http.Error(w, http.StatusText(status), status)
		return
	}
	switch status := take(r.Context(), body); {
	case status >= 200 && status < 300:
		w.WriteHeader(http.StatusOK)
	case status >= 400 && status < 600:
		http.Error(w, http.StatusText(status), status)
	default: // a receiver that knows no answer must not be taken for success
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
	}
}
