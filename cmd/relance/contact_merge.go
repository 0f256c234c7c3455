package main

import (
	"errors"
	"fmt"
	"os/user"

	"github.com/relance/relance/config"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

type contactMergeCmd struct {
	From string `arg:"" help:"Who is merged: e-mail, - to read it from standard input, or contact id."`
	Into string `arg:"" help:"Who stays: the mails go to this address."`
	JSON bool   `help:"One JSON object." name:"json"`
}

// Help shows examples.
func (contactMergeCmd) Help() string {
	return "Everything of the first counts for the second from now on, also what a shop sends later for the first one's address. What either\n" +
		"has withdrawn is withdrawn for both; what the first has agreed to is not carried over. Campaigns under way for the first end, and a\n" +
		"merge starts none. It can be taken back at any time: relance contact split. Exit code 2 when it cannot be.\n\n" +
		"Examples:\n\n  relance contact merge old@example.com new@example.com\n  echo old@example.com | relance contact merge - 912286544099805698"
}

// wished is the answer of merge, split and erase with --json. Version 1: keys may be added.
type wished struct {
	Version  int         `json:"version"`
	Merge    *shownMerge `json:"merge,omitempty"`
	Contacts []string    `json:"contacts,omitempty"` // of an erasure
	Done     bool        `json:"done"`               // false: recorded and in force; a relance that runs moves the rows
}

// Run merges.
func (c *contactMergeCmd) Run(d *deps) error {
	if c.From == "-" && c.Into == "-" {
		return usage("only one of the two can be read from standard input")
	}
	return d.wish(func(m *mirror.Mirror) (wished, string, error) {
		from, err := d.contactID(m, c.From, "")
		if err != nil {
			return wished{}, "", err
		}
		into, err := d.contactID(m, c.Into, "")
		if err != nil {
			return wished{}, "", err
		}
		x, err := m.Merge(d.ctx, from, into, whoAmI(), crm.At(d.now()))
		s := shownMergeOf(x)
		return wished{Merge: &s}, fmt.Sprintf("Contact %d counts for contact %d.", x.FromID, x.ToID), err
	}, c.JSON)
}

type contactSplitCmd struct {
	Contact string `arg:"" help:"Who was merged: e-mail, - to read it from standard input, or contact id."`
	JSON    bool   `help:"One JSON object." name:"json"`
}

// Help shows examples.
func (contactSplitCmd) Help() string {
	return "The contact has again what was its own and what has come for its address since. Campaigns that the merge ended stay ended, and a\n" +
		"split starts none. Exit code 2 when the contact is not merged.\n\nExamples:\n\n  relance contact split old@example.com"
}

// Run splits.
func (c *contactSplitCmd) Run(d *deps) error {
	return d.wish(func(m *mirror.Mirror) (wished, string, error) {
		id, err := d.contactID(m, c.Contact, "")
		if err != nil {
			return wished{}, "", err
		}
		x, err := m.Split(d.ctx, id, whoAmI(), crm.At(d.now()))
		s := shownMergeOf(x)
		return wished{Merge: &s}, fmt.Sprintf("Contact %d counts for itself again.", x.FromID), err
	}, c.JSON)
}

type contactEraseCmd struct {
	Contact string `arg:"" help:"E-mail, - to read it from standard input, or contact id."`
	Yes     bool   `help:"Do not ask." short:"y"`
	JSON    bool   `help:"One JSON object." name:"json"`
}

// Help shows examples.
func (contactEraseCmd) Help() string {
	return "Names, addresses, e-mails and what the shops sent of the person go, for everybody merged with the contact, too. Orders stay, of\n" +
		"nobody, and the counts of mails sent. It cannot be taken back: no shop can make the person known again. Erase the person in the shop\n" +
		"as well; this command does not.\n\nExamples:\n\n  relance contact erase somebody@example.com\n  echo somebody@example.com | relance contact erase - --yes --json"
}

// Run erases.
func (c *contactEraseCmd) Run(d *deps) error {
	return d.wish(func(m *mirror.Mirror) (wished, string, error) {
		id, err := d.contactID(m, c.Contact, "")
		if err != nil {
			return wished{}, "", err
		}
		if !c.Yes {
			if err := d.confirm(fmt.Sprintf("Contact %d will be forgotten for good. Erase?", id)); err != nil {
				return wished{}, "", err
			}
		}
		e, err := m.Erase(d.ctx, id, crm.At(d.now()))
		var w wished
		for _, one := range e.Contacts {
			w.Contacts = append(w.Contacts, idText(one))
		}
		text := fmt.Sprintf("Contact %d is erased: %s, %s.", id, count(len(e.Contacts), "contact"), addressCount(e.Addresses))
		if e.Again {
			text = fmt.Sprintf("Contact %d was erased on %s.", id, rfc(e.AskedAt))
		}
		return w, text, err
	}, c.JSON)
}

func addressCount(n int) string {
	if n == 1 {
		return "1 address"
	}
	return fmt.Sprintf("%d addresses", n)
}

// whoAmI is who asks, for the record.
func whoAmI() string {
	if u, err := user.Current(); err == nil {
		return "command line, " + u.Username
	}
	return "command line"
}

// wish records what is wished and carries it out, unless a relance at work on this database will.
func (d *deps) wish(record func(*mirror.Mirror) (wished, string, error), asJSON bool) error {
	cfg, m, done, err := d.openFiles()
	if err != nil {
		return err
	}
	defer done()
	w, text, err := record(m)
	switch {
	case errors.Is(err, mirror.ErrNotFound):
		return errors.New("there is no such contact")
	case errors.Is(err, mirror.ErrRefused):
		return exitError{exitUsage, err}
	case err != nil:
		return err
	}
	w.Version = 1
	if w.Done, err = d.carryOut(cfg, m.DB()); err != nil {
		return fmt.Errorf("this is recorded and in force, but not all rows are moved yet (relance run goes on): %w", err)
	}
	if asJSON {
		return d.json(w)
	}
	fmt.Fprintln(d.out, text)
	if !w.Done {
		fmt.Fprintln(d.out, "It is in force; the relance that is running moves the rows.")
	}
	return nil
}

// carryOut does what is wished of the lanes that no other process holds; done tells that it could take them.
func (d *deps) carryOut(cfg *config.Config, db *store.DB) (done bool, err error) {
	unlock, err := lockDatabase(db.Path())
	if err != nil {
		return false, nil // a relance at work on the file carries it out
	}
	defer unlock()
	log, err := d.quietLog()
	if err != nil {
		return false, err
	}
	a, err := openApp(d.ctx, cfg, db, appOptions{log: log, now: d.now, transport: d.transport})
	if err != nil {
		return false, err
	}
	if err := a.takeOver(d.ctx); err != nil {
		return false, err
	}
	defer a.release(d.ctx)
	if len(a.leases.Held()) < crm.Lanes {
		return false, nil
	}
	work := mirror.NewIdentities(a.mirror, a.leases)
	for _, step := range []func() (bool, error){
		func() (bool, error) { _, worked, err := work.Step(d.ctx, d.now()); return worked, err },
		func() (bool, error) { return a.mailer.Depart(d.ctx, d.now()) },
	} {
		for worked := true; worked; {
			if worked, err = step(); err != nil {
				return false, err
			}
		}
	}
	return true, nil
}
