package sendgrid

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

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
		out = append(out, apart(t, b)...)
	}
	return out
}

// apart reads a payload as SendGrid documents it, and holds it to its limits.
func apart(t testing.TB, body []byte) []mailer.Mail {
	t.Helper()
	var v mail.SGMailV3
	if err := json.Unmarshal(body, &v); err != nil || len(v.Personalizations) == 0 || len(v.Personalizations) > 1000 || len(body) > 30<<20 {
		t.Fatal(err, len(v.Personalizations), len(body))
	}
	if (v.TemplateID == "") == (len(v.Content) == 0) || v.From == nil {
		t.Fatal("neither content nor a template, or both")
	}
	var out []mailer.Mail
	seen, args := map[string]bool{}, 0
	for _, p := range v.Personalizations {
		if len(p.To) != 1 || len(p.CC)+len(p.BCC) > 0 || seen[strings.ToLower(p.To[0].Address)] {
			t.Fatal("not one recipient, or one twice")
		}
		seen[strings.ToLower(p.To[0].Address)] = true
		own := maps.Clone(v.CustomArgs)
		if own == nil {
			own = map[string]string{}
		}
		maps.Copy(own, p.CustomArgs)
		b, err := json.Marshal(own)
		if args += len(b); err != nil || args > 10_000 || len(own) != 2 {
			t.Fatal(args, err)
		}
		n := 0
		for _, c := range own["send_id"] {
			if c >= '0' && c <= '9' {
				n = n*10 + int(c-'0')
			}
		}
		m := mailer.Mail{
			SendID: own["send_id"], Step: own["step"], Campaign: v.Categories[0], FromEmail: v.From.Address, FromName: v.From.Name,
			ToEmail: p.To[0].Address, ToName: p.To[0].Name, Subject: v.Subject, Headers: p.Headers, TemplateID: v.TemplateID, TemplateData: p.DynamicTemplateData,
			Created: time.Date(2026, 11, 22, 9, 0, n%60, 0, time.UTC), // not handed on
		}
		if m.SendID == "3w5e11264sg0z" {
			m.Created = mailertest.Mail(1).Created
		}
		if v.ReplyTo != nil {
			m.ReplyTo = v.ReplyTo.Address
		}
		for _, c := range v.Content {
			switch c.Type {
			case "text/plain":
				m.Text = c.Value
			case "text/html":
				m.HTML = c.Value
			default:
				t.Fatal(c.Type)
			}
		}
		out = append(out, m)
	}
	return out
}

// serve starts a server and a provider that sends to it.
func serve(t testing.TB, h http.Handler) *Provider {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return provider(t, srv.URL)
}

func provider(t testing.TB, url string) *Provider {
	t.Helper()
	tr := newTransport()
	t.Cleanup(tr.CloseIdleConnections)
	return New(Config{APIKey: key, BaseURL: url}, tr)
}

func TestConformance(t *testing.T) {
	open := func(h func(r *receiver) http.Handler) func(t *testing.T) mailertest.Subject {
		return func(t *testing.T) mailertest.Subject {
			r := &receiver{}
			return mailertest.Subject{Provider: serve(t, h(r)), Received: r.mails, Secrets: []string{key, "SECRET"}}
		}
	}
	says := func(code int, field string) func(t *testing.T) mailertest.Subject {
		return open(func(*receiver) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(code)
				_, _ = io.WriteString(w, `{"errors":[{"field":"`+field+`","message":"No zoe1.durand@example.com, Durand, Zoé1, votre panier for `+key+`"}]}`)
			})
		})
	}
	after := func(then func(w http.ResponseWriter, req *http.Request)) func(t *testing.T) mailertest.Subject {
		return open(func(r *receiver) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				r.ServeHTTP(httptest.NewRecorder(), req)
				then(w, req)
			})
		})
	}
	mailertest.Run(t, mailertest.Contract{
		Open: open(func(r *receiver) http.Handler { return r }),
		In: map[mailertest.Trouble]func(t *testing.T) mailertest.Subject{
			mailertest.NotThere: func(t *testing.T) mailertest.Subject {
				srv := httptest.NewServer(nil)
				srv.Close()
				return mailertest.Subject{Provider: provider(t, srv.URL), Received: func(*testing.T) []mailer.Mail { return nil }}
			},
			mailertest.Mute:      after(func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() }),
			mailertest.Dropped:   after(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
			mailertest.Busy:      says(429, ""),
			mailertest.WrongKey:  says(401, ""),
			mailertest.WrongFrom: says(403, "from"),
			mailertest.Unwanted:  says(400, "personalizations.0.to"),
		},
	})
}

// FuzzPayload: whatever people and shops are called, a request is what SendGrid documents, to nobody else and with the
// headers that it should have.
func FuzzPayload(f *testing.F) {
	f.Add("zoe@example.com", "Zoé; Durand, x", "Bonjour\r\nBcc: eve@example.com", "<p>html</p>", "<https://u>", true)
	f.Add(`"a\"b"@example.com`, "\xff\xfe", "\u2028", "\x00", "</script>", false)
	f.Fuzz(func(t *testing.T, address, person, subject, html, header string, dynamic bool) {
		var mails []mailer.Mail
		for i := range 3 {
			m := mailertest.Mail(i)
			if dynamic {
				m = mailertest.Dynamic(i)
				m.TemplateData = map[string]any{person: subject, "list": []any{html}}
			} else {
				m.Subject, m.HTML = subject, html+"x"
			}
			m.ToName, m.FromName, m.Headers["List-Unsubscribe"] = person, person, header
			if i > 0 {
				m.ToEmail = address // twice
			}
			mails = append(mails, m)
		}
		refused, sent := 0, 0
		for _, r := range requests(mails, func(int, error) { refused++ }) {
			body, err := r.body(false, false)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range apart(t, body) {
				sent++
				if strings.ContainsFunc(m.Subject+m.ToName+m.FromName+m.Headers["List-Unsubscribe"], unicode.IsControl) || strings.ContainsAny(m.ToName+m.FromName, ";,") || len(m.Headers) != 2 {
					t.Fatalf("%+v", m)
				}
			}
		}
		if sent+refused != 3 || sent == 0 {
			t.Fatal(sent, refused)
		}
	})
}
