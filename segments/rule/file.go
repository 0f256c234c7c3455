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

	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/internal/spelling"
)

// CompileAll compiles the segments of all files together, since they may refer to each other; in the order of their ids.
// With problems, it gives those segments that can be used all the same.
func CompileAll(f File) ([]*Segment, []fault.Problem) {
	l := &linker{file: f, done: map[string]*Segment{}}
	var out []*Segment
	for _, id := range slices.Sorted(maps.Keys(f)) {
		if !validID(id) && !implicit(id) {
			l.problems = append(l.problems, badID(id))
			continue
		}
		if s := l.segment(id); s != nil {
			out = append(out, s)
		}
	}
	return out, l.problems
}

// Validate checks every segment of a file that people write; paths are as goccy/go-yaml writes them ($.win_back.match…).
func (f File) Validate() []fault.Problem {
	_, ps := CompileAll(f)
	for _, id := range slices.Sorted(maps.Keys(f)) {
		if implicit(id) {
			ps = append(ps, badID(id))
		}
	}
	return ps
}

// ImplicitPrefix begins the ids of segments that nobody writes: a campaign on a date of its contacts has one.
const ImplicitPrefix = "campaign:"

func implicit(id string) bool {
	rest, is := strings.CutPrefix(id, ImplicitPrefix)
	return is && regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`).MatchString(rest)
}

func badID(id string) fault.Problem {
	return fault.Problem{
		Path: pathOf(id), Message: fmt.Sprintf("%q cannot be the id of a segment", id),
		Want: "small letters, digits, - and _, at most 64, beginning with a letter, such as win_back",
	}
}

// CompileIn compiles a condition that stands elsewhere, such as in a campaign, and may refer to the file's segments. path is
// where it stands, for problems. Mistakes of the segments it refers to are not repeated here; it is nil then.
func CompileIn(f File, path string, match Condition) (*Segment, []fault.Problem) {
	l := &linker{file: f, done: map[string]*Segment{}}
	c := compiler{link: l, below: map[string]*Segment{}}
	root := c.condition(path, match)
	if len(c.problems) > 0 || c.broken {
		return nil, c.problems
	}
	return newSegment(path, Spec{Match: match}, root, &c), nil
}

func pathOf(id string) string {
	if strings.ContainsAny(id, ". []'") {
		return "$.'" + strings.ReplaceAll(id, "'", `\'`) + "'"
	}
	return "$." + id
}

// linker compiles the segments of a file, those that others refer to first.
type linker struct {
	file     File
	done     map[string]*Segment // nil for one with mistakes
	open     []string            // being compiled: each refers to the next
	problems []fault.Problem
}

// segment compiles one; nil after a problem, which is told once.
func (l *linker) segment(id string) *Segment {
	if s, ok := l.done[id]; ok {
		return s
	}
	l.open = append(l.open, id)
	defer func() { l.open = l.open[:len(l.open)-1] }()
	c := compiler{link: l, below: map[string]*Segment{}}
	root := c.condition(pathOf(id)+".match", l.file[id].Match)
	l.problems = append(l.problems, c.problems...)
	if len(c.problems) > 0 || c.broken {
		l.done[id] = nil
		return nil
	}
	s := newSegment(id, l.file[id], root, &c)
	l.done[id] = s
	return s
}

// refer finds what a condition refers to; nil after a problem here or there.
func (c *compiler) refer(path, id string) *Segment {
	if c.link == nil {
		c.fail(path, fmt.Sprintf("segment %q is not known here", id), "a definition that stands together with those it refers to")
		return nil
	}
	if _, ok := c.link.file[id]; !ok {
		c.fail(path, fmt.Sprintf("there is no segment %q", id), nearest(id, slices.Sorted(maps.Keys(c.link.file))))
		return nil
	}
	if i := slices.Index(c.link.open, id); i >= 0 {
		way := strings.Join(append(slices.Clone(c.link.open[i:]), id), " → ")
		c.fail(path, "the segments refer to each other in a circle: "+way, "a segment that does not lead back to "+id)
		return nil
	}
	s := c.link.segment(id)
	if s == nil {
		c.broken = true
		return nil
	}
	c.below[id] = s
	return s
}

