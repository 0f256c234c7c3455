package magento

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/relance/relance/connectors/lenient"
	"github.com/relance/relance/connectors/rest"
	"github.com/relance/relance/internal/fault"
)

// refused is an answer that is no record.
type refused struct {
	status   int
	message  string // filled and without anything personal; "" when the answer held none
	resource string // what the key may not see
	most     int    // the largest page that the shop's settings allow, when that is what it says
}

func (r *refused) Error() string {
	if r.message == "" {
		return fmt.Sprintf("the shop answered %d", r.status)
	}
	return fmt.Sprintf("the shop answered %d: %s", r.status, r.message)
}

func (r *refused) says(part string) bool { return strings.Contains(strings.ToLower(r.message), part) }

// badSignature: also what a proxy that hides https from the shop leads to.
func (r *refused) badSignature() bool {
	return (r.status == http.StatusUnauthorized || r.status == http.StatusBadRequest) && r.says("signature is invalid")
}

// crashed: the shop failed on this very question, not as a whole.
func (r *refused) crashed() bool {
	return r.status == http.StatusInternalServerError && r.message != ""
}

// notThere: one record does not exist (and not the whole route).
func (r *refused) notThere() bool {
	return r.status == http.StatusNotFound && r.message != "" && !r.says("does not match any route")
}

func refusal(err error) *refused {
	if r, ok := errors.AsType[*refused](err); ok {
		return r
	}
	return &refused{}
}

const (
	hintAddress = "Something other than Magento answers at this address: give the shop's final address (https, with or without www), " +
		"and switch off bot-protection pages for /rest/."
	hintRoute  = "There is no Magento REST API at this address: check url (a shop in a folder needs the folder), and that nothing blocks /rest/."
	hintWall   = "A firewall or bot protection refuses /rest/: let the address of this machine through."
	hintParam  = "This shop refuses a question that Relance asks: update Magento, switch off modules that change its REST API, or report it."
	hintCache  = "Something caches the shop's API or drops its parameters: leave /rest/ out of the cache of the shop, its proxy or its CDN."
	hintStore  = "The shop does not know this store view: correct stores in the shop's file."
	hintBearer = "The shop does not accept the token. Magento 2.4.4 and newer refuse an integration's token alone: give consumer_key, consumer_secret and " +
		"token_secret as well, or switch on Stores → Configuration → Services → OAuth → Allow OAuth Access Tokens to be used as standalone Bearer tokens. " +
		"If it worked before, the integration was switched off or its token renewed: look under System → Integrations."
	hintNoRights = "The integration has none of the rights that Relance needs: tick them under System → Integrations → (the integration) → API, save and reauthorise. " +
		"If they are ticked, the shop's web server drops the Authorization header: let it through to PHP."
	hintConsumer  = "The shop does not know the consumer key: copy the four secrets again from System → Integrations."
	hintToken     = "The shop does not know the access token: the integration was switched off or reauthorised; copy the four secrets again from System → Integrations."
	hintSignature = "The secrets do not belong together, or the proxy before the shop changes the address: copy consumer_secret and token_secret again, " +
		"and let the proxy pass Host and X-Forwarded-Proto on."
	hintClock  = "This machine's clock is ahead of the shop's: set both by NTP."
	hintMethod = "This Magento does not know HMAC-SHA256: update it to 2.3 or newer."
	hintCrash  = "The shop fails on a question that it should answer: its developer finds the cause in var/log/exception.log and var/report under this report id."
)

// classify gives nil for an answer that holds data. secrets are kept out of what it says.
func classify(op string, a rest.Answer, secrets []string) error {
	page := notJSON(a)
	r := &refused{status: a.Status}
	if !page && (a.Status < 200 || a.Status > 299) {
		r.read(a.Body, secrets)
	}
	if f := rest.Throttled(op, a); f != nil {
		f.Err = r
		return f
	}
	f := &fault.Error{Class: fault.Operator, Op: op, Err: r}
	switch {
	case a.Status >= 200 && a.Status <= 299 && !page:
		return nil
	case a.Status >= 200 && a.Status <= 299:
		f.Err, f.Hint = errors.New("the shop answered with a web page instead of data"), hintAddress
	case a.Status >= 300 && a.Status < 400:
		f.Err, f.Hint = fmt.Errorf("the shop redirects (%d), which is not followed with a key", a.Status), hintAddress
	case a.Status == http.StatusServiceUnavailable:
		f.Class, f.Err = fault.Retry, errors.New("the shop is under maintenance or overloaded (503)")
	case a.Status >= 500, a.Status == http.StatusRequestTimeout:
		f.Class = fault.Retry
	default:
		f.Hint = hintFor(r, page)
	}
	return f
}

