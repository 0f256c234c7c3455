// Package magento reads a Magento 2 shop (2.3 and 2.4: Open Source, Mage-OS, Adobe Commerce) through its REST API.
package magento

import (
	"net/http"
	"time"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/mapping"
	"github.com/relance/relance/internal/fault"
)

// Config is the `magento:` block of a shop's file.
type Config struct {
	URL            string   `yaml:"url" json:"url" jsonschema:"description=Address of the shop: https://boutique.example.com"`
	Token          string   `yaml:"token,omitempty" json:"token,omitempty" jsonschema:"description=Access token of an integration; alone it is sent as a bearer token"`
	ConsumerKey    string   `yaml:"consumer_key,omitempty" json:"consumer_key,omitempty" jsonschema:"description=Consumer key of the integration (OAuth 1.0a)"`
	ConsumerSecret string   `yaml:"consumer_secret,omitempty" json:"consumer_secret,omitempty" jsonschema:"description=Consumer secret of the integration"`
	TokenSecret    string   `yaml:"token_secret,omitempty" json:"token_secret,omitempty" jsonschema:"description=Access token secret of the integration"`
	Stores         []string `yaml:"stores,omitempty" json:"stores,omitempty" jsonschema:"description=Codes of the store views to read; all of them when absent"`
	CAFile         string   `yaml:"ca_file,omitempty" json:"ca_file,omitempty" jsonschema:"description=PEM file of a private certificate authority to trust"`

	Mapping mapping.Mapping          `yaml:"-" json:"-"` // the shop's `mapping:` block
	Zone    string                   `yaml:"-" json:"-"` // the shop's `zone:`; "" = that of the default store view
	Shop    string                   `yaml:"-" json:"-"` // the shop's name, for error texts
	Every   map[string]time.Duration `yaml:"-" json:"-"` // overrides per stream; nil in production
	Clock   func() time.Time         `yaml:"-" json:"-"` // what the shop's clock is compared with; nil: the machine's
}

// Validate finds what can be seen to be wrong without asking the shop. Paths are below the block.
func (c Config) Validate() []fault.Problem { return nil }

// Fields are what a mapping may name.
func Fields() mapping.Fields { return mapping.Fields{} }

// New makes a Source. transport nil means the machine's network.
func New(c Config, transport http.RoundTripper) (connectors.Source, error) { return nil, nil }
