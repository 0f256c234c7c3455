package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/relance/relance/config"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/mailer"
	"github.com/relance/relance/mailer/deliverability"
)

// doctorCmd groups what looks for the cause of trouble.
type doctorCmd struct {
	Shop doctorShopCmd `cmd:"" default:"withargs" help:"Write a diagnosis of a shop that can be shared."`
	Mail doctorMailCmd `cmd:"" help:"Find out whether mails will arrive: DNS records of the sender, rates, events, one-click."`
}

type doctorMailCmd struct {
	Audience string   `arg:"" optional:"" help:"Only this audience."`
	Resolver string   `help:"Name server to ask, instead of the machine's own." placeholder:"HOST:PORT"`
	Selector []string `help:"DKIM selector that the mail server signs with; may be repeated." placeholder:"NAME"`
	JSON     bool     `help:"One JSON object." name:"json"`
}

// Help says what is looked at.
func (doctorMailCmd) Help() string {
	return "Per audience: the address that mails come from, SPF, DKIM and DMARC of its domain, whether answers arrive, whether one click\n" +
		"unsubscribes, complaints and bounces of the last 7 days against what mailbox providers take, and whether the provider's events\n" +
		"come in. Only DNS is asked; nothing is sent or changed. Without network it says what it could not find out.\n\n" +
		"Exit code: 0 nothing is wrong (warnings are no failure), 1 something is, 2 the command line or the files are wrong.\n\n" +
		"Examples:\n\n  relance doctor mail\n  relance doctor mail default --resolver 9.9.9.9:53 --json"
}

// mailDiagnosis is the answer of doctor mail --json. Version 1: keys may be added.
type mailDiagnosis struct {
	Version   int                                 `json:"version"`
	OK        bool                                `json:"ok"` // nothing is bad
	Audiences map[string][]deliverability.Finding `json:"audiences"`
}

// Run asks and judges.
func (c *doctorMailCmd) Run(d *deps) error {
	cfg, m, done, err := d.openFiles()
	if err != nil {
		return err
	}
	defer done()
	if c.Resolver != "" {
		if _, _, err := net.SplitHostPort(c.Resolver); err != nil {
			return usage("%q is no name server; write host:port, such as 9.9.9.9:53", c.Resolver)
		}
	}
	names := slices.Sorted(maps.Keys(cfg.Audiences))
	if c.Audience != "" {
		if _, ok := cfg.Audiences[c.Audience]; !ok {
			return usage("there is no audience %q; there are: %s", c.Audience, strings.Join(names, ", "))
		}
		names = []string{c.Audience}
	}
	now := crm.At(d.now())
	healths, err := mailer.Healths(d.ctx, m, now)
	if err != nil {
		return err
	}
	dns := deliverability.NewDNS(c.Resolver)
	out := mailDiagnosis{Version: 1, OK: true, Audiences: map[string][]deliverability.Finding{}}
	for _, name := range names {
		a := cfg.Audiences[name]
		found := deliverability.Check(d.ctx, dns, deliverability.Sender{From: a.From, ReplyTo: a.ReplyTo, Via: a.Provider, Selectors: c.Selector})
		found = append(found, oneClick(cfg, a))
		h := healths[name]
		found = append(found, deliverability.Rates(deliverability.Fared{Days: 7, Delivered: h.Delivered, Bounced: h.Bounced, Complained: h.Complained})...)
		events, err := eventsFinding(d, m, cfg, name)
		if err != nil {
			return err
		}
		found = append(found, events)
		out.Audiences[name] = found
		out.OK = out.OK && !slices.ContainsFunc(found, func(f deliverability.Finding) bool { return f.Standing == deliverability.Bad })
	}
	if c.JSON {
		err = d.json(out)
	} else {
		out.print(d, names)
	}
	if err == nil && !out.OK {
		return exitError{code: exitFailure}
	}
	return err
}

func (g *mailDiagnosis) print(d *deps, names []string) {
	for _, name := range names {
		fmt.Fprintf(d.out, "%s\n", name)
		for _, f := range g.Audiences[name] {
			fmt.Fprintf(d.out, "  %-8s %-11s %s\n", f.Standing, f.Check, f.Says)
			for _, more := range []string{f.Record, f.Do} {
				if more != "" {
					fmt.Fprintf(d.out, "  %-8s %-11s %s\n", "", "", more)
				}
			}
		}
		fmt.Fprintln(d.out)
	}
}

// oneClick judges what RFC 8058 needs: an https address that mailbox providers reach, and a postal address beside it.
func oneClick(cfg *config.Config, a config.Audience) deliverability.Finding {
	f := deliverability.Finding{Check: "one_click", Standing: deliverability.Good, Says: "Every marketing mail carries List-Unsubscribe and List-Unsubscribe-Post; one click at " + cfg.PublicURL + " is enough."}
	switch {
	case !strings.HasPrefix(cfg.PublicURL, "https://"):
		f.Standing, f.Says = deliverability.Bad, "There is no https public_url: nobody could unsubscribe with one click, so no marketing mail leaves."
		f.Do = "Set public_url in relance.yaml to the https address of the public listener."
	case a.PostalAddress == "":
		f.Standing, f.Says, f.Do = deliverability.Bad, "The audience has no postal address, so no marketing mail leaves.", "Set postal_address in relance.yaml."
	}
	if f.Standing == deliverability.Bad && !a.Real() {
		f.Standing = deliverability.Warning // nothing leaves anyway
	}
	return f
}

// eventsOld is how long ago the last event may be while mails leave.
const eventsOld = 26 * time.Hour

// eventsFinding judges whether what becomes of mails is known here.
func eventsFinding(d *deps, m *mirror.Mirror, cfg *config.Config, name string) (deliverability.Finding, error) {
	a, f := cfg.Audiences[name], deliverability.Finding{Check: "events", Standing: deliverability.Good}
	if a.Provider != "sendgrid" {
		f.Says = fmt.Sprintf("%s tells of no events: bounces come back as mails to the sender, and clicks are seen by our own links.", cmp.Or(a.Provider, "outbox"))
		return f, nil
	}
	if a.SendGrid.WebhookKey == "" {
		f.Standing, f.Says = deliverability.Bad, "No verification key is set: bounces and complaints stay unknown, and such people are mailed again."
		f.Do = "At SendGrid, switch the Signed Event Webhook on for " + cmp.Or(cfg.PublicURL, "<public_url>") + "/events/" + name + " and set sendgrid.webhook_key."
		return f, nil
	}
	flow, err := mailer.FlowOf(d.ctx, m, name)
	if errors.Is(err, mirror.ErrNotFound) || err == nil && flow.LastHanded == 0 {
		f.Standing, f.Says = deliverability.Unknown, "Nothing has been sent yet, so no event is to be expected."
		return f, nil
	}
	switch {
	case err != nil:
		return f, err
	case flow.LastEvent == 0:
		f.Standing, f.Says, f.Do = deliverability.Bad, "No event has ever come in.", "At SendGrid, look at the address and the state of the Event Webhook, and send a test event."
	case flow.LastHanded > flow.LastEvent.Add(eventsOld):
		f.Standing, f.Says, f.Do = deliverability.Bad, "The last event came on "+rfc(flow.LastEvent)+", though mails have left since.", "At SendGrid, look whether the Event Webhook was switched off."
	default:
		f.Says = "Signed events come in; the last on " + rfc(flow.LastEvent) + "."
	}
	return f, nil
}
