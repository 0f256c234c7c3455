// Package woocommerce reads a WooCommerce shop through its REST API wc/v3 and decodes its webhooks.
// What it relies on was observed on real shops: see wooshop, the loopback shop made of those recordings.
package woocommerce

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
)

// Config is the `woocommerce:` block of a shop's file.
type Config struct {
	URL           string            `yaml:"url" json:"url" jsonschema:"description=Address of the shop: https://boutique.example.com"`
	Key           string            `yaml:"key" json:"key" jsonschema:"description=Consumer key (ck_…) of an administrator with read permission"`
	Secret        string            `yaml:"secret" json:"secret" jsonschema:"description=Consumer secret (cs_…)"`
	WebhookSecret string            `yaml:"webhook_secret,omitempty" json:"webhook_secret,omitempty" jsonschema:"description=Secret given to the shop's webhooks"`
	CAFile        string            `yaml:"ca_file,omitempty" json:"ca_file,omitempty" jsonschema:"description=PEM file of a private certificate authority to trust"`
	Consent       *ConsentMapping   `yaml:"consent,omitempty" json:"consent,omitempty" jsonschema:"description=Which fields say that somebody wants marketing mail"`
	Birthday      string            `yaml:"birthday,omitempty" json:"birthday,omitempty" jsonschema:"description=Customer meta key that holds the date of birth"`
	Statuses      map[string]string `yaml:"statuses,omitempty" json:"statuses,omitempty" jsonschema:"description=Custom order statuses and the state they mean"`

	Shop  string                   `yaml:"-" json:"-"` // the shop's name, for error texts
	Every map[string]time.Duration `yaml:"-" json:"-"` // overrides per stream; nil in production
	Clock func() time.Time         `yaml:"-" json:"-"` // what the shop's clock is compared with; nil: the machine's
}

// ConsentMapping says which fields hold an explicit opt-in. A field that is absent says nothing.
type ConsentMapping struct {
	Customer string   `yaml:"customer,omitempty" json:"customer,omitempty" jsonschema:"description=Customer meta key: newsletter_optin"`
	Order    string   `yaml:"order,omitempty" json:"order,omitempty" jsonschema:"description=Order meta key of the box at the checkout"`
	Yes      []string `yaml:"yes,omitempty" json:"yes,omitempty" jsonschema:"description=Values that mean yes; default: 1 yes true on"`
	False    string   `yaml:"false,omitempty" json:"false,omitempty" jsonschema:"enum=silence,enum=withdrawn,description=What any other value means; default: silence"`
	Topic    string   `yaml:"topic,omitempty" json:"topic,omitempty" jsonschema:"description=Topic of the consent; default: marketing"`
}

const (
	falseSilence   = "silence"
	falseWithdrawn = "withdrawn"
)

// mappable are the states a custom status may mean; draft and trash are WooCommerce's own affair.
func mappable() []string {
	return []string{
		crm.StatePending, crm.StateFailed, crm.StateOnHold, crm.StateAccepted, crm.StateShipped,
		crm.StateCompleted, crm.StateCancelled, crm.StateRefunded, crm.StateOther,
	}
}

// Validate finds what can be seen to be wrong without asking the shop. Paths are below the block. No message holds a secret.
func (c Config) Validate() []fault.Problem {
	var ps []fault.Problem
	add := func(path, msg, want string) {
		ps = append(ps, fault.Problem{Path: path, Message: msg, Want: want})
	}
	if msg, want := checkURL(c.URL); msg != "" {
		add("$.url", msg, want)
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
	if c.CAFile != "" {
		if _, err := os.Stat(c.CAFile); err != nil {
			add("$.ca_file", "ca_file cannot be read", "the path of a PEM file that exists")
		}
	}
	for _, status := range sortedKeys(c.Statuses) {
		if state := c.Statuses[status]; !slices.Contains(mappable(), state) {
			add("$.statuses."+status, fmt.Sprintf("%q is not a state", state), "one of "+strings.Join(mappable(), ", "))
		}
	}
	if m := c.Consent; m != nil {
		if m.Customer == "" && m.Order == "" {
			add("$.consent", "neither customer nor order is given", "the meta key that holds the opt-in, for example newsletter_optin")
		}
		if m.False != "" && m.False != falseSilence && m.False != falseWithdrawn {
			add("$.consent.false", fmt.Sprintf("%q is not known", m.False), "silence (an unticked box says nothing) or withdrawn")
		}
	}
	return ps
}

func checkURL(raw string) (msg, want string) {
	want = "the shop's address, for example https://boutique.example.com"
	if raw == "" {
		return "url is missing", want
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "":
		return "url is not a web address", want
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "url holds more than an address", want + "; keys belong into key and secret"
	case strings.Contains(u.Path, "/wp-json"):
		return "url holds the path of the API", want + ", without /wp-json"
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return "plain http would show the key to everybody on the way", "https://" + u.Host
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Sprintf("scheme %q is not understood", u.Scheme), want
	}
	return "", ""
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func (m *ConsentMapping) topic() string {
	if m.Topic == "" {
		return "marketing"
	}
	return m.Topic
}

func (m *ConsentMapping) noMeans() string {
	if m.False == "" {
		return falseSilence
	}
	return m.False
}

// means reads one value of a mapped field.
func (m *ConsentMapping) means(value string) string {
	yes := m.Yes
	if len(yes) == 0 {
		yes = []string{"1", "yes", "true", "on"}
	}
	v := strings.TrimSpace(value)
	if slices.ContainsFunc(yes, func(y string) bool { return strings.EqualFold(strings.TrimSpace(y), v) }) {
		return "yes"
	}
	return "no"
}
