package wooshop_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/relance/relance/connectors/woocommerce/wooshop"
)

// The keys and signatures that a real shop took or refused are taken and refused here, with the same answers.
func TestKeysAnswerAsRecorded(t *testing.T) {
	var rec struct {
		Key, Secret string
		Requests    []struct {
			Name, Scheme, Path, Query, Authorization, Date, Body string
			Status                                               int
		}
	}
	b, err := os.ReadFile("testdata/auth.json") // of an invented shop
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &rec); err != nil {
		t.Fatal(err)
	}
	for _, c := range rec.Requests {
		at, err := http.ParseTime(c.Date)
		if err != nil {
			t.Fatal(err)
		}
		s, err := wooshop.New(wooshop.Options{
			Key: rec.Key, Secret: rec.Secret, Home: "https://boutique.example.com", TLSProxy: c.Scheme == "https",
			Clock: func() time.Time { return at },
		})
		if err != nil {
			t.Fatal(err)
		}
		ask := func() *httptest.ResponseRecorder {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://10.0.0.3"+c.Path+"?"+c.Query, nil)
			if c.Authorization != "" {
				r.Header.Set("Authorization", c.Authorization)
			}
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			return w
		}
		w := ask()
		if c.Name == "http-oauth-nonce-reused" { // the recording is of the second time
			if w.Code != http.StatusOK {
				t.Errorf("%s, the first time: %d", c.Name, w.Code)
			}
			w = ask()
		}
		if w.Code != c.Status || c.Body != "" && w.Body.String() != c.Body {
			t.Errorf("%s: %d %s, want %d %s", c.Name, w.Code, w.Body, c.Status, c.Body)
		}
	}
	if len(rec.Requests) != 19 {
		t.Errorf("%d recordings", len(rec.Requests))
	}
}
