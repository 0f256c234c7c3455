package oracletest_test

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"pgregory.net/rapid"

	"github.com/relance/relance/segments/oracletest"
	"github.com/relance/relance/segments/rule"
	"github.com/relance/relance/segments/rule/ruletest"
)

// fields lists what a definition may say, as paths such as bought.price.at_least.
func fields(path string, typ reflect.Type, out map[string]bool) {
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if typ.Kind() == reflect.Map {
		path, typ = path+"[]", typ.Elem()
	}
	if typ.Kind() != reflect.Struct || typ == reflect.TypeFor[rule.Condition]() && path != "" {
		out[path] = true
		return
	}
	for f := range typ.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case strings.Contains(options, "inline"):
			fields(path, f.Type, out)
		case name != "-" && path == "":
			fields(name, f.Type, out)
		case name != "-":
			fields(path+"."+name, f.Type, out)
		}
	}
}

// said notes what a definition says.
func said(path string, value any, out map[string]bool) {
	m, ok := value.(map[string]any)
	if !ok {
		out[path] = true
		return
	}
	for name, v := range m {
		if strings.HasSuffix(path, ".where") { // properties have names of their own
			said(path+"[]", v, out)
			continue
		}
		said(strings.TrimPrefix(path+"."+name, "."), v, out)
	}
}

// TestEveryConditionIsDrawnAndKnown: what is added to the grammar has to be added to the generators and to the oracle.
func TestEveryConditionIsDrawnAndKnown(t *testing.T) {
	composed := []string{"all", "any", "not", "at_least", "segment", "entered", "left"} // drawn by ruletest.File
	for field := range reflect.TypeFor[rule.Condition]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if !slices.Contains(oracletest.Knows(), name) {
			t.Errorf("the oracle does not know %s", name)
		}
		if !slices.Contains(composed, name) && !slices.Contains(ruletest.Kinds(), name) {
			t.Errorf("%s is never drawn", name)
		}
	}
	drawn := map[string]bool{}
	for _, kind := range ruletest.Kinds() {
		draw := rapid.Custom(func(t *rapid.T) rule.Condition {
			rapid.Bool().Draw(t, "something") // country is always the same, and rapid wants to be asked
			return ruletest.Leaf(t, kind)
		})
		for seed := range 400 {
			text, err := yaml.Marshal(draw.Example(seed))
			if err != nil {
				t.Fatal(err)
			}
			var m map[string]any
			if err := yaml.Unmarshal(text, &m); err != nil {
				t.Fatal(err)
			}
			said("", m, drawn)
		}
	}
	all := map[string]bool{}
	fields("", reflect.TypeFor[rule.Condition](), all)
	for _, path := range slices.Sorted(maps.Keys(all)) {
		kind, _, deep := strings.Cut(path, ".")
		if deep && !drawn[path] && !slices.Contains(composed, kind) {
			t.Errorf("%s is never drawn", path)
		}
	}
}
