package render

import (
	"errors"
	"fmt"
	"strings"
	texttemplate "text/template"
	"text/template/parse"
	"time"

	"github.com/relance/relance/mailer"
)

var (
	errTime = errors.New("it takes too long")
	errSize = errors.New("the result is too big")
)

// run fills in v within the limits.
func (l limits) run(v *variant, d mailer.Data) (out mailer.Rendered, err error) {
	defer func() {
		if p := recover(); p != nil {
			out, err = mailer.Rendered{}, errors.New("a function panicked") // the panic's text may hold data
		}
	}()
	return v.fill(d, &sink{max: l.size, limit: l.time, end: time.Now().Add(l.time)})
}

// sink refuses to grow beyond max and to go on after end. A template cannot be interrupted from outside: it is stopped
// at its next write, and there is one in every turn of a loop (see watchLoops).
type sink struct {
	strings.Builder

	max    int
	limit  time.Duration
	end    time.Time
	writes int
}

const writesPerLook = 64 // at the clock

func (w *sink) Write(p []byte) (int, error) {
	if w.writes++; w.writes%writesPerLook == 0 && time.Now().After(w.end) {
		return 0, fmt.Errorf("%w (%s at most)", errTime, w.limit)
	}
	if w.Len()+len(p) > w.max {
		return 0, fmt.Errorf("%w (%d bytes at most)", errSize, w.max)
	}
	return w.Builder.Write(p)
}

// WriteString is what io.WriteString prefers; without it the embedded builder's would go past the limits.
func (w *sink) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

// part runs one template, whose result is of about the size, and gives what it wrote.
func (w *sink) part(size int, execute func() error) (string, error) {
	w.Reset()
	w.Grow(min(size+size/8, w.max))
	if err := execute(); err != nil {
		return "", err
	}
	return w.String(), nil
}

// watchLoops puts an empty text, and so a write, at the beginning of each loop of the variant.
func (v *variant) watchLoops() {
	for _, t := range []*texttemplate.Template{v.subject, v.txt} {
		if t == nil {
			continue
		}
		for _, d := range t.Templates() {
			watch(d.Tree)
		}
	}
	for _, d := range v.html.Templates() {
		watch(d.Tree)
	}
}

func watch(t *parse.Tree) {
	if t != nil {
		watchList(t.Root)
	}
}

func watchList(l *parse.ListNode) {
	if l == nil {
		return
	}
	for _, n := range l.Nodes {
		switch n := n.(type) {
		case *parse.IfNode:
			watchList(n.List)
			watchList(n.ElseList)
		case *parse.WithNode:
			watchList(n.List)
			watchList(n.ElseList)
		case *parse.RangeNode:
			watchList(n.List)
			watchList(n.ElseList)
			n.List.Nodes = append([]parse.Node{&parse.TextNode{NodeType: parse.NodeText, Pos: n.Pos}}, n.List.Nodes...)
		}
	}
}
