package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const contactsCSV = `E-mail;Prénom;Newsletter;Date consentement;Taille
ana@example.com;Ana;oui;02/01/2026;M
bo@example.com;Bo;non;;L
`

func (r *rig) file(name, text string) string {
	r.t.Helper()
	path := filepath.Join(r.t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	return path
}

func TestAListIsImportedFromTheCommandLine(t *testing.T) {
	t.Parallel()
	r := newRig(t).withShop()
	r.now = time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	list := r.file("contacts.csv", strings.ReplaceAll(contactsCSV, "02/01/2026", "31/01/2026"))
	out := r.must("import", list, "--dry-run")
	for _, says := range []string{"contacts.csv: 2 rows, 2 people", "email            E-mail", "not used         Taille", "1 state a consent, 0 its end, 1 say nothing", "Nothing was written"} {
		if !strings.Contains(out, says) {
			t.Errorf("%q is missing in\n%s", says, out)
		}
	}
	if out = r.must("status", "--json"); strings.Contains(out, "import:default") {
		t.Error("a dry run wrote something")
	}
	out = r.must("import", list, "--map", "attributes.size=Taille", "--map", "first_name=Prénom")
	if !strings.Contains(out, "Imported: 2 new, 0 changed, 0 as they were.") || strings.Contains(out, "not used") {
		t.Error(out)
	}
	var a struct {
		Version int
		Rows    int
		Applied struct{ New, Changed, Unchanged int }
	}
	r.in = strings.NewReader(strings.ReplaceAll(contactsCSV, "02/01/2026", "31/01/2026"))
	if err := json.Unmarshal([]byte(r.must("import", "-", "--json", "--map", "attributes.size=Taille")), &a); err != nil || a.Version != 1 || a.Rows != 2 || a.Applied.Unchanged != 2 {
		t.Errorf("%+v, %v", a, err)
	}
	if out = r.must("status"); !strings.Contains(out, "import:default") || !strings.Contains(out, "2 contacts") {
		t.Error(out)
	}
}

func TestAListWithMistakesIsRefusedWithItsLines(t *testing.T) {
	t.Parallel()
	r := newRig(t).withShop()
	code, out, errs := r.run("import", r.file("contacts.csv", contactsCSV))
	if code != exitUsage || !strings.Contains(errs, "--dates dmy or --dates mdy") {
		t.Errorf("open dates: exit %d\n%s%s", code, out, errs)
	}
	list := r.file("contacts.csv", contactsCSV+"nobody;Di;oui;02/01/2026;\n")
	code, _, errs = r.run("import", list, "--dates", "dmy")
	if code != exitFailure || !strings.Contains(errs, "line 4, E-mail: is no e-mail address") || !strings.Contains(errs, "1 mistake: nothing was imported") || strings.Contains(errs, "nobody") {
		t.Errorf("exit %d\n%s", code, errs)
	}
	code, out, _ = r.run("import", list, "--dates", "dmy", "--json")
	var a struct {
		Errors  []struct{ Line int }
		Applied *struct{}
	}
	if err := json.Unmarshal([]byte(out), &a); err != nil || code != exitFailure || len(a.Errors) != 1 || a.Errors[0].Line != 4 || a.Applied != nil {
		t.Errorf("exit %d: %s", code, out)
	}
	for name, args := range map[string][]string{
		"no such audience": {"import", list, "--audience", "nobody"}, "no such file": {"import", "missing.csv"}, "no such column": {"import", list, "--map", "email=Mail"},
	} {
		if code, _, errs := r.run(args...); code != exitUsage {
			t.Errorf("%s: exit %d\n%s", name, code, errs)
		}
	}
}
