package templates_test

import (
	"html"
	"io/fs"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relance/relance/mailer"
	"github.com/relance/relance/mailer/render"
	"github.com/relance/relance/mailer/templates"
)

func load(t *testing.T) *render.Set {
	t.Helper()
	set, problems := render.Load(templates.Default(), nil)
	for _, p := range problems {
		t.Errorf("%s: %s; want %s", p.Path, p.Message, p.Want)
	}
	return set
}

// each renders every template in both locales; transactional ones get no marketing.
func each(t *testing.T, set *render.Set, d mailer.Data, check func(t *testing.T, name string, r mailer.Rendered)) {
	t.Helper()
	for _, name := range set.Names() {
		for _, locale := range []string{"fr", "en"} {
			t.Run(name+"."+locale, func(t *testing.T) {
				of := d
				if transactional(name) {
					of = service(d)
				}
				r := rendered(t, set, name, locale, of)
				if r.Locale != locale {
					t.Fatalf("locale %q", r.Locale)
				}
				check(t, name, r)
			})
		}
	}
}

// gaps are people and shops of whom less and less is known.
func gaps(t *testing.T) map[string]mailer.Data {
	t.Helper()
	full := render.Sample("fr")
	noName, noShop, noDates := full, full, full
	noName.Contact.FirstName, noName.Contact.LastName = "", ""
	noShop.Shop = mailer.ShopData{}
	undated := *full.Order
	undated.PlacedAt, undated.ShippedAt, undated.Number, undated.Refunded = time.Time{}, time.Time{}, "", ""
	noDates.Order, noDates.LastOrder = &undated, &undated
	nameless := mailer.Data{
		Contact: full.Contact, Shop: full.Shop,
		Cart: &mailer.CartData{Lines: []mailer.LineData{{}}}, Order: &mailer.OrderData{Lines: []mailer.LineData{{}}}, LastOrder: &mailer.OrderData{Lines: []mailer.LineData{{}}},
		Product: &mailer.ProductData{}, Picks: []mailer.ProductData{{}}, Coupon: &mailer.CouponData{},
	}
	return map[string]mailer.Data{
		"everything": full, "no name": noName, "no shop": noShop, "no dates": noDates, "things without names": nameless,
		"little": bare(full), "nothing": {},
	}
}

func TestB39_EveryDefaultTemplateSurvivesAContactOfWhomNothingIsKnown(t *testing.T) {
	t.Parallel()
	each(t, load(t), mailer.Data{}, func(t *testing.T, _ string, r mailer.Rendered) {
		for _, part := range []string{r.Subject, r.HTML, r.Text} {
			if strings.TrimSpace(part) == "" || strings.Contains(part, "<no value>") || strings.Contains(part, "0001") {
				t.Errorf("bad part %q", part)
			}
		}
		if strings.Contains(r.HTML, "<a ") || strings.Contains(r.HTML, "<img") {
			t.Error("a link or a picture of nothing")
		}
	})
}

// Whatever is missing, every sentence is whole: no hole where a value would stand, no word that leads nowhere.
func TestB39_AMissingValueLeavesNoHole(t *testing.T) {
	t.Parallel()
	hole := regexp.MustCompile(`[ \x{a0}][,.]|\(\s*\)|\p{L}  +\p{L}|«\x{a0}*»|“”|,\s*[!?.]|\.\.|: *\.|^\s*,|(^|[ \x{a0}])(chez|de|du|le|la|à|pour|at|of|with|from|to|by)\s*([.,!?]|$)|<no value>`)
	set := load(t)
	for name, d := range gaps(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, set, d, func(t *testing.T, _ string, r mailer.Rendered) {
				for line := range strings.Lines(r.Subject + "\n" + r.Text + "\n" + visible(r.HTML)) {
					if line = strings.TrimRight(line, "\n"); hole.MatchString(line) && !strings.Contains(line, "://") {
						t.Errorf("a hole: %q", line)
					}
				}
			})
		})
	}
}

