package mirror

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/relance/relance/internal/crm"
)

// writeRecords writes what changed, facet by facet. Refunds go before orders, whose column refunded sums them.
func (a *applying) writeRecords() error {
	for f := range facets {
		if f == orders {
			if err := a.netRefunds(); err != nil {
				return fmt.Errorf("netting refunds: %w", err)
			}
		}
		if f == carts {
			if err := a.closeOrdered(); err != nil {
				return fmt.Errorf("closing carts that became orders: %w", err)
			}
		}
		if f == optins {
			if err := a.resolveOptIns(); err != nil {
				return err
			}
		}
		if err := a.writeFacet(f); err != nil {
			return fmt.Errorf("writing %s: %w", a.m.shapes[f].table, err)
		}
	}
	if err := a.writeOrderCoupons(); err != nil {
		return fmt.Errorf("writing order_coupons: %w", err)
	}
	return a.writeCartVersions()
}

func (a *applying) writeFacet(f facet) error {
	s := &a.m.shapes[f]
	var rows, gone [][]any
	var again []string // parents whose child rows are replaced
	for _, r := range a.changed[f] {
		if r.gone {
			gone = append(gone, a.goneRow(r))
			continue
		}
		rows = append(rows, a.row(s, r))
		if r.found {
			again = append(again, r.ref.ID)
		}
	}
	keys := append([]string{"shop_id"}, s.keys...)
	if err := a.tx.Upsert(a.ctx, s.table, keys, s.columns(), rows); err != nil {
		return err
	}
	set := "hash=?, observed_at=?, gone_at=?"
	if f == carts {
		set += ", closed_by=?, closed_at=?"
	}
	where := " WHERE " + strings.Join(keys, "=? AND ") + "=?"
	if err := execEach(a.ctx, a.tx, "UPDATE "+s.table+" SET "+set+where, gone); err != nil {
		return err
	}
	if s.lines == "" {
		return nil
	}
	if err := execIn(a.ctx, a.tx, "DELETE FROM "+s.lines+" WHERE shop_id=? AND "+s.parent+" IN (%)", []any{a.b.ShopID}, again); err != nil {
		return err
	}
	return a.tx.Insert(a.ctx, s.lines, lineColumns(s.parent), a.lineRows(f))
}

// columns lists what a row of the table is written with; row gives the values.
func (s *shape) columns() []string {
	cols := append([]string{"shop_id"}, s.keys...)
	if s.contact {
		cols = append(cols, "contact_id")
	}
	cols = append(cols, s.cols...)
	cols = append(cols, s.derived...)
	if marksErased(s.table) {
		cols = append(cols, "erased_at")
	}
	return append(cols, "hash", "observed_at", "gone_at")
}

func (a *applying) row(s *shape, r *record) []any {
	row := make([]any, 0, len(s.cols)+10)
	row = append(append(row, a.b.ShopID), r.keys...)
	if s.contact {
		row = append(row, r.contact)
	}
	row = append(row, r.vals...)
	row = append(row, r.derived...)
	if marksErased(s.table) {
		row = append(row, r.erased)
	}
	return append(row, r.hash, int64(a.readAt(r)), int64(0))
}

// goneRow leaves a tombstone: the row stays as last known.
func (a *applying) goneRow(r *record) []any {
	row := []any{r.hash, int64(a.readAt(r)), int64(a.readAt(r))}
	if r.facet == carts {
		closed := r.at
		if closed == 0 {
			closed = a.b.ObservedAt
		}
		row = append(row, r.vals[0], int64(closed))
	}
	return append(append(row, a.b.ShopID), r.keys...)
}

func (a *applying) lineRows(f facet) [][]any {
	var rows [][]any
	for _, r := range a.changed[f] {
		if r.gone {
			continue
		}
		for _, l := range r.lines {
			rows = append(rows, append([]any{a.b.ShopID, r.ref.ID}, lineValues(l)...))
		}
	}
	return rows
}

