package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"golang.org/x/term"

	"github.com/relance/relance/config"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/mailer"
)

type campaignCmd struct {
	List   campaignListCmd   `cmd:"" help:"Campaigns, their states and what became of their mails."`
	Arm    campaignArmCmd    `cmd:"" help:"Show whom a campaign is about, then let it begin."`
	Pause  campaignPauseCmd  `cmd:"" help:"Send nothing more for now."`
	Resume campaignResumeCmd `cmd:"" help:"End a pause."`
	Why    campaignWhyCmd    `cmd:"" help:"Why a contact got, or did not get, a campaign's mail."`
	Worth  campaignWorthCmd  `cmd:"" help:"What a campaign's mails brought."`

	Preview  campaignPreviewCmd  `cmd:"" help:"Show the mails that a contact would get now, without sending them."`
	TestSend campaignTestSendCmd `cmd:"" help:"Send a contact's mail to yourself."`
}

// notInFiles is what acting on an unknown name says.
func notInFiles(cfg *config.Config, name string) error {
	names := slices.Sorted(maps.Keys(cfg.Campaigns))
	if len(names) == 0 {
		return usage("there is no campaign %q, nor any other, in %s", name, cfg.Dir)
	}
	return usage("there is no campaign %q in %s; there are %s", name, cfg.Dir, strings.Join(names, ", "))
}

type campaignListCmd struct {
	JSON bool `help:"One JSON object." name:"json"`
}

// Help shows an example.
func (campaignListCmd) Help() string { return "Examples:\n\n  relance campaign list" }

// Run lists campaigns: those of the database and, as new, those that are only in the files.
func (c *campaignListCmd) Run(d *deps) error {
	cfg, m, done, err := d.openFiles()
	if err != nil {
		return err
	}
	defer done()
	infos, err := mailer.Infos(d.ctx, m.DB().Read())
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(cfg.Campaigns)) {
		if !slices.ContainsFunc(infos, func(i mailer.CampaignInfo) bool { return i.ID == id }) {
			spec := cfg.Campaigns[id]
			infos = append(infos, mailer.CampaignInfo{ID: id, Title: spec.Title, Kind: spec.Kind, State: mailer.CampaignDraft, Starts: spec.Trigger.Sentence(), Segment: mailer.TriggerSegment(id, spec), Audience: spec.Audience})
		}
	}
	if c.JSON {
		if infos == nil {
			infos = []mailer.CampaignInfo{}
		}
		return d.json(map[string]any{"version": 1, "campaigns": infos})
	}
	t := tabwriter.NewWriter(d.out, 0, 0, 2, ' ', 0)
	for _, i := range infos {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", i.ID, i.State, armedSince(i), sends(i), i.Title)
		for _, note := range append([]string{cameBack(i), earnedText(i.Earned), i.Reason, i.NotMailed}, stepNotes(i)...) {
			if note != "" {
				fmt.Fprintf(t, "\t\t\t%s\t\n", note)
			}
		}
	}
	return t.Flush()
}

func armedSince(i mailer.CampaignInfo) string {
	if i.ArmedAt == 0 {
		return ""
	}
	return "since " + rfc(i.ArmedAt)
}

// cameBack says what became of a campaign's mails; "" while nothing is known.
func cameBack(i mailer.CampaignInfo) string {
	var parts []string
	for _, name := range mailer.CameBack() {
		if n := i.CameBack[name]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, mailer.CameBackText(name)))
		}
	}
	return strings.Join(parts, ", ")
}

// stepNotes says what a campaign's steps have come to: goals, splits, calls that were given up.
func stepNotes(i mailer.CampaignInfo) []string {
	var notes []string
	if i.Goals > 0 {
		notes = append(notes, fmt.Sprintf("%d reached the goal", i.Goals))
	}
	for _, s := range i.Splits {
		var parts []string
		for _, v := range s.Variants {
			parts = append(parts, fmt.Sprintf("%s: %d runs, %d clicked, %d ordered, %d goals", v.Variant, v.Entered, v.Clicks, v.Orders, v.Goal))
		}
		if s.Winner != "" {
			parts = append(parts, "winner: "+s.Winner+" ("+s.Why+")")
		}
		notes = append(notes, "split "+s.Step+": "+strings.Join(parts, "; "))
	}
	if n := i.Calls["parked"]; n > 0 {
		notes = append(notes, fmt.Sprintf("%d calls were given up: the web service did not take them for a day", n))
	}
	return notes
}

func sends(i mailer.CampaignInfo) string {
	var parts []string
	for _, s := range mailer.States() {
		if n := i.Sends[string(s)]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s))
		}
	}
	if len(parts) == 0 {
		return "no mail yet"
	}
	return strings.Join(parts, ", ")
}

type campaignArmCmd struct {
	Name string `arg:"" help:"Campaign."`
	Yes  bool   `help:"Do not ask." short:"y"`
	JSON bool   `help:"One JSON object." name:"json"`
}

