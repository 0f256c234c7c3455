package woocommerce

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/relance/relance/connectors/rest"
	"github.com/relance/relance/internal/fault"
)

// client asks one shop, and shows it the key in the way that it understands.
type client struct {
	*rest.Client
	base string // the shop's address, without a slash at the end
	keys *keys
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

func newClient(c Config, transport http.RoundTripper, clock func() time.Time) (*client, error) {
	base := strings.TrimRight(c.URL, "/")
	cl := &client{base: base, keys: newKeys(c, base, clock)}
	u, err := url.Parse(base)
	if err != nil {
		return nil, fault.New(fault.Operator, "woocommerce: reading the address", errors.New("it is no web address"))
	}
	cl.Client, err = rest.New(rest.Options{
		Platform: "woocommerce", Base: base, Transport: transport, CAFile: c.CAFile, Classify: refusal,
		Sign: func(r *http.Request) error { return cl.keys.sign(r, strings.TrimPrefix(r.URL.Path, u.Path)) },
	})
	return cl, err
}

// get asks for wc/v3/<path>; op reads "list orders".
func (c *client) get(ctx context.Context, op, path string, q url.Values) (answer, error) {
	return c.letIn(ctx, func(ctx context.Context) (rest.Answer, error) { return c.Get(ctx, op, apiRoot+path, rest.Query(q)) })
}

// write sends v as JSON to wc/v3/<path>, once.
func (c *client) write(ctx context.Context, op, method, path string, v any) (answer, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return answer{}, fault.New(fault.Reject, "woocommerce: "+op, errors.New("what is to be written cannot be"))
	}
	return c.letIn(ctx, func(ctx context.Context) (rest.Answer, error) {
		return c.Send(ctx, op, method, apiRoot+path, "", "application/json", body)
	})
}

const apiRoot = "/wp-json/wc/v3/"

// look asks without a key.
func (c *client) look(ctx context.Context, op, path string, q url.Values) (answer, error) {
	a, err := c.Get(rest.Unsigned(ctx), op, path, rest.Query(q))
	return answer{a}, err
}

// letIn asks, and where the shop does not see or believe the key, once by each other way of showing it. A request that
// was refused has done nothing, so that a write may be repeated too.
func (c *client) letIn(ctx context.Context, ask func(context.Context) (rest.Answer, error)) (answer, error) {
	a, err := ask(ctx)
	r, refused := errors.AsType[*refused](err)
	if !refused || r.status != http.StatusUnauthorized {
		if err == nil {
			c.keys.settle(nil)
		}
		return answer{a}, err
	}
	if c.keys.secretIsWrong(r) || !c.keys.search() {
		return answer{a}, c.keys.explain(err, r)
	}
	skew := c.keys.behind(a)
	for _, w := range c.keys.others(c.base, c.home(ctx), skew != 0) {
		at := attempt{way: w, skew: skew}
		if b, other := ask(context.WithValue(ctx, trying{}, at)); other == nil {
			c.keys.settle(&at)
			return answer{b}, nil
		}
	}
	return answer{a}, c.keys.explain(err, r)
}

// home is the address that the shop believes to have, "" when it does not say.
func (c *client) home(ctx context.Context) string {
	a, err := c.look(ctx, "read the index of the API", "/wp-json/", url.Values{"_fields": {"home"}})
	if err != nil {
		return ""
	}
	var w struct {
		Home text `json:"home"`
	}
	if json.Unmarshal(a.Body, &w) != nil {
		return ""
	}
	return strings.TrimRight(string(w.Home), "/")
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
