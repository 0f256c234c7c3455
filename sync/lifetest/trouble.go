package lifetest

import (
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// dice are thrown by the test and by the shop's own goroutine, never at once in a life that can be repeated.
type dice struct {
	mu  sync.Mutex
	rnd *rand.Rand
}

func newDice(seed uint64) *dice { return &dice{rnd: rand.New(rand.NewPCG(seed, 0x4c495645))} }

func (d *dice) pick(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rnd.IntN(max(n, 1))
}

// percent is true so often.
func (d *dice) percent(p int) bool { return d.pick(100) < p }

// span is between no time and most.
func (d *dice) span(most time.Duration) time.Duration {
	return time.Duration(d.pick(int(most/time.Second)+1)) * time.Second
}

// trouble stands between Relance and the shop: it answers in the shop's place, spoils answers, and lets things happen in
// the shop between one request and the next.
type trouble struct {
	dice  *dice
	shop  http.Handler
	clock func() time.Time // the shop's
	on    atomic.Bool
	act   func(note string) // something happens in the shop
	tell  func(text string)
}

func (tr *trouble) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !tr.on.Load() {
		tr.answer(w, r)
		return
	}
	if tr.dice.percent(8) {
		tr.act("before a request")
	}
	switch tr.dice.pick(60) {
	case 0:
		tr.tell("answered 429")
		w.Header().Set("Retry-After", strconv.Itoa(1+tr.dice.pick(40)))
		tr.refuse(w, http.StatusTooManyRequests)
	case 1:
		tr.tell("answered 503")
		w.Header().Set("Retry-After", "5")
		tr.refuse(w, http.StatusServiceUnavailable)
	case 2:
		tr.tell("answered 500")
		tr.refuse(w, http.StatusInternalServerError)
	case 3:
		tr.tell("dropped a request")
		panic(http.ErrAbortHandler)
	case 4:
		tr.tell("broke an answer off")
		tr.truncate(w, r)
	case 5:
		tr.tell("lost an answer") // what a time-out is to those who wait, without the waiting
		tr.shop.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	default:
		tr.answer(w, r)
	}
}

// answer is the shop's own, dated by the shop's clock.
func (tr *trouble) answer(w http.ResponseWriter, r *http.Request) {
	tr.date(w)
	tr.shop.ServeHTTP(w, r)
}

func (tr *trouble) date(w http.ResponseWriter) {
	w.Header().Set("Date", tr.clock().UTC().Format(http.TimeFormat))
}

func (tr *trouble) refuse(w http.ResponseWriter, status int) {
	tr.date(w)
	w.WriteHeader(status)
}

func (tr *trouble) truncate(w http.ResponseWriter, r *http.Request) {
	rec := httptest.NewRecorder()
	tr.date(rec)
	tr.shop.ServeHTTP(rec, r)
	maps.Copy(w.Header(), rec.Header())
	body := rec.Body.Bytes()
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(rec.Code)
	_, _ = w.Write(body[:len(body)/2])
	panic(http.ErrAbortHandler)
}
