package mailer

import (
	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// UnmarshalYAML takes a bare length of time or a mapping.
func (w *WaitSpec) UnmarshalYAML(n ast.Node) error {
	type plain WaitSpec
	return bareOr(n, &w.For, (*plain)(w))
}

// UnmarshalYAML takes a bare name or a mapping.
func (e *EventSpec) UnmarshalYAML(n ast.Node) error {
	type plain EventSpec
	return bareOr(n, &e.Name, (*plain)(e))
}

// bareOr decodes a scalar into bare and anything else into whole, which refuses what it does not know.
func bareOr(n ast.Node, bare *string, whole any) error {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return yaml.NodeToValue(n, whole, yaml.Strict())
	}
	return yaml.NodeToValue(n, bare)
}
