package mailer

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
)

// States of a code.
const (
	couponAsked = "asked" // the shop is being told to make it
	couponFree  = "free"
	couponGiven = "given" // to one run of one campaign, for ever
)

// coupon is a CouponSpec read.
type coupon struct {
	list    string          // of imported codes; "" when shops make them
	percent string          // of codes that shops make: one of the two
	amount  decimal.Decimal // zero: percent
	prefix  string
	expires time.Duration // 0: nothing is said
}

// poolOf names the list of the codes that a shop makes for a campaign. No imported list has such a name.
func poolOf(campaign string, shop mirror.Shop) string { return campaign + "@" + shop.Name }

// listFor names the list that a mail's code comes from.
func (c *campaign) listFor(shop mirror.Shop) string {
	if c.coupon.list != "" {
		return c.coupon.list
	}
	return poolOf(c.id, shop)
}

// worthIn is what a code is worth that a shop makes, as it is kept with the code: "10%" or "5.00 EUR". "" for a list, whose
// codes say it themselves, and as long as the shop's currency is not known.
func (c *coupon) worthIn(shop mirror.Shop) string {
	switch {
	case c.list != "":
		return ""
	case c.percent != "":
		return c.percent + "%"
	case shop.Currency == "":
		return ""
	}
	return c.amount.StringFixed(crm.Exponent(shop.Currency)) + " " + shop.Currency
}

// shopCoupon is a code as the shop is told of it.
func shopCoupon(code, worth, until string) mirror.Coupon {
	c := mirror.Coupon{Code: code, Until: until}
	if percent, ok := strings.CutSuffix(worth, "%"); ok {
		c.Percent = percent
	} else {
		c.Amount, _, _ = strings.Cut(worth, " ")
	}
	return c
}

// worthText writes what a code is worth for its reader; the words of an imported list stay as they are.
func worthText(worth, locale string) string {
	if percent, ok := strings.CutSuffix(worth, "%"); ok {
		if d, err := decimal.NewFromString(percent); err == nil {
			return formatPercent(d.String(), locale)
		}
	}
	if amount, currency, ok := strings.Cut(worth, " "); ok && len(currency) == 3 && strings.ToUpper(currency) == currency {
		if minor, err := crm.ParseMinor(amount, currency); err == nil {
			return formatMoney(minor, currency, locale)
		}
	}
	return worth
}

// makesCoupons tells the platforms whose shops can be told to make a code.
func makesCoupons(platform string) bool { return platform == "woocommerce" }

func (k *compiler) coupon(s CampaignSpec, c *campaign) {
	if s.Coupon == nil {
		return
	}
	if c.kind == KindTransactional {
		k.wrong(".coupon", "a transactional mail carries no coupon", "no coupon, or kind: marketing")
	}
	c.coupon = &coupon{list: s.Coupon.List, expires: k.span(".coupon.expires", s.Coupon.Expires, 0)}
	switch {
	case (s.Coupon.List == "") == (s.Coupon.Shop == nil):
		k.wrong(".coupon", "codes come either from a list or from the shop", "list: NAME (see relance coupon import) or shop: {percent: \"10\"}")
	case s.Coupon.Shop != nil:
		k.shopCoupon(*s.Coupon.Shop, c)
	case !validID(s.Coupon.List):
		k.wrong(".coupon.list", quoted(s.Coupon.List)+" is no name of a list", idWant)
	}
}

const maxPrefix = 20

func (k *compiler) shopCoupon(s ShopCouponSpec, c *campaign) {
	c.coupon.percent, c.coupon.prefix = s.Percent, s.Prefix
	percent, err := decimal.NewFromString(orElse(s.Percent, "10"))
	if err != nil || percent.Sign() <= 0 || percent.GreaterThan(decimal.New(100, 0)) || percent.Exponent() < -2 {
		k.wrong(".coupon.shop.percent", quoted(s.Percent)+" is no percentage", `"10": more than 0, at most 100`)
	}
	c.coupon.amount, err = decimal.NewFromString(orElse(s.Amount, "0"))
	if err != nil || s.Amount != "" && c.coupon.amount.Sign() <= 0 || c.coupon.amount.Exponent() < -4 || len(s.Amount) > 12 {
		k.wrong(".coupon.shop.amount", quoted(s.Amount)+" is no amount", `"5.00", of the shop's currency`)
	}
	if (s.Percent == "") == (s.Amount == "") {
		k.wrong(".coupon.shop", "a code takes off either a percentage or an amount", `percent: "10" or amount: "5.00"`)
	}
	if ok, _ := regexp.MatchString(`^[A-Za-z0-9_-]*$`, s.Prefix); !ok || len(s.Prefix) > maxPrefix {
		k.wrong(".coupon.shop.prefix", quoted(s.Prefix)+" cannot begin a code", "letters, digits, _ and -, at most "+strconv.Itoa(maxPrefix))
	}
	if k.known == nil {
		return
	}
	for _, shop := range k.known.Shops[c.audience] {
		if !makesCoupons(shop.Platform) {
			k.wrong(".coupon.shop", "shop "+shop.Name+" cannot be told to make codes: Relance does that in WooCommerce shops only, "+shop.Platform+" shops make theirs by themselves",
				"list: NAME, with codes that were made in the shop and imported (relance coupon import), or an audience without this shop")
		}
	}
}
