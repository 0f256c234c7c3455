package mailer

import (
	"errors"
	"net/mail"
	"regexp"
	"strings"
	"unicode"
)

// OneLine makes a text fit to be the value of a header: no control character can begin a header of its own.
func OneLine(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD")))
}

// Deliverable tells whether the recipient's address is one, before any provider is asked: providers block whoever sends them
// many that are none. The error does not name it.
func (m Mail) Deliverable() error {
	a, err := mail.ParseAddress(m.ToEmail)
	if err != nil || a.Address != m.ToEmail || len(m.ToEmail) > 320 || strings.ContainsFunc(m.ToEmail, unicode.IsControl) {
		return errors.New("the recipient's address is none")
	}
	return nil
}

// Discreet keeps the words of a provider's message that are surely not personal: providers like to quote addresses. What is
// not a simple word or a short number, or is a word of the recipient's name or address, of the subject or of a secret,
// becomes "…".
func (m Mail) Discreet(message string, secrets ...string) string {
	private := map[string]bool{}
	split := func(r rune) bool { return !unicode.IsLetter(r) }
	for _, s := range append(secrets, m.ToName, m.ToEmail, m.Subject) {
		for _, w := range strings.FieldsFunc(strings.ToLower(s), split) {
			private[w] = true
		}
	}
	word := regexp.MustCompile(`^[A-Za-z][a-zA-Z'._-]*$|^[0-9]{1,4}$|^[245]\.[0-9]{1,3}\.[0-9]{1,3}$`)
	var out []string
	for w := range strings.FieldsSeq(message) {
		ok := word.MatchString(strings.Trim(w, `.,:;!?()`))
		for _, part := range strings.FieldsFunc(strings.ToLower(w), split) {
			ok = ok && !private[part]
		}
		if !ok {
			w = "…"
		}
		if w != "…" || len(out) == 0 || out[len(out)-1] != "…" {
			out = append(out, w)
		}
	}
	s := strings.TrimSuffix(strings.Join(out, " "), ".")
	if len(s) > 160 {
		s = strings.ToValidUTF8(s[:160], "") + "…"
	}
	return s
}
