package main

import (
	"cmp"
	"fmt"
	"net/mail"

	"github.com/relance/relance/config"
	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/mailer"
	"github.com/relance/relance/mailer/outbox"
)

type campaignTestSendCmd struct {
	Name    string `arg:"" help:"Campaign."`
	Contact string `arg:"" help:"Whose mail: e-mail, - to read it from standard input, or contact id. Nothing is sent to them."`
	To      string `help:"Where to send it." required:"" placeholder:"ADDRESS"`
	Step    string `help:"Which step's mail; the first that sends when absent." placeholder:"ID"`
	Locale  string `help:"The contact's language, instead of their own." placeholder:"fr"`
	Yes     bool   `help:"Do not ask." short:"y"`
	JSON    bool   `help:"One JSON object." name:"json"`
}

// Help shows examples.
func (campaignTestSendCmd) Help() string {
	return "The mail goes through the audience's real provider, marked [Test], whatever the gate would say. It is in no ledger and counts for nothing: " +
		"its links lead where the contact's would, but act for nobody, so that unsubscribing in it unsubscribes no one. No coupon is taken.\n\n" +
		"Examples:\n\n  relance campaign test-send win_back somebody@example.com --to me@agency.example\n" +
		"  relance campaign test-send win_back 6xj8ewwq2a1s --to me@agency.example --step offer --yes"
}

// testSent is the answer of campaign test-send --json. Version 1: keys may be added.
type testSent struct {
	Version   int    `json:"version"`
	Campaign  string `json:"campaign"`
	Step      string `json:"step"`
	Send      string `json:"send"`       // in no ledger
	MessageID string `json:"message_id"` // the provider's
	Provider  string `json:"provider"`
}

// Run asks, and sends one mail.
func (c *campaignTestSendCmd) Run(d *deps) error {
	if a, err := mail.ParseAddress(c.To); err != nil || a.Address != c.To {
		return usage("--to is no e-mail address: say it bare, as in --to me@agency.example")
	}
	cfg, m, done, err := d.openFiles()
	if err != nil {
		return err
	}
	defer done()
	p, err := d.preview(cfg, m, c.Name, c.Contact, c.Step, c.Locale)
	if err != nil {
		return err
	}
	one := p.mails[0]
	letter, err := one.TestMail(c.To)
	if err != nil {
		return err
	}
	by, err := d.testProvider(cfg, cfg.Campaigns[c.Name])
	if err != nil {
		return err
	}
	if !c.JSON {
		fmt.Fprintf(d.out, "%s, step %s, to %s by %s: %s\n", c.Name, one.Step, c.To, by.Name(), mailer.OneLine(cmp.Or(letter.Subject, "template "+letter.TemplateID)))
		if cfg.PublicURL == "" {
			fmt.Fprintln(d.out, "public_url is not set in relance.yaml: links to pages of Relance lead nowhere.")
		}
	}
	if !c.Yes {
		if err := d.confirm("Send it?"); err != nil {
			return err
		}
	}
	a := testSent{Version: 1, Campaign: c.Name, Step: one.Step, Send: letter.SendID, Provider: by.Name()}
	if a.MessageID, err = mailer.SendTest(d.ctx, by, letter); err != nil {
		return err
	}
	if c.JSON {
		return d.json(a)
	}
	if by.Real() {
		fmt.Fprintf(d.out, "%s took it. ", by.Name())
	} else {
		fmt.Fprint(d.out, "It is kept in the outbox: this audience sends nothing. ")
	}
	fmt.Fprintln(d.out, "The contact got nothing, and its links act for nobody.")
	return nil
}

// testProvider is what sends the mails of a campaign's audience.
func (d *deps) testProvider(cfg *config.Config, spec mailer.CampaignSpec) (mailer.Provider, error) {
	name := cmp.Or(spec.Audience, "default")
	c, ok := cfg.Audiences[name]
	if !ok || c.From == "" {
		return nil, &fault.Error{Class: fault.Operator, Op: "sending the test mail", Err: fmt.Errorf("the audience %s has no sender", name), Hint: "Give it from: in relance.yaml"}
	}
	if p := providerOf(c, d.transport); p != nil {
		return p, nil
	}
	return outbox.New(c.Outbox.Dir)
}
