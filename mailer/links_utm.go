package mailer

import (
	"net/url"
	"slices"
	"strings"
)

// utm is what links to one shop carry for its statistics. The zero utm leaves every address alone.
type utm struct {
	shop   string // host without www.; links to it and to what lies below it are meant
	params string // as a query has them
}

const (
	utmSource = "relance"
	utmMedium = "email"
)

func (k *compiler) utm(s CampaignSpec, c *campaign) {
	if s.UTM == nil {
		return
	}
	c.utm = *s.UTM
	switch {
	case c.kind == KindTransactional && !s.UTM.Off:
		k.wrong(".utm", "links of a transactional mail carry no utm parameters", "no utm")
	case s.UTM.Off && *s.UTM != (UTMSpec{Off: true}):
		k.wrong(".utm", "off beside parameters says two things", "off: true alone, or the parameters alone")
	}
}

// newUTM takes the campaign's wish; content is the step, with the variants that led to it.
func newUTM(s UTMSpec, campaign, content, shopAddress string) utm {
	_, rest, ok := cutScheme(shopAddress)
	host := strings.TrimPrefix(hostOf(rest), "www.")
	if s.Off || !ok || host == "" {
		return utm{}
	}
	return utm{shop: host, params: "utm_source=" + url.QueryEscape(orElse(s.Source, utmSource)) + "&utm_medium=" + url.QueryEscape(orElse(s.Medium, utmMedium)) +
		"&utm_campaign=" + url.QueryEscape(orElse(s.Campaign, campaign)) + "&utm_content=" + url.QueryEscape(content)}
}

// utmContent names a step, and the variants of splits on the way to it ("split=b,…"): "second", "second-b".
func utmContent(step, variants string) string {
	for chosen := range strings.SplitSeq(variants, ",") {
		if _, variant, ok := strings.Cut(chosen, "="); ok {
			step += "-" + variant
		}
	}
	return step
}

// add gives the address with the parameters that it lacks, before its fragment; everything else of it stays as it is.
func (u utm) add(address string) string {
	_, rest, ok := cutScheme(address)
	if !ok || !u.leadsToShop(hostOf(rest)) {
		return address
	}
	before, _, _ := strings.Cut(address, "#")
	_, query, asked := strings.Cut(before, "?")
	add, by := u.missing(query), "&"
	switch {
	case add == "":
		return address
	case !asked:
		by = "?"
	case query == "", strings.HasSuffix(query, "&"):
		by = ""
	}
	return before + by + add + address[len(before):]
}

// missing are the parameters that a query does not set already.
func (u utm) missing(query string) string {
	if !strings.Contains(query, "utm_") {
		return u.params
	}
	left := slices.DeleteFunc(strings.Split(u.params, "&"), func(p string) bool {
		name := p[:strings.IndexByte(p, '=')]
		for pair := range strings.SplitSeq(query, "&") {
			if set, _, _ := strings.Cut(pair, "="); set == name {
				return true
			}
		}
		return false
	})
	return strings.Join(left, "&")
}

func (u utm) leadsToShop(host string) bool {
	below, ok := strings.CutSuffix(host, u.shop)
	return ok && u.shop != "" && (below == "" || strings.HasSuffix(below, "."))
}

// hostOf is the host of an address without its scheme, in lower case and without user and port.
func hostOf(rest string) string {
	if i := strings.IndexAny(rest, `/?#\`); i >= 0 {
		rest = rest[:i]
	}
	rest = rest[strings.LastIndexByte(rest, '@')+1:]
	if i := strings.LastIndexByte(rest, ':'); i >= 0 && !strings.HasSuffix(rest, "]") {
		rest = rest[:i]
	}
	return strings.ToLower(strings.TrimSuffix(rest, "."))
}
