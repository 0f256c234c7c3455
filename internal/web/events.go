package web

import (
	"context"
	"errors"
	"io"
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
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxEvents))
	if err != nil {
		status := http.StatusBadRequest
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			status = http.StatusRequestEntityTooLarge
		}
		http.Error(w, http.StatusText(status), status)
		return
	}
	switch status := p.o.Events(r.Context(), r.PathValue("audience"), r.Header, body); {
	case status >= 200 && status < 300:
		w.WriteHeader(http.StatusOK)
	case status >= 400 && status < 600:
		http.Error(w, http.StatusText(status), status)
	default: // a receiver that knows no answer must not be taken for success
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
	}
}
