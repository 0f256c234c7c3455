package prestashop

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/relance/relance/connectors/lenient"
	"github.com/relance/relance/connectors/rest"
	"github.com/relance/relance/internal/fault"
)

// client asks one shop's webservice, always for lists and always for named fields: the form for one record drops every
// field that is empty or 0, and "full" shows password hashes.
type client struct {
	*rest.Client
	key   string
	clock func() time.Time

	mu         sync.Mutex
	dispatcher bool                // the server does not rewrite addresses: /webservice/dispatcher.php is asked instead of /api
	inQuery    bool                // the server drops the Authorization header: the key goes into the query
	absent     map[string][]string // per resource, fields that this version or shop does not have
	skew       time.Duration       // the shop's clock less ours, as the last answer showed
	version    string              // PSWS-Version
}

func newClient(c Config, transport http.RoundTripper, clock func() time.Time) (*client, error) {
	rc, err := rest.New(rest.Options{
		Platform: "prestashop", Base: c.URL, Transport: transport, CAFile: c.CAFile, Classify: refusal,
		Sign: func(r *http.Request) error {
			r.SetBasicAuth(c.Key, "")
			return nil
		},
	})
	if err != nil {
		return nil, err
	}
	return &client{Client: rc, key: c.Key, clock: clock, absent: map[string][]string{}}, nil
}

// resource is a table of the webservice. Its fields are those of the oldest version that is read (1.7.7).
type resource struct {
	path, node string
	fields     []string
	extra      url.Values // parameters that some fields need
}

func (r resource) with(fields ...string) resource {
	r.fields = slices.Clone(r.fields)
	for _, f := range fields {
		if !slices.Contains(r.fields, f) {
			r.fields = append(r.fields, f)
		}
	}
	return r
}

func (r resource) only(fields ...string) resource {
	r.fields, r.extra = fields, nil
	return r
}

// answered is a list as it came.
type answered struct {
	rows []json.RawMessage
	at   time.Time // the shop's clock
}

// list asks for rows. A field that the shop does not have is left out from then on.
func (c *client) list(ctx context.Context, res resource, q url.Values) (answered, error) {
	for {
		a, err := c.ask(ctx, res, q)
		r := asRefused(err)
		if r == nil || r.code != codeField || r.field == "" || r.field == "id" || !c.leaveOut(res, r.field) {
			return a, err
		}
	}
}

func (c *client) leaveOut(res resource, field string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := slices.ContainsFunc(res.fields, func(f string) bool { return named(f) == field })
	if !known || slices.Contains(c.absent[res.path], field) {
		return false
	}
	c.absent[res.path] = append(slices.Clone(c.absent[res.path]), field)
	return true
}

// lacks tells whether a field was left out.
func (c *client) lacks(res, field string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Contains(c.absent[res], field)
}

// named is a field without what is selected inside it: order_rows[id] is order_rows.
func named(field string) string {
	name, _, _ := strings.Cut(field, "[")
	return name
}

func (c *client) display(res resource) string {
	c.mu.Lock()
	absent := c.absent[res.path]
	c.mu.Unlock()
	return "[" + strings.Join(slices.DeleteFunc(slices.Clone(res.fields), func(f string) bool { return slices.Contains(absent, named(f)) }), ",") + "]"
}

func (c *client) ask(ctx context.Context, res resource, q url.Values) (answered, error) {
	op := "list " + res.path
	full := url.Values{"output_format": {"JSON"}, "display": {c.display(res)}, "sort": {"[id_ASC]"}}
	maps.Copy(full, res.extra)
	maps.Copy(full, q)
	a, err := c.get(ctx, op, res.path, full)
	if err != nil {
		return answered{}, named26(err, res.path)
	}
	rows, err := decodeRows(op, a, res)
	return answered{rows: rows, at: shopTime(a)}, err
}

// named26 says which right is missing.
func named26(err error, path string) error {
	f, ok := errors.AsType[*fault.Error](err)
	r := asRefused(err)
	if ok && r != nil && r.code == codeRight {
		f.Hint = fmt.Sprintf("The webservice key may not read %s: tick View (GET) for %s under Advanced Parameters → Webservice.", path, path)
	}
	return err
}

// get asks for a path of the webservice, by the way that this shop's server allows. A way that does not work is tried
// once; the other is then kept.
func (c *client) get(ctx context.Context, op, path string, q url.Values) (rest.Answer, error) {
	for range 3 {
		dispatcher, inQuery := c.way()
		a, err := c.getBy(ctx, op, path, q, dispatcher, inQuery)
		c.note(a)
		r := asRefused(err)
		switch {
		case r == nil:
			return a, err
		case r.away && r.status == http.StatusNotFound && !dispatcher:
			if b, err2 := c.getBy(ctx, op, path, q, true, inQuery); err2 == nil || reached(err2) {
				c.take(func() { c.dispatcher = true })
				if err2 == nil {
					c.note(b)
					return b, nil
				}
				continue
			}
		case r.bare && !inQuery:
			b, err2 := c.getBy(ctx, op, path, q, dispatcher, true)
			if r2 := asRefused(err2); err2 == nil || r2 != nil && !r2.bare && !r2.away {
				c.take(func() { c.inQuery = true })
				c.note(b)
				return b, err2
			}
		}
		return a, err
	}
	return rest.Answer{}, fault.New(fault.Retry, "prestashop: "+op, errors.New("no way leads to the webservice"))
}

