package main

import (
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/relance/relance/sync/engine"
)

// progress shows how far reading is: on a terminal a bar per stream, one at a time, the others' kept until their
// turn; elsewhere one plain line per finished stream.
type progress struct {
	out      io.Writer
	terminal bool

	mu      sync.Mutex
	current string // whose bar is on the last line
	bar     *progressbar.ProgressBar
	waiting []engine.Progress // finished meanwhile
}

func newProgress(out io.Writer) *progress {
	f, ok := out.(*os.File)
	return &progress{out: out, terminal: ok && term.IsTerminal(int(f.Fd()))}
}

func nameOf(e engine.Progress) string { return e.Shop + " " + e.Stream }

// update is engine.Options.Progress of every shop.
func (p *progress) update(e engine.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case e.Finished && e.Done == 0: // nothing new: nothing to show
	case !p.terminal:
		if e.Finished {
			fmt.Fprintf(p.out, "%s: %d read\n", nameOf(e), e.Done)
		}
	case p.current == "" || p.current == nameOf(e):
		p.draw(e)
		if e.Finished {
			p.flush()
		}
	case e.Finished:
		p.waiting = append(p.waiting, e)
	}
}

func (p *progress) draw(e engine.Progress) {
	total := max(e.Total, e.Done)
	if p.bar == nil {
		p.current = nameOf(e)
		p.bar = progressbar.NewOptions(total, progressbar.OptionSetWriter(p.out), progressbar.OptionSetDescription(fmt.Sprintf("%-28s", p.current)),
			progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true), progressbar.OptionSetWidth(30), progressbar.OptionUseANSICodes(true))
	}
	if e.Finished { // the shop's count may be off by what changed meanwhile
		total = e.Done
	}
	p.bar.ChangeMax(total)
	_ = p.bar.Set(e.Done) // the terminal's errors are nobody's
}

// flush ends the bar on the last line and draws those that finished meanwhile.
func (p *progress) flush() {
	p.close()
	for _, e := range p.waiting {
		p.draw(e)
		p.close()
	}
	p.waiting = nil
}

func (p *progress) close() {
	if p.bar != nil {
		fmt.Fprintln(p.out)
	}
	p.bar, p.current = nil, ""
}

// end leaves the terminal on a fresh line.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flush()
}
