package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/relance/relance/config"
	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/web"
	"github.com/relance/relance/sync/engine"
)

type doctorShopCmd struct {
	Shop    string `arg:"" help:"Name of the shop."`
	Out     string `help:"File to write it to, instead of standard output." placeholder:"FILE"`
	Offline bool   `help:"Do not ask the shop."`
	JSON    bool   `help:"One JSON object." name:"json"`
}

// Help says what it holds and what it does not.
func (doctorShopCmd) Help() string {
	return "Writes down what somebody needs who is to help: version and platform, what the shop answers to a probe, every stream with its\n" +
		"position, age and error, counts, reasons of quarantine with how many, webhooks, tasks, budget, clocks and the database.\n" +
		"It holds no key, no secret, no e-mail address and no record; read it before you share it all the same. Nothing is changed.\n\n" +
		"Exit code: 0 it was written, whatever it says; 1 it could not be; 2 the files or the command line are wrong.\n\n" +
		"Examples:\n\n  relance doctor boutique\n  relance doctor boutique --out boutique.txt\n  relance doctor boutique --json --offline"
}

// diagnosis is the answer of doctor --json. Version 1: keys may be added.
type diagnosis struct {
	Version    int                     `json:"version"`
	At         time.Time               `json:"at"`
	Relance    map[string]string       `json:"relance"` // version, go, os, arch
	Settings   map[string]string       `json:"settings"`
	Probe      *connectors.ProbeResult `json:"probe,omitempty"` // absent when the shop was not asked
	ProbeError string                  `json:"probe_error,omitempty"`
	Database   map[string]string       `json:"database"`
	Shop       *web.Shop               `json:"shop,omitempty"` // absent when it was never stored
	SkewMS     int64                   `json:"clock_skew_ms"`
	Streams    []diagnosedStream       `json:"streams"`
	Quarantine []diagnosedReason       `json:"quarantine"`
	Tasks      []diagnosedTask         `json:"tasks"`
	Rereads    diagnosedRereads        `json:"rereads"`
	Webhooks   []diagnosedTopic        `json:"webhooks"`
}

type diagnosedStream struct {
	Stream     string  `json:"stream"`
	Kind       string  `json:"kind"`
	Mode       string  `json:"mode"`
	Part       bool    `json:"part,omitempty"`
	Every      string  `json:"every,omitempty"`
	Backfilled bool    `json:"backfilled"`
	Running    bool    `json:"running"`
	Done       int     `json:"done"`
	Total      int     `json:"total"`
	Source     int64   `json:"source"`
	LagSeconds float64 `json:"lag_seconds"` // -1 before the first complete read
	DueSeconds float64 `json:"due_seconds"` // until it is due; negative: overdue
	Attempts   int     `json:"attempts"`
	Error      string  `json:"error,omitempty"`
	Position   string  `json:"position,omitempty"`
}

type diagnosedReason struct {
	Kind   crm.Kind `json:"kind"`
	Reason string   `json:"reason"` // numbers left out
	Count  int      `json:"count"`
}

type diagnosedTask struct {
	Kind  string `json:"kind"`
	State string `json:"state"`
	Count int    `json:"count"`
	Text  string `json:"text,omitempty"` // what was done, is to be mended, or went wrong; of the newest
}

type diagnosedRereads struct {
	Waiting int64  `json:"waiting"`
	Failing int64  `json:"failing"`
	Error   string `json:"error,omitempty"`
}

type diagnosedTopic struct {
	Topic  string    `json:"topic"`
	Kept   int64     `json:"kept"`
	LastAt time.Time `json:"last_at"`
}

