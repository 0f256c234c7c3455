package render

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/mailer"
)

func folder(files map[string]string) fstest.MapFS {
	out := fstest.MapFS{}
	for name, text := range files {
		out[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

func sound(t *testing.T, files map[string]string) *Set {
	t.Helper()
	set, problems := Load(folder(files), nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return set
}

func TestB39_AMistakeIsFoundAtLoadWithItsPlace(t *testing.T) {
	const subject, html = "Hello", "<p>hi</p>"
	for name, c := range map[string]struct {
		files         map[string]string
		path, message string // of the first problem
		want          string
	}{
		"a cart that is not there": {
			map[string]string{"a.fr.subject": subject, "a.fr.html": "<p>\n{{.Cart.Total}}</p>"},
			"a.fr.html:2:7", "nil pointer evaluating", "{{with .Cart}}",
		},
		"a name that no data have": {
			map[string]string{"a.fr.subject": subject, "a.fr.html": "<p>{{.Contact.Fisrtname}}</p>"},
			"a.fr.html:1:13", "there is no field Fisrtname", ".Contact.FirstName",
		},
		"the same in a branch that no trial takes": {
			map[string]string{"a.fr.subject": subject, "a.fr.html": html, "a.fr.txt": "x\n{{if eq .Locale \"de\"}}{{range .Cart.Lines}}{{.Prise}}{{end}}{{end}}"},
			"a.fr.txt:2:", "there is no field Prise", ".Cart.Lines.Name",
		},
		"a field of another thing": {
			map[string]string{"a.fr.subject": subject, "a.fr.html": "<p>{{.Shop.Total}}</p>"},
			"a.fr.html:1:", "can't evaluate field Total in type ShopData", ".Shop.Title",
		},
		"an action left open": {
			map[string]string{"a.fr.subject": subject, "a.fr.html": "<p>\n\n{{if .Cart}}</p>"},
			"a.fr.html:3", "unexpected EOF", "",
		},
		"an unknown function": {
			map[string]string{"a.fr.subject": "{{shout .Shop.Title}}", "a.fr.html": html},
			"a.fr.subject:1", `function "shout" not defined`, "date, first, initial, lines",
		},
		"an unknown partial": {
			map[string]string{"a.fr.subject": subject, "a.fr.html": `{{template "page" .}}`},
			"a.fr.html:1", `no such template "page"`, "",
		},
		"a mistake in a partial, once": {
			map[string]string{"_p.html": "{{define \"p\"}}\n{{.Cart.ID}}{{end}}", "a.fr.subject": subject, "a.fr.html": `{{template "p" .}}x`, "b.fr.subject": subject, "b.fr.html": `{{template "p" .}}x`},
			"_p.html:2:7", "nil pointer", "{{with .Cart}}",
		},
		"no subject":       {map[string]string{"a.fr.html": html}, "a.fr.subject", "the file is missing", ""},
		"no html":          {map[string]string{"a.fr.subject": subject}, "a.fr.html", "the file is missing", ""},
		"an empty subject": {map[string]string{"a.fr.subject": "{{.Contact.FirstName}}", "a.fr.html": html}, "a.fr.subject", "it is empty with data with gaps", "{{else}}"},
		"an odd name":      {map[string]string{"a.html": html}, "a.html", "not that of a template", "<name>.<locale>.html"},
		"two spellings":    {map[string]string{"a.fr-BE.subject": subject, "a.fr_BE.html": html}, "a.fr-BE.html", "missing", ""},
		"a value in a style": {
			map[string]string{"a.fr.subject": subject, "a.fr.html": `<p style="{{.Unsubscribe}}">x</p>`},
			"a.fr.html", "stands where none is safe", "plain attributes",
		},
		"an unclosed attribute": {
			map[string]string{"a.fr.subject": subject, "a.fr.html": "<a href=\"{{.Shop.URL}}>x</a>"},
			"a.fr.html", "left open", "closed",
		},
		"a list that is shorter": {
			map[string]string{"a.fr.subject": subject, "a.fr.html": `{{with .Cart}}{{(index .Lines 0).Name}}{{end}}x`},
			"a.fr.html:1:", "index out of range", "{{range}}",
		},
	} {
		t.Run(name, func(t *testing.T) {
			set, problems := Load(folder(c.files), nil)
			if len(problems) == 0 {
				t.Fatal("nothing was found")
			}
			p := problems[0]
			if !strings.HasPrefix(p.Path, c.path) || !strings.Contains(p.Message, c.message) || !strings.Contains(p.Want, c.want) {
				t.Errorf("got %+v", p)
			}
			if len(set.Names()) != 0 {
				t.Error("a template with a mistake is in the set")
			}
			seen := map[fault.Problem]bool{}
			for _, p := range problems {
				if seen[p] {
					t.Error("said twice:", p)
				}
				seen[p] = true
			}
		})
	}
}

func TestATemplateThatMustExistIsMissed(t *testing.T) {
	_, problems := Load(nil, []string{"win_back"})
	if len(problems) != 1 || problems[0].Path != "win_back" || !strings.Contains(problems[0].Want, "win_back.<locale>.subject") {
		t.Error(problems)
	}
}

func TestLocaleFallsBack(t *testing.T) {
	files := map[string]string{}
	for _, l := range []string{"en", "fr", "fr-CA", "pt_BR"} {
		files["a."+l+".subject"], files["a."+l+".html"] = "s", "h"
	}
	set := sound(t, files)
	for contact, want := range map[string]string{
		"fr": "fr", "FR": "fr", "fr-BE": "fr", "fr_FR": "fr", "fr-CA": "fr-CA", "fr_ca.UTF-8": "fr-CA", "fr-CA-x": "fr-CA",
		"pt": "pt_BR", "pt-PT": "pt_BR", "de": "en", "": "en", "-": "en", "en-GB": "en",
	} {
		got := set.Locale("a", contact)
		if got != want {
			t.Errorf("%q: %q, want %q", contact, got, want)
		}
		if r, err := set.Render("a", got, mailer.Data{}); err != nil || r.Locale != want {
			t.Error(r, err)
		}
	}
	if set.Locale("none", "fr") != "" {
		t.Error("a locale of no template")
	}
	if _, err := set.Render("a", "de", mailer.Data{}); fault.ClassOf(err) != fault.Operator {
		t.Error(err)
	}
}

func TestASubjectIsOneLine(t *testing.T) {
	set := sound(t, map[string]string{"a.fr.subject": "\n{{.Contact.FirstName}}, votre  panier !\n", "a.fr.html": "x"})
	for name, want := range map[string]string{
		"Léa\r\nBcc: x@example.com": "Léa Bcc: x@example.com, votre panier !",
		"a\u2028b\x00c\u0085d":      "a b c d, votre panier !",
		"<b>&":                      "<b>&, votre panier !",
		"\xff":                      ", votre panier !",
	} {
		r, err := set.Render("a", "fr", mailer.Data{Contact: mailer.ContactData{FirstName: name}})
		if err != nil || r.Subject != want {
			t.Errorf("%q: %q %v", name, r.Subject, err)
		}
	}
	r, _ := set.Render("a", "fr", mailer.Data{Contact: mailer.ContactData{FirstName: strings.Repeat("é", 1000)}})
	if n := len([]rune(r.Subject)); n != maxSubject {
		t.Error(n)
	}
}

func TestTextIsDerivedFromHTMLWhenThereIsNone(t *testing.T) {
	set := sound(t, map[string]string{
		"a.fr.subject": "s",
		"a.fr.html": `<html><head><title>T</title><style>p{}</style></head><body><table>
<tr><td>Lampe &amp; pied</td><td>10&nbsp;€</td></tr><tr><td><p>Un <a href="https://x.example/?a=1&amp;b=2">lien</a></p></td></tr></table></body></html>`,
	})
	r, err := set.Render("a", "fr", mailer.Data{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("Lampe & pied 10\u00a0€\n\nUn lien <https://x.example/?a=1&b=2>\n", r.Text); diff != "" {
		t.Error(diff)
	}
}

func TestTheUsersTemplateHidesTheDefaultOfItsName(t *testing.T) {
	own := folder(map[string]string{"a.fr.subject": "own", "a.fr.html": `{{template "p" .}}`})
	base := folder(map[string]string{
		"_p.html": `{{define "p"}}base{{end}}`, "README.md": "no template", "pictures/x.html": "not looked at",
		"a.en.subject": "base", "a.en.html": "x", "b.en.subject": "base", "b.en.html": `{{template "p" .}}`,
	})
	set, problems := Load(own, []string{"a", "b"}, base)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if l := set.Locale("a", "en"); l != "fr" {
		t.Errorf("a default shows through in locale %q", l)
	}
	own["_p.html"] = &fstest.MapFile{Data: []byte(`{{define "p"}}own{{end}}`)}
	set, _ = Load(own, nil, base)
	for _, name := range []string{"a", "b"} {
		if r, err := set.Render(name, set.Locale(name, ""), mailer.Data{}); err != nil || r.HTML != "own\n" {
			t.Error(r, err)
		}
	}
}

func TestAFillingInIsBounded(t *testing.T) {
	small := limits{size: 500, time: 20 * time.Millisecond}
	files := map[string]string{"a.fr.subject": "s", "a.fr.html": "{{range 100}}0123456789{{end}}"}
	_, problems := load(small, []fs.FS{folder(files)}, nil)
	if len(problems) == 0 || !strings.Contains(problems[0].Message, "result is too big (500 bytes at most)") {
		t.Error(problems)
	}
	files["a.fr.html"] = "{{range 2000000000}}x{{end}}"
	small.size = 1 << 40
	_, problems = load(small, []fs.FS{folder(files)}, nil)
	if len(problems) != 1 || !strings.Contains(problems[0].Message, "takes too long") {
		t.Error(problems)
	}
	goleak.VerifyNone(t) // it ended at its next write
}

func TestAFailureAtRenderNamesThePlaceAndNoValue(t *testing.T) {
	// No trial has an order of ten lines, so the load cannot find this one.
	set := sound(t, map[string]string{
		"a.fr.subject": "s",
		"a.fr.html":    "x\n{{with .LastOrder}}{{if gt (len .Lines) 9}}{{index .Lines .ID}}{{end}}{{end}}",
	})
	_, err := set.Render("a", "fr", mailer.Data{LastOrder: &mailer.OrderData{ID: "secret", Lines: make([]mailer.LineData, 10)}})
	if fault.ClassOf(err) != fault.Reject || err.Error() != "rendering template a: it fails at a.fr.html:2:45" {
		t.Error(err)
	}
}

func TestManyGoroutinesShareASet(t *testing.T) {
	set := sound(t, map[string]string{"a.fr.subject": "{{.Contact.Email}}s", "a.fr.html": "<p>{{.Contact.Email}}.</p>"})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				who := fmt.Sprintf("c%d-%d", i, j)
				r, err := set.Render("a", "fr", mailer.Data{Contact: mailer.ContactData{Email: who}})
				if err != nil || r.Subject != who+"s" || r.HTML != "<p>"+who+".</p>\n" || r.Text != who+".\n" {
					t.Error(r, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestCheckMarketing(t *testing.T) {
	set := sound(t, map[string]string{"a.fr.subject": "s", "a.fr.html": "x"})
	if p := set.CheckMarketing("a"); len(p) != 2 || p[0].Path != "a.fr.html" {
		t.Error(p)
	}
}

func BenchmarkRender(b *testing.B) {
	set, _ := Load(folder(map[string]string{"a.fr.subject": "s", "a.fr.html": strings.Repeat("<p>{{.Contact.FirstName}}</p>", 30), "a.fr.txt": "x"}), nil)
	d := Sample("fr")
	for b.Loop() {
		if _, err := set.Render("a", "fr", d); err != nil {
			b.Fatal(errors.Unwrap(err))
		}
	}
}

// Words that shared parts use are given once per language; a language without them is refused when it is loaded.
func TestPartialsOfALocale(t *testing.T) {
	files := map[string]string{
		"_part.html": `{{define "part"}}<b>{{template "word_total"}}</b>{{end}}`, "_words.fr.html": `{{define "word_total"}}Total{{end}}`,
		"_words.fr-CA.html": `{{define "word_total"}}Somme{{end}}`, "_words.en.html": `{{define "word_total"}}Sum{{end}}`,
	}
	for _, l := range []string{"fr", "fr-BE", "fr-CA", "en"} {
		files["a."+l+".subject"], files["a."+l+".html"] = "s", `{{template "part" .}}`
	}
	set := sound(t, files)
	for locale, want := range map[string]string{"fr": "Total", "fr-BE": "Total", "fr-CA": "Somme", "en": "Sum"} {
		if r, err := set.Render("a", locale, mailer.Data{}); err != nil || r.HTML != "<b>"+want+"</b>\n" {
			t.Error(locale, r.HTML, err)
		}
	}
	files["b.de.subject"], files["b.de.html"] = "s", `{{template "part" .}}`
	if _, problems := Load(folder(files), nil); len(problems) != 1 || !strings.Contains(problems[0].Want, "_words.en.html") {
		t.Error(problems)
	}
}

func TestFunctionsOfTemplates(t *testing.T) {
	for text, want := range map[string]string{
		`{{range first 1 .Picks}}{{.Name}}{{end}}`:                         "Savon à l’huile d’olive",
		`{{range after 3 .Picks}}{{.Name}},{{end}}`:                        "Bol en grès,Savon à l’huile d’olive,",
		`{{range after 9 .Picks}}x{{end}}none`:                             "none",
		`{{range rows 2 .Picks}}{{len .}}{{end}}`:                          "221",
		`{{with link "Name" "to"}}{{.Name}} {{.URL}}{{end}}`:               "Name to",
		`{{with say "Name" "text"}}{{.Name}} {{.Text}}{{end}}`:             "Name text",
		`{{mailto "a b@example.com" "50 % & more"}}{{mailto "" "nobody"}}`: "mailto:a%20b@example.com?subject=50%20%25%20%26%20more",
		`{{share "Look" .Shop.URL}}`:                                       "mailto:?subject=Look&body=https%3A%2F%2Fboutique.example%2F",
		`{{.Event.product_id}}{{with .Event.size}}{{.}}{{else}}–{{end}}`:   "18–",
		`{{initial "  éclair"}}{{initial ""}}`:                             "É•",
		`{{range signature .Sender}}{{.}}/{{end}}`:                         "Maison Alba SARL/12 rue des Lilas/69003 Lyon/France/",
		`{{date .LastOrder.PlacedAt}}`:                                     "12 September 2026",
	} {
		guarded := "{{if .Contact.Email}}" + text + "{{end}}|"
		set, problems := Load(folder(map[string]string{"a.en.subject": "s", "a.en.html": "h", "a.en.txt": guarded}), nil)
		if len(problems) > 0 {
			t.Error(text, problems)
			continue
		}
		if r, err := set.Render("a", "en", Sample("en")); err != nil || strings.TrimSpace(r.Text) != want+"|" {
			t.Errorf("%s is %q, %v", text, r.Text, err)
		}
	}
	_, problems := Load(folder(map[string]string{"a.en.subject": "{{range first 1 .Locale}}x{{end}}s", "a.en.html": "h"}), nil)
	if len(problems) == 0 || !strings.Contains(problems[0].Message, "string is no list") {
		t.Error(problems)
	}
}

func TestCheckMarketingLooksAtTheTextToo(t *testing.T) {
	set := sound(t, map[string]string{
		"a.fr.subject": "s", "a.fr.html": `{{.Unsubscribe}}{{.Sender.PostalAddress}}x`, "a.fr.txt": "x",
		"b.fr.subject": "s", "b.fr.html": `<a href="{{.Unsubscribe}}">x</a>{{range lines .Sender.PostalAddress}}{{.}}{{end}}`,
	})
	if p := set.CheckMarketing("a"); len(p) != 2 || p[0].Path != "a.fr.txt" || p[1].Path != "a.fr.txt" {
		t.Error(p)
	}
	if p := set.CheckMarketing("b"); len(p) != 0 {
		t.Error("the text is derived from the html:", p)
	}
}

// A shared part of the user's own is tried in every mail that comes along.
func TestB39_AMistakeInAPartOfTheUsersOwnIsFoundInTheDefaults(t *testing.T) {
	defaults := folder(map[string]string{
		"_page.html": `{{define "page"}}<p>{{.Locale}}</p>{{end}}`, "a.fr.subject": "s", "a.fr.html": `{{template "page" .}}`,
	})
	if _, problems := Load(nil, nil, defaults); len(problems) > 0 {
		t.Fatal(problems)
	}
	own := folder(map[string]string{"_page.html": `{{define "page"}}<p>x{{.Cart.Total}}</p>{{end}}`})
	if _, problems := Load(own, nil, defaults); len(problems) != 1 || !strings.HasPrefix(problems[0].Path, "_page.html:1:") || !strings.Contains(problems[0].Want, "{{with .Cart}}") {
		t.Error(problems)
	}
}
