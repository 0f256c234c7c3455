package rule

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/relance/relance/internal/crm"
)

// Sales says which orders are looked at. An order is, when it fulfils everything that is given; without status those that
// count as a sale.
type Sales struct {
	Coupon List `yaml:"coupon,omitempty"` // one of these codes was used; capitals do not matter
	Shop   List `yaml:"shop,omitempty"`   // by the shop's name
	Status List `yaml:"status,omitempty"` // orders in one of these states, whether they count as a sale or not
}

// sales is a compiled Sales with the goods that an order has to have.
type sales struct {
	goods                  goods
	coupons, shops, states []string
}

// statuses are the states that an order may have.
func statuses() []string {
	return []string{
		crm.StateDraft, crm.StatePending, crm.StateFailed, crm.StateOnHold, crm.StateAccepted, crm.StateShipped, crm.StateCompleted,
		crm.StateCancelled, crm.StateRefunded, crm.StateTrash, crm.StateReplaced, crm.StateOther,
	}
}

func (c *compiler) sales(path string, w Sales, g Goods) sales {
	c.noneEmpty(path, named{"coupon", w.Coupon}, named{"shop", w.Shop}, named{"status", w.Status})
	for i, s := range w.Status {
		if s == "" || slices.Contains(statuses(), s) {
			continue
		}
		at := path + ".status"
		if len(w.Status) > 1 {
			at = fmt.Sprintf("%s[%d]", at, i)
		}
		c.fail(at, fmt.Sprintf("%q is no status of an order", s), "one of "+strings.Join(statuses(), ", ")+" (the shop's own words are mapped to these)")
	}
	return sales{goods: c.goods(path, g), coupons: w.Coupon, shops: w.Shop, states: w.Status}
}

// takes tells whether the order is looked at, whatever it holds.
func (s *sales) takes(o *crm.ProfileOrder) bool {
	if s.states == nil {
		if !o.CountsAsSale {
			return false
		}
	} else if !slices.Contains(s.states, o.State) {
		return false
	}
	if s.shops != nil && !containsFold(s.shops, o.Shop) {
		return false
	}
	return s.coupons == nil || slices.ContainsFunc(o.Coupons, func(code string) bool { return containsFold(s.coupons, code) })
}

func (s *sales) in(o *crm.ProfileOrder) bool { return s.takes(o) && s.goods.in(o) }

func (s *sales) needs() crm.Needs {
	return crm.Needs{Orders: true, Lines: !s.goods.every(), Coupons: s.coupons != nil}
}

func (s *sales) String() string {
	out := s.goods.String()
	if s.coupons != nil {
		out += " using coupon " + strings.Join(s.coupons, " or ")
	}
	if s.shops != nil {
		out += " in shop " + strings.Join(s.shops, " or ")
	}
	if s.states != nil {
		out += " being " + strings.Join(s.states, " or ")
	}
	return out
}

// purchase names what orders share that are one purchase.
type purchase struct {
	shop int64
	id   string
	// of windows of the calendar, the end of the period: what lies in another one counts there
	to crm.Instant
}

func purchaseOf(o *crm.ProfileOrder) purchase {
	return purchase{shop: o.ShopID, id: cmp.Or(o.Purchase, o.ID)}
}

// shared tells that the order stands for another's purchase.
func shared(o *crm.ProfileOrder) bool { return o.Purchase != "" && o.Purchase != o.ID }

// once makes the orders of one purchase count as one, dated when the first of them was placed. What they add up to
// stays when keep is set, and leaves with the first.
func (w window) once(p *crm.Profile, fs []dated, keep bool) []dated {
	first := make(map[purchase]crm.Instant, len(fs)) // → when it ceases to count
	out := fs[:0]
	for _, f := range fs {
		key := purchaseOf(&p.Orders[f.order])
		if w.in.name != "" {
			key.to = f.to
		}
		if to, again := first[key]; again && key.id != "" {
			if f.k, f.to = 0, to; !keep || f.from >= f.to {
				continue
			}
		} else {
			first[key] = f.to
		}
		out = append(out, f)
	}
	return out
}

// purchases are all of them that can ever count, oldest first, appended to fs.
func (s *sales) purchases(p *crm.Profile, w window, fs []dated) tally {
	v, several := w.of(p), false
	for i := range p.Orders {
		o := &p.Orders[i]
		if !s.in(o) {
			continue
		}
		if from, to := v.span(o.PlacedAt); from < to {
			fs = append(fs, dated{at: o.PlacedAt, from: from, to: to, n: 1, order: int32(i)})
			several = several || shared(o)
		}
	}
	sortDated(fs)
	if several {
		fs = w.once(p, fs, false)
	}
	return tally{facts: fs}
}
