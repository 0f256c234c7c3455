package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// print writes the diagnosis for people.
func (g *diagnosis) print(w io.Writer) {
	heading := func(text string) { fmt.Fprintf(w, "\n%s\n", text) }
	fmt.Fprintf(w, "Diagnosis of %s\n", g.At.Format(time.RFC3339))
	heading("Relance")
	for _, l := range sortedLines(g.Relance) {
		fmt.Fprintln(w, "  "+l)
	}
	heading("Settings")
	for _, l := range sortedLines(g.Settings) {
		fmt.Fprintln(w, "  "+l)
	}
	heading("Database")
	for _, l := range sortedLines(g.Database) {
		fmt.Fprintln(w, "  "+l)
	}
	heading("The shop's answer to a probe")
	if g.Probe == nil {
		fmt.Fprintln(w, "  It was not asked.")
	} else {
		printFindings(w, g.Probe.Findings)
	}
	if g.Shop == nil {
		fmt.Fprintln(w, "\nNothing has been read from it yet.")
		return
	}
	heading("State")
	printShop(w, shopStatus{Shop: *g.Shop, Backfilled: !g.Shop.BackfilledAt.IsZero()})
	fmt.Fprintf(w, "  the shop's clock is %s off ours\n", time.Duration(g.SkewMS)*time.Millisecond)
	heading("Streams")
	g.printStreams(w)
	heading("Quarantine")
	for _, q := range g.Quarantine {
		fmt.Fprintf(w, "  %5d  %s: %s\n", q.Count, q.Kind, q.Reason)
	}
	none(w, len(g.Quarantine))
	heading("Tasks in the shop")
	for _, t := range g.Tasks {
		fmt.Fprintf(w, "  %5d  %s, %s: %s\n", t.Count, t.Kind, t.State, t.Text)
	}
	none(w, len(g.Tasks))
	heading("Webhooks")
	for _, t := range g.Webhooks {
		fmt.Fprintf(w, "  %5d  %s, last %s\n", t.Kept, t.Topic, t.LastAt.Format(time.RFC3339))
	}
	none(w, len(g.Webhooks))
	fmt.Fprintf(w, "  %d re-reads wait, %d of them failed before. %s\n", g.Rereads.Waiting, g.Rereads.Failing, g.Rereads.Error)
}

func none(w io.Writer, n int) {
	if n == 0 {
		fmt.Fprintln(w, "  None.")
	}
}

func (g *diagnosis) printStreams(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  STREAM\tMODE\tEVERY\tREAD\tDUE\tRUN\tIN THE SHOP\tFAILED\tPOSITION")
	for _, s := range g.Streams {
		read, run := "never", "–"
		if s.LagSeconds >= 0 {
			read = seconds(s.LagSeconds) + " ago"
		}
		if s.Running {
			run = fmt.Sprintf("%d of %d", s.Done, s.Total)
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\tin %s\t%s\t%d\t%d\t%s\n", s.Stream, s.Mode, s.Every, read, seconds(s.DueSeconds), run, s.Source, s.Attempts, s.Position)
	}
	_ = t.Flush() // a buffer takes everything
	for _, s := range g.Streams {
		if s.Error != "" {
			fmt.Fprintf(w, "  %s: %s\n", s.Stream, strings.TrimSpace(s.Error))
		}
	}
	none(w, len(g.Streams))
}
