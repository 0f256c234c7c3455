package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/relance/relance/config"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/mailer"
	"github.com/relance/relance/segments"
	"github.com/relance/relance/segments/rule"
)

type planCmd struct {
	Days     int  `help:"How far to look ahead for campaigns." default:"7"`
	Examples int  `help:"Show so many contacts each way." default:"5" placeholder:"N"`
	JSON     bool `help:"One JSON object." name:"json"`
}

// Help shows examples.
func (planCmd) Help() string {
	return "Compares the files with what is in force and says what relance run (or SIGHUP) would make of them: segments that are new, edited or gone, who would\n" +
		"enter and leave them, and what is before each campaign. Nothing is written, nothing starts; a daemon may be at work meanwhile.\n\n" +
		"Exit code: 0, also when something would change; 1 the database does not answer; 2 the files have mistakes.\n\n" +
		"Examples:\n\n  relance plan\n  relance plan --days 30 --examples 0\n  relance plan --json | jq '.segments[] | select(.what != \"unchanged\")'"
}

// planned is the answer of plan --json. Version 1: keys may be added.
type planned struct {
	Version   int               `json:"version"`
	At        string            `json:"at"`
	Until     string            `json:"until"`
	Changes   bool              `json:"changes"` // anything would change
	Segments  []plannedSegment  `json:"segments"`
	Campaigns []plannedCampaign `json:"campaigns"`
	Notes     []string          `json:"notes"` // what the answer cannot tell
}

type plannedSegment struct {
	segments.Intent
	Entering  []string `json:"entering"` // examples: contact ids
	Leaving   []string `json:"leaving"`
	Campaigns []string `json:"campaigns,omitempty"` // by the files: those that entering it starts
}

type plannedCampaign struct {
	mailer.Planned
	NextDue string `json:"next_due,omitempty"`
	Soon    int64  `json:"entering_soon"` // contacts that the clock alone lets into its segment by until
}

// Run compares.
func (c *planCmd) Run(d *deps) error {
	if c.Days < 0 || c.Days > 366 || c.Examples < 0 {
		return usage("--days takes 0 to 366, --examples 0 or more")
	}
	cfg, err := d.load()
	if err != nil {
		return err
	}
	defs, err := compileSegments(cfg.Segments)
	if err != nil {
		return err
	}
	m, done, err := d.openAsItIs(cfg)
	if err != nil {
		return err
	}
	defer done()
	a, err := c.plan(d, cfg, m, defs)
	if err != nil {
		return err
	}
	if c.JSON {
		return d.json(a)
	}
	a.print(d)
	return nil
}

// openAsItIs opens the database without making or migrating it; nil when there is none yet.
func (d *deps) openAsItIs(cfg *config.Config) (m *mirror.Mirror, done func(), err error) {
	path, isFile := strings.CutPrefix(cfg.Database, "sqlite:")
	if _, err := os.Stat(path); isFile && errors.Is(err, os.ErrNotExist) {
		return nil, func() {}, nil
	}
	db, err := store.Open(d.ctx, store.Options{DSN: cfg.Database})
	if err != nil {
		return nil, nil, err
	}
	done = func() {
		if err := db.Close(); err != nil {
			fmt.Fprintln(d.err, "closing the database:", err)
		}
	}
	var n int
	if err := db.Read().GetContext(d.ctx, &n, "SELECT COUNT(*) FROM segment_costs WHERE cost_day=0"); err != nil { // the youngest table that planning needs a schema of
		done()
		return nil, nil, exitError{exitFailure, fmt.Errorf("planning: this database was not made, or not brought up to date, by this version (%w); relance run, sync or status do that", err)}
	}
	return mirror.New(db), done, nil
}

