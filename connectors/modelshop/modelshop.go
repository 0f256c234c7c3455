// Package modelshop is what the loopback shops of all platforms share: answers, and what can go wrong with them. The
// demo and tests run against those shops.
package modelshop

import (
	"maps"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Reply is an answer before it is written.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte
}

// Write sends it whole.
func (a Reply) Write(w http.ResponseWriter) {
	maps.Copy(w.Header(), a.Header)
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body) // a reader that went away is not the shop's concern
}

// Fault is something that goes wrong with one answer.
type Fault struct {
	Delay    time.Duration // the answer comes late
	Instead  *Reply        // what comes in its place, at its Date
	Truncate bool          // half of it is sent, then the connection is dropped
}

// Truncated sends half of the true answer and drops the connection.
func Truncated() *Fault { return &Fault{Truncate: true} }

// Latency sends the true answer late.
func Latency(d time.Duration) *Fault { return &Fault{Delay: d} }

// Instead sends another answer.
func Instead(a Reply) *Fault { return &Fault{Instead: &a} }

// Throttled turns a refusal into one that asks to wait.
func Throttled(a Reply, after time.Duration) *Fault {
	a.Header.Set("Retry-After", strconv.Itoa(int(after.Seconds())))
	return Instead(a)
}

// Send writes the answer as the fault leaves it; nil is no fault. It drops the connection by panicking with
// http.ErrAbortHandler.
func (f *Fault) Send(w http.ResponseWriter, r *http.Request, a Reply) {
	if f == nil {
		a.Write(w)
		return
	}
	if f.Delay > 0 {
		t := time.NewTimer(f.Delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-r.Context().Done():
			return
		}
	}
	if f.Instead != nil {
		date := a.Header.Get("Date")
		a = Reply{Status: f.Instead.Status, Header: f.Instead.Header.Clone(), Body: f.Instead.Body}
		a.Header.Set("Date", date)
	}
	if f.Truncate {
		a.Header.Set("Content-Length", strconv.Itoa(len(a.Body)))
		a.Body = a.Body[:len(a.Body)/2]
	}
	a.Write(w)
	if f.Truncate {
		if fl, ok := w.(http.Flusher); ok {
			fl.Flush()
		}
		panic(http.ErrAbortHandler) // the server drops the connection without a word
	}
}

// Traffic is what a shop knows of its requests. Its zero value is ready; safe for concurrent use.
type Traffic struct {
	mu       sync.Mutex
	fault    func(*http.Request) *Fault
	requests int
}

// SetFault asks hook before each answer what goes wrong with it; nil means nothing. A nil hook ends all trouble. The hook
// is called by many requests at once.
func (t *Traffic) SetFault(hook func(*http.Request) *Fault) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fault = hook
}

// Requests is the number of requests that came so far.
func (t *Traffic) Requests() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.requests
}

// Take counts a request and says what goes wrong with its answer; nil: nothing.
func (t *Traffic) Take(r *http.Request) *Fault {
	t.mu.Lock()
	t.requests++
	hook := t.fault
	t.mu.Unlock()
	if hook == nil {
		return nil
	}
	return hook(r)
}
