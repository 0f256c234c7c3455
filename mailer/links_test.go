package mailer_test

import (
	"fmt"
	"html"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	nethtml "golang.org/x/net/html"
	"pgregory.net/rapid"

	"github.com/relance/relance/mailer"
	"github.com/relance/relance/mailer/render"
	"github.com/relance/relance/mailer/templates"
)

const (
	publicURL = "https://mail.boutique.example" // below the shop's own name, as many have it
	shopURL   = "https://www.boutique.example/fr/"
)

func linkKeys() mailer.Keys {
	return mailer.Keys{{ID: "k2", Secret: []byte("the newest secret")}, {ID: "k1", Secret: []byte("a secret of years ago")}}
}

func TestLinksOfTheHTMLPartAreRewritten(t *testing.T) {
	t.Parallel()
	const utm = "utm_source=relance&utm_medium=email&utm_campaign=win_back&utm_content=second"
	for name, c := range map[string]struct {
		html string
		want []string // where the links of the result lead, followed through the redirect; "=" before one that is left alone
	}{
		"to the shop":                     {`<a href="https://boutique.example/p">x</a>`, []string{"https://boutique.example/p?" + utm}},
		"single quotes":                   {`<a class='b' href='https://boutique.example/p'>x</a>`, []string{"https://boutique.example/p?" + utm}},
		"no quotes":                       {`<a href=https://boutique.example/p class=b>x</a>`, []string{"https://boutique.example/p?" + utm}},
		"upper case, space around the =":  {"<A\n HREF\t=\n\"https://boutique.example/p\">x</A>", []string{"https://boutique.example/p?" + utm}},
		"a scheme in upper case":          {`<a href="HTTPS://Boutique.Example/p">x</a>`, []string{"https://Boutique.Example/p?" + utm}},
		"entities":                        {`<a href="https://boutique.example/p?a=1&amp;b=2&#38;c=3#top">x</a>`, []string{"https://boutique.example/p?a=1&b=2&c=3&" + utm + "#top"}},
		"no entity after all":             {`<a href="https://boutique.example/p?a=1&copy=2&amp;lt=3">x</a>`, []string{"https://boutique.example/p?a=1&copy=2&lt=3&" + utm}},
		"elsewhere: no utm":               {`<a href="https://instagram.example/alba?b=1">x</a>`, []string{"https://instagram.example/alba?b=1"}},
		"plain http":                      {`<a href="http://elsewhere.example">x</a>`, []string{"http://elsewhere.example"}},
		"utm of one's own":                {`<a href="https://boutique.example/?utm_source=mine&amp;utm_campaign=x">x</a>`, []string{"https://boutique.example/?utm_source=mine&utm_campaign=x&utm_medium=email&utm_content=second"}},
		"a comment for Outlook":           {`<!--[if mso]><v:roundrect href="https://boutique.example/p"><center>x</center></v:roundrect><![endif]-->`, []string{"https://boutique.example/p?" + utm}},
		"a link in a comment for Outlook": {`<!--[if mso]><a href="https://boutique.example/p">x</a><![endif]-->`, []string{"https://boutique.example/p?" + utm}},
		"a map":                           {`<map><area shape=rect href="https://boutique.example/p"></map>`, []string{"https://boutique.example/p?" + utm}},
		"a / before the end":              {`<a href="https://boutique.example/p"/>x`, []string{"https://boutique.example/p?" + utm}},
		"> within a value":                {`<a title="a > b" href="https://boutique.example/p">x</a>`, []string{"https://boutique.example/p?" + utm}},
		"a line break in the address":     {"<a href=\" https://boutique.example/\n\tp \">x</a>", []string{"https://boutique.example/p?" + utm}},
		"the first of two":                {`<a href="https://a.example/" href="https://b.example/">x</a>`, []string{"https://a.example/"}},
		"our page":                        {`<a href="` + publicURL + `/l/l1.k2.x">x</a>`, []string{"/l/l1.k2.x"}},
		"our unsubscribing":               {`<a href="` + publicURL + `/u/u1.x">x</a>`, []string{"=" + publicURL + "/u/u1.x"}},
		"our preferences":                 {`<a href="` + publicURL + `/p/p1.x">x</a>`, []string{"=" + publicURL + "/p/p1.x"}},
		"a mail":                          {`<a href="mailto:?subject=x&amp;body=https://boutique.example/p">x</a>`, []string{"=mailto:?subject=x&body=https://boutique.example/p"}},
		"a telephone":                     {`<a href="tel:+33123456789">x</a>`, []string{"=tel:+33123456789"}},
		"an anchor":                       {`<a name="x" href="#top">x</a><a href="">y</a>`, []string{"=#top", "="}},
		"a script":                        {`<a href="javascript:alert(1)">x</a>`, []string{"=javascript:alert(1)"}},
		"no host":                         {`<a href="https:///x">x</a>`, []string{"=https:///x"}},
		"a wish to be left alone":         {`<a clicktracking=off href="https://boutique.example/p">x</a><a href='https://boutique.example/q' CLICKTRACKING="off">y</a>`, []string{"=https://boutique.example/p", "=https://boutique.example/q"}},
		"another attribute's name":        {`<a data-href="https://boutique.example/p" xhref="https://boutique.example/q">x</a>`, nil},
		"no link, however it looks":       {`<img src="https://boutique.example/p.png"><link href="https://boutique.example/s.css"><base href="https://boutique.example/"><abbr href="https://boutique.example/">x</abbr> href="https://boutique.example/"`, nil},
		"a tag that never ends":           {`<a href="https://boutique.example/p`, nil},
		"nothing":                         {``, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := mailer.Tracked(linkKeys(), publicURL, shopURL, 4711, mailer.Mail{HTML: c.html}).HTML
			if diff := cmp.Diff(c.want, followed(t, got)); diff != "" {
				t.Errorf("%s\n%s", diff, got)
			}
			if len(c.want) == 0 && got != c.html {
				t.Errorf("it became %s", got)
			}
		})
	}
}