// reached: the answer, a refusal, is the webservice's own.
func reached(err error) bool {
	r := asRefused(err)
	return r != nil && (!r.away || r.bare)
}

func (c *client) way() (dispatcher, inQuery bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dispatcher, c.inQuery
}

func (c *client) take(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

func (c *client) getBy(ctx context.Context, op, path string, q url.Values, dispatcher, inQuery bool) (rest.Answer, error) {
	target, q := c.address(path, q, dispatcher, inQuery)
	a, err := c.Send(ctx, op, http.MethodGet, target, rest.Query(q), "", nil)
	if !again(ctx, err) {
		return a, err
	}
	return c.Get(ctx, op, target, rest.Query(q))
}

// again: it failed in a way that may pass in a moment. A PHP message comes again; a time-out took long enough.
func again(ctx context.Context, err error) bool {
	if err == nil || ctx.Err() != nil || fault.ClassOf(err) != fault.Retry {
		return false
	}
	if r := asRefused(err); r != nil {
		return !r.php()
	}
	ne, ok := errors.AsType[net.Error](err)
	return !ok || !ne.Timeout()
}

func (c *client) address(path string, q url.Values, dispatcher, inQuery bool) (string, url.Values) {
	own := url.Values{}
	maps.Copy(own, q)
	if inQuery {
		own.Set("ws_key", c.key)
	}
	if dispatcher {
		own.Set("url", path)
		return "/webservice/dispatcher.php", own
	}
	return "/api/" + path, own
}

// note keeps what every answer tells of the shop: its clock and its version.
func (c *client) note(a rest.Answer) {
	at, v := shopTime(a), a.Header.Get("PSWS-Version")
	c.mu.Lock()
	defer c.mu.Unlock()
	if !at.IsZero() {
		c.skew = at.Sub(c.clock().UTC().Truncate(time.Second))
	}
	if v != "" && v != "0" {
		c.version = v
	}
}

// now is the shop's clock, as far as it is known.
func (c *client) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.clock().UTC().Truncate(time.Second).Add(c.skew)
}

func (c *client) shopVersion() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.version
}

// shopTime is the shop's clock at an answer: PrestaShop's own header, else the web server's.
func shopTime(a rest.Answer) time.Time {
	if n, err := strconv.ParseInt(a.Header.Get("Access-Time"), 10, 64); err == nil && n > 0 {
		return time.Unix(n, 0).UTC()
	}
	return a.Date()
}

// decodeRows reads a list; [] is an empty one.
func decodeRows(op string, a rest.Answer, res resource) ([]json.RawMessage, error) {
	op = "prestashop: " + op
	if isXML(a) {
		return nil, &fault.Error{Class: fault.Operator, Op: op, Err: errors.New("the shop answered XML although JSON was asked for"), Hint: hintXML}
	}
	body := bytes.TrimSpace(cut(a.Body, res.node))
	if bytes.Equal(body, []byte("[]")) {
		return nil, nil
	}
	var w map[string]json.RawMessage
	if err := json.Unmarshal(body, &w); err != nil {
		f := fault.New(fault.Retry, op, errors.New("the answer is not valid JSON"))
		if len(body) > 0 && body[0] == '<' {
			f.Class, f.Hint = fault.Operator, hintWall
		}
		return nil, f
	}
	raw, ok := w[res.node]
	if !ok {
		return nil, fault.New(fault.Retry, op, errors.New("the answer has another shape than expected"))
	}
	var rows lenient.List[json.RawMessage]
	if err := json.Unmarshal(raw, &rows); err != nil || len(raw) > 0 && raw[0] != '[' && raw[0] != '{' {
		return nil, fault.New(fault.Retry, op, errors.New("the answer has another shape than expected"))
	}
	return rows, nil
}

// cut takes away what modules print before the data, if the rest is whole. The data begins at the first object that has
// the node: a list that broke off inside must never look like a shorter one.
func cut(body []byte, node string) []byte {
	if json.Valid(body) {
		return body
	}
	if i := bytes.Index(body, []byte(`{"`+node+`"`)); i >= 0 {
		if json.Valid(body[i:]) {
			return body[i:]
		}
		return body
	}
	if t := bytes.TrimSpace(body); bytes.HasSuffix(t, []byte("\n[]")) && !bytes.Contains(t, []byte(`{"`)) {
		return []byte("[]")
	}
	return body
}
