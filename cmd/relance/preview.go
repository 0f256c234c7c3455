package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/relance/relance/config"
	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
)

type previewCmd struct {
	Shop string `arg:"" help:"Name of the shop."`
	Kind string `arg:"" help:"customer, order, refund, cart, product or category."`
	ID   string `arg:"" help:"The record's id in the shop; - reads it from standard input."`
	JSON bool   `help:"One JSON object." name:"json"`
}

// Help says what it shows.
func (previewCmd) Help() string {
	return "Asks the shop for one real record and shows its fields as they came, what every line of the mapping finds in it, and the facts that\n" +
		"would be stored. Nothing is written, and no database is needed. What is shown is a person's data: it is for your eyes.\n\n" +
		"Exit code: 0 the record was read, 1 the shop does not answer or the record cannot be understood, 2 the files or the command line are wrong.\n\n" +
		"Examples:\n\n  relance shop preview boutique customer 12\n  relance shop preview boutique order 1042 --json\n  echo 12 | relance shop preview boutique customer -"
}

// previewed is the answer of shop preview --json. Version 1: keys may be added.
type previewed struct {
	Version  int             `json:"version"`
	Shop     string          `json:"shop"`
	Kind     crm.Kind        `json:"kind"`
	ID       string          `json:"id"`
	Raw      []rawField      `json:"raw"`
	Mapping  []mappedLine    `json:"mapping"`
	Facts    []shownFact     `json:"facts"`
	Mistakes []string        `json:"mistakes"`
	bodies   []crm.Fact      // behind Facts
	source   config.Shop     // the shop as written
	raw      connectors.Page // as read
}

// Run reads the record and shows it.
func (c *previewCmd) Run(d *deps) error {
	cfg, err := d.load()
	if err != nil {
		return err
	}
	shop, err := knownShop(cfg, c.Shop)
	if err != nil {
		return err
	}
	ref, err := d.refNamed(c.Kind, c.ID)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(d.ctx, 2*time.Minute)
	defer cancel()
	p, err := preview(ctx, d, shop, c.Shop, ref)
	if err != nil {
		return err
	}
	if c.JSON {
		err = d.json(p)
	} else {
		p.print(d)
	}
	if err == nil && len(p.raw.Rejected) > 0 {
		return exitError{code: exitFailure}
	}
	return err
}

func preview(ctx context.Context, d *deps, shop config.Shop, name string, ref crm.Ref) (*previewed, error) {
	o := appOptions{now: d.now, transport: d.transport}
	source, err := sourceOf(shop, "", o)
	if err != nil {
		return nil, err
	}
	if source == nil {
		return nil, usage("shop %s sends its records itself: there is nothing to read. Its rejected records: relance quarantine list %s", name, name)
	}
	page, err := source.Read(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("reading %s of shop %s: %w", refText(ref), name, err)
	}
	p := &previewed{Version: 1, Shop: name, Kind: ref.Kind, ID: ref.ID, Raw: []rawField{}, Mapping: []mappedLine{}, Facts: []shownFact{}, Mistakes: []string{}, source: shop, raw: page}
	if gone(page, ref) {
		return nil, fmt.Errorf("reading %s of shop %s: %w", refText(ref), name, errors.New("the shop has no such record"))
	}
	for _, r := range page.Raw {
		if r.Ref == ref {
			p.Raw = append(p.Raw, flatten(r.Body)...)
		}
	}
	for _, r := range page.Rejected {
		p.Mistakes = append(p.Mistakes, "This record would go to quarantine: "+r.Reason+".")
		if len(page.Raw) == 0 {
			p.Raw = append(p.Raw, flatten(r.Raw)...)
		}
	}
	for _, f := range page.Facts {
		p.bodies = append(p.bodies, f)
		p.Facts = append(p.Facts, show(f))
	}
	p.explainMapping(ctx, o, ref)
	return p, nil
}

// gone: the shop says that the record is not there.
func gone(page connectors.Page, ref crm.Ref) bool {
	for _, f := range page.Facts {
		if f.Ref == ref && !f.Gone {
			return false
		}
	}
	return len(page.Facts) > 0 && len(page.Rejected) == 0
}

func (p *previewed) print(d *deps) {
	fmt.Fprintf(d.out, "%s %s of shop %s (%s)\n\nWhat the shop sent\n", p.Kind, p.ID, p.Shop, p.source.Platform)
	t := tabwriter.NewWriter(d.out, 0, 0, 2, ' ', 0)
	for _, f := range p.Raw {
		fmt.Fprintf(t, "  %s\t%s\n", f.Field, f.Value)
	}
	_ = t.Flush() // the terminal's errors are nobody's
	fmt.Fprintln(d.out, "\nWhat the mapping finds")
	if len(p.Mapping) == 0 {
		fmt.Fprintf(d.out, "  Nothing is mapped for a %s.\n", p.Kind)
	}
	for _, m := range p.Mapping {
		fmt.Fprintf(t, "  %s\t%s\t%s\n", m.Line, m.Expression, m.Means)
	}
	_ = t.Flush()
	fmt.Fprintln(d.out, "\nWhat would be stored")
	if len(p.Facts) == 0 {
		fmt.Fprintln(d.out, "  Nothing.")
	}
	for _, f := range p.Facts {
		fmt.Fprintf(d.out, "  %s of %s %s%s\n", f.Facet, f.Kind, f.ID, map[bool]string{true: ": gone", false: ""}[f.Gone])
		for _, v := range f.Values {
			fmt.Fprintf(t, "    %s\t%s\n", v.Field, v.Value)
		}
		_ = t.Flush()
	}
	if len(p.Mistakes) > 0 {
		fmt.Fprintln(d.out, "\nWhat to look at")
	}
	for _, m := range p.Mistakes {
		fmt.Fprintf(d.out, "  %s\n", m)
	}
	fmt.Fprintln(d.out, "\nNothing was written.")
}
