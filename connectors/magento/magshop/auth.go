package magshop

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // Magento 2.3 accepts it
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// refused is nil when the request may see the resource.
func (s *Shop) refused(r *http.Request, resource string) *reply {
	header := r.Header.Get("Authorization")
	known := false
	switch {
	case strings.HasPrefix(header, "Bearer "):
		known = header == "Bearer "+Token && (s.opts.Old || !s.opts.NoBearer)
	case strings.HasPrefix(header, "OAuth "):
		if bad := s.verify(r, header); bad != nil {
			return bad
		}
		known = true
	}
	if resource == "" || known && !slices.Contains(s.opts.Denied, resource) {
		return nil
	}
	a := notAllowed(resource) // the same answer for every reason
	return &a
}

// verify checks a signature as Magento does: the query by raw percent-decoding, a parameter without "=" left out.
func (s *Shop) verify(r *http.Request, header string) *reply {
	given := map[string]string{}
	for part := range strings.SplitSeq(strings.TrimPrefix(header, "OAuth "), ",") {
		k, v, _ := strings.Cut(strings.TrimSpace(part), "=")
		given[decoded(k)] = decoded(strings.Trim(v, `"`))
	}
	no := func(status int, message string, parameters any) *reply {
		a := refuse(status, message, parameters)
		return &a
	}
	for _, name := range []string{"oauth_consumer_key", "oauth_token", "oauth_signature_method", "oauth_signature", "oauth_nonce", "oauth_timestamp"} {
		if given[name] == "" {
			return no(http.StatusBadRequest, `"%fieldName" is required. Enter and try again.`, object{"fieldName": name})
		}
	}
	var algorithm func() hash.Hash
	switch method := given["oauth_signature_method"]; {
	case method == "HMAC-SHA256":
		algorithm = sha256.New
	case method == "HMAC-SHA1" && s.opts.Old:
		algorithm = sha1.New
	default:
		return no(http.StatusBadRequest, "Signature method %1 is not supported", []any{method})
	}
	at, err := strconv.ParseInt(given["oauth_timestamp"], 10, 64)
	switch {
	case len(given["oauth_token"]) != 32:
		return no(http.StatusBadRequest, "The token length is invalid. Check the length and try again.", nil)
	case given["oauth_consumer_key"] != ConsumerKey:
		return no(http.StatusUnauthorized, "A consumer having the specified key does not exist", nil)
	case err != nil || at > time.Now().Add(10*time.Minute).Unix() || len(given["oauth_nonce"]) > 32:
		return no(http.StatusUnauthorized, "An error occurred validating the nonce", nil)
	case s.nonces[given["oauth_nonce"]]:
		return no(http.StatusUnauthorized, "The nonce is already being used by the consumer with ID %1", []any{"1"})
	case given["oauth_token"] != Token:
		return no(http.StatusUnauthorized, "Specified token does not exist", nil)
	}
	if s.nonces == nil {
		s.nonces = map[string]bool{}
	}
	s.nonces[given["oauth_nonce"]] = true
	if !hmac.Equal([]byte(given["oauth_signature"]), []byte(s.signature(r, given, algorithm))) {
		return no(http.StatusUnauthorized, "The signature is invalid. Verify and try again.", nil)
	}
	return nil
}

func (s *Shop) signature(r *http.Request, given map[string]string, algorithm func() hash.Hash) string {
	var pairs []string
	for k, v := range given {
		if k != "realm" && k != "oauth_signature" {
			pairs = append(pairs, encoded(k)+"="+encoded(v))
		}
	}
	for k, vs := range rawQuery(r.URL.RawQuery) {
		for _, v := range vs {
			pairs = append(pairs, encoded(k)+"="+encoded(v))
		}
	}
	slices.Sort(pairs)
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	path, _, _ := strings.Cut(r.RequestURI, "?")
	base := strings.Join([]string{r.Method, encoded(cmp.Or(s.opts.Behind, scheme) + "://" + r.Host + path), encoded(strings.Join(pairs, "&"))}, "&")
	mac := hmac.New(algorithm, []byte(encoded(ConsumerSecret)+"&"+encoded(TokenSecret)))
	mac.Write([]byte(base))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// rawQuery decodes %20 but leaves "+" alone, and drops what has no "=" or a raw one in its value.
func rawQuery(raw string) url.Values {
	out := url.Values{}
	for part := range strings.SplitSeq(raw, "&") {
		if k, v, ok := strings.Cut(part, "="); ok && !strings.Contains(v, "=") {
			out.Add(decoded(k), decoded(v))
		}
	}
	return out
}

func decoded(s string) string {
	v, err := url.PathUnescape(s)
	if err != nil {
		return s
	}
	return v
}

func encoded(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(url.QueryEscape(s), "+", "%20"), "%7E", "~")
}
