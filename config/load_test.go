package config

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write what was found into testdata instead of comparing") //nolint:gochecknoglobals // a test flag

func env(name string) (string, bool) {
	v, ok := map[string]string{
		"SENDGRID_API_KEY": "SG.abcdefghijkl.0123456789", "WOO_KEY": "ck_00000000000000000001", "WOO_SECRET": "cs_00000000000000000002",
	}[name]
	return v, ok
}

func TestTheGoodExampleLoads(t *testing.T) {
	c, err := Load("testdata/good", env)
	if err != nil {
		t.Fatal(err)
	}
	if c.Shops["boutique"].WooCommerce.Key != "ck_00000000000000000001" || c.Audiences["boutique"].SendGrid.APIKey == "" {
		t.Error("variables were not filled in")
	}
	if !strings.HasSuffix(c.Database, "/testdata/good/relance.db") || !strings.HasPrefix(c.Database, "sqlite:/") {
		t.Errorf("the SQLite path is not absolute: %s", c.Database)
	}
}

// Each folder of testdata/bad is laid over testdata/good and has one mistake (or many), with what must be said in want.txt.
func TestEveryMistakeIsShownWithItsPlaceAndWhatWouldBeRight(t *testing.T) {
	cases, err := os.ReadDir("testdata/bad")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.Name(), func(t *testing.T) {
			dir, from := t.TempDir(), filepath.Join("testdata/bad", c.Name())
			lay(t, "testdata/good", dir)
			lay(t, from, dir)
			_, err := Load(dir, env)
			if _, ok := errors.AsType[Mistakes](err); !ok {
				t.Fatalf("it loads, or fails without a place: %v", err)
			}
			got := strings.ReplaceAll(err.Error(), dir, "DIR") + "\n"
			for _, secret := range []string{"SG.", "ck_0", "cs_0", "hunter22", "bonjour@"} {
				if strings.Contains(got, secret) {
					t.Errorf("a secret or an address is shown: %s", got)
				}
			}
			golden(t, filepath.Join(from, "want.txt"), got)
		})
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Error(d)
	}
}

// lay copies a folder's files over those of another.
func lay(t *testing.T, from, to string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(from), ".", func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == "want.txt" {
			return err
		}
		data, err := os.ReadFile(filepath.Join(from, p))
		if err != nil {
			return err
		}
		target := filepath.Join(to, p)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		return os.WriteFile(target, data, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}
