package templates_test

import (
	"encoding/json"
	"fmt"
	"html"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/relance/relance/connectors/woocommerce/wooshop"
	"github.com/relance/relance/mailer"
)

// recorded is the recorded shop with its people, orders and products; its pictures are served on this machine.
type recorded struct {
	shop     *wooshop.Shop
	orders   []wooOrder
	products []wooProduct
}

type wooOrder struct {
	Number   string `json:"number"`
	Status   string `json:"status"`
	Currency string `json:"currency"`
	Created  string `json:"date_created_gmt"`
	Total    string `json:"total"`
	Shipping string `json:"shipping_total"`
	Discount string `json:"discount_total"`
	Billing  struct {
		First string `json:"first_name"`
		Last  string `json:"last_name"`
		Email string `json:"email"`
	} `json:"billing"`
	Lines []struct {
		Name     string `json:"name"`
		Quantity int64  `json:"quantity"`
		Total    string `json:"total"`
		Image    struct {
			Src string `json:"src"`
		} `json:"image"`
	} `json:"line_items"`
}

type wooProduct struct {
	ID        int64  `json:"id"`
	Name      string `json:"name"`
	Price     string `json:"price"`
	Permalink string `json:"permalink"`
	Stock     string `json:"stock_status"`
	Images    []struct {
		Src string `json:"src"`
	} `json:"images"`
	Brands []struct {
		Name string `json:"name"`
	} `json:"brands"`
}

func record(t *testing.T) *recorded {
	t.Helper()
	shop, err := wooshop.New(wooshop.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, hide, err := shop.StartPictures("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hide)
	r := &recorded{shop: shop}
	for _, raw := range shop.Bodies("orders") {
		var o wooOrder
		if err := json.Unmarshal(raw, &o); err != nil {
			t.Fatal(err)
		}
		r.orders = append(r.orders, o)
	}
	for _, raw := range shop.Bodies("products") {
		var p wooProduct
		if err := json.Unmarshal(raw, &p); err != nil {
			t.Fatal(err)
		}
		if p.Price != "" {
			r.products = append(r.products, p)
		}
	}
	return r
}

// person is what a template gets for the n-th buyer with two lines or more in an order of a status.
func (r *recorded) person(t *testing.T, n int, status, locale string) mailer.Data {
	t.Helper()
	for _, o := range r.orders {
		if o.Status != status || len(o.Lines) < 2 || len(o.Lines) > 4 {
			continue
		}
		if n--; n < 0 {
			return r.data(t, o, locale)
		}
	}
	t.Fatalf("the recorded shop has no such order in status %s", status)
	return mailer.Data{}
}

func (r *recorded) data(t *testing.T, o wooOrder, locale string) mailer.Data {
	t.Helper()
	placed, err := time.Parse("2006-01-02T15:04:05", o.Created)
	if err != nil {
		t.Fatal(err)
	}
	var lines []mailer.LineData
	for i, l := range o.Lines {
		line := mailer.LineData{Name: html.UnescapeString(l.Name), Quantity: l.Quantity, Total: euros(l.Total, locale), ImageURL: l.Image.Src, URL: r.products[i].Permalink}
		if i == 1 {
			line.ImageURL = "" // as of a product without a picture
		}
		lines = append(lines, line)
	}
	order := mailer.OrderData{
		ID: o.Number, Number: o.Number, Total: euros(o.Total, locale), Shipping: euros(o.Shipping, locale), Discount: euros(o.Discount, locale),
		PlacedAt: placed, ShippedAt: placed.AddDate(0, 0, 2), Lines: lines,
	}
	wanted := product(r.products[len(r.products)-1], locale)
	var picks []mailer.ProductData
	for i, p := range r.products[3:9] {
		pick := product(p, locale)
		if i == 3 {
			pick.ImageURL = ""
		}
		picks = append(picks, pick)
	}
	return mailer.Data{
		Contact: mailer.ContactData{FirstName: o.Billing.First, LastName: o.Billing.Last, Email: o.Billing.Email},
		Shop:    mailer.ShopData{Title: "Atelier Lumière", URL: "https://boutique.example.com/"},
		Sender:  mailer.SenderData{Name: "Atelier Lumière", PostalAddress: "12 rue des Ateliers\n33000 Bordeaux", Email: "bonjour@boutique.example.com"},
		Cart:    &mailer.CartData{ID: o.Number, Total: order.Total, RecoverURL: "https://boutique.example.com/commande/?reprise=1", Lines: lines},
		Order:   &order, LastOrder: &order, Product: &wanted, Picks: picks,
		Coupon:      &mailer.CouponData{Code: "LUMIERE-7Q2F", Worth: map[string]string{"fr": "10\u00a0%", "en": "10%"}[locale], Expires: placed.AddDate(0, 3, 0)},
		Unsubscribe: "https://relance.example/u/k1.abcdef", Preferences: "https://relance.example/p/k1.abcdef", Confirm: "https://relance.example/s/k1.abcdef", Landing: "https://relance.example/l/k1.abcdef",
		Locale: locale, Now: placed,
	}
}

func product(p wooProduct, locale string) mailer.ProductData {
	d := mailer.ProductData{
		ID: strconv.FormatInt(p.ID, 10), Name: html.UnescapeString(p.Name), Price: euros(p.Price, locale), URL: p.Permalink, InStock: p.Stock == "instock",
	}
	if len(p.Images) > 0 {
		d.ImageURL = p.Images[0].Src
	}
	if len(p.Brands) > 0 {
		d.Brand = html.UnescapeString(p.Brands[0].Name)
	}
	return d
}

// service is what a transactional mail gets.
func service(d mailer.Data) mailer.Data {
	d.Unsubscribe, d.Preferences, d.Landing, d.Picks, d.Coupon = "", "", "", nil, nil
	return d
}

// bare is somebody of whom little is known, in a shop without pictures or addresses.
func bare(d mailer.Data) mailer.Data {
	strip := func(lines []mailer.LineData) []mailer.LineData {
		var out []mailer.LineData
		for _, l := range lines {
			out = append(out, mailer.LineData{Name: l.Name, Quantity: l.Quantity, Total: l.Total})
		}
		return out
	}
	cart, order := *d.Cart, *d.Order
	cart.Lines, cart.RecoverURL, order.Lines, order.Shipping, order.Discount = strip(cart.Lines), "", strip(order.Lines), "", ""
	d.Contact.FirstName, d.Contact.LastName = "", ""
	d.Cart, d.Order, d.LastOrder, d.Picks, d.Coupon, d.Landing, d.Preferences = &cart, &order, &order, nil, nil, "", ""
	d.Product = &mailer.ProductData{Name: d.Product.Name}
	return d
}

func euros(amount, locale string) string {
	f, err := strconv.ParseFloat(amount, 64)
	if err != nil || f == 0 {
		return ""
	}
	s := fmt.Sprintf("%.2f", f)
	if locale == "fr" {
		return strings.Replace(s, ".", ",", 1) + "\u00a0€"
	}
	return "€" + s
}
