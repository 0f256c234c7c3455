package smtp

import (
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/relance/relance/mailer"
	"github.com/relance/relance/mailer/mailertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	user     = "apikey-of-boutique"
	password = "SECRETsecret0123456789"
)

// to makes a provider that talks to a server.
func to(t testing.TB, s *mailertest.MailServer, change func(c *Config)) *Provider {
	t.Helper()
	c := Config{Host: s.Host, Port: s.Port, User: user, Password: password, CAFile: s.CAFile}
	if change != nil {
		change(&c)
	}
	if problems := c.Validate(); problems != nil {
		t.Fatal(problems)
	}
	p := New(c)
	t.Cleanup(p.Close)
	return p
}

func TestConformance(t *testing.T) {
	open := func(configure func(s *mailertest.MailServer), change func(c *Config)) func(t *testing.T) mailertest.Subject {
		return func(t *testing.T) mailertest.Subject {
			s := mailertest.Serve(t, false, configure)
			return mailertest.Subject{
				Provider: to(t, s, change), Secrets: []string{password, "SECRET", user},
				Received: func(t *testing.T) []mailer.Mail {
					var out []mailer.Mail
					for _, l := range s.Letters() {
						if !l.TLS || strings.Contains(l.Params, "SMTPUTF8") {
							t.Errorf("a letter came with %+v", l.Params)
						}
						out = append(out, read(t, l))
					}
					return out
				},
			}
		}
	}
	// As real servers do, the replies quote whom they are about.
	const about = " <zoe1.durand@example.com> Durand, Zoé1: votre panier; " + user + " " + password
	says := func(at, reply string) func(t *testing.T) mailertest.Subject {
		return open(func(s *mailertest.MailServer) {
			s.On = func(verb, _ string, _ int) string {
				if verb == at {
					return reply
				}
				return ""
			}
		}, nil)
	}
	mailertest.Run(t, mailertest.Contract{
		Open: open(nil, nil),
		In: map[mailertest.Trouble]func(t *testing.T) mailertest.Subject{
			mailertest.NotThere: func(t *testing.T) mailertest.Subject {
				s := mailertest.Serve(t, false, nil)
				s.Stop()
				return mailertest.Subject{Provider: to(t, s, nil), Received: func(*testing.T) []mailer.Mail { return nil }}
			},
			mailertest.Mute:      says(".", mailertest.Silence),
			mailertest.Dropped:   says(".", mailertest.Cut),
			mailertest.Busy:      says("MAIL", "451 4.7.1 too many mails"+about),
			mailertest.WrongKey:  open(func(s *mailertest.MailServer) { s.Login = "somebody\x00else" }, nil),
			mailertest.WrongFrom: says("MAIL", "550 5.7.1 sender not yours"+about),
			mailertest.Unwanted:  says("RCPT", "550 5.1.1 user unknown"+about),
		},
	})
}

// read takes a message apart again, as a mail program does.
func read(t testing.TB, l mailertest.Letter) mailer.Mail {
	t.Helper()
	msg, err := mail.ReadMessage(strings.NewReader(l.Data))
	if err != nil {
		t.Fatal(err, l.Data[:min(len(l.Data), 800)])
	}
	for line := range strings.Lines(l.Data) {
		if len(strings.TrimRight(line, "\r\n")) > 998 {
			t.Fatalf("a line of %d bytes", len(line))
		}
	}
	one := func(key string) (name, address string) {
		if msg.Header.Get(key) == "" {
			return "", ""
		}
		list, err := msg.Header.AddressList(key)
		if err != nil || len(list) != 1 {
			t.Fatal(key, err, msg.Header.Get(key))
		}
		return list[0].Name, list[0].Address
	}
	var m mailer.Mail
	m.FromName, m.FromEmail = one("From")
	m.ToName, m.ToEmail = one("To")
	_, m.ReplyTo = one("Reply-To")
	if l.To != "<"+m.ToEmail+">" || l.From != "<"+m.FromEmail+">" {
		t.Fatalf("the envelope is %s %s", l.From, l.To)
	}
	m.SendID, _, _ = strings.Cut(strings.Trim(msg.Header.Get("Message-Id"), "<>"), "@")
	if m.Subject, err = new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject")); err != nil {
		t.Fatal(err)
	}
	if m.Created, err = msg.Header.Date(); err != nil {
		t.Fatal(err)
	}
	m.Created = m.Created.UTC()
	m.Headers = map[string]string{}
	for key, values := range msg.Header {
		switch key {
		case "From", "To", "Reply-To", "Subject", "Date", "Message-Id", "Mime-Version", "Content-Type", "Content-Transfer-Encoding":
		default:
			m.Headers[key] = strings.Join(values, "|")
		}
	}
	m.Campaign, m.Step = "win_back", "first" // not handed on
	parts(t, msg, &m)
	return m
}

