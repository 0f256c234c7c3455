package main

import (
	"bufio"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/relance/relance/config"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
)

// quarantineCmd groups what is done about records that cannot be understood.
type quarantineCmd struct {
	List  quarantineListCmd  `cmd:"" help:"List what is in quarantine of a shop, with the reason and what to do."`
	Show  quarantineShowCmd  `cmd:"" help:"Show one record of quarantine as the shop sent it."`
	Retry quarantineRetryCmd `cmd:"" help:"Have records of quarantine read again."`
}

// openShop opens the database and finds a shop in it.
func (d *deps) openShop(name string) (m *mirror.Mirror, shop mirror.Shop, done func(), err error) {
	_, m, done, err = d.openFiles()
	if err != nil {
		return nil, shop, nil, err
	}
	shop, err = m.ShopByName(d.ctx, name)
	if errors.Is(err, mirror.ErrNotFound) {
		err = usage("there is no shop %q in the database; see relance status", name)
	}
	if err != nil {
		done()
		return nil, shop, nil, err
	}
	return m, shop, done, nil
}

type quarantineListCmd struct {
	Shop string `arg:"" help:"Name of the shop."`
	Kind string `help:"Only this kind: customer, order, refund, cart, product, category…" placeholder:"KIND"`
	JSON bool   `help:"One JSON object." name:"json"`
}

// Help shows examples.
func (quarantineListCmd) Help() string {
	return "A record that cannot be understood stops nothing: it waits here with its reason, and the rest goes on. It leaves by itself as soon as\n" +
		"it is read in a form that can be applied. Reasons hold nothing personal.\n\n" +
		"Examples:\n\n  relance quarantine list boutique\n  relance quarantine list boutique --kind order --json"
}

// heldRecord is a record of quarantine. Version 1 of the answers: keys may be added.
type heldRecord struct {
	Kind     crm.Kind `json:"kind"`
	ID       string   `json:"id"`
	Reason   string   `json:"reason"`
	Do       string   `json:"do"` // what to do, a sentence
	FirstAt  string   `json:"first_at"`
	LastAt   string   `json:"last_at"`
	Attempts int64    `json:"attempts"`
	Retry    bool     `json:"retryable"`
}

func held(r mirror.QuarantineRow) heldRecord {
	return heldRecord{
		Kind: r.Kind, ID: r.ID, Reason: r.Reason, Do: remedy(r), FirstAt: rfc(r.FirstAt), LastAt: rfc(r.LastAt),
		Attempts: r.Attempts, Retry: r.Retryable(),
	}
}

// Run lists them.
func (c *quarantineListCmd) Run(d *deps) error {
	kind, err := anyKind(c.Kind)
	if err != nil {
		return err
	}
	m, shop, done, err := d.openShop(c.Shop)
	if err != nil {
		return err
	}
	defer done()
	rows, err := allHeld(d, m, shop.ID, kind)
	if err != nil {
		return err
	}
	if c.JSON {
		out := struct {
			Version int          `json:"version"`
			Shop    string       `json:"shop"`
			Records []heldRecord `json:"records"`
		}{1, shop.Name, []heldRecord{}}
		for _, r := range rows {
			out.Records = append(out.Records, held(r))
		}
		return d.json(out)
	}
	if len(rows) == 0 {
		fmt.Fprintf(d.out, "Nothing of shop %s is in quarantine.\n", shop.Name)
		return nil
	}
	t := tabwriter.NewWriter(d.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "KIND\tID\tSINCE\tTRIES\tREASON")
	var todo []string
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\n", r.Kind, clipped(r.ID), r.FirstAt.Time().Format("2006-01-02 15:04"), r.Attempts, clipped(r.Reason))
		if do := remedy(r); !slices.Contains(todo, do) {
			todo = append(todo, do)
		}
	}
	_ = t.Flush() // the terminal's errors are nobody's
	fmt.Fprintf(d.out, "\n%s. What to do:\n", count(len(rows), "record"))
	for _, do := range todo {
		fmt.Fprintf(d.out, "  %s\n", do)
	}
	fmt.Fprintf(d.out, "\nOne of them whole: relance quarantine show %s KIND ID; to have them read again: relance quarantine retry %s\n", shop.Name, shop.Name)
	return nil
}

// allHeld pages through a shop's quarantine.
func allHeld(d *deps, m *mirror.Mirror, shopID int64, kind crm.Kind) ([]mirror.QuarantineRow, error) {
	var all []mirror.QuarantineRow
	after := ""
	for {
		rows, err := m.Quarantined(d.ctx, shopID, kind, after, 500)
		all = append(all, rows...)
		if err != nil || len(rows) == 0 {
			return all, err
		}
		after = rows[len(rows)-1].After()
	}
}

type quarantineShowCmd struct {
	Shop string `arg:"" help:"Name of the shop."`
	Kind string `arg:"" help:"Kind of the record."`
	ID   string `arg:"" help:"Its id as the list shows it; - reads it from standard input."`
	JSON bool   `help:"One JSON object." name:"json"`
}

// Help says what is shown.
func (quarantineShowCmd) Help() string {
	return "Shows the reason, what to do, and the record as the shop sent it, which may hold personal data: it is for your eyes.\n\n" +
		"Examples:\n\n  relance quarantine show boutique order 1042\n  relance quarantine show boutique order 1042 --json | jq -r .body"
}