func (c *planCmd) plan(d *deps, cfg *config.Config, m *mirror.Mirror, defs []*rule.Segment) (planned, error) {
	now := d.now().UTC()
	until := now.Add(time.Duration(c.Days) * 24 * time.Hour)
	a := planned{Version: 1, At: rfc(crm.At(now)), Until: rfc(crm.At(until)), Segments: []plannedSegment{}, Campaigns: []plannedCampaign{}, Notes: []string{}}
	if m == nil {
		a.nothingYet(cfg, defs)
		return a, nil
	}
	campaigns, err := mailer.Plan(d.ctx, m.DB().Read(), cfg.Campaigns, cfg.Segments, crm.At(until))
	if err != nil {
		return a, err
	}
	leaves := leavers{m: m, campaigns: campaigns}
	intents, err := segments.Plan(d.ctx, m, defs, segments.PlanOptions{
		Now: now, Until: until, Watch: armedFor(campaigns), Examples: c.Examples, Leaving: leaves.count,
	})
	if err != nil {
		return a, err
	}
	soon := map[string]int64{}
	for _, i := range intents {
		soon[i.Segment] = i.Soon
		a.Changes = a.Changes || i.What != segments.PlanUnchanged
		a.Segments = append(a.Segments, plannedSegment{Intent: i, Entering: idTexts(i.Entering), Leaving: idTexts(i.Leaving), Campaigns: startedBy(cfg, i.Segment)})
	}
	for _, p := range campaigns {
		a.Changes = a.Changes || p.What != mailer.PlanUnchanged
		line := plannedCampaign{Planned: p, NextDue: rfc(p.NextDue)}
		if p.ByEntry && p.State == mailer.CampaignArmed && p.What != mailer.PlanRemoved {
			line.Soon = soon[p.Segment]
		}
		a.Campaigns = append(a.Campaigns, line)
	}
	return a, a.note(d, m, defs)
}

// nothingYet is the plan for an installation that has no database.
func (a *planned) nothingYet(cfg *config.Config, defs []*rule.Segment) {
	a.Changes = len(defs)+len(cfg.Campaigns) > 0
	for _, s := range defs {
		a.Segments = append(a.Segments, plannedSegment{
			Intent: segments.Intent{Segment: s.ID, Title: s.Title, What: segments.PlanNew}, Entering: []string{}, Leaving: []string{}, Campaigns: startedBy(cfg, s.ID),
		})
	}
	for _, id := range slices.Sorted(maps.Keys(cfg.Campaigns)) {
		spec := cfg.Campaigns[id]
		a.Campaigns = append(a.Campaigns, plannedCampaign{Planned: mailer.Planned{Campaign: id, Title: spec.Title, Starts: spec.Trigger.Sentence(), Segment: mailer.TriggerSegment(id, spec), What: mailer.PlanNew}})
	}
	a.Notes = append(a.Notes, "there is no database yet: nobody is known, so nobody can be counted (relance sync --once reads the shops)")
}

// armedFor lists the segments whose entries start something.
func armedFor(campaigns []mailer.Planned) []string {
	var out []string
	for _, p := range campaigns {
		if p.ByEntry && p.State == mailer.CampaignArmed && p.What != mailer.PlanRemoved {
			out = append(out, p.Segment)
		}
	}
	return out
}

func startedBy(cfg *config.Config, segment string) []string {
	var out []string
	for _, id := range slices.Sorted(maps.Keys(cfg.Campaigns)) {
		if spec := cfg.Campaigns[id]; mailer.TriggerSegment(id, spec) == segment && (spec.Trigger.Enters != "" || spec.Trigger.Date != nil) {
			out = append(out, id)
		}
	}
	return out
}

// leavers counts the runs that end when their contacts leave.
type leavers struct {
	m         *mirror.Mirror
	campaigns []mailer.Planned
}

func (l leavers) count(ctx context.Context, segment string, contacts []int64) error {
	for i := range l.campaigns {
		p := &l.campaigns[i]
		if p.Segment != segment || !p.ExitWhenLeft || p.UnderWay == 0 {
			continue
		}
		n, err := mailer.UnderWayAmong(ctx, l.m.DB().Read(), p.Campaign, contacts)
		if err != nil {
			return err
		}
		p.Leaving += n
	}
	return nil
}

