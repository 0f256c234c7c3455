package mailer

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/mailer/recommend"
)

// What a run may be about: the first word of enrolments.about, before the shop and the id of the record.
const (
	aboutOrder   = "order"
	aboutProduct = "product"
	aboutEvent   = "event"
)

const maxPicks = 6

// aboutOf takes "order:<shop>:<id>" apart; "" for anything else.
func aboutOf(about string) (kind string, key mirror.RecordKey) {
	kind, rest, _ := strings.Cut(about, ":")
	shop, id, _ := strings.Cut(rest, ":")
	n, err := strconv.ParseInt(shop, 10, 64)
	if err != nil || id == "" {
		return "", mirror.RecordKey{}
	}
	return kind, mirror.RecordKey{ShopID: n, ID: id}
}

// subject is what a send is about: what its run was started by, else its occurrence.
func (s *sendRow) subject() (kind string, key mirror.RecordKey) {
	return aboutOf(orElse(s.About, s.Occurrence))
}

// content is what mails show beyond what the gate looks at. Only what some template of the batch shows is read.
type content struct {
	picks    map[int64][]mirror.Offer // by send
	products map[mirror.RecordKey]mirror.Offer
	events   map[mirror.RecordKey]map[string]string
	coupons  drawing
}

// shows tells whether a mail shows a field of Data.
func (g *gating) shows(s *sendRow, field string) bool {
	r := g.campaigns[s.Campaign]
	if r.campaign == nil {
		return false
	}
	at, ok := r.step(s.Step)
	switch {
	case !ok || !at.sends():
		return false
	case at.sendgrid != "": // nobody here knows what the provider's template shows
		return true
	}
	return g.e.o.Renderer.Uses(at.template, field)
}

// loadContent reads what the mails of the batch show: a few queries, whatever its size.
func (g *gating) loadContent(ctx context.Context, _ []int64) error {
	var wishes []recommend.Wish
	var wishing []int64
	var products, events []mirror.RecordKey
	for i := range g.rows {
		s := &g.rows[i]
		p := g.profiles[s.ContactID]
		if p == nil {
			continue
		}
		kind, key := s.subject()
		switch {
		case kind == aboutProduct && g.shows(s, "Product"):
			products = append(products, key)
		case kind == aboutEvent && g.shows(s, "Event"):
			events = append(events, key)
		}
		if s.Kind == KindMarketing && s.ShopID != 0 && g.shows(s, "Picks") {
			wishes = append(wishes, recommend.Wish{ShopID: s.ShopID, Profile: p, About: linesAbout(p, s), Limit: maxPicks})
			wishing = append(wishing, s.ID)
		}
	}
	var err error
	if g.content.products, err = g.e.mirror.Offers(ctx, g.q, products); err != nil {
		return err
	}
	if g.content.events, err = g.e.mirror.EventProperties(ctx, g.q, events); err != nil {
		return err
	}
	if len(wishes) > 0 {
		picks, err := recommend.For(ctx, g.e.mirror, g.q, wishes)
		if err != nil {
			return err
		}
		g.content.picks = make(map[int64][]mirror.Offer, len(picks))
		for i, id := range wishing {
			g.content.picks[id] = picks[i]
		}
	}
	return g.loadCoupons(ctx)
}

// linesAbout gives the lines that recommendations of a mail go by; nil: those of the last purchase.
func linesAbout(p *crm.Profile, s *sendRow) []crm.ProfileLine {
	if strings.HasPrefix(s.Occurrence, cartPrefix) {
		if c := cartOf(p, s.Occurrence); c != nil {
			return c.Lines
		}
	}
	switch kind, key := s.subject(); kind {
	case aboutOrder:
		if o := orderOf(p, key); o != nil {
			return o.Lines
		}
	case aboutProduct:
		return []crm.ProfileLine{{ProductID: key.ID}}
	}
	return nil
}

