package mirror

import (
	"fmt"
	"slices"

	"github.com/jmoiron/sqlx"
)

// writeCatalogue writes the products' categories and notes whose lines resolve otherwise from now on. (The rows of
// products and categories themselves are written by writeRecords.)
func (a *applying) writeCatalogue() error {
	if err := a.writeProductCategories(); err != nil {
		return fmt.Errorf("writing product categories: %w", err)
	}
	if err := a.noteRebranded(); err != nil {
		return fmt.Errorf("finding what a brand is of: %w", err)
	}
	return nil
}

// noteRebranded notes the products whose brand is another from now on, and their variations, which have it from them.
func (a *applying) noteRebranded() error {
	var ids []string
	for _, r := range a.changed[products] {
		brand, parent := r.vals[productBrand], r.vals[productParent]
		switch {
		case r.gone: // its last known brand stays
		case brand != r.extra[0]:
			ids = append(ids, r.ref.ID)
		case brand == "" && parent != r.extra[1]:
			a.recategorised = append(a.recategorised, r.ref.ID)
		}
	}
	a.recategorised = append(a.recategorised, ids...)
	return readIn(a.ctx, a.tx, "SELECT id FROM products WHERE shop_id=? AND parent_id IN (%)", []any{a.b.ShopID}, ids, func(r *sqlx.Rows) error {
		var id string
		err := r.Scan(&id)
		a.recategorised = append(a.recategorised, id)
		return err
	})
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

// followUp queues the marks of the contacts whose lines now resolve to other categories or brands: of products put elsewhere, and of
// products in or below a category that moved or was renamed in its slug. A best seller has more buyers than a page's
// transaction has time for: FanOutStep marks them.
func (a *applying) followUp() error {
	products, err := boughtAmong(a.ctx, a.tx, a.b.ShopID, a.recategorised)
	if err != nil {
		return err
	}
	var in []string
	if moved := a.movedCategories(); len(moved) > 0 {
		if in, err = a.below(moved); err != nil {
			return fmt.Errorf("finding what is below a category: %w", err)
		}
	}
	for kind, ids := range map[string][]string{fanProduct: products, fanCategory: in} {
		if err := startFanOuts(a.ctx, a.tx, a.b.ShopID, kind, ids, a.now(), a.now()); err != nil {
			return err
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

// below lists the categories and all below them, if anybody ever bought anything: while a shop's catalogue is first read
// there is nobody to mark.
func (a *applying) below(moved map[string]bool) ([]string, error) {
	var bought bool
	if err := a.tx.GetContext(a.ctx, &bought, "SELECT EXISTS(SELECT 1 FROM order_lines WHERE shop_id=?) OR EXISTS(SELECT 1 FROM cart_lines WHERE shop_id=?)",
		a.b.ShopID, a.b.ShopID); err != nil || !bought {
		return nil, err
	}
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
	slices.Sort(in)
	return in, nil
}
