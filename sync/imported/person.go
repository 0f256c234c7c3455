package imported

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"github.com/relance/relance/internal/crm"
)

// person is a row of a list that was understood. Empty texts say nothing.
type person struct {
	norm       string // the address as identity
	customer   crm.Customer
	address    crm.Address
	hasAddress bool
	statement  *crm.Consent
}

// reader understands rows.
type reader struct {
	cols  *columns
	file  string
	zone  *time.Location
	now   time.Time
	order string // of dates; "" while the list is looked at for the first time
	dates *order
}

// mistake is what is wrong with a row: a sentence that repeats no value.
type mistake struct {
	Field   string
	Message string
}

// read understands a row. Until the order of dates is known, dates are only looked at.
func (r *reader) read(line int, row []string) (p person, bad []mistake) {
	say := func(field, format string, args ...any) {
		bad = append(bad, mistake{field, fmt.Sprintf(format, args...)})
	}
	text := func(field string, most int) string {
		s := strings.Join(strings.FieldsFunc(r.cols.cell(row, field), func(c rune) bool { return c < ' ' }), " ")
		if utf8.RuneCountInString(s) > most {
			say(field, "is longer than %d characters", most)
			return ""
		}
		return s
	}
	date := func(field string) time.Time {
		t, err := r.date(line, r.cols.cell(row, field))
		if err != "" {
			say(field, "%s", err)
		}
		return t
	}
	email := text(fieldEmail, 320)
	switch p.norm = crm.NormEmail(email); {
	case email == "":
		say(fieldEmail, "is empty")
	case p.norm == "":
		say(fieldEmail, "is no e-mail address")
	}
	p.customer = crm.Customer{
		Email: email, FirstName: text(fieldFirstName, 255), LastName: text(fieldLastName, 255), Company: text(fieldCompany, 255), Phone: text(fieldPhone, 64),
		Locale: text(fieldLocale, 16), RegisteredAt: crm.At(date(fieldRegistered)), Attributes: r.attributes(row, say),
	}
	if born := date(fieldBirthday); !born.IsZero() {
		p.customer.Birthday = born.Format(time.DateOnly)
	}
	p.address = crm.Address{Line1: text(fieldLine1, 255), Line2: text(fieldLine2, 255), Postcode: text(fieldPostcode, 32), City: text(fieldCity, 255), Region: text(fieldRegion, 128)}
	if name := text(fieldCountry, 100); name != "" {
		if p.address.Country = countryOf(name); p.address.Country == "" {
			say(fieldCountry, "is no country")
		}
	}
	p.hasAddress = p.address != crm.Address{}
	p.statement = r.statement(line, row, email, date(fieldConsentDate), text, say)
	return p, bad
}

func (r *reader) date(line int, s string) (t time.Time, bad string) {
	if noDate(s) {
		return t, ""
	}
	if r.order == "" {
		if !r.dates.see(s, line) {
			return t, "is no date such as 2026-11-20 or 20/11/2026"
		}
		for _, order := range []string{MonthFirst, DayFirst} { // the earlier of what it can mean
			if u, ok := parseDate(s, order, r.zone); ok && (t.IsZero() || u.Before(t)) {
				t = u
			}
		}
		return t, r.future(t)
	}
	t, ok := parseDate(s, r.order, r.zone)
	if !ok {
		return t, "is no date such as 2026-11-20 or 20/11/2026"
	}
	return t, r.future(t)
}

// future leaves a day for zones.
func (r *reader) future(t time.Time) string {
	if t.After(r.now.Add(24 * time.Hour)) {
		return "lies in the future"
	}
	return ""
}

func (r *reader) attributes(row []string, say func(field, format string, args ...any)) map[string]string {
	var out map[string]string
	for field := range r.cols.at {
		name, ok := strings.CutPrefix(field, attributePrefix)
		if v := r.cols.cell(row, field); ok && v != "" {
			if utf8.RuneCountInString(v) > 1000 {
				say(field, "is longer than 1000 characters")
				continue
			}
			if out == nil {
				out = map[string]string{}
			}
			out[name] = v
		}
	}
	return out
}

