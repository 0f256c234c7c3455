// Package mailertest holds every provider to what the send ledger relies on.
package mailertest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/mailer"
)

// Contract is a provider and the other side of it.
type Contract struct {
	// Open makes a fresh provider whose other side takes everything.
	Open func(t *testing.T) Subject
	// In makes a provider whose other side is in trouble. Its replies should quote Mail(1)'s address, name and subject and the
	// provider's secrets, as real ones do. A provider that reaches people has all of AllTroubles.
	In map[Trouble]func(t *testing.T) Subject
}

// Subject is a provider and what arrives at the other side of it.
type Subject struct {
	Provider mailer.Provider
	// Received gives every mail that arrived, with the fields that Mail fills, in any order.
	Received func(t *testing.T) []mailer.Mail
	Secrets  []string // what no error may contain, besides the mail's own addresses and names
}

// Trouble is what may be wrong on the other side.
type Trouble string

// The troubles, and what an error is then.
const (
	NotThere  Trouble = "nobody listens"                        // Retry: nothing was sent
	Mute      Trouble = "it takes the mail and says nothing"    // Unknown
	Dropped   Trouble = "it takes the mail and hangs up"        // Unknown
	Busy      Trouble = "it asks to wait"                       // Throttled
	WrongKey  Trouble = "it does not know us"                   // Operator
	WrongFrom Trouble = "it does not let us send as we do"      // Operator
	Unwanted  Trouble = "it does not take mails to this person" // Reject
)

// AllTroubles are those that every provider knows that reaches people, with the class that each is.
func AllTroubles() map[Trouble]fault.Class {
	return map[Trouble]fault.Class{
		NotThere: fault.Retry, Mute: fault.Unknown, Dropped: fault.Unknown, Busy: fault.Throttled,
		WrongKey: fault.Operator, WrongFrom: fault.Operator, Unwanted: fault.Reject,
	}
}

// Mail is a whole mail; n tells one from another in every part.
func Mail(n int) mailer.Mail {
	who := fmt.Sprintf("zoe%d.durand", n)
	return mailer.Mail{
		SendID: fmt.Sprintf("S%06d", n), Campaign: "win_back", Step: "first",
		FromEmail: "bonjour@boutique.example", FromName: "Maison Alba", ReplyTo: "contact@boutique.example",
		ToEmail: who + "@example.com", ToName: fmt.Sprintf("Zoé%d Durand", n),
		Subject: fmt.Sprintf("Zoé, votre panier n° %d vous attend", n),
		HTML:    fmt.Sprintf("<p>Bonjour Zoé &amp; co, panier <b>%d</b></p>\n", n) + strings.Repeat("<p>détail</p>\n", 200),
		Text:    fmt.Sprintf("Bonjour Zoé & co, panier %d =20 €\n.\nFrom ici\n", n),
		Headers: map[string]string{
			"List-Unsubscribe":      fmt.Sprintf("<https://relance.example/u/%d>", n),
			"List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
		},
		Created: time.Date(2026, 11, 22, 9, 0, n%60, 0, time.UTC),
	}
}

// Dynamic is a mail that the provider fills in itself; n tells one from another.
func Dynamic(n int) mailer.Mail {
	m := Mail(n)
	m.Subject, m.HTML, m.Text = "", "", ""
	m.TemplateID = "d-0123456789abcdef"
	m.TemplateData = map[string]any{"contact": map[string]any{"first_name": fmt.Sprintf("Zoé%d", n)}, "locale": "fr"}
	return m
}

