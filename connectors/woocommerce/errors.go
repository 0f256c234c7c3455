package woocommerce

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/relance/relance/connectors/rest"
	"github.com/relance/relance/internal/fault"
)

// refused is an answer that is no record: decided by status and code alone, because shops translate the messages.
type refused struct {
	status int
	code   string
}

func (r *refused) Error() string {
	if r.code == "" {
		return fmt.Sprintf("the shop answered %d", r.status)
	}
	return fmt.Sprintf("the shop answered %d %s", r.status, r.code)
}

// codeNotAuthentic is said of a wrong secret or signature, and of a key without the permission.
const codeNotAuthentic = "woocommerce_rest_authentication_error"

const (
	hintPermalinks = "The shop's permalinks are \"Plain\" or something stands before its API: choose any other form under Settings → Permalinks, " +
		"switch off maintenance and bot-protection pages for /wp-json/, and give the shop's final address (https, with or without www)."
	hintKey = "The shop does not know the consumer key, or did not see it: create a new key under WooCommerce → Settings → Advanced → REST API. " +
		"If the key is right, the proxy before the shop does not tell WordPress about https, or the server strips the Authorization header."
	hintSecret = "The consumer secret does not belong to the key, or the key has no read permission: create a key with Read permission and copy both parts again."
	hintSigned = "The shop refuses the signature: the consumer key or the consumer secret is wrong, or the key has no read permission: create a key with Read permission under " +
		"an administrator and copy both parts again. Both clocks must be right to 15 minutes."
	hintRole  = "The user to whom the key belongs has lost the right to read this: create the key under an administrator."
	hintRoute = "There is no WooCommerce API wc/v3 at this address: check url, that the permalinks are not \"Plain\" (Settings → Permalinks), and that WooCommerce 3.5 or newer is active."
	hintWall  = "A firewall or security plug-in refuses /wp-json/: let the address of this machine through."
	hintParam = "This shop's WooCommerce refuses a question that Relance asks: update WooCommerce, switch off extensions that change its REST API, or report it."
	hintCache = "Something caches the shop's API: leave /wp-json/ out of the cache of the shop, its proxy or its CDN."
)

// refusal classifies everything but a 200 (or a 201 of what was created) with JSON; nil for that.
func refusal(op string, a rest.Answer) error {
	status, html := a.Status, rest.IsHTML(a)
	well := status == http.StatusOK || status == http.StatusCreated
	r := &refused{status: status}
	if !well && !html {
		r.code = errorCode(a.Body)
	}
	if f := rest.Throttled(op, a); f != nil {
		f.Err = r
		return f
	}
	f := &fault.Error{Class: fault.Operator, Op: op, Err: r}
	switch {
	case well && !html:
		return nil
	case well:
		f.Err = errors.New("the shop answered with a web page instead of data")
		f.Hint = hintPermalinks
	case status >= 300 && status < 400:
		f.Err = fmt.Errorf("the shop redirects (%d), which is not followed with a key", status)
		f.Hint = hintPermalinks
	case status >= 500 && status != http.StatusNotImplemented, status == http.StatusRequestTimeout, status < 300:
		f.Class = fault.Retry
	default:
		f.Hint = hintFor(r, html)
	}
	return f
}

func hintFor(r *refused, html bool) string {
	switch {
	case r.code == "rest_no_route", r.status == http.StatusNotFound && r.code == "":
		return hintRoute
	case html:
		return hintWall
	case r.code == codeNotAuthentic, r.code == "woocommerce_rest_authentication_missing_parameter":
		return hintSecret
	case r.status == http.StatusUnauthorized:
		return hintKey
	case r.status == http.StatusForbidden && strings.HasPrefix(r.code, "woocommerce_rest_"):
		return hintRole
	case r.status == http.StatusForbidden:
		return hintWall
	}
	return hintParam
}

// errorCode is WordPress's code, if the body is one of its errors and the code looks like one.
func errorCode(body []byte) string {
	var w struct {
		Code text `json:"code"`
	}
	if json.Unmarshal(body, &w) != nil || len(w.Code) > 64 ||
		strings.Trim(string(w.Code), "abcdefghijklmnopqrstuvwxyz0123456789_-") != "" {
		return ""
	}
	return string(w.Code)
}

// notThere tells whether the error says that one record does not exist (and not that the whole route is missing).
func notThere(err error) bool {
	r, ok := errors.AsType[*refused](err)
	return ok && r.status == http.StatusNotFound && r.code != "" && r.code != "rest_no_route"
}
