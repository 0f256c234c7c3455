package mirror

import (
	"cmp"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/relance/relance/internal/crm"
)

// momentColumns are when an order first was paid, shipped, cancelled, refunded, in the order of crm.OrderMoments. They
// are no content: once known they stay, whatever the shop says later, so that nobody is told twice of the same thing.
func momentColumns() []string {
	return []string{"became_paid_at", "became_shipped_at", "became_cancelled_at", "became_refunded_at"}
}

// becameWhat fills in the derived columns of the orders to be written: what was refunded, and when they first were
// something.
func (a *applying) becameWhat(given map[string]givenBack) error {
	stored := map[string]crm.OrderMoments{}
	var known []string
	for _, r := range a.changed[orders] {
		if r.found {
			known = append(known, r.ref.ID)
		}
	}
	if err := readIn(a.ctx, a.tx, "SELECT id, "+strings.Join(momentColumns(), ", ")+" FROM orders WHERE shop_id=? AND id IN (%)", []any{a.b.ShopID}, known,
		func(r *sqlx.Rows) error {
			var id string
			var m crm.OrderMoments
			err := r.Scan(&id, &m.Paid, &m.Shipped, &m.Cancelled, &m.Refunded)
			stored[id] = m
			return err
		}); err != nil {
		return err
	}
	for _, r := range a.changed[orders] {
		if r.gone {
			continue
		}
		g, m := given[r.ref.ID], stored[r.ref.ID]
		n := a.moments(r, g)
		r.derived = []any{
			g.sum, int64(cmp.Or(m.Paid, n.Paid)), int64(cmp.Or(m.Shipped, n.Shipped)), int64(cmp.Or(m.Cancelled, n.Cancelled)), int64(cmp.Or(m.Refunded, n.Refunded)),
		}
	}
	return nil
}

// moments is what this read alone says. A state without an instant of the platform's was reached when the shop last
// changed the order, at the latest when it was read.
func (a *applying) moments(r *record, g givenBack) crm.OrderMoments {
	at := func(place int) crm.Instant { n, _ := r.vals[place].(int64); return crm.Instant(n) }
	state, _ := r.vals[orderState].(string)
	seen := a.now()
	if modified := at(orderModified); modified > 0 {
		seen = min(seen, modified)
	}
	m := crm.OrderMoments{Paid: at(orderPaid), Shipped: at(orderCompleted), Refunded: g.first}
	if m.Paid == 0 && r.paidBySale && at(orderSale) > 0 {
		m.Paid = seen
	}
	switch state {
	case crm.StateShipped, crm.StateCompleted:
		m.Shipped = cmp.Or(m.Shipped, seen)
	case crm.StateCancelled:
		m.Cancelled = cmp.Or(at(orderCancelled), seen)
	case crm.StateRefunded:
		m.Refunded = cmp.Or(m.Refunded, seen)
	}
	return m
}
