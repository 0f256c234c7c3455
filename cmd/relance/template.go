package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/relance/relance/mailer/templates"
)

const templatesFolder = "templates"

type templateCmd struct {
	List templateListCmd `cmd:"" help:"List the templates that come with Relance and which of them are yours."`
	Copy templateCopyCmd `cmd:"" help:"Lay templates out in templates/, to edit them."`
}

type templateListCmd struct{}

// Help shows an example.
func (templateListCmd) Help() string { return "Examples:\n\n  relance template list" }

// Run lists them.
func (templateListCmd) Run(d *deps) error {
	names, err := defaultTemplates()
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		whose := "as it comes"
		if own, _ := filepath.Glob(filepath.Join(d.dir, templatesFolder, name+".*")); len(own) > 0 {
			whose = "yours"
		}
		fmt.Fprintf(d.out, "  %-26s %s\n", name, whose)
	}
	fmt.Fprint(d.out, "\nTo edit one: relance template copy welcome. Names with _ are the parts that all mails share.\n")
	return nil
}

type templateCopyCmd struct {
	Names []string `arg:"" help:"Templates, by name: welcome; _look for the colours, _page for header and footer."`
}

// Help shows examples.
func (templateCopyCmd) Help() string {
	return "Nothing is overwritten. A template in templates/ is used instead of the one of its name that comes with Relance, in all its languages.\n\n" +
		"Examples:\n\n  relance template copy welcome welcome_again\n  relance template copy _look"
}

// Run lays them out.
func (c *templateCopyCmd) Run(d *deps) error {
	known, err := defaultTemplates()
	if err != nil {
		return err
	}
	var files []starterFile
	for _, name := range c.Names {
		if known[name] == nil {
			return usage("there is no template %q; there are %s", name, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
		for _, file := range known[name] {
			text, err := fs.ReadFile(templates.Default(), file)
			if err != nil {
				return fmt.Errorf("reading template %s: %w", file, err)
			}
			files = append(files, starterFile{templatesFolder + "/" + file, text, 0o644})
		}
	}
	if there := existing(d.dir, files); len(there) > 0 {
		return exitError{exitUsage, fmt.Errorf("copying templates: %s already there, and nothing is overwritten; nothing was written", list(there))}
	}
	for _, f := range files {
		if err := f.write(d.dir); err != nil {
			return fmt.Errorf("copying templates: %w", err)
		}
		fmt.Fprintln(d.out, filepath.Join(d.dir, f.name))
	}
	return nil
}

// defaultTemplates gives the files of each template that comes along, by name; shared parts are named by what stands
// before the first dot.
func defaultTemplates() (map[string][]string, error) {
	entries, err := fs.ReadDir(templates.Default(), ".")
	if err != nil {
		return nil, fmt.Errorf("reading the templates that come along: %w", err)
	}
	out := map[string][]string{}
	for _, e := range entries {
		name, _, _ := strings.Cut(e.Name(), ".")
		out[name] = append(out[name], e.Name())
	}
	return out, nil
}

// existing lists those of the files that are there already.
func existing(dir string, files []starterFile) []string {
	var there []string
	for _, f := range files {
		if _, err := os.Lstat(filepath.Join(dir, f.name)); !errors.Is(err, fs.ErrNotExist) {
			there = append(there, f.name)
		}
	}
	return there
}
