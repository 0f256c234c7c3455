package web

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"
)

// maxPush is the largest push request that is taken; what receives it may say no earlier.
const maxPush = 1 << 20

// PushAnswer is what becomes of a push request: status, JSON body, and after how long to come back (0: not said).
type PushAnswer struct {
	Status     int
	Body       []byte
	RetryAfter time.Duration
}

// PushFunc takes the records of one request and answers 202 only after the commit. shop is a name from the URL and may be
// unknown. It must not keep body after it returned.
type PushFunc func(ctx context.Context, shop string, h http.Header, body []byte) PushAnswer

// routePush adds the push API to the public surface.
func (p *public) routePush(mux *http.ServeMux) {
	if p.o.Push == nil {
		return
	}
	perSecond := p.o.PushPerSecond
	if perSecond == 0 {
		perSecond = 100
	}
	p.pushes = newLimiter(float64(perSecond), 2*perSecond)
	mux.HandleFunc("POST /v1/shops/{shop}/records", p.push)
	mux.HandleFunc("/v1/shops/{shop}/records", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", http.MethodPost)
		pushError(w, http.StatusMethodNotAllowed, "records are sent here with POST; see /v1/openapi.json")
	})
	mux.HandleFunc("GET /v1/openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(p.o.OpenAPI) // the client's errors are nobody's
	})
}

func (p *public) push(w http.ResponseWriter, r *http.Request) {
	if !p.pushes.allow(clientAddr(r, p.o.TrustedProxies), time.Now()) {
		w.Header().Set("Retry-After", "1")
		pushError(w, http.StatusTooManyRequests, "too many requests from this address")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPush))
	if err != nil {
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			pushError(w, http.StatusRequestEntityTooLarge, "the body is larger than "+strconv.Itoa(maxPush)+" bytes")
			return
		}
		pushError(w, http.StatusBadRequest, "the body broke off")
		return
	}
	a := p.o.Push(r.Context(), r.PathValue("shop"), r.Header, body)
	if a.Status < 200 || a.Status > 599 { // a receiver that knows no answer must not be taken for success
		a = PushAnswer{Status: http.StatusInternalServerError}
	}
	if a.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(a.RetryAfter.Seconds()))))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body)
}

func pushError(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": text})
}
