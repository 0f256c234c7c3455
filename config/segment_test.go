package config

import (
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/invopop/jsonschema"

	"github.com/relance/relance/segments/rule"
)

// known are the segments that examples refer to.
func known() rule.File {
	yes := true
	f := rule.File{}
	for _, id := range []string{"vip", "loyal"} {
		f[id] = rule.Spec{Match: rule.Condition{Registered: &rule.Registered{Is: &yes}}}
	}
	return f
}

// Editors show a description for every key of the grammar, and examples for every condition; each example is right.
func TestEveryKeyOfASegmentIsExplainedToEditors(t *testing.T) {
	t.Parallel()
	text, err := Schema("segments")
	if err != nil {
		t.Fatal(err)
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	for name, def := range s.Definitions {
		for _, alt := range def.AnyOf {
			if alt.Properties != nil {
				def = alt
			}
		}
		if def.Properties == nil || name == "File" {
			continue
		}
		for p := def.Properties.Oldest(); p != nil; p = p.Next() {
			if p.Value.Description == "" {
				t.Errorf("%s.%s says nothing", name, p.Key)
			}
			if name == "Condition" && len(p.Value.Examples) == 0 && p.Key != "contactable" && p.Key != "bounced" {
				t.Errorf("%s has no example", p.Key)
			}
		}
	}
	fields := conditionNames()
	for key, w := range conditionWords() {
		if !fields[key] {
			t.Errorf("%s is no condition any more", key)
		}
		for _, x := range w.examples {
			example(t, map[string]any{key: x})
		}
	}
}

func example(t *testing.T, condition map[string]any) {
	t.Helper()
	text, err := yaml.Marshal(condition)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Segment("example", "example", string(text), known()); err != nil {
		t.Errorf("%s%v", text, err)
	}
}

func TestASegmentOutsideOfTheFiles(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"condition":  "bought: {at_least: 3, within: 90d}",
		"definition": "title: Three\nmatch:\n  all:\n    - segment: vip\n    - bought: {at_least: 3}",
		"file":       "three:\n  title: Three\n  match: {bought: {at_least: 3}}",
		"itself":     "not: {segment: vip}",
	} {
		if s, err := Segment("here", "try", text, known()); err != nil || s == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for text, want := range map[string]string{
		"bougth: {at_least: 3}":                           "here:1:1: ",
		"all:\n  - country: FR\n  - bought: {at_last: 3}": "here:3:14: ",
		"match:\n  bought: {within: 3}":                   "here:2:20: ",
		"three:\n  match:\n    segment: nobody":           "here:3:14: there is no segment",
		"":                                                "here: there is nothing",
		"[":                                               "here:1:1: ",
		"share: {percent: 200, key: spring}":              "here:1:18: ",
		"try: {match: {not: {segment: try}}}":             "circle",
		"bought: {at_least: 3}\ncountry: FR":              "side by side",
		"bought: {at_least: ${SECRET}}":                   "SECRET",
	} {
		_, err := Segment("here", "try", text, known())
		ms, ok := errors.AsType[Mistakes](err)
		if !ok || len(ms) == 0 || !strings.Contains(ms.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Every block of YAML in the documentation is right: as a file, or line by line.
func TestTheDocumentedSegmentsAreRight(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/segments.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "```yaml\n")[1:]
	shown := map[string]bool{}
	for _, b := range blocks {
		b, _, _ = strings.Cut(b, "```")
		for key := range conditionNames() {
			shown[key] = shown[key] || strings.Contains(b, key+":")
		}
		if wholeFile(b) {
			continue
		}
		for line := range strings.SplitSeq(strings.TrimSpace(b), "\n") {
			if _, err := Segment("docs/segments.md", "example", line, known()); err != nil {
				t.Errorf("%v", err)
			}
		}
	}
	for key := range conditionNames() {
		if !shown[key] {
			t.Errorf("docs/segments.md has no example of %s", key)
		}
	}
}

func wholeFile(text string) bool {
	f := rule.File{}
	d := &decoder{l: &loader{env: func(string) (string, bool) { return "", false }, mask: newMasker(), unset: map[ast.Node]bool{}, typos: map[ast.Node]bool{}}}
	if d.doc = d.l.parse("block", []byte(text)); d.doc == nil {
		return false
	}
	d.into(d.doc.root, reflect.ValueOf(&f).Elem(), "block")
	if len(d.l.finish()) > 0 || len(f) == 0 {
		return false
	}
	for id, s := range known() {
		if _, own := f[id]; !own {
			f[id] = s
		}
	}
	return len(f.Validate()) == 0
}
