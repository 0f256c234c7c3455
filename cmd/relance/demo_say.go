package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/mailer"
	"github.com/relance/relance/mailer/outbox"
	"github.com/relance/relance/segments"
	"github.com/relance/relance/sync/engine"
)

// narrator tells the demo on the terminal. With --json it tells on stderr, so that stdout is only the object.
type narrator struct {
	out  io.Writer
	bar  *progress
	page string
	told atomic.Bool // the backfill is over: what is read later is told by what happens
}

func newNarrator(c *demoCmd, d *deps) *narrator {
	n := &narrator{out: d.out, bar: newProgress(d.err)}
	if c.JSON {
		n.out = d.err
	}
	return n
}

func (n *narrator) line(format string, args ...any) { fmt.Fprintf(n.out, format+"\n", args...) }

func (n *narrator) probe(p connectors.ProbeResult) {
	n.line("A recorded WooCommerce shop answers on this machine. Relance asks it:")
	for _, f := range p.Findings {
		mark := "✓"
		if !f.OK {
			mark = "✗"
		}
		n.line("  %s %-10s %s %s", mark, f.What, f.Text, f.Mend)
	}
	n.line("\nReading everything once. History triggers nothing.")
}

// backfill shows the first reading of each stream.
func (n *narrator) backfill(e engine.Progress) {
	if e.Backfill && !n.told.Load() {
		n.bar.update(e)
	}
}

func (n *narrator) mirrored(kinds map[string]mirror.Count, contacts int64) {
	n.told.Store(true)
	n.bar.end()
	n.line("")
	printCounts(n.out, "Mirrored", kinds)
	n.line("%d contacts\n", contacts)
}

func (n *narrator) segments(infos []segments.Info) {
	n.line("Segments")
	for _, i := range infos {
		n.line("  %5d  %-13s %s", i.Size, i.ID, i.Title)
	}
	n.line("")
}

func (n *narrator) armed(a mailer.Audience) {
	if a.Segment == "" {
		n.line("Armed %-18s %s", a.Campaign, a.Starts)
		return
	}
	n.line("Armed %-18s %s; the %d who are in it now are not mailed", a.Campaign, a.Starts, a.Members)
}

func (n *narrator) open() {
	n.line("\nThe page: %s   (Ctrl-C ends the demo)", n.page)
	n.line("Customers come in; business time runs fast.\n")
}

func (n *narrator) event(at time.Time, format string, args ...any) {
	n.line("%s  %s", at.Format("Mon 15:04"), fmt.Sprintf(format, args...))
}

func (n *narrator) mail(e outbox.Entry) {
	n.event(e.Created, "✉ %s to %s: %s", e.Campaign, masked(e.To), e.Subject)
}

func (n *narrator) result(r demoResult) {
	n.line("\nSettled after %.1f s", r.Seconds)
	for _, id := range slices.Sorted(maps.Keys(r.Mails)) {
		n.line("  %5d  mails of %s", r.Mails[id], id)
	}
}

func masked(email string) string {
	name, host, _ := strings.Cut(email, "@")
	return name[:min(2, len(name))] + "…@" + host
}

// showMails tells of every mail as it is captured.
func (m *demo) showMails(ctx context.Context) {
	seen := map[string]bool{}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, box := range m.app.outboxes {
			entries, err := box.Mails(50)
			if err != nil {
				m.say.line("reading the outbox: %v", err)
			}
			for _, e := range slices.Backward(entries) {
				if !seen[e.ID] {
					seen[e.ID] = true
					m.say.mail(e)
				}
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
