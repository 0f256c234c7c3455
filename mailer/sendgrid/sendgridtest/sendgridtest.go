// Package sendgridtest is a SendGrid on this machine: it takes mails, and posts signed events about them.
package sendgridtest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/sendgrid/sendgrid-go/helpers/eventwebhook"
	"github.com/sendgrid/sendgrid-go/helpers/mail"
)

// SendGrid is one account with its Event Webhook; safe for concurrent use.
type SendGrid struct {
	// Answer, when set, says the status of a request to send instead of 202; it is called before the mails are kept, and
	// those of a request that is not answered 2xx are not. 0 is 202; negative keeps the mails and fails all the same: Cut
	// cuts the connection, another is answered with its opposite (-503: taken, and answered 503). 429 asks to wait a second.
	Answer func(mails []Mail) int

	server *httptest.Server
	client *http.Client
	key    *ecdsa.PrivateKey
	mu     sync.Mutex
	mails  []Mail
	events int
}

// Mail is one mail that was taken: one personalization of a request.
type Mail struct {
	SendID    string // custom argument send_id
	Step      string
	Category  string
	To        string
	Subject   string
	HTML      string
	Text      string
	MessageID string // what the request was answered with
	At        time.Time
}

// Cut is the answer of a provider whose connection breaks after it took the mails.
const Cut = -1

// Event is one event as the webhook posts it, field by field: change what the test is about.
type Event map[string]any

// New starts one; it ends with the test.
func New(tb testing.TB) *SendGrid {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	s := &SendGrid{key: key, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 128}, Timeout: time.Minute}}
	s.server = httptest.NewServer(http.HandlerFunc(s.take))
	tb.Cleanup(func() {
		s.client.CloseIdleConnections()
		s.server.CloseClientConnections()
		s.server.Close()
	})
	return s
}

// URL is what base_url is set to.
func (s *SendGrid) URL() string { return s.server.URL }

// WebhookKey is what webhook_key is set to.
func (s *SendGrid) WebhookKey() string {
	der, err := x509.MarshalPKIXPublicKey(&s.key.PublicKey)
	if err != nil {
		panic(err) // a key that was just made
	}
	return base64.StdEncoding.EncodeToString(der)
}

// Mails gives what was taken, in order.
func (s *SendGrid) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mails)
}

func (s *SendGrid) take(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var v mail.SGMailV3
	if err != nil || r.Method != http.MethodPost || r.URL.Path != "/v3/mail/send" || json.Unmarshal(body, &v) != nil || len(v.Personalizations) == 0 {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	mails := taken(&v, rand.Text()[:22])
	status := 0
	if s.Answer != nil {
		status = s.Answer(mails)
	}
	if status <= 0 || status >= 200 && status < 300 {
		s.mu.Lock()
		s.mails = append(s.mails, mails...)
		s.mu.Unlock()
	}
	switch {
	case status == Cut:
		panic(http.ErrAbortHandler)
	case status < 0:
		status = -status
	case status == 0:
		status = http.StatusAccepted
	case status == http.StatusTooManyRequests:
		w.Header().Set("Retry-After", "1")
	}
	w.Header().Set("X-Message-Id", mails[0].MessageID)
	w.WriteHeader(status)
}

func taken(v *mail.SGMailV3, id string) []Mail {
	var out []Mail
	for _, p := range v.Personalizations {
		m := Mail{SendID: v.CustomArgs["send_id"], Step: v.CustomArgs["step"], Subject: v.Subject, MessageID: id, At: time.Now()}
		if p.CustomArgs["send_id"] != "" {
			m.SendID, m.Step = p.CustomArgs["send_id"], p.CustomArgs["step"]
		}
		if p.Subject != "" {
			m.Subject = p.Subject
		}
		if len(p.To) > 0 {
			m.To = p.To[0].Address
		}
		if len(v.Categories) > 0 {
			m.Category = v.Categories[0]
		}
		for _, c := range v.Content {
			switch c.Type {
			case "text/html":
				m.HTML = c.Value
			case "text/plain":
				m.Text = c.Value
			}
		}
		out = append(out, m)
	}
	return out
}

// Event makes an event about a mail as SendGrid words it: kind is processed, delivered, open, click, bounce, spamreport…
// Each has an id of its own.
func (s *SendGrid) Event(kind string, m Mail, at time.Time) Event {
	s.mu.Lock()
	s.events++
	n := s.events
	s.mu.Unlock()
	e := Event{
		"event": kind, "email": m.To, "timestamp": at.Unix(), "sg_event_id": fmt.Sprintf("%s-%d", base64.RawURLEncoding.EncodeToString([]byte(kind)), n),
		"sg_message_id": m.MessageID + ".recvd-5f54b5d587-8tlkn-1-66F5DBEB-9.0", "smtp-id": "<" + m.MessageID + "@geopod-ismtpd-6>",
		"category": []string{m.Category}, "send_id": m.SendID, "step": m.Step,
	}
	switch kind {
	case "delivered":
		e["response"] = "250 OK"
	case "bounce":
		e["type"], e["status"], e["reason"], e["bounce_classification"] = "bounce", "5.1.1", "550 5.1.1 no such user", "Invalid Address"
	case "dropped":
		e["reason"] = "Bounced Address"
	case "open", "click":
		e["useragent"], e["ip"] = Browser, "203.0.113.9"
		if kind == "open" {
			e["sg_machine_open"] = false
		} else {
			e["url"], e["url_offset"] = "https://boutique.example/nouveautes", map[string]any{"index": 0, "type": "html"}
		}
	}
	return e
}

// Browser is what a person's program calls itself.
const Browser = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"

// With gives a copy of an event with a field changed; nil removes it.
func (e Event) With(field string, value any) Event {
	out := maps.Clone(e)
	if out[field] = value; value == nil {
		delete(out, field)
	}
	return out
}

// Body is a delivery of events.
func Body(tb testing.TB, events ...Event) []byte {
	tb.Helper()
	b, err := json.Marshal(events)
	if err != nil {
		tb.Fatal(err)
	}
	return append(b, "\r\n"...)
}

// Sign signs a body as of an instant.
func (s *SendGrid) Sign(h http.Header, body []byte, at time.Time) {
	stamp := strconv.FormatInt(at.Unix(), 10)
	hash := sha256.Sum256(append([]byte(stamp), body...))
	signature, err := ecdsa.SignASN1(rand.Reader, s.key, hash[:])
	if err != nil {
		panic(err) // a key that was just made
	}
	h.Set(eventwebhook.VerificationHTTPHeader, base64.StdEncoding.EncodeToString(signature))
	h.Set(eventwebhook.TimestampHTTPHeader, stamp)
}

// Post posts a body to a webhook, signed as of now, and gives the status.
func (s *SendGrid) Post(ctx context.Context, url string, body []byte) (status int, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	s.Sign(r.Header, body, time.Now())
	a, err := s.client.Do(r)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, a.Body)
	return a.StatusCode, errors.Join(err, a.Body.Close())
}
