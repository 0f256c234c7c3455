package render

import (
	"cmp"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
	texttemplate "text/template"

	"github.com/relance/relance/internal/fault"
)

const maxSource = 1 << 20 // bytes of one template file

// Load reads the templates of a folder (sub-folders are not looked into): <name>.<locale>.subject and .html, and .txt,
// which is derived from the html when it is missing. A file whose name begins with "_" is a partial: what it defines
// is known to every template of its kind (_page.html to .html, _page.txt to .txt), or to those of one locale
// (_words.fr.html to those in fr and fr-BE).
//
// Under them lie defaults: a template of which fsys has no file at all is taken from the first that has it, and a
// partial likewise. names are the templates that must exist.
//
// The set holds the templates without a problem. Paths of problems read file:line:column, as far as known.
func Load(fsys fs.FS, names []string, defaults ...fs.FS) (*Set, []fault.Problem) {
	return load(defaultLimits(), append([]fs.FS{fsys}, defaults...), names)
}

func load(l limits, layers []fs.FS, names []string) (*Set, []fault.Problem) {
	set := &Set{families: map[string]family{}, limits: l}
	src := sources{
		partials: map[string]string{}, files: map[string]map[string]*files{}, mentioned: map[string]*mentions{},
		html: map[string]*htmltemplate.Template{}, text: map[string]*texttemplate.Template{},
	}
	for i, fsys := range layers {
		src.add(fsys, i > 0)
	}
	for name, locales := range src.files {
		for _, f := range locales {
			v := src.parse(f)
			if v == nil || !src.try(l, f, v) {
				continue
			}
			if set.families[name] == nil {
				set.families[name] = family{}
			}
			set.families[name][normalise(f.locale)] = v
		}
	}
	for _, name := range names {
		if _, ok := src.files[name]; !ok {
			src.problem(name, "there is no such template", fmt.Sprintf("files %s.<locale>.subject and %s.<locale>.html", name, name))
		}
	}
	slices.SortFunc(src.problems, func(a, b fault.Problem) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Message, b.Message))
	})
	return set, slices.Compact(src.problems) // a mistake in a partial is found once per template
}

// files are the sources of one template in one locale, by extension; their names begin with base.
type files struct {
	base, locale string
	src          map[string]string
	standard     bool // of the layers below: as it comes along
}

// sources collects what the folders hold and what is wrong with it.
type sources struct {
	partials map[string]string            // file name → text
	files    map[string]map[string]*files // name → normalised locale
	problems []fault.Problem

	html      map[string]*htmltemplate.Template // the partials of a locale, parsed
	text      map[string]*texttemplate.Template // of a kind and a locale
	ownParts  bool                              // some partials are the user's
	known     map[string]bool                   // names of fields
	mentioned map[string]*mentions              // file and template → what it names
}

func (s *sources) problem(path, message, want string) {
	s.problems = append(s.problems, fault.Problem{Path: path, Message: message, Want: want})
}

