package mailer

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

// Landings opens the pages that mails lead to: what a contact left in the cart, or may like.
type Landings struct {
	Mirror *mirror.Mirror
	Keys   Keys
	Shops  map[int64]mirror.Shop // by id; known without the database, so that nobody stands before a closed door
	// Picks finds what a contact may like, the best first (Picks); nil: nothing is recommended.
	Picks func(ctx context.Context, q store.Queryer, shopID int64, p *crm.Profile, locale string, limit int) ([]ProductData, error)
	// Coupon finds the code that a mail gave its reader, nil when it gave none (CouponOf); may be nil.
	Coupon func(ctx context.Context, q store.Queryer, sendID int64, locale string) (*CouponData, error)
}

// Landing is one page. It names nobody: whoever holds the link sees goods, prices and a code, no name and no address.
type Landing struct {
	Expired   bool   // the link is too old, its cart closed or its contact gone: nothing but the shop is shown
	Locale    string // of the page, as the language function chose it
	ShopTitle string
	ShopURL   string // marked for the shop's statistics, as all addresses here; "" when not known
	Redirect  string // the shop's own link to this very cart: lead there instead of showing a page
	Cart      *CartData
	Picks     []ProductData
	Coupon    *CouponData
}

const landingPicks = 12

// Open reads a token and gathers what its page shows. language picks the page's for a contact's ("" when nothing is known
// of it). A token that was not signed here is fault.Reject. With any other error the shop is filled in as far as it is
// known. now is business time. It changes nothing, however often it is asked. Called by the public listener.
func (l Landings) Open(ctx context.Context, token string, now crm.Instant, language func(locale string) string) (Landing, error) {
	p, err := l.Keys.place(token, now)
	if errors.Is(err, errToken) {
		return Landing{}, fault.New(fault.Reject, "reading a landing link", err)
	}
	shop := l.Shops[p.shopID]
	page := Landing{Locale: language(""), ShopTitle: orElse(shop.Title, shop.Name), ShopURL: shop.Address}
	if errors.Is(err, errExpired) {
		page.Expired = true
		return page, nil
	}
	profile, err := behindLink(ctx, l.Mirror, l.Mirror.DB().Read(), p.contactID, crm.Needs{Orders: true, Lines: true, Carts: true})
	if err != nil || profile == nil || profile.Contact.AudienceID != shop.AudienceID {
		page.Expired = true
		return page, err
	}
	page.Locale = language(profile.Contact.Locale)
	if err := l.fill(ctx, &page, p, profile, shop); err != nil {
		return page, fmt.Errorf("gathering a landing page: %w", err)
	}
	return page, nil
}

// behindLink loads the contact that a link names, or whom it was merged into; nil for one who is gone.
func behindLink(ctx context.Context, m *mirror.Mirror, q store.Queryer, id int64, needs crm.Needs) (*crm.Profile, error) {
	for range 3 { // a merge of a merged one is not followed for ever
		found, err := m.Profiles(ctx, q, []int64{id}, needs)
		if err != nil || len(found) == 0 || found[0].Contact.ErasedAt > 0 {
			return nil, err
		}
		if found[0].Contact.MergedInto == 0 {
			return &found[0], nil
		}
		id = found[0].Contact.MergedInto
	}
	return nil, nil
}

func (l Landings) fill(ctx context.Context, page *Landing, p place, profile *crm.Profile, shop mirror.Shop) error {
	q := l.Mirror.DB().Read()
	var mails []sendRow
	if err := q.SelectContext(ctx, &mails, "SELECT "+sendCols+" FROM sends WHERE id=?", p.sendID); err != nil {
		return err
	}
	marks, err := marksOf(ctx, q, mails, shop.Address)
	if err != nil {
		return err
	}
	page.ShopURL = marks.add(shop.Address)
	if p.cartID != "" {
		cart := cartNamed(profile, p.shopID, p.cartID)
		if cart == nil || cart.ClosedAt > 0 {
			page.Expired = true
			return nil
		}
		if opensCart(shop.Platform, cart.RecoverURL) {
			page.Redirect = marks.add(cart.RecoverURL)
			return nil
		}
		page.Cart = &CartData{
			ID: cart.ID, Total: formatMoney(cart.Total, cart.Currency, page.Locale), RecoverURL: marks.add(orElse(cart.RecoverURL, shop.Address)),
			Lines: linesData(cart.Lines, cart.Currency, page.Locale),
		}
		for i := range page.Cart.Lines {
			page.Cart.Lines[i].URL = marks.add(page.Cart.Lines[i].URL)
		}
	} else if page.Picks, err = l.picks(ctx, q, p.shopID, profile, page.Locale); err != nil {
		return err
	}
	for i := range page.Picks {
		page.Picks[i].URL = marks.add(page.Picks[i].URL)
	}
	if l.Coupon != nil {
		page.Coupon, err = l.Coupon(ctx, q, p.sendID, page.Locale)
	}
	return err
}

// cartNamed finds a contact's cart. Another contact's is never found, whatever the token says.
func cartNamed(p *crm.Profile, shopID int64, id string) *crm.ProfileCart {
	for i := range p.Carts {
		if c := &p.Carts[i]; c.ShopID == shopID && c.ID == id {
			return c
		}
	}
	return nil
}

// picks are what the contact may like; while a shop has too little to go by, what lies in the cart or was bought last.
func (l Landings) picks(ctx context.Context, q store.Queryer, shopID int64, p *crm.Profile, locale string) ([]ProductData, error) {
	if l.Picks != nil {
		if picks, err := l.Picks(ctx, q, shopID, p, locale, landingPicks); err != nil || len(picks) > 0 {
			return picks, err
		}
	}
	if cart := openCart(p); cart != nil && cart.ShopID == shopID && len(cart.Lines) > 0 {
		return linesAsProducts(cart.Lines), nil
	}
	for _, o := range slices.Backward(p.Orders) {
		if o.CountsAsSale && o.ShopID == shopID {
			return linesAsProducts(o.Lines), nil
		}
	}
	return nil, nil
}

func linesAsProducts(lines []crm.ProfileLine) []ProductData {
	var out []ProductData
	for _, l := range lines[:min(len(lines), landingPicks)] {
		out = append(out, ProductData{ID: l.ProductID, Name: l.Name, Brand: l.Brand, ImageURL: l.ImageURL, URL: l.URL, InStock: true})
	}
	return out
}

// marksOf are those of the mail that led here; none when it is gone, or its campaign.
func marksOf(ctx context.Context, q store.Queryer, mails []sendRow, shopAddress string) (utm, error) {
	if len(mails) == 0 || mails[0].Kind != KindMarketing {
		return utm{}, nil
	}
	mail := mails[0]
	var generations []int64
	if err := q.SelectContext(ctx, &generations, "SELECT generation FROM campaigns WHERE campaign=?", mail.Campaign); err != nil || len(generations) == 0 {
		return utm{}, err
	}
	c, err := definition(ctx, q, mail.Campaign, generations[0])
	if err != nil {
		return utm{}, err
	}
	return newUTM(c.utm, mail.Campaign, utmContent(mail.Step, mail.Variants), shopAddress), nil
}
