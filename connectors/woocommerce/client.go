package woocommerce

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/relance/relance/connectors/rest"
	"github.com/relance/relance/internal/fault"
)

// client GETs from one shop.
type client struct {
	*rest.Client
	base string
}

// answer is a 200 with a JSON body.
type answer struct{ rest.Answer }

// date is the shop's clock; zero when it sent none.
func (a answer) date() time.Time { return a.Date() }

// total is X-WP-Total, -1 when absent. Beyond the end of a list it lies.
func (a answer) total() int {
	n, err := strconv.Atoi(a.Header.Get("X-WP-Total"))
	if err != nil {
		return -1
	}
	return n
}

func newClient(c Config, transport http.RoundTripper) (*client, error) {
	rc, err := rest.New(rest.Options{
		Platform: "woocommerce", Base: c.URL, Transport: transport, CAFile: c.CAFile, Classify: refusal,
		Sign: func(r *http.Request) error {
			r.SetBasicAuth(c.Key, c.Secret)
			return nil
		},
	})
	if err != nil {
		return nil, err
	}
	return &client{Client: rc, base: rc.Base()}, nil
}

// get asks for wc/v3/<path>; op reads "list orders".
func (c *client) get(ctx context.Context, op, path string, q url.Values) (answer, error) {
	return c.fetch(ctx, op, "/wp-json/wc/v3/"+path, q)
}

func (c *client) fetch(ctx context.Context, op, path string, q url.Values) (answer, error) {
	a, err := c.Get(ctx, op, path, rest.Query(q))
	return answer{a}, err
}

// decodeList reads a list. Anything else, also null or an object, is an error: an answer that only looks empty would
// end a run, and what is missing from a run of ids counts as gone.
func decodeList[T any](c *client, op string, a answer) ([]T, error) {
	var out []T
	if b := bytes.TrimSpace(a.Body); len(b) > 0 && b[0] != '[' && b[0] != '<' {
		return nil, fault.New(fault.Retry, "woocommerce: "+op, errors.New("the answer has another shape than expected"))
	}
	err := c.Decode(op, a.Answer, &out)
	return out, err
}
