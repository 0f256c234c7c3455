package connectortest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
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

// timedOut is a shop that takes the request and never answers.
func timedOut(t *testing.T, h *harness) {
	src := h.source(t)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	h.meddle(func(_ http.ResponseWriter, r *http.Request) bool {
		_, _ = io.Copy(io.Discard, r.Body) // else the server does not notice that the client went away
		<-r.Context().Done()
		return true
	})
	_, err := src.Pull(ctx, h.Stream, nil, 50)
	h.checkError(t, err)
	wantClass(t, err, fault.Retry)
	h.goesOn(t, src)
}

// secretsStay: whatever a shop answers to whatever is asked or written, it is in no error and in nothing that people are told. Connectors do not log: no logger is passed to them.
func secretsStay(t *testing.T, h *harness) {
	src := h.source(t)
	ids := h.IDs()
	for name, answer := range h.evil() {
		h.meddle(answer)
		var errs []error
		var res connectors.ProbeResult
		var err error
		if strings.HasPrefix(name, "again: ") { // what a client asks again takes time
			_, err = src.Pull(t.Context(), h.Stream, nil, 20)
		} else {
			for _, s := range src.Streams() {
				_, err := src.Pull(t.Context(), s.Name, nil, 20)
				errs = append(errs, err)
			}
			_, bad := src.Read(t.Context(), crm.Ref{Kind: h.Kind, ID: ids[0]})
			errs = append(errs, bad)
			res, err = src.Probe(t.Context())
		}
		errs = append(errs, err)
		for _, f := range res.Findings {
			h.checkText(t, name, f.Text+" "+f.Mend)
		}
		if actor, ok := src.(connectors.Actor); ok && h.Tasks != nil {
			for _, task := range h.Tasks() {
				out, err := actor.Perform(t.Context(), task)
				errs = append(errs, err)
				h.checkText(t, name, out.Done+" "+out.Mend)
			}
		}
		for _, err := range errs {
			if h.checkError(t, err); err != nil {
				h.checkText(t, name, err.Error())
			}
		}
	}
	h.meddle(nil)
}

func (h *harness) checkText(t *testing.T, when, text string) {
	t.Helper()
	for _, s := range append([]string{"jane@example.com"}, h.Secrets...) {
		if strings.Contains(text, s) {
			t.Errorf("%s: %q tells %q", when, text, s)
		}
	}
}

// evil are answers that repeat what was sent, or show what nobody must see.
func (h *harness) evil() map[string]func(http.ResponseWriter, *http.Request) bool {
	say := func(status int, kind, body string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			sent, _ := io.ReadAll(io.LimitReader(r.Body, 1000))
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			_, _ = fmt.Fprintf(w, body, fmt.Sprint(h.Secrets, "jane@example.com", r.Header.Get("Authorization"), string(sent)))
			return true
		}
	}
	return map[string]func(http.ResponseWriter, *http.Request) bool{
		"401 with an echo":        say(http.StatusUnauthorized, "application/json", `{"code":%q,"message":"jane@example.com"}`),
		"400 with an echo":        say(http.StatusBadRequest, "application/json", `{"message":%q,"errors":[{"message":"jane@example.com"}]}`),
		"404 with an echo":        say(http.StatusNotFound, "text/html", `<p>%s</p>`),
		"again: 500 with an echo": say(http.StatusInternalServerError, "application/json", `{"message":%q}`),
		"200, not what":           say(http.StatusOK, "application/json", `{"items":%q,"total_count":"jane@example.com"}`),
		"200, another shape":      say(http.StatusOK, "application/json", `%q`),
		"again: dropped":          func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) },
	}
}
