// Package rule is what a segment says: the YAML that people write, its check, and the two pure functions that it
// compiles to. It knows no SQL and no clock; the maintainer in segments calls it with a profile and an instant.
package rule

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
)

// File is a file of segments/: immutable id → definition.
type File map[string]Spec

// Spec is one segment as written.
type Spec struct {
	Title string    `yaml:"title,omitempty"`
	Match Condition `yaml:"match"`
}

// Segment is a compiled definition; immutable and safe for concurrent use.
type Segment struct {
	ID    string
	Title string
	spec  Spec
	root  condition
	needs crm.Needs
}

// condition is a node of a compiled definition.
type condition interface {
	// match ignores every fact dated after t.
	match(p *crm.Profile, t crm.Instant) bool
	// next is strictly after t and never later than the first instant at which match flips while the profile
	// stays as it is; it may be early; crm.Never when nothing is to come.
	next(p *crm.Profile, t crm.Instant) crm.Instant
	needs() crm.Needs
	explain(p *crm.Profile, t crm.Instant) Explanation
}

// Validate checks every segment of the file; paths are as goccy/go-yaml writes them ($.win_back.match…).
func (f File) Validate() []fault.Problem {
	var out []fault.Problem
	for _, id := range slices.Sorted(maps.Keys(f)) {
		path := "$." + id
		if strings.ContainsAny(id, ". []'") {
			path = "$.'" + strings.ReplaceAll(id, "'", `\'`) + "'"
		}
		if !validID(id) {
			out = append(out, fault.Problem{
				Path: path, Message: fmt.Sprintf("%q cannot be the id of a segment", id),
				Want: "small letters, digits, - and _, at most 64, beginning with a letter, such as win_back",
			})
			continue
		}
		out = append(out, f[id].Validate(path)...)
	}
	return out
}

func validID(id string) bool { return regexp.MustCompile(`^[a-z][a-z0-9_-]{0,63}$`).MatchString(id) }

// Validate checks one definition that stands at path ("$.win_back") of its file.
func (s Spec) Validate(path string) []fault.Problem {
	c := compiler{}
	c.condition(path+".match", s.Match)
	return c.problems
}

// Compile turns a checked definition into a Segment. The error carries the first problem; Validate gives all.
func Compile(id string, s Spec) (*Segment, error) {
	c := compiler{}
	root := c.condition("$."+id+".match", s.Match)
	if len(c.problems) > 0 {
		p := c.problems[0]
		return nil, fmt.Errorf("compiling segment %s: %s: %s", id, p.Path, p.Message)
	}
	return &Segment{ID: id, Title: s.Title, spec: s, root: root, needs: root.needs()}, nil
}

// Match tells whether the contact is in the segment at t; facts dated after t are ignored.
func (s *Segment) Match(p *crm.Profile, t crm.Instant) bool { return s.root.match(p, t) }

// NextChange is strictly after t and never later than the first instant at which the clock alone flips Match.
// It may be early; crm.Never when nothing is to come.
func (s *Segment) NextChange(p *crm.Profile, t crm.Instant) crm.Instant { return s.root.next(p, t) }

// Needs says what profiles must hold for Match.
func (s *Segment) Needs() crm.Needs { return s.needs }

// Hash is the identity of what the segment says; the title is no part of it.
func (s *Segment) Hash() string {
	text, err := yaml.Marshal(s.spec.Match)
	if err != nil { // strings, lists and mappings of them: there is nothing that could fail
		text = fmt.Appendf(nil, "%#v", s.spec.Match)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Encode writes the definition as it is stored in the database; Decode reads it back.
func (s *Segment) Encode() (string, error) {
	text, err := yaml.Marshal(s.spec)
	if err != nil {
		return "", fmt.Errorf("encoding segment %s: %w", s.ID, err)
	}
	return string(text), nil
}

// Decode compiles a stored definition.
func Decode(id, text string) (*Segment, error) {
	var s Spec
	if err := yaml.UnmarshalWithOptions([]byte(text), &s, yaml.Strict()); err != nil {
		return nil, errors.Join(fmt.Errorf("decoding segment %s", id), err)
	}
	return Compile(id, s)
}
