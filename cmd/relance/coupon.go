package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/mailer"
)

type couponCmd struct {
	Import couponImportCmd `cmd:"" help:"Add codes to a list."`
	List   couponListCmd   `cmd:"" help:"Show how many codes each list has, and what became of them."`
}

type couponImportCmd struct {
	Name     string `arg:"" help:"The list, as campaigns name it: coupon: {list: NAME}."`
	File     string `arg:"" help:"The codes, one a line or a CSV file; - for standard input."`
	Audience string `help:"Whose campaigns may give them." default:"default" placeholder:"NAME"`
	Worth    string `help:"What a code is worth, as mails say it: \"10 %\"." placeholder:"TEXT"`
	DryRun   bool   `help:"Only look at the codes."`
	JSON     bool   `help:"One JSON object on stdout." name:"json"`
}

// Help says what becomes of codes, and shows examples.
func (couponImportCmd) Help() string {
	return "Codes are taken from the first column, or from the one named code. With a line that is no code nothing is imported; a code that\n" +
		"stands there twice is taken once, a code that the list has already stays as it is. Each code is given to one person, once.\n\n" +
		"Examples:\n\n  relance coupon import summer codes.txt --worth \"10 %\" --dry-run\n  cut -d, -f2 export.csv | relance coupon import summer -"
}

// couponImport is the answer of coupon import --json. Version 1: keys may be added.
type couponImport struct {
	Version  int    `json:"version"`
	Audience string `json:"audience"`
	List     string `json:"list"`
	DryRun   bool   `json:"dry_run"`
	mailer.Codes
	mailer.ImportedCodes
}

// Run imports the codes.
func (c *couponImportCmd) Run(d *deps) error {
	if want, ok := mailer.ValidListName(c.Name); !ok {
		return usage("%q is no name of a list: %s", c.Name, want)
	}
	cfg, m, done, err := d.openFiles()
	if err != nil {
		return err
	}
	defer done()
	audience, ok := cfg.Audiences[c.Audience]
	if !ok {
		return usage("there is no audience %q: one of %s", c.Audience, strings.Join(slices.Sorted(maps.Keys(cfg.Audiences)), ", "))
	}
	codes, err := c.read(d.in)
	if err != nil {
		return usage("%w", err)
	}
	id, err := m.EnsureAudience(d.ctx, c.Audience, audience.Title)
	if err != nil {
		return err
	}
	a := couponImport{Version: 1, Audience: c.Audience, List: c.Name, DryRun: c.DryRun}
	a.ImportedCodes, err = mailer.ImportCodes(d.ctx, m, id, c.Name, c.Worth, &codes, crm.At(d.now()), c.DryRun)
	if a.Codes = codes; err != nil {
		return err
	}
	return c.answer(d, a)
}

func (c *couponImportCmd) read(in io.Reader) (codes mailer.Codes, err error) {
	if c.File == "-" {
		return mailer.ReadCodes(in)
	}
	f, err := os.Open(c.File)
	if err != nil {
		return codes, fmt.Errorf("opening the codes: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return mailer.ReadCodes(f)
}

// shownLines is how many mistakes of a kind are told one by one.
const shownLines = 20

func (c *couponImportCmd) answer(d *deps, a couponImport) error {
	var failed error
	if len(a.Mistakes) > 0 {
		failed = exitError{exitFailure, fmt.Errorf("%s: nothing was imported", count(len(a.Mistakes), "mistake"))}
	}
	if c.JSON {
		if failed != nil {
			failed = exitError{code: exitFailure}
		}
		return errors.Join(d.json(a), failed)
	}
	for _, of := range [][]mailer.CodeMistake{a.Mistakes, a.Repeated} {
		for _, m := range of[:min(len(of), shownLines)] {
			fmt.Fprintf(d.err, "line %d: %s\n", m.Line, m.Message)
		}
		if more := len(of) - shownLines; more > 0 {
			fmt.Fprintf(d.err, "… and %d more\n", more)
		}
	}
	if failed != nil {
		return failed
	}
	verb := "imported"
	if c.DryRun {
		verb = "would be imported (--dry-run: nothing was written)"
	}
	fmt.Fprintf(d.out, "%s %s, %d in the list %s already.\n", count(a.New, "code"), verb, a.Known, c.Name)
	return nil
}

type couponListCmd struct {
	JSON bool `help:"One JSON object on stdout." name:"json"`
}

// couponLists is the answer of coupon list --json. Version 1: keys may be added.
type couponLists struct {
	Version int                 `json:"version"`
	Lists   []mailer.CouponList `json:"lists"`
}

// Run shows the lists.
func (c *couponListCmd) Run(d *deps) error {
	_, m, done, err := d.openFiles()
	if err != nil {
		return err
	}
	defer done()
	lists, err := mailer.CouponLists(d.ctx, m.DB().Read(), crm.At(d.now()))
	if err != nil {
		return err
	}
	if c.JSON {
		return d.json(couponLists{1, lists})
	}
	if len(lists) == 0 {
		fmt.Fprintln(d.out, "There are no codes yet: relance coupon import NAME codes.txt")
		return nil
	}
	w := tabwriter.NewWriter(d.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "AUDIENCE\tLIST\tWORTH\tFREE\tBEING MADE\tGIVEN\tUSED\t")
	for _, l := range lists {
		note := ""
		if l.Low && !strings.Contains(l.List, "@") {
			note = "few are left"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\n", l.Audience, l.List, l.Worth, l.Free, l.Asked, l.Given, l.Used, note)
	}
	return w.Flush()
}
