package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/relance/relance/config"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/sync/engine"
	"github.com/relance/relance/sync/imported"
)

type importCmd struct {
	File     string            `arg:"" help:"The list, a CSV file; - for standard input."`
	Audience string            `help:"Whose contacts they become." default:"default" placeholder:"NAME"`
	Map      map[string]string `help:"Which column holds a field, where it is not recognised; an empty column leaves the field out. Repeatable." mapsep:"none" placeholder:"FIELD=COLUMN"`
	Dates    string            `help:"What comes first in dates such as 03/04/2026: dmy (the day) or mdy (the month)." enum:",dmy,mdy" default:"" placeholder:"ORDER"`
	DryRun   bool              `help:"Only look at the list and tell what it holds."`
	JSON     bool              `help:"One JSON object on stdout." name:"json"`
}

// Help says what becomes of a list, and shows examples.
func (importCmd) Help() string {
	return "Imports people with their consents and the proof of them. The whole list is checked first: with a mistake in any row nothing is\n" +
		"imported. Cut off, the same command goes on where it was; a list imported again changes nothing. Imported people trigger nothing,\n" +
		"who withdrew stays withdrawn, who was erased stays erased.\n\n" +
		"Fields: " + strings.Join(imported.Fields(), ", ") + ", attributes.NAME\n\nExamples:\n\n" +
		"  relance import contacts.csv --dry-run\n  relance import contacts.csv --map email=\"E-mail\" --map attributes.size=Taille\n  zcat old.csv.gz | relance import - --audience brand"
}

// imports is the answer of import --json. Version 1: keys may be added.
type imports struct {
	Version  int    `json:"version"`
	File     string `json:"file"`
	Audience string `json:"audience"`
	DryRun   bool   `json:"dry_run"`
	imported.Report
	Applied *imported.Applied `json:"applied,omitempty"` // absent when nothing was imported
	Seconds float64           `json:"seconds"`
}

// Run imports the list.
func (c *importCmd) Run(d *deps) error {
	cfg, m, done, err := d.openFiles()
	if err != nil {
		return err
	}
	defer done()
	if _, ok := cfg.Audiences[c.Audience]; !ok {
		return usage("there is no audience %q: one of %s", c.Audience, strings.Join(slices.Sorted(maps.Keys(cfg.Audiences)), ", "))
	}
	in, name, closeList, err := c.openList(d)
	if err != nil {
		return err
	}
	defer closeList()
	zone, locale, err := c.local(d.ctx, cfg, m)
	if err != nil {
		return err
	}
	begun := time.Now()
	o := imported.Options{File: name, Map: c.Map, Dates: c.Dates, Now: d.now()}
	if o.Zone, err = time.LoadLocation(zone); err != nil { // a shop's fixed offset: near enough for days
		o.Zone, zone = time.UTC, ""
	}
	list, err := imported.Read(in, o)
	if err != nil {
		return usage("reading %s: %w", name, err)
	}
	a := imports{Version: 1, File: name, Audience: c.Audience, DryRun: c.DryRun}
	if list.ErrorCount == 0 && !c.DryRun {
		var applied imported.Applied
		if applied, err = c.apply(d, m, list, zone, locale); err == nil {
			a.Applied = &applied
		}
	}
	a.Report, a.Seconds = list.Report, time.Since(begun).Seconds()
	if err != nil {
		return err
	}
	return c.answer(d, a)
}

// openList gives the list so that it can be read twice: standard input is kept in a file that nobody else can read, and
// that is gone afterwards.
func (c *importCmd) openList(d *deps) (f *os.File, name string, done func(), err error) {
	if c.File != "-" {
		if f, err = os.Open(c.File); err != nil {
			return nil, "", nil, usage("opening the list: %w", err)
		}
		return f, filepath.Base(c.File), func() { _ = f.Close() }, nil // it was only read
	}
	if f, err = os.CreateTemp("", "relance-import-*"); err != nil {
		return nil, "", nil, fmt.Errorf("keeping standard input: %w", err)
	}
	done = func() {
		if err := errors.Join(f.Close(), os.Remove(f.Name())); err != nil {
			fmt.Fprintln(d.err, "removing what was kept of standard input:", err)
		}
	}
	if _, err = io.Copy(f, d.in); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		done()
		return nil, "", nil, fmt.Errorf("reading standard input: %w", err)
	}
	return f, "standard input", done, nil
}

