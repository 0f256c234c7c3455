package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/mailer"
)

//go:embed contact_export.html
var exportPage string

type contactExportCmd struct {
	Contact string `arg:"" help:"E-mail, - to read it from standard input, or contact id."`
	Out     string `help:"Folder to write the two files to." default:"." placeholder:"DIR"`
	JSON    bool   `help:"Print the JSON instead of writing files." name:"json"`
}

// Help says what is in it.
func (contactExportCmd) Help() string {
	return "Writes everything that is held of a person (of all the addresses that were merged, too), with where it comes from: contact-<id>.json\n" +
		"for machines and contact-<id>.html for people. Both are readable by you alone, and hold personal data: hand them to that person only,\n" +
		"after you have made sure who asks. The shops hold more: their own export covers that.\n\n" +
		"Exit code: 0 written, 1 there is no such contact, 2 the command line or the files are wrong.\n\n" +
		"Examples:\n\n  relance contact export somebody@example.com --out ~/requests\n  echo somebody@example.com | relance contact export - --json"
}

// exportedContact is what is written. Version 1: keys may be added.
type exportedContact struct {
	Version int              `json:"version"`
	Contact string           `json:"contact"`
	At      string           `json:"at"`
	Held    []mirror.Holding `json:"held"`
}

// Empty are the kinds of which nothing is held.
func (e exportedContact) Empty() (out []mirror.Holding) {
	for _, h := range e.Held {
		if len(h.Rows) == 0 {
			out = append(out, h)
		}
	}
	return out
}

// Run writes both files.
func (c *contactExportCmd) Run(d *deps) error {
	m, done, err := d.openMirror()
	if err != nil {
		return err
	}
	defer done()
	id, err := d.contactID(m, c.Contact, "")
	if err != nil {
		return err
	}
	held, err := mailer.Export(d.ctx, m, id)
	if err != nil {
		return err
	}
	e := exportedContact{Version: 1, Contact: publicID(id), At: d.now().UTC().Format(time.RFC3339), Held: held}
	if c.JSON {
		return d.json(e)
	}
	text, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the export: %w", err)
	}
	page, err := e.page()
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{"contact-" + e.Contact + ".json": append(text, '\n'), "contact-" + e.Contact + ".html": page} {
		if err := os.WriteFile(filepath.Join(c.Out, name), content, 0o600); err != nil {
			return fmt.Errorf("writing the export: %w", err)
		}
	}
	base := filepath.Join(c.Out, "contact-"+e.Contact)
	fmt.Fprintf(d.out, "%s\n%s\n", base+".json", base+".html")
	return nil
}

func (e exportedContact) page() ([]byte, error) {
	t, err := template.New("export").Funcs(template.FuncMap{
		"columns": func(rows []map[string]any) []string { return slices.Sorted(maps.Keys(rows[0])) },
		"cell": func(v any) any {
			if v == nil {
				return ""
			}
			return v
		},
	}).Parse(exportPage)
	if err != nil {
		return nil, fmt.Errorf("writing the export: %w", err)
	}
	var out bytes.Buffer
	if err := t.Execute(&out, e); err != nil {
		return nil, fmt.Errorf("writing the export: %w", err)
	}
	return out.Bytes(), nil
}
