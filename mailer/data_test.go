package mailer_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/mailer"
	"github.com/relance/relance/mailer/recommend"
)

// about brings a contact to where its mail leaves, and says what that is about.
func (w *world) about(email, subject string) []string {
	w.tb.Helper()
	who := w.contact(email)
	w.waiting(who, anybody)
	w.exec("UPDATE sends SET about=? WHERE contact_id=?", subject, who)
	w.run()
	return w.saidTo(email)
}

func TestAMailShowsWhatItIsAbout(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.texting(`{{with .Order}}{{.Number}} | {{.Total}} | {{.Shipping}} | {{.Discount}} | {{.Refunded}} | {{date .PlacedAt}} | {{date .ShippedAt}} |{{range .Lines}} {{.Name}} {{.Quantity}} {{.Total}} {{.ImageURL}} {{.URL}}{{end}}{{end}}
{{- with .Product}}{{.Name}} | {{.Price}} | {{.Brand}} | {{.ImageURL}} | {{.URL}} | {{.InStock}}{{end}}
{{- if .Event}}{{.Event.size}} | {{.Event.nothing}}{{end}}`)
		w.arm("about", plainCampaign())
		w.insert("products", []string{"shop_id", "id", "parent_id", "name", "brand", "url", "image_url", "price", "currency", "in_stock", "status"},
			[]any{w.shop, "7", "", "Robe", "Alba", "https://b.example/robe", "https://b.example/robe.jpg", 4990, "EUR", 1, "publish"},
			[]any{w.shop, "71", "7", "Robe, M", "", "", "", 4500, "EUR", 0, "publish"},
			[]any{w.shop, "8", "", "Brouillon", "", "", "", 0, "EUR", 1, "draft"})
		w.insert("events", []string{"shop_id", "id", "name", "properties"}, []any{w.shop, "e:1", "form", `{"size":"M"}`})
		w.insert("orders", []string{"shop_id", "id", "contact_id", "number", "state", "counts_as_sale", "currency", "total", "shipping", "refunded", "placed_at", "became_shipped_at", "coupons", "attribution"},
			[]any{w.shop, "o:1", 0, "FA-1", crm.StateCompleted, 1, "EUR", 1234567, 490, 0, crm.At(w.now.Add(-time.Hour)), crm.At(time.Date(2026, 11, 1, 23, 30, 0, 0, time.UTC)), "", ""})
		w.insert("order_lines", []string{"shop_id", "order_id", "line_id", "product_id", "name", "quantity", "total"}, []any{w.shop, "o:1", "1", "7", "Robe d’été", 2, 9980})
		for subject, want := range map[string]string{
			fmt.Sprintf("product:%d:71", w.shop): "Robe, M | 45,00\u00a0€ | Alba | https://b.example/robe.jpg | https://b.example/robe | false",
			fmt.Sprintf("product:%d:8", w.shop):  "Brouillon |  |  |  |  | false",
			fmt.Sprintf("product:%d:9", w.shop):  "",
			fmt.Sprintf("event:%d:e:1", w.shop):  "M |",
			fmt.Sprintf("event:%d:e:2", w.shop):  "",
			fmt.Sprintf("order:%d:o:1", w.shop):  "", // somebody else's
			"":                                   "",
		} {
			if diff := cmp.Diff([]string{want}, w.about(fmt.Sprintf("a%d@example.com", w.db.NewID()), subject)); diff != "" {
				t.Errorf("%s: %s", subject, diff)
			}
		}
		who := w.contact("buyer@example.com")
		w.exec("UPDATE orders SET contact_id=?", who)
		w.waiting(who, anybody)
		w.exec("UPDATE sends SET about=? WHERE contact_id=?", fmt.Sprintf("order:%d:o:1", w.shop), who)
		w.run()
		want := "FA-1 | 12\u00a0345,67\u00a0€ | 4,90\u00a0€ |  |  | 20 novembre 2026 | 2 novembre 2026 | Robe d’été 2 99,80\u00a0€ https://b.example/robe.jpg https://b.example/robe"
		if diff := cmp.Diff([]string{want}, w.saidTo("buyer@example.com")); diff != "" {
			t.Error(diff)
		}
	})
}

