package render

import (
	"strings"
	"time"

	"github.com/relance/relance/mailer"
)

// Sample is a person with everything: every field has a value. For trying templates and for previews.
func Sample(locale string) mailer.Data {
	total, first, second := "€64.80", "€49.90", "€14.90"
	if strings.HasPrefix(normalise(locale), "fr") {
		total, first, second = "64,80 €", "49,90 €", "14,90 €"
	}
	lines := []mailer.LineData{
		{Name: "Lampe de bureau en laiton", Total: first, Quantity: 1, ImageURL: "https://boutique.example/lampe.jpg", URL: "https://boutique.example/lampe"},
		{Name: "Carnet à spirale, papier recyclé", Total: second, Quantity: 2, URL: "https://boutique.example/carnet"},
	}
	return mailer.Data{
		Contact:     mailer.ContactData{FirstName: "Camille", LastName: "Martin", Email: "camille@example.com"},
		Shop:        mailer.ShopData{Title: "Maison Alba", URL: "https://boutique.example/"},
		Sender:      mailer.SenderData{Name: "Maison Alba SARL", PostalAddress: "12 rue des Lilas\n69003 Lyon\nFrance"},
		Cart:        &mailer.CartData{ID: "c1", Total: total, RecoverURL: "https://boutique.example/panier?reprise=1", Lines: lines},
		LastOrder:   &mailer.OrderData{ID: "1042", Total: total, PlacedAt: time.Date(2026, 9, 12, 10, 0, 0, 0, time.UTC), Lines: lines},
		Unsubscribe: "https://relance.example/u/sample-token",
		Locale:      locale,
		Now:         time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC),
	}
}

// trial is one set of data a template must survive.
type trial struct {
	name string
	data mailer.Data
}

// trials go from everything to nothing.
func trials(locale string) []trial {
	line := []mailer.LineData{{}}
	transactional := Sample(locale)
	transactional.Unsubscribe = ""
	return []trial{
		{"sample data", Sample(locale)},
		{"sample data without an unsubscribe link", transactional},
		{"a cart and an order of which nothing is known", mailer.Data{Cart: &mailer.CartData{Lines: line}, LastOrder: &mailer.OrderData{Lines: line}}},
		{"an empty cart and an empty order", mailer.Data{Cart: &mailer.CartData{}, LastOrder: &mailer.OrderData{}}},
		{"no data", mailer.Data{}},
	}
}
