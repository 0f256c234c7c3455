package mailer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/mailer"
	"github.com/relance/relance/mailer/mailertest"
	"github.com/relance/relance/mailer/sendgrid"
	"github.com/relance/relance/mailer/smtp"
)

// sink is a provider on the loopback.
type sink struct {
	url    string
	client *http.Client
}

func newSink(b *testing.B, parallel int) *sink {
	b.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusAccepted)
	}))
	b.Cleanup(server.Close)
	transport := &http.Transport{MaxIdleConns: parallel, MaxIdleConnsPerHost: parallel}
	b.Cleanup(transport.CloseIdleConnections)
	return &sink{url: server.URL, client: &http.Client{Transport: transport}}
}

func (s *sink) Name() string { return "sink" }
func (s *sink) Real() bool   { return false }

func (s *sink) Send(ctx context.Context, m mailer.Mail) (string, error) {
	body, err := json.Marshal(m)
	if err != nil {
		return "", fault.New(fault.Reject, "writing a mail", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return "", fault.New(fault.Reject, "writing a mail", err)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return "", fault.New(fault.Unknown, "posting", err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	return m.SendID, resp.Body.Close()
}

// BenchmarkSends compares mails through gate and ledger with a bare loop of the same POSTs, same number at once.
func BenchmarkSends(b *testing.B) {
	const parallel = 256
	for _, engine := range []store.Dialect{store.SQLite, store.MySQL} {
		b.Run(string(engine), func(b *testing.B) {
			benchmarkSends(b, engine, parallel, cartCampaign(), func(b *testing.B) mailer.Provider { return newSink(b, parallel) })
		})
	}
}

// BenchmarkSendsByProvider is the same through our own providers to servers on the loopback: an SMTP conversation for each
// mail, a request of SendGrid's for each mail, and one for each batch. The bare loop makes the same calls of the same provider.
func BenchmarkSendsByProvider(b *testing.B) {
	const parallel, connections = 256, 64
	dynamic := cartCampaign()
	dynamic.Steps[0].Send = &mailer.SendSpec{SendGrid: ofSendGrid}
	overHTTP := func(b *testing.B) mailer.Provider {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusAccepted)
		}))
		b.Cleanup(server.Close)
		transport := &http.Transport{MaxIdleConns: parallel, MaxIdleConnsPerHost: parallel}
		b.Cleanup(transport.CloseIdleConnections)
		return sendgrid.New(sendgrid.Config{APIKey: "SG.test", BaseURL: server.URL}, transport)
	}
	b.Run("smtp", func(b *testing.B) {
		benchmarkSends(b, store.SQLite, parallel, cartCampaign(), func(b *testing.B) mailer.Provider {
			s := mailertest.ServeQuiet(b)
			p := smtp.New(smtp.Config{Host: s.Host, Port: s.Port, TLS: "none", Connections: connections})
			b.Cleanup(p.Close)
			return p
		})
	})
	b.Run("sendgrid", func(b *testing.B) { benchmarkSends(b, store.SQLite, parallel, cartCampaign(), overHTTP) })
	b.Run("sendgrid-batch", func(b *testing.B) { benchmarkSends(b, store.SQLite, parallel, dynamic, overHTTP) })
}

func benchmarkSends(b *testing.B, engine store.Dialect, parallel int, campaign mailer.CampaignSpec, open func(b *testing.B) mailer.Provider) {
	b.Helper()
	const mails = 20000
	for range b.N {
		b.StopTimer()
		out := open(b)
		w := newWorld(b, servers.Open(b, engine, store.Options{}))
		off := errors.New("not yet")
		w.options.Parallel = parallel
		w.options.SendingAllowed = func() error { return off }
		w.options.Wall = time.Now
		w.sender(func(s *mailer.Sender) { s.Provider = out })
		w.arm(cartMails, campaign)
		fill(w, mails)
		w.run()
		off = nil
		b.StartTimer()
		start, before := time.Now(), cpu(b)
		w.run()
		ours, used := time.Since(start), cpu(b)-before
		b.StopTimer()
		if n := w.count("SELECT COUNT(*) FROM sends WHERE state='accepted'"); n != mails {
			b.Fatalf("%d of %d accepted", n, mails)
		}
		bare := bareLoop(b, out, w, campaign, mails, parallel)
		b.ReportMetric(mails/ours.Seconds(), "mails/s")
		b.ReportMetric(used.Seconds()*1000/mails, "cpu_s/1k") // with the sink's share; without the server's on MySQL
		b.ReportMetric(mails/bare.Seconds(), "bare/s")
		b.ReportMetric(bare.Seconds()/ours.Seconds(), "of_bare")
		b.ReportMetric(peakMB(b), "peak_MB") // resident, of the whole process: with the sink, and all that ran before
	}
}