// netRefunds sums the live refunds of every order that the batch touches: of orders to be written into their records,
// of stored ones by an update. A refund may come before its order: the order sums it when it comes.
func (a *applying) netRefunds() error {
	mine := map[string]*record{}
	var ids []string
	for _, r := range a.changed[orders] {
		mine[r.ref.ID] = r
		ids = append(ids, r.ref.ID)
	}
	other := map[string]*record{} // stored orders → a refund that changed
	for _, r := range a.changed[refunds] {
		for _, id := range []string{r.extra[0], r.orderID()} {
			if id == "" || mine[id] != nil {
				continue
			}
			if prior := other[id]; prior == nil || prior.at < r.at {
				other[id] = r
			}
		}
	}
	for id := range other {
		ids = append(ids, id)
	}
	given := map[string]givenBack{}
	if err := readIn(a.ctx, a.tx, "SELECT order_id, SUM(amount), MIN(refunded_at) FROM refunds WHERE shop_id=? AND gone_at=0 AND order_id IN (%) GROUP BY order_id",
		[]any{a.b.ShopID}, ids, func(r *sqlx.Rows) error {
			var id string
			var g givenBack
			err := r.Scan(&id, &g.sum, &g.first)
			g.first = cmp.Or(g.first, a.now())
			given[id] = g
			return err
		}); err != nil {
		return err
	}
	if err := a.becameWhat(given); err != nil {
		return err
	}
	return a.netStored(other, given)
}

// givenBack is what the live refunds of an order say.
type givenBack struct {
	sum   int64
	first crm.Instant // 0 = there is none
}

func (r *record) orderID() string {
	if id, ok := r.vals[0].(string); ok && !r.gone {
		return id
	}
	return ""
}

func (a *applying) netStored(other map[string]*record, given map[string]givenBack) error {
	ids := make([]string, 0, len(other))
	for id := range other {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	var updates [][]any
	if err := readIn(a.ctx, a.tx, "SELECT id, contact_id, refunded FROM orders WHERE shop_id=? AND id IN (%)", []any{a.b.ShopID}, ids, func(r *sqlx.Rows) error {
		var id string
		var contact, refunded int64
		if err := r.Scan(&id, &contact, &refunded); err != nil {
			return err
		}
		a.touch(contact, other[id].at)
		if g := given[id]; refunded != g.sum {
			updates = append(updates, []any{g.sum, g.first, a.b.ShopID, id})
		}
		return nil
	}); err != nil {
		return err
	}
	return execEach(a.ctx, a.tx, "UPDATE orders SET refunded=?, became_refunded_at=CASE WHEN became_refunded_at=0 THEN ? ELSE became_refunded_at END WHERE shop_id=? AND id=?", updates)
}

// writeCartVersions keeps what a cart held over time: one row per content, with its first and last activity.
func (a *applying) writeCartVersions() error {
	var rows [][]any
	for _, r := range a.changed[carts] {
		if r.gone {
			continue
		}
		version := record{lines: r.lines, vals: []any{r.vals[5], r.vals[6]}} // currency and total: what was in it, not when
		version.seal()
		items := int64(0)
		for _, l := range r.lines {
			items += l.Quantity
		}
		active := r.at
		if active == 0 {
			active = a.b.ObservedAt
		}
		rows = append(rows, []any{a.b.ShopID, r.ref.ID, version.hash, r.vals[6], items, int64(active), int64(active)})
	}
	d := a.tx.Dialect()
	clause := d.OnConflict("shop_id", "cart_id", "hash") +
		"first_at=CASE WHEN " + d.Refused("first_at") + "<cart_versions.first_at THEN " + d.Refused("first_at") + " ELSE cart_versions.first_at END" +
		", last_at=CASE WHEN " + d.Refused("last_at") + ">cart_versions.last_at THEN " + d.Refused("last_at") + " ELSE cart_versions.last_at END"
	if err := a.tx.InsertOr(a.ctx, "cart_versions", []string{"shop_id", "cart_id", "hash", "total", "items", "first_at", "last_at"}, clause, rows); err != nil {
		return fmt.Errorf("writing cart_versions: %w", err)
	}
	return nil
}
