package render

import (
	"fmt"
	htmltemplate "html/template"
	"net/url"
	"reflect"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/relance/relance/mailer"
)

// funcs are what templates may call, besides those of text/template. They are bound to the template's locale.
//
//	date t         the day as people write it: "12 septembre 2026"; "" for the zero time
//	lines s        the non-empty lines of s (a postal address)
//	signature .Sender
//	               name and postal address in lines, the name once
//	initial s      the first letter, upper case; "•" for an empty name
//	first n list   its first n; after n list: those behind them; both may be empty
//	rows n list    the list in rows of n, for a grid
//	link name url  for {{template "button" …}} and the other parts of _parts.html, which show nothing when url is ""
//	say title text for {{template "note" …}} and the like
//	mailto address subject
//	               a link that opens a mail to the address; "" without an address
//	share subject text
//	               a link that opens a mail to whoever the reader chooses: Relance never writes to friends; an error for an
//	               address that only the reader may open
//	public url     the address without utm parameters, to be passed on; an error as above
//	blanks         signs that nobody sees, behind the preheader: mail programs show no more of the mail beside the subject
//	outlook_open, outlook_close
//	               a 600 px table that only Outlook on Windows reads, which knows no max-width
func funcs(locale string) map[string]any {
	language, _, _ := strings.Cut(normalise(locale), "-")
	return map[string]any{
		"date":      func(t time.Time) string { return date(language, t) },
		"lines":     lines,
		"signature": signature,
		"initial":   initial,
		"first":     first,
		"after":     after,
		"rows":      rows,
		"link":      func(name, to string) part { return part{Name: name, URL: to} },
		"say":       func(title, text string) part { return part{Name: title, Text: text} },
		"mailto":    mailto,
		"share":     share,
		"public":    public,
		"blanks":    func() htmltemplate.HTML { return htmltemplate.HTML(strings.Repeat("&#847;&zwnj;&nbsp;", blanks)) }, //nolint:gosec // a constant
		"outlook_open": func() htmltemplate.HTML {
			return `<!--[if mso]><table role="presentation" align="center" width="600" cellpadding="0" cellspacing="0" border="0"><tr><td><![endif]-->`
		},
		"outlook_close": func() htmltemplate.HTML { return `<!--[if mso]></td></tr></table><![endif]-->` },
	}
}

const blanks = 60

// part is what is handed to a shared part of a template that needs more than one thing.
type part struct{ Name, Text, URL string }

func mailto(address, subject string) string {
	if address == "" {
		return ""
	}
	return "mailto:" + url.PathEscape(address) + "?subject=" + escaped(subject)
}

// escaped is a value of a mail link; a space is %20, for mail programs show a + as it is.
func escaped(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

func sliceOf(list any) (reflect.Value, error) {
	v := reflect.ValueOf(list)
	if v.IsValid() && v.Kind() != reflect.Slice {
		return v, fmt.Errorf("%s is no list", v.Type())
	}
	return v, nil
}

func first(n int, list any) (any, error) {
	v, err := sliceOf(list)
	if err != nil || !v.IsValid() {
		return nil, err
	}
	return v.Slice(0, max(0, min(n, v.Len()))).Interface(), nil
}

func after(n int, list any) (any, error) {
	v, err := sliceOf(list)
	if err != nil || !v.IsValid() {
		return nil, err
	}
	return v.Slice(max(0, min(n, v.Len())), v.Len()).Interface(), nil
}

func rows(n int, list any) ([]any, error) {
	v, err := sliceOf(list)
	if err != nil || !v.IsValid() || n < 1 {
		return nil, err
	}
	var out []any
	for i := 0; i < v.Len(); i += n {
		out = append(out, v.Slice(i, min(i+n, v.Len())).Interface())
	}
	return out, nil
}

func date(language string, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	switch language {
	case "fr":
		months := [...]string{"janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre"}
		day := t.Format("2")
		if t.Day() == 1 {
			day = "1er"
		}
		return day + " " + months[t.Month()-1] + t.Format(" 2006")
	case "en":
		return t.Format("2 January 2006")
	default:
		return t.Format(time.DateOnly)
	}
}

func lines(s string) []string {
	var out []string
	for l := range strings.Lines(s) {
		if l = strings.TrimSpace(l); l != "" {
			out = append(out, l)
		}
	}
	return out
}

// signature leaves the name out where the address begins with it.
func signature(s mailer.SenderData) []string {
	address := lines(s.PostalAddress)
	if s.Name == "" || len(address) > 0 && strings.HasPrefix(strings.ToLower(address[0]), strings.ToLower(s.Name)) {
		return address
	}
	return append([]string{s.Name}, address...)
}

func initial(s string) string {
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return string(unicode.ToUpper(r))
		}
		s = s[n:]
	}
	return "•"
}