func parts(t testing.TB, msg *mail.Message, m *mailer.Mail) {
	t.Helper()
	kind, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatal(kind, err)
	}
	r := multipart.NewReader(msg.Body, params["boundary"])
	for _, part := range []struct {
		kind string
		to   *string
	}{{"text/plain", &m.Text}, {"text/html", &m.HTML}} {
		p, err := r.NextRawPart()
		if err != nil || !strings.HasPrefix(p.Header.Get("Content-Type"), part.kind+"; charset=") {
			t.Fatal(err, part.kind)
		}
		b, err := io.ReadAll(quotedprintable.NewReader(p))
		if err != nil {
			t.Fatal(err)
		}
		*part.to = strings.ReplaceAll(string(b), "\r\n", "\n")
	}
	if _, err := r.NextRawPart(); err != io.EOF {
		t.Fatal("there is another part", err)
	}
}

func TestTheMessageIDIsTheSendID(t *testing.T) {
	s := mailertest.Serve(t, false, nil)
	id, err := to(t, s, nil).Send(t.Context(), mailertest.Mail(7))
	if err != nil || id != "S000007@boutique.example" {
		t.Fatal(id, err)
	}
	msg, err := mail.ReadMessage(strings.NewReader(s.Letters()[0].Data))
	if err != nil || msg.Header.Get("Message-Id") != "<"+id+">" || msg.Header.Get("User-Agent") != "" {
		t.Error(msg.Header, err)
	}
}

