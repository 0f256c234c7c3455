package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail/smtp"
)

// stage is how far a mail came, which says what a failure means.
type stage int

const (
	connecting stage = iota
	greeting
	encrypting
	loggingIn
	naming     // MAIL
	addressing // RCPT
	offering   // DATA, and no byte of the message yet
	handing    // the message is on its way: without an answer nobody knows
)

const (
	dialTimeout = 5 * time.Second
	maxAnswers  = 64 << 10 // bytes read in one conversation
)

// conn is a connection to the mail server, logged in.
type conn struct {
	wire   *wire
	client *smtp.Client
	pool   *pool
	size   int64 // of a message at most; 0: not said
	utf8   bool  // takes addresses beyond ASCII
	used   bool  // an envelope was begun and not carried through: RSET first
	mails  int
	expiry *time.Timer // while it waits
}

// wire is the connection below TLS: the deadline of a mail holds for every byte of it, and a server that talks without end
// is not listened to.
type wire struct {
	net.Conn
	left int64 // bytes that may still be read for this mail
}

// Read implements net.Conn.
func (w *wire) Read(b []byte) (int, error) {
	if w.left <= 0 {
		return 0, errors.New("the mail server talks without end")
	}
	n, err := w.Conn.Read(b[:min(int64(len(b)), w.left)])
	w.left -= int64(n)
	return n, err
}

// watch makes a context hold for the wire until done is called; clean is false when the context has ended meanwhile, and
// the connection is of no more use.
func (w *wire) watch(ctx context.Context) (done func() (clean bool)) {
	w.left = maxAnswers
	deadline, _ := ctx.Deadline()
	_ = w.SetDeadline(deadline) // a failure shows at the next byte
	return context.AfterFunc(ctx, func() { _ = w.SetDeadline(time.Unix(1, 0)) })
}

// dial connects, encrypts and logs in.
func (p *Provider) dial(ctx context.Context) (c *conn, at stage, err error) {
	raw, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", p.config.address())
	if err != nil {
		return nil, connecting, err
	}
	w := &wire{Conn: raw}
	done := w.watch(ctx)
	defer func() {
		if clean := done(); err == nil && !clean {
			err = ctx.Err()
		}
		if err != nil {
			_ = w.Close()
		}
	}()
	c = &conn{wire: w, pool: p.pool}
	var speaks net.Conn = w
	if p.config.TLS == tlsImplicit {
		secure := tls.Client(w, p.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, encrypting, err
		}
		speaks = secure
	}
	if c.client, err = smtp.NewClient(speaks, p.config.Host); err != nil {
		return nil, greeting, err
	}
	if err := c.client.Hello(p.config.name()); err != nil {
		return nil, greeting, err
	}
	if p.config.TLS == "" || p.config.TLS == tlsStart {
		if offered, _ := c.client.Extension("STARTTLS"); !offered {
			return nil, encrypting, errNoStartTLS
		}
		if err := c.client.StartTLS(p.tls); err != nil {
			return nil, encrypting, err
		}
	}
	if at, err := p.logIn(c.client); err != nil {
		return nil, at, err
	}
	c.utf8, _ = c.client.Extension("SMTPUTF8")
	if _, limit := c.client.Extension("SIZE"); limit != "" {
		c.size, _ = strconv.ParseInt(limit, 10, 64)
	}
	return c, naming, nil
}

var (
	errNoStartTLS = errors.New("it does not offer STARTTLS")
	errNoLogin    = errors.New("it offers no way to log in that we know")
	errTooBig     = errors.New("the mail is bigger than the mail server takes")
	errNoUTF8     = errors.New("the mail server takes no address with letters beyond ASCII before the @")
)

