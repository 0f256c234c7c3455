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

// Subject is a provider and the other side of it.
type Subject struct {
	Provider mailer.Provider
	// Received gives every mail that arrived, with the fields that Mail fills, in any order.
	Received func(t *testing.T) []mailer.Mail
	Secrets  []string // what no error may contain, besides the mail's own addresses and names
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

// Run holds a provider to its contract; open makes a fresh one.
func Run(t *testing.T, open func(t *testing.T) Subject) {
	t.Run("a mail arrives whole", func(t *testing.T) {
		s := open(t)
		if s.Provider.Name() == "" {
			t.Error("it has no name")
		}
		m := Mail(1)
		id, err := s.Provider.Send(t.Context(), m)
		if err != nil || id == "" {
			t.Fatal(id, err)
		}
		if diff := cmp.Diff([]mailer.Mail{m}, s.Received(t)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("a cancelled context sends nothing", func(t *testing.T) {
		s := open(t)
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
		s := open(t)
		for _, to := range []string{"", "zoe1.durand", "zoe1.durand@", "@example.com"} {
			m := Mail(1)
			m.ToEmail = to
			_, err := s.Provider.Send(t.Context(), m)
			if fault.ClassOf(err) != fault.Reject {
				t.Errorf("%q: got %v, want a Reject", to, err)
			}
			s.discreet(t, err, Mail(1))
		}
		s.nothing(t)
	})
	t.Run("no value becomes a header of its own", func(t *testing.T) {
		s := open(t)
		m := Mail(1)
		m.Subject += "\r\nBcc: eve@example.com"
		m.ToName += "\nBcc: eve@example.com"
		m.Headers["List-Unsubscribe"] += "\r\nBcc: eve@example.com"
		if _, err := s.Provider.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		for _, got := range s.Received(t) {
			all := got.Subject + got.ToName + got.ToEmail + strings.Join(slices.Collect(maps.Values(got.Headers)), "")
			if strings.ContainsAny(all, "\r\n") || len(got.Headers) != 2 {
				t.Errorf("a line break came through: %+v", got)
			}
		}
	})
	t.Run("B6 mails sent at once are not mixed up", func(t *testing.T) { concurrent(t, open(t)) })
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
	got := s.Received(t)
	slices.SortFunc(got, func(a, b mailer.Mail) int { return strings.Compare(a.SendID, b.SendID) })
	if len(got) != workers*each {
		t.Fatalf("%d mails arrived of %d", len(got), workers*each)
	}
	for n, m := range got {
		if diff := cmp.Diff(Mail(n), m); diff != "" {
			t.Fatal(diff)
		}
	}
}

// discreet: an error goes to the log, so it says nothing of the person and no secret.
func (s Subject) discreet(t *testing.T, err error, m mailer.Mail) {
	t.Helper()
	if err == nil {
		return
	}
	for _, secret := range append(s.Secrets, m.ToEmail, m.ToName, "zoe1", "Durand", m.Subject) {
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
