// Package woocommerce reads a WooCommerce shop through its REST API wc/v3 and decodes its webhooks.
// What it relies on was observed on real shops: see wooshop, the loopback shop made of those recordings.
package woocommerce

import (
	"strings"
	"time"

	"github.com/relance/relance/connectors/mapping"
	"github.com/relance/relance/connectors/rest"
	"github.com/relance/relance/internal/fault"
)

// Config is the `woocommerce:` block of a shop's file.
type Config struct {
	URL           string                   `yaml:"url" json:"url" jsonschema:"description=Address of the shop: https://boutique.example.com; over plain http requests are signed and the key stays here"`
	Key           string                   `yaml:"key" json:"key" jsonschema:"description=Consumer key (ck_…) of an administrator; permission Read/Write lets Relance make its webhooks and unsubscribe people in the shop and Read is enough for all else"`
	Secret        string                   `yaml:"secret" json:"secret" jsonschema:"description=Consumer secret (cs_…)"`
	WebhookSecret string                   `yaml:"webhook_secret,omitempty" json:"webhook_secret,omitempty" jsonschema:"description=A long random word that signs the webhooks; Relance gives it to the webhooks that it makes"`
	CAFile        string                   `yaml:"ca_file,omitempty" json:"ca_file,omitempty" jsonschema:"description=PEM file of a private certificate authority to trust"`
	Mapping       mapping.Mapping          `yaml:"-" json:"-"` // the shop's `mapping:` block
	HookURL       string                   `yaml:"-" json:"-"` // where the shop is to send its webhooks; "": nowhere
	Shop          string                   `yaml:"-" json:"-"` // the shop's name, for error texts
	Every         map[string]time.Duration `yaml:"-" json:"-"` // overrides per stream; nil in production
	Clock         func() time.Time         `yaml:"-" json:"-"` // what the shop's clock is compared with; nil: the machine's
}

// Fields are what a mapping may name: meta_data of customers, orders and products, what a profile and its addresses hold,
// and a product's attributes by name or slug ("attribute.marque" finds "Marque" and "pa_marque").
func Fields() mapping.Fields {
	return mapping.Fields{
		Customer: []string{rootMeta, "billing.", "shipping.", "role", "username", "is_paying_customer"},
		Order:    []string{rootMeta, "billing.", "shipping."},
		Product:  []string{rootAttribute, rootMeta, "brands", "tags", "categories"},
		Statuses: true,
	}
}

// Validate finds what can be seen to be wrong without asking the shop. Paths are below the block. No message holds a secret.
func (c Config) Validate() []fault.Problem {
	ps := rest.Address{URL: c.URL, CAFile: c.CAFile, API: "/wp-json", Plain: true}.Check()
	add := func(path, msg, want string) {
		ps = append(ps, fault.Problem{Path: path, Message: msg, Want: want})
	}
	if c.Key == "" {
		add("$.key", "key is missing", "the consumer key, for example ${WOO_KEY}; WooCommerce shows it once under Settings → Advanced → REST API")
	}
	if c.Secret == "" {
		add("$.secret", "secret is missing", "the consumer secret, for example ${WOO_SECRET}")
	}
	if c.Key != "" && strings.HasPrefix(c.Key, "cs_") && strings.HasPrefix(c.Secret, "ck_") {
		add("$.key", "key and secret are exchanged", "the key begins with ck_, the secret with cs_")
	}
	return ps
}
