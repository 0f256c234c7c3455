package mirror

import (
	"cmp"
	"maps"
	"slices"
	"strconv"

	"github.com/jmoiron/sqlx"

	"github.com/relance/relance/internal/crm"
)

// date settles the instants that a record's source leaves open or that say less than they seem: an event and a statement
// without one happened when they were read, and a cart of which only the content tells activity was last active when it
// was first seen with what it holds now.
func (a *applying) date(r *record) {
	switch {
	case a.m.shapes[r.facet].once:
		r.at = cmp.Or(r.at, a.now())
		r.vals[0] = int64(r.at)
	case r.byContent && !r.gone:
		active, _ := r.vals[cartActive].(int64)
		if r.found && !r.wasGone && r.extra[0] == r.derived[0] {
			active, _ = strconv.ParseInt(r.extra[1], 10, 64) // a BIGINT of ours
		}
		r.vals[cartActive] = cmp.Or(active, int64(a.now()))
	}
}

// noteOrdered notes the cart that an order came from. This holds even of a read that is too old to be applied: what was
// ordered once was ordered, so that the same reads in any order close the same carts.
func (a *applying) noteOrdered(r *record) {
	if r.facet != orders || r.cart == "" || r.gone {
		return
	}
	placed, _ := r.vals[orderPlaced].(int64)
	at := cmp.Or(crm.Instant(placed), r.at, a.now())
	if before, twice := a.ordered[r.cart]; !twice || at < before {
		a.ordered[r.cart] = at
	}
}

// closeOrdered keeps the carts that became orders closed for good: those read now, and those that are here already.
func (a *applying) closeOrdered() error {
	mine := map[string]*record{}
	for _, r := range a.changed[carts] {
		mine[r.ref.ID] = r
	}
	if len(mine) == 0 && len(a.ordered) == 0 {
		return nil
	}
	known, err := a.orderedCarts(slices.Sorted(maps.Keys(a.ordered)), slices.Sorted(maps.Keys(mine)))
	if err != nil {
		return err
	}
	var rows [][]any
	earlier := map[string]crm.Instant{}
	for id, at := range a.ordered {
		if before := known[id]; before == 0 || at < before {
			known[id] = at
			rows = append(rows, []any{a.b.ShopID, id, int64(at)})
			if mine[id] == nil {
				earlier[id] = at
			}
		}
	}
	for id, r := range mine {
		if at := known[id]; at != 0 {
			r.close(at)
		}
	}
	if err := a.tx.Upsert(a.ctx, "ordered_carts", []string{"shop_id", "id"}, []string{"shop_id", "id", "ordered_at"}, rows); err != nil {
		return err
	}
	return a.closeStored(earlier)
}

func (r *record) close(at crm.Instant) {
	if r.gone {
		r.vals[0], r.at = closedByOrder, at
		return
	}
	r.vals[cartClosed], r.vals[cartClosedBy] = int64(at), closedByOrder
}

const closedByOrder = "ordered"

func (a *applying) orderedCarts(lists ...[]string) (map[string]crm.Instant, error) {
	ids := slices.Concat(lists...)
	slices.Sort(ids)
	known := map[string]crm.Instant{}
	err := readIn(a.ctx, a.tx, "SELECT id, ordered_at FROM ordered_carts WHERE shop_id=? AND id IN (%)", []any{a.b.ShopID}, slices.Compact(ids), func(r *sqlx.Rows) error {
		var id string
		var at crm.Instant
		err := r.Scan(&id, &at)
		known[id] = at
		return err
	})
	return known, err
}

// closeStored closes carts that were read before the order that they became.
func (a *applying) closeStored(ordered map[string]crm.Instant) error {
	var updates [][]any
	if err := readIn(a.ctx, a.tx, "SELECT id, contact_id, closed_at, closed_by FROM carts WHERE shop_id=? AND id IN (%)", []any{a.b.ShopID},
		slices.Sorted(maps.Keys(ordered)), func(r *sqlx.Rows) error {
			var id, by string
			var contact int64
			var closed crm.Instant
			if err := r.Scan(&id, &contact, &closed, &by); err != nil {
				return err
			}
			if at := ordered[id]; closed != at || by != closedByOrder {
				updates = append(updates, []any{int64(at), closedByOrder, a.b.ShopID, id})
				a.touch(contact, at)
			}
			return nil
		}); err != nil {
		return err
	}
	return execEach(a.ctx, a.tx, "UPDATE carts SET closed_at=?, closed_by=? WHERE shop_id=? AND id=?", updates)
}
