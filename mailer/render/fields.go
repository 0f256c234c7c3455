package render

import (
	"reflect"
	"slices"
	"strings"
	texttemplate "text/template"
	"text/template/parse"
	"time"

	"github.com/relance/relance/mailer"
)

// fields finds names that no data have, also in branches that no trial takes.
func (s *sources) fields(v *variant) bool {
	before := len(s.problems)
	for _, t := range v.trees() {
		m := s.mentionsOf(t)
		for _, one := range m.fields {
			for i, name := range one.names {
				if s.knows(name) {
					continue
				}
				if i > 0 && one.names[i-1] == "Event" {
					break // what an event carries is its sender's
				}
				at, _ := m.tree.ErrorContext(one.node)
				s.problem(at, "there is no field "+name, "one of "+strings.Join(paths(), ", "))
			}
		}
	}
	return len(s.problems) == before
}

// knows tells whether there is a field of that name anywhere in what templates see.
func (s *sources) knows(name string) bool {
	if s.known == nil {
		s.known = map[string]bool{}
		for _, p := range paths() {
			for name := range strings.SplitSeq(p, ".") {
				s.known[name] = true
			}
		}
		for m := range reflect.TypeFor[time.Time]().Methods() {
			s.known[m.Name] = true
		}
		for f := range reflect.TypeFor[part]().Fields() {
			s.known[f.Name] = true
		}
	}
	return s.known[name]
}

// trees are all that the variant's files and partials define.
func (v *variant) trees() []*parse.Tree {
	var out []*parse.Tree
	add := func(t *parse.Tree) {
		if t != nil && t.Root != nil {
			out = append(out, t)
		}
	}
	for _, t := range []*texttemplate.Template{v.subject, v.txt} {
		if t != nil {
			for _, d := range t.Templates() {
				add(d.Tree)
			}
		}
	}
	for _, d := range v.html.Templates() {
		add(d.Tree)
	}
	return out
}

// mentions are what a template names: fields, and templates that it calls.
type mentions struct {
	tree   *parse.Tree
	fields []mention
	calls  []string
}

type mention struct {
	node  parse.Node
	names []string
}

// mentionsOf reads a tree; that of a partial once for all templates that have it.
func (s *sources) mentionsOf(t *parse.Tree) *mentions {
	key := t.ParseName + "\x00" + t.Name
	m := s.mentioned[key]
	if m == nil {
		m = &mentions{tree: t}
		m.walk(reflect.ValueOf(t.Root))
		s.mentioned[key] = m
	}
	return m
}

// walk visits every node below v. By reflection: the tree has some fifteen kinds of node.
func (m *mentions) walk(v reflect.Value) {
	switch v.Kind() {
	case reflect.Interface, reflect.Pointer:
		if v.IsNil() || !v.CanInterface() {
			return
		}
		switch n := v.Interface().(type) {
		case *parse.Tree, *parse.TextNode:
			return
		case *parse.FieldNode:
			m.fields = append(m.fields, mention{n, n.Ident})
		case *parse.VariableNode:
			m.fields = append(m.fields, mention{n, n.Ident[1:]})
		case *parse.ChainNode:
			m.fields = append(m.fields, mention{n, n.Field})
		case *parse.TemplateNode:
			m.calls = append(m.calls, n.Name)
		}
		m.walk(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				m.walk(v.Field(i))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			m.walk(v.Index(i))
		}
	default:
	}
}

// paths lists the data's fields as templates write them: .Cart.Lines.Name stands for what {{range .Cart.Lines}} sees.
func paths() []string {
	var out []string
	var add func(prefix string, t reflect.Type)
	add = func(prefix string, t reflect.Type) {
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct || t == reflect.TypeFor[time.Time]() {
			out = append(out, prefix)
			return
		}
		for f := range t.Fields() {
			if f.IsExported() {
				add(prefix+"."+f.Name, f.Type)
			}
		}
	}
	add("", reflect.TypeFor[mailer.Data]())
	slices.Sort(out)
	return out
}
