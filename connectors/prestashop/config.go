// Package prestashop reads a PrestaShop shop (1.7.7 to 9) through its webservice.
package prestashop

import (
	"net/http"
	"time"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/mapping"
	"github.com/relance/relance/internal/fault"
)

// Config is the `prestashop:` block of a shop's file.
type Config struct {
	URL    string `yaml:"url" json:"url" jsonschema:"description=Address of the shop: https://boutique.example.com"`
	Key    string `yaml:"key" json:"key" jsonschema:"description=Webservice key (32 characters)"`
	CAFile string `yaml:"ca_file,omitempty" json:"ca_file,omitempty" jsonschema:"description=PEM file of a private certificate authority to trust"`

	Mapping mapping.Mapping          `yaml:"-" json:"-"` // the shop's `mapping:` block
	Zone    string                   `yaml:"-" json:"-"` // the shop's `zone:`; "" = PS_TIMEZONE, which the key must be allowed to read
	Shop    string                   `yaml:"-" json:"-"` // the shop's name, for error texts
	Every   map[string]time.Duration `yaml:"-" json:"-"` // overrides per stream; nil in production
	Clock   func() time.Time         `yaml:"-" json:"-"` // what the shop's clock is compared with; nil: the machine's
}

// Validate finds what can be seen to be wrong without asking the shop. Paths are below the block.
func (c Config) Validate() []fault.Problem { return nil }

// Fields are what a mapping may name.
func Fields() mapping.Fields { return mapping.Fields{Statuses: true} }

// New makes a Source. transport nil means the machine's network.
func New(c Config, transport http.RoundTripper) (connectors.Source, error) { return nil, nil }
