package yeartest

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/mailer"
)

// How the provider is.
const (
	moodWell = iota
	moodAway // not a byte reaches it
	moodBusy
	moodRefusing
	moodSilent // takes mails, and does not answer
)

// handedMail is one attempt to hand over a mail, as the provider remembers it.
type handedMail struct {
	mail     mailer.Mail
	at       time.Time
	by       string
	taken    bool   // it goes out
	id       string // of the message; the client may never have been told
	answered error
}

// provider has a memory of its own of what it took.
type provider struct {
	*world
	mu        sync.Mutex
	mails     []*handedMail
	fresh     []*handedMail // since the judge looked
	tries     map[string]int
	mood      int
	moodUntil time.Time
	batches   []mailer.ProviderEvent
	events    int
}

func newProvider(w *world) *provider { return &provider{world: w, tries: map[string]int{}} }

// client is the provider as one process sees it.
type client struct {
	*provider
	by string
}

func (p *provider) as(by string) *client { return &client{p, by} }

// Name implements mailer.Provider.
func (c *client) Name() string { return "year" }

// Real implements mailer.Provider: what it demands of real providers is demanded.
func (c *client) Real() bool { return true }

// Send implements mailer.Provider. Several run at once, so chance is drawn from what the mail is, not from a common source.
func (c *client) Send(_ context.Context, m mailer.Mail) (string, error) {
	p := c.provider
	p.mu.Lock()
	defer p.mu.Unlock()
	key := m.Campaign + " " + m.Step + " " + m.SendID
	p.tries[key]++
	h := &handedMail{mail: m, at: p.now, by: c.by}
	chance := p.chance(key, p.tries[key])
	h.taken, h.answered = p.answer(chance)
	if p.mistake.HandsTwice && chance%5 == 0 && h.taken {
		p.remember(&handedMail{mail: m, at: p.now, by: c.by, taken: true})
	}
	p.remember(h)
	if h.answered == nil {
		return h.id, nil
	}
	return "", h.answered
}

func (p *provider) remember(h *handedMail) {
	h.id = fmt.Sprintf("m%s-%d", h.mail.SendID, len(p.mails))
	p.mails, p.fresh = append(p.mails, h), append(p.fresh, h)
}

func (p *provider) chance(key string, n int) int {
	h := fnv.New64a()
	fmt.Fprint(h, key, n)
	return int(mix(h.Sum64(), p.seed) % 1000)
}

func (p *provider) answer(chance int) (taken bool, err error) {
	if p.now.Before(p.moodUntil) {
		switch p.mood {
		case moodAway:
			return false, fault.New(fault.Retry, "reaching the provider", errors.New("connection refused"))
		case moodBusy:
			return false, &fault.Error{Class: fault.Throttled, Op: "handing over", Err: errors.New("429"), After: 10 * time.Minute}
		case moodRefusing:
			return false, fault.New(fault.Operator, "handing over", errors.New("401"))
		case moodSilent:
			return chance%3 > 0, fault.New(fault.Unknown, "handing over", errors.New("no answer"))
		}
	}
	if p.storm == 0 {
		return true, nil
	}
	switch {
	case chance < 40:
		return true, fault.New(fault.Unknown, "handing over", errors.New("no answer"))
	case chance < 60:
		return false, errors.New("connection reset")
	case chance < 75:
		return false, fault.New(fault.Retry, "reaching the provider", errors.New("connection refused"))
	case chance < 90:
		return false, &fault.Error{Class: fault.Throttled, Op: "handing over", Err: errors.New("429"), After: 2 * time.Minute}
	case chance < 100:
		return false, fault.New(fault.Reject, "handing over", errors.New("400"))
	}
	return true, nil
}

func (p *provider) changesMood() {
	p.mood = 1 + p.pick(4)
	p.moodUntil = p.now.Add(p.span([]time.Duration{20 * time.Minute, 5 * time.Hour, 60 * time.Hour}[p.pick(3)]))
	p.tell("the provider is %s until %s", []string{"well", "away", "busy", "refusing", "silent"}[p.mood], p.moodUntil.Format("01-02 15:04"))
}

// took gives what was handed over since the judge looked, in an order that does not depend on who was first.
func (p *provider) took() []*handedMail {
	p.mu.Lock()
	defer p.mu.Unlock()
	some := p.fresh
	p.fresh = nil
	slices.SortStableFunc(some, func(a, b *handedMail) int { return strings.Compare(a.mail.SendID, b.mail.SendID) })
	return some
}

// marketing lists the mails that carry a link to unsubscribe.
func (p *provider) marketing() []*handedMail {
	var out []*handedMail
	for _, h := range p.mails {
		if h.taken && h.mail.Headers["List-Unsubscribe"] != "" {
			out = append(out, h)
		}
	}
	slices.SortStableFunc(out, func(a, b *handedMail) int { return strings.Compare(a.mail.SendID, b.mail.SendID) })
	return out
}

func tokenOf(header string) string {
	u, err := url.Parse(strings.Trim(header, "<> "))
	if err != nil {
		return ""
	}
	if t := u.Query().Get("t"); t != "" {
		return t
	}
	return u.Path[strings.LastIndexByte(u.Path, '/')+1:]
}
