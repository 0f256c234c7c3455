package rule

import (
	"fmt"
	"strings"

	"github.com/relance/relance/internal/crm"
)

// registered looks at the contact's first account.
type registered struct {
	is  bool
	age aged
}

func (c *compiler) registered(path string, w Registered) condition {
	r := &registered{is: w.Is == nil || *w.Is, age: c.aged(path, w.OlderThan, "", w.Window)}
	timed := w.OlderThan != "" || w.Window != (Window{})
	switch {
	case w.Is == nil && !timed:
		c.fail(path, "nothing is asked", "within: 30d, older_than: 30d, in: this_year, or is: true")
	case !r.is && timed:
		c.fail(path+".is", "somebody without an account has no date of registration", "is: false alone")
	}
	return r
}

func (r *registered) match(p *crm.Profile, t crm.Instant) bool {
	at := p.Contact.RegisteredAt
	if at == 0 || at > t {
		return !r.is
	}
	from, to := r.age.span(p, at)
	return r.is && from <= t && t < to
}

func (r *registered) next(p *crm.Profile, t crm.Instant) crm.Instant {
	at, _ := r.turn(p, t)
	return at
}

func (r *registered) turn(p *crm.Profile, t crm.Instant) (crm.Instant, reason) {
	at := p.Contact.RegisteredAt
	switch {
	case at == 0:
		return crm.Never, reason{}
	case at > t:
		return at, reason{text: "the registration is dated %s", at: at}
	}
	return r.age.turn(p, at, t, "the registration")
}

func (r *registered) needs() crm.Needs { return crm.Needs{} }

func (r *registered) explain(p *crm.Profile, t crm.Instant) Explanation {
	at, why := r.turn(p, t)
	value := "no account"
	if p.Contact.RegisteredAt != 0 && p.Contact.RegisteredAt <= t {
		value = "registered at " + stamp(p.Contact.RegisteredAt)
	}
	s := "registered" + r.age.String()
	if !r.is {
		s = "not registered"
	}
	return leaf(s, r.match(p, t), value, at, why)
}

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
