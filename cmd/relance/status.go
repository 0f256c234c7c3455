package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/relance/relance/config"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
)

type statusCmd struct {
	JSON bool `help:"One JSON object." name:"json"`
}

// Help shows an example.
func (statusCmd) Help() string { return "Examples:\n\n  relance status\n  relance status --json" }

// statusAnswer is the answer of status --json. Version 1: keys may be added.
type statusAnswer struct {
	Version  int                   `json:"version"`
	Contacts int64                 `json:"contacts"`
	Shops    map[string]shopStatus `json:"shops"`
}

type shopStatus struct {
	Backfilled bool                    `json:"backfilled"` // everything has been read once
	LagSeconds float64                 `json:"lag_seconds"`
	Fault      string                  `json:"fault,omitempty"`
	Kinds      map[string]mirror.Count `json:"kinds"`
	Streams    map[string]streamStatus `json:"streams"`
}

type streamStatus struct {
	LagSeconds float64 `json:"lag_seconds"` // since the start of the last complete read; -1 before the first
	Error      string  `json:"error,omitempty"`
}

// Run shows how far every shop is mirrored.
func (c *statusCmd) Run(d *deps) error {
	m, done, err := d.openMirror()
	if err != nil {
		return err
	}
	defer done()
	a, err := readStatus(d.ctx, m, crm.At(d.now()))
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
		s := a.Shops[name]
		printCounts(d.out, name, s.Kinds)
		fmt.Fprintf(d.out, "  last read %s\n", ago(s))
		if s.Fault != "" {
			fmt.Fprintf(d.out, "  FAULT: %s\n", s.Fault)
		}
	}
	fmt.Fprintf(d.out, "%d contacts\n", a.Contacts)
	return nil
}

func ago(s shopStatus) string {
	if !s.Backfilled {
		return "is not complete yet"
	}
	return time.Duration(s.LagSeconds*float64(time.Second)).Round(time.Second).String() + " ago"
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
	return cfg, mirror.New(db), func() {
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

func readStatus(ctx context.Context, m *mirror.Mirror, now crm.Instant) (statusAnswer, error) {
	a := statusAnswer{Version: 1, Shops: map[string]shopStatus{}}
	shops, err := m.Shops(ctx)
	if err != nil {
		return a, err
	}
	for _, shop := range shops {
		s := shopStatus{Backfilled: shop.BackfilledAt > 0, Fault: shop.Fault, Streams: map[string]streamStatus{}}
		counts, err := m.Counts(ctx, shop.ID)
		if err != nil {
			return a, err
		}
		s.Kinds = byKind(counts)
		streams, err := m.Streams(ctx, shop.ID)
		if err != nil {
			return a, err
		}
		for _, st := range streams {
			lag := -1.0
			if st.ReadAt > 0 {
				lag = max(float64(now-st.ReadAt)/1000, 0)
			}
			s.Streams[st.Stream] = streamStatus{LagSeconds: lag, Error: st.Error}
			if fast := st.Mode == "delta" || st.Mode == ""; fast { // crawls and lists of ids are slow by design
				s.LagSeconds = max(s.LagSeconds, lag)
			}
		}
		a.Shops[shop.Name] = s
	}
	a.Contacts, err = m.LiveContacts(ctx)
	return a, err
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
