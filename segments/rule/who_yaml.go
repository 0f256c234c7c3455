package rule

import (
	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// Age is in civil years.
type Age struct {
	AtLeast Bound `yaml:"at_least,omitempty"`
	AtMost  Bound `yaml:"at_most,omitempty"`
}

// Birthday is today, or within some whole days around it; "today" may be written alone.
type Birthday struct {
	Today  bool   `yaml:"today,omitempty"`
	InNext Length `yaml:"in_next,omitempty"`
	InLast Length `yaml:"in_last,omitempty"`
}

// Attribute tests what the shops know of a contact beside what every shop knows.
type Attribute struct {
	Name       string `yaml:"name"`
	Comparison `yaml:",inline"`
}

// Test is a Comparison; a bare value or a list of values is what it is to be.
type Test struct {
	Comparison `yaml:",inline"`
}

// Comparison looks at one text that a shop or a sender wrote: as text, as a number or as a day.
type Comparison struct {
	Is       List   `yaml:"is,omitempty"`
	IsNot    List   `yaml:"is_not,omitempty"`
	AtLeast  Number `yaml:"at_least,omitempty"`
	AtMost   Number `yaml:"at_most,omitempty"`
	Before   string `yaml:"before,omitempty"`
	After    string `yaml:"after,omitempty"`
	Contains string `yaml:"contains,omitempty"`
	Exists   *bool  `yaml:"exists,omitempty"`
}

// Engaged asks whether the contact itself did something, ever or in a window.
type Engaged struct {
	Window `yaml:",inline"`
}

// Did counts events.
type Did struct {
	Event List `yaml:"event"`
	Acts  `yaml:",inline"`
}

// Acts says which events count, and how many are wanted; without a bound one.
type Acts struct {
	Where   map[string]Test `yaml:"where,omitempty"`
	AtLeast Bound           `yaml:"at_least,omitempty"`
	AtMost  Bound           `yaml:"at_most,omitempty"`
	Exactly Bound           `yaml:"exactly,omitempty"`
	Machine bool            `yaml:"machine,omitempty"` // those of machines count, too
	Window  `yaml:",inline"`
}

// UnmarshalYAML takes the word today or a mapping.
func (b *Birthday) UnmarshalYAML(n ast.Node) error {
	if isMapping(n) {
		type plain Birthday
		return yaml.NodeToValue(n, (*plain)(b), yaml.Strict())
	}
	const want = "today, or a mapping with in_next or in_last"
	text, err := scalar(n, want)
	if err == nil && text != "today" {
		err = &yaml.SyntaxError{Message: "expected " + want, Token: firstToken(n)}
	}
	b.Today = true
	return err
}

// UnmarshalYAML takes what it is to be, or a mapping of comparisons.
func (t *Test) UnmarshalYAML(n ast.Node) error {
	if isMapping(n) {
		type plain Test
		return yaml.NodeToValue(n, (*plain)(t), yaml.Strict())
	}
	return t.Is.UnmarshalYAML(n)
}

func isMapping(n ast.Node) bool {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return true
	}
	return false
}
