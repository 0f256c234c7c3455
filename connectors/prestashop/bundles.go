package prestashop

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
)

// bundles puts with each row the rows that it takes its meaning from, asking once per resource for a whole page.
func (s *Source) bundles(ctx context.Context, path string, rows []json.RawMessage, page *connectors.Page) ([]bundle, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	switch path {
	case "customers":
		return s.customerBundles(ctx, rows)
	case addressTable().path:
		return s.ownersOf(ctx, rows, page)
	case "orders":
		return s.orderBundles(ctx, rows)
	case slipTable().path:
		return s.slipBundles(ctx, rows)
	case cartTable().path:
		return s.cartBundles(ctx, rows)
	case "products":
		return s.productBundles(ctx, rows)
	}
	return each(rows, func(b *bundle, raw json.RawMessage) { b.Category = raw }), nil
}

func each(rows []json.RawMessage, put func(*bundle, json.RawMessage)) []bundle {
	out := make([]bundle, len(rows))
	for i, raw := range rows {
		out[i].main = raw
		put(&out[i], raw)
	}
	return out
}

// fields gives the values of a field of the rows, without repetitions.
func fields(rows []json.RawMessage, names ...string) []string {
	var out []string
	for _, raw := range rows {
		for _, name := range names {
			if v, _ := field(raw, name); v != "" && v != "0" {
				out = append(out, v)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// related reads rows that others refer to, by the value of a field. Without the right to see them there are none.
func (s *Source) related(ctx context.Context, res resource, by string, ids []string) (map[string][]json.RawMessage, error) {
	out := map[string][]json.RawMessage{}
	g, err := s.client.byIDs(ctx, res, by, ids)
	if err != nil && !forbidden(err) {
		return nil, err
	}
	for _, raw := range g.rows {
		v, _ := field(raw, by)
		out[v] = append(out[v], raw)
	}
	return out, nil
}

func first(rows []json.RawMessage) json.RawMessage {
	if len(rows) == 0 {
		return nil
	}
	return rows[0]
}

func (s *Source) customerBundles(ctx context.Context, rows []json.RawMessage) ([]bundle, error) {
	homes, err := s.related(ctx, addressTable(), "id_customer", fields(rows, "id"))
	if err != nil {
		return nil, err
	}
	return each(rows, func(b *bundle, raw json.RawMessage) {
		b.Customer, b.Addresses = raw, homes[textID(raw)]
	}), nil
}

// ownersOf reads the customers of changed addresses; those of brands and suppliers have none. A customer who is gone by
// now is said to be gone.
func (s *Source) ownersOf(ctx context.Context, rows []json.RawMessage, page *connectors.Page) ([]bundle, error) {
	ids := fields(rows, "id_customer")
	g, err := s.client.byIDs(ctx, s.customers(), "id", ids)
	if err != nil {
		return nil, err
	}
	for _, b := range g.bad {
		page.Rejected = append(page.Rejected, b.rejected(feed{Stream: connectors.Stream{Kind: crm.KindCustomer}, res: []resource{s.customers()}}))
	}
	return s.customerBundles(ctx, g.rows)
}

func (s *Source) orderBundles(ctx context.Context, rows []json.RawMessage) ([]bundle, error) {
	people, err := s.related(ctx, s.customers().only("id", "email", "firstname", "lastname"), "id", fields(rows, "id_customer"))
	if err != nil {
		return nil, err
	}
	places, err := s.related(ctx, addressTable().only("id", "id_country", "id_state", "city"), "id", fields(rows, "id_address_invoice", "id_address_delivery"))
	if err != nil {
		return nil, err
	}
	past, err := s.related(ctx, historyTable(), "id_order", fields(rows, "id"))
	if err != nil {
		return nil, err
	}
	used, err := s.coupons(ctx, rows)
	if err != nil {
		return nil, err
	}
	return each(rows, func(b *bundle, raw json.RawMessage) {
		w := decode[wireOrder](raw)
		b.Order, b.Histories, b.Coupons = raw, past[string(w.ID)], used[string(w.ID)]
		b.Customer = first(people[string(w.Customer)])
		if b.Addresses = places[string(w.Invoice)]; len(b.Addresses) == 0 {
			b.Addresses = places[string(w.Delivery)]
		}
	}), nil
}

// coupons gives the codes that orders were made with; of a voucher that is no longer there its name.
func (s *Source) coupons(ctx context.Context, orders []json.RawMessage) (map[string][]string, error) {
	var reduced []string
	for _, raw := range orders {
		w := decode[wireOrder](raw)
		if d, err := decimalOf(either(w.DiscountsTax, w.Discounts)); err == nil && !d.IsZero() {
			reduced = append(reduced, string(w.ID))
		}
	}
	used, err := s.related(ctx, voucherTable(), "id_order", reduced)
	if err != nil {
		return nil, err
	}
	var all []json.RawMessage
	for _, id := range sortedKeys(used) {
		all = append(all, used[id]...)
	}
	rules, err := s.related(ctx, cartRuleTable(), "id", fields(all, "id_cart_rule"))
	if err != nil {
		return nil, err
	}
	out := map[string][]string{}
	for order, rows := range used {
		for _, raw := range rows {
			if gone, _ := field(raw, "deleted"); gone == "1" {
				continue
			}
			rule, _ := field(raw, "id_cart_rule")
			code, _ := field(first(rules[rule]), "code")
			if code == "" {
				code = decode[struct {
					Name translated `json:"name"`
				}](raw).Name.one
			}
			out[order] = append(out[order], code)
		}
	}
	return out, nil
}

func (s *Source) slipBundles(ctx context.Context, rows []json.RawMessage) ([]bundle, error) {
	of, err := s.related(ctx, s.orders().only("id", "id_currency",
		"order_rows[id,product_id,product_attribute_id,product_name,product_reference]"), "id", fields(rows, "id_order"))
	if err != nil {
		return nil, err
	}
	return each(rows, func(b *bundle, raw json.RawMessage) {
		order, _ := field(raw, "id_order")
		b.Slip, b.Order = raw, first(of[order])
	}), nil
}

func (s *Source) cartBundles(ctx context.Context, rows []json.RawMessage) ([]bundle, error) {
	ordered, err := s.ordersOf(ctx, rows)
	if err != nil {
		return nil, err
	}
	var products, variants []string
	for _, raw := range rows {
		if ordered[textID(raw)] != nil {
			continue
		}
		for _, row := range decode[wireCart](raw).Associations.Rows {
			products, variants = append(products, string(row.Product)), append(variants, string(row.Combination))
		}
	}
	sold, err := s.related(ctx, s.products(), "id", unique(products))
	if err != nil {
		return nil, err
	}
	chosen, err := s.related(ctx, combinationTable(), "id", unique(variants))
	if err != nil {
		return nil, err
	}
	words, err := s.optionsOf(ctx, chosen)
	if err != nil {
		return nil, err
	}
	return each(rows, func(b *bundle, raw json.RawMessage) {
		b.Cart, b.Order = raw, first(ordered[textID(raw)])
		if b.Order != nil {
			return
		}
		w := decode[wireCart](raw)
		for _, row := range w.Associations.Rows {
			b.Products = appendNew(b.Products, first(sold[string(row.Product)]))
			c := first(chosen[string(row.Combination)])
			b.Combinations = appendNew(b.Combinations, c)
			for _, o := range optionIDs(c) {
				b.Options = appendNew(b.Options, first(words[o]))
			}
		}
	}), nil
}

func unique(ids []string) []string {
	slices.Sort(ids)
	return slices.Compact(ids)
}

func appendNew(rows []json.RawMessage, raw json.RawMessage) []json.RawMessage {
	if raw == nil || slices.ContainsFunc(rows, func(r json.RawMessage) bool { return textID(r) == textID(raw) }) {
		return rows
	}
	return append(rows, raw)
}

// ordersOf gives the orders that carts became, by cart.
func (s *Source) ordersOf(ctx context.Context, carts []json.RawMessage) (map[string][]json.RawMessage, error) {
	g, err := s.client.byIDs(ctx, s.orders().only("id", "id_cart", "date_add"), "id_cart", fields(carts, "id"))
	if err != nil {
		return nil, err
	}
	out := map[string][]json.RawMessage{}
	for _, raw := range g.rows {
		cart, _ := field(raw, "id_cart")
		out[cart] = append(out[cart], raw)
	}
	for _, b := range g.bad {
		out[b.id] = append(out[b.id], json.RawMessage(`{}`)) // there is an order, though it cannot be shown
	}
	return out, nil
}

// openCarts are those with something in them and without an order.
func (s *Source) openCarts(ctx context.Context, rows []json.RawMessage) ([]json.RawMessage, error) {
	rows = slices.DeleteFunc(slices.Clone(rows), func(raw json.RawMessage) bool { return !hasRows(raw) })
	ordered, err := s.ordersOf(ctx, rows)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(rows, func(raw json.RawMessage) bool { return ordered[textID(raw)] != nil }), nil
}

func hasRows(cart json.RawMessage) bool {
	return len(decode[struct {
		Associations struct {
			Rows list[json.RawMessage] `json:"cart_rows"`
		} `json:"associations"`
	}](cart).Associations.Rows) > 0
}

func (s *Source) productBundles(ctx context.Context, rows []json.RawMessage) ([]bundle, error) {
	variants, err := s.related(ctx, combinationTable(), "id_product", fields(rows, "id"))
	if err != nil {
		return nil, err
	}
	words, err := s.optionsOf(ctx, variants)
	if err != nil {
		return nil, err
	}
	makers, err := s.related(ctx, brandTable(), "id", fields(rows, "id_manufacturer"))
	if err != nil {
		return nil, err
	}
	return each(rows, func(b *bundle, raw json.RawMessage) {
		b.Product, b.Combinations = raw, variants[textID(raw)]
		for _, c := range b.Combinations {
			for _, o := range optionIDs(c) {
				b.Options = appendNew(b.Options, first(words[o]))
			}
		}
		maker, _ := field(raw, "id_manufacturer")
		if m := first(makers[maker]); m != nil {
			b.Brands = []json.RawMessage{m}
		}
	}), nil
}

func optionIDs(combination json.RawMessage) []string {
	var out []string
	for _, o := range decode[wireCombination](combination).Associations.Options {
		out = append(out, string(o.ID))
	}
	return out
}

func (s *Source) optionsOf(ctx context.Context, combinations map[string][]json.RawMessage) (map[string][]json.RawMessage, error) {
	var ids []string
	for _, id := range sortedKeys(combinations) {
		for _, c := range combinations[id] {
			ids = append(ids, optionIDs(c)...)
		}
	}
	return s.related(ctx, optionTable(), "id", unique(ids))
}

// idList asks for all ids that match, a large part at a time.
func (s *Source) idList(ctx context.Context, res resource, filter url.Values, each func(gathered) error) error {
	for last := int64(0); ; {
		g, err := s.client.after(ctx, res, filter, last, countPage)
		if err != nil {
			return err
		}
		if err := each(g); err != nil {
			return err
		}
		if g.end || g.last <= last {
			return nil
		}
		last = g.last
	}
}