func TestMailsCarryPicksIfTheirTemplateShowsThem(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.texting(`{{range .Picks}}{{.ID}} {{.Price}};{{end}}`)
		w.arm("picks", plainCampaign())
		s := plainCampaign()
		s.Kind = mailer.KindTransactional
		w.deploy(mailer.CampaignFile{"picks": plainCampaign(), "receipt": s})
		if _, err := mailer.Arm(t.Context(), w.m, "receipt", crm.At(w.now)); err != nil {
			t.Fatal(err)
		}
		for i := range 9 {
			w.insert("products", []string{"shop_id", "id", "name", "brand", "price", "currency", "in_stock", "status"},
				[]any{w.shop, fmt.Sprint(i), "Robe", "Alba", 1000 + i, "EUR", 1, "publish"})
		}
		w.insert("order_lines", []string{"shop_id", "order_id", "line_id", "product_id", "name", "quantity", "total"}, []any{w.shop, "1", "1", "0", "Robe", 1, 1000})
		picks := recommend.NewEngine(w.m, w.leases, recommend.Options{})
		for worked := true; worked; {
			var err error
			if _, worked, err = picks.Step(t.Context(), w.now); err != nil {
				t.Fatal(err)
			}
		}
		who := w.contact("a@example.com")
		w.order(who, w.shop, "1", crm.StateCompleted, w.now.Add(-time.Hour))
		w.enter(who, anybody, w.now)
		w.run()
		said := w.saidTo("a@example.com")
		want := "1 10,01\u00a0€;2 10,02\u00a0€;3 10,03\u00a0€;4 10,04\u00a0€;5 10,05\u00a0€;6 10,06\u00a0€;"
		if len(said) != 2 || said[0] != want && said[1] != want || said[0] != "" && said[1] != "" {
			t.Errorf("one mail with six of the brand that is not theirs already, one without any: %q", said)
		}
	})
}

func TestAmountsAreWrittenAsReadersWriteThem(t *testing.T) {
	for _, c := range []struct {
		minor                  int64
		currency, locale, want string
	}{
		{123456, "EUR", "fr", "1\u00a0234,56\u00a0€"},
		{123456, "EUR", "fr-BE", "1\u00a0234,56\u00a0€"},
		{-123456, "EUR", "fr", "-1\u00a0234,56\u00a0€"},
		{123456, "EUR", "en", "€1,234.56"},
		{-5, "GBP", "en-GB", "-£0.05"},
		{123456, "EUR", "de", "1.234,56\u00a0€"},
		{123456, "CHF", "de-CH", "CHF\u00a01’234.56"},
		{123456, "CHF", "fr_CH", "1\u00a0234.56\u00a0CHF"},
		{123456, "EUR", "de-AT", "€\u00a01.234,56"},
		{123456, "EUR", "es", "1234,56\u00a0€"},
		{1234567, "EUR", "es", "12.345,67\u00a0€"},
		{123456, "EUR", "nl", "€\u00a01.234,56"},
		{123456, "PLN", "pl", "1234,56\u00a0zł"},
		{123456, "PLN", "en", "PLN\u00a01,234.56"},
		{123456, "SEK", "sv", "1\u00a0234,56\u00a0kr."},
		{123456, "BRL", "pt-BR", "R$\u00a01.234,56"},
		{123456, "CAD", "en-CA", "$1,234.56"},
		{123456, "CAD", "fr-CA", "1\u00a0234,56\u00a0$"},
		{123456, "USD", "xx", "$1,234.56"},
		{1234567, "JPY", "en", "¥1,234,567"},
		{1234567, "KWD", "fr", "1\u00a0234,567\u00a0KWD"},
		{123456, "", "fr", ""},
	} {
		if got := mailer.FormatMoney(c.minor, c.currency, c.locale); got != c.want {
			t.Errorf("%d %s in %s: %q, want %q", c.minor, c.currency, c.locale, got, c.want)
		}
	}
}
