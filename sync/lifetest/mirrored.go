package lifetest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// mirrored is what the mirror holds of a shop, in the texts of Truth.
func mirrored(ctx context.Context, q store.Queryer, shopID int64) (map[crm.Ref]string, error) {
	out := map[crm.Ref]string{}
	for _, read := range []func(context.Context, store.Queryer, int64, map[crm.Ref]string) error{
		readCustomers, readOrders, readRefunds, readCarts, readProducts, readCategories,
	} {
		if err := read(ctx, q, shopID, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func readCustomers(ctx context.Context, q store.Queryer, shopID int64, out map[crm.Ref]string) error {
	var rows []struct {
		ID, Email, First, Last, Consent string
	}
	err := q.SelectContext(ctx, &rows, `SELECT c.id, c.email, c.first_name AS first, c.last_name AS last, COALESCE(o.value,'') AS consent FROM customers c
 LEFT JOIN optins o ON o.shop_id=c.shop_id AND o.kind='customer' AND o.id=c.id AND o.topic='marketing' AND o.channel='email' AND o.gone_at=0
 WHERE c.shop_id=? AND c.gone_at=0`, shopID)
	for _, r := range rows {
		out[crm.Ref{Kind: crm.KindCustomer, ID: r.ID}] = CustomerText(r.Email, r.First, r.Last, r.Consent)
	}
	return err
}

func readOrders(ctx context.Context, q store.Queryer, shopID int64, out map[crm.Ref]string) error {
	var rows []struct {
		ID, State, Currency, Customer string
		Total                         int64
		Lines                         int
	}
	err := q.SelectContext(ctx, &rows, `SELECT o.id, o.state, o.currency, o.customer_id AS customer, o.total,
 (SELECT COUNT(*) FROM order_lines l WHERE l.shop_id=o.shop_id AND l.order_id=o.id) AS `+"`lines`"+` FROM orders o WHERE o.shop_id=? AND o.gone_at=0`, shopID)
	for _, r := range rows {
		out[crm.Ref{Kind: crm.KindOrder, ID: r.ID}] = OrderText(r.State, r.Currency, r.Total, r.Customer, r.Lines)
	}
	return err
}

func readRefunds(ctx context.Context, q store.Queryer, shopID int64, out map[crm.Ref]string) error {
	var rows []struct {
		ID, Parent, Currency string
		Amount               int64
	}
	err := q.SelectContext(ctx, &rows, "SELECT id, order_id AS parent, currency, amount FROM refunds WHERE shop_id=? AND gone_at=0", shopID)
	for _, r := range rows {
		out[crm.Ref{Kind: crm.KindRefund, ID: r.ID}] = RefundText(r.Parent, r.Currency, r.Amount)
	}
	return err
}

func readCarts(ctx context.Context, q store.Queryer, shopID int64, out map[crm.Ref]string) error {
	var rows []struct {
		ID, Customer, Email string
		Items               int64
	}
	err := q.SelectContext(ctx, &rows, `SELECT c.id, c.customer_id AS customer, c.email,
 COALESCE((SELECT SUM(l.quantity) FROM cart_lines l WHERE l.shop_id=c.shop_id AND l.cart_id=c.id),0) AS items
 FROM carts c WHERE c.shop_id=? AND c.gone_at=0 AND c.closed_at=0 AND c.closed_by=''`, shopID)
	for _, r := range rows {
		out[crm.Ref{Kind: crm.KindCart, ID: r.ID}] = CartText(r.Customer, r.Email, r.Items)
	}
	return err
}

// readProducts takes the stock from the public view: it may have been read apart from the product.
func readProducts(ctx context.Context, q store.Queryer, shopID int64, out map[crm.Ref]string) error {
	var rows []struct {
		ID, Name string
		Price    int64
		InStock  int64 `db:"in_stock"`
	}
	err := q.SelectContext(ctx, &rows, `SELECT p.id, p.name, p.price, v.in_stock FROM products p JOIN shops s ON s.id=p.shop_id
 JOIN mirror_v1_products v ON v.shop=s.name AND v.id=p.id WHERE p.shop_id=? AND p.gone_at=0`, shopID)
	for _, r := range rows {
		out[crm.Ref{Kind: crm.KindProduct, ID: r.ID}] = ProductText(r.Name, r.Price, r.InStock != 0)
	}
	return err
}

func readCategories(ctx context.Context, q store.Queryer, shopID int64, out map[crm.Ref]string) error {
	var rows []struct{ ID, Name, Parent string }
	err := q.SelectContext(ctx, &rows, "SELECT id, name, parent_id AS parent FROM categories WHERE shop_id=? AND gone_at=0", shopID)
	for _, r := range rows {
		out[crm.Ref{Kind: crm.KindCategory, ID: r.ID}] = CategoryText(r.Name, r.Parent)
	}
	return err
}

// differences names every record that is not the same on both sides.
func differences(truth, mirror map[crm.Ref]string, spoiled, quarantined map[crm.Ref]bool) []string {
	all := maps.Clone(truth)
	maps.Copy(all, mirror)
	for ref := range quarantined {
		all[ref] = ""
	}
	refs := slices.SortedFunc(maps.Keys(all), func(a, b crm.Ref) int {
		return strings.Compare(string(a.Kind)+a.ID, string(b.Kind)+b.ID)
	})
	var out []string
	for _, ref := range refs {
		switch {
		case quarantined[ref] && !spoiled[ref]:
			out = append(out, fmt.Sprintf("%s %s is in quarantine; the shop has %q", ref.Kind, ref.ID, truth[ref]))
		case truth[ref] != mirror[ref] && !spoiled[ref]:
			out = append(out, fmt.Sprintf("%s %s:\n  shop   %q\n  mirror %q", ref.Kind, ref.ID, truth[ref], mirror[ref]))
		}
	}
	return out
}
