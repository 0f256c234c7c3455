package main

import (
	"cmp"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/segments"
)

type segmentCostCmd struct {
	Days int  `help:"How many days, today included." default:"7"`
	JSON bool `help:"One JSON object." name:"json"`
}

// Help shows examples.
func (segmentCostCmd) Help() string {
	return "What keeping each segment true took, the dearest first: evaluations of its definition, seconds of one core, facts looked at, rows written.\n" +
		"One contact in sixteen is measured; the time that reading facts from the database takes is shared by all segments and not in it.\n\n" +
		"Examples:\n\n  relance segment cost\n  relance segment cost --days 30 --json"
}

// Run lists what was measured.
func (c *segmentCostCmd) Run(d *deps) error {
	if c.Days < 1 {
		return usage("--days %d: say a number of 1 or more", c.Days)
	}
	m, done, err := d.openMirror()
	if err != nil {
		return err
	}
	defer done()
	since := d.now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 1-c.Days)
	list, err := segments.Costs(d.ctx, m.DB().Read(), since)
	if err != nil {
		return err
	}
	slices.SortStableFunc(list, func(a, b segments.Cost) int { return cmp.Compare(b.Seconds, a.Seconds) })
	if c.JSON {
		return d.json(map[string]any{"version": 1, "since": rfc(crm.At(since)), "segments": list})
	}
	if len(list) == 0 {
		fmt.Fprintln(d.out, "Nothing has been measured yet: relance run, or relance sync --once.")
		return nil
	}
	var all float64
	for _, x := range list {
		all += x.Seconds
	}
	t := tabwriter.NewWriter(d.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "segment\tseconds\tshare\tper 1000\tevaluations\trows read\trows written\t")
	for _, x := range list {
		fmt.Fprintf(t, "%s\t%.3f\t%.0f %%\t%.2f ms\t%d\t%d\t%d\t\n", x.Segment, x.Seconds, 100*x.Seconds/max(all, 1e-9),
			1e6*x.Seconds/float64(max(x.Evaluations, 1)), x.Evaluations, x.RowsRead, x.RowsWritten)
	}
	return t.Flush()
}
