// Package push is the way in for every system that has no connector: plugins of shops, tills, forms, other platforms.
// They send signed records in one documented JSON form; nothing is polled.
package push

import "github.com/relance/relance/internal/fault"

// Config is the `push:` block of a shop's file: any shop may have one, a shop of the platform push has nothing else.
type Config struct {
	Secrets []string `yaml:"secrets,omitempty" json:"secrets,omitempty" jsonschema:"description=One or two secrets that senders sign with; two while one replaces the other,maxItems=2"`
}

// Validate finds what can be seen to be wrong. Paths are below the block.
func (c Config) Validate() []fault.Problem { return nil }
