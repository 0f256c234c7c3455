package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/relance/relance/mailer"
)

type campaignWorthCmd struct {
	Name string `arg:"" help:"Campaign."`
	JSON bool   `help:"One JSON object." name:"json"`
}

// Help shows examples.
func (campaignWorthCmd) Help() string {
	return "Orders that the campaign's mails brought, by a code or a click, net of refunds; carts ordered after a mail about them; and whether " +
		"those who were mailed buy more than the holdout.\n\nExamples:\n\n  relance campaign worth win_back\n  relance campaign worth win_back --json"
}

// Run tells.
func (c *campaignWorthCmd) Run(d *deps) error {
	cfg, m, done, err := d.openFiles()
	if err != nil {
		return err
	}
	defer done()
	infos, err := mailer.Infos(d.ctx, m.DB().Read())
	if err != nil {
		return err
	}
	at := slices.IndexFunc(infos, func(i mailer.CampaignInfo) bool { return i.ID == c.Name })
	if _, inFiles := cfg.Campaigns[c.Name]; at < 0 && !inFiles {
		return notInFiles(cfg, c.Name)
	}
	w, err := mailer.Worth(d.ctx, m.DB().Read(), c.Name)
	if err != nil {
		return err
	}
	if c.JSON {
		return d.json(struct {
			Version int `json:"version"`
			mailer.WorthInfo
		}{1, w})
	}
	return printWorth(d.out, w, d.now())
}

func printWorth(out io.Writer, w mailer.WorthInfo, now time.Time) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\tmails\tclicked\torders\trevenue\tper mail\tcarts recovered")
	parts := []mailer.WorthPart{w.Total}
	names := []string{w.Campaign}
	for _, p := range w.Steps {
		parts, names = append(parts, p), append(names, "  step "+p.Step)
	}
	for _, p := range w.Variants {
		parts, names = append(parts, p), append(names, "  variant "+p.Variant)
	}
	for i, p := range parts {
		name, mails, clicked := names[i], fmt.Sprint(p.Mails), fmt.Sprint(p.Clicked)
		if len(p.Earned) == 0 {
			fmt.Fprintf(t, "%s\t%s\t%s\t0\t\t\t\n", name, mails, clicked)
		}
		for _, e := range p.Earned {
			fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s %s\t%s\t%s\n", name, mails, clicked, e.Orders, e.Revenue, e.Currency, e.PerMail, cartsText(e))
			name, mails, clicked = "", "", ""
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if w.Lift == nil {
		fmt.Fprintln(out, "Compared with a holdout: not yet. It takes a holdout (holdout: 10 %) and, then, a day.")
		return nil
	}
	fmt.Fprintf(out, "Compared with the holdout, by who bought within %.3g days: %s\n", w.Lift.Days, w.Lift.Says)
	fmt.Fprintf(out, "Computed on %s, %s ago.\n", rfc(w.Lift.ComputedAt), now.Sub(w.Lift.ComputedAt.Time()).Round(time.Minute))
	return nil
}

func cartsText(e mailer.Earned) string {
	if e.Carts == 0 {
		return ""
	}
	return fmt.Sprintf("%d, %s %s", e.Carts, e.CartValue, e.Currency)
}

// earnedText says what a campaign's mails brought; "" when nothing is known.
func earnedText(earned []mailer.Earned) string {
	var parts []string
	for _, e := range earned {
		if e.Orders > 0 {
			parts = append(parts, fmt.Sprintf("%d orders of %s %s", e.Orders, e.Revenue, e.Currency))
		}
		if e.Carts > 0 {
			parts = append(parts, fmt.Sprintf("%d carts of %s %s recovered", e.Carts, e.CartValue, e.Currency))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "brought " + strings.Join(parts, ", ")
}
