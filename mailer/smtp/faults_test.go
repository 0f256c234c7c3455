package smtp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/mailer/mailertest"
)

// reply answers one verb from its nth time on.
func reply(at string, nth int, with string) func(s *mailertest.MailServer) {
	return func(s *mailertest.MailServer) {
		s.On = func(verb, _ string, n int) string {
			if verb == at && n >= nth {
				return with
			}
			return ""
		}
	}
}

func TestAReplySaysWhatHappensNext(t *testing.T) {
	for _, c := range []struct {
		at, with string
		want     fault.Class
		letters  int
	}{
		{"CONNECT", "421 4.3.2 busy", fault.Throttled, 0},
		{"CONNECT", "554 5.7.1 not from your network", fault.Operator, 0},
		{"CONNECT", "hello there", fault.Retry, 0},
		{"CONNECT", mailertest.Cut, fault.Retry, 0},
		{"EHLO", "550 5.7.1 what a name", fault.Operator, 0},
		{"STARTTLS", "454 4.7.0 not now", fault.Retry, 0},
		{"STARTTLS", mailertest.Cut, fault.Retry, 0},
		{"AUTH", "535 5.7.8 wrong", fault.Operator, 0},
		{"AUTH", "454 4.7.0 not now", fault.Retry, 0},
		{"AUTH", "421 4.7.0 too often", fault.Throttled, 0},
		{"MAIL", "421 4.7.0 later", fault.Throttled, 0},
		{"MAIL", "450 4.7.1 later", fault.Throttled, 0},
		{"MAIL", "451 4.3.0 later", fault.Throttled, 0},
		{"MAIL", "452 4.3.1 full", fault.Throttled, 0},
		{"MAIL", "530 5.7.0 log in first", fault.Operator, 0},
		{"MAIL", "550 5.7.1 not yours", fault.Operator, 0},
		{"MAIL", "553 5.1.8 no such sender", fault.Operator, 0},
		{"MAIL", "552 5.3.4 too big", fault.Reject, 0},
		{"MAIL", mailertest.Cut, fault.Retry, 0},
		{"RCPT", "450 4.2.0 greylisted", fault.Retry, 0},
		{"RCPT", "452 4.2.2 mailbox full", fault.Retry, 0},
		{"RCPT", "421 4.7.0 later", fault.Throttled, 0},
		{"RCPT", "550 5.1.1 unknown", fault.Reject, 0},
		{"RCPT", "553 5.1.3 bad address", fault.Reject, 0},
		{"RCPT", "554 5.7.1 Relay access denied", fault.Operator, 0},
		{"RCPT", "553 5.7.1 Sender address rejected: not owned by user", fault.Operator, 0},
		{"RCPT", mailertest.Cut, fault.Retry, 0},
		{"DATA", "451 4.3.0 later", fault.Throttled, 0},
		{"DATA", "554 5.5.1 no valid recipients", fault.Reject, 0},
		{"DATA", mailertest.Cut, fault.Retry, 0},
		{".", "451 4.3.0 the scanner is down", fault.Throttled, 0},
		{".", "432 4.0.0 something else", fault.Retry, 0},
		{".", "421 4.3.0 going down", fault.Throttled, 0},
		{".", "552 5.2.2 full", fault.Reject, 0},
		{".", "554 5.7.1 spam", fault.Reject, 0},
		{".", mailertest.Cut, fault.Unknown, 0},
		{".", "what?", fault.Unknown, 0},
		{".", "354 go on", fault.Unknown, 0},
	} {
		t.Run(fmt.Sprintf("%s %s", c.at, c.with), func(t *testing.T) {
			s := mailertest.Serve(t, false, reply(c.at, 1, c.with))
			_, err := to(t, s, nil).Send(t.Context(), mailertest.Mail(1))
			if err == nil || fault.ClassOf(err) != c.want {
				t.Fatalf("got %v (%s), want %s", err, fault.ClassOf(err), c.want)
			}
			if f, _ := errors.AsType[*fault.Error](err); (c.want == fault.Throttled) != (f.After > 0) || (c.want == fault.Operator) != (f.Hint != "") {
				t.Errorf("%+v", f)
			}
			if got := s.Letters(); len(got) != c.letters || s.Opened() != 1 {
				t.Errorf("%d letters over %d connections", len(got), s.Opened())
			}
		})
	}
}

