package main

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/relance/relance/config"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/mailer"
	"github.com/relance/relance/mailer/render"
)

type campaignPreviewCmd struct {
	Name    string `arg:"" help:"Campaign."`
	Contact string `arg:"" optional:"" help:"E-mail, - to read it from standard input, or contact id."`
	Step    string `help:"Only this step." placeholder:"ID"`
	Locale  string `help:"The contact's language, instead of their own." placeholder:"fr"`
	Sample  bool   `help:"Made-up data instead of a contact's."`
	Browser bool   `help:"Lay the mails out as files and open them in the browser."`
	JSON    bool   `help:"One JSON object." name:"json"`
}

// Help shows examples.
func (campaignPreviewCmd) Help() string {
	return "The mail of every step that sends, filled in with what is known of the contact now, from the files as they are: edit a template and look again. " +
		"Nothing is written or sent, no coupon is taken (" + mailer.PlaceholderCode + " stands in its place), and the links in it act for nobody.\n\n" +
		"Examples:\n\n  relance campaign preview win_back somebody@example.com\n  echo somebody@example.com | relance campaign preview win_back - --step offer --browser\n" +
		"  relance campaign preview win_back --sample --locale fr"
}

// Run shows the mails.
func (c *campaignPreviewCmd) Run(d *deps) error {
	if c.Sample == (c.Contact != "") {
		return usage("say a contact, or --sample for made-up data")
	}
	show := c.ofContact
	if c.Sample {
		show = c.ofNobody
	}
	a, err := show(d)
	if err != nil {
		return err
	}
	if c.Browser {
		if a.Folder, a.Opened, err = d.browse(a); err != nil {
			return err
		}
	}
	if c.JSON {
		err = d.json(a)
	} else {
		a.print(d.out)
	}
	for _, m := range a.Mails {
		if err == nil && m.Failed != "" {
			err = exitError{exitFailure, fmt.Errorf("step %s could not be filled in", m.Step)}
		}
	}
	return err
}

// ofContact previews a contact's mails.
func (c *campaignPreviewCmd) ofContact(d *deps) (previewAnswer, error) {
	cfg, m, done, err := d.openFiles()
	if err != nil {
		return previewAnswer{}, err
	}
	defer done()
	p, err := d.preview(cfg, m, c.Name, c.Contact, c.Step, c.Locale)
	if err != nil {
		return previewAnswer{}, err
	}
	a := previewAnswer{Version: 1, Campaign: c.Name, State: p.mails[0].State, Contact: p.contact, keys: p.keys}
	for _, one := range p.mails {
		a.add(one)
	}
	if cfg.PublicURL == "" {
		a.Notes = append(a.Notes, "public_url is not set in relance.yaml: links to pages of Relance lead nowhere.")
	}
	return a, nil
}

// previewing is what a preview found, and what it was made with.
type previewing struct {
	contact int64
	mails   []mailer.Previewed // one at least
	keys    mailer.Keys
}

// preview fills in a campaign's mails for one contact.
func (d *deps) preview(cfg *config.Config, m *mirror.Mirror, name, contact, step, locale string) (p previewing, err error) {
	spec, ok := cfg.Campaigns[name]
	if !ok {
		return p, notInFiles(cfg, name)
	}
	if err := knownStep(cfg, name, step); err != nil {
		return p, err
	}
	if p.contact, err = d.contactID(m, contact, cmp.Or(spec.Audience, "default")); err != nil {
		return p, err
	}
	if p.keys, err = previewKeys(cfg); err != nil {
		return p, err
	}
	engine, err := judgingWith(d.ctx, cfg, m, p.keys)
	if err != nil {
		return p, err
	}
	p.mails, err = engine.Preview(d.ctx, mailer.PreviewOptions{
		Campaign: name, Spec: spec, Segments: cfg.Segments, ContactID: p.contact, Step: step, Locale: locale,
	}, d.now())
	return p, err
}

// knownStep refuses a step that sends nothing, and a campaign without one that does.
func knownStep(cfg *config.Config, name, step string) error {
	var ids []string
	for _, s := range mailer.SendSteps(name, cfg.Campaigns[name], cfg.Segments) {
		ids = append(ids, s.Step)
	}
	switch {
	case len(ids) == 0:
		return usage("no step of campaign %s sends a mail", name)
	case step != "" && !slices.Contains(ids, step):
		return usage("no step %q of campaign %s sends a mail; there are %s", step, name, strings.Join(ids, ", "))
	}
	return nil
}

// ofNobody previews the templates with made-up data.
func (c *campaignPreviewCmd) ofNobody(d *deps) (previewAnswer, error) {
	cfg, err := d.load()
	if err != nil {
		return previewAnswer{}, err
	}
	spec, ok := cfg.Campaigns[c.Name]
	if !ok {
		return previewAnswer{}, notInFiles(cfg, c.Name)
	}
	if err := knownStep(cfg, c.Name, c.Step); err != nil {
		return previewAnswer{}, err
	}
	from := cfg.Audiences[cmp.Or(spec.Audience, "default")]
	a := previewAnswer{Version: 1, Campaign: c.Name, Sample: true}
	for _, one := range mailer.SendSteps(c.Name, spec, cfg.Segments) {
		if c.Step != "" && c.Step != one.Step {
			continue
		}
		one.Locale = cfg.Templates.Locale(one.Template, cmp.Or(c.Locale, localeOf(cfg, spec)))
		data := render.SampleOf(cmp.Or(spec.Kind, mailer.KindMarketing), cmp.Or(one.Locale, c.Locale))
		data.Sender = mailer.SenderData{
			Name: cmp.Or(from.FromName, data.Sender.Name), PostalAddress: cmp.Or(from.PostalAddress, data.Sender.PostalAddress), Email: cmp.Or(from.ReplyTo, from.From, data.Sender.Email),
		}
		one.Mail = mailer.Mail{TemplateID: one.Mail.TemplateID, FromEmail: from.From, FromName: from.FromName, ReplyTo: from.ReplyTo, ToEmail: data.Contact.Email, ToName: data.Contact.FirstName + " " + data.Contact.LastName}
		if one.Template == "" {
			one.Mail.TemplateData = data.Dynamic()
		} else {
			var r mailer.Rendered
			r, one.Failed = cfg.Templates.Render(one.Template, one.Locale, data)
			one.Mail.Subject, one.Mail.HTML, one.Mail.Text = r.Subject, r.HTML, r.Text
		}
		a.add(one)
	}
	return a, nil
}

// localeOf is the language of the first shop that a campaign writes for.
func localeOf(cfg *config.Config, spec mailer.CampaignSpec) string {
	var names []string
	for name, s := range cfg.Shops {
		if s.Audience == cmp.Or(spec.Audience, "default") {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return cfg.Shops[slices.Min(names)].Locale
}

// previewKeys are the installation's, else some that nobody keeps: a preview then looks as it will, and its links lead nowhere.
func previewKeys(cfg *config.Config) (mailer.Keys, error) {
	keys, err := cfg.Keys.Read()
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if len(keys) == 0 {
		keys = mailer.Keys{{ID: "preview", Secret: []byte(rand.Text())}}
	}
	return keys, nil
}
