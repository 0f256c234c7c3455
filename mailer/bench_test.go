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
	const mails, parallel = 20000, 256
	for _, engine := range []store.Dialect{store.SQLite, store.MySQL} {
		b.Run(string(engine), func(b *testing.B) {
			for range b.N {
				b.StopTimer()
				out := newSink(b, parallel)
				w := newWorld(b, servers.Open(b, engine, store.Options{}))
				off := errors.New("not yet")
				w.options.Parallel = parallel
				w.options.SendingAllowed = func() error { return off }
				w.sender(func(s *mailer.Sender) { s.Provider = out })
				w.arm(cartMails, cartCampaign())
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
				bare := bareLoop(b, out, w, mails, parallel)
				b.ReportMetric(mails/ours.Seconds(), "mails/s")
				b.ReportMetric(used.Seconds()*1000/mails, "cpu_s/1k") // with the sink's share; without the server's on MySQL
				b.ReportMetric(mails/bare.Seconds(), "bare/s")
				b.ReportMetric(bare.Seconds()/ours.Seconds(), "of_bare")
			}
		})
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

func bareLoop(b *testing.B, out *sink, w *world, mails, parallel int) time.Duration {
	b.Helper()
	r := must(w.options.Renderer.Render("abandoned_cart", "fr", mailer.Data{Cart: &mailer.CartData{Lines: make([]mailer.LineData, 3)}}))(b)
	m := mailer.Mail{SendID: "x", ToEmail: "c@example.com", Subject: r.Subject, HTML: r.HTML, Text: r.Text}
	jobs := make(chan struct{}, mails)
	for range mails {
		jobs <- struct{}{}
	}
	close(jobs)
	var wg sync.WaitGroup
	start := time.Now()
	for range parallel {
		wg.Go(func() {
			for range jobs {
				if _, err := out.Send(b.Context(), m); err != nil {
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
