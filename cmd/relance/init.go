package main

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

//go:embed starter
var starter embed.FS

type initCmd struct {
	Dir string `arg:"" optional:"" help:"Folder to lay them out in; made when missing. The folder of --config when absent." type:"path"`
}

// Help shows an example.
func (initCmd) Help() string {
	return "Nothing is overwritten: if one of the files exists, none is written.\n\nExamples:\n\n  relance init\n  relance init clients/boutique"
}

// Run lays the files out.
func (c *initCmd) Run(d *deps) error {
	dir := c.Dir
	if dir == "" {
		dir = d.dir
	}
	files, err := starterFiles()
	if err != nil {
		return err
	}
	var there []string
	for _, f := range files {
		if _, err := os.Lstat(filepath.Join(dir, f.name)); err == nil {
			there = append(there, f.name)
		}
	}
	if len(there) > 0 {
		return exitError{exitUsage, fmt.Errorf("laying out %s: %s already there, and nothing is overwritten; nothing was written", dir, list(there))}
	}
	for _, f := range files {
		if err := f.write(dir); err != nil {
			return fmt.Errorf("laying out %s: %w", dir, err)
		}
		fmt.Fprintln(d.out, filepath.Join(dir, f.name))
	}
	where := ""
	if dir != d.dir {
		where = " --config " + c.Dir
	}
	fmt.Fprintf(d.out, "\nNext: put the shop's address into shops/boutique.yaml and its key into .env, then relance check%s\n", where)
	return nil
}

func list(names []string) string {
	if len(names) == 1 {
		return names[0] + " is"
	}
	return strings.Join(names, ", ") + " are"
}

type starterFile struct {
	name string
	text []byte
	mode fs.FileMode
}

// starterFiles lists what is laid out. Files with a leading dot are kept without it, so that tools see them here.
func starterFiles() ([]starterFile, error) {
	var out []starterFile
	err := fs.WalkDir(starter, "starter", func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := starter.ReadFile(p)
		if err != nil {
			return err
		}
		switch name := strings.TrimPrefix(p, "starter/"); name {
		case "gitignore":
			out = append(out, starterFile{".gitignore", text, 0o644})
		case "env":
			out = append(out, starterFile{".env", text, 0o600}, starterFile{".env.example", text, 0o644})
		default:
			out = append(out, starterFile{name, text, 0o644})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the starting set: %w", err)
	}
	return out, nil
}

// write makes a file that must not be there yet.
func (s starterFile) write(dir string) error {
	path := filepath.Join(dir, s.name)
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, s.mode)
	if err != nil {
		return err
	}
	_, err = f.Write(s.text)
	return errors.Join(err, f.Close())
}
