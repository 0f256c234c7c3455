package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/relance/relance/config"
)

// version is set by the build: -ldflags "-X main.version=v1.2.3".
var version = ""

// versionOf is what was built: the linked version, else the module's, else the commit.
func versionOf() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}

type versionCmd struct {
	JSON bool `help:"One JSON object." name:"json"`
}

// Run prints the version.
func (c *versionCmd) Run(d *deps) error {
	if c.JSON {
		return d.json(map[string]string{"version": versionOf(), "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH})
	}
	fmt.Fprintf(d.out, "relance %s (%s %s/%s)\n", versionOf(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}

// json writes one object for machines.
func (d *deps) json(v any) error {
	enc := json.NewEncoder(d.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	return nil
}

type schemaCmd struct {
	Kind string `arg:"" optional:"" default:"relance" enum:"relance,shop,segments,campaigns" help:"relance, shop, segments or campaigns."`
}

// Help shows how editors use it.
func (schemaCmd) Help() string {
	return "Examples:\n\n  relance schema segments > segments.schema.json\n\nand in the first line of a file of segments:\n\n" +
		"  # yaml-language-server: $schema=../segments.schema.json"
}

// Run prints the schema.
func (c *schemaCmd) Run(d *deps) error {
	text, err := config.Schema(c.Kind)
	if err != nil {
		return usage("%w", err)
	}
	_, err = d.out.Write(text)
	return err
}
