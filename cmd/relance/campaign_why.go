package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/relance/relance/config"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/mailer"
)

type campaignWhyCmd struct {
	Name    string `arg:"" help:"Campaign."`
	Contact string `arg:"" help:"E-mail, - to read it from standard input, or contact id."`
	JSON    bool   `help:"One JSON object." name:"json"`
}

// Help shows examples.
func (campaignWhyCmd) Help() string {
	return "What became of the contact in the campaign, and what every check of the gate says at this moment, whether a mail waits or not.\n\n" +
		"Examples:\n\n  relance campaign why win_back somebody@example.com\n  echo somebody@example.com | relance campaign why win_back -\n  relance campaign why win_back 6xj8ewwq2a1s --json"
}

// whyAnswer is the answer of campaign why --json. Keys may be added.
type whyAnswer struct {
	mailer.Story
	Gate mailer.Judgement `json:"gate"` // what the gate says now
}

// Run tells the story, and asks the gate.
func (c *campaignWhyCmd) Run(d *deps) error {
	cfg, m, done, err := d.openFiles()
	if err != nil {
		return err
	}
	defer done()
	infos, err := mailer.Infos(d.ctx, m.DB().Read())
	if err != nil {
		return err
	}
	audience := ""
	for _, i := range infos {
		if i.ID == c.Name {
			audience = i.Audience
		}
	}
	id, err := d.contactID(m, c.Contact, audience)
	if err != nil {
		return err
	}
	var a whyAnswer
	if a.Story, err = mailer.Why(d.ctx, m.DB().Read(), c.Name, id); err != nil {
		return err
	}
	judge, err := judging(d.ctx, cfg, m)
	if err != nil {
		return err
	}
	if a.Gate, err = judge.Judge(d.ctx, c.Name, id, d.now()); err != nil {
		return err
	}
	if c.JSON {
		return d.json(a)
	}
	printStory(d.out, a.Story)
	return printJudgement(d.out, a.Gate)
}

// judging makes an engine that can be asked and sends nothing. It writes nothing either: neither audiences nor keys.
func judging(ctx context.Context, cfg *config.Config, m *mirror.Mirror) (*mailer.Engine, error) {
	keys, err := cfg.Keys.Read()
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return judgingWith(ctx, cfg, m, keys)
}

func judgingWith(ctx context.Context, cfg *config.Config, m *mirror.Mirror, keys mailer.Keys) (*mailer.Engine, error) {
	defs, err := compileSegments(cfg.Segments)
	if err != nil {
		return nil, err
	}
	shops, err := m.Shops(ctx)
	if err != nil {
		return nil, err
	}
	senders := map[int64]mailer.Sender{}
	for _, s := range shops {
		c, ok := cfg.Audiences[s.Audience]
		if !ok {
			continue
		}
		limit, err := mailer.ParseCap(c.Cap)
		if err != nil {
			return nil, fmt.Errorf("reading the cap of audience %s: %w", s.Audience, err)
		}
		senders[s.AudienceID] = mailer.Sender{
			Audience: s.Audience, FromEmail: c.From, FromName: c.FromName, ReplyTo: c.ReplyTo, PostalAddress: c.PostalAddress, Cap: limit,
			Provider: mute{real: c.Provider != "outbox"},
		}
	}
	return mailer.NewEngine(m, store.NewLeases(m.DB(), ownerName(), leaseTTL), mailer.EngineOptions{
		Renderer: cfg.Templates, Senders: senders, PublicURL: cfg.PublicURL, Keys: keys, Evaluate: evaluator(defs), Needs: needsOf(defs, uses(cfg.Campaigns)),
	}), nil
}

// mute stands for a provider where nothing may be sent.
type mute struct{ real bool }

func (mute) Name() string { return "mute" }
func (p mute) Real() bool { return p.real }

func (mute) Send(context.Context, mailer.Mail) (string, error) {
	return "", errors.New("this command sends nothing")
}

func printStory(out io.Writer, s mailer.Story) {
	fmt.Fprintln(out, s.Sentence)
	for _, r := range s.Runs {
		fmt.Fprintf(out, "\ntook part from %s (%s): %s\n", rfc(r.TriggeredAt), r.Occurrence, strings.TrimSpace(r.State+" "+r.ExitReason))
	}
	for _, x := range s.Sends {
		fmt.Fprintf(out, "\nmail %s, step %s: %s\n", x.Send, x.Step, x.State)
		for _, l := range x.Log {
			fmt.Fprintf(out, "  %s  %s  %s\n", rfc(l.At), l.State, strings.TrimSpace(l.Sentence+" "+l.Detail))
		}
		for _, v := range x.Events {
			fmt.Fprintf(out, "  %s  %s\n", rfc(v.At), strings.TrimSpace(v.Sentence()+" "+v.URL))
		}
	}
}

func printJudgement(out io.Writer, j mailer.Judgement) error {
	of := "its mail if one were due now, step " + j.Step
	if j.Send != "" {
		of = "mail " + j.Send + ", step " + j.Step
	}
	end := "it would leave"
	if j.State == mailer.Deferred {
		end = "it would wait until " + rfc(j.Until) + ": " + j.Reason.Sentence()
	}
	if j.State == mailer.Refused {
		end = "it would not be sent: " + j.Reason.Sentence()
	}
	fmt.Fprintf(out, "\nThe gate, %s, of %s: %s.\n", rfc(j.At), of, end)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, c := range j.Checks {
		said := c.Value
		if said == "" {
			said = c.Sentence
		}
		if c.Detail != "" {
			said += " (" + c.Detail + ")"
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\n", c.Verdict, c.Check, said)
	}
	return t.Flush()
}
