package sendgrid

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/mailer"
)

const (
	maxAnswer    = 16 << 10 // bytes read of an error's body
	defaultAfter = 30 * time.Second
	maxAfter     = 10 * time.Minute // a longer wait is asked for again
)

// progress follows how far a request got. The transport calls the hooks from several goroutines.
type progress struct {
	asked, connected, wrote atomic.Bool
}

func (p *progress) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn:          func(string) { p.asked.Store(true) },
		GotConn:          func(httptrace.GotConnInfo) { p.connected.Store(true) },
		WroteHeaderField: func(string, []string) { p.wrote.Store(true) },
	})
}

// failed classifies an exchange without an answer. Retry only when the transport itself showed that no byte of the
// request went out: it looked for a connection and got none (refused, DNS, TLS, time-out of either), or it got one and
// did not begin to write. Everything else may have been a mail.
func (p *progress) failed(ctx context.Context, err error) error {
	class := fault.Unknown
	switch {
	case p.asked.Load() && !p.connected.Load():
		class = fault.Retry
	case p.connected.Load() && !p.wrote.Load() && ctx.Err() == nil:
		class = fault.Retry // with ctx over, the writer may be about to begin
	}
	return fault.New(class, op, describe(err))
}

// complaint is one error of an answer's body.
type complaint struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// of gives the index of the personalization that a complaint is about.
func (c complaint) of() (index int, ok bool) {
	rest, ok := strings.CutPrefix(c.Field, "personalizations.")
	if !ok {
		return 0, false
	}
	digits, _, _ := strings.Cut(rest, ".")
	index, err := strconv.Atoi(digits)
	return index, err == nil && index >= 0
}

// complaints reads them from an answer's body; none when it is not as SendGrid's are.
func complaints(resp *http.Response) []complaint {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	var answer struct {
		Errors []complaint `json:"errors"`
	}
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) || json.Unmarshal(body, &answer) != nil {
		return nil
	}
	return answer.Errors
}

// refused classifies an answer that is not a success; why is what it complains of, without anything personal.
func refused(resp *http.Response, why string, now time.Time) *fault.Error {
	code := resp.StatusCode
	err := fault.New(fault.Unknown, op, fmt.Errorf("it answered %d%s", code, why))
	switch {
	case code == http.StatusTooManyRequests:
		err.Class, err.After = fault.Throttled, after(resp.Header, now)
	case code == http.StatusUnauthorized || code == http.StatusPaymentRequired:
		err.Class = fault.Operator
		err.Hint = "Check that the API key exists, that it has the permission Mail Send, and that the account's plan has mails left."
	case code == http.StatusForbidden:
		err.Class = fault.Operator
		err.Hint = "Verify the sender's address or domain in SendGrid and the key's permission Mail Send; after too many refused mails SendGrid also blocks for a while."
	case code == http.StatusUnavailableForLegalReasons:
		err.Class = fault.Operator
		err.Hint = "The account lives in another region: set region: eu, or leave it out."
	case code >= 300 && code < 400, code == http.StatusNotFound, code == http.StatusMethodNotAllowed,
		code == http.StatusNotAcceptable, code == http.StatusProxyAuthRequired, code == http.StatusMisdirectedRequest:
		// This is true of every mail: refusing them one by one would lose them all.
		err.Class = fault.Operator
		err.Hint = "Check region (eu for accounts in the EU), base_url and the proxy."
	case code == http.StatusRequestTimeout:
		err.Class = fault.Retry // the request did not arrive whole
	case code >= 400 && code < 500:
		err.Class = fault.Reject
	}
	return err
}

// after is how long SendGrid asks to wait. Its own clock counts where it tells it.
func after(h http.Header, now time.Time) time.Duration {
	if d, err := http.ParseTime(h.Get("Date")); err == nil {
		now = d
	}
	wait := defaultAfter
	if s := h.Get("Retry-After"); s != "" {
		if n, err := strconv.ParseInt(s, 10, 32); err == nil {
			wait = time.Duration(n) * time.Second
		} else if d, err := http.ParseTime(s); err == nil {
			wait = d.Sub(now)
		}
	} else if n, err := strconv.ParseInt(h.Get("X-RateLimit-Reset"), 10, 64); err == nil {
		wait = time.Unix(n, 0).Sub(now)
	}
	return min(max(wait, time.Second), maxAfter)
}

// quote says one complaint: the field as it is, the message without anything personal.
func quote(c complaint, mails []mailer.Mail, key string) string {
	out := ""
	if regexp.MustCompile(`^[a-z0-9_.]{1,60}$`).MatchString(c.Field) {
		out = " for " + c.Field
	}
	private := []string{key}
	for _, m := range mails {
		private = append(private, m.ToName, m.ToEmail, m.Subject)
	}
	if s := (mailer.Mail{}).Discreet(c.Message, private...); s != "" {
		out += ": " + s
	}
	return out
}