// hrefs are what a browser takes for links, in comments too.
func hrefs(page string) []string {
	var out []string
	z := nethtml.NewTokenizer(strings.NewReader(page))
	for z.Next() != nethtml.ErrorToken {
		token := z.Token()
		if token.Type == nethtml.CommentToken {
			out = append(out, hrefs(strings.TrimPrefix(token.Data, "[if mso]>"))...)
		}
		if token.Type != nethtml.StartTagToken && token.Type != nethtml.SelfClosingTagToken || token.Data != "a" && token.Data != "area" && !strings.HasPrefix(token.Data, "v:") {
			continue
		}
		for _, a := range token.Attr {
			if a.Key == "href" {
				out = append(out, a.Val)
				break
			}
		}
	}
	return out
}

// followed is where the links of a page lead.
func followed(tb testing.TB, page string) []string {
	tb.Helper()
	var out []string
	for _, h := range hrefs(page) {
		token, ours := strings.CutPrefix(h, publicURL+"/c/")
		if !ours {
			out = append(out, "="+h)
			continue
		}
		out = append(out, must(linkKeys().Click(token))(tb).Target)
	}
	return out
}

func TestTwoHundredLinksAndTheSameTwice(t *testing.T) {
	t.Parallel()
	var page strings.Builder
	for i := range 200 {
		fmt.Fprintf(&page, `<a href="https://elsewhere.example/%d"><img src="x"></a> <a href="https://elsewhere.example/%d">name</a>`, i, i)
	}
	m := mailer.Tracked(linkKeys(), publicURL, shopURL, 4711, mailer.Mail{HTML: page.String()})
	links := hrefs(m.HTML)
	if len(links) != 400 {
		t.Fatalf("%d links", len(links))
	}
	for i, l := range links {
		c := must(linkKeys().Click(strings.TrimPrefix(l, publicURL+"/c/")))(t)
		if want := (mailer.Click{SendID: 4711, Link: int64(i / 2), Target: fmt.Sprintf("https://elsewhere.example/%d", i/2)}); c != want {
			t.Fatalf("%+v, want %+v", c, want)
		}
	}
}

func TestAddressesOfTheTextPartAreMarkedAndStayReadable(t *testing.T) {
	t.Parallel()
	const utm = "utm_source=relance&utm_medium=email&utm_campaign=win_back&utm_content=second"
	for text, want := range map[string]string{
		"Voir https://boutique.example/p.":                    "Voir https://boutique.example/p?" + utm + ".",
		"(https://boutique.example/a_(b)) et":                 "(https://boutique.example/a_(b)?" + utm + ") et",
		"<https://boutique.example/p?a=1&b=2#c>":              "<https://boutique.example/p?a=1&b=2&" + utm + "#c>",
		"https://boutique.example":                            "https://boutique.example?" + utm,
		"https://boutique.example/?\nfin":                     "https://boutique.example/?" + utm + "?\nfin",
		"https://elsewhere.example/p, ftp://boutique.example": "https://elsewhere.example/p, ftp://boutique.example",
		publicURL + "/u/u1.x " + publicURL + "/l/l1.x":        publicURL + "/u/u1.x " + publicURL + "/l/l1.x",
		"xhttps://boutique.example :// http:// https://":      "xhttps://boutique.example :// http:// https://",
		"": "",
	} {
		if got := mailer.Tracked(linkKeys(), publicURL, shopURL, 1, mailer.Mail{Text: text}).Text; got != want {
			t.Errorf("%q became\n%q, want\n%q", text, got, want)
		}
	}
}

