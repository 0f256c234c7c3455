package render

import (
	"strings"
	"testing"

	"github.com/relance/relance/mailer"
)

func TestWhatIsSharedSaysNothingOfTheReader(t *testing.T) {
	set := sound(t, map[string]string{
		"a.fr.subject": "s",
		"a.fr.html":    `<a href="{{share "Vu à l’instant" .Shop.URL}}">x</a><a clicktracking="off" href="{{public .Shop.URL}}">y</a>{{mailto .Sender.Email "Une question"}}`,
	})
	for address, want := range map[string]string{
		"https://b.example/p?utm_source=relance&a=1&utm_medium=email#c": "https://b.example/p?a=1#c",
		"https://b.example/p?utm_source=relance":                        "https://b.example/p",
		"https://b.example/p?a=1&b=2":                                   "https://b.example/p?a=1&amp;b=2",
		"https://b.example/l/ordinary":                                  "https://b.example/l/ordinary",
		"":                                                              "",
	} {
		r, err := set.Render("a", "fr", mailer.Data{Shop: mailer.ShopData{URL: address}})
		if err != nil {
			t.Fatal(address, err)
		}
		if !strings.Contains(r.HTML, `href="`+want+`"`) || !strings.Contains(r.HTML, "mailto:?subject=Vu%20%C3%A0%20l%E2%80%99instant&amp;body=") {
			t.Errorf("%s: %s", address, r.HTML)
		}
	}
	for _, own := range []string{"l/l1.k1.x.y.z", "l/k1.k1.x.y.z", "c/c1.k1.x", "u/u1.k1.x", "p/p1.k1.x"} {
		if r, err := set.Render("a", "fr", mailer.Data{Shop: mailer.ShopData{URL: "https://mail.example/" + own}}); err == nil {
			t.Errorf("%s is passed on: %s", own, r.HTML)
		}
	}
}

func TestSharingOnesOwnPageIsFoundAtLoad(t *testing.T) {
	for _, call := range []string{`{{share "x" .Landing}}`, `{{public .Landing}}`, `{{share "x" (print "see " .Preferences)}}`, `{{public .Unsubscribe}}`} {
		_, problems := Load(folder(map[string]string{"a.fr.subject": "s", "a.fr.html": `<a href="` + call + `">x</a>`}), nil)
		if len(problems) == 0 || !strings.Contains(problems[0].Message, "only the reader may open") {
			t.Errorf("%s: %v", call, problems)
		}
	}
}
