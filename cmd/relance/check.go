package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/relance/relance/config"
	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/mailer"
)

type checkCmd struct {
	Offline bool `help:"Only look at the files; ask no shop and no mail provider."`
	JSON    bool `help:"One JSON object." name:"json"`
}

// Help shows examples.
func (checkCmd) Help() string {
	return "Every mistake in the files is shown with file, line, column and what would be right. Then every shop is asked whether address, key, " +
		"rights, version and clock are as they must be, every mail provider whether it would take mails from us (no mail is sent), and whether the public " +
		"address reaches a Relance.\n\n" +
		"Exit code: 0 all is well, 1 a shop, a mail provider or the public address does not answer as it must, 2 the files have mistakes.\n\n" +
		"Examples:\n\n  relance check\n  relance check --offline --json --config clients/boutique"
}

// checked is the answer of check --json. Version 1: keys may be added.
type checked struct {
	Version  int                    `json:"version"`
	OK       bool                   `json:"ok"`
	Mistakes []config.Mistake       `json:"mistakes"`
	Shops    map[string]checkedShop `json:"shops"`
	// Audiences is what their mail providers answered, by audience.
	Audiences map[string]checkedAudience `json:"audiences"`
	Findings  []connectors.Finding       `json:"findings"` // beyond the shops: keys, public address
}

type checkedShop struct {
	OK bool `json:"ok"`
	connectors.ProbeResult
}

type checkedAudience struct {
	OK       bool                 `json:"ok"`
	Findings []connectors.Finding `json:"findings"`
}

// Run checks everything.
func (c *checkCmd) Run(d *deps) error {
	cfg, err := d.load()
	if err != nil {
		return c.mistakes(d, err)
	}
	r := checked{
		Version: 1, OK: true, Mistakes: []config.Mistake{}, Shops: map[string]checkedShop{}, Audiences: map[string]checkedAudience{}, Findings: []connectors.Finding{},
	}
	if !c.JSON {
		fmt.Fprintf(d.out, "The files are in order: %s, %s, %s.\n", count(len(cfg.Shops), "shop"), count(len(cfg.Segments)-len(mailer.ImplicitSegments(cfg.Campaigns)), "segment"), count(len(cfg.Campaigns), "campaign"))
	}
	r.Findings = append(r.Findings, keysFinding(d.ctx, cfg))
	if !c.Offline {
		if f, ok := publicFinding(d.ctx, cfg, d.transport); ok {
			r.Findings = append(r.Findings, f)
		}
	}
	if !c.JSON {
		c.print(d, "relance", r.Findings)
	}
	for _, f := range r.Findings {
		r.OK = r.OK && f.OK
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Audiences)) {
		if c.Offline {
			break
		}
		f := probeProvider(d.ctx, cfg.Audiences[name], d.transport)
		r.Audiences[name], r.OK = checkedAudience{OK: f.OK, Findings: []connectors.Finding{f}}, r.OK && f.OK
		if !c.JSON {
			c.print(d, "audience "+name, r.Audiences[name].Findings)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Shops)) {
		if c.Offline {
			break
		}
		s := probe(d, cfg, name)
		r.Shops[name], r.OK = s, r.OK && s.OK
		if !c.JSON {
			c.print(d, name, s.Findings)
		}
	}
	if c.JSON {
		if err := d.json(r); err != nil {
			return err
		}
	}
	if !r.OK {
		return exitError{code: exitFailure}
	}
	return nil
}

// mistakes reports a configuration that cannot be used.
func (c *checkCmd) mistakes(d *deps, err error) error {
	ms, ok := errors.AsType[config.Mistakes](err)
	if !c.JSON || !ok {
		return err
	}
	r := checked{Version: 1, Mistakes: ms, Shops: map[string]checkedShop{}, Audiences: map[string]checkedAudience{}, Findings: []connectors.Finding{}}
	if err := d.json(r); err != nil {
		return err
	}
	return exitError{code: exitUsage}
}

func (c *checkCmd) print(d *deps, who string, fs []connectors.Finding) {
	fmt.Fprintf(d.out, "\n%s\n", who)
	printFindings(d.out, fs)
}