func (s *sources) add(fsys fs.FS, standard bool) {
	if fsys == nil {
		return
	}
	entries, err := fs.ReadDir(fsys, ".")
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		s.problem(".", "the folder cannot be read: "+cause(err), "a readable folder")
		return
	}
	fileName := regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9_-]*)\.([A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*)\.(subject|html|txt)$`)
	upper := s.files // templates found in the layers above
	found := map[string]map[string]*files{}
	for _, e := range entries {
		ext := e.Name()[strings.LastIndexByte(e.Name(), '.')+1:]
		if e.IsDir() || (ext != "subject" && ext != "html" && ext != "txt") {
			continue
		}
		if strings.HasPrefix(e.Name(), "_") {
			if _, ok := s.partials[e.Name()]; !ok {
				s.partials[e.Name()], _ = s.read(fsys, e.Name())
				s.ownParts = s.ownParts || !standard
			}
			continue
		}
		m := fileName.FindStringSubmatch(e.Name())
		if m == nil {
			s.problem(e.Name(), "the file's name is not that of a template", "<name>.<locale>."+ext+", for example win_back.fr."+ext)
			continue
		}
		if _, ok := upper[m[1]]; ok {
			continue
		}
		s.file(fsys, found, m[1], m[2], m[3])
		if f := found[m[1]][normalise(m[2])]; f != nil {
			f.standard = standard
		}
	}
	maps.Copy(upper, found)
}

func (s *sources) file(fsys fs.FS, found map[string]map[string]*files, name, locale, ext string) {
	base := name + "." + locale
	text, ok := s.read(fsys, base+"."+ext)
	if !ok {
		return
	}
	if found[name] == nil {
		found[name] = map[string]*files{}
	}
	key := normalise(locale)
	f := found[name][key]
	if f == nil {
		f = &files{base: base, locale: locale, src: map[string]string{}}
		found[name][key] = f
	}
	if f.base != base {
		s.problem(base+"."+ext, "the locale is spelt in two ways: "+f.locale+" and "+locale, f.base+"."+ext)
		return
	}
	f.src[ext] = text
}

func (s *sources) read(fsys fs.FS, name string) (string, bool) {
	b, err := fs.ReadFile(fsys, name)
	switch {
	case err != nil:
		s.problem(name, "it cannot be read: "+cause(err), "a readable file")
	case len(b) > maxSource:
		s.problem(name, fmt.Sprintf("it has %d bytes", len(b)), fmt.Sprintf("at most %d", maxSource))
	default:
		return strings.TrimPrefix(string(b), "\ufeff"), true
	}
	return "", false
}

func cause(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}

// parse makes a variant of the files, or nil and problems.
func (s *sources) parse(f *files) *variant {
	ok := true
	for _, ext := range []string{"subject", "html"} {
		if _, there := f.src[ext]; !there {
			ok = false
			s.problem(f.base+"."+ext, "the file is missing", "a ."+ext+" beside the other files of "+f.base)
		}
	}
	if !ok {
		return nil
	}
	v := &variant{locale: f.locale}
	var err [3]error
	v.subject, err[0] = s.textOf(f, "subject")
	v.html, err[1] = s.htmlOf(f)
	if _, there := f.src["txt"]; there {
		v.txt, err[2] = s.textOf(f, "txt")
	}
	for i, ext := range []string{"subject", "html", "txt"} {
		if err[i] != nil {
			ok = false
			s.failed(f.base+"."+ext, err[i], "")
		}
	}
	if !ok || !s.fields(v) {
		return nil
	}
	v.uses = s.usedFields(v)
	v.watchLoops()
	return v
}

func (s *sources) textOf(f *files, ext string) (*texttemplate.Template, error) {
	key := ext + " " + normalise(f.locale)
	parts := s.text[key]
	if parts == nil {
		parts = texttemplate.New("").Option("missingkey=zero").Funcs(funcs(f.locale))
		for name, src := range s.partialsOf(ext, f.locale) {
			if _, err := parts.New(name).Parse(src); err != nil {
				return nil, err
			}
		}
		s.text[key] = parts
	}
	t, err := parts.Clone()
	if err != nil {
		return nil, err
	}
	return t.New(f.base + "." + ext).Parse(f.src[ext])
}

func (s *sources) htmlOf(f *files) (*htmltemplate.Template, error) {
	key := normalise(f.locale)
	parts := s.html[key]
	if parts == nil {
		parts = htmltemplate.New("").Option("missingkey=zero").Funcs(funcs(f.locale))
		for name, src := range s.partialsOf("html", f.locale) {
			if _, err := parts.New(name).Parse(src); err != nil {
				return nil, err
			}
		}
		s.html[key] = parts
	}
	t, err := parts.Clone()
	if err != nil {
		return nil, err
	}
	return t.New(f.base + ".html").Parse(f.src["html"])
}

// partialsOf gives those of a kind and locale, in the order in which a later definition replaces an earlier one: those for
// all locales, those of the language, those of the locale itself; each by name.
func (s *sources) partialsOf(ext, locale string) func(yield func(string, string) bool) {
	return func(yield func(string, string) bool) {
		want := normalise(locale)
		language, _, _ := strings.Cut(want, "-")
		var all, ofLanguage, own []string
		for _, n := range slices.Sorted(maps.Keys(s.partials)) {
			stem, ok := strings.CutSuffix(n, "."+ext)
			if !ok {
				continue
			}
			_, of, _ := strings.Cut(stem, ".")
			switch normalise(of) {
			case "":
				all = append(all, n)
			case want:
				own = append(own, n)
			case language:
				ofLanguage = append(ofLanguage, n)
			}
		}
		for _, n := range slices.Concat(all, ofLanguage, own) {
			if !yield(n, s.partials[n]) {
				return
			}
		}
	}
}
