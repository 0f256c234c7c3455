package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/language"

	"github.com/relance/relance/connectors/magento"
	"github.com/relance/relance/connectors/prestashop"
	"github.com/relance/relance/connectors/woocommerce"
	"github.com/relance/relance/internal/spelling"
)

// Platforms of shops. A shop's connection is described by the block that is called like its platform.
const (
	WooCommerce = "woocommerce"
	PrestaShop  = "prestashop"
	Magento     = "magento"
	Push        = "push"
)

// Platforms lists them in the order in which people are told of them.
func Platforms() []string { return []string{WooCommerce, PrestaShop, Magento, Push} }

// Address is where the shop lives, for people to read; "" for one that only sends.
func (s Shop) Address() string {
	switch s.Platform {
	case WooCommerce:
		return s.WooCommerce.URL
	case PrestaShop:
		return s.PrestaShop.URL
	case Magento:
		return s.Magento.URL
	}
	return ""
}

func (l *loader) shop(f *files, c *Config, name string) Shop {
	s, doc := f.shops[name], f.shopDocs[name]
	if !regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,39}$`).MatchString(name) {
		l.whole(doc.name, "a shop is called like its file, and this cannot be a name", "small letters, digits, - and _, at most 40; for example shops/boutique.yaml")
	}
	s.Title, s.Platform = or(s.Title, name), or(s.Platform, WooCommerce)
	s.Audience, s.Basis = or(s.Audience, DefaultAudience), or(s.Basis, "opt_in")
	if _, ok := c.Audiences[s.Audience]; !ok && f.mainDoc != nil {
		l.noAudience(doc, c, s.Audience)
	}
	known := l.oneOf(doc, "$.platform", s.Platform, Platforms()...)
	l.oneOf(doc, "$.basis", s.Basis, "opt_in", "soft_opt_in", "double_opt_in")
	if _, err := time.LoadLocation(s.Zone); err != nil || s.Zone == "Local" {
		l.problem(doc, "$.zone", fmt.Sprintf("%q is no time zone", s.Zone), "an IANA name such as Europe/Paris, or nothing to use the shop's own")
	}
	if s.Locale != "" {
		if _, err := language.Parse(s.Locale); err != nil {
			l.problem(doc, "$.locale", fmt.Sprintf("%q is no locale", s.Locale), "a language tag such as fr, fr-BE or en")
		}
	}
	if known && l.blocks(doc, s.Platform) {
		l.platform(doc, name, &s)
	}
	return s
}

// blocks refuses a shop without the block of its platform, and blocks of other platforms. push: may stand in any.
func (l *loader) blocks(doc *document, platform string) (own bool) {
	own = doc.has(platform)
	var others []string
	for _, p := range Platforms() {
		if p != platform && p != Push && doc.has(p) {
			others = append(others, p)
		}
	}
	switch {
	case own:
		for _, p := range others {
			l.problem(doc, "$."+p, fmt.Sprintf("this shop's platform is %s, and it has a block for %s too", platform, p), "one of the two; a second shop is a second file in shops/")
		}
	case len(others) > 0 && !doc.has("platform"):
		l.problem(doc, "$."+others[0], "the platform is not written", "platform: "+others[0]+" (woocommerce when it is absent)")
	case len(others) > 0:
		l.problem(doc, "$.platform", fmt.Sprintf("the platform is %s, and what follows is the block for %s", platform, others[0]),
			fmt.Sprintf("platform: %s, or a block %s:", others[0], platform))
	default:
		l.problem(doc, "$.platform", fmt.Sprintf("a shop of the platform %s needs a block %s:", platform, platform),
			fmt.Sprintf("a block %s: with %s; relance init --platform %s lays an example out", platform, needed(platform), platform))
	}
	return own
}

// needed names the keys that a platform's block cannot do without.
func needed(platform string) string {
	switch platform {
	case PrestaShop:
		return "url and key"
	case Magento:
		return "url and token"
	case Push:
		return "secrets"
	default:
		return "url, key and secret"
	}
}

// platform has the connector check its block, and the mapping by the fields that the platform has.
func (l *loader) platform(doc *document, name string, s *Shop) {
	switch s.Platform {
	case WooCommerce:
		s.WooCommerce.Shop, s.WooCommerce.Mapping = name, s.Mapping
		l.problems(doc, "$.woocommerce", s.WooCommerce.Validate())
		l.problems(doc, "$.mapping", s.Mapping.Validate(woocommerce.Fields()))
	case PrestaShop:
		s.PrestaShop.Shop, s.PrestaShop.Zone, s.PrestaShop.Mapping = name, s.Zone, s.Mapping
		l.problems(doc, "$.prestashop", s.PrestaShop.Validate())
		l.problems(doc, "$.mapping", s.Mapping.Validate(prestashop.Fields()))
	case Magento:
		s.Magento.Shop, s.Magento.Zone, s.Magento.Mapping = name, s.Zone, s.Mapping
		l.problems(doc, "$.magento", s.Magento.Validate())
		l.problems(doc, "$.mapping", s.Mapping.Validate(magento.Fields()))
	case Push:
		if doc.has("mapping") {
			l.problem(doc, "$.mapping", "a shop of the platform push has nothing to map", "no mapping: senders write Relance's own form")
		}
	}
	if doc.has(Push) {
		l.problems(doc, "$.push", s.Push.Validate())
	}
}

func (l *loader) noAudience(doc *document, c *Config, name string) {
	known := slices.Sorted(maps.Keys(c.Audiences))
	want := "one of " + strings.Join(known, ", ") + " (audiences in " + mainFile + ")"
	if near := spelling.Closest(name, known); near != "" {
		want = "did you mean " + near + "?"
	}
	l.problem(doc, "$.audience", fmt.Sprintf("there is no audience %q", name), want)
}
