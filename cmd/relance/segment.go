package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/segments"
	"github.com/relance/relance/segments/rule"
)

type segmentCmd struct {
	List    segmentListCmd    `cmd:"" help:"Segments and their sizes."`
	Members segmentMembersCmd `cmd:"" help:"Who is in a segment."`
	Explain segmentExplainCmd `cmd:"" help:"Why a contact is, or is not, in a segment."`
	Size    segmentSizeCmd    `cmd:"" help:"How many are in a segment, now or at another instant."`
	History segmentHistoryCmd `cmd:"" help:"Sizes, entries and exits per day."`
	Try     segmentTryCmd     `cmd:"" help:"Count who would match a condition, without storing anything."`
	Cost    segmentCostCmd    `cmd:"" help:"What keeping each segment true takes."`
	Verify  segmentVerifyCmd  `cmd:"" help:"Evaluate everybody from scratch and compare with what is stored."`
}

// instant is a flag in RFC 3339.
type instant struct {
	At string `help:"Another instant than now, by what is known today." placeholder:"RFC3339"`
}

func (i instant) or(now time.Time) (time.Time, error) {
	if i.At == "" {
		return now, nil
	}
	t, err := time.Parse(time.RFC3339, i.At)
	if err != nil {
		return now, usage("--at %s is no instant; write 2026-11-27T08:00:00Z or 2026-11-27T09:00:00+01:00", i.At)
	}
	return t.UTC(), nil
}

type segmentListCmd struct {
	instant `embed:""`
	JSON    bool `help:"One JSON object." name:"json"`
}

// Help shows examples.
func (segmentListCmd) Help() string {
	return "Examples:\n\n  relance segment list\n  relance segment list --at 2027-01-01T00:00:00Z --json"
}

