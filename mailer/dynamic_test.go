package mailer_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/mailer"
)

// The keys are a promise to whoever wrote a template at the provider: this is the list of docs/campaigns.md.
func TestTheKeysOfDynamicTemplatesStay(t *testing.T) {
	at := time.Date(2026, 11, 22, 9, 30, 0, 0, time.FixedZone("CET", 3600))
	line := mailer.LineData{Name: "Écharpe", Total: "49,90 €", ImageURL: "https://i", URL: "https://p", Quantity: 2}
	order := &mailer.OrderData{
		ID: "7", Number: "R-7", Total: "1", Shipping: "2", Discount: "3", Refunded: "4", PlacedAt: at, ShippedAt: at, Lines: []mailer.LineData{line},
	}
	product := mailer.ProductData{ID: "p1", Name: "Gants", Brand: "Alba", Price: "9,90 €", ImageURL: "https://i", URL: "https://p", InStock: true}
	got := mailer.Data{
		Contact: mailer.ContactData{FirstName: "Zoé", LastName: "Durand", Email: "zoe@example.com"},
		Shop:    mailer.ShopData{Title: "Alba", URL: "https://alba.example"}, Sender: mailer.SenderData{Name: "Alba", PostalAddress: "1 rue"},
		Cart: &mailer.CartData{ID: "c1", Total: "99", RecoverURL: "https://r", Lines: []mailer.LineData{line}}, LastOrder: order, Order: order,
		Product: &product, Event: map[string]string{"size": "M"}, Picks: []mailer.ProductData{product},
		Coupon:      &mailer.CouponData{Code: "X", Worth: "10 %", Expires: at},
		Unsubscribe: "https://u", Preferences: "https://p", Landing: "https://l", Locale: "fr", Now: at,
	}.Dynamic()
	const when = "2026-11-22T09:30:00+01:00"
	wantLine := map[string]any{"name": "Écharpe", "total": "49,90 €", "image_url": "https://i", "url": "https://p", "quantity": int64(2)}
	wantOrder := map[string]any{
		"id": "7", "number": "R-7", "total": "1", "shipping": "2", "discount": "3", "refunded": "4", "placed_at": when, "shipped_at": when, "lines": []any{wantLine},
	}
	wantProduct := map[string]any{"id": "p1", "name": "Gants", "brand": "Alba", "price": "9,90 €", "image_url": "https://i", "url": "https://p", "in_stock": true}
	want := map[string]any{
		"contact": map[string]any{"first_name": "Zoé", "last_name": "Durand", "email": "zoe@example.com"},
		"shop":    map[string]any{"title": "Alba", "url": "https://alba.example"}, "sender": map[string]any{"name": "Alba", "postal_address": "1 rue"},
		"cart":       map[string]any{"id": "c1", "total": "99", "recover_url": "https://r", "lines": []any{wantLine}},
		"last_order": wantOrder, "order": wantOrder, "product": wantProduct, "event": map[string]string{"size": "M"}, "picks": []any{wantProduct},
		"coupon":      map[string]any{"code": "X", "worth": "10 %", "expires": when},
		"unsubscribe": "https://u", "preferences": "https://p", "landing": "https://l", "locale": "fr", "now": when,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWhatThereIsNoneOfIsLeftOut(t *testing.T) {
	want := map[string]any{"contact": map[string]any{}, "shop": map[string]any{}, "sender": map[string]any{}}
	if diff := cmp.Diff(want, mailer.Data{}.Dynamic()); diff != "" {
		t.Error(diff)
	}
}
