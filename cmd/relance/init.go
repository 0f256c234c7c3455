package main

import (
	"bytes"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/relance/relance/config"
)

//go:embed starter
var starter embed.FS

type initCmd struct {
	Platform string `help:"What the shop runs on: woocommerce, prestashop, magento or push (it sends its records itself)." enum:"woocommerce,prestashop,magento,push" default:"woocommerce" placeholder:"NAME"`
	Dir      string `arg:"" optional:"" help:"Folder to lay them out in; made when missing. The folder of --config when absent." type:"path"`
}

// Help shows an example.
func (initCmd) Help() string {
	return "Nothing is overwritten: if one of the files exists, none is written.\n\nExamples:\n\n  relance init\n  relance init clients/boutique\n  relance init --platform prestashop clients/atelier"
}

// Run lays the files out.
func (c *initCmd) Run(d *deps) error {
	dir := c.Dir
	if dir == "" {
		dir = d.dir
	}
	files, err := starterFiles(c.Platform)
	if err != nil {
		return err
	}
	if there := existing(dir, files); len(there) > 0 {
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
	next := "put the shop's address into shops/boutique.yaml and its key into .env, then"
	if c.Platform == config.Push {
		next = "give the secret in .env to whoever sends (docs/push-api.md), then"
	}
	explainCampaigns(d.out, files, where)
	fmt.Fprintf(d.out, "\nNext: %s relance check%s\n", next, where)
	return nil
}

// explainCampaigns says what each campaign is for, in the words that its file begins with.
func explainCampaigns(out io.Writer, files []starterFile, where string) {
	groups := []struct{ title, prefix string }{
		{"Campaigns, each a draft that writes to nobody until you arm it:", "campaigns/"},
		{"Transactional ones, for when your shop's own are switched off:", "campaigns/transactional_"},
	}
	for i, g := range groups {
		fmt.Fprintf(out, "\n%s\n", g.title)
		for _, f := range files {
			if !strings.HasPrefix(f.name, g.prefix) || i == 0 && strings.HasPrefix(f.name, groups[1].prefix) {
				continue
			}
			id, purpose := campaignIn(string(f.text))
			fmt.Fprintf(out, "  %-26s %s\n", id, purpose)
		}
	}
	fmt.Fprintf(out, "Begin one: relance campaign arm welcome%s\n", where)
}

// campaignIn gives the id of a starting campaign and what its first line says that it is for.
func campaignIn(text string) (id, purpose string) {
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if comment, ok := strings.CutPrefix(line, "# "); ok && purpose == "" {
			_, purpose, _ = strings.Cut(comment, ": ")
		}
		if name, ok := strings.CutSuffix(line, ":"); ok && !strings.HasPrefix(line, " ") && !strings.HasPrefix(line, "#") {
			return name, purpose
		}
	}
	return "", purpose
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

// platformFiles is where the starting set keeps what differs by platform; WooCommerce's is in place.
const platformFiles = "platforms/"

// starterFiles lists what is laid out for a platform. Files with a leading dot are kept without it, so that tools see
// them here.
func starterFiles(platform string) ([]starterFile, error) {
	var out []starterFile
	err := fs.WalkDir(starter, "starter", func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name := strings.TrimPrefix(p, "starter/")
		if strings.HasPrefix(name, platformFiles) {
			return nil
		}
		text, err := starterText(platform, name)
		if err != nil {
			return err
		}
		switch name {
		case "gitignore":
			out = append(out, starterFile{".gitignore", text, 0o644})
		case "env":
			secret := []byte(strings.ToLower(rand.Text() + rand.Text()))
			out = append(out, starterFile{".env", bytes.ReplaceAll(text, []byte("{{secret}}"), secret), 0o600},
				starterFile{".env.example", bytes.ReplaceAll(text, []byte("{{secret}}"), []byte("replace_me")), 0o644})
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

// starterText is a file of the starting set, the platform's own where it has one.
func starterText(platform, name string) ([]byte, error) {
	own := map[string]string{"shops/boutique.yaml": platform + ".yaml", "env": platform + ".env"}[name]
	if own != "" && platform != config.WooCommerce {
		return starter.ReadFile("starter/" + platformFiles + own)
	}
	return starter.ReadFile("starter/" + name)
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
