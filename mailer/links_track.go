package mailer

import (
	"maps"
	"slices"
	"strings"
)

// track leads the links of a mail through our redirect and marks those to the shop for its statistics. The text part keeps
// plain addresses: its readers see them, and a redirect of 200 characters is nothing to read.
func (g *gating) track(c *candidate, m *Mail) {
	t := tracker{ours: g.e.o.PublicURL}
	if c.Kind == KindMarketing {
		t.utm = newUTM(c.run.utm, c.Campaign, utmContent(c.Step, c.Variants), g.shops[c.ShopID].Address)
	}
	if t.ours != "" && len(g.e.o.Keys) > 0 {
		t.signer = newClickSigner(g.e.o.Keys[0], c.ID)
	}
	t.rewrite(m)
}

// tracker changes the links of one mail.
type tracker struct {
	ours   string       // the public address; "" when there is none
	signer *clickSigner // nil: no redirect
	utm    utm
	seen   int // addresses led through the redirect
}

func (t *tracker) rewrite(m *Mail) {
	if t.signer == nil && t.utm.shop == "" {
		return
	}
	m.HTML = rewriteHTML(m.HTML, t.link)
	t.values(m.TemplateData)
	if t.utm.shop != "" {
		m.Text = rewriteText(m.Text, t.marked)
	}
}

// link changes an address of the HTML part.
func (t *tracker) link(address string) (string, bool) {
	kind, rest, ok := cutScheme(address)
	if !ok {
		return "", false // mailto:, tel:, #anchor…
	}
	switch {
	case t.own(address, landingPath):
		kind, rest = targetOurs, address[len(t.ours)+len(landingPath):]
	case t.own(address, unsubscribePath), t.own(address, preferencesPath), t.own(address, clickPath):
		return "", false
	case hostOf(rest) == "":
		return "", false
	default:
		if with, changed := t.marked(address); changed {
			if address = with; t.signer == nil {
				return address, true
			}
			_, rest, _ = cutScheme(address)
		}
	}
	if t.signer == nil {
		return "", false
	}
	token := t.signer.token(t.seen, kind, rest)
	t.seen++
	return t.ours + clickPath + string(token), true
}

// marked adds what the shop's statistics need. Our own pages may lie below the shop's name: they are left alone.
func (t *tracker) marked(address string) (string, bool) {
	if t.own(address, landingPath) || t.own(address, unsubscribePath) || t.own(address, preferencesPath) {
		return "", false
	}
	with := t.utm.add(address)
	return with, len(with) > len(address)
}

// own tells an address of our public listener.
func (t *tracker) own(address, path string) bool {
	rest, ok := strings.CutPrefix(address, t.ours)
	return ok && t.ours != "" && strings.HasPrefix(rest, path)
}

// values changes the addresses that a template of the provider's is given: it makes the links, we make what they lead to.
func (t *tracker) values(data any) {
	switch data := data.(type) {
	case []any:
		for _, v := range data {
			t.values(v)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(data)) {
			address, is := data[key].(string)
			switch {
			case !is:
				t.values(data[key])
			case key == "url" || key == "recover_url" || key == "landing": // of the fields of Data, in snake_case
				if put, ok := t.link(address); ok {
					data[key] = put
				}
			}
		}
	}
}