// visible is what a page says, a line for each block.
func visible(page string) string {
	page = regexp.MustCompile(`(?s)<style>.*?</style>|<title>.*?</title>|<!--.*?-->`).ReplaceAllString(page, "")
	page = strings.ReplaceAll(page, "&#847;&zwnj;&nbsp;", "")
	page = regexp.MustCompile(`</(p|td|h1|h2|tr|div|table|span)>|<br>`).ReplaceAllString(page, "\n")
	page = regexp.MustCompile(`<[^>]*>`).ReplaceAllString(page, "")
	var lines []string
	for line := range strings.Lines(html.UnescapeString(page)) {
		if line = strings.Trim(line, " \n\t"); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

func TestMarketingMailsCarryUnsubscribeAndPostalAddress(t *testing.T) {
	t.Parallel()
	set := load(t)
	for _, name := range set.Names() {
		if p := set.CheckMarketing(name); len(p) > 0 && !transactional(name) {
			t.Error(p)
		}
	}
	d := render.Sample("fr")
	each(t, set, d, func(t *testing.T, name string, r mailer.Rendered) {
		for part, text := range map[string]string{"html": r.HTML, "txt": r.Text} {
			for _, want := range []string{d.Unsubscribe, d.Preferences} {
				if strings.Contains(text, want) == transactional(name) {
					t.Errorf("%s and %q", part, want)
				}
			}
			for _, want := range []string{"12 rue des Lilas", "69003 Lyon", d.Sender.Name} {
				if !strings.Contains(text, want) {
					t.Errorf("%s has no %q", part, want)
				}
			}
		}
	})
	d.Unsubscribe = ""
	each(t, set, d, func(t *testing.T, _ string, r mailer.Rendered) {
		if regexp.MustCompile(`(?i)unsubscribe|ne plus recevoir ces`).MatchString(r.HTML + r.Text) {
			t.Error("an unsubscribe text without a link")
		}
	})
}

func TestTransactionalMailsCarryNoMarketing(t *testing.T) {
	t.Parallel()
	set := load(t)
	d := render.Sample("en")
	d.Unsubscribe, d.Preferences = "", ""
	for _, name := range set.Names() {
		if !transactional(name) {
			continue
		}
		for _, locale := range []string{"fr", "en"} {
			r := rendered(t, set, name, locale, d)
			for _, no := range []string{d.Picks[1].Name, d.Coupon.Code, d.Landing} {
				if strings.Contains(r.HTML+r.Text+r.Subject, no) {
					t.Errorf("%s.%s shows %q", name, locale, no)
				}
			}
		}
	}
}

func TestEveryLinkIsOneOfTheGiven(t *testing.T) {
	t.Parallel()
	d := render.Sample("fr")
	given := map[string]bool{
		d.Shop.URL: true, d.Cart.RecoverURL: true, d.Unsubscribe: true, d.Preferences: true, d.Landing: true, d.Confirm: true, "http://www.w3.org/1999/xhtml": true,
	}
	for _, l := range d.Cart.Lines {
		given[l.URL], given[l.ImageURL] = true, true
	}
	for _, p := range d.Picks {
		given[p.URL], given[p.ImageURL] = true, true
	}
	each(t, load(t), d, func(t *testing.T, _ string, r mailer.Rendered) {
		for _, m := range regexp.MustCompile(`(?:href|src|xmlns|action|background)="([^"]*)"`).FindAllStringSubmatch(r.HTML, -1) {
			to := html.UnescapeString(m[1])
			if !given[to] && !strings.HasPrefix(to, "mailto:"+d.Sender.Email+"?subject=") && !strings.HasPrefix(to, "mailto:?subject=") {
				t.Errorf("link to %q", to)
			}
		}
		for _, m := range regexp.MustCompile(`https?://[^\s"'<>)]+`).FindAllString(r.HTML+r.Text, -1) {
			u, err := url.Parse(m)
			if err != nil || !given[m] && u.Host != "boutique.example" {
				t.Errorf("address %q", m)
			}
		}
		if strings.Contains(r.HTML, "<script") || strings.Contains(r.HTML, "@import") || strings.Contains(r.HTML, "url(") || strings.Contains(r.HTML, "<link") {
			t.Error("an external resource or a script")
		}
		if len(r.HTML) > 60<<10 {
			t.Errorf("%d bytes: some mail programs cut it", len(r.HTML))
		}
	})
}

func TestACartMailShowsEveryLineAndOneButtonToTheCart(t *testing.T) {
	t.Parallel()
	d := render.Sample("fr")
	each(t, load(t), d, func(t *testing.T, name string, r mailer.Rendered) {
		if !strings.HasPrefix(name, "abandoned_cart") {
			return
		}
		if n := strings.Count(r.HTML, `class="button"`); n != 1 {
			t.Errorf("%d buttons", n)
		}
		if n := strings.Count(r.HTML, d.Cart.RecoverURL); n != 1 || !strings.Contains(r.Text, d.Cart.RecoverURL) {
			t.Errorf("%d links to the cart", n)
		}
		for _, want := range []string{"Lampe de bureau en laiton", "× 2", "49,90 €", "64,80 €", `src="https://boutique.example/lampe.jpg"`} {
			if !strings.Contains(r.HTML, want) {
				t.Errorf("no %q", want)
			}
		}
		if n := strings.Count(r.HTML, "<img"); n != 1 {
			t.Errorf("%d pictures; the line without one gets a tile", n)
		}
	})
}

func TestWhatACustomerTypedIsNeverMarkup(t *testing.T) {
	t.Parallel()
	d := render.Sample("fr")
	const evil = `<script>alert(1)</script>"'` + "\r\nBcc: x@example.com"
	const link = `javascript:alert(1)//" onclick="x`
	d.Contact.FirstName, d.Shop.Title, d.Sender.PostalAddress, d.Coupon.Code = evil, evil, evil, evil
	d.Sender.Email = evil
	d.Cart.Lines = []mailer.LineData{{Name: evil, ImageURL: link, URL: link, Total: evil, Quantity: 1}}
	d.LastOrder.Lines, d.Order.Lines, d.Order.Refunded, d.Order.Number = d.Cart.Lines, d.Cart.Lines, evil, evil
	d.Picks = []mailer.ProductData{{Name: evil, Brand: evil, Price: evil, ImageURL: link, URL: link}}
	d.Product = &d.Picks[0]
	each(t, load(t), d, func(t *testing.T, _ string, r mailer.Rendered) {
		if strings.Contains(r.HTML, "<script") || strings.Contains(r.HTML, "javascript:") || strings.Contains(r.HTML, `" onclick=`) {
			t.Error("markup came through")
		}
		if strings.ContainsAny(r.Subject, "\r\n") {
			t.Errorf("the subject has two lines: %q", r.Subject)
		}
		if strings.Contains(r.HTML, "\nBcc:") && strings.Contains(r.HTML, "mailto:\n") {
			t.Error("a mail link has two lines")
		}
	})
}

func TestBothLocalesHaveTheSameParts(t *testing.T) {
	t.Parallel()
	set := load(t)
	for _, name := range set.Names() {
		if set.Locale(name, "fr-BE") != "fr" || set.Locale(name, "en_GB") != "en" {
			t.Error(name, "has not both locales")
		}
		for _, ext := range []string{"subject", "html", "txt"} {
			fr, en := source(t, name+".fr."+ext), source(t, name+".en."+ext)
			action := regexp.MustCompile(`\{\{(?:template|define) "[^"]*"`)
			if a, b := action.FindAllString(fr, -1), action.FindAllString(en, -1); !slices.Equal(a, b) {
				t.Errorf("%s.%s: in French %v, in English %v", name, ext, a, b)
			}
		}
	}
	d := render.Sample("fr")
	d.LastOrder.PlacedAt = time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)
	if r := rendered(t, set, "win_back", "fr", d); !strings.Contains(r.HTML, "1er août 2026") {
		t.Error("no French date")
	}
}

func source(t *testing.T, name string) string {
	t.Helper()
	b, err := fs.ReadFile(templates.Default(), name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// French has a space that does not break before : ; ! ? and inside « », and no typewriter's apostrophes.
func TestFrenchIsSetAsFrenchIs(t *testing.T) {
	t.Parallel()
	loose := regexp.MustCompile(`[^\x{a0}\d:/] ?[;!?](?:\s|$)|[^\x{a0}\d] ?:(?:\s|$)|«[^\x{a0}]|[^\x{a0}]»|\p{L}'\p{L}`)
	d := render.Sample("fr")
	each(t, load(t), d, func(t *testing.T, _ string, r mailer.Rendered) {
		if r.Locale != "fr" {
			return
		}
		for line := range strings.Lines(r.Subject + "\n" + r.Text + "\n" + visible(r.HTML)) {
			if found := loose.FindString(line); found != "" {
				t.Errorf("%q in %q", found, line)
			}
		}
	})
}

// A shop sends these mails as they are: they must not promise what the shop has not.
func TestNothingIsPromisedInTheShopsName(t *testing.T) {
	t.Parallel()
	promise := regexp.MustCompile(`(?i)gratuit|offert|livraison (rapide|express|en)|satisfait|garanti|remboursé sous|meilleur prix|jours ouvr|free |guarantee|best price|money.back|within \d+ (hours|days)|24 ?h|retours?\b.*(gratuits|30)`)
	d := render.Sample("fr")
	d.Coupon = nil
	each(t, load(t), d, func(t *testing.T, _ string, r mailer.Rendered) {
		if found := promise.FindString(r.Subject + "\n" + r.Text + "\n" + visible(r.HTML)); found != "" {
			t.Errorf("%q is a promise", found)
		}
	})
}
