package mirror

import (
	"context"
	"maps"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// category is a node of a shop's tree.
type category struct {
	parent, slug string
}

// catalogue resolves the lines' products: address, picture, brand, and the ids and slugs of their categories with all ancestors.
// What was deleted from the catalogue is still here as last known.
func (l *loading) catalogue(ctx context.Context) error {
	byShop := map[int64]map[string][]*crm.ProfileLine{}
	for _, p := range l.lines {
		if p.line.ProductID == "" {
			continue
		}
		if byShop[p.shop] == nil {
			byShop[p.shop] = map[string][]*crm.ProfileLine{}
		}
		byShop[p.shop][p.line.ProductID] = append(byShop[p.shop][p.line.ProductID], p.line)
	}
	for shop, lines := range byShop {
		if err := l.resolve(ctx, shop, lines); err != nil {
			return err
		}
	}
	return nil
}

func (l *loading) resolve(ctx context.Context, shop int64, lines map[string][]*crm.ProfileLine) error {
	ids := make([]string, 0, len(lines))
	for id := range lines {
		ids = append(ids, id)
	}
	tree, err := categories(ctx, l.q, shop)
	if err != nil {
		return err
	}
	names := map[string][]string{}
	for chunk := range slices.Chunk(ids, 1000) {
		if err := l.products(ctx, shop, chunk, lines); err != nil {
			return err
		}
		text, args, err := store.In("SELECT product_id, category_id FROM product_categories WHERE shop_id=? AND product_id IN (?)", shop, chunk)
		if err != nil {
			return err
		}
		if err := read(ctx, l.q, text, args, func(r *sqlx.Rows) error {
			var product, id string
			if err := r.Scan(&product, &id); err != nil {
				return err
			}
			names[product] = append(names[product], withAncestors(tree, id)...)
			return nil
		}); err != nil {
			return err
		}
	}
	for product, list := range names {
		slices.Sort(list)
		list = slices.Compact(list)
		for _, line := range lines[product] {
			line.Categories = list
		}
	}
	return nil
}

func (l *loading) products(ctx context.Context, shop int64, ids []string, lines map[string][]*crm.ProfileLine) error {
	text, args, err := store.In("SELECT id, url, image_url, brand, parent_id FROM products WHERE shop_id=? AND id IN (?)", shop, ids)
	if err != nil {
		return err
	}
	unbranded := map[string][]*crm.ProfileLine{} // lines of variations, by their parent
	if err := read(ctx, l.q, text, args, func(r *sqlx.Rows) error {
		var id, url, image, brand, parent string
		if err := r.Scan(&id, &url, &image, &brand, &parent); err != nil {
			return err
		}
		for _, line := range lines[id] {
			line.URL, line.Brand = url, brand
			if line.ImageURL == "" {
				line.ImageURL = image
			}
		}
		if brand == "" && parent != "" && parent != "0" {
			unbranded[parent] = append(unbranded[parent], lines[id]...)
		}
		return nil
	}); err != nil || len(unbranded) == 0 {
		return err
	}
	return l.parentBrands(ctx, shop, unbranded)
}

// parentBrands gives variations the brand of their parent.
func (l *loading) parentBrands(ctx context.Context, shop int64, lines map[string][]*crm.ProfileLine) error {
	text, args, err := store.In("SELECT id, brand FROM products WHERE shop_id=? AND id IN (?)", shop, slices.Collect(maps.Keys(lines)))
	if err != nil {
		return err
	}
	return read(ctx, l.q, text, args, func(r *sqlx.Rows) error {
		var id, brand string
		err := r.Scan(&id, &brand)
		for _, line := range lines[id] {
			line.Brand = brand
		}
		return err
	})
}

func categories(ctx context.Context, q store.Queryer, shop int64) (map[string]category, error) {
	tree := map[string]category{}
	err := read(ctx, q, "SELECT id, parent_id, slug FROM categories WHERE shop_id=?", []any{shop}, func(r *sqlx.Rows) error {
		var id string
		var c category
		err := r.Scan(&id, &c.parent, &c.slug)
		tree[id] = c
		return err
	})
	return tree, err
}

// withAncestors lists id and slug of a category and of every category above it. A shop's tree may hold a ring: it ends
// where it closes.
func withAncestors(tree map[string]category, id string) []string {
	var out []string
	for id != "" && id != "0" && !slices.Contains(out, id) {
		out = append(out, id)
		c := tree[id]
		if c.slug != "" && c.slug != id {
			out = append(out, c.slug)
		}
		id = c.parent
	}
	return out
}