// Run lists the segments that are in force.
func (c *segmentListCmd) Run(d *deps) error {
	at, err := c.or(d.now())
	if err != nil {
		return err
	}
	m, done, err := d.openMirror()
	if err != nil {
		return err
	}
	defer done()
	infos, err := segments.Infos(d.ctx, m.DB().Read())
	if err != nil {
		return err
	}
	for i := range infos {
		if c.At == "" {
			break
		}
		if infos[i].Size, err = sizeAt(d, m, infos[i].ID, crm.At(at)); err != nil {
			return err
		}
	}
	watermark, err := segments.Watermark(d.ctx, m.DB().Read())
	if err != nil {
		return err
	}
	if c.JSON {
		if infos == nil {
			infos = []segments.Info{}
		}
		return d.json(map[string]any{"version": 1, "watermark_ms": watermark, "segments": infos})
	}
	if len(infos) == 0 {
		fmt.Fprintln(d.out, "No segment has been built yet: relance sync --once, or relance run.")
		return nil
	}
	t := tabwriter.NewWriter(d.out, 0, 0, 2, ' ', 0)
	for _, s := range infos {
		state := s.State
		if s.BuildTotal > 0 {
			state = fmt.Sprintf("%s, built for %d of %d contacts", s.State, s.BuildDone, s.BuildTotal)
			if s.BuildETA > 0 {
				state += ", about " + seconds(s.BuildETA.Seconds()) + " left"
			}
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\n", s.ID, s.Size, state, s.Title)
	}
	return t.Flush()
}

func sizeAt(d *deps, m *mirror.Mirror, id string, at crm.Instant) (int64, error) {
	var n int64
	err := eachMemberAt(d, m, id, at, 0, func(int64) error { n++; return nil })
	return n, err
}

const page = 500

func eachMemberAt(d *deps, m *mirror.Mirror, id string, at crm.Instant, after int64, use func(contact int64) error) error {
	s, err := segments.Definition(d.ctx, m.DB().Read(), id)
	if err != nil {
		return unknownSegment(err, id)
	}
	for {
		ids, next, err := segments.MembersAt(d.ctx, m, s, at, after, page)
		if err != nil {
			return err
		}
		for _, contact := range ids {
			if err := use(contact); err != nil {
				return err
			}
		}
		if next == 0 {
			return nil
		}
		after = next
	}
}

func unknownSegment(err error, id string) error {
	if errors.Is(err, segments.ErrUnknown) {
		return usage("there is no segment %q in the database; relance segment list shows them, and relance sync --once or relance run build what is new in the files", id)
	}
	return err
}

type segmentMembersCmd struct {
	Name    string `arg:"" help:"Segment."`
	instant `embed:""`
	After   int64 `help:"Go on after this contact: the last one of the page before." placeholder:"ID"`
	Limit   int   `help:"Print at most so many; 0 prints all." default:"0" placeholder:"N"`
	JSON    bool  `help:"A JSON object per line." name:"json"`

	printed int
}

// Help shows examples.
func (segmentMembersCmd) Help() string {
	return "Prints a line per contact, by growing id: the id and since when it is in.\n\nExamples:\n\n  relance segment members dormant | wc -l\n" +
		"  relance segment members dormant --limit 100 --after 7301244718081\n  relance segment members dormant --at 2027-01-01T00:00:00Z --json"
}

// Run lists the members.
func (c *segmentMembersCmd) Run(d *deps) error {
	at, err := c.or(d.now())
	if err != nil {
		return err
	}
	m, done, err := d.openMirror()
	if err != nil {
		return err
	}
	defer done()
	err = c.list(d, m, crm.At(at))
	if errors.Is(err, errEnough) {
		err = nil
	}
	return err
}

// errEnough ends a list that has come to its limit.
var errEnough = errors.New("enough")

func (c *segmentMembersCmd) list(d *deps, m *mirror.Mirror, at crm.Instant) error {
	if c.At != "" {
		return eachMemberAt(d, m, c.Name, at, c.After, func(contact int64) error { return c.line(d, contact, 0) })
	}
	if _, err := segments.Definition(d.ctx, m.DB().Read(), c.Name); err != nil {
		return unknownSegment(err, c.Name)
	}
	for after := c.After; ; {
		members, err := segments.Members(d.ctx, m.DB().Read(), c.Name, after, page)
		if err != nil || len(members) == 0 {
			return err
		}
		for _, x := range members {
			if err := c.line(d, x.ContactID, x.Since); err != nil {
				return err
			}
			after = x.ContactID
		}
	}
}

func (c *segmentMembersCmd) line(d *deps, contact int64, since crm.Instant) error {
	if c.printed++; c.Limit > 0 && c.printed > c.Limit {
		return errEnough
	}
	var err error
	switch {
	case c.JSON && since == 0:
		_, err = fmt.Fprintf(d.out, "{\"contact\":\"%d\"}\n", contact)
	case c.JSON:
		_, err = fmt.Fprintf(d.out, "{\"contact\":\"%d\",\"since\":%q}\n", contact, rfc(since))
	case since == 0:
		_, err = fmt.Fprintln(d.out, contact)
	default:
		_, err = fmt.Fprintf(d.out, "%d\t%s\n", contact, rfc(since))
	}
	return err
}

func rfc(i crm.Instant) string {
	if i == 0 {
		return ""
	}
	return i.Time().Format(time.RFC3339)
}

type segmentExplainCmd struct {
	Name    string `arg:"" help:"Segment."`
	Contact string `arg:"" help:"E-mail, - to read it from standard input, or contact id."`
	instant `embed:""`
	JSON    bool `help:"One JSON object." name:"json"`
}

// Help shows examples.
func (segmentExplainCmd) Help() string {
	return "Examples:\n\n  relance segment explain dormant somebody@example.com\n  echo somebody@example.com | relance segment explain dormant -"
}

// explained is the answer of segment explain --json. Version 1: keys may be added.
type explained struct {
	Version     int              `json:"version"`
	Segment     string           `json:"segment"`
	Contact     string           `json:"contact"`
	At          string           `json:"at"`
	Member      bool             `json:"member"` // as stored
	Explanation rule.Explanation `json:"explanation"`
	Changes     []changeLine     `json:"changes"`
}

type changeLine struct {
	Entered     bool      `json:"entered"`
	EffectiveAt string    `json:"effective_at"`
	RecordedAt  string    `json:"recorded_at"`
	Cause       crm.Cause `json:"cause"`
}

// Run explains.
func (c *segmentExplainCmd) Run(d *deps) error {
	at, err := c.or(d.now())
	if err != nil {
		return err
	}
	m, done, err := d.openMirror()
	if err != nil {
		return err
	}
	defer done()
	id, err := d.contactID(m, c.Contact, "")
	if err != nil {
		return err
	}
	why, err := segments.Explain(d.ctx, m, c.Name, id, crm.At(at))
	if errors.Is(err, mirror.ErrNotFound) {
		return errors.New("there is no such contact")
	}
	if err != nil {
		return unknownSegment(err, c.Name)
	}
	a := explained{Version: 1, Segment: c.Name, Contact: strconv.FormatInt(id, 10), At: rfc(why.At), Member: why.Member, Explanation: why.Explanation, Changes: []changeLine{}}
	for _, x := range why.Changes {
		a.Changes = append(a.Changes, changeLine{x.Entered, rfc(x.EffectiveAt), rfc(x.RecordedAt), x.Cause})
	}
	if c.JSON {
		return d.json(a)
	}
	a.print(d.out)
	return nil
}

func (a explained) print(out io.Writer) {
	is := map[bool]string{true: "in", false: "not in"}
	fmt.Fprintf(out, "Contact %s is %s %s as stored; at %s its facts say %s.\n\n", a.Contact, is[a.Member], a.Segment, a.At, is[a.Explanation.Match])
	printExplanation(out, a.Explanation, "")
	for i, x := range a.Changes {
		if i == 0 {
			fmt.Fprintln(out)
		}
		what := map[bool]string{true: "entered", false: "left"}[x.Entered]
		fmt.Fprintf(out, "%s  %s  (%s; recorded %s)\n", x.EffectiveAt, what, x.Cause, x.RecordedAt)
	}
}

func printExplanation(out io.Writer, e rule.Explanation, indent string) {
	mark := map[bool]string{true: "yes", false: "no "}[e.Match]
	parts := []string{e.Condition}
	if e.Value != "" {
		parts = append(parts, "has: "+e.Value)
	}
	if !e.NextChange.IsZero() && e.Why != "" {
		parts = append(parts, e.Why+" at "+e.NextChange.Format(time.RFC3339))
	}
	fmt.Fprintf(out, "%s%s  %s\n", indent, mark, strings.Join(parts, "; "))
	for _, sub := range e.Of {
		printExplanation(out, sub, indent+"  ")
	}
}

type segmentVerifyCmd struct {
	Name    string `arg:"" optional:"" help:"Segment; all of them when absent."`
	instant `embed:""`
	JSON    bool `help:"One JSON object." name:"json"`
}

// Help shows an example.
func (segmentVerifyCmd) Help() string {
	return "Exit code 1 when a stored membership differs from what its definition says. relance run does the same all the time, slowly\n" +
		"(metric relance_segments_audit_differences).\n\nExamples:\n\n  relance segment verify\n  relance segment verify dormant --json"
}

// Run compares.
func (c *segmentVerifyCmd) Run(d *deps) error {
	at, err := c.or(d.now())
	if err != nil {
		return err
	}
	m, done, err := d.openMirror()
	if err != nil {
		return err
	}
	defer done()
	var only []string
	if c.Name != "" {
		if _, err := segments.Definition(d.ctx, m.DB().Read(), c.Name); err != nil {
			return unknownSegment(err, c.Name)
		}
		only = []string{c.Name}
	}
	r, err := segments.Verify(d.ctx, m, at, only...)
	if err != nil {
		return err
	}
	if r.Differences == nil {
		r.Differences = []segments.Difference{}
	}
	if c.JSON {
		err = d.json(r)
	} else {
		fmt.Fprintf(d.out, "%d contacts evaluated anew, %d memberships stored, %d contacts waiting to be settled, %s.\n",
			r.Contacts, r.Memberships, r.Unsettled, count(len(r.Differences), "difference"))
		for _, x := range r.Differences {
			fmt.Fprintf(d.out, "contact %d, %s: stored %t, computed %t %s\n", x.ContactID, x.Segment, x.Stored, x.Computed, x.Detail)
		}
	}
	if err == nil && len(r.Differences) > 0 {
		err = exitError{code: exitFailure}
	}
	return err
}
