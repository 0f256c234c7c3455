package rule

import (
	"fmt"
	"strings"
	"time"

	"github.com/relance/relance/internal/crm"
)

// registered looks at the contact's first account.
type registered struct {
	is     bool
	older  time.Duration
	within time.Duration
}

func (c *compiler) registered(path string, w Registered) condition {
	r := registered{is: true, older: c.length(path+".older_than", w.OlderThan), within: c.length(path+".within", w.Within)}
	if w.Is != nil {
		r.is = *w.Is
	}
	aged := w.OlderThan != "" || w.Within != ""
	switch {
	case w.Is == nil && !aged:
		c.fail(path, "nothing is asked", "within: 30d, older_than: 30d, or is: true")
	case w.Is != nil && !r.is && aged:
		c.fail(path+".is", "somebody without an account has no date of registration", "is: false alone")
	case r.older > 0 && r.within > 0 && r.older >= r.within:
		c.fail(path+".within", fmt.Sprintf("within %s and older than %s at once: nobody could match", words(r.within), words(r.older)), "within longer than older_than")
	}
	return r
}

func (r registered) match(p *crm.Profile, t crm.Instant) bool {
	at := p.Contact.RegisteredAt
	if at == 0 || at > t {
		return !r.is
	}
	return r.is && ageHolds(at, t, r.older, r.within)
}

func (r registered) next(p *crm.Profile, t crm.Instant) crm.Instant {
	at, _ := r.turn(p, t)
	return at
}

func (r registered) turn(p *crm.Profile, t crm.Instant) (crm.Instant, reason) {
	at := p.Contact.RegisteredAt
	switch {
	case at == 0:
		return crm.Never, reason{}
	case at > t:
		return at, reason{text: "the registration is dated %s", at: at}
	}
	return ageTurns(at, t, r.older, r.within, "the registration becomes %s old")
}

func (r registered) needs() crm.Needs { return crm.Needs{} }

// place compares an attribute of the contact with a list; the clock has no part in it.
type place struct {
	what string
	list []string
	of   func(crm.Contact) string
	same func(have, want string) bool
}

func (c *compiler) country(path string, w List) condition {
	for _, code := range w {
		if len(code) != 2 || strings.ToUpper(code) != code {
			c.fail(path, fmt.Sprintf("%q is no country code", code), "two capital letters (ISO 3166) such as FR")
		}
	}
	if len(w) == 0 {
		c.fail(path, "the list is empty", "one country code or more, such as [FR, BE]")
	}
	return place{"country", w, func(k crm.Contact) string { return k.Country }, func(have, want string) bool { return have == want }}
}

func (c *compiler) locale(path string, w List) condition {
	for _, tag := range w {
		if strings.Trim(tag, "-_ ") == "" || len(tag) > 35 {
			c.fail(path, fmt.Sprintf("%q is no language", tag), "a language such as fr, or with its country: fr-BE")
		}
	}
	if len(w) == 0 {
		c.fail(path, "the list is empty", "one language or more, such as [fr, nl]")
	}
	return place{"locale", w, func(k crm.Contact) string { return k.Locale }, sameLocale}
}

// sameLocale: fr holds for fr, fr-FR and fr_BE; fr-BE for itself alone.
func sameLocale(have, want string) bool {
	norm := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, "_", "-")) }
	have, want = norm(have), norm(want)
	return have == want || strings.HasPrefix(have, want+"-")
}

func (l place) match(p *crm.Profile, _ crm.Instant) bool {
	have := l.of(p.Contact)
	for _, want := range l.list {
		if have != "" && l.same(have, want) {
			return true
		}
	}
	return false
}

func (l place) next(*crm.Profile, crm.Instant) crm.Instant { return crm.Never }
func (l place) needs() crm.Needs                           { return crm.Needs{} }
