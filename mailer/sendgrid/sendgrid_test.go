package sendgrid

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jarcoal/httpmock"

	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/mailer/mailertest"
)

func TestThePayloadIsWhatTheReferenceSays(t *testing.T) {
	r := &receiver{}
	p := serve(t, r)
	p.config.Sandbox = true
	m := mailertest.Mail(7)
	m.ToName = "Durand; Zoé, x"
	if id, err := p.Send(t.Context(), m); id != "msg-1" || err != nil {
		t.Fatal(id, err)
	}
	var got map[string]any
	if err := json.Unmarshal(r.bodies[0], &got); err != nil {
		t.Fatal(err)
	}
	off := map[string]any{"enable": false}
	want := map[string]any{
		"from":     map[string]any{"email": m.FromEmail, "name": m.FromName},
		"reply_to": map[string]any{"email": m.ReplyTo},
		"subject":  m.Subject,
		"personalizations": []any{map[string]any{
			"to":      []any{map[string]any{"email": m.ToEmail, "name": "Durand  Zoé  x"}},
			"headers": map[string]any{"List-Unsubscribe": "<https://relance.example/u/7>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"},
		}},
		"content": []any{
			map[string]any{"type": "text/plain", "value": m.Text},
			map[string]any{"type": "text/html", "value": m.HTML},
		},
		"categories":    []any{"win_back"},
		"custom_args":   map[string]any{"send_id": m.SendID, "step": "first"},
		"mail_settings": map[string]any{"sandbox_mode": map[string]any{"enable": true}},
		"tracking_settings": map[string]any{
			"click_tracking": map[string]any{"enable": false, "enable_text": false}, "open_tracking": off, "subscription_tracking": off,
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	h := r.heads[0]
	if h.Get("Content-Type") != "application/json" || h.Get("Accept") != "application/json" || h.Get("Idempotency-Key") != "" {
		t.Error(h)
	}
	if p.Real() {
		t.Error("the sandbox reaches nobody")
	}
}

// answer makes a provider whose server gives one answer.
func answer(code int, header http.Header, body string) (*Provider, *httpmock.MockTransport) {
	tr := httpmock.NewMockTransport()
	tr.RegisterResponder(http.MethodPost, "https://api.sendgrid.com/v3/mail/send", func(req *http.Request) (*http.Response, error) {
		resp := httpmock.NewStringResponse(code, body)
		resp.Request = req
		if header != nil {
			resp.Header = header
		}
		return resp, nil
	})
	return New(Config{APIKey: key}, tr), tr
}

func TestAnAnswerSaysWhatHappensNext(t *testing.T) {
	for code, want := range map[int]fault.Class{
		202: "", 200: "", 201: fault.Unknown, 204: fault.Unknown,
		301: fault.Operator, 302: fault.Operator, 307: fault.Operator, 308: fault.Operator,
		400: fault.Reject, 401: fault.Operator, 402: fault.Operator, 403: fault.Operator, 404: fault.Operator,
		405: fault.Operator, 406: fault.Operator, 407: fault.Operator, 408: fault.Retry, 409: fault.Reject, 413: fault.Reject,
		415: fault.Reject, 422: fault.Reject, 429: fault.Throttled, 451: fault.Operator,
		500: fault.Unknown, 502: fault.Unknown, 503: fault.Unknown, 504: fault.Unknown, 520: fault.Unknown,
	} {
		p, tr := answer(code, http.Header{"X-Message-Id": {"m1"}, "Location": {"https://elsewhere.example/"}}, "")
		id, err := p.Send(t.Context(), mailertest.Mail(1))
		if want == "" {
			if id != "m1" || err != nil {
				t.Error(code, id, err)
			}
			continue
		}
		if err == nil || fault.ClassOf(err) != want || id != "" {
			t.Errorf("%d: %v %q, want %s", code, err, fault.ClassOf(err), want)
		}
		if want == fault.Operator && fault.HintOf(err) == "" {
			t.Errorf("%d: nobody is told what to do", code)
		}
		if tr.GetTotalCallCount() != 1 {
			t.Errorf("%d: %d requests", code, tr.GetTotalCallCount())
		}
	}
	p, _ := answer(200, http.Header{"Content-Type": {"text/html; charset=utf-8"}}, "<html>log in to the hotel's network</html>")
	if _, err := p.Send(t.Context(), mailertest.Mail(1)); fault.ClassOf(err) != fault.Unknown {
		t.Error("a page was taken for a success:", err)
	}
}

func TestThrottledSaysForHowLong(t *testing.T) {
	date := "Sun, 22 Nov 2026 10:00:00 GMT"
	for name, c := range map[string]struct {
		header http.Header
		want   time.Duration
	}{
		"seconds":             {http.Header{"Retry-After": {"7"}}, 7 * time.Second},
		"a date":              {http.Header{"Date": {date}, "Retry-After": {"Sun, 22 Nov 2026 10:01:00 GMT"}}, time.Minute},
		"an hour is too long": {http.Header{"Retry-After": {"3600"}}, maxAfter},
		"negative":            {http.Header{"Retry-After": {"-5"}}, time.Second},
		"a word":              {http.Header{"Retry-After": {"soon"}}, defaultAfter},
		"more than a number":  {http.Header{"Retry-After": {"99999999999999999999"}}, defaultAfter},
		"the reset instant":   {http.Header{"Date": {date}, "X-Ratelimit-Reset": {"1795341645"}}, 45 * time.Second},
		"a reset long ago":    {http.Header{"X-Ratelimit-Reset": {"1"}}, time.Second},
		"nothing":             {http.Header{}, defaultAfter},
	} {
		p, _ := answer(429, c.header, "")
		_, err := p.Send(t.Context(), mailertest.Mail(1))
		if e, ok := err.(*fault.Error); !ok || e.Class != fault.Throttled || e.After != c.want { //nolint:errorlint // it is this very type
			t.Errorf("%s: %+v", name, err)
		}
	}
}

func TestAnErrorQuotesNothingPersonal(t *testing.T) {
	m := mailertest.Mail(1)
	for body, want := range map[string]string{
		`{"errors":[{"field":"personalizations.0.to","message":"Each email address should be unique. We found [zoe1.durand@example.com] for Durand, Zoé1"}]}`:
		// a plain sentence stays
		"400 for personalizations.0.to: Each email address should be unique. We found … for …",
		`{"errors":[{"field":null,"message":"The from address does not match a verified Sender Identity."}]}`: "400: The from address does not match a verified Sender Identity",
		`{"errors":[{"field":"zoe1.durand@example.com","message":"` + key + `"}]}`:                            "400: …",
		`{"errors":[]}`:                        "400",
		`<html>zoe1.durand@example.com</html>`: "400",
		`{"errors":[{"message":"trunc`:         "400",
		`{"errors":"zoe1.durand@example.com"}`: "400",
		`[]`:                                   "400",
	} {
		p, _ := answer(400, nil, body)
		_, err := p.Send(t.Context(), m)
		if err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("got %v, want …%s", err, want)
		}
	}
	body := `{"errors":[{"message":"` + strings.Repeat("word ", 5000) + `"}]}`
	p, _ := answer(400, nil, body)
	if _, err := p.Send(t.Context(), m); len(err.Error()) > 300 {
		t.Error(len(err.Error()))
	}
}

// endless is a body without end.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	e.read += len(p)
	return len(p), nil
}

