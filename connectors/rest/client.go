// Package rest is how connectors talk to a shop's JSON API: few tries, capped waits, no redirects, no cookies, bounded
// bodies, and no address, query or secret in any error. What an answer means is the platform's own affair.
package rest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/relance/relance/internal/fault"
)

const (
	requestTimeout = 60 * time.Second // slow shops need 3 s for a page of 100; engines halve the page after a time-out
	maxBody        = 32 << 20         // a page of 100 orders is 0.2 to 1.3 MB, lines of 30 products make it ten times that
	triesAfterFail = 2
	maxBackoff     = 2 * time.Second
)

// Options of a Client. Platform, Base and Classify are needed.
type Options struct {
	Platform  string            // begins every error: "woocommerce: list orders: …"
	Base      string            // address of the shop, with or without a slash at the end
	Transport http.RoundTripper // nil: the machine's network
	CAFile    string            // PEM file of a private authority; "" = none
	// Sign gives a request its credentials. It is asked once per try, so that each has a nonce of its own.
	Sign func(*http.Request) error
	// Classify gives nil for an answer that holds data, else a *fault.Error.
	Classify func(op string, a Answer) error
}

// Client asks one shop. Safe for concurrent use.
type Client struct {
	o    Options
	base string
	http *retryablehttp.Client
}

// Answer is a complete answer of the shop.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Date is the shop's clock; zero when it sent none.
func (a Answer) Date() time.Time {
	t, err := http.ParseTime(a.Header.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// New makes a Client. Its error is of class operator.
func New(o Options) (*Client, error) {
	transport := o.Transport
	if transport == nil {
		transport = &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: 15 * time.Second, IdleConnTimeout: 90 * time.Second,
			ForceAttemptHTTP2: true, DialContext: (&net.Dialer{Timeout: 15 * time.Second}).DialContext,
		}
	}
	if o.CAFile != "" {
		var err error
		if transport, err = trusting(transport, o.CAFile, o.Platform); err != nil {
			return nil, err
		}
	}
	if o.Sign != nil {
		transport = signing{transport, o.Sign}
	}
	return &Client{o: o, base: strings.TrimRight(o.Base, "/"), http: &retryablehttp.Client{
		HTTPClient: &http.Client{
			Transport: transport, Timeout: requestTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		RetryMax: triesAfterFail, RetryWaitMin: 100 * time.Millisecond, RetryWaitMax: maxBackoff,
		CheckRetry: checkRetry, Backoff: backoff, ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}}, nil
}

// Base is the shop's address without a slash at the end.
func (c *Client) Base() string { return c.base }

// signing is the innermost round tripper: every try is signed anew.
type signing struct {
	next http.RoundTripper
	sign func(*http.Request) error
}

func (s signing) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Context().Value(unsigned{}) == nil {
		r = r.Clone(r.Context())
		if err := s.sign(r); err != nil {
			return nil, err
		}
	}
	return s.next.RoundTrip(r)
}

type unsigned struct{}

// Unsigned makes requests with this context go out without credentials.
func Unsigned(ctx context.Context) context.Context { return context.WithValue(ctx, unsigned{}, true) }

// Query writes parameters as every platform reads them: a space as %20, for a plus breaks signatures.
func Query(q url.Values) string { return strings.ReplaceAll(q.Encode(), "+", "%20") }

// Get asks for a path (which begins with a slash) with an encoded query; op reads "list orders". A 500, 502, 504 or a
// dropped connection is asked again twice within half a second; waiting longer is the engine's affair.
func (c *Client) Get(ctx context.Context, op, path, query string) (Answer, error) {
	return c.do(ctx, op, http.MethodGet, path, query, "", nil)
}

// Send writes to the shop, once: whether to repeat is for the task queue to decide.
func (c *Client) Send(ctx context.Context, op, method, path, query, contentType string, body []byte) (Answer, error) {
	return c.do(context.WithValue(ctx, once{}, true), op, method, path, query, contentType, body)
}

type once struct{}

func (c *Client) do(ctx context.Context, op, method, path, query, contentType string, body []byte) (Answer, error) {
	op = c.o.Platform + ": " + op
	target := c.base + path
	if query != "" {
		target += "?" + query
	}
	var content any
	if body != nil {
		content = body
	}
	req, err := retryablehttp.NewRequestWithContext(ctx, method, target, content)
	if err != nil {
		return Answer{}, &fault.Error{Class: fault.Operator, Op: op, Err: errors.New("the address is not usable"), Hint: "Correct url in the shop's file."}
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "Relance")
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return Answer{}, networkFault(ctx, op, err)
	}
	defer func() { _ = resp.Body.Close() }() // all that matters was read
	read, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if resp.StatusCode == http.StatusOK && err != nil {
		return Answer{}, networkFault(ctx, op, fmt.Errorf("the answer broke off: %w", err))
	}
	if len(read) > maxBody {
		return Answer{}, &fault.Error{Class: fault.Retry, Op: op, Err: fmt.Errorf("the answer is larger than %d MB", maxBody>>20)}
	}
	a := Answer{Status: resp.StatusCode, Header: resp.Header, Body: bytes.TrimPrefix(read, []byte("\ufeff"))} // a PHP file saved with a byte order mark puts one before everything
	if a.Status == http.StatusOK && strings.Contains(a.Header.Get("Content-Type"), "json") {
		a.Body = behindNotices(a.Body)
	}
	return a, c.o.Classify(op, a)
}

// trusting adds a private authority to those of the system.
func trusting(rt http.RoundTripper, file, platform string) (http.RoundTripper, error) {
	t, ok := rt.(*http.Transport)
	if !ok {
		return rt, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, &fault.Error{
			Class: fault.Operator, Op: platform + ": reading ca_file", Err: errors.New("the file cannot be read"),
			Hint: "Give the path of a PEM file that this user may read.",
		}
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, &fault.Error{
			Class: fault.Operator, Op: platform + ": reading ca_file", Err: errors.New("no certificate in it"),
			Hint: "The file must hold a certificate that begins with -----BEGIN CERTIFICATE-----.",
		}
	}
	t = t.Clone()
	if t.TLSClientConfig == nil {
		t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	t.TLSClientConfig.RootCAs = pool
	return t, nil
}

// checkRetry tries again at once only what is likely to pass in a moment.
func checkRetry(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if ctx.Value(once{}) != nil {
		return false, nil
	}
	if err != nil {
		if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
			return false, nil
		}
		if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
			return false, nil
		}
		return true, nil
	}
	switch resp.StatusCode {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout:
		return true, nil
	}
	return false, nil
}

// backoff ignores Retry-After on purpose: the library's own obey it without a cap.
func backoff(least, most time.Duration, attempt int, _ *http.Response) time.Duration {
	return min(least<<(2*min(attempt, 8)), most)
}

// Decode reads a whole answer; platform and op as in Get. What is no JSON although it arrived whole was broken off by the
// shop, or has PHP's own messages around it.
func (c *Client) Decode(op string, a Answer, v any) error {
	err := json.Unmarshal(a.Body, v)
	if err == nil {
		return nil
	}
	f := &fault.Error{Class: fault.Retry, Op: c.o.Platform + ": " + op, Err: errors.New("the answer is not valid JSON")}
	switch b := bytes.TrimSpace(a.Body); {
	case len(b) > 0 && b[0] == '<':
		f.Class = fault.Operator
		f.Hint = "PHP prints messages into the answers: switch the display of errors off in the shop (WordPress: WP_DEBUG_DISPLAY) and mend what it complains of."
	case json.Valid(b):
		f.Err = errors.New("the answer has another shape than expected")
	}
	return f
}