// notJSON sees pages of the shop's web server, its theme or a wall before it. The version page is plain text that calls
// itself a web page.
func notJSON(a rest.Answer) bool {
	if bytes.HasPrefix(a.Body, []byte("Magento/")) {
		return false
	}
	return rest.IsHTML(a) || strings.Contains(a.Header.Get("Content-Type"), "xml")
}

func hintFor(r *refused, page bool) string {
	switch {
	case page && r.status != http.StatusNotFound, r.status == http.StatusForbidden && r.message == "":
		return hintWall
	case r.status == http.StatusNotFound:
		return hintRoute
	case r.badSignature():
		return hintSignature
	case r.says("consumer having the specified key"), r.says("consumer key"):
		return hintConsumer
	case r.says("token does not exist"), r.says("token length"), r.says("token is not associated"), r.says("token has expired"):
		return hintToken
	case r.says("validating the nonce"), r.says("timestamp"):
		return hintClock
	case r.says("signature method"):
		return hintMethod
	case r.status == http.StatusUnauthorized:
		return hintBearer
	case r.says("specified request cannot be processed"):
		return hintStore
	}
	return hintParam
}

type wireError struct {
	Message    lenient.Text    `json:"message"`
	Parameters json.RawMessage `json:"parameters"`
	Errors     []struct {
		Message    lenient.Text    `json:"message"`
		Parameters json.RawMessage `json:"parameters"`
	} `json:"errors"`
}

func (r *refused) read(body []byte, secrets []string) {
	var w wireError
	if json.Unmarshal(body, &w) != nil {
		return
	}
	texts := []string{fill(string(w.Message), parameters(w.Parameters))}
	for _, e := range w.Errors {
		texts = append(texts, fill(string(e.Message), parameters(e.Parameters)))
	}
	r.message = harmless(strings.Join(texts, " "), secrets)
	ps := parameters(w.Parameters)
	r.resource = harmless(ps["resources"], secrets)
	if n, err := strconv.Atoi(ps["max"]); err == nil && n > 0 && strings.Contains(string(w.Message), "pageSize") {
		r.most = n
	}
}

// parameters of a message: an object by name, or a list by number from 1.
func parameters(raw json.RawMessage) map[string]string {
	out := map[string]string{}
	var named map[string]lenient.Text
	var listed []lenient.Text
	switch {
	case json.Unmarshal(raw, &named) == nil:
		for k, v := range named {
			out[k] = string(v)
		}
	case json.Unmarshal(raw, &listed) == nil:
		for i, v := range listed {
			out[strconv.Itoa(i+1)] = string(v)
		}
	}
	return out
}

var placeholder = regexp.MustCompile(`%[A-Za-z0-9_]+`)

func fill(message string, ps map[string]string) string {
	return placeholder.ReplaceAllStringFunc(message, func(p string) string {
		if v, ok := ps[p[1:]]; ok {
			return v
		}
		return p
	})
}

var personal = regexp.MustCompile(`[^\s"']*(@|://)[^\s"']*`)

// keyLike is what looks like a key, other than the number of a report.
var keyLike = regexp.MustCompile(`[A-Za-z0-9_+/=-]{20,}`)

func maskKey(s string) string {
	if strings.HasPrefix(s, "webapi-") || !strings.ContainsAny(s, "0123456789") {
		return s
	}
	return "…"
}

// harmless keeps addresses of people, addresses of pages and secrets out of a text that the shop wrote.
func harmless(s string, secrets []string) string {
	for _, secret := range secrets {
		s = strings.ReplaceAll(s, secret, "…")
	}
	s = keyLike.ReplaceAllStringFunc(strings.ReplaceAll(personal.ReplaceAllString(s, "…"), "?", ""), maskKey)
	s = strings.TrimSuffix(strings.Join(strings.Fields(s), " "), ".")
	if r := []rune(s); len(r) > 300 {
		s = string(r[:300]) + "…"
	}
	return s
}
