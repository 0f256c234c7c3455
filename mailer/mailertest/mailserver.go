package mailertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// MailServer is an SMTP server on the loopback with real sockets, TLS by a certificate of its own, and trouble on demand.
type MailServer struct {
	Host   string
	Port   int
	CAFile string // PEM of the authority that the certificate is of

	// On, when set, answers in the server's place. verb is CONNECT, EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA, "." (the message is
	// whole) or RSET; n counts the verb over the connection, from 1. "" leaves the answer to the server, Cut closes the
	// connection without one, Silence never answers.
	On func(verb, line string, n int) string
	// Without lists what EHLO does not offer: STARTTLS, AUTH, SMTPUTF8, SIZE.
	Without []string
	// Login is what AUTH PLAIN must have ("user\x00password"); "" takes anything.
	Login string

	listener net.Listener
	tls      *tls.Config
	implicit bool
	quiet    bool // keeps nothing
	wg       sync.WaitGroup
	mu       sync.Mutex
	letters  []Letter
	talks    []string // every line of every client, for tests that look at the conversation
	conns    map[net.Conn]bool
	opened   int
	most     int // connections open at once
	taken    int
}

// What MailServer.On may say instead of a reply.
const (
	Cut     = "cut"
	Silence = "silence"
)

// Letter is what arrived, whole.
type Letter struct {
	From, To string // of the envelope, as MAIL and RCPT had them
	Params   string // of MAIL
	Data     string
	TLS      bool
}

// Serve starts a server; configure may be nil. implicit wants TLS from the first byte.
func Serve(tb testing.TB, implicit bool, configure func(s *MailServer)) *MailServer {
	tb.Helper()
	s := &MailServer{Host: "127.0.0.1", implicit: implicit, conns: map[net.Conn]bool{}}
	s.certify(tb)
	if configure != nil {
		configure(s)
	}
	s.listen(tb, "127.0.0.1:0")
	tb.Cleanup(s.Stop)
	return s
}

// ServeQuiet starts a server for benchmarks: it keeps nothing of what it takes.
func ServeQuiet(tb testing.TB) *MailServer {
	tb.Helper()
	return Serve(tb, false, func(s *MailServer) { s.quiet, s.Without = true, []string{"STARTTLS"} })
}

func (s *MailServer) listen(tb testing.TB, addr string) {
	tb.Helper()
	l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	s.mu.Lock()
	s.listener = l
	s.mu.Unlock()
	s.Port = l.Addr().(*net.TCPAddr).Port
	s.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns[c] = true
			s.opened++
			s.most = max(s.most, len(s.conns))
			s.mu.Unlock()
			s.wg.Go(func() {
				s.talk(c)
				s.mu.Lock()
				delete(s.conns, c)
				s.mu.Unlock()
				_ = c.Close()
			})
		}
	})
}

// Stop closes the port and every connection, as a server that dies does.
func (s *MailServer) Stop() {
	s.mu.Lock()
	_ = s.listener.Close()
	for c := range s.conns {
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

// Start opens the same port again after Stop.
func (s *MailServer) Start(tb testing.TB) {
	tb.Helper()
	s.listen(tb, fmt.Sprintf("127.0.0.1:%d", s.Port))
}

// Letters are the mails that were taken.
func (s *MailServer) Letters() []Letter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Letter(nil), s.letters...)
}

// Talks are the lines that clients said, without messages.
func (s *MailServer) Talks() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.talks...)
}

// Opened counts connections; Most is how many were open at once, Taken how many mails were.
func (s *MailServer) Opened() int { s.mu.Lock(); defer s.mu.Unlock(); return s.opened }

// Most is how many connections were open at once.
func (s *MailServer) Most() int { s.mu.Lock(); defer s.mu.Unlock(); return s.most }

// Taken counts the mails that were answered with 250.
func (s *MailServer) Taken() int { s.mu.Lock(); defer s.mu.Unlock(); return s.taken }

// session is one connection.
type session struct {
	s      *MailServer
	conn   net.Conn
	text   *textproto.Conn
	secure bool
	seen   map[string]int
	letter Letter
}

func (s *MailServer) talk(c net.Conn) {
	t := &session{s: s, conn: c, seen: map[string]int{}}
	if s.implicit {
		t.conn, t.secure = tls.Server(c, s.tls), true
	}
	t.text = textproto.NewConn(t.conn)
	if !t.answer("CONNECT", "", "220 mail.example ESMTP") {
		return
	}
	for {
		line, err := t.text.ReadLine()
		if err != nil || !t.obey(line) {
			return
		}
	}
}

