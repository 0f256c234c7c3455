package config

import (
	"strings"
	"testing"
)

func TestSecretsAreMaskedHoweverTheyAreWritten(t *testing.T) {
	t.Parallel()
	const secret = "s3cr3t-value"
	for name, text := range map[string]string{
		"plain":        "key: s3cr3t-value",
		"quoted":       `  secret: "s3cr3t-value" # note`,
		"flow":         "woocommerce: {url: https://x.example, key: s3cr3t-value}",
		"json":         `{"webhook_secret":"s3cr3t-value"}`,
		"suffix":       "    api_key: s3cr3t-value",
		"upper":        "API_KEY: s3cr3t-value",
		"token":        "- token:   s3cr3t-value",
		"token secret": "  token_secret: s3cr3t-value",
		"consumer":     "  consumer_secret: s3cr3t-value",
		"list":         "  secrets: [s3cr3t-value, other]",
		"password":     "password: s3cr3t-value",
		"dsn":          "database: mysql:relance:s3cr3t-value@tcp(db:3306)/relance",
		"unclosed":     `key: "s3cr3t-value`,
		"with colon":   "secret: a: s3cr3t-value",
		"partly a var": "secret: ${X}s3cr3t-value",
	} {
		got, column := newMasker().line(strings.Split(text, "\n"), 1, len(text))
		if strings.Contains(got, secret) {
			t.Errorf("%s: %s", name, got)
		}
		if column > len([]rune(got))+1 {
			t.Errorf("%s: the caret is at %d of %q", name, column, got)
		}
	}
}

func TestASecretOfSeveralLinesIsMaskedOnEachOfThem(t *testing.T) {
	t.Parallel()
	lines := strings.Split("woocommerce:\n  key: |\n    first-part\n\n    second-part\n  url: https://x.example\nsecret: >-\n  third-part", "\n")
	for n, hidden := range map[int]string{3: "first-part", 5: "second-part", 8: "third-part"} {
		if got, _ := newMasker().line(lines, n, 1); strings.Contains(got, hidden) {
			t.Errorf("line %d: %s", n, got)
		}
	}
	if got, _ := newMasker().line(lines, 6, 3); got != lines[5] {
		t.Errorf("line 6 is no secret: %s", got)
	}
}

func TestSecretsInAListAreMasked(t *testing.T) {
	t.Parallel()
	lines := strings.Split("push:\n  secrets:\n    - first-part\n    - second-part\n  secrets:\n  - third-part\n  - fourth-part\ntitle: x", "\n")
	for n, hidden := range map[int]string{3: "first-part", 4: "second-part", 6: "third-part", 7: "fourth-part"} {
		if got, _ := newMasker().line(lines, n, 1); strings.Contains(got, hidden) {
			t.Errorf("line %d: %s", n, got)
		}
	}
}

func TestWhatIsNoSecretIsShown(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"database: sqlite:relance.db", "secret: ${WOO_SECRET}", "keys:", "keys: {file: keys.json}", "url: https://x.example", "ca_file: ca.pem"} {
		if got, _ := newMasker().line([]string{text}, 1, 1); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}

func TestAddressesOfPeopleAndExpandedVariablesAreMaskedAnywhere(t *testing.T) {
	t.Parallel()
	m := newMasker()
	m.hide("very-private")
	got, column := m.line([]string{"title: very-private and jeanne.d'arc@example.com here"}, 1, len("title: very-private and jeanne.d'arc@example.com h"))
	if strings.Contains(got, "private") || strings.Contains(got, "@") {
		t.Error(got)
	}
	if r := []rune(got); column > len(r) || r[column-1] != 'h' {
		t.Errorf("the caret is at %d of %q", column, got)
	}
	if got := m.text(`zone "very-private" of a.b+c@sub.example.org is no zone`); strings.Contains(got, "private") || strings.Contains(got, "@") {
		t.Error(got)
	}
}