func TestWithoutAPublicAddressLinksAreMarkedOnly(t *testing.T) {
	t.Parallel()
	m := mailer.Tracked(nil, "", shopURL, 1, mailer.Mail{HTML: `<a href='https://boutique.example/p?a="1"&amp;b=&#39;2'>x</a><a href=https://elsewhere.example>y</a>`})
	want := []string{`https://boutique.example/p?a="1"&b='2&utm_source=relance&utm_medium=email&utm_campaign=win_back&utm_content=second`, "https://elsewhere.example"}
	if diff := cmp.Diff(want, hrefs(m.HTML)); diff != "" {
		t.Error(diff, m.HTML)
	}
}

func TestUTM(t *testing.T) {
	t.Parallel()
	const all = "utm_source=relance&utm_medium=email&utm_campaign=win_back&utm_content=second-b"
	for name, c := range map[string]struct {
		spec                mailer.UTMSpec
		shop, address, want string
	}{
		"the shop":             {mailer.UTMSpec{}, "https://boutique.example", "https://boutique.example/p", "https://boutique.example/p?" + all},
		"a shop below www":     {mailer.UTMSpec{}, "https://www.boutique.example", "https://boutique.example/p", "https://boutique.example/p?" + all},
		"below the shop":       {mailer.UTMSpec{}, "https://boutique.example", "https://cdn.fr.boutique.example:8443/p", "https://cdn.fr.boutique.example:8443/p?" + all},
		"a similar name":       {mailer.UTMSpec{}, "https://boutique.example", "https://maboutique.example/p", "https://maboutique.example/p"},
		"above the shop":       {mailer.UTMSpec{}, "https://shop.boutique.example", "https://boutique.example/p", "https://boutique.example/p"},
		"a user, not a host":   {mailer.UTMSpec{}, "https://boutique.example", "https://boutique.example@evil.example/p", "https://boutique.example@evil.example/p"},
		"as browsers read \\":  {mailer.UTMSpec{}, "https://boutique.example", `https://evil.example\@boutique.example/p`, `https://evil.example\@boutique.example/p`},
		"an empty query":       {mailer.UTMSpec{}, "https://boutique.example", "https://boutique.example/?#x?y", "https://boutique.example/?" + all + "#x?y"},
		"a query ending in &":  {mailer.UTMSpec{}, "https://boutique.example", "https://boutique.example/?a&", "https://boutique.example/?a&" + all},
		"one's own, all":       {mailer.UTMSpec{}, "https://boutique.example", "https://boutique.example/?utm_source=&utm_medium=b&utm_campaign=c&utm_content=d", "https://boutique.example/?utm_source=&utm_medium=b&utm_campaign=c&utm_content=d"},
		"utm in a value":       {mailer.UTMSpec{}, "https://boutique.example", "https://boutique.example/?q=utm_source", "https://boutique.example/?q=utm_source&" + all},
		"words of the agency":  {mailer.UTMSpec{Source: "lettre d’info", Medium: "e-mail", Campaign: "Noël & Cie"}, "https://boutique.example", "https://boutique.example/", "https://boutique.example/?utm_source=lettre+d%E2%80%99info&utm_medium=e-mail&utm_campaign=No%C3%ABl+%26+Cie&utm_content=second-b"},
		"off":                  {mailer.UTMSpec{Off: true}, "https://boutique.example", "https://boutique.example/", "https://boutique.example/"},
		"a shop of no address": {mailer.UTMSpec{}, "", "https://boutique.example/", "https://boutique.example/"},
		"not an address":       {mailer.UTMSpec{}, "https://boutique.example", "mailto:a@boutique.example", "mailto:a@boutique.example"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := mailer.Marked(c.spec, "win_back", "second-b", c.shop, c.address); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// Whatever an address looks like: rewriting a mail and following its link gives the address, with the parameters added for
// the shop and nothing else changed.
func TestFollowingARewrittenLinkGivesTheLinkAgain(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		host := rapid.SampledFrom([]string{"boutique.example", "fr.boutique.example:8443", "elsewhere.example", "u:p@boutique.example"}).Draw(t, "host")
		part := rapid.StringOfN(rapid.SampledFrom([]rune(`abc%20/éß&;=+,'"<>()~!*:@$-_.[]{}|^`+"`")), 0, 30, -1)
		address := rapid.SampledFrom([]string{"https://", "http://"}).Draw(t, "scheme") + host + "/" + part.Draw(t, "path")
		if rapid.Bool().Draw(t, "asks") {
			address += "?" + part.Draw(t, "query")
		}
		if rapid.Bool().Draw(t, "marked") {
			address += "#" + part.Draw(t, "fragment")
		}
		u, err := url.Parse(address)
		if err != nil {
			t.Skip("no address")
		}
		quote := rapid.SampledFrom([]string{`"`, `'`}).Draw(t, "quote")
		page := "<p>" + rapid.String().Draw(t, "before") + "<!-- --><a class=x href=" + quote + html.EscapeString(address) + quote + ">y</a>"
		before := hrefs(page)
		got := mailer.Tracked(linkKeys(), publicURL, shopURL, rapid.Int64Min(1).Draw(t, "send"), mailer.Mail{HTML: page}).HTML
		after := hrefs(got)
		if len(before) != len(after) || len(after) == 0 {
			t.Skip("what comes before swallows the link")
		}
		token, ours := strings.CutPrefix(after[len(after)-1], publicURL+"/c/")
		if !ours || strings.Trim(token, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != "" {
			t.Fatalf("%s leads to %s", address, after[len(after)-1])
		}
		c, err := linkKeys().Click(token)
		if err != nil {
			t.Fatalf("%s: %v", address, err)
		}
		want := address
		if strings.HasSuffix(u.Hostname(), "boutique.example") {
			want = mailer.Marked(mailer.UTMSpec{}, "win_back", "second", shopURL, address)
			marked, err := url.Parse(want)
			if err != nil {
				t.Fatal(err)
			}
			if marked.Fragment != u.Fragment || marked.Path != u.Path || marked.Host != u.Host || !strings.HasPrefix(marked.RawQuery, u.RawQuery) || !strings.Contains(marked.RawQuery, "utm_campaign=win_back") {
				t.Fatalf("%s became %s", address, want)
			}
		}
		if c.Target != want {
			t.Fatalf("%s leads to %s", want, c.Target)
		}
	})
}

func FuzzRewriteHTML(f *testing.F) {
	for _, seed := range []string{
		`<a href="https://x.example/?a=1&amp;b=2">x</a>`, `<A HREF=https://x.example>y`, `<a href='x`, `<a a=b href = "https://x.example" >`, `<v:rect href="http://x"/>`,
		`<!--[if mso]><a href="https://x.example"><![endif]-->`, `<a href="https://x.example/&copy=&notit;&#x26;&lt">`, `<a/href=https://x.example/>`, `<a href=https://x.example/&#X;&#x;&#;&#65&#x41g>`, `<a "href"=x href=https://x>`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, page string) {
		if got := mailer.RewriteHTML(page, func(string) (string, bool) { return "", false }); got != page {
			t.Fatalf("nothing was to be changed, and %q became %q", page, got)
		}
		var seen []string
		same := mailer.RewriteHTML(page, func(a string) (string, bool) { seen = append(seen, a); return a, true })
		if strings.Contains(page, "\x00") || strings.ContainsAny(strings.ToLower(page), "\ufffd") || rawText(page) {
			return // what browsers do with these is of no use to mails
		}
		before, after := hrefs(page), hrefs(same)
		if len(before) != len(after) {
			t.Fatalf("%q has %d links, %q %d", page, len(before), same, len(after))
		}
		for i := range before {
			if trimmed(before[i]) != trimmed(after[i]) {
				t.Fatalf("%q led to %q, %q leads to %q", page, before[i], same, after[i])
			}
		}
	})
}

// rawText tells pages with elements whose content is no markup: mails have none.
func rawText(page string) bool {
	lower := strings.ToLower(page)
	for _, e := range []string{"<script", "<style", "<title", "<textarea", "<iframe", "<noembed", "<noframes", "<noscript", "<plaintext", "<xmp", "<!--", "<!", "<?", "</"} {
		if strings.Contains(lower, e) {
			return true
		}
	}
	return false
}

func trimmed(address string) string {
	return strings.Trim(strings.NewReplacer("\n", "", "\t", "", "\r", "").Replace(address), " \f")
}

func FuzzTokens(f *testing.F) {
	now := noon()
	k := linkKeys()
	f.Add("c1.k2.x.y.z")
	f.Add(must(k.Token(mailer.Subject{ContactID: 1, AudienceID: 2, Topic: "marketing"}))(f))
	f.Add(must(k.PlaceToken(1, 2, 3, "c", now))(f))
	known := map[string]bool{}
	for _, cart := range []string{"", "c"} {
		known[must(k.PlaceToken(1, 2, 3, cart, now))(f)] = true
	}
	known[must(k.Token(mailer.Subject{ContactID: 1, AudienceID: 2, Topic: "marketing"}))(f)] = true
	f.Fuzz(func(t *testing.T, token string) {
		if taken := k.VerifyAs(token, now); len(taken) > 0 && !known[token] {
			t.Fatalf("%q passes for %v", token, taken)
		}
		if c, err := k.Click(token); err == nil {
			t.Fatalf("%q leads to %s", token, c.Target)
		}
	})
}

func TestATokenIsGoodForOnePurposeOnly(t *testing.T) {
	t.Parallel()
	now, keys := noon(), linkKeys()
	link := hrefs(mailer.Tracked(keys, publicURL, shopURL, 7, mailer.Mail{HTML: `<a href="https://x.example/">x</a>`}).HTML)[0]
	tokens := map[string]string{
		"u1": must(keys.Token(mailer.Subject{ContactID: 7, AudienceID: 8, Topic: "marketing"}))(t),
		"c1": strings.TrimPrefix(link, publicURL+"/c/"),
		"k1": must(keys.PlaceToken(1, 7, 8, "9", now))(t),
		"l1": must(keys.PlaceToken(1, 7, 8, "", now))(t),
	}
	for purpose, token := range tokens {
		if got := keys.VerifyAs(token, now); !cmp.Equal(got, []string{purpose}) {
			t.Errorf("a token of %s passes for %v", purpose, got)
		}
		for other := range tokens { // the beginning alone does not make it another
			if got := keys.VerifyAs(other+token[2:], now); other != purpose && len(got) > 0 {
				t.Errorf("a token of %s passes for %v as %s", purpose, got, other)
			}
		}
		if got := keys[1:].VerifyAs(token, now); len(got) > 0 {
			t.Errorf("a key that did not sign it takes %s", token)
		}
		rotated := append(mailer.Keys{{ID: "k3", Secret: []byte("next year's")}}, keys...)
		if got := rotated.VerifyAs(token, now); len(got) != 1 {
			t.Errorf("after a rotation a token of %s is not valid", purpose)
		}
		for i := range token {
			forged := token[:i] + string(rune(token[i]^1)) + token[i+1:]
			if got := keys.VerifyAs(forged, now); len(got) > 0 {
				t.Fatalf("%s passes", forged)
			}
		}
		late := keys.VerifyAs(token, now.Add(10*365*24*time.Hour))
		if lasts := len(late) == 1; lasts != (purpose == "u1" || purpose == "c1") {
			t.Errorf("ten years later a token of %s is valid: %v", purpose, lasts)
		}
	}
}

func TestAClickTokenOfOneMailIsNotAnothers(t *testing.T) {
	t.Parallel()
	keys := linkKeys()
	link := func(send int64) []string {
		h := hrefs(mailer.Tracked(keys, publicURL, shopURL, send, mailer.Mail{HTML: `<a href="https://x.example/">x</a>`}).HTML)[0]
		return strings.Split(strings.TrimPrefix(h, publicURL+"/c/"), ".")
	}
	a, b := link(1000), link(2000)
	for i := 2; i < len(a); i++ { // version and key are the same
		forged := append([]string{}, a...)
		forged[i] = b[i]
		if c, err := keys.Click(strings.Join(forged, ".")); err == nil && forged[i] != a[i] {
			t.Errorf("part %d of another mail's link passes: %+v", i, c)
		}
	}
	for _, target := range []string{"javascript:alert(1)", "//evil.example", "file:///etc/passwd", "data:text/html,x"} {
		page := `<a href="` + target + `">x</a>`
		if got := mailer.Tracked(keys, publicURL, shopURL, 1, mailer.Mail{HTML: page}).HTML; got != page {
			t.Errorf("%s is signed", target)
		}
	}
}

// B24, B25: a cart's link says which cart of whom, ends, and cannot be made to say anything else.
func TestB25_ACartLinkIsForOneThingAndEnds(t *testing.T) {
	t.Parallel()
	now, keys := noon(), linkKeys()
	lasts, _ := mailer.LinkLife()
	token := must(keys.PlaceToken(1, 7, 8, "9", now))(t)
	other := must(keys.PlaceToken(1, 7, 8, "10", now))(t)
	if got := keys.VerifyAs(token, now.Add(lasts-time.Second)); len(got) != 1 {
		t.Error("it ends too early")
	}
	if got := keys.VerifyAs(token, now.Add(lasts+time.Second)); len(got) != 0 {
		t.Error("it does not end")
	}
	a, b := strings.Split(token, "."), strings.Split(other, ".")
	for i := range a {
		forged := append([]string{}, a...)
		forged[i] = b[i]
		if got := keys.VerifyAs(strings.Join(forged, "."), now); forged[i] != a[i] && len(got) > 0 {
			t.Errorf("with part %d of another cart's link it passes", i)
		}
	}
	if _, err := keys.Verify(token); err == nil {
		t.Error("it unsubscribes")
	}
}

func TestTheShopsOwnRecoveryLinkIsKnown(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		platform, address string
		want              bool
	}{
		{"woocommerce", "https://b.example/checkout/order-pay/117/?pay_for_order=true&key=wc_order_x", true},
		{"woocommerce", "https://b.example/?add-to-cart=7&quantity=2", true},
		{"woocommerce", "https://b.example/checkout/", false},
		{"woocommerce", "https://b.example/", false},
		{"prestashop", "https://b.example/index.php?controller=cart&action=show", false},
		{"magento", "https://b.example/checkout/cart/", false},
		{"push", "https://b.example/panier/9", true},
		{"push", "", false},
		{"push", "javascript:alert(1)", false},
	} {
		if got := mailer.OpensCart(c.platform, c.address); got != c.want {
			t.Errorf("%s %s: %v", c.platform, c.address, got)
		}
	}
}

