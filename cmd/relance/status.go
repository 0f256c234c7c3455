package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/relance/relance/config"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/web"
	"github.com/relance/relance/mailer"
)

type statusCmd struct {
	JSON bool `help:"One JSON object." name:"json"`
}

// Help shows an example.
func (statusCmd) Help() string {
	return "Per shop and kind: what the shop has, what is mirrored, what waits in quarantine, what was erased, when it was last read; what came in last, what\n" +
		"reading costs the shop, what is left for you to do, and one line of what is wrong and how to mend it.\n\nExamples:\n\n  relance status\n  relance status --json"
}

// statusAnswer is the answer of status --json. Version 1: keys may be added.
type statusAnswer struct {
	Version  int                   `json:"version"`
	Contacts int64                 `json:"contacts"`
	Shops    map[string]shopStatus `json:"shops"`
	// Audiences says what came back of their mails in the last 7 days, and which campaigns are paused.
	Audiences map[string]mailer.AudienceHealth `json:"audiences"`
}

type shopStatus struct {
	web.Shop
	Backfilled bool                    `json:"backfilled"` // everything has been read once
	Kinds      map[string]web.Kind     `json:"kinds"`
	Streams    map[string]streamStatus `json:"streams"`
}

type streamStatus struct {
	LagSeconds float64 `json:"lag_seconds"` // since the start of the last complete read; -1 before the first
	Error      string  `json:"error,omitempty"`
}

// Run shows how far every shop is mirrored.
func (c *statusCmd) Run(d *deps) error {
	cfg, m, done, err := d.openFiles()
	if err != nil {
		return err
	}
	defer done()
	a, err := readStatus(d.ctx, truthFromFiles(m, cfg, crm.At(d.now())))
	if err != nil {
		return err
	}
	if c.JSON {
		return d.json(a)
	}
	if len(a.Shops) == 0 {
		fmt.Fprintln(d.out, "No shop has been read yet: relance sync --once, or relance run.")
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(a.Shops)) {
		printShop(d.out, a.Shops[name])
	}
	printHealths(d.out, a.Audiences)
	fmt.Fprintf(d.out, "%d contacts\n", a.Contacts)
	return nil
}

// openFiles loads the configuration and opens its database for commands that answer a person; done closes it.
func (d *deps) openFiles() (cfg *config.Config, m *mirror.Mirror, done func(), err error) {
	if cfg, err = d.load(); err != nil {
		return nil, nil, nil, err
	}
	db, err := openDatabase(d.ctx, cfg)
	if err != nil {
		return nil, nil, nil, err
	}
	return cfg, mailer.NewMirror(db), func() {
		if err := db.Close(); err != nil {
			fmt.Fprintln(d.err, "closing the database:", err)
		}
	}, nil
}

// openMirror is openFiles for those who need only the database.
func (d *deps) openMirror() (m *mirror.Mirror, done func(), err error) {
	_, m, done, err = d.openFiles()
	return m, done, err
}

func readStatus(ctx context.Context, t truth) (statusAnswer, error) {
	a := statusAnswer{Version: 1, Shops: map[string]shopStatus{}}
	shops, err := t.mirror.Shops(ctx)
	if err != nil {
		return a, err
	}
	for _, shop := range shops {
		k, err := t.read(ctx, shop)
		if err != nil {
			return a, err
		}
		line := t.line(k)
		s := shopStatus{Shop: line, Backfilled: shop.BackfilledAt > 0, Kinds: map[string]web.Kind{}, Streams: map[string]streamStatus{}}
		for _, kind := range line.Kinds {
			s.Kinds[kind.Kind] = kind
		}
		for _, st := range k.streams {
			lag := -1.0
			if st.ReadAt > 0 {
				lag = max(float64(t.now-st.ReadAt)/1000, 0)
			}
			s.Streams[st.Stream] = streamStatus{LagSeconds: lag, Error: st.Error}
		}
		a.Shops[shop.Name] = s
	}
	if a.Audiences, err = mailer.Healths(ctx, t.mirror, t.now); err != nil {
		return a, err
	}
	a.Contacts, err = t.mirror.LiveContacts(ctx)
	return a, err
}

