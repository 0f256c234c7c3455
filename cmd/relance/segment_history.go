package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/segments"
)

type segmentSizeCmd struct {
	Name    string `arg:"" help:"Segment."`
	instant `embed:""`
	JSON    bool `help:"One JSON object." name:"json"`
}

// Help shows examples.
func (segmentSizeCmd) Help() string {
	return "Without --at the members that are stored, as of the watermark. With --at everybody is evaluated at that instant, past or to come, by the facts\n" +
		"that are known today: what a shop has deleted since is not seen, and what nobody has done yet neither.\n\n" +
		"Examples:\n\n  relance segment size dormant\n  relance segment size dormant --at 2027-01-01T00:00:00Z --json"
}

// segmentSize is the answer of segment size --json. Version 1: keys may be added.
type segmentSize struct {
	Version int    `json:"version"`
	Segment string `json:"segment"`
	At      string `json:"at"`
	Size    int64  `json:"size"`
	By      string `json:"by"` // stored: the memberships; facts: evaluated for this answer
}

// Run counts.
func (c *segmentSizeCmd) Run(d *deps) error {
	at, err := c.or(d.now())
	if err != nil {
		return err
	}
	m, done, err := d.openMirror()
	if err != nil {
		return err
	}
	defer done()
	a := segmentSize{Version: 1, Segment: c.Name, At: rfc(crm.At(at)), By: "facts"}
	if c.At != "" {
		a.Size, err = sizeAt(d, m, c.Name, crm.At(at))
	} else {
		a.By = "stored"
		a.Size, a.At, err = storedSize(d, m, c.Name)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return d.json(a)
	}
	_, err = fmt.Fprintln(d.out, a.Size)
	return err
}

func storedSize(d *deps, m *mirror.Mirror, id string) (size int64, at string, err error) {
	q := m.DB().Read()
	if _, err := segments.Definition(d.ctx, q, id); err != nil {
		return 0, "", unknownSegment(err, id)
	}
	watermark, err := segments.Watermark(d.ctx, q)
	if err != nil {
		return 0, "", err
	}
	size, err = segments.Size(d.ctx, q, id)
	return size, rfc(watermark), err
}

type segmentHistoryCmd struct {
	Name string `arg:"" help:"Segment."`
	Days int    `help:"How many days, today included." default:"30"`
	JSON bool   `help:"One JSON object." name:"json"`
}

// Help shows examples.
func (segmentHistoryCmd) Help() string {
	return "Per day (UTC): how many were in the segment at its end, how many entered and left. Days before the segment was first defined are not shown.\n" +
		"A day with an r has changes that nobody made: the segment was built or edited, or thresholds moved. What was learned late stands on the day\n" +
		"on which it took effect.\n\nExamples:\n\n  relance segment history dormant\n  relance segment history dormant --days 90 --json"
}

// Run shows the days.
func (c *segmentHistoryCmd) Run(d *deps) error {
	const longest = 3660
	if c.Days < 1 || c.Days > longest {
		return usage("--days %d: say a number from 1 to %d", c.Days, longest)
	}
	m, done, err := d.openMirror()
	if err != nil {
		return err
	}
	defer done()
	days, err := segments.History(d.ctx, m.DB().Read(), c.Name, d.now(), c.Days)
	if err != nil {
		return unknownSegment(err, c.Name)
	}
	if c.JSON {
		return d.json(map[string]any{"version": 1, "segment": c.Name, "days": days})
	}
	return printHistory(d.out, days)
}

// printHistory draws a bar per day; the longest fills its column.
func printHistory(out io.Writer, days []segments.Day) error {
	const width = 40
	var most int64 = 1
	for _, x := range days {
		most = max(most, x.Size)
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "day\tsize\tentered\tleft\t\t")
	for _, x := range days {
		mark := map[bool]string{true: "r", false: ""}[x.Redefined > 0]
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t %s\n", x.Day, x.Size, signed("+", x.Entered), signed("−", x.Left), mark, bar(x.Size, most, width))
	}
	return t.Flush()
}

func signed(sign string, n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%s%d", sign, n)
}

// bar is a line of blocks, drawn to an eighth of one.
func bar(n, most int64, width int64) string {
	eighths := n * width * 8 / most
	if n > 0 {
		eighths = max(eighths, 1)
	}
	s := strings.Repeat("█", int(eighths/8))
	if rest := eighths % 8; rest > 0 {
		s += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return s
}