// Run holds a provider to its contract.
func Run(t *testing.T, c Contract) {
	t.Run("a mail arrives whole", func(t *testing.T) {
		s := c.Open(t)
		if s.Provider.Name() == "" {
			t.Error("it has no name")
		}
		s.arrives(t, Mail(1))
	})
	t.Run("whatever is in it", func(t *testing.T) { whatever(t, c) })
	t.Run("it can be unsubscribed from in one click (RFC 8058)", func(t *testing.T) { oneClick(t, c.Open(t)) })
	t.Run("a cancelled context sends nothing", func(t *testing.T) {
		s := c.Open(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := s.Provider.Send(ctx, Mail(1))
		if fault.ClassOf(err) != fault.Retry || err == nil {
			t.Errorf("got %v, want a Retry: certainly nothing was sent", err)
		}
		s.discreet(t, err, Mail(1))
		s.nothing(t)
	})
	t.Run("an address that is none is refused", func(t *testing.T) {
		s := c.Open(t)
		for _, to := range []string{
			"", "zoe1.durand", "zoe1.durand@", "@example.com", "zoe1.durand@example.com\r\nRCPT TO:<eve@example.com>", "zoe1.durand@example.com, eve@example.com",
			"<zoe1.durand@example.com>", "Zoé <zoe1.durand@example.com>", "zoe1 durand@example.com", "zoe1.durand@exa mple.com", "zoe1.durand@example.com>",
			"zoe1.durand@example.com\x00", strings.Repeat("z", 400) + "@example.com",
		} {
			m := Mail(1)
			m.ToEmail = to
			_, err := s.Provider.Send(t.Context(), m)
			if err == nil || fault.ClassOf(err) != fault.Reject {
				t.Errorf("%q: got %v, want a Reject", to, err)
			}
			s.discreet(t, err, Mail(1))
		}
		s.nothing(t)
	})
	t.Run("no value becomes a header of its own", func(t *testing.T) { noInjection(t, c) })
	t.Run("B6 mails sent at once are not mixed up", func(t *testing.T) { concurrent(t, c.Open(t)) })
	for trouble, class := range AllTroubles() {
		open := c.In[trouble]
		if open == nil {
			if c.Open(t).Provider.Real() {
				t.Errorf("nothing is said of: %s", trouble)
			}
			continue
		}
		t.Run(string(trouble), func(t *testing.T) { inTrouble(t, open(t), class) })
	}
	if open := c.In[Mute]; open != nil {
		t.Run("a deadline in the middle", func(t *testing.T) { deadline(t, open(t)) })
	}
	if _, ok := c.Open(t).Provider.(mailer.BatchProvider); ok {
		t.Run("together as alone", func(t *testing.T) { together(t, c) })
	}
}

func (s Subject) arrives(t *testing.T, m mailer.Mail) {
	t.Helper()
	id, err := s.Provider.Send(t.Context(), m)
	if err != nil || id == "" {
		t.Fatal(id, err)
	}
	if diff := cmp.Diff([]mailer.Mail{m}, s.Received(t)); diff != "" {
		t.Error(clipped(diff))
	}
}

func clipped(s string) string { return s[:min(len(s), 3000)] }

func whatever(t *testing.T, c Contract) {
	t.Helper()
	change := map[string]func(m *mailer.Mail){
		"letters of the world": func(m *mailer.Mail) {
			m.ToName, m.FromName = "佐藤 花子", "Пекарня «Хлеб» & Söhne"
			m.Subject = "🛒 سلة التسوق — ваша корзина — 買い物かご " + strings.Repeat("é", 300)
		},
		"quotes in names":              func(m *mailer.Mail) { m.ToName, m.FromName = `Zoé "la reine" O'Brien (x)`, `Alba \ Fils <boutique>` },
		"no name":                      func(m *mailer.Mail) { m.ToName, m.FromName, m.ReplyTo = "", "", "" },
		"a long plain subject":         func(m *mailer.Mail) { m.Subject = strings.TrimSpace(strings.Repeat("twenty per cent off ", 20)) },
		"a subject that looks encoded": func(m *mailer.Mail) { m.Subject = "50 % = la moitié ?= oui_non" },
		"long lines": func(m *mailer.Mail) {
			m.Text, m.HTML = strings.Repeat("x", 5000)+"\n", "<p>"+strings.Repeat("détail ", 20_000)+"</p>\n"
		},
		"dots and spaces":       func(m *mailer.Mail) { m.Text = ".\n..\n.leading\ntrailing \n\ttab\t\n\n\nFrom here\n=3D\n" },
		"a megabyte":            func(m *mailer.Mail) { m.HTML = strings.Repeat("<p>"+strings.Repeat("é€x", 20)+"</p>\n", 8600) },
		"a send id of base 36":  func(m *mailer.Mail) { m.SendID = "3w5e11264sg0z" },
		"an address with signs": func(m *mailer.Mail) { m.ToEmail = "zoe+relance.test_1'x@mail.example.com" },
	}
	for name, change := range change {
		t.Run(name, func(t *testing.T) {
			m := Mail(1)
			change(&m)
			c.Open(t).arrives(t, m)
		})
	}
}

// oneClick: mailbox providers look for these two headers as they are, so they arrive as they were given, however long the
// signed link is.
func oneClick(t *testing.T, s Subject) {
	t.Helper()
	m := Mail(1)
	m.Headers["List-Unsubscribe"] = "<https://relance.example/u/" + strings.Repeat("aZ09_-", 100) + ">"
	if _, err := s.Provider.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	got := s.Received(t)
	if len(got) != 1 || got[0].Headers["List-Unsubscribe"] != m.Headers["List-Unsubscribe"] || got[0].Headers["List-Unsubscribe-Post"] != "List-Unsubscribe=One-Click" {
		t.Errorf("%+v", got)
	}
}

func noInjection(t *testing.T, c Contract) {
	t.Helper()
	for _, breaks := range []string{"\r\n", "\n", "\r", "\v", "\x00\r\n", "\u2028", "\u0085", "\r\n\r\n"} {
		s := c.Open(t)
		m := Mail(1)
		m.Subject += breaks + "Bcc: eve@example.com"
		m.ToName += breaks + "Bcc: eve@example.com"
		m.FromName += breaks + "Bcc: eve@example.com"
		m.Headers["List-Unsubscribe"] += breaks + "Bcc: eve@example.com"
		if _, err := s.Provider.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		got := s.Received(t)
		if len(got) != 1 {
			t.Fatalf("%d mails arrived", len(got))
		}
		all := got[0].Subject + got[0].ToName + got[0].FromName + got[0].ToEmail + strings.Join(slices.Collect(maps.Values(got[0].Headers)), "")
		if strings.ContainsAny(all, "\r\n\v\x00\u2028\u0085") || len(got[0].Headers) != 2 || got[0].ToEmail != m.ToEmail || got[0].HTML != m.HTML {
			t.Errorf("%q came through: %+v", breaks, got[0])
		}
	}
}

func concurrent(t *testing.T, s Subject) {
	t.Helper()
	const workers, each = 16, 8
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				if _, err := s.Provider.Send(t.Context(), Mail(w*each+i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	s.holds(t, workers*each, Mail)
}

// holds checks that mails 0 to n-1 arrived, each once.
func (s Subject) holds(t *testing.T, n int, want func(int) mailer.Mail) {
	t.Helper()
	got := s.Received(t)
	slices.SortFunc(got, func(a, b mailer.Mail) int { return strings.Compare(a.SendID, b.SendID) })
	if len(got) != n {
		t.Fatalf("%d mails arrived of %d", len(got), n)
	}
	for i, m := range got {
		if diff := cmp.Diff(want(i), m); diff != "" {
			t.Fatal(clipped(diff))
		}
	}
}

// inTrouble: a mail that cannot be handed over is classed by what may have happened to it, and it was tried once.
func inTrouble(t *testing.T, s Subject, class fault.Class) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := s.Provider.Send(ctx, Mail(1))
	if err == nil || fault.ClassOf(err) != class {
		t.Fatalf("got %v (%s), want %s", err, fault.ClassOf(err), class)
	}
	if class == fault.Operator && fault.HintOf(err) == "" {
		t.Errorf("nobody is told what to mend: %v", err)
	}
	s.discreet(t, err, Mail(1))
	if got := s.Received(t); len(got) > 1 || len(got) == 1 && class != fault.Unknown {
		t.Errorf("%d mails arrived", len(got))
	}
	if p, ok := s.Provider.(mailer.Prober); ok && class == fault.Operator {
		_, err := p.Probe(t.Context())
		s.discreet(t, err, Mail(1))
	}
}

// deadline: not one byte is waited for beyond it.
func deadline(t *testing.T, s Subject) {
	t.Helper()
	const patience = 100 * time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	start := time.Now()
	_, err := s.Provider.Send(ctx, Mail(1))
	if took := time.Since(start); err == nil || fault.ClassOf(err) != fault.Unknown || took > patience+2*time.Second {
		t.Errorf("%v after %v", err, took)
	}
}

// together: mails of one request arrive as they would alone; one that is no mail at all is refused by itself.
func together(t *testing.T, c Contract) {
	t.Helper()
	const n = 40
	alone, batch := c.Open(t), c.Open(t)
	var mails []mailer.Mail
	for i := range n {
		mails = append(mails, Dynamic(i))
		if _, err := alone.Provider.Send(t.Context(), Dynamic(i)); err != nil {
			t.Fatal(err)
		}
	}
	bad := Dynamic(n)
	bad.ToEmail = "nobody"
	results := batch.Provider.(mailer.BatchProvider).SendBatch(t.Context(), append(mails, bad))
	if len(results) != n+1 || fault.ClassOf(results[n].Err) != fault.Reject || results[n].Err == nil {
		t.Fatal(len(results), results[len(results)-1])
	}
	for _, r := range results[:n] {
		if r.Err != nil || r.MessageID == "" || r.Held {
			t.Fatal(r)
		}
	}
	alone.holds(t, n, Dynamic)
	batch.holds(t, n, Dynamic)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, r := range c.Open(t).Provider.(mailer.BatchProvider).SendBatch(ctx, mails) {
		if r.Err == nil || fault.ClassOf(r.Err) != fault.Retry {
			t.Fatal(r)
		}
	}
}

// discreet: an error goes to the log, so it says nothing of the person and no secret.
func (s Subject) discreet(t *testing.T, err error, m mailer.Mail) {
	t.Helper()
	if err == nil {
		return
	}
	for _, secret := range append(s.Secrets, m.ToEmail, m.ToName, "zoe1", "Durand", m.Subject, "panier") {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error says %q: %v", secret, err)
		}
	}
}

func (s Subject) nothing(t *testing.T) {
	t.Helper()
	if got := s.Received(t); len(got) != 0 {
		t.Errorf("%d mails arrived", len(got))
	}
}
