package templates_test

import (
	"encoding/base64"
	"fmt"
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
	sheets := families()
	sheets["desktop"] = nil
	for family, names := range sheets {
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
		var all []portrait
		for _, name := range families()[family] {
			all = append(all, portrait{name, "fr", view{"phone", 390, false}}, portrait{name, "en", view{"phone at night", 390, true}})
		}
		write(t, family, shot(sheet(t, set, shop, all, shot), view{"sheet", sheetWidth(all), false}))
	}
	desktop := view{"desktop", 840, false}
	all := []portrait{{"welcome", "fr", desktop}, {"win_back_offer", "en", desktop}, {"birthday", "fr", view{"desktop at night", 840, true}}, {"order_confirmation", "en", desktop}}
	write(t, "desktop", shot(sheet(t, set, shop, all, shot), view{"sheet", sheetWidth(all), false}))
}

func write(t *testing.T, name string, picture []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(pictures, name+".png"), picture, 0o600); err != nil {
		t.Fatal(err)
	}
}

// portrait is one mail of a sheet.
type portrait struct {
	template, locale string
	view
}

// width on the sheet: a desktop's mail has more to show.
func (p portrait) sheetWidth() int64 {
	if p.width > 400 {
		return 330
	}
	return 205
}

const (
	margin = 24
	gap    = 12
)

func sheetWidth(all []portrait) int64 {
	width := int64(2*margin - gap)
	for _, p := range all {
		width += p.sheetWidth() + gap
	}
	return width
}

// sheet is a page with the mails side by side; a long mail is cut.
func sheet(t *testing.T, set *render.Set, shop *recorded, all []portrait, shot func(string, view) []byte) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, `<!DOCTYPE html><meta charset="utf-8"><style>
body { margin: 0; padding: %dpx; background: #8d8f94; display: flex; gap: %dpx; align-items: flex-start; }
div { max-height: 680px; overflow: hidden; border-radius: 10px; flex: none; } img { display: block; width: 100%%; }
</style>`, margin, gap)
	for _, p := range all {
		n := slices.Index(set.Names(), p.template)
		mail := rendered(t, set, p.template, p.locale, shop.of(t, p.template, n, p.locale)).HTML
		fmt.Fprintf(&b, `<div style="width:%dpx"><img alt="" src="data:image/png;base64,%s"></div>`, p.sheetWidth(), base64.StdEncoding.EncodeToString(shot(mail, p.view)))
	}
	return b.String()
}