func printFindings(w io.Writer, fs []connectors.Finding) {
	for _, f := range fs {
		mark := "ok  "
		if !f.OK {
			mark = "WRONG"
		}
		fmt.Fprintf(w, "  %-5s %-12s %s\n", mark, f.What, f.Text)
		if f.Mend != "" {
			fmt.Fprintf(w, "        %-12s %s\n", "", f.Mend)
		}
	}
}

// probe asks one shop. One that only sends has nothing to ask.
func probe(d *deps, cfg *config.Config, name string) checkedShop {
	source, err := openSource(cfg, name, appOptions{now: d.now, transport: d.transport})
	if err != nil {
		return checkedShop{ProbeResult: connectors.ProbeResult{Findings: []connectors.Finding{{What: "settings", Text: sentence(err)}}}}
	}
	if source == nil {
		text := "This shop sends its records to the push API; Relance asks nothing of it."
		return checkedShop{OK: true, ProbeResult: connectors.ProbeResult{Findings: []connectors.Finding{{What: "push", OK: true, Text: text}}}}
	}
	ctx, cancel := context.WithTimeout(d.ctx, 2*time.Minute)
	defer cancel()
	r, err := source.Probe(ctx)
	if err != nil && r.OK() {
		r.Findings = append(r.Findings, connectors.Finding{What: "shop", Text: sentence(err)})
	}
	return checkedShop{OK: r.OK(), ProbeResult: r}
}

// keysFinding looks at the signing keys. A database that does not exist yet, or cannot be reached, has sent nothing
// that we know of; opening it is not this command's business.
func keysFinding(ctx context.Context, cfg *config.Config) connectors.Finding {
	path, isFile := strings.CutPrefix(cfg.Database, "sqlite:")
	if _, err := os.Stat(path); isFile && err != nil {
		return connectors.Finding{What: "database", OK: true, Text: "There is none yet; it is made at the first start."}
	}
	db, err := store.Open(ctx, store.Options{DSN: cfg.Database})
	if err != nil {
		return connectors.Finding{What: "database", Text: sentence(err)}
	}
	defer db.Close() //nolint:errcheck // nothing was written
	if err := db.Migrate(ctx); err != nil {
		return connectors.Finding{What: "database", Text: sentence(err)}
	}
	if err := checkKeys(ctx, db, cfg.Keys); err != nil {
		return connectors.Finding{What: "keys", Text: sentence(err)}
	}
	return connectors.Finding{What: "database", OK: true, Text: "It answers, and the keys of every mail sent are there."}
}

// publicFinding asks whether one click on "unsubscribe" would reach a Relance at the public address. It posts what is
// no one-click form: Relance answers 400 and does nothing, anything else in its place answers otherwise.
func publicFinding(ctx context.Context, cfg *config.Config, transport http.RoundTripper) (connectors.Finding, bool) {
	u, err := url.Parse(cfg.PublicURL)
	if err != nil || cfg.PublicURL == "" {
		return connectors.Finding{}, false
	}
	f := connectors.Finding{What: "public_url", Text: u.Host + " leads here: unsubscribing in one click works.", OK: true}
	if text := askPublic(ctx, u, transport); text != "" {
		f.Text, f.Mend = text, "Start relance run, and let this address lead to its public listener, through your https proxy if you have one."
		f.OK = !cfg.Markets() // as long as no marketing mail leaves, nobody needs it
	}
	return f, true
}

// askPublic says what is wrong with the way to the public listener, or "".
func askPublic(ctx context.Context, u *url.URL, transport http.RoundTripper) string {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.JoinPath("u", "check").String(), strings.NewReader("check=1"))
	if err != nil {
		return "It is no address."
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	client := http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err
	}
	if err != nil {
		return "Nothing answers at " + u.Host + ": " + err.Error() + "."
	}
	defer resp.Body.Close() //nolint:errcheck // nothing is read from it
	if resp.StatusCode != http.StatusBadRequest {
		return fmt.Sprintf("What answers at %s is not Relance: it says %d to an unsubscribe form.", u.Host, resp.StatusCode)
	}
	return ""
}
