package render

import (
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
func (s *sources) usedFields(v *variant) map[string]bool {
	used := map[string]bool{}
	s.reach(v.subject.Name(), func(name string) *parse.Tree {
		if t := v.subject.Lookup(name); t != nil {
			return t.Tree
		}
		return nil
	}, used)
	s.reach(v.html.Name(), func(name string) *parse.Tree {
		if t := v.html.Lookup(name); t != nil {
			return t.Tree
		}
		return nil
	}, used)
	if v.txt != nil {
		s.reach(v.txt.Name(), func(name string) *parse.Tree {
			if t := v.txt.Lookup(name); t != nil {
				return t.Tree
			}
			return nil
		}, used)
	}
	return used
}

// reach notes the fields of a template and of those that it calls.
func (s *sources) reach(name string, tree func(string) *parse.Tree, used map[string]bool) {
	seen := map[string]bool{}
	for open := []string{name}; len(open) > 0; {
		name, open = open[len(open)-1], open[:len(open)-1]
		t := tree(name)
		if seen[name] || t == nil || t.Root == nil {
			continue
		}
		seen[name] = true
		m := s.mentionsOf(t)
		for _, f := range m.fields {
			for _, n := range f.names {
				used[n] = true
			}
		}
		open = append(open, m.calls...)
	}
}
