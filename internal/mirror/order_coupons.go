package mirror

import (
	"slices"

	"github.com/relance/relance/internal/crm"
)

// codeKeys are the codes of an order in the form in which codes are compared.
func codeKeys(codes []string) []string {
	var out []string
	for _, c := range codes {
		if key := crm.CodeKey(c); key != "" {
			out = append(out, key)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// writeOrderCoupons keeps which orders used a code. An order that is gone keeps its rows, as it keeps its lines.
func (a *applying) writeOrderCoupons() error {
	var again []string
	var rows [][]any
	for _, r := range a.changed[orders] {
		if r.gone {
			continue
		}
		if r.found {
			again = append(again, r.ref.ID)
		}
		for _, key := range r.coupons {
			rows = append(rows, []any{a.b.ShopID, r.ref.ID, key})
		}
	}
	if err := execIn(a.ctx, a.tx, "DELETE FROM order_coupons WHERE shop_id=? AND order_id IN (%)", []any{a.b.ShopID}, again); err != nil {
		return err
	}
	return a.tx.Insert(a.ctx, "order_coupons", []string{"shop_id", "order_id", "code_key"}, rows)
}
