package main

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// receiver stands at the other end of the sendgrid provider: it notes every mail that reaches it by its send id.
type receiver struct {
	*httptest.Server
	mu    sync.Mutex
	mails map[string][]string // send id → subjects, one per hand-over
	to    map[string]string   // send id → address
	slow  func() time.Duration
}

type wireMail struct {
	Subject          string `json:"subject"`
	Personalizations []struct {
		To []struct {
			Email string `json:"email"`
		} `json:"to"`
		Subject    string            `json:"subject"`
		Headers    map[string]string `json:"headers"`
		CustomArgs map[string]string `json:"custom_args"`
	} `json:"personalizations"`
	CustomArgs map[string]string `json:"custom_args"`
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{mails: map[string][]string{}, to: map[string]string{}}
	r.slow = func() time.Duration { return 0 }
	r.Server = httptest.NewServer(http.HandlerFunc(r.receive))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) receive(w http.ResponseWriter, q *http.Request) {
	var m wireMail
	if err := json.NewDecoder(q.Body).Decode(&m); err != nil || len(m.Personalizations) != 1 {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	p := m.Personalizations[0]
	id := p.CustomArgs["send_id"]
	if id == "" {
		id = m.CustomArgs["send_id"]
	}
	r.mu.Lock()
	r.mails[id] = append(r.mails[id], m.Subject+p.Subject)
	r.to[id] = p.To[0].Email
	wait := r.slow()
	r.mu.Unlock()
	if wait > 0 { // the window in which a kill leaves the sender without an answer
		select {
		case <-q.Context().Done():
		case <-time.After(wait):
		}
	}
	w.Header().Set("X-Message-Id", "m-"+id)
	w.WriteHeader(http.StatusAccepted)
}

// twice lists send ids that were handed over more than once.
func (r *receiver) twice() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var ids []string
	for id, m := range r.mails {
		if len(m) > 1 {
			ids = append(ids, id)
		}
	}
	return ids
}

func (r *receiver) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.mails)
}

// slowly makes every answer wait up to most.
func (r *receiver) slowly(rnd *rand.Rand, most time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.slow = func() time.Duration { return time.Duration(rnd.Int64N(int64(most))) }
}