// orderOf finds a contact's order; nil when it has no such one.
func orderOf(p *crm.Profile, key mirror.RecordKey) *crm.ProfileOrder {
	i := slices.IndexFunc(p.Orders, func(o crm.ProfileOrder) bool { return o.ShopID == key.ShopID && o.ID == key.ID })
	if i < 0 {
		return nil
	}
	return &p.Orders[i]
}

// fillContent fills in what a mail is about, and what is chosen for its reader. A transactional mail carries neither picks nor a
// code, whatever its template asks for.
func (g *gating) fillContent(d *Data, c *candidate) {
	switch kind, key := c.subject(); kind {
	case aboutOrder:
		if o := orderOf(c.profile, key); o != nil {
			d.Order = orderData(o, d.Locale, c.zone)
		}
	case aboutProduct:
		if o, ok := g.content.products[key]; ok {
			p := productData(o, d.Locale)
			d.Product = &p
		}
	case aboutEvent:
		d.Event = g.content.events[key]
	}
	if c.Kind != KindMarketing {
		return
	}
	for _, o := range g.content.picks[c.ID] {
		d.Picks = append(d.Picks, productData(o, d.Locale))
	}
	d.Coupon = g.couponData(c, d.Locale)
}

func cartData(c *crm.ProfileCart, shop mirror.Shop, locale string) *CartData {
	return &CartData{
		ID: c.ID, Total: formatMoney(c.Total, c.Currency, locale), RecoverURL: orElse(c.RecoverURL, shop.Address),
		Lines: linesData(c.Lines, c.Currency, locale),
	}
}

func orderData(o *crm.ProfileOrder, locale string, zone *time.Location) *OrderData {
	d := &OrderData{
		ID: o.ID, Number: orElse(o.Number, o.ID), Total: formatMoney(o.Total, o.Currency, locale),
		PlacedAt: instant(o.PlacedAt, zone), ShippedAt: instant(o.Moments.Shipped, zone), Lines: linesData(o.Lines, o.Currency, locale),
	}
	for _, a := range []struct {
		minor int64
		to    *string
	}{{o.Shipping, &d.Shipping}, {o.Discount, &d.Discount}, {o.Refunded, &d.Refunded}} {
		if a.minor != 0 {
			*a.to = formatMoney(a.minor, o.Currency, locale)
		}
	}
	return d
}

// instant is zero for one that is not known.
func instant(t crm.Instant, zone *time.Location) time.Time {
	if t == 0 {
		return time.Time{}
	}
	return t.Time().In(zone)
}

func productData(o mirror.Offer, locale string) ProductData {
	d := ProductData{ID: o.ID, Name: o.Name, Brand: o.Brand, ImageURL: o.ImageURL, URL: o.URL, InStock: o.InStock && o.Listed}
	if o.Price > 0 {
		d.Price = formatMoney(o.Price, o.Currency, locale)
	}
	return d
}

func linesData(lines []crm.ProfileLine, currency, locale string) []LineData {
	var all []LineData
	for _, l := range lines {
		all = append(all, LineData{Name: l.Name, Total: formatMoney(l.Total, currency, locale), ImageURL: l.ImageURL, URL: l.URL, Quantity: l.Quantity})
	}
	return all
}

// Picks chooses for one contact of whom a page is shown: by what lies in the open cart, else by the last purchase. It
// makes Landings.Picks. The profile has orders, lines and carts.
func Picks(m *mirror.Mirror) func(ctx context.Context, q store.Queryer, shopID int64, p *crm.Profile, locale string, limit int) ([]ProductData, error) {
	return func(ctx context.Context, q store.Queryer, shopID int64, p *crm.Profile, locale string, limit int) ([]ProductData, error) {
		w := recommend.Wish{ShopID: shopID, Profile: p, Limit: limit}
		if c := openCart(p); c != nil && c.ShopID == shopID && len(c.Lines) > 0 {
			w.About = c.Lines
		}
		all, err := recommend.For(ctx, m, q, []recommend.Wish{w})
		if err != nil {
			return nil, err
		}
		var out []ProductData
		for _, o := range all[0] {
			out = append(out, productData(o, locale))
		}
		return out, nil
	}
}
