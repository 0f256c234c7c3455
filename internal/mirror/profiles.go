package mirror

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// recordKey names a record over all shops.
type recordKey struct {
	shop int64
	id   string
}

// loading fills the profiles of one batch.
type loading struct {
	q        store.Queryer
	in       string // the ids, for IN (…)
	profiles map[int64]*crm.Profile
	lines    []pendingLine           // whose products are not resolved yet
	shops    map[int64]shopOfProfile // nil: not read yet
}

// shopOfProfile is what profiles say of a shop.
type shopOfProfile struct{ name, basis string }

// pendingLine is a line in its final place (the slices no longer grow when it is noted).
type pendingLine struct {
	shop int64
	line *crm.ProfileLine
}

// Profiles loads contacts with what is needed, in the order of ids (missing ones are left out), in a few queries
// for the whole batch (≤ 500 ids). Orders and carts are oldest first; carts include closed ones.
func (m *Mirror) Profiles(ctx context.Context, q store.Queryer, ids []int64, n crm.Needs) ([]crm.Profile, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	l := &loading{q: q, in: "(" + idList(ids) + ")", profiles: make(map[int64]*crm.Profile, len(ids))}
	if err := l.load(ctx, n); err != nil {
		return nil, fmt.Errorf("loading profiles: %w", err)
	}
	if n.Account && m.suppressions != nil {
		reasons, err := m.suppressions(ctx, q, ids)
		if err != nil {
			return nil, fmt.Errorf("loading profiles: %w", err)
		}
		for id, p := range l.profiles {
			p.Contact.Suppressed = reasons[id]
		}
	}
	if err := m.addMails(ctx, q, ids, l.profiles, n.Events); err != nil {
		return nil, err
	}
	out := make([]crm.Profile, 0, len(ids))
	for _, id := range ids {
		if p := l.profiles[id]; p != nil {
			out = append(out, *p)
		}
	}
	return out, nil
}

func (l *loading) load(ctx context.Context, n crm.Needs) error {
	if err := l.contacts(ctx); err != nil {
		return err
	}
	if n.Consents {
		if err := l.consents(ctx); err != nil {
			return err
		}
	}
	if n.Account {
		if err := l.accounts(ctx); err != nil {
			return err
		}
	}
	if len(n.Events) > 0 {
		if err := l.events(ctx, n.Events); err != nil {
			return err
		}
	}
	if n.Ranks {
		if err := l.thresholds(ctx); err != nil {
			return err
		}
	}
	if n.Orders || n.Lines || n.Source || n.Coupons || n.Moments {
		if err := l.orders(ctx, n); err != nil {
			return err
		}
	}
	if n.Carts {
		if err := l.carts(ctx); err != nil {
			return err
		}
	}
	if err := l.known(ctx); err != nil {
		return err
	}
	return l.catalogue(ctx)
}

func (l *loading) contacts(ctx context.Context) error {
	return read(ctx, l.q, selectContacts+"c.id IN "+l.in, nil, func(r *sqlx.Rows) error {
		p := &crm.Profile{}
		if err := scanContact(r, &p.Contact); err != nil {
			return err
		}
		l.profiles[p.Contact.ID] = p
		return nil
	})
}

func (l *loading) consents(ctx context.Context) error {
	if err := read(ctx, l.q, "SELECT contact_id, topic, channel, state, basis, source_at, expires_at FROM consent_state WHERE contact_id IN "+l.in+
		" ORDER BY contact_id, topic, channel", nil, func(r *sqlx.Rows) error {
		var id int64
		var c crm.ConsentState
		if err := r.Scan(&id, &c.Topic, &c.Channel, &c.State, &c.Basis, &c.SourceAt, &c.ExpiresAt); err != nil {
			return err
		}
		if p := l.profiles[id]; p != nil {
			p.Consents = append(p.Consents, c)
		}
		return nil
	}); err != nil {
		return err
	}
	return l.cautious(ctx)
}

func (l *loading) orders(ctx context.Context, n crm.Needs) error {
	if err := l.readShops(ctx); err != nil {
		return err
	}
	place := map[recordKey]orderPlace{}
	var id int64
	var o crm.ProfileOrder
	var coupons, attribution sql.RawBytes
	columns := "contact_id, shop_id, id, number, state, counts_as_sale, currency, total, shipping, discount, refunded, placed_at, paid_at, completed_at, cancelled_at, purchase, base_currency, base_total"
	dest := []any{
		&id, &o.ShopID, &o.ID, &o.Number, &o.State, &o.CountsAsSale, &o.Currency, &o.Total, &o.Shipping, &o.Discount, &o.Refunded,
		&o.PlacedAt, &o.PaidAt, &o.CompletedAt, &o.CancelledAt, &o.Purchase, &o.BaseCurrency, &o.BaseTotal,
	}
	if n.Coupons {
		columns, dest = columns+", coupons", append(dest, &coupons)
	}
	if n.Moments {
		columns += ", " + strings.Join(momentColumns(), ", ")
		dest = append(dest, &o.Moments.Paid, &o.Moments.Shipped, &o.Moments.Cancelled, &o.Moments.Refunded)
	}
	if n.Source {
		columns, dest = columns+", via, attribution", append(dest, &o.Via, &attribution)
	}
	err := read(ctx, l.q, "SELECT "+columns+" FROM orders WHERE contact_id IN "+l.in+" AND gone_at=0 ORDER BY contact_id, placed_at, shop_id, id", nil, func(r *sqlx.Rows) error {
		o = crm.ProfileOrder{}
		if err := r.Scan(dest...); err != nil {
			return err
		}
		o.Purchase = cmp.Or(o.Purchase, o.ID)
		o.Shop = l.shops[o.ShopID].name
		if err := decoded(coupons, &o.Coupons); err != nil {
			return err
		}
		if err := sourceOf(attribution, &o.Source); err != nil {
			return err
		}
		if p := l.profiles[id]; p != nil {
			place[recordKey{o.ShopID, o.ID}] = orderPlace{id, len(p.Orders)}
			p.Orders = append(p.Orders, o)
		}
		return nil
	})
	if err != nil || !n.Lines {
		return err
	}
	return l.orderLines(ctx, place)
}