// Help shows examples.
func (campaignArmCmd) Help() string {
	return "Only what happens after this moment starts the campaign, and only once the shop has been read whole: history never " +
		"starts a campaign. The definitions in the files come into force.\n\nExamples:\n\n  relance campaign arm win_back\n  relance campaign arm win_back --yes --json"
}

// Run shows the audience, asks, and arms.
func (c *campaignArmCmd) Run(d *deps) error {
	cfg, m, done, err := d.openFiles()
	if err != nil {
		return err
	}
	defer done()
	if _, ok := cfg.Campaigns[c.Name]; !ok {
		return notInFiles(cfg, c.Name)
	}
	now := crm.At(d.now())
	if _, err := mailer.Deploy(d.ctx, m, cfg.Campaigns, cfg.Segments, now); err != nil {
		return err
	}
	a, err := mailer.PreviewArm(d.ctx, m, c.Name, now)
	if err != nil {
		return err
	}
	if !c.JSON {
		printAudience(d.out, a)
	}
	if a.State == mailer.CampaignDraft && !c.Yes {
		if err := d.confirm("Let it begin?"); err != nil {
			return err
		}
	}
	if a.State == mailer.CampaignDraft {
		if a, err = mailer.Arm(d.ctx, m, c.Name, now); err != nil {
			return err
		}
	}
	if c.JSON {
		return d.json(map[string]any{"version": 1, "audience": a})
	}
	fmt.Fprintf(d.out, "%s is %s. relance run sends.\n", c.Name, a.State)
	return nil
}

// confirm asks a person; without one it wants --yes.
func (d *deps) confirm(question string) error {
	f, ok := d.in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return usage("nobody can be asked here; say --yes if this is what you want")
	}
	fmt.Fprint(d.out, question+" [y/N] ")
	line, err := bufio.NewReader(d.in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("asking: %w", err)
	}
	if answer := strings.ToLower(strings.TrimSpace(line)); answer != "y" && answer != "yes" {
		return exitError{exitFailure, errors.New("nothing was changed")}
	}
	return nil
}

func printAudience(out io.Writer, a mailer.Audience) {
	fmt.Fprintf(out, "%s (%s, %s), %s\n", a.Title, a.Campaign, a.Kind, a.Starts)
	switch {
	case a.Segment == "":
		fmt.Fprintf(out, "  only what happens from now on starts it\n")
	case !a.Built:
		fmt.Fprintf(out, "  the segment has not been built yet (relance sync --once builds it)\n")
	case a.Broadcast:
		fmt.Fprintf(out, "  %d in the segment now; who is in it then is written to\n", a.Members)
	default:
		fmt.Fprintf(out, "  %d in the segment now: none of them is written to, only what happens from now on starts it\n", a.Members)
	}
	switch {
	case a.Broadcast && a.BeginsAt > 0:
		fmt.Fprintf(out, "  begins at %s, where clocks are first\n", rfc(a.BeginsAt))
	case a.Broadcast:
		fmt.Fprintln(out, "  no run is to come: all its days are past, and nothing is sent for them")
	}
	fmt.Fprintf(out, "  %d suppressed addresses\n", a.Suppressed)
	for _, s := range a.Shops {
		switch {
		case s.ArmedAt > 0:
			fmt.Fprintf(out, "  shop %s: armed since %s\n", s.Name, rfc(s.ArmedAt))
		case s.BackfilledAt > 0:
			fmt.Fprintf(out, "  shop %s: read whole on %s\n", s.Name, rfc(s.BackfilledAt))
		default:
			fmt.Fprintf(out, "  shop %s: not read whole yet; it takes part from the moment that it is\n", s.Name)
		}
	}
	if len(a.Shops) == 0 {
		fmt.Fprintln(out, "  no shop of its audience has been read yet")
	}
}

type campaignPauseCmd struct {
	Name   string `arg:"" help:"Campaign."`
	Reason string `help:"Why, for those who look later."`
}

// Help shows an example.
func (campaignPauseCmd) Help() string {
	return "Who enters meanwhile is remembered; what is too late at the end of the pause is not sent.\n\nExamples:\n\n  relance campaign pause win_back --reason \"wrong prices\""
}

// Run pauses.
func (c *campaignPauseCmd) Run(d *deps) error {
	_, m, done, err := d.openFiles()
	if err != nil {
		return err
	}
	defer done()
	if err := mailer.Pause(d.ctx, m, c.Name, c.Reason, crm.At(d.now())); err != nil {
		return err
	}
	fmt.Fprintf(d.out, "%s is paused.\n", c.Name)
	return nil
}

type campaignResumeCmd struct {
	Name string `arg:"" help:"Campaign."`
}

// Help shows an example.
func (campaignResumeCmd) Help() string { return "Examples:\n\n  relance campaign resume win_back" }

// Run resumes.
func (c *campaignResumeCmd) Run(d *deps) error {
	_, m, done, err := d.openFiles()
	if err != nil {
		return err
	}
	defer done()
	if err := mailer.Resume(d.ctx, m, c.Name, crm.At(d.now())); err != nil {
		return err
	}
	fmt.Fprintf(d.out, "%s is armed.\n", c.Name)
	return nil
}
