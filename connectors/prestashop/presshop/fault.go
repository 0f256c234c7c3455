package presshop

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

// SetFault asks hook before each answer what goes wrong with it; nil means nothing. A nil hook ends all trouble. The
// hook is called by many requests at once.
func (s *Shop) SetFault(hook func(*http.Request) *Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = hook
}

// Throttled is a 429 that asks to wait.
func Throttled(after time.Duration) *Fault {
	a := page(http.StatusTooManyRequests, "Too many requests")
	a.header.Set("Retry-After", strconv.Itoa(int(after.Seconds())))
	return &Fault{instead: &a}
}

// ServerError is a fatal error of PHP: 500 with an empty body.
func ServerError() *Fault {
	a := page(http.StatusInternalServerError, "")
	return &Fault{instead: &a}
}

// Warning is a message of PHP in place of the data, whatever was asked for.
func Warning() *Fault {
	a := request{json: true}.refuse(http.StatusInternalServerError, phpWarning())
	a.header.Set("PSWS-Version", "9.1.4")
	return &Fault{instead: &a}
}

// WebPage is a page with status 200 where data should be.
func WebPage() *Fault {
	a := page(http.StatusOK, "<!DOCTYPE html><html><head><title>Boutique</title></head><body>Soon back.</body></html>")
	return &Fault{instead: &a}
}

// Redirect is what another host name than the shop's own is answered with: the path is lost.
func Redirect(to string) *Fault {
	a := page(http.StatusFound, "")
	a.header.Set("Location", to+"/?url=customers&output_format=JSON&limit=1")
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

// Forbid takes the right to read resources from every key; Allow gives them back.
func (s *Shop) Forbid(resources ...string) { s.rights(true, resources) }

// Allow gives rights back.
func (s *Shop) Allow(resources ...string) { s.rights(false, resources) }

func (s *Shop) rights(forbidden bool, resources []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range resources {
		s.forbidden[r] = forbidden
	}
}

// SwitchOff is the webservice's own switch in the back office.
func (s *Shop) SwitchOff(off bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disabled = off
}

// Print lets a module print a text before every answer with data; "" ends it.
func (s *Shop) Print(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.junk = text
}

// Stumble lets a module cause a PHP warning for one row, which breaks every answer that holds it. ids: also lists of ids.
func (s *Shop) Stumble(resource string, id int64, ids bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stumbles[stumble{resource, id, ids}] = true
}

// Mend ends every stumbling.
func (s *Shop) Mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.stumbles)
}
