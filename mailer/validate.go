package mailer

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/segments/rule"
)

// Known is what the other files define, for checking the names that a campaign uses.
type Known struct {
	Segments  rule.File
	Templates map[string]bool
	Audiences map[string]bool
	Shops     map[string][]ShopName // by audience
}

// Validate lists every mistake of a file; config maps the paths to lines. An empty list means that Deploy accepts it.
func (f CampaignFile) Validate(known Known) []fault.Problem {
	var all []fault.Problem
	for _, id := range slices.Sorted(maps.Keys(f)) {
		_, problems := compile(id, f[id], known.Segments, &known)
		all = append(all, problems...)
	}
	return all
}

const idWant = "letters a-z, digits, _ and -, at most 64, beginning with a letter or digit"

func validID(id string) bool {
	ok, _ := regexp.MatchString(`^[a-z0-9][a-z0-9_-]{0,63}$`, id)
	return ok
}

func quoted(s string) string { return strconv.Quote(s) }

func (k *compiler) names(id string, c *campaign) {
	if !validID(id) {
		k.wrong("", quoted(id)+" is no id of a campaign", idWant)
	}
	if c.kind != KindMarketing && c.kind != KindTransactional {
		k.wrong(".kind", quoted(c.kind)+" is no kind of campaign", "marketing or transactional")
	}
	if k.known != nil && !k.known.Audiences[c.audience] {
		k.wrong(".audience", "there is no audience "+quoted(c.audience), oneOf(trueKeys(k.known.Audiences)))
	}
}

func trueKeys(names map[string]bool) []string {
	var known []string
	for _, n := range slices.Sorted(maps.Keys(names)) {
		if names[n] {
			known = append(known, n)
		}
	}
	return known
}

func oneOf(known []string) string {
	if len(known) == 0 {
		return "none is defined yet"
	}
	return "one of: " + strings.Join(known, ", ")
}

// ShopName is a shop as far as campaigns depend on it.
type ShopName struct{ Name, Platform string }
