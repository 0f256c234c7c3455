package mailer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/mailer"
	"github.com/relance/relance/mailer/sendgrid"
)

// batching is a provider that takes batches and answers them as it is told.
type batching struct {
	outside

	mu      sync.Mutex
	batches [][]mailer.Mail
	results func(mails []mailer.Mail) []mailer.Result // nil = takes all
}

func (b *batching) SendBatch(_ context.Context, mails []mailer.Mail) []mailer.Result {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.batches = append(b.batches, slices.Clone(mails))
	if b.results != nil {
		return b.results(mails)
	}
	return taken(mails)
}

func taken(mails []mailer.Mail) []mailer.Result {
	out := make([]mailer.Result, len(mails))
	for i := range out {
		out[i].MessageID = "batch"
	}
	return out
}

// times counts how often each address was in a batch.
func (b *batching) times() map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := map[string]int{}
	for _, mails := range b.batches {
		for _, m := range mails {
			out[m.ToEmail]++
		}
	}
	return out
}

const ofSendGrid = "d-0123456789abcdef"

func dynamicCampaign() mailer.CampaignSpec {
	return mailer.CampaignSpec{
		Trigger: mailer.TriggerSpec{Enters: anybody},
		Steps:   []mailer.StepSpec{{ID: "first", Send: &mailer.SendSpec{SendGrid: ofSendGrid}}},
	}
}

// batched puts n people whose mails go together into a world.
func batched(w *world, n int) (*batching, []int64) {
	w.tb.Helper()
	b := &batching{}
	w.options.Parallel = 64
	w.sender(func(s *mailer.Sender) { s.Provider = b })
	w.arm("news", dynamicCampaign())
	var ids []int64
	for i := range n {
		ids = append(ids, w.contact(fmt.Sprintf("c%d@example.com", i)))
		w.enter(ids[i], anybody, w.now)
	}
	return b, ids
}

func onSQLite(t *testing.T) *world {
	t.Helper()
	return newWorld(t, servers.Open(t, store.SQLite, store.Options{}))
}

func TestMailsThatTheProviderFillsInGoTogether(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		b, ids := batched(w, 10)
		w.run()
		for _, id := range ids {
			w.expect(id, mailer.Accepted, "")
		}
		if len(b.batches) != 1 || len(b.batches[0]) != 10 || len(b.got()) != 0 {
			t.Fatalf("%d batches, %d alone", len(b.batches), len(b.got()))
		}
		m := b.batches[0][0]
		contact, _ := m.TemplateData["contact"].(map[string]any)
		unsubscribe, _ := m.TemplateData["unsubscribe"].(string)
		if m.TemplateID != ofSendGrid || m.Subject+m.HTML+m.Text != "" || contact["first_name"] != "Zoé" || m.TemplateData["locale"] != "fr" {
			t.Errorf("%+v", m)
		}
		if m.Headers["List-Unsubscribe"] != "<"+unsubscribe+">" || !strings.HasPrefix(unsubscribe, "https://mail.example/u/") || m.Headers["List-Unsubscribe-Post"] != "List-Unsubscribe=One-Click" {
			t.Errorf("%+v", m.Headers)
		}
		if s := w.one(ids[0]); s.MessageID != "batch" {
			t.Error(s.MessageID)
		}
	})
}

func TestB2_EachMailOfABatchIsWrittenDownBefore(t *testing.T) {
	w := onSQLite(t)
	b, _ := batched(w, 5)
	handing := 0
	b.results = func(mails []mailer.Mail) []mailer.Result {
		handing = w.count("SELECT COUNT(*) FROM sends WHERE state='handing'")
		return taken(mails)
	}
	w.run()
	if handing != 5 {
		t.Errorf("%d of 5 were handing when the batch left", handing)
	}
}

func TestOneRefusedOfABatchHoldsNobodyBackForLong(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		b, ids := batched(w, 6)
		b.results = func(mails []mailer.Mail) []mailer.Result {
			bad := slices.IndexFunc(mails, func(m mailer.Mail) bool { return m.ToEmail == "c2@example.com" })
			out := taken(mails)
			for i := range out {
				if bad >= 0 {
					out[i] = mailer.Result{Held: i != bad}
				}
			}
			if bad >= 0 {
				out[bad].Err = fault.New(fault.Reject, "handing a mail over", errors.New("400"))
			}
			return out
		}
		w.run()
		w.ahead += time.Second
		w.run()
		for i, id := range ids {
			if i == 2 {
				w.expect(id, mailer.Refused, mailer.Rejected)
			} else {
				w.expect(id, mailer.Accepted, "")
			}
			if s := w.one(id); s.Attempts != 0 {
				t.Error("being held back counts as an attempt", s.Attempts)
			}
		}
		if times := b.times(); times["c2@example.com"] != 1 || times["c1@example.com"] != 2 {
			t.Error(times)
		}
		if n := w.count("SELECT COUNT(*) FROM send_log WHERE reason='shared_request'"); n != 5 {
			t.Errorf("%d mails say why they waited", n)
		}
	})
}

