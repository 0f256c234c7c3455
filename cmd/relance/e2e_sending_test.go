package main

import (
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/relance/relance/mailer"
	"github.com/relance/relance/mailer/sendgrid/sendgridtest"
)

// post is a world whose mails go to a SendGrid, which can be away.
type post struct {
	*world
	sg    *sendgridtest.SendGrid
	carts int // left behind, each by another person
	away  atomic.Bool
	asks  atomic.Int64 // requests of the program, whatever became of them
}

const rightKey = "SG.right"

// RoundTrip goes over the network: what stands in the way is real.
func (p *post) RoundTrip(r *http.Request) (*http.Response, error) {
	p.asks.Add(1)
	to := p.sg.URL()
	if p.away.Load() {
		to = "http://" + freePort(p.t)
	}
	host, err := url.Parse(to)
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host = host.Scheme, host.Host
	return http.DefaultTransport.RoundTrip(r)
}

// newPost is a world in which carts were left behind, whose mails are due within the next minutes. The provider has
// not been asked yet.
func newPost(t *testing.T, key string, carts, maxPages int) *post {
	t.Helper()
	w := &post{world: newWorld(t, "sqlite:relance.db"), sg: sendgridtest.New(t), carts: carts}
	w.mails = w
	w.setKey(key)
	if err := w.open(); err != nil {
		t.Fatal(err)
	}
	if maxPages > 0 {
		w.maxPages = w.number("SELECT page_count FROM pragma_page_count") + maxPages
		if err := w.open(); err != nil {
			t.Fatal(err)
		}
	}
	w.settle()
	if _, err := mailer.Arm(t.Context(), w.d.mirror, "abandoned_cart", w.instant()); err != nil {
		t.Fatal(err)
	}
	w.move(time.Minute)
	for i := range carts {
		if _, err := w.shop.CreateDraft(w.people[i].order(w.shop.Goods()[i%10].Item)); err != nil {
			t.Fatal(err)
		}
	}
	w.settle()
	w.move(58 * time.Minute)
	return w
}

func (p *post) setKey(key string) {
	p.write("relance.yaml", fmt.Sprintf(`database: "sqlite:relance.db"
public_url: https://relance.example.com
audiences:
  default:
    title: Atelier
    from: bonjour@boutique.example.com
    postal_address: 12 rue des Ateliers, Bordeaux
    provider: sendgrid
    sendgrid: {api_key: %s, base_url: "http://127.0.0.1:1"}
`, key))
}

// pass lets time go by, whatever comes of it.
func (p *post) pass(d time.Duration) {
	p.t.Helper()
	for ; d > 0; d -= 15 * time.Second {
		p.move(15 * time.Second)
		for worked := true; worked; {
			var err error
			if worked, err = p.step(); err != nil {
				p.t.Fatal(err)
			}
		}
	}
}

// allSentOnce lets everything come to its end: both mails about each cart were taken, once.
func (p *post) allSentOnce() {
	p.t.Helper()
	p.settle()
	p.move(15 * time.Minute) // the second mail about each
	p.settle()
	times := map[string]int{}
	for _, m := range p.sg.Mails() {
		times[m.To+" "+m.Step]++
	}
	for what, n := range times {
		if n != 1 {
			p.t.Errorf("%s was taken %d times", what, n)
		}
	}
	if n := p.number("SELECT COUNT(*) FROM sends WHERE state='accepted'"); n != 2*p.carts || len(times) != 2*p.carts {
		p.t.Errorf("%d mails are accepted, %d were taken, want %d: %v", n, len(times), 2*p.carts, p.rows("SELECT state, reason, COUNT(*) FROM sends GROUP BY state, reason"))
	}
}

func (p *post) waiting(reason mailer.Reason) {
	p.t.Helper()
	if n, lost := p.number("SELECT COUNT(*) FROM sends WHERE state IN ('ready','deferred')"), p.number("SELECT COUNT(*) FROM sends WHERE state IN ('refused','unknown')"); n != p.carts || lost != 0 {
		p.t.Errorf("%d mails wait, %d are given up: %v", n, lost, p.rows("SELECT state, reason FROM sends"))
	}
	if p.number("SELECT COUNT(*) FROM sends WHERE reason=?", string(reason)) == 0 {
		p.t.Errorf("no mail waits since %s: %v", reason, p.rows("SELECT state, reason FROM sends"))
	}
}

// A key that SendGrid does not know keeps every mail, and is said; with the right one each leaves once.
func TestAWrongKeyOfSendGridKeepsTheMails(t *testing.T) {
	t.Parallel()
	p := newPost(t, "SG.wrong", 6, 0)
	p.mails = keyed{p}
	p.pass(12 * time.Minute)
	p.waiting(mailer.ProviderRefusing)
	if n := p.asks.Load(); n > 12 { // the first six at once
		t.Errorf("SendGrid was asked %d times in 12 minutes", n)
	}
	details := strings.Join(p.rows("SELECT detail FROM send_log WHERE reason='provider_refusing'"), "\n")
	if !strings.Contains(details, "401") || strings.Contains(details, "SG.wrong") {
		t.Errorf("what is kept of the refusal: %s", details)
	}
	p.setKey(rightKey)
	if err := p.open(); err != nil {
		t.Fatal(err)
	}
	p.allSentOnce()
}

// keyed is a SendGrid that knows one key.
type keyed struct{ *post }

// RoundTrip refuses any other.
func (k keyed) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("Authorization") != "Bearer "+rightKey {
		k.sg.Answer = func([]sendgridtest.Mail) int { return http.StatusUnauthorized }
	} else {
		k.sg.Answer = nil
	}
	return k.post.RoundTrip(r)
}

// A SendGrid that cannot be reached for a while gets every mail afterwards, once.
func TestAProviderThatIsAwayForAWhileGetsEveryMailOnce(t *testing.T) {
	t.Parallel()
	p := newPost(t, rightKey, 6, 0)
	p.away.Store(true)
	p.pass(12 * time.Minute)
	p.waiting(mailer.ProviderDown)
	if n := p.asks.Load(); n == 0 || n > 40 {
		t.Errorf("it was asked %d times in 12 minutes", n)
	}
	p.away.Store(false)
	p.allSentOnce()
}

// A disk that becomes full while mails are on their way, so that the answers cannot be written down, costs no mail and sends
// none twice: the same process goes on once there is room.
func TestAFullDiskWhileMailsAreOnTheirWay(t *testing.T) {
	t.Parallel()
	p := newPost(t, rightKey, 44, 2000)
	other := openFile(t, filepath.Join(p.dir, "relance.db"))
	other.exec("CREATE TABLE filler (b BLOB)")
	var filled atomic.Bool
	p.sg.Answer = func([]sendgridtest.Mail) int {
		if !filled.Swap(true) {
			for size := 1 << 20; size > 256; {
				if _, err := p.filler(size); err != nil {
					size /= 2
				}
			}
		}
		return 0
	}
	var full error
	for range 40 {
		p.move(15 * time.Second)
		for worked := true; worked && full == nil; {
			worked, full = p.step()
		}
	}
	if full == nil {
		t.Fatal("no error: the disk was full too late")
	}
	wants(t, sentence(full), "full", "make room; nothing was lost, Relance goes on by itself")
	if n := p.number("SELECT COUNT(*) FROM sends WHERE state='accepted'"); n >= p.carts || !filled.Load() {
		t.Fatalf("%d mails are accepted: the disk was full too late", n)
	}
	other.exec("DROP TABLE filler")
	p.allSentOnce()
}
