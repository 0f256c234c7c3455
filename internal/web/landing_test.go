package web

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// landingsOf answers by the token: cart, picks, expired, bare, moved, down.
func landingsOf(t *testing.T) LandingFunc {
	t.Helper()
	pictures := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "image/svg+xml")
		_, _ = w.Write([]byte(`<svg xmlns="http://www.w3.org/2000/svg" width="80" height="80"><rect width="80" height="80" fill="#b58"/></svg>`))
	}))
	t.Cleanup(pictures.Close)
	items := []LandingItem{
		{Name: "Lampe de bureau en laiton", Price: "49,90 €", ImageURL: pictures.URL + "/lampe.svg", URL: "https://boutique.example/lampe?utm_source=relance&utm_medium=email", Quantity: 1},
		{Name: "Carnet à spirale, papier recyclé, avec un nom long comme un jour sans pain et Donaudampfschifffahrtsgesellschaftskapitän", Price: "14,90 €", Quantity: 2},
	}
	return func(_ context.Context, token string, language func(string) string) (Landing, error) {
		l := Landing{Language: language("fr-BE"), Shop: "Maison Alba", ShopURL: "https://boutique.example/"}
		switch token {
		case "cart":
			l.Cart = &LandingCart{Items: items, Total: "79,70 €", URL: "https://boutique.example/panier"}
		case "picks":
			l.Picks = append(items, items...) //nolint:gocritic // a copy
			l.Coupon = &LandingCoupon{Code: "ALBA-7F3K-92QX", Worth: "10 %", Until: time.Date(2026, 12, 24, 0, 0, 0, 0, time.UTC)}
		case "english":
			l.Language = language("en-GB")
			l.Picks = items
		case "anywhere":
			l.Language = language("")
			l.Picks = items
		case "expired":
			l.Language, l.Expired = language(""), true
		case "bare":
		case "moved":
			l.Redirect = "https://boutique.example/commande?key=1"
		case "down":
			return l, errors.New("reading: the database is away")
		default:
			return Landing{}, ErrNotFound
		}
		return l, nil
	}
}

func TestLandingPages(t *testing.T) {
	t.Parallel()
	srv := publicServer(t, &readers{}, func(o *PublicOptions) { o.Landing = landingsOf(t) })
	for name, c := range map[string]struct {
		token, accept string
		status        int
		has           []string
		lacks         []string
	}{
		"a cart":                        {"cart", "en", 200, []string{`lang="fr"`, "Votre panier vous attend", "49,90 €", "79,70 €", `href="https://boutique.example/lampe?utm_source=relance&amp;utm_medium=email"`, "Aller à mon panier", "Aller à la boutique"}, []string{"<script", "<form"}},
		"picks and a code":              {"picks", "", 200, []string{"Choisi pour vous", "ALBA-7F3K-92QX", "10 % de remise", "24 décembre 2026"}, []string{"<script", "Total"}},
		"an English contact":            {"english", "fr", 200, []string{`lang="en"`, "Picked for you"}, nil},
		"a contact of no known tongue":  {"anywhere", "fr-CA", 200, []string{`lang="fr"`, "Choisi pour vous"}, nil},
		"nothing to show":               {"bare", "", 200, []string{"Tout est à la boutique", `href="https://boutique.example/"`}, nil},
		"an expired link":               {"expired", "en", 200, []string{"This link has expired", "Maison Alba", `href="https://boutique.example/"`}, []string{"Lampe"}},
		"a forged one":                  {"forged", "fr", 404, []string{"Ce lien n’est pas valable"}, []string{"boutique.example"}},
		"the database is away":          {"down", "fr", 503, []string{"Merci de réessayer", `href="https://boutique.example/"`}, nil},
		"the shop's own recovery link ": {"moved", "", 302, nil, []string{"<a"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resp, body := ask(t, http.MethodGet, srv.URL+"/l/"+c.token, "", "Accept-Language", c.accept)
			if resp.StatusCode != c.status {
				t.Errorf("status %d", resp.StatusCode)
			}
			for _, want := range c.has {
				if !strings.Contains(body, want) {
					t.Errorf("the page lacks %q:\n%s", want, body)
				}
			}
			for _, never := range c.lacks {
				if strings.Contains(body, never) {
					t.Errorf("the page has %q", never)
				}
			}
			if got := resp.Header.Get("Cache-Control") + resp.Header.Get("X-Robots-Tag") + resp.Header.Get("Referrer-Policy"); got != "no-storenoindex, nofollowno-referrer" {
				t.Errorf("headers %q", got)
			}
			if csp := resp.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") {
				t.Errorf("policy %q", csp)
			}
			if head, _ := ask(t, http.MethodHead, srv.URL+"/l/"+c.token, ""); head.StatusCode != c.status {
				t.Errorf("HEAD: %d", head.StatusCode)
			}
		})
	}
	if resp, _ := ask(t, http.MethodGet, srv.URL+"/l/moved", ""); resp.Header.Get("Location") != "https://boutique.example/commande?key=1" {
		t.Errorf("led to %q", resp.Header.Get("Location"))
	}
}

