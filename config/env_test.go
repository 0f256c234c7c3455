package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml/ast"
	"pgregory.net/rapid"
)

func TestVariablesAreReplacedInStringsAfterParsing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lay(t, "testdata/good", dir)
	write(t, dir, "relance.yaml", "audiences:\n  boutique:\n    title: ${TITLE}\n    from: a@b.example\n    from_name: \"$${TITLE} ${EMPTY}\"\n    postal_address: |\n      ${TITLE}\n      Paris\n")
	c, err := Load(dir, func(name string) (string, bool) {
		if v, ok := env(name); ok {
			return v, true
		}
		v, ok := map[string]string{"TITLE": "a: {b: [c\"'\n- d: ${NOT_AGAIN}", "EMPTY": ""}[name]
		return v, ok
	})
	if err != nil {
		t.Fatal(err)
	}
	a := c.Audiences["boutique"]
	if a.Title != "a: {b: [c\"'\n- d: ${NOT_AGAIN}" || a.FromName != "${TITLE} " || !strings.HasSuffix(a.PostalAddress, "${NOT_AGAIN}\nParis\n") {
		t.Errorf("%+v", a)
	}
}

func TestTheEnvironmentWinsOverTheDotEnvFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, ".env", "# comment\nexport A=\"from file\"\nB='kept'\n\nC=a=b\n")
	look, err := withDotEnv(dir, func(name string) (string, bool) { return "from environment", name == "A" })
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"A": "from environment", "B": "kept", "C": "a=b"} {
		if got, ok := look(name); !ok || got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if _, ok := look("D"); ok {
		t.Error("D is set")
	}
}

func TestASecretMayStandInAFileOfItsOwn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lay(t, "testdata/good", dir)
	write(t, dir, "woo.secret", "cs_from_a_file\n")
	shop := filepath.Join(dir, "shops/boutique.yaml")
	text, err := os.ReadFile(shop)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "shops/boutique.yaml", strings.Replace(string(text), "secret: ${WOO_SECRET}", "secret_file: woo.secret", 1))
	c, err := Load(dir, env)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Shops["boutique"].WooCommerce.Secret; got != "cs_from_a_file" {
		t.Error(got)
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Whatever is done to a file, what is said has a place and shows no key. (Half a key may be shown where the damage
// cut it in two: nothing in the text says then what it was.)
func TestNoDamageToAFileShowsASecret(t *testing.T) {
	t.Parallel()
	good, err := os.ReadFile("testdata/good/shops/boutique.yaml")
	if err != nil {
		t.Fatal(err)
	}
	secrets := []string{"ck_0c5f3bd2b7cc27f5c3d2a6e0c1f6", "cs_9a1d4be07c8845f2a1b0d9e8f7a6"}
	text := strings.NewReplacer("${WOO_KEY}", secrets[0], "${WOO_SECRET}", secrets[1]).Replace(string(good))
	rapid.Check(t, func(r *rapid.T) {
		damaged := []rune(text)
		for range rapid.IntRange(1, 4).Draw(r, "changes") {
			at := rapid.IntRange(0, len(damaged)-1).Draw(r, "at")
			sign := rapid.SampledFrom([]rune("{}[]:,-&*!|>'\"%@`#\n\t $~?é\u2028")).Draw(r, "sign")
			if rapid.Bool().Draw(r, "insert") {
				damaged = append(damaged[:at], append([]rune{sign}, damaged[at:]...)...)
			} else {
				damaged[at] = sign
			}
		}
		l := &loader{dir: "/nowhere", env: env, mask: newMasker(), unset: map[ast.Node]bool{}, typos: map[ast.Node]bool{}}
		if doc := l.parse("shop.yaml", []byte(string(damaged))); doc != nil {
			var s Shop
			l.decode(doc, &s, "a shop")
			l.problems(doc, "$.woocommerce", s.WooCommerce.Validate())
		}
		for _, m := range l.finish() {
			if m.Line == 0 && m.Message != "the YAML parser cannot read this file" {
				r.Fatalf("no place: %s", m)
			}
			for _, s := range secrets {
				if strings.Contains(m.String(), s) {
					r.Fatalf("a secret is shown:\n%s", m)
				}
			}
		}
	})
}
