package sendgrid

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sendgrid/sendgrid-go/helpers/mail"

	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/mailer"
	"github.com/relance/relance/mailer/mailertest"
)

func dynamics(n int) []mailer.Mail {
	var out []mailer.Mail
	for i := range n {
		out = append(out, mailertest.Dynamic(i))
	}
	return out
}

func TestABatchIsOneRequestForEachThatIsShared(t *testing.T) {
	r := &receiver{}
	p := serve(t, r)
	mails := dynamics(100)
	for i := range mails {
		switch i % 10 {
		case 1:
			mails[i].Step = "second"
		case 2:
			mails[i].TemplateID = "d-ffff"
		}
	}
	mails[50].ToEmail = strings.ToUpper(mails[40].ToEmail) // an address may stand in a request once
	alone := mailertest.Mail(200)                          // filled in by us: shared with nobody
	for i, res := range p.SendBatch(t.Context(), append(mails, alone)) {
		if res.Err != nil || res.MessageID != "msg-1" || res.Held {
			t.Fatal(i, res)
		}
	}
	if r.count() != 5 || len(r.mails(t)) != 101 {
		t.Errorf("%d requests with %d mails, want 5 with 101", r.count(), len(r.mails(t)))
	}
}

func TestABatchKeepsWithinTheLimits(t *testing.T) {
	big := dynamics(2500)
	for i := range big {
		big[i].SendID = fmt.Sprint(i) // few bytes of arguments
		big[i].Step = "s"
	}
	for name, c := range map[string]struct {
		mails    []mailer.Mail
		requests int
	}{
		"bytes of arguments": {dynamics(600), 3},
		"bytes": {func() []mailer.Mail {
			mails := dynamics(3)
			for i := range mails {
				mails[i].TemplateData = map[string]any{"x": strings.Repeat("x", 12<<20)}
			}
			return mails
		}(), 2},
	} {
		n := 0
		all := requests(c.mails, func(int, error) { t.Error("refused") })
		for _, r := range all {
			body, err := r.body(true, false)
			if err != nil {
				t.Fatal(err)
			}
			n += len(apart(t, body))
		}
		if len(all) != c.requests || n != len(c.mails) {
			t.Errorf("%s: %d requests with %d mails", name, len(all), n)
		}
	}
	for _, r := range requests(big, func(int, error) {}) {
		if len(r.mails) > 1000 || r.args > 10_000 {
			t.Error(len(r.mails), r.args)
		}
	}
	huge := dynamics(1)
	huge[0].TemplateData = map[string]any{"x": strings.Repeat("x", 31<<20)}
	r := &receiver{}
	if res := serve(t, r).SendBatch(t.Context(), huge); fault.ClassOf(res[0].Err) != fault.Reject || r.count() > 0 {
		t.Error(res)
	}
}

// picky is a SendGrid that does not like some recipients, and takes a request whole or not at all.
type picky struct {
	receiver

	complain func(v mail.SGMailV3) string // body of a 400, "" = taken
	requests atomic.Int64
}

func (p *picky) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	p.requests.Add(1)
	b, _ := io.ReadAll(req.Body)
	var v mail.SGMailV3
	if err := json.Unmarshal(b, &v); err != nil {
		panic(err)
	}
	if body := p.complain(v); body != "" {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, body)
		return
	}
	req.Body = io.NopCloser(strings.NewReader(string(b)))
	p.receiver.ServeHTTP(w, req)
}

func TestAComplaintAboutOneHoldsTheOthersBack(t *testing.T) {
	h := &picky{complain: func(v mail.SGMailV3) string {
		for i, p := range v.Personalizations {
			if strings.HasPrefix(p.To[0].Address, "zoe3.") || strings.HasPrefix(p.To[0].Address, "zoe7.") {
				return fmt.Sprintf(`{"errors":[{"field":"personalizations.%d.to.0.email","message":"Does not contain a valid address: %s"}]}`, i, p.To[0].Address)
			}
		}
		return ""
	}}
	p := serve(t, h)
	left, refused := dynamics(10), 0
	for round := range 3 {
		var again []mailer.Mail
		for i, res := range p.SendBatch(t.Context(), left) {
			switch {
			case res.Held && res.Err == nil:
				again = append(again, left[i])
			case res.Err != nil:
				refused++
				if fault.ClassOf(res.Err) != fault.Reject || strings.Contains(res.Err.Error(), "zoe") || !strings.Contains(res.Err.Error(), "Does not contain a valid address") {
					t.Error(res.Err)
				}
			case round < 2:
				t.Error("one was taken although the request was not")
			}
		}
		left = again
	}
	if refused != 2 || len(left) != 0 || len(h.mails(t)) != 8 || h.requests.Load() != 3 {
		t.Error(refused, len(left), len(h.mails(t)), h.requests.Load())
	}
}

