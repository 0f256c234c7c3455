package sendgrid

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/mailer/mailertest"
)

// tcp is a server that does what it likes with each connection. It reads one request at a time and counts them.
type tcp struct {
	l        net.Listener
	requests atomic.Int64
	conns    atomic.Int64
	wg       sync.WaitGroup
}

func listen(t *testing.T, serve func(s *tcp, c net.Conn, r *bufio.Reader)) *tcp {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &tcp{l: l}
	s.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.conns.Add(1)
			s.wg.Go(func() {
				defer c.Close()
				serve(s, c, bufio.NewReader(c))
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		s.wg.Wait()
	})
	return s
}

// read takes one whole request off the connection.
func (s *tcp) read(r *bufio.Reader) bool {
	req, err := http.ReadRequest(r)
	if err != nil {
		return false
	}
	if _, err := io.Copy(io.Discard, req.Body); err != nil {
		return false
	}
	s.requests.Add(1)
	return true
}

func (s *tcp) url() string { return "http://" + s.l.Addr().String() }

func reset(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) } // the close that follows sends RST

// want sends one mail and checks the class.
func want(t *testing.T, ctx context.Context, p *Provider, class fault.Class) error {
	t.Helper()
	_, err := p.Send(ctx, mailertest.Mail(1))
	if err == nil || fault.ClassOf(err) != class {
		t.Fatalf("got %v (%s), want %s", err, fault.ClassOf(err), class)
	}
	for _, secret := range []string{key, "zoe1", "Zoé", "Durand"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error says %q: %v", secret, err)
		}
	}
	return err
}

const ok = "HTTP/1.1 202 Accepted\r\nX-Message-Id: m1\r\nContent-Length: 0\r\n\r\n"

func TestWhatCertainlyWasNotSentMayBeTriedAgain(t *testing.T) {
	t.Run("connection refused", func(t *testing.T) {
		s := listen(t, func(*tcp, net.Conn, *bufio.Reader) {})
		_ = s.l.Close()
		want(t, t.Context(), provider(t, s.url()), fault.Retry)
	})
	dial := func(f func(ctx context.Context) error) *Provider {
		tr := newTransport()
		tr.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return nil, f(ctx) }
		return New(Config{APIKey: key}, tr)
	}
	t.Run("unknown host", func(t *testing.T) {
		want(t, t.Context(), dial(func(context.Context) error {
			return &net.DNSError{Err: "no such host", Name: "api.sendgrid.com", IsNotFound: true}
		}), fault.Retry)
	})
	t.Run("time-out while connecting", func(t *testing.T) {
		p := dial(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		p.timeout = 20 * time.Millisecond
		want(t, t.Context(), p, fault.Retry)
	})
	t.Run("a certificate of nobody", func(t *testing.T) {
		r := &receiver{}
		srv := httptest.NewUnstartedServer(r)
		srv.Config.ErrorLog = zap.NewStdLog(zap.NewNop())
		srv.StartTLS()
		t.Cleanup(srv.Close)
		err := want(t, t.Context(), provider(t, srv.URL), fault.Retry)
		if ce, is := errors.AsType[*tls.CertificateVerificationError](err); !is || ce == nil || r.count() != 0 {
			t.Error(err, r.count())
		}
	})
	t.Run("something that does not speak TLS", func(t *testing.T) {
		s := listen(t, func(_ *tcp, c net.Conn, _ *bufio.Reader) { _, _ = io.WriteString(c, "220 smtp ready\r\n") })
		want(t, t.Context(), provider(t, strings.Replace(s.url(), "http:", "https:", 1)), fault.Retry)
	})
}

func TestWhatMayHaveBeenSentIsUnknown(t *testing.T) {
	for name, serve := range map[string]func(s *tcp, c net.Conn, r *bufio.Reader){
		"closed after the request": func(s *tcp, _ net.Conn, r *bufio.Reader) { s.read(r) },
		"reset after the request":  func(s *tcp, c net.Conn, r *bufio.Reader) { s.read(r); reset(c) },
		"reset after one byte":     func(_ *tcp, c net.Conn, r *bufio.Reader) { _, _ = r.ReadByte(); reset(c) },
		"a truncated head":         func(s *tcp, c net.Conn, r *bufio.Reader) { s.read(r); _, _ = io.WriteString(c, "HTTP/1.1 202 Acc") },
		"another protocol":         func(s *tcp, c net.Conn, r *bufio.Reader) { s.read(r); _, _ = io.WriteString(c, "550 go away\r\n\r\n") },
		"a head without end":       func(s *tcp, c net.Conn, r *bufio.Reader) { s.read(r); endlessHead(c) },
		"a 500 whose body is short": func(s *tcp, c net.Conn, r *bufio.Reader) {
			s.read(r)
			_, _ = io.WriteString(c, "HTTP/1.1 500 Oops\r\nContent-Length: 900\r\n\r\n{\"err")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := listen(t, serve)
			want(t, t.Context(), provider(t, s.url()), fault.Unknown)
			if s.conns.Load() != 1 {
				t.Errorf("%d connections: it was tried again", s.conns.Load())
			}
		})
	}
	t.Run("an answer that drips", func(t *testing.T) {
		s := listen(t, func(s *tcp, c net.Conn, r *bufio.Reader) {
			s.read(r)
			_, _ = io.WriteString(c, "HTTP/1.1 202 Accepted\r\nX-Mess")
			_, _ = r.ReadByte() // until the other side gives up
		})
		p := provider(t, s.url())
		p.timeout = 50 * time.Millisecond
		want(t, t.Context(), p, fault.Unknown)
	})
	t.Run("the context ends while the request is out", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := listen(t, func(s *tcp, _ net.Conn, r *bufio.Reader) {
			s.read(r)
			cancel()
			_, _ = r.ReadByte()
		})
		want(t, ctx, provider(t, s.url()), fault.Unknown)
	})
}

