package templates_test

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/mailer"
	"github.com/relance/relance/mailer/render"
	"github.com/relance/relance/mailer/templates"
)

func load(t *testing.T) *render.Set {
	t.Helper()
	set, problems := render.Load(templates.Default(), []string{"abandoned_cart", "win_back", "welcome"})
	for _, p := range problems {
		t.Errorf("%s: %s; want %s", p.Path, p.Message, p.Want)
	}
	return set
}

// each renders every template in both locales.
func each(t *testing.T, d mailer.Data, check func(t *testing.T, name string, r mailer.Rendered)) {
	t.Helper()
	set := load(t)
	for _, name := range set.Names() {
		for _, locale := range []string{"fr", "en"} {
			t.Run(name+"."+locale, func(t *testing.T) {
				r, err := set.Render(name, set.Locale(name, locale), d)
				if err != nil {
					t.Fatal(err)
				}
				if r.Locale != locale {
					t.Fatalf("locale %q", r.Locale)
				}
				check(t, name, r)
			})
		}
	}
}

func TestB39_EveryDefaultTemplateSurvivesAContactOfWhomNothingIsKnown(t *testing.T) {
	each(t, mailer.Data{}, func(t *testing.T, _ string, r mailer.Rendered) {
		for _, part := range []string{r.Subject, r.HTML, r.Text} {
			if strings.TrimSpace(part) == "" || strings.Contains(part, "<no value>") || strings.Contains(part, "0001") {
				t.Errorf("bad part %q", part)
			}
		}
		if regexp.MustCompile(`\s[,.]|\(\)|  `).MatchString(r.Subject) {
			t.Errorf("the subject has a hole: %q", r.Subject)
		}
		if strings.Contains(r.HTML, "<a ") || strings.Contains(r.HTML, "<img") {
			t.Error("a link or a picture of nothing")
		}
	})
}

func TestMarketingMailsCarryUnsubscribeAndPostalAddress(t *testing.T) {
	set := load(t)
	for _, name := range set.Names() {
		if p := set.CheckMarketing(name); len(p) > 0 {
			t.Error(p)
		}
	}
	d := render.Sample("fr")
	each(t, d, func(t *testing.T, _ string, r mailer.Rendered) {
		for part, text := range map[string]string{"html": r.HTML, "txt": r.Text} {
			for _, want := range []string{d.Unsubscribe, "12 rue des Lilas", "69003 Lyon", d.Sender.Name} {
				if !strings.Contains(text, want) {
					t.Errorf("%s has no %q", part, want)
				}
			}
		}
	})
	d.Unsubscribe = ""
	each(t, d, func(t *testing.T, _ string, r mailer.Rendered) {
		if regexp.MustCompile(`(?i)unsubscribe|ne plus recevoir`).MatchString(r.HTML + r.Text) {
			t.Error("an unsubscribe text without a link")
		}
	})
}

func TestEveryLinkIsOneOfTheGiven(t *testing.T) {
	d := render.Sample("fr")
	given := map[string]bool{d.Shop.URL: true, d.Cart.RecoverURL: true, d.Unsubscribe: true, "http://www.w3.org/1999/xhtml": true}
	for _, l := range d.Cart.Lines {
		given[l.URL], given[l.ImageURL] = true, true
	}
	each(t, d, func(t *testing.T, _ string, r mailer.Rendered) {
		for _, m := range regexp.MustCompile(`(?:href|src|xmlns|action|background)="([^"]*)"`).FindAllStringSubmatch(r.HTML, -1) {
			if !given[strings.ReplaceAll(m[1], "&amp;", "&")] {
				t.Errorf("link to %q", m[1])
			}
		}
		for _, m := range regexp.MustCompile(`https?://[^\s"'<>)]+`).FindAllString(r.HTML+r.Text, -1) {
			u, err := url.Parse(m)
			if err != nil || !given[m] && u.Host != "boutique.example" {
				t.Errorf("address %q", m)
			}
		}
		if strings.Contains(r.HTML, "<script") || strings.Contains(r.HTML, "@import") || strings.Contains(r.HTML, "url(") {
			t.Error("an external resource or a script")
		}
	})
}

func TestACartMailShowsEveryLineAndOneButtonToTheCart(t *testing.T) {
	d := render.Sample("fr")
	each(t, d, func(t *testing.T, name string, r mailer.Rendered) {
		if n := strings.Count(r.HTML, `class="button"`); n != 1 {
			t.Errorf("%d buttons", n)
		}
		if name != "abandoned_cart" {
			return
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
	d := render.Sample("fr")
	const evil = `<script>alert(1)</script>"'` + "\r\nBcc: x@example.com"
	d.Contact.FirstName, d.Shop.Title, d.Sender.PostalAddress = evil, evil, evil
	d.Cart.Lines = []mailer.LineData{{Name: evil, ImageURL: `javascript:alert(1)`, URL: `javascript:alert(1)//" onclick="x`, Total: evil, Quantity: 1}}
	d.LastOrder.Lines = d.Cart.Lines
	each(t, d, func(t *testing.T, _ string, r mailer.Rendered) {
		if strings.Contains(r.HTML, "<script") || strings.Contains(r.HTML, "javascript:") || strings.Contains(r.HTML, `" onclick=`) {
			t.Error("markup came through")
		}
		if strings.ContainsAny(r.Subject, "\r\n") {
			t.Errorf("the subject has two lines: %q", r.Subject)
		}
	})
}

func TestBothLocalesHaveTheSameParts(t *testing.T) {
	set := load(t)
	want := []string{"abandoned_cart", "welcome", "win_back"}
	if diff := cmp.Diff(want, set.Names()); diff != "" {
		t.Fatal(diff)
	}
	for _, name := range want {
		if set.Locale(name, "fr-BE") != "fr" || set.Locale(name, "en_GB") != "en" {
			t.Error(name, "has not both locales")
		}
	}
	d := render.Sample("fr")
	d.LastOrder.PlacedAt = time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)
	r, err := set.Render("win_back", "fr", d)
	if err != nil || !strings.Contains(r.HTML, "1er août 2026") {
		t.Error("no French date", err)
	}
}
