// Package magento reads a Magento 2 shop (2.3 and 2.4: Open Source, Mage-OS, Adobe Commerce) through its REST API.
// What it relies on was observed on a real shop: see magshop, the loopback shop made of those recordings.
package magento

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/relance/relance/connectors/mapping"
	"github.com/relance/relance/connectors/rest"
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

// Roots of fields that a mapping names.
const (
	rootCustom    = "custom."    // custom_attributes, by code
	rootExtension = "extension." // extension_attributes that are scalars
)

// subscribed is the newsletter box of an account, the platform's own explicit opt-in.
const subscribed = rootExtension + "is_subscribed"

// Fields are what a mapping may name: custom and extension attributes by their code, and a few fields of the core.
// Ids of options read as their labels.
func Fields() mapping.Fields {
	return mapping.Fields{
		Customer: []string{rootCustom, rootExtension, "gender", "dob", "taxvat", "prefix", "suffix", "middlename", "group", "website_id", "store"},
		Order:    []string{rootExtension, "coupon_code", "customer_note", "customer_gender", "customer_taxvat", "shipping_description", "store"},
		Product:  []string{rootCustom, rootExtension, "type_id", "attribute_set_id"},
	}
}

// Validate finds what can be seen to be wrong without asking the shop. Paths are below the block. No message holds a secret.
func (c Config) Validate() []fault.Problem {
	ps := rest.Address{URL: c.URL, CAFile: c.CAFile, API: "/rest", Plain: c.oauth()}.Check()
	add := func(path, msg, want string) {
		ps = append(ps, fault.Problem{Path: path, Message: msg, Want: want})
	}
	if c.Token == "" {
		add("$.token", "token is missing", "the access token of an integration, for example ${MAGENTO_TOKEN}; Magento shows it under System → Integrations")
	}
	for _, f := range []struct{ name, value string }{
		{"consumer_key", c.ConsumerKey}, {"consumer_secret", c.ConsumerSecret}, {"token_secret", c.TokenSecret},
	} {
		if c.oauth() && f.value == "" {
			add("$."+f.name, f.name+" is missing", "all of consumer_key, consumer_secret, token and token_secret (signed requests), or token alone (a bearer token)")
		}
	}
	for i, code := range c.Stores {
		path := fmt.Sprintf("$.stores[%d]", i)
		switch {
		case code == "" || strings.Trim(code, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "":
			add(path, fmt.Sprintf("%q is not the code of a store view", code), "a code as under Stores → All Stores, for example default")
		case slices.Index(c.Stores, code) != i:
			add(path, fmt.Sprintf("%q is given twice", code), "each code once")
		}
	}
	return ps
}

// oauth tells whether requests are signed; else the token is sent as it is.
func (c Config) oauth() bool {
	return c.ConsumerKey != "" || c.ConsumerSecret != "" || c.TokenSecret != ""
}

// secrets are what must never be in an error.
func (c Config) secrets() []string {
	return slices.DeleteFunc([]string{c.Token, c.ConsumerKey, c.ConsumerSecret, c.TokenSecret}, func(s string) bool { return s == "" })
}
