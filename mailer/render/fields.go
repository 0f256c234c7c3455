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
	known := map[string]bool{}
	for _, p := range paths() {
		for name := range strings.SplitSeq(p, ".") {
			known[name] = true
		}
	}
	for m := range reflect.TypeFor[time.Time]().Methods() {
		known[m.Name] = true
	}
	for f := range reflect.TypeFor[part]().Fields() {
		known[f.Name] = true
	}
	check := func(t *parse.Tree) {
		if t == nil || t.Root == nil {
			return
		}
		walk(reflect.ValueOf(t.Root), func(n parse.Node, names []string) {
			for i, name := range names {
				if known[name] {
					continue
				}
				if i > 0 && names[i-1] == "Event" {
					break // what an event carries is its sender's
				}
				at, _ := t.ErrorContext(n)
				s.problem(at, "there is no field "+name, "one of "+strings.Join(paths(), ", "))
			}
		})
	}
	for _, t := range []*texttemplate.Template{v.subject, v.txt} {
		if t == nil {
			continue
		}
		for _, d := range t.Templates() {
			check(d.Tree)
		}
	}
	for _, d := range v.html.Templates() {
		check(d.Tree)
	}
	return len(s.problems) == before
}

// walk visits every node below v that names fields. By reflection: the tree has some fifteen kinds of node.
func walk(v reflect.Value, visit func(n parse.Node, names []string)) {
	switch v.Kind() {
	case reflect.Interface, reflect.Pointer:
		if v.IsNil() {
			return
		}
		if !v.CanInterface() {
			return
		}
		switch n := v.Interface().(type) {
		case *parse.Tree:
			return
		case *parse.FieldNode:
			visit(n, n.Ident)
		case *parse.VariableNode:
			visit(n, n.Ident[1:])
		case *parse.ChainNode:
			visit(n, n.Field)
		}
		walk(v.Elem(), visit)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				walk(v.Field(i), visit)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			walk(v.Index(i), visit)
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
