package render

import (
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/relance/relance/internal/fault"
)

// try fills in the variant with each trial's data; every mistake becomes a problem.
func (s *sources) try(l limits, f *files, v *variant) bool {
	before := len(s.problems)
	seen := map[string]bool{} // the same mistake often shows in several trials: the first is told
	once := func(mistake string) bool {
		told := seen[mistake]
		seen[mistake] = true
		return !told
	}
	if f.standard && !s.ownParts {
		return true // it comes along, and has gone through all this in its own tests
	}
	for _, t := range trials(f.locale) {
		r, err := l.run(v, t.data)
		if err != nil {
			if once(err.Error()) {
				s.failed(f.base, err, t.name)
			}
			if errors.Is(err, errTime) {
				break // the others would take as long
			}
			continue
		}
		v.size = sizes{max(v.size.subject, len(r.Subject)), max(v.size.html, len(r.HTML)), max(v.size.txt, len(r.Text))}
		for _, part := range [...]struct{ ext, text string }{{"subject", r.Subject}, {"html", r.HTML}, {"txt", r.Text}} {
			if strings.TrimSpace(part.text) == "" && once(part.ext) {
				s.problem(f.base+"."+part.ext, "it is empty with "+t.name,
					"some text for every contact: {{with .Contact.FirstName}}…{{else}}…{{end}}")
			}
		}
		if strings.Contains(r.HTML, "ZgotmplZ") && once("unsafe") {
			s.problem(f.base+".html", "a value stands where none is safe (in a script, a style or as a link's scheme)",
				"values in text, in plain attributes and as whole link addresses")
		}
	}
	return len(s.problems) == before
}

// failed turns an error of parsing or of a trial into a problem.
func (s *sources) failed(file string, err error, trial string) {
	at, message := position(err)
	if at == "" {
		at = file
	}
	want := ""
	switch {
	case strings.Contains(message, "nil pointer evaluating"):
		want = "a guard, for not every contact has one: {{with .Cart}}…{{end}}"
	case strings.Contains(message, "can't evaluate field"):
		want = "one of " + strings.Join(paths(), ", ")
	case strings.Contains(message, "ends in a non-text context"):
		message, want = "a tag, a quote, a style or a script is left open", "html whose tags and quotes are closed"
	case strings.Contains(message, `template "word_`):
		want = "the words of the shared parts in this language: copy _words.en.html and _words.en.txt, see docs/templates.md"
	case strings.Contains(message, "not defined"):
		want = "a function or template that exists; functions are " + strings.Join(slices.Sorted(maps.Keys(funcs(""))), ", ") + " and those of Go's text/template"
	case strings.Contains(message, "index out of range"), strings.Contains(message, "error calling index"):
		want = "{{range}} or a guard: a list may be empty"
	case errors.Is(err, errTime), errors.Is(err, errSize):
		want = "a template without endless repetition"
	}
	if trial != "" {
		message += " (with " + trial + ")"
	}
	s.problem(at, message, want)
}

// position takes an error of text/template or html/template apart: "win_back.fr.html:12:5" and what is wrong there.
func position(err error) (at, message string) {
	re := regexp.MustCompile(`^(?:html/template|template): ?([^:\s]+\.[^:\s]+(?::\d+){0,2}): (.*)`)
	message = strings.Join(strings.Fields(err.Error()), " ")
	if m := re.FindStringSubmatch(message); m != nil {
		at, message = m[1], m[2]
	}
	if i := strings.Index(message, " at <"); i > 0 && strings.HasPrefix(message, "executing ") {
		message = message[i+len(" at "):]
	}
	return at, strings.ReplaceAll(message, "mailer.", "")
}

// CheckMarketing says what a template lacks that every marketing mail must carry, in each of its locales and in both of
// its parts: the unsubscribe link and the sender's postal address. Config calls it for the templates of marketing campaigns.
func (s *Set) CheckMarketing(template string) []fault.Problem {
	var out []fault.Problem
	for _, key := range s.families[template].keys() {
		v := s.families[template][key]
		d := Sample(v.locale)
		r, err := s.limits.run(v, d)
		if err != nil {
			continue // cannot be: it was tried at load
		}
		for _, part := range [...]struct{ ext, text string }{{"html", r.HTML}, {"txt", r.Text}} {
			if part.ext == "txt" && v.txt == nil {
				continue // derived from the html
			}
			file := template + "." + v.locale + "." + part.ext
			if !strings.Contains(part.text, d.Unsubscribe) {
				out = append(out, fault.Problem{
					Path: file, Message: "it has no unsubscribe link",
					Want: map[string]string{"html": `{{with .Unsubscribe}}<a href="{{.}}">…</a>{{end}}`, "txt": "{{with .Unsubscribe}}…: {{.}}{{end}}"}[part.ext],
				})
			}
			if !strings.Contains(part.text, lines(d.Sender.PostalAddress)[0]) {
				out = append(out, fault.Problem{
					Path: file, Message: "it does not show the sender's postal address",
					Want: map[string]string{"html": "{{range lines .Sender.PostalAddress}}{{.}}<br>{{end}}", "txt": "{{.Sender.PostalAddress}}"}[part.ext],
				})
			}
		}
	}
	return out
}
