package rest

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/relance/relance/internal/fault"
)

const (
	throttleDefault = 30 * time.Second
	throttleCap     = 10 * time.Minute
)

// IsHTML looks at the type that the shop says, else at the body.
func IsHTML(a Answer) bool {
	if t, _, err := mime.ParseMediaType(a.Header.Get("Content-Type")); err == nil {
		return t == "text/html" || t == "application/xhtml+xml"
	}
	return bytes.HasPrefix(bytes.TrimSpace(a.Body), []byte("<"))
}

// Throttled gives the fault of an answer by which the shop asks to wait (429, or 503 with Retry-After); nil for any
// other.
func Throttled(op string, a Answer) *fault.Error {
	if a.Status != http.StatusTooManyRequests && (a.Status != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "") {
		return nil
	}
	return &fault.Error{Class: fault.Throttled, Op: op, Err: fmt.Errorf("the shop answered %d", a.Status), After: RetryAfter(a.Header)}
}

// RetryAfter reads seconds or a date (against the shop's own clock), never longer than ten minutes.
func RetryAfter(h http.Header) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if n, err := strconv.ParseInt(v, 10, 32); err == nil && n >= 0 {
		return min(time.Duration(n)*time.Second, throttleCap)
	}
	at, err := http.ParseTime(v)
	now, err2 := http.ParseTime(h.Get("Date"))
	if err != nil || err2 != nil {
		return throttleDefault
	}
	return min(max(at.Sub(now), 0), throttleCap)
}

// networkFault drops the address from the error: url.Error quotes the whole query.
func networkFault(ctx context.Context, op string, err error) error {
	if ctx.Err() != nil {
		return fault.New(fault.Retry, op, ctx.Err())
	}
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err
	}
	f := fault.New(fault.Retry, op, err)
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		f.Class, f.Hint = fault.Operator, "The shop's certificate cannot be verified: renew it, correct the host in url, or name the private authority in ca_file."
	}
	if de, ok := errors.AsType[*net.DNSError](err); ok && de.IsNotFound {
		f.Class, f.Hint = fault.Operator, "There is no such host: correct url in the shop's file."
	}
	return f
}

// behindNotices is the data behind what PHP prints before it, when the rest is whole. The data begins at the first object,
// or at the list that it begins: any later one could be the end of a list that broke off, which must never look like a
// shorter list. Behind an error of the database even a whole list may lack what was not found.
func behindNotices(body []byte) []byte {
	t := bytes.TrimSpace(body)
	if len(t) == 0 || t[0] == '{' || t[0] == '[' {
		return body
	}
	at := bytes.Index(t, []byte(`{"`))
	said := bytes.ToLower(t[:max(at, 0)])
	if at < 0 {
		said = bytes.ToLower(t)
	}
	switch {
	case bytes.Contains(said, []byte("database error")), bytes.Contains(said, []byte("sqlstate")), bytes.Contains(said, []byte("fatal error")):
		return body
	case at < 0 && (bytes.HasSuffix(t, []byte("\n[]")) || bytes.HasSuffix(t, []byte(">[]"))):
		return []byte("[]")
	case at < 0:
		return body
	case at > 0 && t[at-1] == '[':
		at--
	}
	if !json.Valid(t[at:]) {
		return body
	}
	return t[at:]
}