// logIn chooses how. Beneath TLS, or on this machine, the password may go as it is, which every server understands.
func (p *Provider) logIn(client *smtp.Client) (stage, error) {
	if p.config.User == "" {
		return loggingIn, nil
	}
	_, offered := client.Extension("AUTH")
	plain := p.config.TLS == tlsNone
	for mechanism := range strings.FieldsSeq(offered) {
		switch strings.ToUpper(mechanism) {
		case "PLAIN":
			return loggingIn, client.Auth(smtp.PlainAuth("", p.config.User, p.config.Password, p.config.Host, plain))
		case "LOGIN":
			return loggingIn, client.Auth(smtp.LoginAuth(p.config.User, p.config.Password, p.config.Host, plain))
		case "SCRAM-SHA-256":
			return loggingIn, client.Auth(smtp.ScramSHA256Auth(p.config.User, p.config.Password))
		}
	}
	return loggingIn, errNoLogin
}

// sender begins an envelope. On any failure the connection is given up.
func (c *conn) sender(ctx context.Context, l letter) (at stage, err error) {
	if err := c.fits(l); err != nil {
		c.pool.keep(c)
		return naming, err
	}
	done := c.wire.watch(ctx)
	defer func() {
		if clean := done(); !clean && err == nil {
			err = ctx.Err()
		}
		if err != nil {
			c.hangUp(err)
		}
	}()
	if c.used {
		if err := c.ask(250, "RSET"); err != nil {
			return naming, err
		}
	}
	c.used = true
	params := ""
	if l.utf8 { // only then: whoever passes the mail on would have to know it too
		params = " SMTPUTF8"
	}
	if c.size > 0 {
		params += fmt.Sprintf(" SIZE=%d", len(l.data))
	}
	return naming, c.ask(250, "MAIL FROM:%s%s", l.from, params)
}

// fits tells whether the server said beforehand that it takes such a mail.
func (c *conn) fits(l letter) error {
	switch {
	case c.size > 0 && int64(len(l.data)) > c.size:
		return errTooBig
	case l.utf8 && !c.utf8:
		return errNoUTF8
	}
	return nil
}

// hand gives the recipient and the message. The connection waits for another mail afterwards, or is given up.
func (c *conn) hand(ctx context.Context, l letter) (at stage, err error) {
	done := c.wire.watch(ctx)
	defer func() {
		_, answered := errors.AsType[*textproto.Error](err)
		if clean := done(); clean && (err == nil || answered && !gone(err)) {
			c.pool.keep(c)
		} else {
			c.hangUp(err)
		}
	}()
	if err := c.ask(25, "RCPT TO:%s", l.to); err != nil {
		return addressing, err
	}
	if err := c.ask(354, "DATA"); err != nil {
		return offering, err
	}
	c.mails++
	w := c.client.Text.DotWriter()
	if _, err := w.Write(l.data); err != nil {
		return handing, err
	}
	if err := w.Close(); err != nil {
		return handing, err
	}
	if _, _, err := c.client.Text.ReadResponse(250); err != nil {
		return handing, err
	}
	c.used = false
	return handing, nil
}

func (c *conn) ask(expect int, format string, args ...any) error {
	if err := c.client.Text.PrintfLine(format, args...); err != nil {
		return err
	}
	_, _, err := c.client.Text.ReadResponse(expect)
	return err
}

// hangUp gives a connection up: with QUIT when the server still listens.
func (c *conn) hangUp(err error) {
	if _, answered := errors.AsType[*textproto.Error](err); answered && !gone(err) {
		c.quit()
		return
	}
	_ = c.wire.Close()
}

// quit says goodbye without waiting for the answer.
func (c *conn) quit() {
	_ = c.wire.SetDeadline(time.Now().Add(quitWithin))
	_ = c.client.Text.PrintfLine("QUIT")
	_ = c.wire.Close()
}

// gone tells whether the connection is of no more use: it broke, or the server is about to close it (421).
func gone(err error) bool {
	if reply, ok := errors.AsType[*textproto.Error](err); ok {
		return reply.Code == 421
	}
	if _, ok := errors.AsType[textproto.ProtocolError](err); ok {
		return true
	}
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}