func TestThePolicyOfAPageHoldsWhateverAPictureIsCalled(t *testing.T) {
	t.Parallel()
	g := newLandingPages()
	policy := g.policy(Landing{Picks: []LandingItem{
		{ImageURL: "https://cdn.example:8443/a.jpg"},
		{ImageURL: "https://CDN.example:8443/b.jpg"},
		{ImageURL: "http://x.example/'; script-src *"},
		{ImageURL: "https://evil.example;script-src%20*/c.jpg"},
		{ImageURL: "javascript:alert(1)"},
		{ImageURL: "data:image/png;base64,x"},
		{ImageURL: "//nowhere/x"},
	}})
	if !strings.Contains(policy, "img-src http://x.example https://cdn.example:8443;") || strings.Contains(policy, "script") || strings.Contains(policy, "evil") {
		t.Error(policy)
	}
}

func TestLandingPagesOnAPhoneWithoutScripts(t *testing.T) {
	t.Parallel()
	srv := publicServer(t, &readers{}, func(o *PublicOptions) { o.Landing = landingsOf(t) })
	ctx := phone(t)
	if _, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		t.Fatal(err)
	}
	for token, title := range map[string]string{
		"cart": "Votre panier vous attend", "picks": "Choisi pour vous", "english": "Picked for you", "bare": "Choisi pour vous",
		"expired": "This link has expired", "forged": "This link is not valid", "down": "Merci de réessayer dans une minute",
	} {
		do(ctx, t, chromedp.Navigate(srv.URL+"/l/"+token), chromedp.WaitVisible(chromedp.CSS("h1")))
		fits(ctx, t, token)
		if got := value[string](ctx, t, `document.querySelector("h1").textContent`); got != title {
			t.Errorf("%s: the page says %q", token, got)
		}
		if token != "forged" {
			if colour := value[string](ctx, t, `getComputedStyle(document.querySelector("a.button")).backgroundColor`); colour == "rgba(0, 0, 0, 0)" {
				t.Errorf("%s: the policy keeps the page's own style out", token)
			}
			if tall := value[float64](ctx, t, `Math.min(...[...document.querySelectorAll("a.button")].map(b => b.getBoundingClientRect().height))`); tall < 44 {
				t.Errorf("%s: a button is %v px tall, too small for a thumb", token, tall)
			}
		}
		keepPicture(ctx, t, "landing-"+token)
	}
	do(ctx, t, chromedp.Navigate(srv.URL+"/l/cart"), chromedp.WaitVisible(chromedp.CSS(".lines img")))
	if wide := value[float64](ctx, t, `document.querySelector(".lines img").naturalWidth`); wide == 0 {
		t.Error("the policy keeps the pictures out")
	}
	if named := value[int](ctx, t, `[...document.querySelectorAll("a")].filter(a => !a.textContent.trim()).length`); named != 0 {
		t.Errorf("%d links have no name", named)
	}
}

// keepPicture writes what the browser shows to the folder RELANCE_LOOK, for people to look at.
func keepPicture(ctx context.Context, t *testing.T, name string) {
	t.Helper()
	dir := os.Getenv("RELANCE_LOOK")
	if dir == "" {
		return
	}
	shot, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), shot, 0o600); err != nil {
		t.Fatal(err)
	}
}
