package mailer

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/relance/relance/internal/crm"
)

// AttributionSpec is how long after a mail an order counts as brought by it, in an audience's file.
type AttributionSpec struct {
	Click string `yaml:"click" jsonschema:"description=how long after a click an order counts as brought by the mail; 5d when absent,example=5d"`
	Lift  string `yaml:"lift" jsonschema:"description=how long after a first mail purchases are compared with those of the holdout; 14d when absent,example=14d"`
}

// Windows are those of an AttributionSpec; 0 stands for the usual.
type Windows struct {
	Click time.Duration
	Lift  time.Duration
}

const (
	standardClickWindow = 5 * 24 * time.Hour
	standardLiftWindow  = 14 * 24 * time.Hour
	longestWindow       = 90 * 24 * time.Hour
)

// Windows reads the lengths of time; what is absent is 0.
func (a AttributionSpec) Windows() (w Windows, err error) {
	for _, one := range []struct {
		name, raw string
		to        *time.Duration
	}{{"click", a.Click, &w.Click}, {"lift", a.Lift, &w.Lift}} {
		if one.raw == "" {
			continue
		}
		if *one.to, err = crm.ParseSpan(one.raw); err != nil {
			return Windows{}, fmt.Errorf("%s: %w", one.name, err)
		}
		if *one.to <= 0 || *one.to > longestWindow {
			return Windows{}, fmt.Errorf("%s: %s is not between 1s and 90d", one.name, one.raw)
		}
	}
	return w, nil
}

func (w Windows) click() time.Duration { return cmp.Or(w.Click, standardClickWindow) }
func (w Windows) lift() time.Duration  { return cmp.Or(w.Lift, standardLiftWindow) }

// How an order came to be a mail's.
const (
	byCode  = "code"  // it used a code that the contact was given in the campaign
	byClick = "click" // a person clicked in the mail
	byMail  = "mail"  // of carts: the mail was about it
)

// What is credited, as attributed_counts calls it.
const (
	creditOrder = "order"
	creditCart  = "cart"
)

// credit is an order or a cart that a mail brought.
type credit struct {
	What      string `db:"-"`
	ShopID    int64  `db:"shop_id"`
	ID        string
	ContactID int64 `db:"contact_id"`
	Lane      int
	SendID    int64 `db:"send_id"`
	Campaign  string
	Step      string
	Variants  string
	How       string
	PlacedAt  crm.Instant `db:"placed_at"`
	Currency  string
	Revenue   int64 // minor units; of a cart: what was in it
	Counted   int64 // 0: another order of the same purchase is counted
}

// creditKey names what is credited: it is credited once.
type creditKey struct {
	what string
	shop int64
	id   string
}

func (c *credit) key() creditKey { return creditKey{c.What, c.ShopID, c.ID} }

// mailed is a mail that was handed over, as attribution sees it.
type mailed struct {
	ID         int64
	ContactID  int64 `db:"contact_id"`
	Campaign   string
	Step       string
	Occurrence string
	About      string
	Variants   string
	HandedAt   crm.Instant `db:"handed_at"`
}

// clicked is a click by a person.
type clicked struct {
	SendID     int64       `db:"send_id"`
	HappenedAt crm.Instant `db:"happened_at"`
}

// codeUsed is a code that a run was given and an order used.
type codeUsed struct {
	run     runKey
	givenAt crm.Instant
	key     string
	shop    int64
	order   string
}

// doings are what is known of one person when it is asked which mails brought what: those of contacts merged into it, too.
type doings struct {
	profile *crm.Profile
	mails   map[int64]mailed
	clicks  []clicked
	codes   []codeUsed
	undone  map[creditKey]bool // carts whose orders do not count as sales, or not any more
	window  time.Duration
}

// credits says which mails brought which of a person's orders and carts. It looks at nothing but the facts, so that they
// give the same whenever, and however often, it is asked.
func (d *doings) credits() []credit {
	if d.profile == nil || d.profile.Contact.MergedInto != 0 || d.profile.Contact.ErasedAt > 0 {
		return nil
	}
	var out []credit
	for _, orders := range purchasesOf(d.profile.Orders) {
		m, how := d.brought(orders)
		if how == "" {
			continue
		}
		counted := int64(1)
		for _, o := range orders {
			if !o.CountsAsSale {
				continue
			}
			c := d.credit(creditOrder, o.ShopID, o.ID, m, how)
			c.PlacedAt, c.Counted = o.PlacedAt, counted
			c.Currency, c.Revenue = bookedRevenue(o)
			out, counted = append(out, c), 0
		}
	}
	for i := range d.profile.Carts {
		if c, ok := d.recovered(&d.profile.Carts[i]); ok {
			out = append(out, c)
		}
	}
	return out
}

