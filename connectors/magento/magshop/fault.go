package magshop

import (
	"maps"
	"net/http"
	"strconv"
	"time"
)

// Fault is something that goes wrong with one answer. Use the constructors.
type Fault struct {
	delay    time.Duration
	instead  *reply
	truncate bool
}

// SetFault asks hook before each answer what goes wrong with it; nil means nothing. A nil hook ends all trouble.
// The hook is called by many requests at once.
func (s *Shop) SetFault(hook func(*http.Request) *Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = hook
}

// Throttled is a 429 of the proxy before the shop.
func Throttled(after time.Duration) *Fault {
	a := refuse(http.StatusTooManyRequests, "Too Many Requests", nil)
	a.header.Set("Retry-After", strconv.Itoa(int(after.Seconds())))
	return &Fault{instead: &a}
}

// ServerError is a 500 of the shop's own, with a report id.
func ServerError() *Fault {
	a := crash()
	return &Fault{instead: &a}
}

// Maintenance is a 503 with a web page and no Retry-After.
func Maintenance() *Fault {
	a := page(http.StatusServiceUnavailable, "Error 503: Service Unavailable")
	return &Fault{instead: &a}
}

// WebPage is a page with status 200 where data should be.
func WebPage() *Fault {
	a := page(http.StatusOK, "Boutique")
	return &Fault{instead: &a}
}

// Truncated sends half of the true answer and drops the connection.
func Truncated() *Fault { return &Fault{truncate: true} }

// Latency sends the true answer late.
func Latency(d time.Duration) *Fault { return &Fault{delay: d} }

// apply tells whether the answer has been dealt with.
func (f *Fault) apply(w http.ResponseWriter, r *http.Request, a *reply) bool {
	if f.delay > 0 {
		t := time.NewTimer(f.delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-r.Context().Done():
			return true
		}
	}
	if f.instead != nil {
		date := a.header.Get("Date")
		*a = reply{status: f.instead.status, header: f.instead.header.Clone(), body: f.instead.body}
		a.header.Set("Date", date)
	}
	if f.truncate {
		maps.Copy(w.Header(), a.header)
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
		w.WriteHeader(a.status)
		_, _ = w.Write(a.body[:len(a.body)/2]) //nolint:gosec // half of it is the point; a loopback shop for tests
		if fl, ok := w.(http.Flusher); ok {
			fl.Flush()
		}
		panic(http.ErrAbortHandler) // the server drops the connection without a word
	}
	return false
}