func TestAnEndlessAnswerIsNotReadToItsEnd(t *testing.T) {
	body := &endless{}
	tr := httpmock.NewMockTransport()
	tr.RegisterResponder(http.MethodPost, "https://api.sendgrid.com/v3/mail/send", func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 400, Header: http.Header{}, Body: io.NopCloser(body)}, nil
	})
	_, err := New(Config{APIKey: key}, tr).Send(t.Context(), mailertest.Mail(1))
	if fault.ClassOf(err) != fault.Reject || body.read > 1<<20 {
		t.Error(err, body.read)
	}
}

func TestATransportThatCannotBeWatchedGivesUnknown(t *testing.T) {
	tr := httpmock.NewMockTransport()
	tr.RegisterResponder(http.MethodPost, "https://api.sendgrid.com/v3/mail/send", httpmock.NewErrorResponder(io.ErrUnexpectedEOF))
	_, err := New(Config{APIKey: key}, tr).Send(t.Context(), mailertest.Mail(1))
	if fault.ClassOf(err) != fault.Unknown || strings.Contains(err.Error(), "https://") {
		t.Error(err)
	}
}

func TestAWrongConfigurationIsForTheOperator(t *testing.T) {
	for path, c := range map[string]Config{
		"$.api_key":    {},
		"$.api_key ":   {APIKey: "SG.x\n"},
		"$.base_url":   {APIKey: key, BaseURL: "api.sendgrid.com"},
		"$.base_url ":  {APIKey: key, BaseURL: "http://api.sendgrid.com"},
		"$.base_url 2": {APIKey: key, BaseURL: "https://user:pw@api.sendgrid.com"},
		"$.base_url 3": {APIKey: key, BaseURL: "https://%zz"},
		"$.base_url 4": {APIKey: key, Region: "eu", BaseURL: "http://127.0.0.1:8025"},
		"$.region":     {APIKey: key, Region: "fr"},
	} {
		problems := c.Validate()
		if len(problems) != 1 || !strings.HasPrefix(path, problems[0].Path) || problems[0].Want == "" {
			t.Errorf("%s: %+v", path, problems)
		}
		tr := httpmock.NewMockTransport()
		if _, err := New(c, tr).Send(t.Context(), mailertest.Mail(1)); fault.ClassOf(err) != fault.Operator || tr.GetTotalCallCount() > 0 {
			t.Error(path, err)
		}
	}
	for _, c := range []Config{{APIKey: key}, {APIKey: key, Region: "eu"}, {APIKey: key, Region: "global"}, {APIKey: key, BaseURL: "https://api.eu.sendgrid.com/"}, {APIKey: key, BaseURL: "http://127.0.0.1:8025"}} {
		if p := c.Validate(); p != nil || !New(c, nil).Real() {
			t.Error(p)
		}
	}
}