// Run writes the diagnosis.
func (c *doctorShopCmd) Run(d *deps) error {
	cfg, err := d.load()
	if err != nil {
		return err
	}
	shop, inFiles := cfg.Shops[c.Shop]
	g := diagnosis{
		Version: 1, At: d.now().Truncate(time.Second), Settings: settingsOf(cfg, shop, inFiles), Database: map[string]string{},
		Relance: map[string]string{"version": versionOf(), "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH},
		Streams: []diagnosedStream{}, Quarantine: []diagnosedReason{}, Tasks: []diagnosedTask{}, Webhooks: []diagnosedTopic{},
	}
	stored, err := g.readDatabase(d, cfg, c.Shop)
	if err != nil {
		g.Database["error"] = sentence(err)
	}
	if !inFiles && !stored {
		_, err := knownShop(cfg, c.Shop)
		return err
	}
	if inFiles && !c.Offline && shop.Platform != config.Push {
		g.probe(d, cfg, c.Shop)
	}
	text, err := g.render(c.JSON)
	if err != nil {
		return err
	}
	text = scrub(text, cfg.Secrets())
	if c.Out == "" {
		_, err = d.out.Write(text)
		return err
	}
	if err := os.WriteFile(c.Out, text, 0o600); err != nil {
		return fmt.Errorf("writing the diagnosis: %w", err)
	}
	fmt.Fprintf(d.out, "%s: read it before you share it.\n", c.Out)
	return nil
}

// settingsOf is what the files say of a shop, without its keys.
func settingsOf(cfg *config.Config, s config.Shop, inFiles bool) map[string]string {
	out := map[string]string{"in_files": fmt.Sprint(inFiles), "public_url": cfg.PublicURL}
	if !inFiles {
		return out
	}
	for k, v := range map[string]string{
		"platform": s.Platform, "address": s.Address(), "zone": s.Zone, "locale": s.Locale, "basis": s.Basis, "push_secrets": fmt.Sprint(len(s.Push.Secrets)),
	} {
		if v != "" {
			out[k] = v
		}
	}
	if m, err := json.Marshal(s.Mapping); err == nil {
		out["mapping"] = string(m)
	}
	return out
}

func (g *diagnosis) probe(d *deps, cfg *config.Config, name string) {
	r := probe(d, cfg, name)
	g.Probe = &r.ProbeResult
	if !r.OK {
		g.ProbeError = "The shop does not answer as it must: see the findings."
	}
}

// readDatabase reads everything that is stored about the shop; stored is false when there is nothing.
func (g *diagnosis) readDatabase(d *deps, cfg *config.Config, name string) (stored bool, err error) {
	if path, isFile := strings.CutPrefix(cfg.Database, "sqlite:"); isFile {
		if _, err := os.Stat(path); err != nil {
			g.Database["engine"] = "sqlite: there is no file yet"
			return false, nil
		}
	}
	db, err := openDatabase(d.ctx, cfg)
	if err != nil {
		return false, err
	}
	defer db.Close() //nolint:errcheck // nothing was written
	m := mirror.New(db)
	if err := g.describeDatabase(d.ctx, m); err != nil {
		return false, err
	}
	shop, err := m.ShopByName(d.ctx, name)
	if errors.Is(err, mirror.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	t := truthFromFiles(m, cfg, crm.At(d.now()))
	k, err := t.read(d.ctx, shop)
	if err != nil {
		return true, err
	}
	line := t.line(k)
	g.Shop, g.SkewMS = &line, shop.SkewMS
	g.streams(t, k)
	g.tasks(k.tasks)
	return true, errors.Join(g.quarantine(d, m, shop.ID), g.hints(d.ctx, m, shop.ID))
}

func (g *diagnosis) describeDatabase(ctx context.Context, m *mirror.Mirror) error {
	db := m.DB()
	g.Database["engine"] = string(db.Dialect())
	query := "SELECT VERSION()"
	if path := db.Path(); path != "" {
		query = "SELECT sqlite_version()"
		if info, err := os.Stat(path); err == nil {
			g.Database["megabytes"] = fmt.Sprint(info.Size() >> 20)
		}
	}
	var version string
	if err := db.Read().GetContext(ctx, &version, query); err != nil {
		return fmt.Errorf("asking the database for its version: %w", err)
	}
	g.Database["version"] = version
	contacts, err := m.LiveContacts(ctx)
	g.Database["contacts"] = fmt.Sprint(contacts)
	return err
}

func (g *diagnosis) streams(t truth, k known) {
	every := t.intervals(k.shop.Name)
	for _, s := range k.streams {
		running, done, total := engine.Where(s.Cursor)
		line := diagnosedStream{
			Stream: s.Stream, Kind: string(s.Kind), Mode: string(s.Mode), Part: s.Part, Backfilled: s.BackfilledAt > 0, Running: running, Done: done, Total: total,
			Source: s.SourceCount, LagSeconds: -1, DueSeconds: float64(s.NextAt-t.now) / 1000, Attempts: s.Attempts, Error: s.Error, Position: positionText(s.Cursor),
		}
		if e := every[s.Stream]; e > 0 {
			line.Every = e.String()
		}
		if s.ReadAt > 0 {
			line.LagSeconds = float64(t.now-s.ReadAt) / 1000
		}
		g.Streams = append(g.Streams, line)
	}
}

// positionText is the connector's own cursor, when it is text: instants and ids.
func positionText(stored []byte) string {
	var p struct {
		Cursor []byte `json:"cursor"`
	}
	if json.Unmarshal(stored, &p) != nil || !json.Valid(p.Cursor) {
		return ""
	}
	return clipped(string(p.Cursor))
}

func (g *diagnosis) tasks(rows []mirror.TaskRow) {
	at := map[[2]string]int{}
	for _, r := range rows {
		key := [2]string{r.Kind, r.State}
		i, there := at[key]
		if !there {
			i = len(g.Tasks)
			at[key], g.Tasks = i, append(g.Tasks, diagnosedTask{Kind: r.Kind, State: r.State})
		}
		g.Tasks[i].Count++
		for _, text := range []string{r.Mend, r.Error, r.Done} {
			if text != "" && g.Tasks[i].Text == "" {
				g.Tasks[i].Text = text
			}
		}
	}
}

func (g *diagnosis) quarantine(d *deps, m *mirror.Mirror, shopID int64) error {
	rows, err := allHeld(d, m, shopID, "")
	if err != nil {
		return err
	}
	digits := regexp.MustCompile(`[0-9]+`)
	for _, r := range rows {
		reason := digits.ReplaceAllString(r.Reason, "N")
		i := slices.IndexFunc(g.Quarantine, func(q diagnosedReason) bool { return q.Kind == r.Kind && q.Reason == reason })
		if i < 0 {
			i = len(g.Quarantine)
			g.Quarantine = append(g.Quarantine, diagnosedReason{Kind: r.Kind, Reason: reason})
		}
		g.Quarantine[i].Count++
	}
	return nil
}

// hints reads what webhooks asked for.
func (g *diagnosis) hints(ctx context.Context, m *mirror.Mirror, shopID int64) error {
	q := m.DB().Read()
	var h struct {
		Waiting, Failing int64
		Error            string
	}
	err := q.GetContext(ctx, &h, "SELECT COUNT(*) AS waiting, COALESCE(SUM(CASE WHEN attempts>0 THEN 1 ELSE 0 END),0) AS failing, COALESCE(MAX(error),'') AS error FROM hints WHERE shop_id=?", shopID)
	if err != nil {
		return fmt.Errorf("counting re-reads: %w", err)
	}
	g.Rereads = diagnosedRereads(h)
	var topics []struct {
		Topic string
		Kept  int64
		Last  crm.Instant
	}
	if err := q.SelectContext(ctx, &topics, "SELECT topic, COUNT(*) AS kept, MAX(received_at) AS last FROM inbox WHERE shop_id=? GROUP BY topic ORDER BY topic", shopID); err != nil {
		return fmt.Errorf("counting webhooks: %w", err)
	}
	for _, t := range topics {
		g.Webhooks = append(g.Webhooks, diagnosedTopic{t.Topic, t.Kept, t.Last.Time()})
	}
	return nil
}

// scrub takes out what must never be shared, wherever it may have slipped in.
func scrub(text []byte, secrets []string) []byte {
	for _, s := range secrets {
		if len(s) >= 4 {
			text = bytes.ReplaceAll(text, []byte(s), []byte("***"))
		}
	}
	email := regexp.MustCompile(`[^\s@"'<>(),;:\[\]{}\\|=]+@[^\s@"'<>(),;:\[\]{}\\|=]+\.[^\s@"'<>(),;:\[\]{}\\|=]+`)
	return email.ReplaceAll(text, []byte("***@***"))
}

func (g *diagnosis) render(asJSON bool) ([]byte, error) {
	var b bytes.Buffer
	if asJSON {
		enc := json.NewEncoder(&b)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		if err := enc.Encode(g); err != nil {
			return nil, fmt.Errorf("writing the diagnosis: %w", err)
		}
		return b.Bytes(), nil
	}
	g.print(&b)
	return b.Bytes(), nil
}

func sortedLines(m map[string]string) []string {
	var out []string
	for k, v := range m {
		out = append(out, fmt.Sprintf("%-14s %s", k, v))
	}
	slices.Sort(out)
	return slices.DeleteFunc(out, func(l string) bool { return strings.TrimSpace(l) == "" })
}