func TestAddressesForAProvidersTemplateAreRewritten(t *testing.T) {
	t.Parallel()
	data := mailer.Data{
		Cart:        &mailer.CartData{RecoverURL: publicURL + "/l/k1.x", Lines: []mailer.LineData{{URL: "https://boutique.example/p", ImageURL: "https://boutique.example/p.jpg"}}},
		Unsubscribe: publicURL + "/u/u1.x", Event: map[string]string{"url": "https://boutique.example/seen"},
	}
	m := mailer.Tracked(linkKeys(), publicURL, shopURL, 7, mailer.Mail{TemplateID: "d-1", TemplateData: data.Dynamic()})
	cart := m.TemplateData["cart"].(map[string]any)
	line := cart["lines"].([]any)[0].(map[string]any)
	event := m.TemplateData["event"].(map[string]string)
	leads := func(v any) string {
		token, _ := strings.CutPrefix(fmt.Sprint(v), publicURL+"/c/")
		return must(linkKeys().Click(token))(t).Target
	}
	if got := leads(cart["recover_url"]); got != "/l/k1.x" {
		t.Errorf("the cart: %s", got)
	}
	if got := leads(line["url"]); !strings.HasPrefix(got, "https://boutique.example/p?utm_source=relance") {
		t.Errorf("a line: %s", got)
	}
	if line["image_url"] != "https://boutique.example/p.jpg" || m.TemplateData["unsubscribe"] != data.Unsubscribe || event["url"] != "https://boutique.example/seen" {
		t.Errorf("changed: %v", m.TemplateData)
	}
}

// BenchmarkLinksOfAMail is what a mail's links cost beside BenchmarkSends' cpu_s/1k, which is milliseconds per mail.
func BenchmarkLinksOfAMail(b *testing.B) {
	set, problems := render.Load(nil, nil, templates.Default())
	if len(problems) > 0 {
		b.Fatal(problems)
	}
	d := render.Sample("fr")
	r := must(set.Render("abandoned_cart", "fr", d))(b)
	m := mailer.Mail{HTML: r.HTML, Text: r.Text}
	links := len(hrefs(m.HTML))
	for b.Loop() {
		if got := mailer.Tracked(linkKeys(), publicURL, d.Shop.URL, 4711, m); len(got.HTML) <= len(m.HTML) {
			b.Fatal("nothing was rewritten")
		}
	}
	b.ReportMetric(float64(links), "links")
	b.ReportMetric(float64(len(m.HTML)), "bytes")
}