func endlessHead(c net.Conn) {
	if _, err := io.WriteString(c, "HTTP/1.1 202 Accepted\r\n"); err != nil {
		return
	}
	for i := range 100_000 {
		if _, err := fmt.Fprintf(c, "X-%d: %s\r\n", i, strings.Repeat("x", 1000)); err != nil {
			return
		}
	}
}

func TestAnAcceptedMailStaysAcceptedWhateverFollows(t *testing.T) {
	for name, after := range map[string]string{
		"nothing":          ok,
		"a truncated body": "HTTP/1.1 202 Accepted\r\nX-Message-Id: m1\r\nContent-Length: 500\r\n\r\nhalf",
		"a dripping body":  "HTTP/1.1 202 Accepted\r\nX-Message-Id: m1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := listen(t, func(s *tcp, c net.Conn, r *bufio.Reader) {
				s.read(r)
				_, _ = io.WriteString(c, after)
				if strings.HasPrefix(name, "a dripping") {
					_, _ = r.ReadByte()
				}
			})
			if id, err := provider(t, s.url()).Send(t.Context(), mailertest.Mail(1)); id != "m1" || err != nil {
				t.Error(id, err)
			}
		})
	}
}

func TestARefusalStaysARefusalWhenItsBodyIsShort(t *testing.T) {
	s := listen(t, func(s *tcp, c net.Conn, r *bufio.Reader) {
		s.read(r)
		_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 900\r\n\r\n{\"errors\":[{")
	})
	want(t, t.Context(), provider(t, s.url()), fault.Reject)
}

// Both ends of the same story: a kept-alive connection that the server closes while it idles costs nothing, and one
// that it closes upon the next request is not replayed by net/http behind our back.
func TestB1_AKeptAliveConnectionThatIsClosedReplaysNothing(t *testing.T) {
	t.Run("upon the second request", func(t *testing.T) {
		s := listen(t, func(s *tcp, c net.Conn, r *bufio.Reader) {
			if s.read(r) {
				_, _ = io.WriteString(c, ok)
				s.read(r) // taken, not answered
			}
		})
		p := provider(t, s.url())
		if _, err := p.Send(t.Context(), mailertest.Mail(1)); err != nil {
			t.Fatal(err)
		}
		want(t, t.Context(), p, fault.Unknown)
		if s.requests.Load() != 2 || s.conns.Load() != 1 {
			t.Errorf("%d requests on %d connections, want 2 on 1", s.requests.Load(), s.conns.Load())
		}
	})
	t.Run("while idle", func(t *testing.T) {
		closed := make(chan struct{}, 10)
		s := listen(t, func(s *tcp, c net.Conn, r *bufio.Reader) {
			if s.read(r) {
				_, _ = io.WriteString(c, ok)
				_ = c.Close()
				closed <- struct{}{}
			}
		})
		p := provider(t, s.url())
		handed := 0
		for range 5 {
			// Whether net/http sees the close before it picks the connection is a race: then the mail's outcome is
			// unknown or it is certain that nothing went out, but never are there two.
			before := s.requests.Load()
			_, err := p.Send(t.Context(), mailertest.Mail(1))
			if got := s.requests.Load() - before; got > 1 || err == nil && got != 1 || fault.ClassOf(err) == fault.Retry && err != nil && got != 0 {
				t.Fatalf("%d requests arrived for one mail, %v", got, err)
			}
			if err == nil {
				handed++
				<-closed
			}
		}
		if handed == 0 {
			t.Error("nothing was handed over")
		}
	})
}

func TestARedirectIsNotFollowed(t *testing.T) {
	elsewhere := &receiver{}
	other := httptest.NewServer(elsewhere)
	t.Cleanup(other.Close)
	for _, code := range []int{301, 302, 303, 307, 308} {
		p := serve(t, http.RedirectHandler(other.URL+"/v3/mail/send", code))
		want(t, t.Context(), p, fault.Operator)
	}
	if elsewhere.count() > 0 {
		t.Error("the key and the mail went elsewhere")
	}
}

func TestHTTP2GivesTheSameClasses(t *testing.T) {
	var fail atomic.Bool
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			t.Error("not HTTP/2")
		}
		if fail.Load() {
			panic(http.ErrAbortHandler) // resets the stream
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	p := New(Config{APIKey: key, BaseURL: srv.URL}, srv.Client().Transport)
	if _, err := p.Send(t.Context(), mailertest.Mail(1)); err != nil {
		t.Fatal(err)
	}
	fail.Store(true)
	want(t, t.Context(), p, fault.Unknown)
	srv.CloseClientConnections()
	srv.Close()
	// A dead connection may still be picked: then nobody knows.
	if _, err := p.Send(t.Context(), mailertest.Mail(1)); err == nil || fault.ClassOf(err) != fault.Retry && fault.ClassOf(err) != fault.Unknown {
		t.Error(err)
	}
}
