package main

import (
	"context"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/web"
	"github.com/relance/relance/mailer"
)

// follow reads a redirect link. It asks nobody: links of mails that are long forgotten lead where they led.
func (w *daemon) follow(token string) (web.Followed, error) {
	c, err := w.keys.Click(token)
	if err != nil {
		return web.Followed{}, web.ErrNotFound
	}
	return web.Followed{Target: c.Target, Record: func(ctx context.Context, v web.Visit) error {
		visit := mailer.Visit{UserAgent: v.UserAgent, IP: v.IP, Machine: v.Machine}
		if v.Head {
			visit.Reason = mailer.ByHead
		}
		return mailer.RecordClick(ctx, w.mirror, c, visit, crm.At(w.clock.Now()))
	}}, nil
}

// landing gathers the page that a mail leads to.
func (w *daemon) landing(ctx context.Context, token string, language func(string) string) (web.Landing, error) {
	l, err := w.landings().Open(ctx, token, crm.At(w.clock.Now()), language)
	if fault.ClassOf(err) == fault.Reject {
		return web.Landing{}, web.ErrNotFound
	}
	page := web.Landing{Language: l.Locale, Expired: l.Expired, Shop: l.ShopTitle, ShopURL: l.ShopURL, Redirect: l.Redirect}
	if l.Cart != nil {
		page.Cart = &web.LandingCart{Total: l.Cart.Total, URL: l.Cart.RecoverURL}
		for _, i := range l.Cart.Lines {
			page.Cart.Items = append(page.Cart.Items, web.LandingItem{Name: i.Name, Price: i.Total, ImageURL: i.ImageURL, URL: i.URL, Quantity: i.Quantity})
		}
	}
	for _, p := range l.Picks {
		page.Picks = append(page.Picks, web.LandingItem{Name: p.Name, Price: p.Price, ImageURL: p.ImageURL, URL: p.URL})
	}
	if l.Coupon != nil {
		page.Coupon = &web.LandingCoupon{Code: l.Coupon.Code, Worth: l.Coupon.Worth, Until: l.Coupon.Expires}
	}
	return page, err
}

func (w *daemon) landings() mailer.Landings {
	l := mailer.Landings{Mirror: w.mirror, Keys: w.keys, Shops: map[int64]mirror.Shop{}, Picks: mailer.Picks(w.mirror), Coupon: mailer.CouponOf}
	for _, s := range w.shops {
		l.Shops[s.ID] = s.Shop
	}
	return l
}
