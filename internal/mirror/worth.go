package mirror

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// CodeUse is a code, in small letters, that an order used.
type CodeUse struct {
	ContactID int64 // whose order it is
	ShopID    int64
	OrderID   string
	Key       string
}

// CodeUses lists the codes that orders of the contacts used.
func (m *Mirror) CodeUses(ctx context.Context, q store.Queryer, contactIDs []int64) (out []CodeUse, err error) {
	if len(contactIDs) == 0 {
		return nil, nil
	}
	err = read(ctx, q, `SELECT o.contact_id, c.shop_id, c.order_id, c.code_key FROM orders o JOIN order_coupons c ON c.shop_id=o.shop_id AND c.order_id=o.id
 WHERE o.contact_id IN (`+idList(contactIDs)+") AND o.gone_at=0", nil, func(r *sqlx.Rows) error {
		var u CodeUse
		err := r.Scan(&u.ContactID, &u.ShopID, &u.OrderID, &u.Key)
		out = append(out, u)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading codes used: %w", err)
	}
	return out, nil
}

// CartOrder says of a cart that became one or more orders of a contact whether any of them counts as a sale.
type CartOrder struct {
	ContactID int64
	crm.Ref   // of the cart
	ShopID    int64
	Sale      bool
}

// CartOrders lists the carts that orders of the contacts name.
func (m *Mirror) CartOrders(ctx context.Context, q store.Queryer, contactIDs []int64) (out []CartOrder, err error) {
	if len(contactIDs) == 0 {
		return nil, nil
	}
	err = read(ctx, q, `SELECT contact_id, shop_id, cart_id, MAX(CASE WHEN gone_at=0 THEN counts_as_sale ELSE 0 END) FROM orders
 WHERE contact_id IN (`+idList(contactIDs)+") AND cart_id<>'' GROUP BY contact_id, shop_id, cart_id", nil, func(r *sqlx.Rows) error {
		c := CartOrder{Ref: crm.Ref{Kind: crm.KindCart}}
		err := r.Scan(&c.ContactID, &c.ShopID, &c.ID, &c.Sale)
		out = append(out, c)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading carts that were ordered: %w", err)
	}
	return out, nil
}
