package wooshop

import (
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

// Throttled is a 429 that asks to wait.
func Throttled(after time.Duration) *Fault {
	a := errorBody(http.StatusTooManyRequests, "too_many_requests", "Too many requests.")
	a.header.Set("Content-Type", "application/json")
	a.header.Set("Retry-After", strconv.Itoa(int(after.Seconds())))
	return &Fault{instead: &a}
}

// ServerError is a 500 of PHP.
func ServerError() *Fault {
	a := errorBody(http.StatusInternalServerError, "internal_server_error", "There has been a critical error on this website.")
	a.header.Set("Content-Type", "application/json")
	return &Fault{instead: &a}
}

// WebPage is a page with status 200 where data should be.
func WebPage() *Fault {
	return &Fault{instead: &reply{
		status: http.StatusOK, header: http.Header{"Content-Type": {"text/html; charset=UTF-8"}},
		body: []byte("<!DOCTYPE html><html><head><title>Atelier</title></head><body>Soon back.</body></html>"),
	}}
}

// Redirect is what plain permalinks answer: 301 to somewhere else.
func Redirect(to string) *Fault {
	return &Fault{instead: &reply{status: http.StatusMovedPermanently, header: http.Header{
		"Content-Type": {"text/html; charset=UTF-8"}, "Location": {to}, "X-Redirect-By": {"WordPress"},
	}}}
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
		a.header.Set("Content-Length", strconv.Itoa(len(a.body)))
		a.body = a.body[:len(a.body)/2]
		a.write(w)
		if fl, ok := w.(http.Flusher); ok {
			fl.Flush()
		}
		panic(http.ErrAbortHandler) // the server drops the connection without a word
	}
	return false
}
