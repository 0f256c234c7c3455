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

// progress shows how far reading is: a bar per stream on a terminal, one plain line per finished stream elsewhere.
type progress struct {
	out      io.Writer
	terminal bool

	mu   sync.Mutex
	bar  *progressbar.ProgressBar
	name string // what bar is of
}

func newProgress(out io.Writer) *progress {
	f, ok := out.(*os.File)
	return &progress{out: out, terminal: ok && term.IsTerminal(int(f.Fd()))}
}

// update is engine.Options.Progress of every shop.
func (p *progress) update(e engine.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	name := e.Shop + " " + e.Stream
	if !p.terminal {
		if e.Finished && e.Done > 0 {
			fmt.Fprintf(p.out, "%s: %d read\n", name, e.Done)
		}
		return
	}
	if e.Done == 0 && e.Finished { // nothing new: no bar
		return
	}
	if p.name != name {
		p.close()
		p.name, p.bar = name, progressbar.NewOptions(e.Total, progressbar.OptionSetWriter(p.out), progressbar.OptionSetDescription(fmt.Sprintf("%-28s", name)),
			progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true), progressbar.OptionSetWidth(30), progressbar.OptionUseANSICodes(true))
	}
	if e.Total > 0 {
		p.bar.ChangeMax(max(e.Total, e.Done))
	}
	_ = p.bar.Set(e.Done) // the terminal's errors are nobody's
	if e.Finished {
		_ = p.bar.Finish()
		p.close()
	}
}

func (p *progress) close() {
	if p.bar != nil {
		fmt.Fprintln(p.out)
	}
	p.bar, p.name = nil, ""
}

// end leaves the terminal on a fresh line.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.close()
}