func (d *doings) credit(what string, shop int64, id string, m mailed, how string) credit {
	return credit{
		What: what, ShopID: shop, ID: id, ContactID: d.profile.Contact.ID, Lane: crm.LaneOf(d.profile.Contact.ID),
		SendID: m.ID, Campaign: m.Campaign, Step: m.Step, Variants: m.Variants, How: how,
	}
}

// purchasesOf groups the orders that count, or stood where one that counts stands now, by purchase, the earliest first.
func purchasesOf(orders []crm.ProfileOrder) [][]crm.ProfileOrder {
	type purchase struct {
		shop int64
		id   string
	}
	place := map[purchase]int{}
	var out [][]crm.ProfileOrder
	for _, o := range orders {
		if !o.CountsAsSale && o.State != crm.StateReplaced {
			continue
		}
		key := purchase{o.ShopID, cmp.Or(o.Purchase, o.ID)}
		i, known := place[key]
		if !known {
			i, place[key] = len(out), len(out)
			out = append(out, nil)
		}
		out[i] = append(out[i], o)
	}
	for _, list := range out {
		slices.SortFunc(list, func(a, b crm.ProfileOrder) int {
			return cmp.Or(cmp.Compare(a.PlacedAt, b.PlacedAt), cmp.Compare(a.ID, b.ID))
		})
	}
	return out
}

// bookedRevenue is what is left of an order in the currency of the shop's books where the order says it, else in its own.
func bookedRevenue(o crm.ProfileOrder) (currency string, revenue int64) {
	if o.BaseCurrency != "" && o.BaseCurrency != o.Currency {
		return o.BaseCurrency, o.BaseTotal - crm.Scale(o.Refunded, o.BaseTotal, o.Total)
	}
	return o.Currency, o.Revenue()
}

// brought finds the mail that a purchase is owed to: that of the code used, else the one last clicked in before it.
func (d *doings) brought(purchase []crm.ProfileOrder) (mailed, string) {
	at := purchase[0].PlacedAt
	var best codeUsed
	var of mailed
	for _, code := range d.codes {
		if !slices.ContainsFunc(purchase, func(o crm.ProfileOrder) bool { return o.ShopID == code.shop && o.ID == code.order }) {
			continue
		}
		m, sent := d.mailOf(code.run, at)
		if newer := cmp.Or(cmp.Compare(code.givenAt, best.givenAt), cmp.Compare(code.key, best.key)); sent && (of.ID == 0 || newer > 0) {
			best, of = code, m
		}
	}
	if of.ID != 0 {
		return of, byCode
	}
	var last clicked
	for _, c := range d.clicks {
		if _, known := d.mails[c.SendID]; !known || c.HappenedAt > at || c.HappenedAt.Add(d.window) <= at {
			continue
		}
		if last.SendID == 0 || cmp.Or(cmp.Compare(c.HappenedAt, last.HappenedAt), cmp.Compare(c.SendID, last.SendID)) > 0 {
			last = c
		}
	}
	if last.SendID == 0 {
		return mailed{}, ""
	}
	return d.mails[last.SendID], byClick
}

// mailOf is the mail that a run's code was used from: its last one before the order, else its first.
func (d *doings) mailOf(run runKey, at crm.Instant) (best mailed, ok bool) {
	for _, m := range d.mails {
		if (runKey{m.Campaign, m.ContactID, m.Occurrence}) != run {
			continue
		}
		before, bestBefore := m.HandedAt <= at, best.HandedAt <= at
		order := cmp.Or(cmp.Compare(m.HandedAt, best.HandedAt), cmp.Compare(m.ID, best.ID))
		if !ok || before && !bestBefore || before == bestBefore && (before && order > 0 || !before && order < 0) {
			best, ok = m, true
		}
	}
	return best, ok
}

// recovered tells whether a cart was ordered within the window after a mail about it: the last such mail is credited.
func (d *doings) recovered(k *crm.ProfileCart) (credit, bool) {
	if k.ClosedAt == 0 || k.ClosedBy != cartOrdered || d.undone[creditKey{creditCart, k.ShopID, k.ID}] {
		return credit{}, false
	}
	name := about(cartPrefix, k.ShopID, k.ID)
	var best mailed
	for _, m := range d.mails {
		if m.About != name && m.Occurrence != name || m.HandedAt > k.ClosedAt || m.HandedAt.Add(d.window) <= k.ClosedAt {
			continue
		}
		if best.ID == 0 || cmp.Or(cmp.Compare(m.HandedAt, best.HandedAt), cmp.Compare(m.ID, best.ID)) > 0 {
			best = m
		}
	}
	if best.ID == 0 {
		return credit{}, false
	}
	c := d.credit(creditCart, k.ShopID, k.ID, best, byMail)
	c.PlacedAt, c.Currency, c.Revenue, c.Counted = k.ClosedAt, k.Currency, k.Total, 1
	return c, true
}

// cartOrdered is what a cart was closed by that became an order.
const cartOrdered = "ordered"
