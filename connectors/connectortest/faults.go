package connectortest

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/fault"
)

// goesOn checks that after the trouble the same cursor leads to the whole.
func (h *harness) goesOn(t *testing.T, src connectors.Source) {
	t.Helper()
	h.meddle(nil)
	seen, _ := h.walk(t, src, h.Stream, nil, 50, nil)
	wantExactly(t, seen, h.IDs())
}

func throttled(t *testing.T, h *harness) {
	src := h.source(t)
	for _, after := range []string{"7", "999999"} {
		var asked atomic.Int32
		h.meddle(func(w http.ResponseWriter, _ *http.Request) bool {
			asked.Add(1)
			w.Header().Set("Retry-After", after)
			w.WriteHeader(http.StatusTooManyRequests)
			return true
		})
		_, err := h.pull(t, src, h.Stream, nil, 50)
		wantClass(t, err, fault.Throttled)
		f, ok := errors.AsType[*fault.Error](err)
		if !ok || f.After <= 0 || f.After.Hours() > 1 {
			t.Errorf("Retry-After %s: wait %v, want a bounded time", after, f)
		}
		if asked.Load() != 1 {
			t.Errorf("a shop that asks to wait was asked %d times", asked.Load())
		}
	}
	h.goesOn(t, src)
}

func wrongKey(t *testing.T, h *harness) {
	src, err := h.WrongKey(h.url)
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.pull(t, src, h.Stream, nil, 50)
	wantClass(t, err, fault.Operator)
	res, err := src.Probe(t.Context())
	h.checkError(t, err)
	if res.OK() {
		t.Error("the probe is content with a wrong key")
	}
	for _, f := range res.Findings {
		if !f.OK && f.Mend == "" {
			t.Errorf("finding %q does not say what to mend", f.What)
		}
	}
	good, err := h.source(t).Probe(t.Context())
	if err != nil || !good.OK() {
		t.Errorf("probe of a good shop: %+v %v", good.Findings, err)
	}
}

// serverError: the connector may try again itself; if it does not, the engine does.
func serverError(t *testing.T, h *harness) {
	src := h.source(t)
	var n atomic.Int32
	h.meddle(func(w http.ResponseWriter, _ *http.Request) bool {
		if n.Add(1)%2 == 0 {
			return false
		}
		w.WriteHeader(http.StatusInternalServerError)
		return true
	})
	if _, err := h.pull(t, src, h.Stream, nil, 50); err != nil {
		wantClass(t, err, fault.Retry)
		if _, err = h.pull(t, src, h.Stream, nil, 50); err != nil {
			t.Errorf("after one 500: %v", err)
		}
	}
	h.meddle(func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(http.StatusBadGateway); return true })
	_, err := h.pull(t, src, h.Stream, nil, 50)
	wantClass(t, err, fault.Retry)
	h.goesOn(t, src)
}

// truncated drops the connection in the middle, and separately ends a shorter body properly.
func truncated(t *testing.T, h *harness) {
	src := h.source(t)
	for _, dropped := range []bool{true, false} {
		h.meddle(func(w http.ResponseWriter, r *http.Request) bool {
			rec := httptest.NewRecorder()
			h.Handler.ServeHTTP(rec, r)
			maps.Copy(w.Header(), rec.Header())
			body := rec.Body.Bytes()
			if dropped {
				w.Header().Set("Content-Length", strconv.Itoa(len(body)))
			}
			w.WriteHeader(rec.Code)
			_, _ = w.Write(body[:len(body)/2])
			if dropped {
				panic(http.ErrAbortHandler)
			}
			return true
		})
		_, err := h.pull(t, src, h.Stream, nil, 50)
		wantClass(t, err, fault.Retry)
	}
	h.goesOn(t, src)
}

func webPage(t *testing.T, h *harness) {
	src := h.source(t)
	h.meddle(func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Type", "text/html; charset=UTF-8")
		_, _ = w.Write([]byte("<!DOCTYPE html><html><body>Soon back</body></html>"))
		return true
	})
	_, err := h.pull(t, src, h.Stream, nil, 50)
	wantClass(t, err, fault.Operator)
	h.goesOn(t, src)
}

// redirect must not be followed: the key would go elsewhere.
func redirect(t *testing.T, h *harness) {
	src := h.source(t)
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	h.meddle(func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, other.URL, http.StatusMovedPermanently)
		return true
	})
	_, err := h.pull(t, src, h.Stream, nil, 50)
	wantClass(t, err, fault.Operator)
	if elsewhere.Load() != 0 {
		t.Error("a redirect was followed")
	}
	h.goesOn(t, src)
}

func cancelled(t *testing.T, h *harness) {
	src := h.source(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	h.meddle(func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`[{"id":`))
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
		cancel()
		<-r.Context().Done()
		return true
	})
	_, err := src.Pull(ctx, h.Stream, nil, 50)
	h.checkError(t, err)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("want the cancellation, got %v", err)
	}
	h.goesOn(t, src)
}