type orderPlace struct {
	contact int64
	index   int
}

func (l *loading) orderLines(ctx context.Context, place map[recordKey]orderPlace) error {
	type lineKey struct {
		order recordKey
		line  string
	}
	given := map[lineKey]int64{}
	if err := read(ctx, l.q, `SELECT r.shop_id, r.order_id, rl.line_id, SUM(rl.quantity) FROM orders o
 JOIN refunds r ON r.shop_id=o.shop_id AND r.order_id=o.id AND r.gone_at=0 JOIN refund_lines rl ON rl.shop_id=r.shop_id AND rl.refund_id=r.id
 WHERE o.contact_id IN `+l.in+" AND o.gone_at=0 GROUP BY r.shop_id, r.order_id, rl.line_id", nil, func(r *sqlx.Rows) error {
		var k lineKey
		var n int64
		err := r.Scan(&k.order.shop, &k.order.id, &k.line, &n)
		given[k] = n
		return err
	}); err != nil {
		return err
	}
	// Ordered by order and line id, so that the same rows give the same profile on every engine.
	err := read(ctx, l.q, `SELECT l.shop_id, l.order_id, l.line_id, l.product_id, l.sku, l.name, l.quantity, l.total, l.image_url FROM orders o
 JOIN order_lines l ON l.shop_id=o.shop_id AND l.order_id=o.id WHERE o.contact_id IN `+l.in+" AND o.gone_at=0 ORDER BY l.shop_id, l.order_id, l.line_id", nil,
		func(r *sqlx.Rows) error {
			var k lineKey
			var line crm.ProfileLine
			if err := r.Scan(&k.order.shop, &k.order.id, &k.line, &line.ProductID, &line.SKU, &line.Name, &line.Quantity, &line.Total, &line.ImageURL); err != nil {
				return err
			}
			line.Refunded = given[k]
			if at, ok := place[k.order]; ok {
				o := &l.profiles[at.contact].Orders[at.index]
				o.Lines = append(o.Lines, line)
			}
			return nil
		})
	if err != nil {
		return err
	}
	for k, at := range place {
		lines := l.profiles[at.contact].Orders[at.index].Lines
		for i := range lines {
			l.lines = append(l.lines, pendingLine{k.shop, &lines[i]})
		}
	}
	return nil
}

func (l *loading) carts(ctx context.Context) error {
	if err := l.readShops(ctx); err != nil {
		return err
	}
	place := map[recordKey]orderPlace{}
	if err := read(ctx, l.q, "SELECT contact_id, shop_id, id, currency, total, created_at, active_at, closed_at, closed_by, recover_url FROM carts WHERE contact_id IN "+l.in+
		" ORDER BY contact_id, active_at, shop_id, id", nil, func(r *sqlx.Rows) error {
		var id int64
		var c crm.ProfileCart
		if err := r.Scan(&id, &c.ShopID, &c.ID, &c.Currency, &c.Total, &c.CreatedAt, &c.ActiveAt, &c.ClosedAt, &c.ClosedBy, &c.RecoverURL); err != nil {
			return err
		}
		c.Shop = l.shops[c.ShopID].name
		if p := l.profiles[id]; p != nil {
			place[recordKey{c.ShopID, c.ID}] = orderPlace{id, len(p.Carts)}
			p.Carts = append(p.Carts, c)
		}
		return nil
	}); err != nil || len(place) == 0 {
		return err
	}
	if err := read(ctx, l.q, `SELECT l.shop_id, l.cart_id, l.product_id, l.sku, l.name, l.quantity, l.total, l.image_url FROM carts c
 JOIN cart_lines l ON l.shop_id=c.shop_id AND l.cart_id=c.id WHERE c.contact_id IN `+l.in+" ORDER BY l.shop_id, l.cart_id, l.line_id", nil, func(r *sqlx.Rows) error {
		var k recordKey
		var line crm.ProfileLine
		if err := r.Scan(&k.shop, &k.id, &line.ProductID, &line.SKU, &line.Name, &line.Quantity, &line.Total, &line.ImageURL); err != nil {
			return err
		}
		if at, ok := place[k]; ok {
			c := &l.profiles[at.contact].Carts[at.index]
			c.Lines = append(c.Lines, line)
		}
		return nil
	}); err != nil {
		return err
	}
	for k, at := range place {
		lines := l.profiles[at.contact].Carts[at.index].Lines
		for i := range lines {
			l.lines = append(l.lines, pendingLine{k.shop, &lines[i]})
		}
	}
	return nil
}
