package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A campaign on a date has a segment of its own among those of the files; nobody can refer to it, or write one.
func TestACampaignOnADateBringsItsSegment(t *testing.T) {
	dir := t.TempDir()
	lay(t, "testdata/good", dir)
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("campaigns/birthday.yaml", "birthday:\n  audience: boutique\n  trigger: {date: {of: birthday, before: 7d}}\n  steps:\n    - {id: first, send: {template: win_back}}\n")
	c, err := Load(dir, env)
	if err != nil {
		t.Fatal(err)
	}
	if s := c.Segments["campaign:birthday"]; s.Title != "birthday: 7d before somebody's birthday" || s.Match.Birthday.InNext != "7d" {
		t.Errorf("%+v", s)
	}
	write("segments/mine.yaml", "\"campaign:mine\":\n  match: {country: FR}\nlike:\n  match: {segment: \"campaign:birthday\"}\n")
	_, err = Load(dir, env)
	if err == nil || !strings.Contains(err.Error(), `"campaign:mine" cannot be the id`) || !strings.Contains(err.Error(), `no segment "campaign:birthday"`) {
		t.Error(err)
	}
}