// note says what the plan cannot tell.
func (a *planned) note(d *deps, m *mirror.Mirror, defs []*rule.Segment) error {
	var needs crm.Needs
	for _, s := range defs {
		needs = rule.Union(needs, s.Needs())
	}
	notes, err := blindSpots(d, m, needs)
	if err != nil {
		return err
	}
	a.Notes = append(append(a.Notes, notes...),
		"people are counted by what is mirrored now: what they will do, and what edited shop files (mapping, statuses, zone, basis) would change, is not foreseen")
	return nil
}

func idTexts(ids []int64) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = strconv.FormatInt(id, 10)
	}
	return out
}

func (a planned) print(d *deps) {
	p := func(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }
	same := 0
	p("Segments")
	for _, s := range a.Segments {
		if s.What == segments.PlanUnchanged {
			same++
			continue
		}
		s.print(p)
	}
	if same > 0 {
		p("  = %s as in force", count(same, "segment"))
	}
	p("\nCampaigns")
	for _, c := range a.Campaigns {
		c.print(p, a.Until)
	}
	if !a.Changes {
		p("\nThe files say what is in force.")
	}
	for i, n := range a.Notes {
		if i == 0 {
			p("")
		}
		p("note: %s", n)
	}
}

func sign(what string) string {
	return map[string]string{segments.PlanNew: "+", segments.PlanChanged: "~", segments.PlanRemoved: "-", mailer.PlanResumed: "+"}[what]
}

func (s plannedSegment) print(p func(format string, args ...any)) {
	switch s.What {
	case segments.PlanNew:
		p("  + %s is new: %d would be in it", s.Segment, s.After)
	case segments.PlanRemoved:
		p("  - %s is gone from the files: %d would leave", s.Segment, s.Leave)
	default:
		p("  ~ %s is edited: %d would enter, %d would leave (%d → %d)", s.Segment, s.Enter, s.Leave, s.Before, s.After)
	}
	if s.Building && s.What != segments.PlanNew {
		p("      what was deployed before is still being built")
	}
	for _, l := range []struct {
		what string
		ids  []string
	}{{"enter", s.Entering}, {"leave", s.Leaving}} {
		if len(l.ids) > 0 {
			p("      %s: %s", l.what, strings.Join(l.ids, ", "))
		}
	}
	if s.Enter > 0 && len(s.Campaigns) > 0 {
		p("      none of them starts %s: only who enters later, by a change or the clock, does", strings.Join(s.Campaigns, ", "))
	}
}

func (c plannedCampaign) print(p func(format string, args ...any), until string) {
	mark := cmp.Or(sign(c.What), "=")
	switch c.What {
	case mailer.PlanNew:
		p("  %s %s is new: a draft, which starts nothing until relance campaign arm %s; then %s", mark, c.Campaign, c.Campaign, c.Starts)
		return
	case mailer.PlanChanged:
		p("  %s %s (%s) is edited: edits apply from everybody's next step", mark, c.Campaign, c.State)
	case mailer.PlanRemoved:
		p("  %s %s (%s) is gone from the files: it would be paused", mark, c.Campaign, c.State)
	case mailer.PlanResumed:
		p("  %s %s is back in the files: it would be armed again", mark, c.Campaign)
	default:
		p("  %s %s (%s)", mark, c.Campaign, c.State)
	}
	if c.UnderWay > 0 {
		p("      %d under way, %d with a step due by %s", c.UnderWay, c.DueBy, until)
	}
	if c.Waiting > 0 {
		p("      %s for their moment", plural2(c.Waiting, "mail waits", "mails wait"))
	}
	if c.StepsGone > 0 {
		p("      %d stand at a step that is no longer there: they would end", c.StepsGone)
	}
	if c.Leaving > 0 {
		p("      %d would end, since their contacts would leave %s", c.Leaving, c.Segment)
	}
	if c.Soon > 0 {
		p("      %d would enter %s by %s by the clock alone, and start it", c.Soon, c.Segment, until)
	}
}

func plural2(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
