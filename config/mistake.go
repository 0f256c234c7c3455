package config

import (
	"fmt"
	"slices"
	"strings"
)

// Mistake is one thing that somebody wrote wrongly, with where and what would be right. It holds no secret and
// no address of a person: the excerpt and the texts are masked when it is made.
type Mistake struct {
	File    string `json:"file"`             // relative to the configuration folder
	Line    int    `json:"line"`             // from 1; 0 when the mistake is about the file as a whole
	Column  int    `json:"column"`           // from 1, in characters
	Message string `json:"message"`          // what is wrong
	Want    string `json:"want,omitempty"`   // what would be right
	Excerpt string `json:"source,omitempty"` // the line, secrets masked
	caret   int    // column of the caret in Excerpt
}

// String is what `relance check` prints: file:line:column, the line, a caret, what would be right.
func (m Mistake) String() string {
	var b strings.Builder
	b.WriteString(m.File)
	if m.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", m.Line, m.Column)
	}
	b.WriteString(": " + m.Message)
	gutter := "  "
	if m.Line > 0 {
		number := fmt.Sprintf("%4d", m.Line)
		gutter = strings.Repeat(" ", len(number))
		fmt.Fprintf(&b, "\n%s | %s\n%s | %s^", number, m.Excerpt, gutter, indentLike(m.Excerpt, m.caret))
	}
	if m.Want != "" {
		fmt.Fprintf(&b, "\n%s = %s", gutter, m.Want)
	}
	return b.String()
}

// indentLike is the white space that brings a caret under a column, tabs kept as tabs.
func indentLike(line string, column int) string {
	var b strings.Builder
	for i, r := range []rune(line) {
		if i >= column-1 {
			return b.String()
		}
		if r != '\t' {
			r = ' '
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Mistakes is every mistake found in a configuration, in the order of files and lines. Load returns it as its error.
type Mistakes []Mistake

// Error lists them all.
func (ms Mistakes) Error() string {
	parts := make([]string, 0, len(ms)+1)
	for _, m := range ms {
		parts = append(parts, m.String())
	}
	return strings.Join(parts, "\n\n")
}

func (ms Mistakes) sorted() Mistakes {
	slices.SortStableFunc(ms, func(a, b Mistake) int {
		if c := strings.Compare(fileRank(a.File), fileRank(b.File)); c != 0 {
			return c
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return slices.CompactFunc(ms, func(a, b Mistake) bool { return a == b })
}

// fileRank puts relance.yaml first, then the files in the order of their names.
func fileRank(name string) string {
	if name == mainFile {
		return ""
	}
	return name
}
