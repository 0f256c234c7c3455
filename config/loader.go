package config

import (
	"path/filepath"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/relance/relance/internal/fault"
)

// loader reads one configuration folder and collects every mistake in it.
type loader struct {
	dir     string // absolute
	env     Env
	mask    *masker
	unset   map[ast.Node]bool // values that lack their variable: one mistake each is enough
	typos   map[ast.Node]bool // mappings with an unknown key
	pending []pending
}

// pending is a mistake before it is masked: secrets become known while files are read.
type pending struct {
	doc          *document
	line, column int
	mistake      Mistake
}

// at reports a mistake at a node.
func (l *loader) at(doc *document, n ast.Node, message, want string) {
	if l.unset[n] {
		return
	}
	l.atToken(doc, startOf(n), message, want)
}

func (l *loader) atToken(doc *document, t *token.Token, message, want string) {
	l.pending = append(l.pending, pending{doc, t.Position.Line, max(t.Position.Column, 1), Mistake{File: doc.name, Message: message, Want: want}})
}

// whole reports a mistake about a file or folder as such.
func (l *loader) whole(name, message, want string) {
	l.pending = append(l.pending, pending{nil, 0, 0, Mistake{File: name, Message: message, Want: want}})
}

// problems places what a package found in its part of a document; prefix is where that part begins ("$.woocommerce").
func (l *loader) problems(doc *document, prefix string, ps []fault.Problem) {
	for _, p := range ps {
		l.problem(doc, prefix+strings.TrimPrefix(p.Path, "$"), p.Message, p.Want)
	}
}

// problem reports a mistake at a YAML path, or at the nearest thing above it that is written.
func (l *loader) problem(doc *document, path, message, want string) {
	if doc == nil {
		l.whole(mainFile, message, want)
		return
	}
	if doc.root == nil {
		l.whole(doc.name, message, want)
		return
	}
	shown, reached := locate(doc.root, path)
	if l.typos[reached] { // what is missing there is what was misspelt
		return
	}
	l.at(doc, shown, message, suggest(message, want))
}

// finish masks and sorts.
func (l *loader) finish() Mistakes {
	var out Mistakes
	for _, p := range l.pending {
		m := p.mistake
		m.Message, m.Want = l.mask.text(m.Message), l.mask.text(m.Want)
		if p.doc != nil {
			m.Line, m.Column = p.line, p.column
			m.Excerpt, m.caret = l.mask.line(p.doc.lines, p.line, p.column)
		}
		out = append(out, m)
	}
	return out.sorted()
}

// path makes a path of a file absolute: relative ones start at the configuration folder.
func (l *loader) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(l.dir, p)
}

// locate walks a YAML path ($.a.b[1].c) as far as the tree goes. It gives a scalar's own node and otherwise the key
// that a value is written under, and how far it came.
func locate(root ast.Node, path string) (shown, reached ast.Node) {
	here, shown := root, root
	way := steps(path)
	for len(way) > 0 {
		key, next, n := child(here, way)
		if next == nil {
			return shown, here
		}
		here, shown, way = next, next, way[n:]
		switch next.(type) {
		case *ast.MappingNode, *ast.MappingValueNode, *ast.SequenceNode, *ast.NullNode:
			if key != nil {
				shown = key
			}
		}
	}
	return shown, here
}

// child finds what the first steps of a way lead to, and how many they are: a key may have dots in it.
func child(here ast.Node, way []string) (key, next ast.Node, taken int) {
	for n := 1; n <= len(way); n++ {
		if key, next = step(here, strings.Join(way[:n], ".")); next != nil {
			return key, next, n
		}
	}
	return nil, nil, 0
}

func step(here ast.Node, step string) (key, next ast.Node) {
	switch n := here.(type) {
	case *ast.MappingNode:
		for _, kv := range n.Values {
			if keyText(kv.Key) == step {
				next, key = kv.Value, kv.Key
			}
		}
	case *ast.MappingValueNode:
		if keyText(n.Key) == step {
			next, key = n.Value, n.Key
		}
	case *ast.SequenceNode:
		if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(n.Values) {
			next = n.Values[i]
		}
	}
	return key, next
}

// steps cuts $.a.'b.c'[1] into a, b.c, 1.
func steps(path string) []string {
	var out []string
	s := strings.TrimPrefix(path, "$")
	for s != "" {
		switch s[0] {
		case '.':
			s = s[1:]
		case '[':
			i, rest, _ := strings.Cut(s[1:], "]")
			out, s = append(out, i), rest
		case '\'':
			k, rest, _ := strings.Cut(s[1:], "'")
			out, s = append(out, k), rest
		default:
			end := strings.IndexAny(s, ".[")
			if end < 0 {
				end = len(s)
			}
			out, s = append(out, s[:end]), s[end:]
		}
	}
	return out
}
