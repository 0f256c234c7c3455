package web

import (
	"context"
	"net/http"
)

// maxEvents is the largest delivery of a provider's events that is taken: SendGrid's have up to 768 KB.
const maxEvents = 2 << 20

// EventsFunc takes what a provider says of mails and answers 2xx only after the commit. audience is a name from the URL and
// may be unknown. It must not keep body after it returned.
type EventsFunc func(ctx context.Context, audience string, h http.Header, body []byte) (status int)

// routeEvents adds the door for provider events to the public surface. A provider posts from few addresses, hundreds of
// times a second when it has much to say, and repeats what is not answered 2xx: the limit is a dam, not a pace.
func (p *public) routeEvents(mux *http.ServeMux) {
	if p.o.Events == nil {
		return
	}
	perSecond := p.o.HooksPerSecond
	mux.Handle("POST /events/{audience}", p.limited(newLimiter(float64(perSecond), 2*perSecond), http.HandlerFunc(p.events)))
}

func (p *public) events(w http.ResponseWriter, r *http.Request) {
	deliver(w, r, maxEvents, func(ctx context.Context, body []byte) int {
		return p.o.Events(ctx, r.PathValue("audience"), r.Header, body)
	})
}