func TestAComplaintAboutNobodyIsAboutAll(t *testing.T) {
	for _, body := range []string{
		`{"errors":[{"field":"template_id","message":"no such template"}]}`, `{"errors":[{"field":null,"message":"bad"}]}`, `<html>`, "",
		`{"errors":[{"field":"personalizations.99.to","message":"out of range"}]}`, `{"errors":[{"field":"personalizations","message":"x"}]}`,
		`{"errors":[{"field":"personalizations.-1.to","message":"x"}]}`,
	} {
		p, _ := answer(400, nil, body)
		for _, res := range p.SendBatch(t.Context(), dynamics(3)) {
			if res.Err == nil || fault.ClassOf(res.Err) != fault.Reject || res.Held {
				t.Errorf("%s: %+v", body, res)
			}
		}
	}
}

func TestEveryOtherAnswerIsForAll(t *testing.T) {
	for code, want := range map[int]fault.Class{
		401: fault.Operator, 403: fault.Operator, 413: fault.Reject, 429: fault.Throttled, 408: fault.Retry, 500: fault.Unknown, 503: fault.Unknown,
	} {
		p, tr := answer(code, nil, `{"errors":[{"field":"personalizations.1.to","message":"zoe1"}]}`)
		for _, res := range p.SendBatch(t.Context(), dynamics(3)) {
			if res.Err == nil || fault.ClassOf(res.Err) != want || res.Held {
				t.Errorf("%d: %+v", code, res)
			}
		}
		if tr.GetTotalCallCount() != 1 {
			t.Error(tr.GetTotalCallCount())
		}
	}
}

func TestTheSandboxTakesBatches(t *testing.T) {
	var body atomic.Value
	p := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) { // 200, no id
		b, _ := io.ReadAll(req.Body)
		body.Store(string(b))
	}))
	p.config.Sandbox = true
	for _, res := range p.SendBatch(t.Context(), dynamics(3)) {
		if res.Err != nil || res.Held {
			t.Error(res)
		}
	}
	if !strings.Contains(body.Load().(string), `"mail_settings":{"sandbox_mode":{"enable":true}}`) || p.Real() {
		t.Error(body.Load())
	}
}

func TestAProbeAsksWhatTheKeyMayDo(t *testing.T) {
	for name, c := range map[string]struct {
		code  int
		body  string
		class fault.Class
		says  string
	}{
		"may send":      {200, `{"scopes":["alerts.read","mail.send"]}`, "", "may send"},
		"may not":       {200, `{"scopes":["alerts.read","mail.batch.create"]}`, fault.Operator, "Mail Send"},
		"no such key":   {401, `{"errors":[{"message":"` + key + `"}]}`, fault.Operator, "API key exists"},
		"forbidden":     {403, `{}`, fault.Operator, "Mail Send"},
		"another place": {200, `<html>`, fault.Retry, "understood"},
		"down":          {503, ``, fault.Retry, "503"},
	} {
		var asked atomic.Value
		p := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			asked.Store(req.Method + " " + req.URL.Path + " " + req.Header.Get("Authorization"))
			w.WriteHeader(c.code)
			_, _ = io.WriteString(w, c.body)
		}))
		found, err := p.Probe(t.Context())
		text := found
		if err != nil {
			text = err.Error()
		}
		if (err == nil) != (c.class == "") || err != nil && fault.ClassOf(err) != c.class || !strings.Contains(text, c.says) || strings.Contains(text, key) {
			t.Errorf("%s: %q %v", name, found, err)
		}
		if asked.Load() != "GET /v3/scopes Bearer "+key {
			t.Error(asked.Load())
		}
	}
}

func BenchmarkBatch(b *testing.B) {
	p := serve(b, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		w.WriteHeader(http.StatusAccepted)
	}))
	mails := dynamics(128)
	for b.Loop() {
		for _, r := range p.SendBatch(b.Context(), mails) {
			if r.Err != nil {
				b.Fatal(r.Err)
			}
		}
	}
	b.ReportMetric(float64(b.N)*128/b.Elapsed().Seconds(), "mails/s")
}
