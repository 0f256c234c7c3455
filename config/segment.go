package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/relance/relance/segments/rule"
)

// Segment reads one segment that stands in no file: a condition ("bought: {at_least: 3}"), a definition (title and match),
// or a file with that one segment. It may refer to those of known. where names the text in mistakes, id the segment when
// the text does not. The error is Mistakes when the text is wrong.
func Segment(where, id, text string, known rule.File) (*rule.Segment, error) {
	l := &loader{env: func(string) (string, bool) { return "", false }, mask: newMasker(), unset: map[ast.Node]bool{}, typos: map[ast.Node]bool{}}
	doc := l.parse(where, []byte(text))
	var s rule.Spec
	prefix := "" // of the paths of problems, up to where the text begins
	switch {
	case doc == nil:
	case doc.root == nil:
		l.whole(where, "there is nothing", "a condition such as bought: {at_least: 3, within: 90d}")
	default:
		id, prefix = l.segment(doc, id, &s)
	}
	if ms := l.finish(); len(ms) > 0 {
		return nil, ms
	}
	f := rule.File{}
	maps.Copy(f, known)
	f[id] = s
	all, ps := rule.CompileAll(f)
	for _, p := range ps {
		if rest, ours := strings.CutPrefix(p.Path, "$."+id); ours && (rest == "" || strings.HasPrefix(rest, ".")) {
			l.problem(doc, "$"+strings.TrimPrefix(p.Path, prefix), p.Message, p.Want)
		}
	}
	if ms := l.finish(); len(ms) > 0 {
		return nil, ms
	}
	for _, c := range all {
		if c.ID == id {
			return c, nil
		}
	}
	return nil, fmt.Errorf("reading %s: it refers to a segment with mistakes", where)
}

// segment decodes whatever of the three the text is.
func (l *loader) segment(doc *document, id string, s *rule.Spec) (name, prefix string) {
	var keys []string
	switch n := doc.root.(type) {
	case *ast.MappingNode:
		for _, kv := range n.Values {
			keys = append(keys, keyText(kv.Key))
		}
	case *ast.MappingValueNode:
		keys = append(keys, keyText(n.Key))
	}
	conditions := conditionNames()
	switch {
	case slices.Contains(keys, "match"):
		l.decode(doc, s, "a segment")
		return id, "$." + id
	case len(keys) == 1 && !conditions[keys[0]] && definition(doc.root):
		var f rule.File
		l.decode(doc, &f, "a file of segments")
		*s = f[keys[0]]
		return keys[0], "$"
	default:
		l.decode(doc, &s.Match, "a condition")
		return id, "$." + id + ".match"
	}
}

// definition tells whether the only value of a mapping looks like a segment.
func definition(root ast.Node) bool {
	if m, ok := root.(*ast.MappingNode); ok && len(m.Values) == 1 {
		root = m.Values[0]
	}
	kv, ok := root.(*ast.MappingValueNode)
	if !ok {
		return false
	}
	_, match := step(kv.Value, "match")
	return match != nil
}

// conditionNames lists the keys that a condition can have.
func conditionNames() map[string]bool {
	out := map[string]bool{}
	for f := range reflect.TypeFor[rule.Condition]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		out[name] = true
	}
	return out
}
