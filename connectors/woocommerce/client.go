package woocommerce

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/relance/relance/internal/fault"
)

const (
	requestTimeout = 60 * time.Second // a slow shop needs 2 s for a page of 100; engines halve the page after a time-out
	maxBody        = 32 << 20         // a page of 100 orders is about 400 KB
	triesAfterFail = 2
	maxBackoff     = 2 * time.Second
)

// client GETs from one shop. It follows no redirect and never writes an address into an error: queries stay private.
type client struct {
	base        string
	key, secret string
	http        *retryablehttp.Client
}

// answer is a 200 with a JSON body.
type answer struct {
	body   []byte
	header http.Header
}

// date is the shop's clock; zero when it sent none.
func (a answer) date() time.Time {
	t, err := http.ParseTime(a.header.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// total is X-WP-Total, -1 when absent. Beyond the end of a list it lies.
func (a answer) total() int {
	n, err := strconv.Atoi(a.header.Get("X-WP-Total"))
	if err != nil {
		return -1
	}
	return n
}

func newClient(c Config, transport http.RoundTripper) (*client, error) {
	if transport == nil {
		transport = &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: 15 * time.Second, IdleConnTimeout: 90 * time.Second,
			ForceAttemptHTTP2: true, DialContext: (&net.Dialer{Timeout: 15 * time.Second}).DialContext,
		}
	}
	if c.CAFile != "" {
		var err error
		if transport, err = trusting(transport, c.CAFile); err != nil {
			return nil, err
		}
	}
	rc := &retryablehttp.Client{
		HTTPClient: &http.Client{
			Transport: transport, Timeout: requestTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		RetryMax: triesAfterFail, RetryWaitMin: 100 * time.Millisecond, RetryWaitMax: maxBackoff,
		CheckRetry: checkRetry, Backoff: backoff, ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	return &client{base: strings.TrimRight(c.URL, "/"), key: c.Key, secret: c.Secret, http: rc}, nil
}

// trusting adds a private authority to those of the system.
func trusting(rt http.RoundTripper, file string) (http.RoundTripper, error) {
	t, ok := rt.(*http.Transport)
	if !ok {
		return rt, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, &fault.Error{
			Class: fault.Operator, Op: "woocommerce: reading ca_file", Err: errors.New("the file cannot be read"),
			Hint: "Give the path of a PEM file that this user may read.",
		}
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, &fault.Error{
			Class: fault.Operator, Op: "woocommerce: reading ca_file", Err: errors.New("no certificate in it"),
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

// checkRetry tries again at once only what is likely to pass in a moment; waiting longer is the engine's affair.
func checkRetry(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
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

// get asks for wc/v3/<path>; op reads "list orders".
func (c *client) get(ctx context.Context, op, path string, q url.Values) (answer, error) {
	return c.fetch(ctx, op, "/wp-json/wc/v3/"+path, q, true)
}

func (c *client) fetch(ctx context.Context, op, path string, q url.Values, signed bool) (answer, error) {
	op = "woocommerce: " + op
	target := c.base + path
	if len(q) > 0 {
		target += "?" + q.Encode()
	}
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return answer{}, &fault.Error{
			Class: fault.Operator, Op: op, Err: errors.New("the address is not usable"),
			Hint: "Correct url in the shop's file.",
		}
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "Relance")
	if signed {
		req.SetBasicAuth(c.key, c.secret)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, networkFault(ctx, op, err)
	}
	defer func() { _ = resp.Body.Close() }() // all that matters was read
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if resp.StatusCode == http.StatusOK && err != nil {
		return answer{}, networkFault(ctx, op, fmt.Errorf("the answer broke off: %w", err))
	}
	if len(body) > maxBody {
		return answer{}, &fault.Error{Class: fault.Retry, Op: op, Err: fmt.Errorf("the answer is larger than %d MB", maxBody>>20)}
	}
	body = bytes.TrimPrefix(body, []byte("\ufeff")) // a theme file saved with a byte order mark puts one before everything
	if f := refusal(op, resp, body); f != nil {
		return answer{}, f
	}
	return answer{body: body, header: resp.Header}, nil
}

// isHTML looks at the type that the shop says, else at the body.
func isHTML(h http.Header, body []byte) bool {
	if t, _, err := mime.ParseMediaType(h.Get("Content-Type")); err == nil {
		return t == "text/html" || t == "application/xhtml+xml"
	}
	return bytes.HasPrefix(bytes.TrimSpace(body), []byte("<"))
}

// decode reads a whole answer. What is no JSON although it arrived whole was broken off by the shop, or has PHP's
// own messages around it.
func decode(op string, a answer, v any) error {
	err := json.Unmarshal(a.body, v)
	if err == nil {
		return nil
	}
	f := &fault.Error{Class: fault.Retry, Op: "woocommerce: " + op, Err: errors.New("the answer is not valid JSON")}
	switch b := bytes.TrimSpace(a.body); {
	case len(b) > 0 && b[0] == '<':
		f.Class = fault.Operator
		f.Hint = "PHP prints messages into the answers: switch WP_DEBUG_DISPLAY off in the shop's wp-config.php and mend what it complains of."
	case json.Valid(b):
		f.Err = errors.New("the answer has another shape than expected")
	}
	return f
}

// decodeList reads a list. Anything else, also null or an object, is an error: an answer that only looks empty would
// end a run, and what is missing from a run of ids counts as gone.
func decodeList[T any](op string, a answer) ([]T, error) {
	var out []T
	if b := bytes.TrimSpace(a.body); len(b) > 0 && b[0] != '[' && b[0] != '<' {
		return nil, fault.New(fault.Retry, "woocommerce: "+op, errors.New("the answer has another shape than expected"))
	}
	err := decode(op, a, &out)
	return out, err
}
