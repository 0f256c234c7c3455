package wooshop

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // WooCommerce takes it too
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// caller is who a key belongs to.
type caller struct {
	reads   bool // may see the shop's data
	admin   bool // sees customers' meta data
	known   bool // the key exists
	refusal *reply
}

func (c caller) sees(col collection, r *record) []byte {
	if col.name != "customers" || c.admin {
		return r.raw
	}
	o, err := parseObject(r.raw)
	if err != nil {
		return r.raw
	}
	return o.without("meta_data").bytes()
}

// secure is WordPress's is_ssl().
func (s *Shop) secure(r *http.Request) bool { return r.TLS != nil || s.opts.TLSProxy }

// who reads the key: the key itself where the visitor came by https, a signature anywhere. An unknown key in Basic or in
// the query is treated as none.
func (s *Shop) who(r *http.Request) caller {
	if s.secure(r) {
		key, secret, ok := r.BasicAuth()
		if q := r.URL.Query(); q.Get("consumer_key") != "" {
			key, secret, ok = q.Get("consumer_key"), q.Get("consumer_secret"), true
		}
		if role, known := s.role(key); ok && known {
			if secret != s.opts.Secret {
				return refuse("Consumer secret is invalid.")
			}
			return permitted(role, r.Method)
		}
	}
	return s.oauth(r)
}

// role is whose key it is; every key is the default one with an ending.
func (s *Shop) role(key string) (role string, known bool) {
	role, mine := strings.CutPrefix(key, s.opts.Key)
	return role, mine && slices.Contains([]string{"", "_manager", "_read", "_write", "_customer"}, role)
}

func permitted(role, method string) caller {
	reading := method == http.MethodGet || method == http.MethodHead
	switch {
	case role == "_write" && reading:
		return refuse("The API key provided does not have read permissions.")
	case role == "_read" && !reading:
		return refuse("The API key provided does not have write permissions.")
	}
	return caller{known: true, reads: role != "_customer", admin: role == "" || role == "_read" || role == "_write"}
}

func refuse(text string) caller { return refuseAs("woocommerce_rest_authentication_error", text) }

func refuseAs(code, text string) caller {
	a := errorBody(http.StatusUnauthorized, code, text)
	return caller{refusal: &a}
}

func cannotView(who caller) reply {
	status := http.StatusUnauthorized
	if who.known {
		status = http.StatusForbidden
	}
	return errorBody(status, "woocommerce_rest_cannot_view", "Sorry, you cannot list resources.")
}

const oauthWindow = 15 * time.Minute

// oauth checks a one-legged signature in the order in which WooCommerce does.
func (s *Shop) oauth(r *http.Request) caller {
	q := oauthParams(r)
	var missing []string
	names := []string{"oauth_consumer_key", "oauth_timestamp", "oauth_nonce", "oauth_signature", "oauth_signature_method"}
	for _, name := range names {
		if q.Get(name) == "" {
			missing = append(missing, name)
		}
	}
	switch len(missing) {
	case 0:
	case len(names):
		return caller{}
	case 1:
		return refuseAs("woocommerce_rest_authentication_missing_parameter", "Missing OAuth parameter "+missing[0])
	default:
		return refuseAs("woocommerce_rest_authentication_missing_parameter", "Missing OAuth parameters "+strings.Join(missing, ", "))
	}
	role, known := s.role(q.Get("oauth_consumer_key"))
	if !known {
		return refuse("Consumer key is invalid.")
	}
	if text := s.signed(r, q); text != "" {
		return refuse(text)
	}
	if text := s.unused(q.Get("oauth_timestamp"), q.Get("oauth_nonce")); text != "" {
		return refuse(text)
	}
	return permitted(role, r.Method)
}

// oauthParams are those of the query, and those of the header over them.
func oauthParams(r *http.Request) url.Values {
	q := maps.Clone(r.URL.Query())
	header, ok := strings.CutPrefix(r.Header.Get("Authorization"), "OAuth ")
	if !ok {
		return q
	}
	for part := range strings.SplitSeq(header, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		if v, err := url.PathUnescape(strings.Trim(value, `"`)); err == nil && strings.HasPrefix(name, "oauth_") {
			q.Set(name, v)
		}
	}
	return q
}

// signed is why the signature does not match, "" when it does. It is over the address that the shop believes to have.
func (s *Shop) signed(r *http.Request, q url.Values) string {
	algorithms := map[string]func() hash.Hash{"HMAC-SHA1": sha1.New, "HMAC-SHA256": sha256.New}
	algorithm := algorithms[q.Get("oauth_signature_method")]
	if algorithm == nil {
		return "Invalid signature - signature method is invalid."
	}
	scheme, host := "http://", r.Host
	if s.secure(r) {
		scheme = "https://"
	}
	if _, own, ok := strings.Cut(s.opts.Home, "://"); ok {
		host = own
	}
	var pairs []string
	for name, values := range q {
		if name == "oauth_signature" {
			continue
		}
		for i, v := range values {
			if list, ok := strings.CutSuffix(name, "[]"); ok { // PHP numbers them
				name = list + "[" + strconv.Itoa(i) + "]"
			}
			pairs = append(pairs, percent(name)+"="+percent(v))
		}
	}
	slices.Sort(pairs)
	mac := hmac.New(algorithm, []byte(s.opts.Secret+"&"))
	mac.Write([]byte(r.Method + "&" + percent(scheme+host+r.URL.Path) + "&" + percent(strings.Join(pairs, "&"))))
	if !hmac.Equal([]byte(base64.StdEncoding.EncodeToString(mac.Sum(nil))), []byte(q.Get("oauth_signature"))) {
		return "Invalid signature - provided signature does not match."
	}
	return ""
}

// percent is PHP's rawurlencode.
func percent(s string) string {
	return strings.NewReplacer("+", "%20", "%7E", "~").Replace(url.QueryEscape(s))
}

// unused is why time or nonce are refused, "" when they are not. It remembers the nonce.
func (s *Shop) unused(timestamp, nonce string) string {
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	at, now := time.Unix(seconds, 0), s.opts.Clock()
	if err != nil || at.Before(now.Add(-oauthWindow)) || at.After(now.Add(oauthWindow)) {
		return "Invalid timestamp."
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.nonces, func(_ string, at time.Time) bool { return at.Before(now.Add(-oauthWindow)) })
	if _, used := s.nonces[nonce]; used {
		return "Invalid nonce - nonce has already been used."
	}
	s.nonces[nonce] = at
	return ""
}
