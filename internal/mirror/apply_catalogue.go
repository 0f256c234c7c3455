package mirror

import (
	"fmt"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/relance/relance/internal/store"
)

// writeCatalogue writes the products' categories and notes whose lines resolve otherwise from now on. (The rows of
// products and categories themselves are written by writeRecords.)
func (a *applying) writeCatalogue() error {
	if err := a.writeProductCategories(); err != nil {
		return fmt.Errorf("writing product categories: %w", err)
	}
	return nil
}

func (a *applying) writeProductCategories() error {
	var ids []string
	for _, r := range a.changed[products] {
		if r.found && !r.gone {
			ids = append(ids, r.ref.ID)
		}
	}
	have := map[string][]string{}
	if err := readIn(a.ctx, a.tx, "SELECT product_id, category_id FROM product_categories WHERE shop_id=? AND product_id IN (%)", []any{a.b.ShopID}, ids,
		func(r *sqlx.Rows) error {
			var product, id string
			err := r.Scan(&product, &id)
			have[product] = append(have[product], id)
			return err
		}); err != nil {
		return err
	}
	var replaced []string
	var rows [][]any
	for _, r := range a.changed[products] {
		if r.gone { // its last known categories stay
			continue
		}
		slices.Sort(have[r.ref.ID])
		if slices.Equal(have[r.ref.ID], r.categories) {
			continue
		}
		a.recategorised = append(a.recategorised, r.ref.ID)
		if r.found {
			replaced = append(replaced, r.ref.ID)
		}
		for _, c := range r.categories {
			rows = append(rows, []any{a.b.ShopID, r.ref.ID, c})
		}
	}
	if err := execIn(a.ctx, a.tx, "DELETE FROM product_categories WHERE shop_id=? AND product_id IN (%)", []any{a.b.ShopID}, replaced); err != nil {
		return err
	}
	return a.tx.Insert(a.ctx, "product_categories", []string{"shop_id", "product_id", "category_id"}, rows)
}

// followUp marks the contacts whose lines now resolve to other categories: of products put elsewhere, and of products in
// or below a category that moved or was renamed in its slug.
func (a *applying) followUp() error {
	ids := a.recategorised
	if moved := a.movedCategories(); len(moved) > 0 {
		below, err := a.below(moved)
		if err != nil {
			return fmt.Errorf("finding a category's products: %w", err)
		}
		ids = append(ids, below...)
	}
	slices.Sort(ids)
	for chunk := range slices.Chunk(slices.Compact(ids), 500) {
		for _, query := range []string{
			"SELECT DISTINCT p.contact_id FROM order_lines l JOIN orders p ON p.shop_id=l.shop_id AND p.id=l.order_id WHERE l.shop_id=? AND l.product_id IN (?)",
			"SELECT DISTINCT p.contact_id FROM cart_lines l JOIN carts p ON p.shop_id=l.shop_id AND p.id=l.cart_id WHERE l.shop_id=? AND l.product_id IN (?)",
		} {
			text, args, err := store.In(query, a.b.ShopID, chunk)
			if err != nil {
				return err
			}
			if err := fanOut(a.ctx, a.tx, a.now(), text, args...); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *applying) movedCategories() map[string]bool {
	moved := map[string]bool{}
	for _, r := range a.changed[categoriesFacet] {
		if !r.gone && (!r.found || r.vals[0] != r.extra[0] || r.vals[2] != r.extra[1]) {
			moved[r.ref.ID] = true
		}
	}
	return moved
}

// below lists the products in the categories or in any below them.
func (a *applying) below(moved map[string]bool) ([]string, error) {
	tree, err := categories(a.ctx, a.tx, a.b.ShopID)
	if err != nil {
		return nil, err
	}
	var in []string
	for id := range tree {
		for at, steps := id, 0; at != "" && steps <= len(tree); at, steps = tree[at].parent, steps+1 {
			if moved[at] {
				in = append(in, id)
				break
			}
		}
	}
	var ids []string
	err = readIn(a.ctx, a.tx, "SELECT product_id FROM product_categories WHERE shop_id=? AND category_id IN (%)", []any{a.b.ShopID}, in, func(r *sqlx.Rows) error {
		var id string
		err := r.Scan(&id)
		ids = append(ids, id)
		return err
	})
	return ids, err
}
