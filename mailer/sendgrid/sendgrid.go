// Package sendgrid hands mails to SendGrid's v3 API. The payload's types are those of sendgrid-go; the POST is our own,
// for its client shares one body between goroutines and has no time-out.
package sendgrid

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/mailer"
)

// Config is the `sendgrid:` block of a sender.
type Config struct {
	APIKey  string `yaml:"api_key"` // needs the permission Mail Send
	Region  string `yaml:"region" jsonschema:"enum=global,enum=eu,description=where the account lives; global when absent"`
	BaseURL string `yaml:"base_url"` // in the region's place, for a receiver of one's own; "" = the region's
	Sandbox bool   `yaml:"sandbox"`  // SendGrid checks the mail and throws it away
	// WebhookKey is the verification key of the Signed Event Webhook; "" = no events are taken.
	WebhookKey string `yaml:"webhook_key"`
}

const (
	globalURL = "https://api.sendgrid.com"
	euURL     = "https://api.eu.sendgrid.com"
	timeout   = 10 * time.Second // for the whole exchange; less than the ledger's hand_before
	op        = "handing a mail to SendGrid"
	regionEU  = "eu"
)

// Validate finds mistakes in the block. Plain http is for a receiver on this machine only: the key travels in a header.
func (c Config) Validate() []fault.Problem {
	var out []fault.Problem
	bad := func(path, message, want string) {
		out = append(out, fault.Problem{Path: path, Message: message, Want: want})
	}
	switch {
	case c.APIKey == "":
		bad("$.api_key", "there is no API key", "a SendGrid API key with the permission Mail Send")
	case strings.ContainsFunc(c.APIKey, func(r rune) bool { return r <= ' ' || r > '~' }):
		bad("$.api_key", "the API key holds a space, a line break or another odd character", "the key alone, as SendGrid showed it")
	}
	switch {
	case c.Region != "" && c.Region != "global" && c.Region != regionEU:
		bad("$.region", fmt.Sprintf("region cannot be %q", c.Region), "one of global, eu")
	case c.Region != "" && c.BaseURL != "":
		bad("$.base_url", "region and base_url are both given", "one of the two")
	}
	const want = "https://api.sendgrid.com or https://api.eu.sendgrid.com"
	u, err := url.Parse(c.base())
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		bad("$.base_url", "this is not an address", want)
	case u.Scheme == "http" && !loopback(u.Hostname()):
		bad("$.base_url", "plain http would show the key to everybody on the way", want)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		bad("$.base_url", "the address has a user, a query or a fragment", want)
	}
	if c.WebhookKey != "" {
		if _, err := ParseEventKey(c.WebhookKey); err != nil {
			bad("$.webhook_key", err.Error(), "the verification key that SendGrid shows under Settings, Mail Settings, Event Webhook, Security Features")
		}
	}
	return out
}

func (c Config) base() string {
	switch {
	case c.BaseURL != "":
		return strings.TrimRight(c.BaseURL, "/")
	case c.Region == regionEU:
		return euURL
	}
	return globalURL
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Provider implements mailer.Provider; safe for concurrent use.
type Provider struct {
	config  Config
	base    string
	client  *retryablehttp.Client
	timeout time.Duration
}

var (
	_ mailer.BatchProvider = (*Provider)(nil)
	_ mailer.Prober        = (*Provider)(nil)
)

// New makes a provider that sends through the transport, nil for one of its own. A configuration that Validate would
// refuse makes every Send an Operator error.
func New(c Config, transport http.RoundTripper) *Provider {
	if transport == nil {
		transport = newTransport()
	}
	return &Provider{
		config: c,
		base:   c.base(),
		client: &retryablehttp.Client{
			HTTPClient: &http.Client{
				Transport:     transport,
				CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			},
			// One attempt: a second could be a second mail.
			RetryMax:     0,
			CheckRetry:   func(context.Context, *http.Response, error) (bool, error) { return false, nil },
			ErrorHandler: retryablehttp.PassthroughErrorHandler,
		},
		timeout: timeout,
	}
}

// newTransport speaks HTTP/1.1 (a dialler of one's own without ForceAttemptHTTP2): when an HTTP/2 connection dies, all
// mails on it have an unknown outcome. Idle connections are dropped before the other side does, for the same reason.
func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout:    5 * time.Second,
		MaxIdleConnsPerHost:    256, // as many as the mailer has mails under way: a connection costs more than a mail
		IdleConnTimeout:        15 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// Name implements mailer.Provider.
func (p *Provider) Name() string { return "sendgrid" }

// Real implements mailer.Provider: in the sandbox nobody is reached.
func (p *Provider) Real() bool { return !p.config.Sandbox }

// Send implements mailer.Provider. It takes 10 s at most and returns SendGrid's X-Message-Id ("" when there is none).
func (p *Provider) Send(ctx context.Context, m mailer.Mail) (string, error) {
	r := p.SendBatch(ctx, []mailer.Mail{m})[0]
	return r.MessageID, r.Err
}

// ready tells why nothing can be handed over at all.
func (p *Provider) ready(ctx context.Context) error {
	if problems := p.config.Validate(); len(problems) > 0 {
		err := fault.New(fault.Operator, op, errors.New(problems[0].Message))
		err.Hint = "It must be " + problems[0].Want + "."
		return err
	}
	if err := ctx.Err(); err != nil {
		return fault.New(fault.Retry, op, err)
	}
	return nil
}

// ask makes one request, once; nil is a GET. The caller closes the answer's body.
func (p *Provider) ask(ctx context.Context, path string, body []byte) (*http.Response, error) {
	method, content := http.MethodGet, any(nil)
	if body != nil {
		method, content = http.MethodPost, body
	}
	var way progress
	req, err := retryablehttp.NewRequestWithContext(way.watch(ctx), method, p.base+path, content)
	if err != nil {
		return nil, fault.New(fault.Operator, op, errors.New("the base URL is not an address"))
	}
	// net/http replays a request on its own where it can rewind the body; and it would replay a POST with an
	// Idempotency-Key, which is therefore never set.
	req.GetBody = nil
	req.Header.Set("Authorization", "Bearer "+p.config.APIKey)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "relance")
	resp, err := p.client.Do(req)
	if err != nil {
		return nil, way.failed(ctx, err)
	}
	return resp, nil
}

// accepted: 202, or 200 in the sandbox. A 200 with a page is some proxy's and says nothing about the mail.
func accepted(resp *http.Response) bool {
	if resp.StatusCode == http.StatusAccepted {
		return true
	}
	return resp.StatusCode == http.StatusOK && !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html")
}

// describe names an error of the transport without the address it went to.
func describe(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return fmt.Errorf("%w", err)
}