// printShop shows one shop: its kinds, what came in last, what is wrong and how to mend it.
func printShop(w io.Writer, s shopStatus) {
	fmt.Fprintln(w, strings.Join(slices.DeleteFunc([]string{s.Name, s.Platform, s.Address}, func(p string) bool { return p == "" }), "  "))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "  \tin the shop\tmirrored\tin quarantine\terased\tlast read\t")
	for _, k := range s.Shop.Kinds {
		if k.Shown() {
			fmt.Fprintf(t, "  %s\t%s\t%d\t%d\t%d\t%s\t\n", k.Kind, orDash(k.Source), k.Mirrored, k.Quarantined, k.Erased, readAgo(k))
		}
	}
	_ = t.Flush() // the terminal's errors are nobody's
	for _, p := range s.Progress {
		fmt.Fprintf(w, "  first read of %s: %s\n", p.Stream, progressText(p))
	}
	fmt.Fprintf(w, "  %s\n", strings.Join(came(s), " · "))
	for _, task := range s.Tasks {
		fmt.Fprintf(w, "  TO DO: %s\n", task.Mend)
	}
	if x := s.Trouble; x != nil {
		word := map[bool]string{true: "FAULT", false: "LOOK"}[s.Fault != ""]
		fmt.Fprintf(w, "  %s: %s\n", word, strings.TrimSpace(x.What+" "+x.Mend))
	}
}

func orDash(n int64) string {
	if n < 0 { // they come with other records, or the shop did not say
		return "–"
	}
	return fmt.Sprint(n)
}

func readAgo(k web.Kind) string {
	if k.LagSeconds < 0 {
		return "–"
	}
	text := seconds(k.LagSeconds) + " ago"
	if k.Late {
		text += " (late)"
	}
	return text
}

func seconds(s float64) string {
	return time.Duration(s * float64(time.Second)).Round(time.Second).String()
}

func progressText(p web.Progress) string {
	text := fmt.Sprint(p.Done)
	if p.Total > 0 {
		text += fmt.Sprintf(" of %d", p.Total)
	}
	if p.ETASeconds > 0 {
		text += ", about " + seconds(p.ETASeconds) + " left"
	}
	return text
}

// came says what came in last, and what it costs the shop.
func came(s shopStatus) []string {
	var out []string
	switch {
	case s.Way == web.WayPush:
		out = append(out, "it sends its records itself")
	case s.Way == web.WayImport:
		out = append(out, "imported lists")
	case !s.Backfilled:
		out = append(out, "the first read is not complete yet")
	default:
		out = append(out, "read "+seconds(s.LagSeconds)+" ago")
	}
	if !s.RecordAt.IsZero() && s.Way != web.WayRead {
		out = append(out, "last record "+s.RecordAt.Format(time.DateTime)+" UTC")
	}
	if !s.HookAt.IsZero() {
		out = append(out, "last webhook "+s.HookAt.Format(time.DateTime)+" UTC")
	}
	if s.BusyPercent > 0 {
		out = append(out, fmt.Sprintf("%.2g %% of the shop's time", s.BusyPercent))
	}
	return out
}

// byKind names kinds as people do: customers, orders, categories.
func byKind(counts []mirror.Count) map[string]mirror.Count {
	out := map[string]mirror.Count{}
	for _, c := range counts {
		out[plural(c.Kind)] = c
	}
	return out
}

func plural(k crm.Kind) string {
	if k == crm.KindCategory {
		return "categories"
	}
	return string(k) + "s"
}

func printCounts(w io.Writer, shop string, kinds map[string]mirror.Count) {
	fmt.Fprintln(w, shop)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "  \tin the shop\tmirrored\tin quarantine\t")
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		c := kinds[kind]
		source := fmt.Sprint(c.Source)
		if kind == "carts" || c.Source < 0 { // they come with other records, or the shop did not say
			source = "–"
		}
		fmt.Fprintf(t, "  %s\t%s\t%d\t%d\t\n", kind, source, c.Mirrored, c.Quarantined)
	}
	_ = t.Flush() // the terminal's errors are nobody's
}
