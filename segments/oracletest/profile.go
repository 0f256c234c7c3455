package oracletest

import (
	"github.com/relance/relance/internal/crm"
)

// FromProfile copies what the engine was given, field by field.
func FromProfile(p *crm.Profile) *Person {
	c := p.Contact
	w := &Person{
		ID: c.ID, Calendar: In(c.Zone), Country: c.Country, Region: c.Region, City: c.City, Locale: c.Locale, Birthday: c.Birthday,
		RegisteredAt: int64(c.RegisteredAt), HomeShop: c.HomeShopID, Attributes: c.Attributes, Groups: c.Groups, Bases: c.Bases, Suppressed: c.Suppressed,
	}
	for _, s := range c.Shops {
		w.Shops = append(w.Shops, Shop{s.Name, int64(s.Since)})
	}
	for _, s := range p.Consents {
		w.Consents = append(w.Consents, Consent{s.Topic, s.Channel, s.State, int64(s.SourceAt), int64(s.ExpiresAt)})
	}
	for _, o := range p.Orders {
		w.Orders = append(w.Orders, Order{
			Shop: o.ShopID, ID: o.ID, ShopName: o.Shop, State: o.State, Sale: o.CountsAsSale, Purchase: o.Purchase, Currency: o.Currency, Total: o.Total, Refunded: o.Refunded,
			BaseCurrency: o.BaseCurrency, BaseTotal: o.BaseTotal, PlacedAt: int64(o.PlacedAt), Via: o.Via, Source: o.Source, Coupons: o.Coupons, Lines: lines(o.Lines),
		})
	}
	for _, k := range p.Carts {
		w.Carts = append(w.Carts, Cart{
			Shop: k.ShopID, ID: k.ID, ShopName: k.Shop, Currency: k.Currency, Total: k.Total,
			CreatedAt: int64(k.CreatedAt), ActiveAt: int64(k.ActiveAt), ClosedAt: int64(k.ClosedAt), ClosedBy: k.ClosedBy, Lines: lines(k.Lines),
		})
	}
	for _, e := range p.Events {
		w.Events = append(w.Events, Event{e.Name, int64(e.At), e.Properties})
	}
	for _, h := range p.History {
		w.Stays = append(w.Stays, Stay{h.Segment, int64(h.EnteredAt), int64(h.LeftAt)})
	}
	for _, x := range p.Thresholds {
		w.Cuts = append(w.Cuts, Cuts{int64(x.PublishedAt), x.Contacts, x.Currency, x.Recency, x.Orders, x.Revenue})
	}
	return w
}

func lines(ls []crm.ProfileLine) []Line {
	var out []Line
	for _, l := range ls {
		out = append(out, Line{l.ProductID, l.SKU, l.Brand, l.Quantity, l.Refunded, l.Total, l.Categories})
	}
	return out
}