// fill puts people with idle carts before the campaign.
func fill(w *world, n int) {
	w.tb.Helper()
	at := crm.At(w.now.Add(-2 * time.Hour))
	var contacts, consents, carts, lines, members, changes [][]any
	for i := range n {
		id, email := w.db.NewID(), fmt.Sprintf("c%d@example.com", i)
		cart := fmt.Sprint(i)
		contacts = append(contacts, []any{id, w.audience, crm.LaneOf(id), email, email, "Zoé", "Europe/Paris", "fr", w.shop, 1})
		consents = append(consents, []any{id, "marketing", "email", crm.LaneOf(id), crm.ConsentGranted})
		carts = append(carts, []any{w.shop, cart, id, "EUR", 4990, at, at, "https://boutique.example/panier/" + cart})
		for l := range 3 {
			lines = append(lines, []any{w.shop, cart, fmt.Sprint(l), "Écharpe", 1, 4990})
		}
		members = append(members, []any{id, idleCart, 1, crm.LaneOf(id), at})
		changes = append(changes, []any{w.db.NewID(), id, crm.LaneOf(id), idleCart, 1, crm.At(w.now), crm.At(w.now), string(crm.CauseClock), 1})
	}
	w.insert("contacts", []string{"id", "audience_id", "lane", "email", "email_norm", "first_name", "zone", "locale", "home_shop_id", "live"}, contacts...)
	w.insert("consent_state", []string{"contact_id", "topic", "channel", "lane", "state"}, consents...)
	w.insert("carts", []string{"shop_id", "id", "contact_id", "currency", "total", "created_at", "active_at", "recover_url"}, carts...)
	w.insert("cart_lines", []string{"shop_id", "cart_id", "line_id", "name", "quantity", "total"}, lines...)
	w.insert("memberships", []string{"contact_id", "segment", "generation", "lane", "since"}, members...)
	w.insert("segment_changes", []string{"id", "contact_id", "lane", "segment", "entered", "effective_at", "recorded_at", "cause", "pending"}, changes...)
}

// bareLoop hands over as many mails without a ledger: alone, or in batches as big as a decision's when they go together.
func bareLoop(b *testing.B, out mailer.Provider, w *world, campaign mailer.CampaignSpec, mails, parallel int) time.Duration {
	b.Helper()
	r := must(w.options.Renderer.Render("abandoned_cart", "fr", mailer.Data{Cart: &mailer.CartData{Lines: make([]mailer.LineData, 3)}}))(b)
	m := mailer.Mail{SendID: "x", FromEmail: "bonjour@boutique.example", ToEmail: "c@example.com", Subject: r.Subject, HTML: r.HTML, Text: r.Text}
	each, workers := 1, parallel
	batch, together := out.(mailer.BatchProvider)
	if together = together && campaign.Steps[0].Send.SendGrid != ""; together {
		each, workers = parallel/2, 2
		m.Subject, m.HTML, m.Text = "", "", ""
		m.TemplateID, m.TemplateData = ofSendGrid, mailer.Data{Cart: &mailer.CartData{Lines: make([]mailer.LineData, 3)}}.Dynamic()
	}
	party := make([]mailer.Mail, each)
	for i := range party {
		party[i] = m
		party[i].ToEmail = fmt.Sprintf("c%d@example.com", i)
	}
	jobs := make(chan struct{}, mails/each)
	for range mails / each {
		jobs <- struct{}{}
	}
	close(jobs)
	var wg sync.WaitGroup
	start := time.Now()
	for range workers {
		wg.Go(func() {
			for range jobs {
				if together {
					for _, r := range batch.SendBatch(b.Context(), party) {
						if r.Err != nil {
							b.Error(r.Err)
						}
					}
				} else if _, err := out.Send(b.Context(), m); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	return time.Since(start)
}

// cpu is what this process has used so far.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peakMB is the most memory that this process has had so far.
func peakMB(b *testing.B) float64 {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Maxrss) / 1024 // Linux counts in KiB
}
