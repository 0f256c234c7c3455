package templates_test

import (
	"context"
	_ "embed"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/relance/relance/mailer"
	"github.com/relance/relance/mailer/render"
)

// families are the templates that belong together; a sheet of docs/pictures shows each.
func families() map[string][]string {
	return map[string][]string{
		"welcome":        {"welcome", "welcome_again"},
		"abandoned_cart": {"abandoned_cart", "abandoned_cart_day", "abandoned_cart_last"},
		"win_back":       {"win_back", "win_back_offer", "win_back_wishes"},
		"customers":      {"birthday", "vip", "last_call"},
		"products":       {"cross_sell", "review_request", "back_in_stock"},
		"orders":         {"order_confirmation", "order_shipped", "order_refunded"},
		"accounts":       {"account_confirmation", "subscription_confirmation", "confirm_subscription"},
	}
}

func transactional(name string) bool {
	return slices.Contains(families()["orders"], name) || slices.Contains(families()["accounts"], name)
}

// view is how somebody looks at a mail.
type view struct {
	name  string
	width int64
	dark  bool
}

func views() []view {
	return []view{{"phone", 390, false}, {"phone at night", 390, true}, {"desktop", 840, false}, {"desktop at night", 840, true}}
}

func browser(t *testing.T) context.Context {
	t.Helper()
	alloc, stop := chromedp.NewExecAllocator(t.Context(), append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.WSURLReadTimeout(time.Minute))...)
	tab, closeTab := chromedp.NewContext(alloc)
	// The first Do starts the browser and must not have a deadline of its own: it would end the browser.
	if err := chromedp.Do(tab, chromedp.EmulateViewport(390, 844)); err != nil {
		closeTab()
		stop()
		t.Fatalf("Chromium is needed for this test: %v. Run `make deps` (Debian, Ubuntu) or install Chromium or Chrome yourself", err)
	}
	ctx, cancel := context.WithTimeout(tab, 3*time.Minute)
	t.Cleanup(func() { cancel(); closeTab(); stop() })
	return ctx
}

func see(ctx context.Context, t *testing.T, v view) {
	t.Helper()
	scheme := map[bool]string{false: "light", true: "dark"}[v.dark]
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(v.width, 400)); err != nil { // low: a picture of a short mail ends with it
		t.Fatal(err)
	}
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, media); err != nil {
		t.Fatal(err)
	}
}

//go:embed testdata/look.js
var look string

// Every mail, for people of the recorded shop, is looked at in a browser: nothing is wider than the screen, nothing is too
// small or too pale to read or too small to tap, every picture is there, and a reader who listens finds their way.
func TestEveryMailIsGoodToLookAt(t *testing.T) {
	t.Parallel()
	set := load(t)
	shop := record(t)
	pages := map[string]string{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(pages[r.URL.Path]))
	}))
	t.Cleanup(server.Close)
	for i, name := range set.Names() {
		for _, locale := range []string{"fr", "en"} {
			d := shop.of(t, name, i, locale)
			pages["/"+name+"."+locale+".rich"] = rendered(t, set, name, locale, d).HTML
			if locale == "fr" { // its words are longer
				pages["/"+name+"."+locale+".bare"] = rendered(t, set, name, locale, bare(d)).HTML
			}
		}
	}
	ctx := browser(t)
	for _, path := range slices.Sorted(maps.Keys(pages)) {
		if err := chromedp.Do(ctx, chromedp.Navigate(server.URL+path)); err != nil {
			t.Fatal(err)
		}
		of := views()
		if strings.HasSuffix(path, ".bare") {
			of = of[:2]
		}
		for _, v := range of {
			see(ctx, t, v)
			found, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](look))
			if err != nil {
				t.Fatal(path, err)
			}
			for _, fault := range found {
				t.Errorf("%s on a %s: %s", path[1:], v.name, fault)
			}
			if dir := os.Getenv("RELANCE_LOOK"); dir != "" {
				shot, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
				if err != nil {
					t.Fatal(err)
				}
				file := filepath.Join(dir, strings.ReplaceAll(fmt.Sprintf("%s.%s.png", path[1:], v.name), " ", "_"))
				if err := os.WriteFile(file, shot, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// of is the data of a recorded person whom the template is about.
func (r *recorded) of(t *testing.T, template string, n int, locale string) mailer.Data {
	t.Helper()
	d := r.person(t, n, "completed", locale)
	if template == "order_refunded" {
		d.Order.Refunded = d.Order.Lines[0].Total
	}
	if transactional(template) {
		return service(d)
	}
	return d
}

func rendered(t *testing.T, set *render.Set, name, locale string, d mailer.Data) mailer.Rendered {
	t.Helper()
	r, err := set.Render(name, locale, d)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
