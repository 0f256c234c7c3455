package templates_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"html"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/relance/relance/mailer/render"
)

const (
	pictures   = "../../docs/pictures"
	maxPicture = 300 << 10
)

// The manual shows every mail. RELANCE_PICTURES=1 (make pictures) paints the sheets anew.
func TestTheManualShowsEveryMail(t *testing.T) {
	t.Parallel()
	if os.Getenv("RELANCE_PICTURES") != "" {
		paint(t)
	}
	manual, err := os.ReadFile("../../docs/templates.md")
	if err != nil {
		t.Fatal(err)
	}
	var shown []string
	for family, names := range families() {
		shown = append(shown, names...)
		info, err := os.Stat(filepath.Join(pictures, family+".png"))
		if err != nil || info.Size() == 0 || info.Size() > maxPicture {
			t.Errorf("the picture of %s: %v %v; run `make pictures`", family, info, err)
		}
		if !strings.Contains(string(manual), "(pictures/"+family+".png)") {
			t.Errorf("docs/templates.md does not show %s", family)
		}
		for _, name := range names {
			if !strings.Contains(string(manual), "`"+name+"`") {
				t.Errorf("docs/templates.md does not name %s", name)
			}
		}
	}
	slices.Sort(shown)
	if all := load(t).Names(); !slices.Equal(all, shown) {
		t.Errorf("the sheets show %v, there are %v", shown, all)
	}
}

// paint writes a sheet for each family: on a phone by day in French and by night in English, on a desktop in French.
func paint(t *testing.T) {
	t.Helper()
	set, shop, ctx := load(t), record(t), browser(t)
	var page string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(page))
	}))
	t.Cleanup(server.Close)
	shot := func(text string, v view) []byte {
		page = text
		see(ctx, t, v)
		if err := chromedp.Do(ctx, chromedp.Navigate(server.URL)); err != nil {
			t.Fatal(err)
		}
		picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
		if err != nil {
			t.Fatal(err)
		}
		return picture
	}
	if err := os.MkdirAll(pictures, 0o750); err != nil {
		t.Fatal(err)
	}
	for _, family := range slices.Sorted(maps.Keys(families())) {
		sheet := sheetOf(ctx, t, set, shop, families()[family], shot)
		picture := shot(sheet, view{"sheet", sheetWidth, false})
		if err := os.WriteFile(filepath.Join(pictures, family+".png"), picture, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

const sheetWidth = 1440

func sheetOf(_ context.Context, t *testing.T, set *render.Set, shop *recorded, names []string, shot func(string, view) []byte) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(`<!DOCTYPE html><meta charset="utf-8"><style>
body { margin: 0; padding: 28px; background: #8d8f94; font: 600 17px -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; color: #fff; display: flex; gap: 30px; align-items: flex-start; }
section { flex: 1; } p { margin: 0 0 12px; } div { display: flex; gap: 12px; align-items: flex-start; }
img { display: block; width: 100%; } figure { margin: 0; flex: 1; max-height: 760px; overflow: hidden; border-radius: 10px; } figure.wide { flex: 1.25; }
</style>`)
	n := slices.Index(set.Names(), names[0])
	for i, name := range names {
		fmt.Fprintf(&b, "<section><p>%s</p><div>", html.EscapeString(name))
		for _, one := range []struct {
			view
			locale string
		}{{view{"phone", 390, false}, "fr"}, {view{"night", 390, true}, "en"}} {
			mail := rendered(t, set, name, one.locale, shop.of(t, name, n+i, one.locale)).HTML
			fmt.Fprintf(&b, `<figure><img alt="" src="data:image/png;base64,%s"></figure>`, base64.StdEncoding.EncodeToString(shot(mail, one.view)))
		}
		b.WriteString("</div></section>")
	}
	return b.String()
}
