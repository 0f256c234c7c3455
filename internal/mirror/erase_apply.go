package mirror

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// forgetting is what applying a batch knows of erased people; empty as long as nobody has been erased.
type forgetting struct {
	graves *graves
	names  map[string]crm.Instant // erased addresses that the batch names
	hidden map[crm.Ref]bool       // records whose bodies are not kept
}

// graveOf is what is known of an account.
type graveOf struct {
	erased crm.Instant // 0: not erased
	live   bool        // its contact is a person whom we know
}

// forgetErased blanks the records of erased people before anything is compared or written: so the same record again
// writes nothing, and nothing of them is hashed.
func (a *applying) forgetErased(all *[facets][]*record) error {
	var err error
	if a.graves, err = gravesOf(a.shop.Erasures, a.shop.Audience); err != nil || a.graves == nil {
		return err
	}
	named := map[string]bool{}
	for _, records := range all {
		for _, r := range records {
			named[r.email] = true
		}
	}
	if a.names, err = a.graves.among(a.ctx, a.tx, named); err != nil {
		return err
	}
	accounts, err := a.accountGraves(all)
	if err != nil {
		return err
	}
	for _, f := range []facet{customers, addresses, orders, carts, events, statements} {
		for _, r := range all[f] {
			a.forget(r, accounts)
		}
	}
	if err := a.forgetOfOrders(all); err != nil {
		return err
	}
	for _, r := range all[optins] {
		if r.ref.Kind == crm.KindCustomer {
			a.erase(r, accounts[r.ref.ID].erased)
		}
	}
	return a.hideBodies(all)
}

// accountGraves looks up the accounts that the batch brings or names.
func (a *applying) accountGraves(all *[facets][]*record) (map[string]graveOf, error) {
	ids := map[string]bool{}
	for f, records := range all {
		for _, r := range records {
			switch {
			case facet(f) == customers, r.ref.Kind == crm.KindCustomer:
				ids[r.ref.ID] = true
			case r.account != "":
				ids[r.account] = true
			}
		}
	}
	out := map[string]graveOf{}
	if err := readIn(a.ctx, a.tx, "SELECT id, erased_at, gone_at, contact_id FROM customers WHERE shop_id=? AND id IN (%)", []any{a.b.ShopID}, slices.Sorted(maps.Keys(ids)),
		func(r *sqlx.Rows) error {
			var id string
			var erased crm.Instant
			var gone, contact int64
			err := r.Scan(&id, &erased, &gone, &contact)
			out[id] = graveOf{erased, gone == 0 && contact != 0 && erased == 0}
			return err
		}); err != nil {
		return nil, fmt.Errorf("finding erased accounts: %w", err)
	}
	for _, r := range all[customers] { // an erased account stays one, whatever its address is by now
		g := out[r.ref.ID]
		g.erased = max(g.erased, a.names[r.email])
		g.live = !r.gone && r.email != "" && g.erased == 0
		out[r.ref.ID] = g
	}
	return out, nil
}

// forget blanks a record that belongs to an erased person. A record of an account that is somebody's loses only the
// erased person's data.
func (a *applying) forget(r *record, accounts map[string]graveOf) {
	id := r.account
	if r.ref.Kind == crm.KindCustomer {
		id = r.ref.ID
	}
	account, address := accounts[id], a.names[r.email]
	switch {
	case account.erased > 0:
		a.erase(r, account.erased)
	case address > 0 && account.live && (r.facet == orders || r.facet == carts || r.facet == events):
		a.strip(r)
	case address > 0:
		a.erase(r, address)
	}
}

