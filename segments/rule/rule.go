// Package rule is what a segment says: the YAML that people write, its check, and the two pure functions that it
// compiles to. It knows no SQL and no clock; the maintainer in segments calls it with a profile and an instant.
package rule

import (
	"fmt"
	"regexp"

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
	below map[string]*Segment // what it refers to, by id
	hash  string
	cut   []Cut // that its own conditions compare with
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

func validID(id string) bool { return regexp.MustCompile(`^[a-z][a-z0-9_-]{0,63}$`).MatchString(id) }

// Validate checks one definition that stands at path ("$.win_back") of its file.
func (s Spec) Validate(path string) []fault.Problem {
	c := compiler{}
	c.condition(path+".match", s.Match)
	return c.problems
}

// Compile turns a checked definition into a Segment. The error carries the first problem; Validate gives all. What
// refers to other segments is compiled together with them, by CompileAll.
func Compile(id string, s Spec) (*Segment, error) {
	c := compiler{}
	root := c.condition("$."+id+".match", s.Match)
	if len(c.problems) > 0 {
		return nil, fmt.Errorf("compiling segment %s: %w", id, first(c.problems))
	}
	return newSegment(id, s, root, &c), nil
}

// Match tells whether the contact is in the segment at t; facts dated after t are ignored.
func (s *Segment) Match(p *crm.Profile, t crm.Instant) bool { return s.root.match(s.remembering(p), t) }

// NextChange is strictly after t and never later than the first instant at which the clock alone flips Match.
// It may be early; crm.Never when nothing is to come.
func (s *Segment) NextChange(p *crm.Profile, t crm.Instant) crm.Instant {
	return s.root.next(s.remembering(p), t)
}

// Needs says what profiles must hold for Match.
func (s *Segment) Needs() crm.Needs { return s.needs }
