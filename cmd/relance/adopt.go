package main

import (
	"database/sql"
	"errors"
	"fmt"

	"github.com/relance/relance/mailer"
)

type adoptCmd struct {
	Yes bool `help:"Do it without asking."`
}

// Help says when it is needed.
func (adoptCmd) Help() string {
	return "A database that was copied or moved, or an older copy of it that was put back, starts with sending off, and changes nothing in\n" +
		"the shops: what it was copied from may be sending still, and mails that an older copy does not know of may have been sent.\n" +
		"Reading the shops and keeping segments true go on. Adopting says that this one is to send from now on, and that no other does.\n\n" +
		"After putting an older copy back, look first at what waits: relance campaign list. Pausing a campaign keeps its mails back.\n\n" +
		"Exit code: 0 it may send, 1 nothing was changed, 2 the command line or the files are wrong.\n\nExamples:\n\n  relance adopt\n  relance adopt --yes"
}

// Run adopts.
func (c *adoptCmd) Run(d *deps) error {
	cfg, m, done, err := d.openFiles()
	if err != nil {
		return err
	}
	defer done()
	p := &place{db: m.DB(), witness: witnessOf(m.DB(), cfg.Keys.File)}
	known, err := p.stored(d.ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return usage("no relance has run on this database yet: there is nothing to adopt")
	}
	if err != nil {
		return err
	}
	here, err := whereIs(d.ctx, m.DB())
	if err != nil {
		return err
	}
	why := p.away(known, here)
	if why == nil {
		fmt.Fprintln(d.out, "This database is where it belongs: it may send.")
		return nil
	}
	w, err := mailer.CountWaiting(d.ctx, m.DB().Read())
	if err != nil {
		return err
	}
	last := "never"
	if w.LastHanded > 0 {
		last = rfc(w.LastHanded)
	}
	fmt.Fprintf(d.out, "%v\n\n  it was at   %s\n  it is at    %s\n  last mail   %s\n  waiting     %s\n\n", why, known.At, here, last, count(int(w.Mails), "mail"))
	if !c.Yes {
		if err := d.confirm("Is this the only one that is to send from now on?"); err != nil {
			return err
		}
	}
	if err := p.adopt(d.ctx); err != nil {
		return err
	}
	fmt.Fprintln(d.out, "It may send. A relance that runs notices within seconds.")
	return nil
}