func TestAddressesOfTheWorld(t *testing.T) {
	for name, c := range map[string]struct {
		address, rcpt, params string
		refused               bool
		without               []string
	}{
		"a domain of the world goes in ASCII": {address: "zoe@écharpe.example", rcpt: "<zoe@xn--charpe-9ua.example>"},
		"letters before the @ need SMTPUTF8":  {address: "zoé@écharpe.example", rcpt: "<zoé@xn--charpe-9ua.example>", params: " SMTPUTF8"},
		"and are refused by a server without": {address: "zoé@example.com", refused: true, without: []string{"SMTPUTF8"}},
		"no SMTPUTF8 where nobody needs it":   {address: "zoe@example.com", rcpt: "<zoe@example.com>"},
		"a domain that is none":               {address: "zoe@-.example", refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := mailertest.Serve(t, false, func(s *mailertest.MailServer) { s.Without = append(c.without, "SIZE") })
			m := mailertest.Mail(1)
			m.ToEmail = c.address
			_, err := to(t, s, nil).Send(t.Context(), m)
			if c.refused {
				if err == nil || !strings.Contains(err.Error(), "address") || len(s.Letters()) > 0 {
					t.Fatal(err, s.Letters())
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			l := s.Letters()[0]
			if l.To != c.rcpt || l.Params != strings.TrimSpace(c.params) {
				t.Errorf("%q %q", l.To, l.Params)
			}
		})
	}
}

func TestMistakesInTheBlock(t *testing.T) {
	for path, c := range map[string]Config{
		"$.host":        {},
		"$.host 2":      {Host: "smtp.example:587"},
		"$.host 3":      {Host: "smtp example"},
		"$.port":        {Host: "smtp.example", Port: 70000},
		"$.password":    {Host: "smtp.example", User: "u"},
		"$.user":        {Host: "smtp.example", Password: password},
		"$.tls":         {Host: "smtp.example", TLS: "ssl"},
		"$.tls 2":       {Host: "smtp.example", TLS: "none"},
		"$.name":        {Host: "smtp.example", Name: "a b"},
		"$.ca_file":     {Host: "smtp.example", CAFile: "/no/such/file"},
		"$.connections": {Host: "smtp.example", Connections: 1000},
	} {
		problems := c.Validate()
		if len(problems) != 1 || !strings.HasPrefix(path, problems[0].Path) || problems[0].Want == "" {
			t.Errorf("%s: %+v", path, problems)
		}
		b, err := json.Marshal(problems)
		if err != nil || strings.Contains(string(b), password) {
			t.Error(string(b), err)
		}
		if _, err := New(c).Send(t.Context(), mailertest.Mail(1)); err == nil || strings.Contains(err.Error(), password) {
			t.Error(path, err)
		}
	}
	for want, c := range map[string]Config{
		"smtp.example:587": {Host: "smtp.example"},
		"smtp.example:465": {Host: "smtp.example", TLS: "implicit"},
		"smtp.example:25":  {Host: "smtp.example", Port: 25},
		"[::1]:587":        {Host: "::1", TLS: "none"},
	} {
		if p := c.Validate(); p != nil || c.address() != want {
			t.Error(want, p, c.address())
		}
	}
}

// FuzzCompose: whatever people and shops are called, the message is one message to one person with the headers that it
// should have.
func FuzzCompose(f *testing.F) {
	f.Add("zoe@example.com", "Zoé Durand", "Bonjour", "texte", "<p>html</p>", "<https://u>")
	f.Add("zoé@écharpe.example", "a\r\nBcc: eve@example.com", "=?utf-8?q?x?=", ".\r\n.", "", "\r\n\r\n")
	f.Add(`"a b"@example.com`, `"`, strings.Repeat("x", 2000), "\r", "\x00", "é")
	f.Add("a@[127.0.0.1]", "\u2028", "", "", "x", " ")
	f.Fuzz(func(t *testing.T, address, name, subject, text, html, header string) {
		m := mailertest.Mail(1)
		m.ToEmail, m.ToName, m.FromName, m.Subject, m.Text, m.HTML, m.Headers["List-Unsubscribe"] = address, name, name, subject, text, html, header
		m.Headers[name] = "x"
		l, err := compose(m)
		if err != nil {
			if address != "" && len(address) > 6 && strings.Contains(err.Error(), address) {
				t.Error("the error names the address")
			}
			return
		}
		if strings.ContainsAny(l.to+l.from+l.id, "\r\n") || strings.Count(l.to, "<") < 1 {
			t.Fatalf("envelope %q", l.to)
		}
		msg, err := mail.ReadMessage(strings.NewReader(string(l.data)))
		if err != nil {
			t.Fatal(err, string(l.data))
		}
		for key, values := range msg.Header {
			switch key {
			case "From", "To", "Reply-To", "Subject", "Date", "Message-Id", "Mime-Version", "Content-Type", "Content-Transfer-Encoding":
				if len(values) != 1 {
					t.Fatalf("%d of %s", len(values), key)
				}
			case "Bcc", "Cc", "Sender":
				t.Fatalf("%s came in", key)
			}
		}
		if list, err := msg.Header.AddressList("To"); err != nil || len(list) != 1 {
			t.Fatalf("%v: %q", err, msg.Header.Get("To"))
		}
		if d, err := msg.Header.Date(); err != nil || !d.Equal(m.Created) {
			t.Fatal(d, err)
		}
	})
}

func TestOneAttemptAndNoMoreConnectionsThanAllowed(t *testing.T) {
	s := mailertest.Serve(t, false, nil)
	p := to(t, s, func(c *Config) { c.Connections = 3 })
	done := make(chan error)
	for i := range 30 {
		go func() { _, err := p.Send(t.Context(), mailertest.Mail(i)); done <- err }()
	}
	for range 30 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if s.Most() > 3 || s.Opened() > 3 || len(s.Letters()) != 30 || p.AtOnce() != 3 {
		t.Errorf("%d connections at once, %d in all, %d letters", s.Most(), s.Opened(), len(s.Letters()))
	}
}

func BenchmarkSend(b *testing.B) {
	s := mailertest.ServeQuiet(b)
	p := New(Config{Host: s.Host, Port: s.Port, TLS: tlsNone, Connections: 16})
	b.Cleanup(p.Close)
	b.SetParallelism(16)
	m := mailertest.Mail(1)
	start := time.Now()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := p.Send(b.Context(), m); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "mails/s")
}
