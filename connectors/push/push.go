// Package push is the way in for every system that has no connector: plugins of shops, tills, forms, other platforms.
// They send signed records in one documented JSON form (openapi.json, docs/push-api.md); nothing is polled.
package push

import (
	"fmt"
	"strings"

	"github.com/relance/relance/internal/fault"
)

// Limits of one batch.
const (
	MaxRecords = 500
	MaxBody    = 1 << 20 // bytes
)

// minSecret is the shortest secret taken, in bytes: what 24 random bytes are in base64.
const minSecret = 32

// Config is the `push:` block of a shop's file: any shop may have one, a shop of the platform push has nothing else.
type Config struct {
	Secrets []string `yaml:"secrets,omitempty" json:"secrets,omitempty" jsonschema:"description=One or two secrets that senders sign with; two while one replaces the other,maxItems=2"`
}

// Validate finds what can be seen to be wrong. Paths are below the block. No message quotes a secret.
func (c Config) Validate() []fault.Problem {
	const make32 = "a random text of 32 characters or more, such as `openssl rand -base64 32` prints; better ${VAR} or a file than the text itself"
	switch {
	case len(c.Secrets) == 0:
		return []fault.Problem{{Path: "$.secrets", Message: "there is no secret that senders could sign with", Want: make32}}
	case len(c.Secrets) > 2:
		return []fault.Problem{{Path: "$.secrets", Message: fmt.Sprintf("there are %d secrets", len(c.Secrets)), Want: "one, or two while the new one replaces the old one"}}
	}
	var ps []fault.Problem
	for i, s := range c.Secrets {
		path := fmt.Sprintf("$.secrets[%d]", i)
		switch {
		case strings.TrimSpace(s) != s:
			ps = append(ps, fault.Problem{Path: path, Message: "the secret begins or ends with a space", Want: make32})
		case len(s) < minSecret:
			ps = append(ps, fault.Problem{Path: path, Message: fmt.Sprintf("the secret has %d characters: it could be guessed", len(s)), Want: make32})
		case i > 0 && s == c.Secrets[0]:
			ps = append(ps, fault.Problem{Path: path, Message: "both secrets are the same", Want: "one, or two different ones"})
		}
	}
	return ps
}
