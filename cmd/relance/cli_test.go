package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/relance/relance/connectors/woocommerce/wooshop"
	"github.com/relance/relance/internal/store"
)

// rig is a folder with a configuration, and a shop on loopback that it points at.
type rig struct {
	t    *testing.T
	dir  string
	shop *wooshop.Shop
	env  map[string]string
	in   io.Reader
	now  time.Time
}

func newRig(t *testing.T) *rig {
	t.Helper()
	return &rig{t: t, dir: t.TempDir(), env: map[string]string{}, in: strings.NewReader("")}
}

// run runs one command line in-process.
func (r *rig) run(args ...string) (code int, stdout, stderr string) {
	r.t.Helper()
	var out, errs bytes.Buffer
	code = execute(&deps{
		ctx: r.t.Context(), args: append([]string{"--config", r.dir}, args...), in: r.in, out: &out, err: &errs,
		env: func(name string) (string, bool) { v, ok := r.env[name]; return v, ok },
		now: func() time.Time {
			if r.now.IsZero() {
				return time.Now().UTC()
			}
			return r.now
		},
	})
	return code, out.String(), errs.String()
}

// must runs a command that has to succeed.
func (r *rig) must(args ...string) (stdout string) {
	r.t.Helper()
	code, out, errs := r.run(args...)
	if code != exitOK {
		r.t.Fatalf("relance %s: exit %d\n%s%s", strings.Join(args, " "), code, out, errs)
	}
	return out
}

// withShop lays the starting set out and points it at a loopback shop over TLS with a private authority.
func (r *rig) withShop() *rig {
	r.t.Helper()
	shop, err := wooshop.New(wooshop.Options{})
	if err != nil {
		r.t.Fatal(err)
	}
	url, ca, stop, err := shop.StartTLS("127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(stop)
	r.shop = shop
	r.must("init")
	r.write("ca.pem", string(ca))
	r.edit("shops/boutique.yaml", "url: https://boutique.example", "url: "+url)
	r.edit("shops/boutique.yaml", "#ca_file: private-ca.pem", "ca_file: ca.pem")
	r.env["BOUTIQUE_KEY"], r.env["BOUTIQUE_SECRET"] = wooshop.DefaultKey, wooshop.DefaultSecret
	return r
}

func (r *rig) write(name, text string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) edit(name, from, to string) {
	r.t.Helper()
	data, err := os.ReadFile(filepath.Join(r.dir, name))
	if err != nil {
		r.t.Fatal(err)
	}
	if !strings.Contains(string(data), from) {
		r.t.Fatalf("%s does not contain %q", name, from)
	}
	r.write(name, strings.Replace(string(data), from, to, 1))
}

func wants(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q is not in:\n%s", p, text)
		}
	}
}

func TestInitLaysOutWhatCheckAccepts(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.must("init")
	out := r.must("check", "--offline")
	wants(t, out, "The files are in order: 1 shop, 9 segments, 15 campaigns.")
	info, err := os.Stat(filepath.Join(r.dir, ".env"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf(".env: %v, %v", info.Mode(), err)
	}
	if _, err := os.Stat(filepath.Join(r.dir, "relance.db")); err == nil {
		t.Error("check made a database")
	}
}

func TestInitLaysOutAnExampleForEveryPlatform(t *testing.T) {
	t.Parallel()
	for _, platform := range []string{"woocommerce", "prestashop", "magento", "push"} {
		t.Run(platform, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.must("init", "--platform", platform)
			wants(t, r.must("check", "--offline"), "The files are in order: 1 shop, 9 segments, 15 campaigns.")
			text, err := os.ReadFile(filepath.Join(r.dir, "shops/boutique.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			wants(t, string(text), "platform: "+platform, platform+":")
			if _, err := os.Stat(filepath.Join(r.dir, "platforms")); err == nil {
				t.Error("the other platforms were laid out too")
			}
		})
	}
}

// Every campaign that is laid out is a file that says what it is for and how it begins; what a shop mails itself is off and says so.
func TestInitSaysWhatEachCampaignIsFor(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	out := r.must("init")
	files, err := os.ReadDir(filepath.Join(r.dir, "campaigns"))
	if err != nil || len(files) < 14 {
		t.Fatalf("%d campaigns, %v", len(files), err)
	}
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(r.dir, "campaigns", f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		id, purpose := campaignIn(string(text))
		if id == "" || purpose == "" {
			t.Errorf("%s does not say what it is for", f.Name())
		}
		wants(t, out, id+" ", purpose)
		wants(t, string(text), "relance campaign arm "+id)
		if off := strings.HasPrefix(f.Name(), "transactional_"); off != strings.Contains(string(text), "kind: transactional") || off != strings.Contains(string(text), "# OFF until you arm it") {
			t.Errorf("%s: transactional campaigns are named so, and say that they are off", f.Name())
		}
	}
	wants(t, out, "Begin one: relance campaign arm welcome")
}

// An agency copies a mail, edits it, and check goes on passing; what marketing mails must carry cannot be edited away.
func TestATemplateIsCopiedAndEdited(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.must("init")
	wants(t, r.must("template", "list"), "welcome_again", "_look", "as it comes")
	wants(t, r.must("template", "copy", "welcome", "_look"), "templates/welcome.fr.html", "templates/welcome.en.txt", "templates/_look.html")
	if code, _, errs := r.run("template", "copy", "welcome", "vip"); code != exitUsage || !strings.Contains(errs, "nothing was written") {
		t.Errorf("exit %d: %s", code, errs)
	}
	if code, _, errs := r.run("template", "copy", "wellcome"); code != exitUsage || !strings.Contains(errs, "welcome") {
		t.Errorf("exit %d: %s", code, errs)
	}
	r.edit("templates/welcome.fr.html", "Bienvenue", "Salut")
	r.edit("templates/_look.html", "#1b6344", "#004488")
	r.must("check", "--offline")
	for line := range strings.Lines(r.must("template", "list")) {
		if strings.Contains(line, "  welcome  ") != strings.Contains(line, "yours") && !strings.Contains(line, "_look") {
			t.Error(line)
		}
	}
	r.edit("templates/welcome.fr.html", `{{template "page" .}}`, `<p>{{template "title" .}}</p>`)
	code, _, errs := r.run("check", "--offline")
	if code != exitUsage {
		t.Errorf("exit %d", code)
	}
	wants(t, errs, "campaigns/welcome.yaml:", "templates/welcome.fr.html: it has no unsubscribe link", "postal address")
	r.edit("templates/_look.html", "{{define", "{{defin")
	if code, _, errs := r.run("check", "--offline"); code != exitUsage || !strings.Contains(errs, "templates/_look.html:") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

func TestInitOverwritesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.write("relance.yaml", "# mine\n")
	code, _, errs := r.run("init")
	if code != exitUsage {
		t.Errorf("exit %d", code)
	}
	wants(t, errs, "relance.yaml is already there", "nothing was written")
	if entries, _ := os.ReadDir(r.dir); len(entries) != 1 {
		t.Errorf("it wrote %d files", len(entries)-1)
	}
}

func TestACommandLineThatIsWrongEndsWith2(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"chekc"}, {"check", "--offlin"}, {"sync"}, {"campaign", "arm"}, {"--log-level", "loud", "version"}, {"schema", "shops"}} {
		if code, out, errs := newRig(t).run(args...); code != exitUsage || out != "" || errs == "" {
			t.Errorf("%v: exit %d, stdout %q, stderr %q", args, code, out, errs)
		}
	}
}

