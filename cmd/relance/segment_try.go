package main

import (
	"fmt"
	"io"
	"strconv"

	"github.com/relance/relance/config"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/segments"
)

type segmentTryCmd struct {
	YAML     string `arg:"" name:"yaml" help:"A condition, or a definition with match; - reads it from standard input."`
	Examples int    `help:"Show so many contacts that match." default:"0" placeholder:"N"`
	instant  `embed:""`
	JSON     bool `help:"One JSON object." name:"json"`
}

// Help shows examples.
func (segmentTryCmd) Help() string {
	return "Counts who would be in a segment, by the facts that are mirrored now. Nothing is stored, and nothing starts. It may refer to the segments of\n" +
		"the files. Exit code 2 when the text has mistakes.\n\nExamples:\n\n" +
		"  relance segment try 'bought: {at_least: 3, within: 90d}'\n" +
		"  relance segment try 'all: [{segment: vip}, {not: {country: FR}}]' --examples 5\n" +
		"  relance segment try - --json < idea.yaml"
}

// tried is the answer of segment try --json. Version 1: keys may be added.
type tried struct {
	Version  int      `json:"version"`
	At       string   `json:"at"`
	Size     int64    `json:"size"`
	Contacts int64    `json:"contacts"` // all there are
	Examples []string `json:"examples"` // contact ids
	Notes    []string `json:"notes"`    // what the answer cannot tell
}

const longestTry = 1 << 20 // bytes

// Run counts.
func (c *segmentTryCmd) Run(d *deps) error {
	at, err := c.or(d.now())
	if err != nil {
		return err
	}
	text, where := c.YAML, "condition"
	if text == "-" {
		data, err := io.ReadAll(io.LimitReader(d.in, longestTry))
		if err != nil {
			return fmt.Errorf("reading the condition from standard input: %w", err)
		}
		text, where = string(data), "standard input"
	}
	cfg, m, done, err := d.openFiles()
	if err != nil {
		return err
	}
	defer done()
	s, err := config.Segment(where, "try", text, cfg.Segments)
	if err != nil {
		return err
	}
	a := tried{Version: 1, At: rfc(crm.At(at)), Examples: []string{}, Notes: []string{}}
	for after := int64(0); ; {
		ids, next, err := segments.MembersAt(d.ctx, m, s, crm.At(at), after, page)
		if err != nil {
			return err
		}
		a.Size += int64(len(ids))
		for _, id := range ids[:min(len(ids), max(c.Examples-len(a.Examples), 0))] {
			a.Examples = append(a.Examples, strconv.FormatInt(id, 10))
		}
		if next == 0 {
			break
		}
		after = next
	}
	if a.Contacts, err = m.LiveContacts(d.ctx); err != nil {
		return err
	}
	notes, err := blindSpots(d, m, s.Needs())
	if err != nil {
		return err
	}
	a.Notes = append(a.Notes, notes...)
	if c.JSON {
		return d.json(a)
	}
	fmt.Fprintf(d.out, "%d of %d contacts\n", a.Size, a.Contacts)
	for _, id := range a.Examples {
		fmt.Fprintln(d.out, id)
	}
	for _, n := range a.Notes {
		fmt.Fprintln(d.err, "note:", n)
	}
	return nil
}

// blindSpots says what of a definition cannot be answered from what is stored today.
func blindSpots(d *deps, m *mirror.Mirror, n crm.Needs) ([]string, error) {
	var out []string
	shops, err := m.Shops(d.ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range shops {
		if s.BackfilledAt == 0 {
			out = append(out, "shop "+s.Name+" has not been read whole yet: its customers and orders are not all seen")
		}
	}
	waiting, _, err := m.DirtyStats(d.ctx)
	if err != nil {
		return nil, err
	}
	if waiting > 0 {
		out = append(out, count(int(waiting), "contact")+" wait to be looked at again since their facts changed; they are counted as they are now")
	}
	if n.Ranks {
		published := false
		for _, s := range shops {
			all, err := mirror.Thresholds(d.ctx, m.DB().Read(), s.AudienceID)
			if err != nil {
				return nil, err
			}
			published = published || len(all) > 0
		}
		if !published {
			out = append(out, "no thresholds are published yet: rfm, top and bottom match nobody until a segment in force asks for them and relance run has computed them")
		}
	}
	for _, id := range n.History {
		born, err := segments.Definition(d.ctx, m.DB().Read(), id)
		if err != nil || born == nil {
			out = append(out, "segment "+id+" has no recorded history yet: nobody has entered or left it")
		}
	}
	return out, nil
}
