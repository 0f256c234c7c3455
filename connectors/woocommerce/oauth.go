package woocommerce

import (
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/dghubble/oauth1"

	"github.com/relance/relance/connectors/probe"
	"github.com/relance/relance/connectors/rest"
	"github.com/relance/relance/internal/fault"
)

// WooCommerce takes keys as Basic where it knows that the visitor came by https, and anywhere as a one-legged OAuth 1.0a
// signature over the address that it believes to have. Which address that is depends on the proxy before it and cannot
// be seen from outside, so what is right is found by trying, once.

// way is one way of showing the key. base is the address that is signed; "" sends the key itself, as Basic.
type way struct{ base string }

// keys shows the key to the shop. Safe for concurrent use.
type keys struct {
	key, secret string
	clock       func() time.Time

	mu       sync.Mutex
	now      way
	proved   bool          // the shop has let us in by it
	searched time.Time     // when another was looked for
	skew     time.Duration // the shop's clock less ours, where a signature was refused for it
}

// newKeys begins with what fits the address: https carries the key itself, plain http a signature, so that the key is
// never on the wire.
func newKeys(c Config, base string, clock func() time.Time) *keys {
	k := &keys{key: c.Key, secret: c.Secret, clock: clock}
	if !strings.HasPrefix(base, "https://") {
		k.now.base = base
	}
	return k
}

// others lists what else may be tried, beginning with the same again where the shop's clock is the trouble. home is the
// address that the shop says it has, "" when unknown.
func (k *keys) others(base, home string, skewed bool) []way {
	var out []way
	k.mu.Lock()
	now := k.now
	k.mu.Unlock()
	add := func(w way) {
		if (w != now || skewed) && !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	for _, address := range []string{base, home} {
		_, rest, ok := strings.Cut(address, "://")
		if !ok {
			continue
		}
		add(way{address})
		add(way{"http://" + rest}) // the proxy ends TLS and does not say so
		add(way{"https://" + rest})
	}
	if u, err := url.Parse(base); err == nil && (u.Scheme == "https" || rest.Loopback(u.Hostname())) {
		add(way{})
	}
	return out
}

// sign is rest.Options.Sign. The path after the shop's address is what WooCommerce appends to its own.
func (k *keys) sign(r *http.Request, path string) error {
	k.mu.Lock()
	w, skew := k.now, k.skew
	k.mu.Unlock()
	if tried, ok := r.Context().Value(trying{}).(attempt); ok {
		w, skew = tried.way, tried.skew
	}
	if w.base == "" {
		r.SetBasicAuth(k.key, k.secret)
		return nil
	}
	q := r.URL.Query()
	q.Set("oauth_consumer_key", k.key)
	q.Set("oauth_nonce", rand.Text())
	q.Set("oauth_signature_method", "HMAC-SHA256")
	q.Set("oauth_timestamp", strconv.FormatInt(k.clock().Add(skew).Unix(), 10))
	sig, err := signature(r.Method, w.base+path, q, k.secret)
	if err != nil {
		return errors.New("signing the request failed")
	}
	q.Set("oauth_signature", sig)
	r.URL.RawQuery = rest.Query(q)
	return nil
}

// signature is HMAC-SHA256 as RFC 5849 §3.4 says, with an empty token secret.
func signature(method, address string, q url.Values, secret string) (string, error) {
	var pairs []string
	for name, values := range q {
		for _, v := range values {
			pairs = append(pairs, oauth1.PercentEncode(name)+"="+oauth1.PercentEncode(v))
		}
	}
	slices.Sort(pairs)
	base := method + "&" + oauth1.PercentEncode(address) + "&" + oauth1.PercentEncode(strings.Join(pairs, "&"))
	return (&oauth1.HMAC256Signer{ConsumerSecret: secret}).Sign("", base)
}

// trying is the context's key for an attempt.
type trying struct{}

type attempt struct {
	way  way
	skew time.Duration
}

// searchEvery keeps a shop that refuses a wrong key from being asked six times instead of once.
const searchEvery = time.Hour

// search tells whether another way may be looked for now.
func (k *keys) search() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.proved || !k.searched.IsZero() && k.clock().Sub(k.searched).Abs() < searchEvery {
		return false
	}
	k.searched = k.clock()
	return true
}

// settle keeps what the shop has let in.
func (k *keys) settle(a *attempt) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if a != nil {
		k.now, k.skew = a.way, a.skew
	}
	k.proved = true
}

// explain says of a refused signature what can be wrong with one.
func (k *keys) explain(err error, r *refused) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if f, ok := errors.AsType[*fault.Error](err); ok && k.now.base != "" && r.code == codeNotAuthentic {
		f.Hint = hintSigned
	}
	return err
}

// secretIsWrong tells whether the shop saw the key itself and refuses what came with it: no other way would help.
func (k *keys) secretIsWrong(r *refused) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now.base == "" && r.code == codeNotAuthentic
}

// behind is how far the shop's clock is from ours, by an answer; small differences do not matter to a signature.
func (k *keys) behind(a rest.Answer) time.Duration {
	at := a.Date()
	if at.IsZero() {
		return 0
	}
	if d := at.Sub(k.clock()); d > probe.MaxSkew || d < -probe.MaxSkew {
		return d
	}
	return 0
}