// Run shows it.
func (c *quarantineShowCmd) Run(d *deps) error {
	ref, err := d.refNamed(c.Kind, c.ID)
	if err != nil {
		return err
	}
	m, shop, done, err := d.openShop(c.Shop)
	if err != nil {
		return err
	}
	defer done()
	row, raw, err := m.QuarantineRaw(d.ctx, shop.ID, ref)
	if errors.Is(err, mirror.ErrNotFound) {
		return fmt.Errorf("%s is not in quarantine of shop %s; it may have been understood since", refText(ref), shop.Name)
	}
	if err != nil {
		return err
	}
	h := held(row)
	if c.JSON {
		return d.json(struct {
			Version int    `json:"version"`
			Shop    string `json:"shop"`
			heldRecord
			Body string `json:"body"`
		}{1, shop.Name, h, string(raw)})
	}
	fmt.Fprintf(d.out, "%s of shop %s, in quarantine since %s, %s\n\nReason   %s\nTo do    %s\n\n", refText(ref), shop.Name, h.FirstAt, countTries(h.Attempts), clipped(h.Reason), h.Do)
	if raw == nil {
		fmt.Fprintln(d.out, "Its body was not kept.")
		return nil
	}
	fmt.Fprintln(d.out, "As the shop sent it")
	t := tabwriter.NewWriter(d.out, 0, 0, 2, ' ', 0)
	for _, f := range flatten(raw) {
		fmt.Fprintf(t, "  %s\t%s\n", f.Field, f.Value)
	}
	_ = t.Flush()
	return nil
}

func countTries(n int64) string {
	if n == 1 {
		return "1 try"
	}
	return fmt.Sprintf("%d different tries", n)
}

type quarantineRetryCmd struct {
	Shop string `arg:"" help:"Name of the shop."`
	Kind string `arg:"" optional:"" help:"Only this kind."`
	ID   string `arg:"" optional:"" help:"Only this record; - reads ids from standard input, one a line."`
	JSON bool   `help:"One JSON object." name:"json"`
}

// Help says what happens.
func (quarantineRetryCmd) Help() string {
	return "The shop is asked for the records again, by the relance that runs or the next that does. What can be applied by then leaves quarantine;\n" +
		"the rest stays with its new reason. Records whose id cannot be read are read again with their stream only.\n\n" +
		"Exit code: 0 they are queued, 1 there is nothing to read again, 2 the command line or the files are wrong.\n\n" +
		"Examples:\n\n  relance quarantine retry boutique\n  relance quarantine retry boutique order\n  relance quarantine retry boutique order 1042"
}

// Run queues them.
func (c *quarantineRetryCmd) Run(d *deps) error {
	kind, err := anyKind(c.Kind)
	if err != nil {
		return err
	}
	m, shop, done, err := d.openShop(c.Shop)
	if err != nil {
		return err
	}
	defer done()
	if wayOf(shop.Platform) != wayOf(config.WooCommerce) {
		return usage("shop %s sends its records itself: nothing can be read again. Its sender sends them again, mended", shop.Name)
	}
	refs, err := c.refs(d, m, shop.ID, kind)
	if err != nil {
		return err
	}
	queued, err := m.RetryQuarantine(d.ctx, shop.ID, refs, crm.At(d.now()))
	if err != nil {
		return err
	}
	if c.JSON {
		err = d.json(map[string]any{"version": 1, "shop": shop.Name, "queued": queued, "left": len(refs) - queued})
	} else {
		fmt.Fprintf(d.out, "%s of shop %s will be read again as soon as relance run is at work; %d cannot be asked for.\n", count(queued, "record"), shop.Name, len(refs)-queued)
	}
	if err == nil && queued == 0 {
		return exitError{code: exitFailure}
	}
	return err
}

// refs are the records meant.
func (c *quarantineRetryCmd) refs(d *deps, m *mirror.Mirror, shopID int64, kind crm.Kind) ([]crm.Ref, error) {
	if c.ID != "" && c.ID != "-" {
		return []crm.Ref{{Kind: kind, ID: c.ID}}, nil
	}
	var refs []crm.Ref
	if c.ID == "-" {
		lines := bufio.NewScanner(d.in)
		for lines.Scan() {
			if id := strings.TrimSpace(lines.Text()); id != "" {
				refs = append(refs, crm.Ref{Kind: kind, ID: id})
			}
		}
		return refs, lines.Err()
	}
	rows, err := allHeld(d, m, shopID, kind)
	for _, r := range rows {
		refs = append(refs, crm.Ref{Kind: r.Kind, ID: r.ID})
	}
	return refs, err
}

// remedy says what to do about a record, by its reason.
func remedy(r mirror.QuarantineRow) string {
	reason := strings.ToLower(r.Reason)
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(reason, w) })
	}
	switch {
	case has("/records/"):
		return "It was pushed in a form that is not ours: mend the sender and have it send the record again (docs/push-api.md)."
	case has("fails on", "cannot show"):
		return "The shop itself breaks on it: have its developer mend what the reason names (often a plugin or module), then retry."
	case !r.Retryable():
		return "Its id cannot be read, so it cannot be asked for: look at its body, and mend the record (or the plugin that writes it) in the shop."
	case has("json", "invalid character", "unexpected end", "broken off", "truncated"):
		return "The answer is no whole JSON, often because the shop prints PHP warnings into it: switch display_errors off in the shop, then retry."
	case has("currency"):
		return "Its currency is missing, or the shop no longer has it: add the currency again or correct the record in the shop, then retry."
	case has("amount", "number", "decimal", "price", "quantity"):
		return "A number is none: open the record in the shop, correct the amount (often a plugin wrote text into it) and save; it is then read again by itself."
	case has("date", "time", "instant"):
		return "A date cannot be read: open the record in the shop, correct it and save; it is then read again by itself."
	case has("too long", "too large", "does not fit", "out of range", "database"):
		return "It does not fit into the mirror: shorten what is too long in the shop and save; it is then read again by itself."
	}
	return "Look at its body (relance quarantine show), mend the record in the shop and save it; it is then read again by itself. If it looks right, it is a mistake of ours: relance doctor makes a report to share."
}
