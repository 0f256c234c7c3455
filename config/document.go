package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// document is one YAML file as parsed: aliases replaced by what they stand for, ${VAR} by its value.
type document struct {
	name  string
	lines []string
	root  ast.Node // nil when the file holds nothing
}

// maxNodes bounds a file after its aliases are replaced: a few lines of aliases can stand for billions of nodes.
const maxNodes = 100_000

// parse reads a file's text. It reports what is wrong and then gives nil.
func (l *loader) parse(name string, data []byte) *document {
	doc := &document{name: name, lines: strings.Split(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n")}
	file, err := parseYAML(data)
	if err != nil {
		l.syntax(doc, err)
		return nil
	}
	var bodies []ast.Node
	for _, d := range file.Docs {
		if d.Body != nil {
			bodies = append(bodies, d.Body)
		}
	}
	if len(bodies) > 1 {
		l.at(doc, bodies[1], "a second YAML document begins here", "one document per file, without ---")
	}
	if len(bodies) == 0 {
		return doc
	}
	r := &resolver{l: l, doc: doc, anchors: map[string]anchor{}}
	root, size := r.resolve(bodies[0])
	if size > maxNodes {
		l.at(doc, bodies[0], "with its aliases written out, this file is too large", fmt.Sprintf("at most %d values", maxNodes))
		return nil
	}
	doc.root = root
	return doc
}

// parseYAML turns a panic of the parser, which has been seen on odd input, into an error. Duplicate keys are let
// through here and reported with everything else by the decoder.
func parseYAML(data []byte) (file *ast.File, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("the YAML parser cannot read this file")
		}
	}()
	return parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
}

func (l *loader) syntax(doc *document, err error) {
	var ye yaml.Error
	if errors.As(err, &ye) && ye.GetToken() != nil {
		l.atToken(doc, ye.GetToken(), ye.GetMessage(), "valid YAML: check quotes, brackets and indentation (spaces, no tabs) here and on the line above")
		return
	}
	l.whole(doc.name, err.Error(), "valid YAML")
}

type anchor struct {
	node ast.Node
	size int
}

// resolver walks the tree as written, once.
type resolver struct {
	l       *loader
	doc     *document
	anchors map[string]anchor
}

// resolve gives the node that stands for n and the number of values in it, aliases written out.
func (r *resolver) resolve(n ast.Node) (ast.Node, int) {
	switch n := n.(type) {
	case *ast.AnchorNode:
		v, size := r.resolve(n.Value)
		r.anchors[n.Name.GetToken().Value] = anchor{v, size}
		return v, size
	case *ast.AliasNode:
		a, ok := r.anchors[n.Value.GetToken().Value]
		if !ok {
			r.l.at(r.doc, n, "this alias names no anchor above it", "an &anchor written earlier in the same file")
			return ast.Null(n.GetToken()), 1
		}
		return a.node, a.size
	case *ast.TagNode:
		if !strings.HasPrefix(n.GetToken().Value, "!!") {
			r.l.at(r.doc, n, "tags are not used in these files", "the value without "+n.GetToken().Value)
		}
		return r.resolve(n.Value)
	case *ast.MappingNode:
		size := 1
		for _, kv := range n.Values {
			size += r.pair(kv)
		}
		return n, size
	case *ast.MappingValueNode:
		return n, 1 + r.pair(n)
	case *ast.SequenceNode:
		size := 1
		for i, v := range n.Values {
			var s int
			n.Values[i], s = r.resolve(v)
			size = min(size+s, maxNodes+1)
		}
		return n, size
	case *ast.StringNode:
		n.Value = r.expand(n, n.Value)
	case *ast.LiteralNode:
		n.Value.Value = r.expand(n, n.Value.Value)
	}
	return n, 1
}

func (r *resolver) pair(kv *ast.MappingValueNode) int {
	var size int
	kv.Value, size = r.resolve(kv.Value)
	for _, s := range scalarTexts(kv.Value) {
		if isSecretValue(keyText(kv.Key), s) {
			r.l.mask.hide(s)
		}
	}
	return min(size, maxNodes+1)
}

func (r *resolver) expand(n ast.Node, s string) string {
	out, used, missing, err := expand(s, r.l.env)
	if err != nil {
		r.l.at(r.doc, n, err.Error(), "${NAME}, or $${ for the characters ${ themselves")
		return s
	}
	for _, v := range used {
		r.l.mask.hide(v)
	}
	for _, name := range missing {
		r.l.at(r.doc, n, "the environment variable "+name+" is not set", "set it, for example as "+name+"=… in "+envFile+" beside "+mainFile)
		r.l.unset[n] = true
	}
	return out
}

// has tells whether the document has a top-level key, empty or not.
func (d *document) has(key string) bool {
	switch n := d.root.(type) {
	case *ast.MappingNode:
		for _, kv := range n.Values {
			if keyText(kv.Key) == key {
				return true
			}
		}
	case *ast.MappingValueNode:
		return keyText(n.Key) == key
	}
	return false
}

// keyText is a mapping key as written.
func keyText(k ast.MapKeyNode) string {
	if s, ok := k.(*ast.StringNode); ok {
		return s.Value
	}
	return k.GetToken().Value
}

// scalarText is the text of a scalar as written, "" for null and for anything that is no scalar.
func scalarText(n ast.Node) string {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value
	case *ast.LiteralNode:
		return n.Value.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value
	}
	return ""
}

// scalarTexts are the texts of a scalar, or of the scalars in a list.
func scalarTexts(n ast.Node) []string {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		return []string{scalarText(n)}
	}
	var out []string
	for _, v := range list.Values {
		out = append(out, scalarText(v))
	}
	return out
}

// startOf is the first token of a node: a mapping's own token is the colon of its first pair.
func startOf(n ast.Node) *token.Token {
	switch n := n.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return n.Values[0].Key.GetToken()
		}
	case *ast.MappingValueNode:
		return n.Key.GetToken()
	}
	return n.GetToken()
}
