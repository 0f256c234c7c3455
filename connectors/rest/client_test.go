package rest

import (
	"context"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/relance/relance/internal/fault"
)

const secret = "cs_very_secret"

// open serves and gives a client that signs each try with a number of its own and takes only a 200 for data.
func open(t *testing.T, h http.HandlerFunc) (*Client, *atomic.Int32) {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	var signed atomic.Int32
	c, err := New(Options{
		Platform: "shop", Base: srv.URL + "/",
		Sign: func(r *http.Request) error {
			q := r.URL.Query()
			q.Set("nonce", strconv.Itoa(int(signed.Add(1))))
			r.URL.RawQuery = q.Encode()
			r.Header.Set("Authorization", secret)
			return nil
		},
		Classify: func(op string, a Answer) error {
			if f := Throttled(op, a); f != nil {
				return f
			}
			if a.Status != http.StatusOK {
				return fault.New(fault.Retry, op, errors.New("refused"))
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c, &signed
}

func wantFault(t *testing.T, err error, class fault.Class) *fault.Error {
	t.Helper()
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Class != class {
		t.Fatalf("want class %s: %v", class, err)
	}
	for _, s := range []string{secret, "nonce", "jane", "?", "http:"} {
		if strings.Contains(err.Error(), s) {
			t.Errorf("the error holds %q: %v", s, err)
		}
	}
	return f
}

func TestGet(t *testing.T) {
	c, _ := open(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != secret || r.Header.Get("Accept") != "application/json" || r.URL.Path != "/v1/x" || r.URL.Query().Get("q") != "a b+c" {
			t.Errorf("%s %v", r.URL, r.Header)
		}
		w.Header().Set("Date", "Sun, 22 Nov 2026 03:27:14 GMT")
		_, _ = w.Write([]byte("\ufeff{}"))
	})
	a, err := c.Get(t.Context(), "list things", "/v1/x", Query(map[string][]string{"q": {"a b+c"}}))
	if err != nil || string(a.Body) != "{}" || !a.Date().Equal(time.Date(2026, 11, 22, 3, 27, 14, 0, time.UTC)) {
		t.Errorf("%s %v", a.Body, err)
	}
	if strings.HasSuffix(c.Base(), "/") {
		t.Error(c.Base())
	}
	if !(Answer{}).Date().IsZero() {
		t.Error("a date from nowhere")
	}
}

func TestUnsignedRequestsCarryNoKey(t *testing.T) {
	c, signed := open(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("the key went out")
		}
	})
	if _, err := c.Get(Unsigned(t.Context()), "look", "/", ""); err != nil || signed.Load() != 0 {
		t.Error(err, signed.Load())
	}
}

// A nonce may be used once: each try is signed anew.
func TestEveryTryIsSignedAnew(t *testing.T) {
	var nonces []string
	c, _ := open(t, func(w http.ResponseWriter, r *http.Request) {
		nonces = append(nonces, r.URL.Query().Get("nonce"))
		if len(nonces) < 3 {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	if _, err := c.Get(t.Context(), "list", "/", ""); err != nil {
		t.Fatal(err)
	}
	if strings.Join(nonces, " ") != "1 2 3" {
		t.Errorf("nonces %v", nonces)
	}
}

func TestRetries(t *testing.T) {
	for status, want := range map[int]int32{
		200: 1, 404: 1, 401: 1, 429: 1, 503: 1, // these do not pass in a moment
		500: 3, 502: 3, 504: 3,
	} {
		var asked atomic.Int32
		c, _ := open(t, func(w http.ResponseWriter, _ *http.Request) {
			asked.Add(1)
			w.WriteHeader(status)
		})
		_, err := c.Get(t.Context(), "list", "/jane", "")
		if asked.Load() != want || (err == nil) != (status == 200) {
			t.Errorf("%d: asked %d times, %v", status, asked.Load(), err)
		}
	}
}

// A write may have been carried out although its answer was a 500: only the queue of tasks knows whether to repeat it.
func TestAWriteIsSentOnce(t *testing.T) {
	for _, h := range map[string]http.HandlerFunc{
		"500":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"dropped": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		var asked atomic.Int32
		c, _ := open(t, func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			if body, err := io.ReadAll(r.Body); err != nil || string(body) != `{"jane":1}` || r.Method != http.MethodPut || r.Header.Get("Content-Type") != "application/json" {
				t.Errorf("%s %s %v", r.Method, body, err)
			}
			h(w, r)
		})
		_, err := c.Send(t.Context(), "write", http.MethodPut, "/x", "", "application/json", []byte(`{"jane":1}`))
		wantFault(t, err, fault.Retry)
		if asked.Load() != 1 {
			t.Errorf("sent %d times", asked.Load())
		}
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	c, signed := open(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/elsewhere", http.StatusMovedPermanently)
	})
	a, err := c.Get(t.Context(), "list", "/", "")
	wantFault(t, err, fault.Retry) // Classify's word; the client only hands the answer over
	if a.Status != http.StatusMovedPermanently || signed.Load() != 1 {
		t.Errorf("%d, %d requests", a.Status, signed.Load())
	}
}

func TestCookiesAreNotKept(t *testing.T) {
	c, _ := open(t, func(w http.ResponseWriter, r *http.Request) {
		if len(r.Cookies()) > 0 {
			t.Error("a cookie came back")
		}
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "1", Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	})
	for range 2 {
		if _, err := c.Get(t.Context(), "list", "/", ""); err != nil {
			t.Fatal(err)
		}
	}
}

func TestABrokenOffAnswerIsNoAnswer(t *testing.T) {
	c, _ := open(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte(`[{"id":1}`))
		panic(http.ErrAbortHandler)
	})
	_, err := c.Get(t.Context(), "list", "/", "")
	wantFault(t, err, fault.Retry)
}

func TestAnAnswerHasALimit(t *testing.T) {
	c, _ := open(t, func(w http.ResponseWriter, _ *http.Request) {
		chunk := []byte(strings.Repeat(" ", 1<<20))
		for range maxBody>>20 + 1 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	_, err := c.Get(t.Context(), "list", "/", "")
	if f := wantFault(t, err, fault.Retry); !strings.Contains(f.Error(), "larger than") {
		t.Error(err)
	}
}

func TestWaitsHaveACap(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"7": 7 * time.Second, "0": 0, "999999": throttleCap, "": throttleDefault, "soon": throttleDefault, "-5": throttleDefault,
		"Sun, 22 Nov 2026 03:28:14 GMT": time.Minute, "Mon, 23 Nov 2026 03:27:14 GMT": throttleCap, "Sat, 21 Nov 2026 03:27:14 GMT": 0,
	} {
		h := http.Header{"Date": {"Sun, 22 Nov 2026 03:27:14 GMT"}, "Retry-After": {header}}
		if got := RetryAfter(h); got != want {
			t.Errorf("%q: wait %v, want %v", header, got, want)
		}
	}
	asks := http.Header{"Retry-After": {"5"}}
	for _, a := range []Answer{{Status: 429}, {Status: 503, Header: asks}} {
		if f := Throttled("op", a); f == nil || f.Class != fault.Throttled || f.After <= 0 {
			t.Errorf("%d: %v", a.Status, f)
		}
	}
	for _, a := range []Answer{{Status: 200, Header: asks}, {Status: 503}, {Status: 500, Header: asks}} {
		if f := Throttled("op", a); f != nil {
			t.Errorf("%d: %v", a.Status, f)
		}
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c, _ := open(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(`[`))
		_ = http.NewResponseController(w).Flush()
		cancel()
		<-r.Context().Done()
	})
	_, err := c.Get(ctx, "list", "/", "")
	if f := wantFault(t, err, fault.Retry); !errors.Is(f, context.Canceled) {
		t.Error(err)
	}
}

// A shop that is not reached: the operator mends a name and a certificate, the rest passes.
func TestNetwork(t *testing.T) {
	c, _ := open(t, func(http.ResponseWriter, *http.Request) {})
	c.http.HTTPClient.CloseIdleConnections()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	c.base = gone.URL
	_, err := c.Get(t.Context(), "list", "/", "jane=1")
	wantFault(t, err, fault.Retry)

	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	srv.Config.ErrorLog = zap.NewStdLog(zap.NewNop())
	srv.StartTLS()
	defer srv.Close()
	c.base = srv.URL
	_, err = c.Get(t.Context(), "list", "/", "")
	if f := wantFault(t, err, fault.Operator); !strings.Contains(f.Hint, "ca_file") {
		t.Error(f.Hint)
	}

	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	o := c.o
	o.CAFile, o.Base = file, srv.URL
	trusting, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trusting.Get(t.Context(), "list", "/", ""); err != nil {
		t.Errorf("with ca_file: %v", err)
	}
	for _, bad := range []string{"/nowhere.pem", os.Args[0]} {
		o.CAFile = bad
		_, err = New(o)
		if f := wantFault(t, err, fault.Operator); f.Hint == "" {
			t.Error("no hint")
		}
	}
}

func TestDecode(t *testing.T) {
	c, _ := open(t, func(http.ResponseWriter, *http.Request) {})
	for body, class := range map[string]fault.Class{
		`{"jane`:           fault.Retry, // broken off, as it came whole
		`"jane"`:           fault.Retry, // another shape
		`<b>Notice</b> {}`: fault.Operator,
		``:                 fault.Retry,
		`Warning: jane {`:  fault.Retry,
	} {
		var v struct{ ID int }
		wantFault(t, c.Decode("list", Answer{Body: []byte(body)}, &v), class)
	}
	var v struct{ ID int }
	if err := c.Decode("list", Answer{Body: []byte(`{"id":5}`)}, &v); err != nil || v.ID != 5 {
		t.Error(err)
	}
}

func TestIsHTML(t *testing.T) {
	for _, c := range []struct {
		kind, body string
		want       bool
	}{
		{"text/html; charset=UTF-8", `{}`, true},
		{"application/xhtml+xml", ``, true},
		{"application/json", `<html>`, false},
		{"", ` <html>`, true},
		{"", `{}`, false},
	} {
		if got := IsHTML(Answer{Header: http.Header{"Content-Type": {c.kind}}, Body: []byte(c.body)}); got != c.want {
			t.Errorf("%q %q: %v", c.kind, c.body, got)
		}
	}
}

// PHP prints its notices before the data. What is whole behind them is read, what broke off is not.
func TestNoticesBeforeTheData(t *testing.T) {
	const notice = "<br />\n<b>Deprecated</b>: Optional parameter [x] in <b>/var/www/x.php</b> on line <b>3</b><br />\n"
	for body, want := range map[string]string{
		notice + `[{"id":1,"of":{"id":2}}]`: `[{"id":1,"of":{"id":2}}]`,
		notice + `{"items":[]}`:             `{"items":[]}`,
		notice + `[]`:                       `[]`,
		"\nNotice: x in y on line 3\n[]":    `[]`,
		notice + `[{"id":1,"of":{"id":2}`:   notice + `[{"id":1,"of":{"id":2}`,
		notice:                              notice,
		`<div id="error">WordPress database error: [Table crashed]</div>[]`: `<div id="error">WordPress database error: [Table crashed]</div>[]`,
		`"text"`:   `"text"`,
		`{"a":1} `: `{"a":1} `,
		"":         "",
	} {
		if got := string(behindNotices([]byte(body))); got != want {
			t.Errorf("%q: %q, want %q", body, got, want)
		}
	}
}