func TestB1_ABatchWithoutAnAnswerIsUnknownAndNeverRepeated(t *testing.T) {
	for name, results := range map[string]func(mails []mailer.Mail) []mailer.Result{
		"no answer": func(mails []mailer.Mail) []mailer.Result {
			out := make([]mailer.Result, len(mails))
			for i := range out {
				out[i].Err = fault.New(fault.Unknown, "handing a mail over", errors.New("reset"))
			}
			return out
		},
		"too few answers": func(mails []mailer.Mail) []mailer.Result { return taken(mails)[1:] },
		"a panic":         func([]mailer.Mail) []mailer.Result { panic("oh") },
	} {
		t.Run(name, func(t *testing.T) {
			w := onSQLite(t)
			b, ids := batched(w, 4)
			b.results = results
			w.run()
			b.results = nil
			w.ahead += time.Hour
			w.runAt(w.now.Add(time.Hour))
			for i, id := range ids {
				w.expect(id, mailer.Unknown, mailer.NoAnswer)
				if n := b.times()[fmt.Sprintf("c%d@example.com", i)]; n != 1 {
					t.Errorf("handed over %d times", n)
				}
			}
		})
	}
}

func TestAThrottledProviderIsAskedForLessAndRecovers(t *testing.T) {
	w := onSQLite(t)
	b, _ := batched(w, 0)
	busy := true
	b.results = func(mails []mailer.Mail) []mailer.Result {
		out := taken(mails)
		for i := range out {
			if busy {
				out[i].Err = &fault.Error{Class: fault.Throttled, Op: "handing a mail over", Err: errors.New("429"), After: time.Second}
			}
		}
		return out
	}
	for i := range 200 {
		w.enter(w.contact(fmt.Sprintf("c%d@example.com", i)), anybody, w.now)
	}
	for range 12 {
		w.run()
		w.ahead += 2 * time.Second
	}
	b.mu.Lock()
	first, last := len(b.batches[0]), len(b.batches[len(b.batches)-1])
	b.batches = nil
	b.mu.Unlock()
	if first < 8 || last != 1 {
		t.Errorf("the first batch had %d mails, the last %d", first, last)
	}
	busy = false
	for range 5 {
		w.run()
		w.ahead += 2 * time.Second
	}
	if n := w.count("SELECT COUNT(*) FROM sends WHERE state='accepted'"); n != 200 {
		t.Errorf("%d of 200 accepted", n)
	}
	widest := 0
	for _, mails := range b.batches {
		widest = max(widest, len(mails))
	}
	if widest < 4 || widest > 32 {
		t.Errorf("it recovered to %d at once", widest)
	}
}

// The sandbox answers 200 and reaches nobody, so nothing is needed that only people need.
func TestTheSandboxFromEndToEnd(t *testing.T) {
	w := onSQLite(t)
	var bodies []string
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		bodies = append(bodies, string(b))
	}))
	t.Cleanup(srv.Close)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	_, ids := batched(w, 3)
	w.options.PublicURL = ""
	for _, sandbox := range []bool{false, true} {
		w.sender(func(s *mailer.Sender) {
			s.Provider = sendgrid.New(sendgrid.Config{APIKey: "SG.test", BaseURL: srv.URL, Sandbox: sandbox}, transport)
		})
		w.runAt(w.now.Add(time.Minute))
		if !sandbox {
			w.expect(ids[0], mailer.Deferred, mailer.NoPublicURL)
		}
	}
	for _, id := range ids {
		w.expect(id, mailer.Accepted, "")
	}
	if len(bodies) != 1 || !strings.Contains(bodies[0], `"sandbox_mode":{"enable":true}`) || strings.Count(bodies[0], `"dynamic_template_data"`) != 3 {
		t.Errorf("%d requests: %.300s", len(bodies), bodies)
	}
}

// few takes four at once and counts how many it has.
type few struct {
	mu        sync.Mutex
	now, most int
	sent      int
}

func (f *few) Name() string { return "few" }
func (f *few) Real() bool   { return false }
func (f *few) AtOnce() int  { return 4 }

func (f *few) Send(context.Context, mailer.Mail) (string, error) {
	f.mu.Lock()
	f.now++
	f.sent++
	f.most = max(f.most, f.now)
	f.mu.Unlock()
	time.Sleep(time.Millisecond)
	f.mu.Lock()
	f.now--
	f.mu.Unlock()
	return "m", nil
}

func TestAProviderThatTakesFewAtOnceKeepsNobodyElseWaiting(t *testing.T) {
	w := onSQLite(t)
	f := &few{}
	other := must(w.m.EnsureAudience(t.Context(), "other", "Other"))(t)
	w.options.Parallel = 8 // batches of 4, of which 8 are looked for at once: 32 of the 100
	w.options.Senders = map[int64]mailer.Sender{
		w.audience: {FromEmail: "a@boutique.example", PostalAddress: "x", Provider: f}, other: {FromEmail: "b@boutique.example", PostalAddress: "x", Provider: w.out},
	}
	w.rebuild()
	w.arm(cartMails, plainCampaign())
	var late []int64
	for i := range 110 {
		id := w.contact(fmt.Sprintf("c%d@example.com", i))
		w.enter(id, anybody, w.now)
		if i >= 100 {
			late = append(late, id)
		}
	}
	off := errors.New("not yet")
	w.options.SendingAllowed = func() error { return off }
	w.rebuild()
	w.run()
	for _, id := range late { // the last in the queue are another audience's
		w.exec("UPDATE sends SET audience_id=?, until_at=until_at+1 WHERE contact_id=?", other, id)
	}
	w.now = w.now.Add(time.Second)
	off = nil
	if _, _, err := w.e.Step(t.Context(), w.now); err != nil {
		t.Fatal(err)
	}
	if n := len(w.out.got()); n != 10 {
		t.Errorf("%d of 10 of the other audience went out in the first step, beside %d", n, f.sent)
	}
	w.run()
	if f.most > 4 || f.sent != 100 {
		t.Errorf("%d at once, %d in all", f.most, f.sent)
	}
}
