package smtp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"time"

	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/mailer"
)

const (
	op      = "handing a mail to the mail server"
	timeout = 15 * time.Second // for the whole of one mail; less than the ledger's hand_before
)

// Provider implements mailer.Provider; safe for concurrent use.
type Provider struct {
	config  Config
	tls     *tls.Config
	pool    *pool
	timeout time.Duration
	broken  error // why no mail can be handed over at all; nil when the configuration is in order
}

var (
	_ mailer.Provider = (*Provider)(nil)
	_ mailer.Bounded  = (*Provider)(nil)
	_ mailer.Prober   = (*Provider)(nil)
)

// New makes a provider; it asks nothing of the server. A configuration that Validate would refuse makes every Send an
// Operator error.
func New(c Config) *Provider {
	p := &Provider{
		config: c, timeout: timeout, pool: newPool(c.connections()),
		tls: &tls.Config{ServerName: c.Host, MinVersion: tls.VersionTLS12},
	}
	if problems := c.Validate(); len(problems) > 0 {
		p.broken = operator(op, errors.New(problems[0].Message), "It must be "+problems[0].Want+".")
		return p
	}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		p.tls.RootCAs = x509.NewCertPool()
		if err != nil || !p.tls.RootCAs.AppendCertsFromPEM(pem) {
			p.broken = operator(op, errors.New("there is no certificate in ca_file"), "Name a PEM file with the authority's certificate.")
		}
	}
	return p
}

func operator(op string, err error, hint string) error {
	e := fault.New(fault.Operator, op, err)
	e.Hint = hint
	return e
}

// Name implements mailer.Provider.
func (p *Provider) Name() string { return "smtp" }

// Real implements mailer.Provider.
func (p *Provider) Real() bool { return true }

// AtOnce implements mailer.Bounded: one mail for each connection.
func (p *Provider) AtOnce() int { return p.config.connections() }

// Close drops the connections that wait for another mail. They would be dropped after idleFor by themselves; the provider can
// be used on.
func (p *Provider) Close() { p.pool.drain() }

// Send implements mailer.Provider. It takes 15 s at most. The message id is the Message-ID, which bounces quote: the
// send id @ the domain of the sender.
func (p *Provider) Send(ctx context.Context, m mailer.Mail) (string, error) {
	if p.broken != nil {
		return "", p.broken
	}
	if err := ctx.Err(); err != nil {
		return "", fault.New(fault.Retry, op, err)
	}
	l, err := compose(m)
	if err != nil {
		return "", fault.New(fault.Reject, op, err)
	}
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	if err := p.pool.enter(ctx); err != nil {
		busy := fault.New(fault.Throttled, op, errors.New("no connection became free in time"))
		busy.After = time.Second
		return "", busy
	}
	defer p.pool.leave()
	c, at, err := p.begin(ctx, l)
	if err == nil {
		at, err = c.hand(ctx, l)
	}
	if err != nil {
		return "", p.failed(at, err, m)
	}
	return l.id, nil
}

// begin gives a connection on which the sender of a letter has been taken: one that waits, or a new one. A server closes
// connections that idle, or that carried many mails, as it likes; of this mail it has heard nothing then.
func (p *Provider) begin(ctx context.Context, l letter) (*conn, stage, error) {
	if c := p.pool.take(); c != nil {
		at, err := c.sender(ctx, l)
		if err == nil {
			return c, at, nil
		}
		if !gone(err) {
			return nil, at, err
		}
	}
	c, at, err := p.dial(ctx)
	if err != nil {
		return nil, at, err
	}
	if at, err = c.sender(ctx, l); err != nil {
		return nil, at, err
	}
	return c, at, nil
}

// Probe implements mailer.Prober: connection, encryption and log-in, then it hangs up.
func (p *Provider) Probe(ctx context.Context) (string, error) {
	if p.broken != nil {
		return "", p.broken
	}
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	c, at, err := p.dial(ctx)
	if err != nil {
		err = p.failed(at, err, mailer.Mail{})
		if e, ok := errors.AsType[*fault.Error](err); ok {
			e.Op = "asking the mail server"
		}
		return "", err
	}
	c.quit()
	found := "The mail server at " + p.config.address() + " answers"
	if p.config.TLS != tlsNone {
		found += " over TLS"
	}
	if p.config.User != "" {
		found += " and takes our user and password"
	}
	return found + ".", nil
}
