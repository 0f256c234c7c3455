package mailer

import (
	"encoding/base64"
	"net/url"
	"strings"
	"time"

	"github.com/relance/relance/internal/crm"
)

const (
	cartLinkLasts    = 30 * 24 * time.Hour
	landingLinkLasts = 60 * 24 * time.Hour
)

// place is what a landing link opens: one cart of one contact, or the contact's page.
type place struct {
	sendID, contactID, shopID int64
	cartID                    string // "" = the page without a cart
}

func (k Keys) placeToken(p place, now crm.Instant) (string, error) {
	body := number(p.sendID) + "." + number(p.contactID) + "." + number(p.shopID)
	if p.cartID == "" {
		return k.sign(forLanding, now.Add(landingLinkLasts), body)
	}
	return k.sign(forCart, now.Add(cartLinkLasts), body+"."+base64.RawURLEncoding.EncodeToString([]byte(p.cartID)))
}

// place reads a landing token; errExpired comes with what it was about.
func (k Keys) place(token string, now crm.Instant) (place, error) {
	purpose, parts := forLanding, 3
	if strings.HasPrefix(token, string(forCart)+".") {
		purpose, parts = forCart, 4
	}
	body, err := k.verify(purpose, token, now)
	if body == "" {
		return place{}, err
	}
	var p place
	fields := strings.Split(body, ".")
	if len(fields) != parts || !numbers(fields, &p.sendID, &p.contactID, &p.shopID) {
		return place{}, errToken
	}
	if purpose == forCart {
		id, wrong := base64.RawURLEncoding.DecodeString(fields[3])
		if wrong != nil || len(id) == 0 {
			return place{}, errToken
		}
		p.cartID = string(id)
	}
	return p, err
}

// landingLinks fills in the addresses of our own pages: the contact's cart and what they may like. The cart's page leads
// on to the shop's own recovery link where there is one.
func (g *gating) landingLinks(c *candidate, d *Data) (err error) {
	if g.e.o.PublicURL == "" {
		return nil
	}
	link := func(p place) (string, error) {
		p.sendID, p.contactID = c.ID, c.ContactID
		token, err := g.e.o.Keys.placeToken(p, g.now)
		return g.e.o.PublicURL + landingPath + token, err
	}
	if d.Cart != nil {
		if d.Cart.RecoverURL, err = link(place{shopID: c.cart.ShopID, cartID: c.cart.ID}); err != nil {
			return err
		}
	}
	if g.shows(c.sendRow, "Landing") && (len(d.Picks) > 0 || d.Coupon != nil || d.Cart != nil || d.LastOrder != nil) {
		d.Landing, err = link(place{shopID: c.ShopID})
	}
	return err
}

// opensCart tells an address that opens this very cart in any browser from one that shows whatever cart the visitor has
// there, which is empty on another device. What a shop pushes as recover_url is its own.
func opensCart(platform, address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return false
	}
	switch platform {
	case "push":
		return true
	case "woocommerce": // an unpaid order's page of payment; one product put into the cart
		q := u.Query()
		return q.Get("pay_for_order") != "" || q.Get("add-to-cart") != ""
	}
	return false // prestashop, magento: only a module inside the shop can make such a link
}