// statement is what the row says of consent. A box that is not ticked says nothing (B16): only words of leaving withdraw.
func (r *reader) statement(line int, row []string, email string, at time.Time, text func(string, int) string, say func(field, format string, args ...any)) *crm.Consent {
	state, known := consentOf(r.cols.cell(row, fieldConsent))
	if !known {
		say(fieldConsent, "is none of the words for a consent (yes, oui, subscribed…), for its end (unsubscribed, désinscrit…) or for nothing said (no, non, pending…)")
	}
	c := &crm.Consent{Email: email, State: state, At: crm.At(at), Text: text(fieldConsentText, 4000), Source: text(fieldConsentSource, 255), IP: text(fieldConsentIP, 64)}
	if c.IP != "" {
		if _, err := netip.ParseAddr(c.IP); err != nil {
			say(fieldConsentIP, "is no IP address")
		}
	}
	if state == "" {
		return nil
	}
	if state == crm.ConsentGranted && at.IsZero() {
		say(fieldConsentDate, "is missing: a consent counts only with the day on which it was given")
	}
	if c.Source == "" {
		c.Source = fmt.Sprintf("%.200s line %d", r.file, line)
	}
	return c
}

// consentOf reads the word of a consent column: granted, withdrawn, or "" when nothing was said.
func consentOf(word string) (state string, known bool) {
	switch bare(word) {
	case "yes", "y", "true", "1", "oui", "o", "vrai", "x", "granted", "subscribed", "optin", "optedin", "abonne", "abonnee", "inscrit", "inscrite", "accepte", "accord", "confirmed", "confirme", "actif", "active":
		return crm.ConsentGranted, true
	case "withdrawn", "unsubscribed", "optout", "optedout", "desabonne", "desabonnee", "desinscrit", "desinscrite", "retire", "unsub", "refuse":
		return crm.ConsentWithdrawn, true
	case "", "no", "n", "false", "0", "non", "faux", "none", "pending", "enattente", "nonsubscribed", "neversubscribed", "unconfirmed", "nonconfirme", "noninscrit", "cleaned", "null":
		return "", true
	}
	return "", false
}

// countries are the codes of all countries by their bare names in French and English.
//
//nolint:gochecknoglobals // made once, when the first list has a name in it
var countries = sync.OnceValue(func() map[string]string {
	out := map[string]string{}
	for _, a := range "ABCDEFGHIJKLMNOPQRSTUVWXYZ" {
		for _, b := range "ABCDEFGHIJKLMNOPQRSTUVWXYZ" {
			code := string(a) + string(b)
			region, err := language.ParseRegion(code)
			if err != nil || !region.IsCountry() || region.Canonicalize().String() != code { // FX is an old word for FR
				continue
			}
			for _, in := range []language.Tag{language.English, language.French} {
				out[bare(display.Regions(in).Name(region))] = code
			}
			out[bare(code)] = code
		}
	}
	out["uk"], out["usa"], out["etatsunis"], out["hollande"], out["greatbritain"], out["grandebretagne"] = "GB", "US", "US", "NL", "GB", "GB"
	return out
})

func countryOf(name string) string { return countries()[bare(name)] }

// merge lets what a row says replace what is known; what it does not say stays.
func (p person) merge(c *crm.Customer, a *crm.Address) {
	set := func(to *string, v string) {
		if v != "" {
			*to = v
		}
	}
	set(&c.Email, p.customer.Email)
	set(&c.FirstName, p.customer.FirstName)
	set(&c.LastName, p.customer.LastName)
	set(&c.Company, p.customer.Company)
	set(&c.Phone, p.customer.Phone)
	set(&c.Locale, p.customer.Locale)
	set(&c.Birthday, p.customer.Birthday)
	if p.customer.RegisteredAt != 0 {
		c.RegisteredAt = p.customer.RegisteredAt
	}
	for name, v := range p.customer.Attributes {
		if c.Attributes == nil {
			c.Attributes = map[string]string{}
		}
		c.Attributes[name] = v
	}
	if p.hasAddress { // an address is one thing: half of an old one beside half of a new one is nobody's
		*a = p.address
	}
}

func blank(row []string) bool {
	return !slices.ContainsFunc(row, func(s string) bool { return strings.TrimSpace(s) != "" })
}
