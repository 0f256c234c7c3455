package render

import (
	htmltemplate "html/template"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// funcs are what templates may call, besides those of text/template. They are bound to the template's locale.
//
//	date t         the day as people write it: "12 septembre 2026"; "" for the zero time
//	lines s        the non-empty lines of s (a postal address)
//	initial s      the first letter, upper case; "•" for an empty name
//	outlook_open, outlook_close
//	               a 600 px table that only Outlook on Windows reads, which knows no max-width
func funcs(locale string) map[string]any {
	language, _, _ := strings.Cut(normalise(locale), "-")
	return map[string]any{
		"date":    func(t time.Time) string { return date(language, t) },
		"lines":   lines,
		"initial": initial,
		"outlook_open": func() htmltemplate.HTML {
			return `<!--[if mso]><table role="presentation" align="center" width="600" cellpadding="0" cellspacing="0" border="0"><tr><td><![endif]-->`
		},
		"outlook_close": func() htmltemplate.HTML { return `<!--[if mso]></td></tr></table><![endif]-->` },
	}
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
