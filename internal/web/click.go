package web

import (
	"context"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/relance/relance/internal/fault"
)

// Followed is what a redirect link stands for.
type Followed struct {
	Target string // http or https, or a path of this surface
	// Record stores that it was followed, durably before it returns. May be nil.
	Record func(ctx context.Context, v Visit) error
}

// Visit is who followed a link.
type Visit struct {
	UserAgent string
	IP        string
	Head      bool // asked with HEAD
	Machine   bool // no person followed it: HEAD, or a program that fetches ahead
}

const (
	// redirectWithin is how long somebody who clicked waits for our database; what takes longer goes on behind their back.
	redirectWithin = 250 * time.Millisecond
	recordWithin   = 5 * time.Second
	// recordsAtOnce bounds what waits for a database that is away. Beyond it people are led on all the same.
	recordsAtOnce = 512
)

// What became of a click, for relance_clicks_total.
const (
	clickRecorded = "recorded"
	clickLost     = "lost"
	clickHeld     = "too_many"
)

// routeClicks adds the redirect of links.
func (p *public) routeClicks(mux *http.ServeMux) {
	if p.o.Follow == nil {
		return
	}
	// A whole company may click behind one address, and every visitor behind a proxy that is not among the trusted ones.
	p.floods = newLimiter(500, 2000)
	p.clicks = newLimiter(100, 1000)
	p.recording = make(chan struct{}, recordsAtOnce)
	mux.Handle("GET /c/{token}", p.limited(p.floods, http.HandlerFunc(p.click)))
}

// click leads on to where a link of a mail leads. The target comes from the signed token alone: there is no other way to
// be led anywhere from here.
func (p *public) click(w http.ResponseWriter, r *http.Request) {
	f, err := p.o.Follow(r.PathValue("token"))
	if err != nil {
		p.showLanding(w, r, http.StatusNotFound, landingUnknown, Landing{})
		return
	}
	recorded := p.record(r, f)
	wait := time.NewTimer(redirectWithin)
	defer wait.Stop()
	select {
	case <-recorded:
	case <-wait.C:
	}
	h := w.Header()
	h.Set("Location", location(f.Target))
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusFound)
	_ = http.NewResponseController(w).Flush() // the reader is on the way, whatever becomes of the record
	<-recorded
}

// record begins to store a click and says when that is over, which is soon: what it does has an end.
func (p *public) record(r *http.Request, f Followed) <-chan struct{} {
	over := make(chan struct{})
	addr := clientAddr(r, p.o.TrustedProxies)
	outcome := ""
	switch {
	case f.Record == nil:
		close(over)
		return over
	case !p.clicks.allow(addr, time.Now()):
		outcome = clickHeld
	default:
		select {
		case p.recording <- struct{}{}:
		default:
			outcome = clickLost
		}
	}
	if outcome != "" {
		p.o.Metrics.click(outcome)
		close(over)
		return over
	}
	v := Visit{UserAgent: r.UserAgent(), Head: r.Method == http.MethodHead}
	if addr.IsValid() {
		v.IP = addr.String()
	}
	v.Machine = v.Head || fetchedAhead(r.Header)
	// The reader's connection may end with the redirect; the click happened all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), recordWithin)
	go func() {
		defer close(over)
		defer func() { <-p.recording }()
		defer cancel()
		outcome := clickLost // a panic is one too: it must not end the process
		defer func() {
			if cause := recover(); cause != nil {
				p.o.Log.Error("recording a click", zap.Any("panic", cause))
			}
			p.o.Metrics.click(outcome)
		}()
		if err := f.Record(ctx, v); err != nil { // the metric says how many; a line each would be a flood
			p.o.Log.Debug("recording a click", zap.String("class", string(fault.ClassOf(err))), zap.Error(err))
			return
		}
		outcome = clickRecorded
	}()
	return over
}

// fetchedAhead tells requests that a browser or mail program makes before anybody has clicked.
func fetchedAhead(h http.Header) bool {
	for _, name := range [...]string{"Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"} {
		if v := strings.ToLower(h.Get(name)); strings.Contains(v, "prefetch") || strings.Contains(v, "preview") {
			return true
		}
	}
	return false
}

// location writes an address as a header may hold it: ASCII, everything else escaped as browsers do.
func location(target string) string {
	plain := true
	for i := range len(target) {
		plain = plain && target[i] > ' ' && target[i] < 0x7f
	}
	if plain {
		return target
	}
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(target) {
		if c := target[i]; c > ' ' && c < 0x7f {
			b.WriteByte(c)
		} else {
			b.WriteString(string([]byte{'%', hex[c>>4], hex[c&15]}))
		}
	}
	return b.String()
}
