// Package prestashop reads a PrestaShop shop (1.7.7 to 9) through its webservice. What it relies on was observed on
// real shops: see presshop, the loopback shop made of those recordings.
package prestashop

import (
	"fmt"
	"time"

	"github.com/relance/relance/connectors/mapping"
	"github.com/relance/relance/connectors/rest"
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

const keyLength = 32

// Validate finds what can be seen to be wrong without asking the shop. Paths are below the block. No message holds the
// key.
func (c Config) Validate() []fault.Problem {
	ps := rest.Address{URL: c.URL, CAFile: c.CAFile, API: "/api"}.Check()
	add := func(path, msg, want string) {
		ps = append(ps, fault.Problem{Path: path, Message: msg, Want: want})
	}
	switch {
	case c.Key == "":
		add("$.key", "key is missing", "the webservice key, for example ${PRESTASHOP_KEY}; PrestaShop makes it under Advanced Parameters → Webservice")
	case len(c.Key) != keyLength:
		add("$.key", fmt.Sprintf("key has %d characters", len(c.Key)), "the 32 characters that PrestaShop shows under Advanced Parameters → Webservice")
	}
	return ps
}

// fieldRoot begins a field that the platform does not have by itself: overrides and modules add some to the webservice.
const fieldRoot = "field."

// Fields are what a mapping may name: PrestaShop's own fields, and field.<name> for any other that the shop's webservice
// shows. A customer's language, group and groups are names, not ids.
func Fields() mapping.Fields {
	return mapping.Fields{
		Customer: []string{
			"newsletter", "optin", "birthday", "id_gender", "company", "website", "siret", "ape", "active", "is_guest",
			"id_default_group", "group", "groups", "language", "date_add", fieldRoot,
		},
		Order:    []string{"module", "payment", "gift", "recyclable", fieldRoot},
		Product:  []string{"manufacturer", "reference", "supplier_reference", "ean13", "condition", fieldRoot},
		Statuses: true,
	}
}
