package render

import (
	"reflect"
	"slices"
	"text/template/parse"
)

// Uses tells whether a template shows a field of the data ("Picks") in one of its locales: what no template of a batch shows
// need not be found out. It may say yes for a field of the same name further down.
func (s *Set) Uses(template, field string) bool {
	for _, v := range s.families[template] {
		if v.uses[field] {
			return true
		}
	}
	return false
}

// usedFields are the names that a variant comes across, its partials included as far as they are called.
func (v *variant) usedFields() map[string]bool {
	used := map[string]bool{}
	reach(v.subject.Name(), func(name string) *parse.Tree {
		if t := v.subject.Lookup(name); t != nil {
			return t.Tree
		}
		return nil
	}, used)
	reach(v.html.Name(), func(name string) *parse.Tree {
		if t := v.html.Lookup(name); t != nil {
			return t.Tree
		}
		return nil
	}, used)
	if v.txt != nil {
		reach(v.txt.Name(), func(name string) *parse.Tree {
			if t := v.txt.Lookup(name); t != nil {
				return t.Tree
			}
			return nil
		}, used)
	}
	return used
}

// reach notes the fields of a template and of those that it calls.
func reach(name string, tree func(string) *parse.Tree, used map[string]bool) {
	seen := map[string]bool{}
	for open := []string{name}; len(open) > 0; {
		name, open = open[len(open)-1], open[:len(open)-1]
		t := tree(name)
		if seen[name] || t == nil || t.Root == nil {
			continue
		}
		seen[name] = true
		walk(reflect.ValueOf(t.Root), func(_ parse.Node, names []string) {
			for _, n := range names {
				used[n] = true
			}
		})
		open = slices.AppendSeq(open, called(reflect.ValueOf(t.Root)))
	}
}

// called lists the templates that nodes call.
func called(v reflect.Value) func(yield func(string) bool) {
	return func(yield func(string) bool) { calls(v, yield) }
}

func calls(v reflect.Value, yield func(string) bool) bool {
	switch v.Kind() {
	case reflect.Interface, reflect.Pointer:
		if v.IsNil() || !v.CanInterface() {
			return true
		}
		switch n := v.Interface().(type) {
		case *parse.Tree:
			return true
		case *parse.TemplateNode:
			return yield(n.Name)
		}
		return calls(v.Elem(), yield)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && !calls(v.Field(i), yield) {
				return false
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			if !calls(v.Index(i), yield) {
				return false
			}
		}
	default:
	}
	return true
}
