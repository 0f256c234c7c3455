package render

import (
	"strings"
	"time"

	"github.com/relance/relance/mailer"
)

// Sample is a person with everything: every field has a value. For trying templates and for previews.
func Sample(locale string) mailer.Data {
	money := strings.NewReplacer() // as it stands: English
	if strings.HasPrefix(normalise(locale), "fr") {
		money = strings.NewReplacer("€64.80", "64,80 €", "€49.90", "49,90 €", "€14.90", "14,90 €", "€4.90", "4,90 €", "€5.00", "5,00 €", "10%", "10 %")
	}
	lines := []mailer.LineData{
		{Name: "Lampe de bureau en laiton", Total: money.Replace("€49.90"), Quantity: 1, ImageURL: "https://boutique.example/lampe.jpg", URL: "https://boutique.example/lampe"},
		{Name: "Carnet à spirale, papier recyclé", Total: money.Replace("€14.90"), Quantity: 2, URL: "https://boutique.example/carnet"},
	}
	product := mailer.ProductData{
		ID: "18", Name: "Savon à l’huile d’olive", Brand: "Maison Noël", Price: money.Replace("€14.90"),
		ImageURL: "https://boutique.example/savon.jpg", URL: "https://boutique.example/savon", InStock: true,
	}
	second := product
	second.ID, second.Name, second.ImageURL, second.URL = "26", "Bol en grès", "https://boutique.example/bol.jpg", "https://boutique.example/bol"
	day := func(month time.Month, day int) time.Time { return time.Date(2026, month, day, 10, 0, 0, 0, time.UTC) }
	order := mailer.OrderData{
		ID: "1042", Number: "1042", Total: money.Replace("€64.80"), Shipping: money.Replace("€4.90"), Discount: money.Replace("€5.00"),
		Refunded: money.Replace("€14.90"), PlacedAt: day(time.September, 12), ShippedAt: day(time.September, 14), Lines: lines,
	}
	lastOrder := order
	return mailer.Data{
		Contact:     mailer.ContactData{FirstName: "Camille", LastName: "Martin", Email: "camille@example.com"},
		Shop:        mailer.ShopData{Title: "Maison Alba", URL: "https://boutique.example/"},
		Sender:      mailer.SenderData{Name: "Maison Alba SARL", PostalAddress: "12 rue des Lilas\n69003 Lyon\nFrance", Email: "bonjour@boutique.example"},
		Cart:        &mailer.CartData{ID: "c1", Total: money.Replace("€64.80"), RecoverURL: "https://boutique.example/panier?reprise=1", Lines: lines},
		LastOrder:   &lastOrder,
		Order:       &order,
		Product:     &product,
		Event:       map[string]string{"product_id": "18", "product_name": "Savon à l’huile d’olive"},
		Picks:       []mailer.ProductData{product, second, product, second, product},
		Coupon:      &mailer.CouponData{Code: "ALBA-7Q2F", Worth: money.Replace("10%"), Expires: day(time.December, 12)},
		Unsubscribe: "https://relance.example/u/sample-token",
		Preferences: "https://relance.example/p/sample-token",
		Confirm:     "https://relance.example/s/sample-token",
		Landing:     "https://relance.example/l/sample-token",
		Locale:      locale,
		Now:         time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC),
	}
}

// SampleOf is Sample as mails of a kind see it: KindMarketing or KindTransactional, which carries no marketing.
func SampleOf(kind, locale string) mailer.Data {
	if kind == mailer.KindTransactional {
		return transactional(Sample(locale))
	}
	return Sample(locale)
}

// transactional is what a transactional mail is filled in with: it carries no marketing.
func transactional(d mailer.Data) mailer.Data {
	d.Unsubscribe, d.Preferences, d.Landing, d.Picks, d.Coupon = "", "", "", nil, nil
	return d
}

// trial is one set of data a template must survive.
type trial struct {
	name string
	data mailer.Data
}

// trials go from everything to nothing.
func trials(locale string) []trial {
	blank := []mailer.LineData{{}}
	poor := Sample(locale) // a shop that gives neither pictures nor addresses, and nothing to offer
	poor.Picks, poor.Coupon, poor.Landing, poor.Preferences, poor.Event, poor.Product = nil, nil, "", "", nil, nil
	poor.Contact.FirstName, poor.Contact.LastName, poor.Shop.URL = "", "", ""
	poor.Cart = &mailer.CartData{ID: "c1", Total: poor.Cart.Total, Lines: []mailer.LineData{{Name: "Carnet", Quantity: 1}}}
	poor.Order = &mailer.OrderData{ID: "1042", Lines: poor.Cart.Lines}
	poor.LastOrder = poor.Order
	return []trial{
		{"sample data", Sample(locale)},
		{"sample data of a transactional mail", transactional(Sample(locale))},
		{"data with gaps", poor},
		{"things of which nothing is known", mailer.Data{
			Cart: &mailer.CartData{Lines: blank}, LastOrder: &mailer.OrderData{Lines: blank}, Order: &mailer.OrderData{Lines: blank},
			Product: &mailer.ProductData{}, Picks: []mailer.ProductData{{}}, Coupon: &mailer.CouponData{},
		}},
		{"an empty cart and an empty order", mailer.Data{Cart: &mailer.CartData{}, LastOrder: &mailer.OrderData{}, Order: &mailer.OrderData{}}},
		{"no data", mailer.Data{}},
	}
}