// forgetOfOrders blanks refunds and opt-in fields of erased orders, and opt-in fields about an erased address.
func (a *applying) forgetOfOrders(all *[facets][]*record) error {
	var ids []string
	for _, r := range all[refunds] {
		ids = append(ids, r.orderID())
	}
	for _, r := range all[optins] {
		if r.ref.Kind == crm.KindOrder {
			ids = append(ids, r.ref.ID)
		}
	}
	erased := map[string]crm.Instant{}
	if err := readIn(a.ctx, a.tx, "SELECT id, erased_at FROM orders WHERE shop_id=? AND id IN (%) AND erased_at>0", []any{a.b.ShopID}, ids, func(r *sqlx.Rows) error {
		var id string
		var at crm.Instant
		err := r.Scan(&id, &at)
		erased[id] = at
		return err
	}); err != nil {
		return fmt.Errorf("finding erased orders: %w", err)
	}
	for _, r := range all[orders] {
		if !r.gone {
			erased[r.ref.ID] = r.erased
		}
	}
	for _, r := range all[refunds] {
		a.erase(r, erased[r.orderID()])
	}
	for _, r := range all[optins] {
		if r.ref.Kind != crm.KindCustomer {
			a.erase(r, max(erased[r.ref.ID], a.names[r.email]))
		}
	}
	return nil
}

func (a *applying) erase(r *record, at crm.Instant) {
	if at > 0 {
		r.erased = at
		a.strip(r)
	}
}

// strip blanks what says who somebody is.
func (a *applying) strip(r *record) {
	if r.gone {
		return // it shows nothing
	}
	s := &a.m.shapes[r.facet]
	for _, col := range personal(s.table) {
		r.vals[slices.Index(s.cols, col)] = ""
	}
	r.email = ""
	if r.byContent {
		r.derived = []any{r.content()}
	}
	r.seal()
}

// hideBodies finds the records whose bodies are not kept: those of erased people, and whatever names one.
func (a *applying) hideBodies(all *[facets][]*record) error {
	erased, plain := map[crm.Ref]bool{}, map[crm.Ref]bool{}
	ids := map[string]bool{}
	for _, records := range all {
		for _, r := range records {
			if r.erased > 0 {
				erased[r.ref], ids[r.ref.ID] = true, true
			} else {
				plain[r.ref] = true
			}
		}
	}
	a.hidden = erased
	named := make([][]string, len(a.b.Raw))
	for i, raw := range a.b.Raw {
		named[i] = addressesIn(raw.Body)
	}
	names, err := a.graves.namesErased(a.ctx, a.tx, named)
	if err != nil {
		return err
	}
	for i, raw := range a.b.Raw {
		if names[i] || ids[raw.Ref.ID] && !plain[raw.Ref] { // a body may carry records of another kind
			a.hidden[raw.Ref] = true
		}
	}
	return nil
}

// dropBodies removes what was kept of hidden records before they were known to be.
func (a *applying) dropBodies() error {
	byKind := map[crm.Kind][]string{}
	for ref := range a.hidden {
		byKind[ref.Kind] = append(byKind[ref.Kind], ref.ID)
	}
	for kind, ids := range byKind {
		slices.Sort(ids)
		if err := execIn(a.ctx, a.tx, "DELETE FROM source_records WHERE shop_id=? AND kind=? AND id IN (%)", []any{a.b.ShopID, string(kind)}, ids); err != nil {
			return fmt.Errorf("removing bodies of erased people: %w", err)
		}
	}
	return nil
}

// leaveErased takes erased contacts out of what is recomputed: rows that an erasure has yet to reach still name them.
func (a *applying) leaveErased() error {
	if a.graves == nil {
		return nil
	}
	return readIn(a.ctx, a.tx, "SELECT id FROM contacts WHERE erased_at>0 AND id IN (%)", nil, slices.Concat(slices.Sorted(maps.Keys(a.touched)), slices.Sorted(maps.Keys(a.counted))), func(r *sqlx.Rows) error {
		var id int64
		err := r.Scan(&id)
		delete(a.touched, id)
		delete(a.counted, id)
		return err
	})
}

// forgetDelivered removes the webhooks about a record once they have been followed, if its person is erased.
func forgetDelivered(ctx context.Context, tx *store.Tx, h Hint) error {
	table := tableOf(h.Kind)
	if !marksErased(table) {
		return nil
	}
	var erased bool
	if err := tx.GetContext(ctx, &erased, "SELECT EXISTS(SELECT 1 FROM "+table+" WHERE shop_id=? AND id=? AND erased_at>0)", h.ShopID, h.ID); err != nil || !erased {
		return err
	}
	_, err := tx.ExecContext(ctx, "DELETE FROM inbox WHERE shop_id=? AND kind=? AND record_id=?", h.ShopID, string(h.Kind), h.ID)
	return err
}