func TestHelpHasExamples(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"", "init", "check", "run", "sync", "segment list", "segment members", "segment explain", "segment verify",
		"template list", "template copy", "campaign list", "campaign arm", "campaign why", "campaign preview", "campaign test-send", "campaign pause", "campaign resume", "schema", "status", "shop preview",
		"quarantine list", "quarantine show", "quarantine retry", "doctor shop", "doctor mail",
	} {
		args := strings.Fields(line)
		code, out, _ := newRig(t).run(append(args, "--help")...)
		if code != exitOK {
			t.Errorf("%v --help: exit %d", args, code)
		}
		wants(t, out, "relance "+line)
		if len(args) > 0 {
			wants(t, out, "Examples:")
		}
	}
}

func TestVersionAndSchemaAreJSON(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"version", "--json"}, {"schema"}, {"schema", "campaigns"}} {
		if out := newRig(t).must(args...); !json.Valid([]byte(out)) {
			t.Errorf("%v: no JSON: %s", args, out)
		}
	}
}

func TestAMistakeIsShownWithItsPlaceAndEndsWith2(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.must("init")
	r.edit("relance.yaml", "  public: 127", "  pubic: 127")
	code, out, errs := r.run("check")
	if code != exitUsage || out != "" {
		t.Errorf("exit %d, stdout %q", code, out)
	}
	wants(t, errs, `relance.yaml:16:3: unknown key "pubic"`, "  16 |   pubic: 127.0.0.1:8480", "     |   ^", "did you mean public?", "1 mistake")
	code, out, _ = r.run("check", "--json")
	var answer checked
	if err := json.Unmarshal([]byte(out), &answer); err != nil || code != exitUsage || answer.OK || len(answer.Mistakes) != 1 || answer.Mistakes[0].Line != 16 {
		t.Errorf("exit %d, %v: %s", code, err, out)
	}
}

func TestCheckAsksTheShop(t *testing.T) {
	t.Parallel()
	r := newRig(t).withShop()
	out := r.must("check")
	wants(t, out, "boutique\n", "ok ")
	var answer checked
	if err := json.Unmarshal([]byte(r.must("check", "--json")), &answer); err != nil || !answer.OK || !answer.Shops["boutique"].OK {
		t.Errorf("%v: %+v", err, answer)
	}
}

func TestCheckSaysInOneSentenceWhatToMend(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		secret string
		fault  *wooshop.Fault
		want   string
	}{
		"wrong key": {secret: "cs_another_secret", want: "secret"},
		"html":      {fault: wooshop.WebPage(), want: "web page"},
		"redirect":  {fault: wooshop.Redirect("https://www.boutique.example/"), want: "redirects (301)"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t).withShop()
			if c.secret != "" {
				r.env["BOUTIQUE_SECRET"] = c.secret
			}
			if c.fault != nil {
				r.shop.SetFault(func(*http.Request) *wooshop.Fault { return c.fault })
			}
			code, out, errs := r.run("check")
			if code != exitFailure {
				t.Errorf("exit %d", code)
			}
			wants(t, out, "WRONG", c.want)
			for _, secret := range []string{wooshop.DefaultKey, wooshop.DefaultSecret, "cs_another_secret"} {
				if strings.Contains(out+errs, secret) {
					t.Errorf("a secret is shown:\n%s%s", out, errs)
				}
			}
		})
	}
}

// sent makes the ledger say that a mail has been handed over.
func (r *rig) sent(t *testing.T) {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{DSN: "sqlite:" + filepath.Join(r.dir, "relance.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Write(t.Context(), "test", func(tx *store.Tx) error {
		return tx.Insert(t.Context(), "sends", []string{"id", "campaign", "step", "handed_at"}, [][]any{{1, "c", "s", 1}})
	})
	if err != nil {
		t.Fatal(err)
	}
}
