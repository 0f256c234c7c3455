package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/relance/relance/config"
)

const libraryInDocs = "../../docs/examples/segments"

// The library that init lays out is the one in the documentation, and every segment of it is right as it stands.
func TestTheLibraryOfReadySegments(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.must("init")
	if out := r.must("check", "--offline"); !strings.Contains(out, "9 segments") {
		t.Errorf("what lies in library/ is in force: %s", out)
	}
	files, err := os.ReadDir(libraryInDocs)
	if err != nil || len(files) < 6 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	readme, err := os.ReadFile(filepath.Join(libraryInDocs, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		in, err := os.ReadFile(filepath.Join(libraryInDocs, f.Name()))
		out, err2 := os.ReadFile(filepath.Join(r.dir, "library", f.Name()))
		if err != nil || err2 != nil || string(in) != string(out) {
			t.Errorf("%s differs between docs/examples/segments and cmd/relance/starter/library: %v %v", f.Name(), err, err2)
		}
		if strings.HasSuffix(f.Name(), ".yaml") {
			wants(t, string(readme), "("+f.Name()+")")
			r.write("segments/"+f.Name(), string(in))
		}
	}
	r.must("check", "--offline")
	cfg, err := config.Load(r.dir, func(name string) (string, bool) { v, ok := r.env[name]; return v, ok })
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"loyal", "brand_fan", "inactive_60", "inactive_70", "inactive_90", "first_time_buyers", "open_cart_20", "birthday_week", "vip", "at_risk", "sleeping_subscribers"} {
		if s, ok := cfg.Segments[id]; !ok || s.Title == "" {
			t.Errorf("%s is not in the library, or has no title", id)
		}
	}
}