func TestNothingGoesUnencrypted(t *testing.T) {
	t.Run("without STARTTLS neither password nor mail leaves", func(t *testing.T) {
		s := mailertest.Serve(t, false, func(s *mailertest.MailServer) { s.Without = []string{"STARTTLS"} })
		_, err := to(t, s, nil).Send(t.Context(), mailertest.Mail(1))
		talk := strings.Join(s.Talks(), "\n")
		if fault.ClassOf(err) != fault.Operator || strings.Contains(talk, "AUTH") || strings.Contains(talk, "MAIL") {
			t.Error(err, talk)
		}
	})
	t.Run("a certificate of nobody", func(t *testing.T) {
		s := mailertest.Serve(t, false, nil)
		_, err := to(t, s, func(c *Config) { c.CAFile = "" }).Send(t.Context(), mailertest.Mail(1))
		if fault.ClassOf(err) != fault.Operator || !strings.Contains(fault.HintOf(err), "ca_file") || len(s.Letters()) > 0 {
			t.Error(err)
		}
	})
	t.Run("TLS from the first byte", func(t *testing.T) {
		s := mailertest.Serve(t, true, nil)
		if _, err := to(t, s, func(c *Config) { c.TLS = tlsImplicit }).Send(t.Context(), mailertest.Mail(1)); err != nil || !s.Letters()[0].TLS {
			t.Error(err)
		}
	})
	t.Run("where there is none", func(t *testing.T) {
		s := mailertest.Serve(t, false, nil)
		_, err := to(t, s, func(c *Config) { c.TLS = tlsImplicit }).Send(t.Context(), mailertest.Mail(1))
		if fault.ClassOf(err) != fault.Operator || len(s.Letters()) > 0 {
			t.Error(err)
		}
	})
	t.Run("none on this machine", func(t *testing.T) {
		s := mailertest.ServeQuiet(t)
		if _, err := to(t, s, func(c *Config) { c.TLS = tlsNone }).Send(t.Context(), mailertest.Mail(1)); err != nil || s.Taken() != 1 {
			t.Error(err)
		}
	})
}

// A server closes connections as it likes. Of the next mail it has heard nothing then, so its outcome is never in doubt.
func TestB1_ADeadPooledConnectionLeavesNoDoubt(t *testing.T) {
	one := func(t *testing.T, configure func(s *mailertest.MailServer)) (*mailertest.MailServer, *Provider) {
		t.Helper()
		s := mailertest.Serve(t, false, configure)
		p := to(t, s, nil)
		if _, err := p.Send(t.Context(), mailertest.Mail(1)); err != nil {
			t.Fatal(err)
		}
		return s, p
	}
	t.Run("the server is gone", func(t *testing.T) {
		s, p := one(t, nil)
		s.Stop()
		if _, err := p.Send(t.Context(), mailertest.Mail(2)); err == nil || fault.ClassOf(err) != fault.Retry {
			t.Error(err)
		}
	})
	t.Run("the server was restarted", func(t *testing.T) {
		s, p := one(t, nil)
		s.Stop()
		s.Start(t)
		if _, err := p.Send(t.Context(), mailertest.Mail(2)); err != nil || len(s.Letters()) != 2 {
			t.Error(err, len(s.Letters()))
		}
	})
	t.Run("it says 421 to the second mail", func(t *testing.T) {
		s, p := one(t, reply("MAIL", 2, "421 4.7.0 enough for one connection"))
		if _, err := p.Send(t.Context(), mailertest.Mail(2)); err != nil || len(s.Letters()) != 2 || s.Opened() != 2 {
			t.Error(err, len(s.Letters()), s.Opened())
		}
	})
	t.Run("it hangs up once it knows the recipient", func(t *testing.T) {
		s, p := one(t, reply("RCPT", 2, mailertest.Cut))
		if _, err := p.Send(t.Context(), mailertest.Mail(2)); err == nil || fault.ClassOf(err) != fault.Retry || len(s.Letters()) != 1 {
			t.Error(err, len(s.Letters()))
		}
	})
	t.Run("a connection that idled too long is not kept", func(t *testing.T) {
		_, p := one(t, nil)
		p.pool.mu.Lock()
		waiting := len(p.pool.idle)
		p.pool.idle[0].expiry.Reset(0)
		p.pool.mu.Unlock()
		for start := time.Now(); waiting > 0 && time.Since(start) < 5*time.Second; {
			p.pool.mu.Lock()
			waiting = len(p.pool.idle)
			p.pool.mu.Unlock()
		}
		if waiting != 0 {
			t.Error("it is still there")
		}
	})
}