// local is the zone and locale of people of whom nothing better is known: those of the audience's first shop that has
// them.
func (c *importCmd) local(ctx context.Context, cfg *config.Config, m *mirror.Mirror) (zone, locale string, err error) {
	for _, name := range slices.Sorted(maps.Keys(cfg.Shops)) {
		if s := cfg.Shops[name]; s.Audience == c.Audience {
			zone, locale = cmp.Or(zone, s.Zone), cmp.Or(locale, s.Locale)
		}
	}
	shops, err := m.Shops(ctx)
	for _, s := range shops {
		if s.Audience == c.Audience && s.Platform != mirror.PlatformImport {
			zone, locale = cmp.Or(zone, s.Zone), cmp.Or(locale, s.Locale)
		}
	}
	return zone, locale, err
}

func (c *importCmd) apply(d *deps, m *mirror.Mirror, list *imported.List, zone, locale string) (imported.Applied, error) {
	shop, err := imported.Home(d.ctx, m, c.Audience, zone, locale, crm.At(d.now()))
	if err != nil {
		return imported.Applied{}, err
	}
	shown := newProgress(d.err)
	a, err := list.Apply(d.ctx, m, shop, func(done, total int) {
		shown.update(engine.Progress{Shop: "import", Stream: c.Audience, Done: done, Total: total, Finished: done == total})
	})
	shown.end()
	if err != nil && d.ctx.Err() != nil {
		return a, errors.New("interrupted; the same command goes on from here")
	}
	return a, err
}

// answer tells what the list holds and what became of it; mistakes in it are exit code 1.
func (c *importCmd) answer(d *deps, a imports) error {
	var err error
	if a.ErrorCount > 0 {
		err = exitError{code: exitFailure}
	}
	if c.JSON {
		return errors.Join(d.json(a), err)
	}
	sayList(d.out, a)
	switch {
	case a.ErrorCount > 0:
		for _, e := range a.Errors {
			where := fmt.Sprintf("line %d", e.Line)
			if e.Column != "" {
				where += ", " + e.Column
			}
			fmt.Fprintf(d.err, "%s: %s\n", where, e.Message)
		}
		if more := a.ErrorCount - len(a.Errors); more > 0 {
			fmt.Fprintf(d.err, "… and %d more\n", more)
		}
		return exitError{exitFailure, fmt.Errorf("%s: nothing was imported", count(a.ErrorCount, "mistake"))}
	case c.DryRun:
		fmt.Fprintln(d.out, "Nothing was written (--dry-run).")
	default:
		if a.Applied.Resumed > 0 {
			fmt.Fprintf(d.out, "Went on after row %d, where the import was cut off.\n", a.Applied.Resumed)
		}
		fmt.Fprintf(d.out, "Imported: %d new, %d changed, %d as they were.\n", a.Applied.New, a.Applied.Changed, a.Applied.Unchanged)
	}
	return nil
}

func sayList(w io.Writer, a imports) {
	fmt.Fprintf(w, "%s: %s, %s\n", a.File, count(a.Rows, "row"), people(a.People))
	if a.Encoding != imported.UTF8 {
		fmt.Fprintf(w, "  It is not UTF-8 and was read as %s: look whether accents are right.\n", a.Encoding)
	}
	for _, field := range slices.Sorted(maps.Keys(a.Columns)) {
		fmt.Fprintf(w, "  %-16s %s\n", field, a.Columns[field])
	}
	if len(a.Unused) > 0 {
		fmt.Fprintf(w, "  not used         %s\n", strings.Join(a.Unused, ", "))
	}
	fmt.Fprintf(w, "  %d state a consent, %d its end, %d say nothing of it\n", a.Granted, a.Withdrawn, a.Silent)
}

func people(n int) string {
	if n == 1 {
		return "1 person"
	}
	return fmt.Sprintf("%d people", n)
}