// answer says On's reply or the usual one; false ends the connection.
func (t *session) answer(verb, line, usual string) bool {
	_, goesOn := t.reply(verb, line, usual)
	return goesOn
}

func (t *session) reply(verb, line, usual string) (reply string, goesOn bool) {
	t.seen[verb]++
	if t.s.On != nil {
		reply = t.s.On(verb, line, t.seen[verb])
	}
	switch reply {
	case "":
		reply = usual
	case Cut:
		return reply, false
	case Silence:
		_, _ = io.Copy(io.Discard, t.conn) // until the other side gives up
		return reply, false
	}
	if verb == "." && strings.HasPrefix(reply, "2") {
		t.s.mu.Lock()
		t.s.taken++
		if !t.s.quiet {
			t.s.letters = append(t.s.letters, t.letter)
		}
		t.s.mu.Unlock()
	}
	return reply, t.text.PrintfLine("%s", reply) == nil && !strings.HasPrefix(reply, "421")
}

func (t *session) obey(line string) bool {
	verb, rest, _ := strings.Cut(line, " ")
	verb = strings.ToUpper(verb)
	if !t.s.quiet {
		t.s.mu.Lock()
		t.s.talks = append(t.s.talks, line)
		t.s.mu.Unlock()
	}
	switch verb {
	case "EHLO", "HELO":
		return t.answer("EHLO", line, t.offers())
	case "STARTTLS":
		if !t.answer(verb, line, "220 go ahead") {
			return false
		}
		t.conn, t.secure = tls.Server(t.conn, t.s.tls), true
		t.text = textproto.NewConn(t.conn)
		return true
	case "AUTH":
		return t.answer(verb, line, t.logIn(rest))
	case "MAIL":
		from, params, _ := strings.Cut(strings.TrimPrefix(rest, "FROM:"), " ")
		t.letter = Letter{From: from, Params: params, TLS: t.secure}
		return t.answer(verb, line, "250 2.1.0 ok")
	case "RCPT":
		t.letter.To = strings.TrimPrefix(rest, "TO:")
		return t.answer(verb, line, "250 2.1.5 ok")
	case "DATA":
		return t.message(line)
	case "RSET", "NOOP":
		return t.answer(verb, line, "250 2.0.0 ok")
	case "QUIT":
		_ = t.text.PrintfLine("221 bye")
		return false
	}
	return t.text.PrintfLine("500 what?") == nil
}

func (t *session) message(line string) bool {
	reply, goesOn := t.reply("DATA", line, "354 go on")
	if !goesOn || !strings.HasPrefix(reply, "354") {
		return goesOn
	}
	body, err := io.ReadAll(t.text.DotReader())
	if err != nil {
		return false
	}
	t.letter.Data = string(body)
	return t.answer(".", "", "250 2.0.0 queued as 4XyZ12")
}

func (t *session) offers() string {
	all := []string{"mail.example"}
	for _, one := range []string{"STARTTLS", "AUTH PLAIN LOGIN", "SMTPUTF8", "8BITMIME", "SIZE 10485760"} {
		name, _, _ := strings.Cut(one, " ")
		without := t.secure && name == "STARTTLS"
		for _, w := range t.s.Without {
			without = without || w == name
		}
		if !without {
			all = append(all, one)
		}
	}
	return "250-" + strings.Join(all[:len(all)-1], "\r\n250-") + "\r\n250 " + all[len(all)-1]
}

func (t *session) logIn(rest string) string {
	_, given, _ := strings.Cut(rest, " ")
	login, _ := base64.StdEncoding.DecodeString(given)
	if t.s.Login != "" && strings.TrimPrefix(string(login), "\x00") != t.s.Login {
		return "535 5.7.8 authentication failed for " + string(login)
	}
	return "235 2.7.0 welcome"
}

// certify makes an authority that signs itself, for 127.0.0.1.
func (s *MailServer) certify(tb testing.TB) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	made := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail.example"}, IPAddresses: []net.IP{net.ParseIP(s.Host)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, made, made, &key.PublicKey, key)
	if err != nil {
		tb.Fatal(err)
	}
	s.tls = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
	s.CAFile = filepath.Join(tb.TempDir(), "ca.pem")
	if err := os.WriteFile(s.CAFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		tb.Fatal(err)
	}
}
