// Package render fills in the mail templates: <name>.<locale>.{subject,html,txt}. Everything that can be wrong with a
// template is found when it is loaded (it is parsed and tried on sample data, on gaps and on nothing), so that a mail does
// not fail at the moment of sending for a value that a contact happens not to have.
package render

import (
	"errors"
	"fmt"
	htmltemplate "html/template"
	"slices"
	"strings"
	texttemplate "text/template"
	"time"

	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/mailer"
)

// Set holds sound templates only; it implements mailer.Renderer and is safe for concurrent use.
type Set struct {
	families map[string]family // by template name
	limits   limits
}

// family is one template in all its locales, keyed by normalised locale ("fr-be").
type family map[string]*variant

// variant is one template in one locale.
type variant struct {
	locale  string // as the file name spells it
	subject *texttemplate.Template
	html    *htmltemplate.Template
	txt     *texttemplate.Template // nil: derived from the html
	size    sizes
	uses    map[string]bool // names of fields that it comes across
}

// sizes are those of a variant's parts in bytes when it was tried: buffers begin with them.
type sizes struct{ subject, html, txt int }

// limits bound one filling-in.
type limits struct {
	size int // bytes of each part
	time time.Duration
}

func defaultLimits() limits { return limits{size: 1 << 20, time: 2 * time.Second} }

var _ mailer.Renderer = (*Set)(nil)

// Names lists the templates, sorted.
func (s *Set) Names() []string {
	names := make([]string, 0, len(s.families))
	for n := range s.families {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Locale picks the template's locale for a contact's: the same ("fr-BE"), a wider one ("fr"), another of the same
// language, else the first in alphabetical order. "" when there is no such template.
func (s *Set) Locale(template, contactLocale string) string {
	f := s.families[template]
	want := normalise(contactLocale)
	language, _, _ := strings.Cut(want, "-")
	for want != "" {
		if v, ok := f[want]; ok {
			return v.locale
		}
		i := strings.LastIndexByte(want, '-')
		want = want[:max(i, 0)]
	}
	keys := f.keys()
	for _, k := range keys {
		if l, _, _ := strings.Cut(k, "-"); l == language {
			return f[k].locale
		}
	}
	if len(keys) == 0 {
		return ""
	}
	return f[keys[0]].locale
}

func (f family) keys() []string {
	keys := make([]string, 0, len(f))
	for k := range f {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// normalise makes "fr_BE.UTF-8" and "FR-be" both "fr-be".
func normalise(locale string) string {
	locale, _, _ = strings.Cut(strings.TrimSpace(locale), ".")
	return strings.ToLower(strings.ReplaceAll(locale, "_", "-"))
}

// Render fills in a template for one person. d.Locale is set to the variant's. Errors: Operator when the template or
// the locale does not exist, Reject when it cannot be filled in with these data, Retry when it ran out of time. They
// name the place in the template, never a value.
func (s *Set) Render(template, locale string, d mailer.Data) (mailer.Rendered, error) {
	op := "rendering template " + template
	v, ok := s.families[template][normalise(locale)]
	if !ok {
		err := fault.New(fault.Operator, op, fmt.Errorf("there is no variant %q", locale))
		err.Hint = "Put the files back or run `relance check`."
		return mailer.Rendered{}, err
	}
	r, err := s.limits.run(v, d)
	switch {
	case err == nil:
		return r, nil
	case errors.Is(err, errTime):
		return mailer.Rendered{}, fault.New(fault.Retry, op, err)
	case errors.Is(err, errSize):
		return mailer.Rendered{}, fault.New(fault.Reject, op, err)
	}
	at, _ := position(err)
	if at == "" {
		at = template
	}
	return mailer.Rendered{}, fault.New(fault.Reject, op, fmt.Errorf("it fails at %s", at))
}

// fill executes the three parts.
func (v *variant) fill(d mailer.Data, w *sink) (mailer.Rendered, error) {
	d.Locale = v.locale
	out := mailer.Rendered{Locale: v.locale}
	subject, err := w.part(v.size.subject, func() error { return v.subject.Execute(w, d) })
	if err != nil {
		return out, err
	}
	out.Subject = oneLine(subject)
	html, err := w.part(v.size.html, func() error { return v.html.Execute(w, d) })
	if err != nil {
		return out, err
	}
	out.HTML = trim(html)
	if v.txt == nil {
		out.Text = fromHTML(out.HTML)
		return out, nil
	}
	text, err := w.part(v.size.txt, func() error { return v.txt.Execute(w, d) })
	if err != nil {
		return out, err
	}
	out.Text = tidy(text)
	return out, nil
}
