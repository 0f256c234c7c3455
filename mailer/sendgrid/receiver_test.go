package sendgrid

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/sendgrid/sendgrid-go/helpers/mail"
	"go.uber.org/goleak"

	"github.com/relance/relance/mailer"
	"github.com/relance/relance/mailer/mailertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const key = "SG.abcdefgh.SECRETsecret0123456789"

// receiver is a SendGrid that accepts everything and keeps what it got.
type receiver struct {
	mu     sync.Mutex
	bodies [][]byte
	heads  []http.Header
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	b, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	r.bodies, r.heads = append(r.bodies, b), append(r.heads, req.Header)
	r.mu.Unlock()
	if req.Method != http.MethodPost || req.URL.Path != "/v3/mail/send" || req.Header.Get("Authorization") != "Bearer "+key {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.Header().Set("X-Message-Id", "msg-1")
	w.WriteHeader(http.StatusAccepted)
}

func (r *receiver) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.bodies)
}

// mails takes the payloads apart again.
func (r *receiver) mails(t *testing.T) []mailer.Mail {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []mailer.Mail
	for _, b := range r.bodies {
		var v mail.SGMailV3
		if err := json.Unmarshal(b, &v); err != nil || len(v.Personalizations) != 1 || len(v.Content) != 2 {
			t.Fatal(err, string(b))
		}
		p := v.Personalizations[0]
		n := 0
		for _, c := range v.CustomArgs["send_id"][1:] {
			n = n*10 + int(c-'0')
		}
		out = append(out, mailer.Mail{
			SendID: v.CustomArgs["send_id"], Step: v.CustomArgs["step"], Campaign: v.Categories[0],
			FromEmail: v.From.Address, FromName: v.From.Name, ReplyTo: v.ReplyTo.Address,
			ToEmail: p.To[0].Address, ToName: p.To[0].Name, Subject: v.Subject, Headers: p.Headers,
			Text: v.Content[0].Value, HTML: v.Content[1].Value,
			Created: time.Date(2026, 11, 22, 9, 0, n%60, 0, time.UTC), // not handed on
		})
	}
	return out
}

// serve starts a server and a provider that sends to it.
func serve(t *testing.T, h http.Handler) *Provider {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return provider(t, srv.URL)
}

func provider(t *testing.T, url string) *Provider {
	t.Helper()
	tr := newTransport()
	t.Cleanup(tr.CloseIdleConnections)
	return New(Config{APIKey: key, BaseURL: url}, tr)
}

func TestConformance(t *testing.T) {
	mailertest.Run(t, func(t *testing.T) mailertest.Subject {
		r := &receiver{}
		return mailertest.Subject{Provider: serve(t, r), Received: r.mails, Secrets: []string{key, "SECRET"}}
	})
}
