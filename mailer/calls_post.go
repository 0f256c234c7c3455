package mailer

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/relance/relance/internal/crm"
)

const leastSecret = 16

func (k *compiler) call(path string, raw CallSpec) {
	u, err := url.Parse(raw.URL)
	switch {
	case raw.URL == "" || err != nil || u.Host == "":
		k.wrong(path+".url", "it does not say what to call", "url: https://hooks.example.com/relance")
	case u.User != nil:
		k.wrong(path+".url", "the address holds a password", "an address without user and password; the body is signed with secret:")
	case u.Scheme != "https" && (u.Scheme != "http" || !onThisMachine(u.Hostname())):
		k.wrong(path+".url", "the call would be readable on its way", "an https address; http only for this machine (127.0.0.1, ::1, localhost)")
	}
	if k.known != nil && len(raw.Secret) < leastSecret { // stored definitions are without it
		k.wrong(path+".secret", "there is no secret to sign with, or a short one", fmt.Sprintf("%d characters or more that nobody can guess, such as ${HOOK_SECRET}", leastSecret))
	}
}

func onThisMachine(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// asking is one call on its way.
type asking struct {
	row    callRow
	url    string
	host   string
	secret string
	body   []byte

	state    string // what becomes of it
	silent   bool   // the service could not be reached
	attempts int64
	nextAt   int64 // real time in ms
	why      string
}

// doneAt is when it ended, in business time; 0 while it is open.
func (a *asking) doneAt(now crm.Instant) crm.Instant {
	if a.state == callOpen {
		return 0
	}
	return now
}

// callBody is what a web service is sent. Keys may be added.
type callBody struct {
	Call       string            `json:"call"` // the same at every attempt
	Campaign   string            `json:"campaign"`
	Step       string            `json:"step"`
	Occurrence string            `json:"occurrence"`
	About      string            `json:"about,omitempty"`
	At         time.Time         `json:"at"` // when the step was taken
	Contact    callContact       `json:"contact"`
	Attributes map[string]string `json:"attributes"`
}

type callContact struct {
	ID     string `json:"id"`
	Email  string `json:"email"`
	Locale string `json:"locale"`
}

// prepareCalls reads what the calls say of their contacts, as it is now; those with nothing to say any more end. Services
// that could not be reached a moment ago are left alone but for one call.
func (e *Engine) prepareCalls(ctx context.Context, p *pass, due []callRow) ([]*asking, error) {
	var contacts, runs []int64
	for _, c := range due {
		contacts, runs = append(contacts, c.ContactID), append(runs, c.EnrolmentID)
	}
	profiles, err := e.profiles(ctx, e.db.Read(), contacts, crm.Needs{Account: true})
	if err != nil {
		return nil, err
	}
	var rows []enrolment
	if err := selectIn(ctx, e.db.Read(), &rows, "SELECT "+enrolmentCols+" FROM enrolments WHERE id IN (?)", runs); err != nil {
		return nil, fmt.Errorf("reading enrolments: %w", err)
	}
	about := map[int64]string{}
	for _, n := range rows {
		about[n.ID] = n.About
	}
	var asked []*asking
	for _, c := range due {
		a := e.ask(p, c, profiles[c.ContactID], about[c.EnrolmentID])
		if a.state == "" && !e.services.free(a.host, e.o.Wall()) {
			continue
		}
		if asked = append(asked, a); len(asked) == callsAtOnce {
			break
		}
	}
	return asked, nil
}

// ask writes down one call, or why there is none.
func (e *Engine) ask(p *pass, c callRow, profile *crm.Profile, about string) *asking {
	a := &asking{row: c, attempts: c.Attempts}
	s := (*step)(nil)
	if r, ok := p.campaigns[c.Campaign]; ok {
		s, _ = r.step(c.Step)
	}
	switch {
	case s == nil || s.kind != stepCall:
		a.state, a.why = callDropped, StepRemoved.Sentence()
		return a
	case profile == nil || profile.Contact.ErasedAt > 0 || profile.Contact.MergedInto != 0:
		a.state, a.why = callDropped, ContactGone.Sentence()
		return a
	}
	body, err := json.Marshal(callBody{
		Call: SendID(c.ID), Campaign: c.Campaign, Step: c.Step, Occurrence: c.Occurrence, About: about, At: c.CreatedAt.Time(),
		Contact:    callContact{ID: strconv.FormatInt(profile.Contact.ID, 10), Email: profile.Contact.Email, Locale: profile.Contact.Locale},
		Attributes: profile.Contact.Attributes,
	})
	if err != nil { // strings and numbers: there is nothing that could fail
		a.state, a.why = callParked, "it cannot be written as JSON"
		return a
	}
	a.url, a.body, a.secret = s.call.URL, body, e.o.Secrets[c.Campaign+"/"+c.Step]
	a.host = serviceOf(a.url)
	return a
}

// serviceOf is the host of an address that was checked when it was written.
func serviceOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// post makes the calls at once, each once.
func (e *Engine) post(ctx context.Context, asked []*asking) {
	client := newCallClient()
	defer client.HTTPClient.CloseIdleConnections()
	var wg sync.WaitGroup
	for _, a := range asked {
		if a.state == "" {
			wg.Go(func() { e.postOne(ctx, client, a) })
		}
	}
	wg.Wait()
	e.services.learn(asked, e.o.Wall())
}

func newCallClient() *retryablehttp.Client {
	return &retryablehttp.Client{
		HTTPClient: &http.Client{
			Timeout: callTimeout,
			Transport: &http.Transport{
				Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: callTimeout}).DialContext, TLSHandshakeTimeout: callTimeout,
				MaxIdleConnsPerHost: callsAtOnce, MaxResponseHeaderBytes: 64 << 10, ForceAttemptHTTP2: true,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		RetryMax:     0, // the ledger of calls decides about repeating
		CheckRetry:   func(context.Context, *http.Response, error) (bool, error) { return false, nil },
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
}

// postOne makes one call and says what becomes of it.
func (e *Engine) postOne(ctx context.Context, client *retryablehttp.Client, a *asking) {
	if a.secret == "" {
		a.failed(e.o.Wall(), "this process does not know the secret of the step: is it in the files that it was started with?", longestCall)
		return
	}
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodPost, a.url, a.body)
	if err != nil {
		a.failed(e.o.Wall(), "the address cannot be called", 0)
		return
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "relance")
	req.Header.Set("Idempotency-Key", SendID(a.row.ID))
	req.Header.Set("X-Relance-Signature", signCall(a.secret, e.o.Wall(), a.body))
	resp, err := client.Do(req)
	if err != nil {
		if ctx.Err() != nil { // being stopped: no attempt
			a.state, a.nextAt, a.why = callOpen, a.row.NextAt, ""
			return
		}
		a.silent = true
		a.failed(e.o.Wall(), unreached(err), 0)
		return
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	_ = resp.Body.Close()
	switch {
	case resp.StatusCode >= 200 && resp.StatusCode < 300:
		a.state, a.attempts, a.why = callDone, a.attempts+1, ""
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		a.failed(e.o.Wall(), fmt.Sprintf("it answered %d and points elsewhere: write the final address", resp.StatusCode), 0)
	default:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		a.failed(e.o.Wall(), "it answered "+strconv.Itoa(resp.StatusCode)+" "+http.StatusText(resp.StatusCode), time.Duration(seconds)*time.Second)
	}
}

// failed plans the next attempt, or parks the call.
func (a *asking) failed(wall time.Time, why string, wait time.Duration) {
	a.state, a.why = callOpen, why
	back := longestCall
	if a.attempts < 20 {
		back = min(firstCall<<a.attempts, longestCall)
	}
	a.nextAt = wall.Add(min(max(wait, back), longestCall)).UnixMilli()
	if a.attempts++; a.attempts >= callAttempts {
		a.state, a.nextAt = callParked, 0
		a.why = fmt.Sprintf("given up after %d attempts: %s", a.attempts, why)
	}
}

// unreached says why there was no answer, without addresses.
func unreached(err error) string {
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		return fmt.Sprintf("it gave no answer within %s", callTimeout)
	}
	return "it could not be reached"
}

// signCall makes the value of X-Relance-Signature: the instant and the HMAC-SHA256 of "<instant>.<body>".
func signCall(secret string, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(bytes.Join([][]byte{[]byte(t), body}, []byte(".")))
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// services are the hosts that could not be reached, and until when they are left alone.
type services map[string]time.Time

// shut tells whether a host is left alone at present.
func (s services) shut(host string, wall time.Time) bool { return wall.Before(s[host]) }

// free tells whether a host may be called. One that was left alone long enough gets one call, which finds out for all.
func (s services) free(host string, wall time.Time) bool {
	if s.shut(host, wall) {
		return false
	}
	if _, known := s[host]; known {
		s[host] = wall.Add(quietService)
	}
	return true
}

// learn leaves hosts alone that none of the calls reached.
func (s services) learn(asked []*asking, wall time.Time) {
	for _, a := range asked {
		if a.silent {
			s[a.host] = wall.Add(quietService)
		}
	}
	for _, a := range asked {
		if a.host != "" && !a.silent {
			delete(s, a.host)
		}
	}
}