func TestAConnectionIsUsedAgain(t *testing.T) {
	s := mailertest.Serve(t, false, func(s *mailertest.MailServer) {
		s.On = func(verb, line string, _ int) string {
			if verb == "RCPT" && strings.Contains(line, "zoe2.") {
				return "550 5.1.1 unknown"
			}
			return ""
		}
	})
	p := to(t, s, nil)
	for i := range 4 { // the third is refused, and leaves nothing behind for the fourth
		if _, err := p.Send(t.Context(), mailertest.Mail(i)); (err != nil) != (i == 2) {
			t.Fatal(i, err)
		}
	}
	if s.Opened() != 1 || len(s.Letters()) != 3 || !strings.Contains(strings.Join(s.Talks(), "\n"), "RSET") {
		t.Error(s.Opened(), s.Talks())
	}
	for i := range mostMails {
		if _, err := p.Send(t.Context(), mailertest.Mail(i+10)); err != nil {
			t.Fatal(err)
		}
	}
	if s.Opened() != 2 {
		t.Errorf("%d connections: one carries at most %d mails", s.Opened(), mostMails)
	}
}

func TestTheDeadlineHoldsForEveryByte(t *testing.T) {
	for at, want := range map[string]fault.Class{
		"CONNECT": fault.Retry, "EHLO": fault.Retry, "STARTTLS": fault.Retry, "AUTH": fault.Retry, "MAIL": fault.Retry, "RCPT": fault.Retry,
		"DATA": fault.Retry, ".": fault.Unknown,
	} {
		for _, how := range []string{"deadline", "cancel"} {
			t.Run(at+" "+how, func(t *testing.T) {
				patience := 100 * time.Millisecond
				if how == "cancel" {
					patience = time.Minute
				}
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				s := mailertest.Serve(t, false, func(s *mailertest.MailServer) {
					s.On = func(verb, _ string, _ int) string {
						if verb != at {
							return ""
						}
						if how == "cancel" {
							cancel()
						}
						return mailertest.Silence
					}
				})
				start := time.Now()
				_, err := to(t, s, nil).Send(ctx, mailertest.Mail(1))
				if err == nil || fault.ClassOf(err) != want || time.Since(start) > 2*time.Second {
					t.Errorf("got %v (%s) after %v, want %s", err, fault.ClassOf(err), time.Since(start), want)
				}
			})
		}
	}
	t.Run("while all connections are busy", func(t *testing.T) {
		s := mailertest.Serve(t, false, reply(".", 1, mailertest.Silence))
		p := to(t, s, func(c *Config) { c.Connections = 1 })
		p.timeout = 300 * time.Millisecond
		first := make(chan error)
		go func() { _, err := p.Send(t.Context(), mailertest.Mail(1)); first <- err }()
		for s.Opened() == 0 { // the first has the connection
			time.Sleep(time.Millisecond)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := p.Send(ctx, mailertest.Mail(2)); fault.ClassOf(err) != fault.Throttled || err == nil {
			t.Error(err)
		}
		if err := <-first; fault.ClassOf(err) != fault.Unknown {
			t.Error(err)
		}
	})
}

func TestAServerThatTalksWithoutEndIsNotListenedTo(t *testing.T) {
	s := mailertest.Serve(t, false, reply("MAIL", 1, strings.Repeat("250-and so on and on\r\n", 100_000)+"250 ok"))
	_, err := to(t, s, nil).Send(t.Context(), mailertest.Mail(1))
	if err == nil || fault.ClassOf(err) != fault.Retry {
		t.Error(err)
	}
}

func TestABigMailIsRefusedBeforehand(t *testing.T) {
	s := mailertest.Serve(t, false, nil)
	p := to(t, s, nil)
	m := mailertest.Mail(1)
	m.HTML = strings.Repeat("x", 11<<20)
	if _, err := p.Send(t.Context(), m); fault.ClassOf(err) != fault.Reject || err == nil || strings.Contains(strings.Join(s.Talks(), "\n"), "MAIL") {
		t.Error(err)
	}
	if _, err := p.Send(t.Context(), mailertest.Mail(2)); err != nil || s.Opened() != 1 {
		t.Error("the connection was of no use afterwards", err, s.Opened())
	}
}

func TestTemplatesOfSendGridAreNotForMailServers(t *testing.T) {
	s := mailertest.Serve(t, false, nil)
	if _, err := to(t, s, nil).Send(t.Context(), mailertest.Dynamic(1)); fault.ClassOf(err) != fault.Reject || err == nil || s.Opened() > 0 {
		t.Error(err)
	}
}

func TestAProbeSendsNothing(t *testing.T) {
	s := mailertest.Serve(t, false, func(s *mailertest.MailServer) { s.Login = user + "\x00" + password })
	found, err := to(t, s, nil).Probe(t.Context())
	if err != nil || !strings.Contains(found, "over TLS and takes our user") || strings.Contains(strings.Join(s.Talks(), "\n"), "MAIL") {
		t.Error(found, err)
	}
	if found, err := to(t, s, func(c *Config) { c.Password = "another" }).Probe(t.Context()); fault.ClassOf(err) != fault.Operator || fault.HintOf(err) == "" || found != "" {
		t.Error(found, err)
	}
}