// nearest suggests the known id that looks most like what was written.
func nearest(written string, known []string) string {
	if best := spelling.Closest(written, known); best != "" {
		return "did you mean " + best + "?"
	}
	const shown = 10
	if len(known) > shown {
		known = append(slices.Clone(known[:shown]), "…")
	}
	return "one of " + strings.Join(known, ", ")
}

// newSegment fixes the identity: what the segment says, and what those say that it refers to.
func newSegment(id string, s Spec, root condition, c *compiler) *Segment {
	below := c.below
	text, err := yaml.Marshal(s.Match)
	if err != nil { // strings, lists and mappings of them: there is nothing that could fail
		text = fmt.Appendf(nil, "%#v", s.Match)
	}
	for _, ref := range slices.Sorted(maps.Keys(below)) {
		text = fmt.Appendf(text, "\n%s=%s", ref, below[ref].hash)
	}
	sum := sha256.Sum256(text)
	return &Segment{ID: id, Title: s.Title, spec: s, root: root, needs: root.needs(), below: below, cut: c.cut, hash: hex.EncodeToString(sum[:])}
}

// Hash is the identity of what the segment says, with that of the segments it refers to; titles are no part of it.
func (s *Segment) Hash() string { return s.hash }

// Refers lists the segments that the definition names itself, by id.
func (s *Segment) Refers() []string { return slices.Sorted(maps.Keys(s.below)) }

// Below gives every segment that the definition leans on, itself or through others: id → hash.
func (s *Segment) Below() map[string]string {
	out := map[string]string{}
	s.each(map[string]bool{}, func(id string, b *Segment) { out[id] = b.hash })
	return out
}

// each goes once to every segment below: there may be more ways to one than anybody could count.
func (s *Segment) each(seen map[string]bool, fn func(id string, b *Segment)) {
	for id, b := range s.below {
		if !seen[id] {
			seen[id] = true
			fn(id, b)
			b.each(seen, fn)
		}
	}
}

// stored is a definition as the database has it: with a copy of all that it leans on, so that a generation says the same
// for as long as it lives, whatever becomes of the others meanwhile.
type stored struct {
	Title string               `yaml:"title,omitempty"`
	Match Condition            `yaml:"match"`
	Below map[string]Condition `yaml:"below,omitempty"`
}

// Encode writes the definition as it is stored in the database; Decode reads it back.
func (s *Segment) Encode() (string, error) {
	out := stored{Title: s.Title, Match: s.spec.Match}
	if len(s.below) > 0 {
		out.Below = map[string]Condition{}
		s.each(map[string]bool{}, func(id string, b *Segment) { out.Below[id] = b.spec.Match })
	}
	text, err := yaml.Marshal(out)
	if err != nil {
		return "", fmt.Errorf("encoding segment %s: %w", s.ID, err)
	}
	return string(text), nil
}

// Decode compiles a stored definition.
func Decode(id, text string) (*Segment, error) {
	var s stored
	if err := yaml.UnmarshalWithOptions([]byte(text), &s, yaml.Strict()); err != nil {
		return nil, errors.Join(fmt.Errorf("decoding segment %s", id), err)
	}
	spec := Spec{Title: s.Title, Match: s.Match}
	if len(s.Below) == 0 {
		return Compile(id, spec)
	}
	f := File{id: spec}
	for ref, match := range s.Below {
		f[ref] = Spec{Match: match}
	}
	l := &linker{file: f, done: map[string]*Segment{}}
	if seg := l.segment(id); seg != nil {
		return seg, nil
	}
	return nil, fmt.Errorf("decoding segment %s: %w", id, first(l.problems))
}

func first(ps []fault.Problem) error {
	return fmt.Errorf("%s: %s", ps[0].Path, ps[0].Message)
}
