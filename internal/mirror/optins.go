package mirror

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/relance/relance/internal/crm"
)

// resolveOptIns gives every opt-in statement the contact that it speaks for: an account's for a customer's, for an
// order's that of the e-mail it names, else the order's own.
func (a *applying) resolveOptIns() error {
	var accounts, unknown []string
	for _, r := range a.changed[optins] {
		_, known := a.accounts[r.ref.ID]
		switch {
		case r.ref.Kind == crm.KindCustomer && !known:
			accounts = append(accounts, r.ref.ID)
		case r.ref.Kind != crm.KindCustomer && r.email == "":
			unknown = append(unknown, r.ref.ID)
		}
	}
	byOrder := map[string]int64{}
	for text, job := range map[string]struct {
		ids  []string
		into map[string]int64
	}{
		"SELECT id, contact_id FROM customers WHERE shop_id=? AND gone_at=0 AND id IN (%)": {accounts, a.accounts},
		"SELECT id, contact_id FROM orders WHERE shop_id=? AND gone_at=0 AND id IN (%)":    {unknown, byOrder},
	} {
		if err := readIn(a.ctx, a.tx, text, []any{a.b.ShopID}, job.ids, func(r *sqlx.Rows) error {
			var id string
			var contact int64
			err := r.Scan(&id, &contact)
			job.into[id] = contact
			return err
		}); err != nil {
			return fmt.Errorf("finding whom opt-ins speak for: %w", err)
		}
	}
	if err := errors.Join(a.findOwn(crm.KindCustomer, accounts, a.merging.own), a.findOwn(crm.KindOrder, unknown, byOrder)); err != nil {
		return err
	}
	for _, r := range a.changed[optins] {
		r.contact = a.speaksFor(r, byOrder)
	}
	return nil
}

func (a *applying) speaksFor(r *record, byOrder map[string]int64) int64 {
	switch {
	case r.erased > 0:
		return 0
	case r.gone, r.oldContact != 0 && r.vals[0] == r.extra[0]:
		return r.oldContact // an e-mail change moves the account, not the consent
	case r.ref.Kind == crm.KindCustomer:
		return a.ownContact(r.ref.ID)
	case r.email != "" && r.vals[0] == "yes":
		return a.contactFor(r.email)
	case r.email != "": // what grants nothing makes nobody known
		return a.contacts[r.email]
	}
	return byOrder[r.ref.ID]
}

// applyConsents carries what opt-in fields say into consents: none → granted on an explicit yes; granted → withdrawn
// only when a yes was seen turning into a no and the mapping says that its no means withdrawn.
func (a *applying) applyConsents() error {
	var changes []ConsentChange
	for _, r := range a.changed[optins] {
		value, before := r.vals[0], r.extra[0]
		switch {
		case r.gone:
		case value == "yes" && (before != "yes" || r.oldContact == 0):
			changes = append(changes, a.consent(r, r.contact, a.yes()))
		case value == "no" && before == "yes" && r.vals[1] == "withdrawn":
			changes = append(changes, a.consent(r, r.contact, crm.ConsentWithdrawn))
			if r.oldContact != r.contact { // the consent stayed with the former address
				changes = append(changes, a.consent(r, r.oldContact, crm.ConsentWithdrawn))
			}
		}
	}
	late, err := a.lateOptIns()
	if err != nil {
		return fmt.Errorf("finding opt-ins that waited for their contact: %w", err)
	}
	said, err := a.stated()
	if err != nil {
		return err
	}
	changes = slices.Concat(changes, late, said)
	if len(changes) == 0 {
		return nil
	}
	slices.SortStableFunc(changes, func(x, y ConsentChange) int { return cmp.Compare(x.SourceAt, y.SourceAt) })
	done, err := setConsents(a.ctx, a.tx, changes)
	if err != nil {
		return err
	}
	for _, c := range done {
		a.consents[c.ContactID] = max(a.consents[c.ContactID], c.SourceAt)
	}
	return a.consentsOfMerged()
}

// BasisDoubleOptIn is the basis of a shop whose ticked boxes are to be confirmed through a mail (shops.basis).
const BasisDoubleOptIn = "double_opt_in"

// yes is what a ticked box means. Who ticked it before the shop was connected did so under the shop's own rules.
func (a *applying) yes() string {
	if a.shop.Basis == BasisDoubleOptIn && a.b.Cause != crm.CauseBackfill {
		return crm.ConsentPending
	}
	return crm.ConsentGranted
}

func (a *applying) consent(r *record, contact int64, state string) ConsentChange {
	if a.fresh[contact] != "" {
		a.touch(contact, r.at) // it has its row to get
	}
	return ConsentChange{
		ContactID: contact, Topic: r.topic, Channel: r.channel, State: state, Basis: "opt_in",
		Source: a.shop.Platform + ":" + a.shop.Name, SourceAt: cmp.Or(r.at, a.now()), SeenAt: a.now(),
	}
}

// lateOptIns finds statements read before anybody knew whose they are, of accounts and orders that have a contact now.
func (a *applying) lateOptIns() ([]ConsentChange, error) {
	var waiting bool
	if err := a.tx.GetContext(a.ctx, &waiting, "SELECT EXISTS(SELECT 1 FROM optins WHERE contact_id=0 AND shop_id=?)", a.b.ShopID); err != nil || !waiting {
		return nil, err
	}
	var found []*record
	for kind, f := range map[crm.Kind]facet{crm.KindCustomer: customers, crm.KindOrder: orders} {
		contacts := map[string]int64{}
		var ids []string
		for _, r := range a.changed[f] {
			if !r.gone && r.contact != 0 {
				contacts[r.ref.ID] = r.contact
				ids = append(ids, r.ref.ID)
			}
		}
		if err := a.findOwn(kind, ids, contacts); err != nil {
			return nil, err
		}
		if err := readIn(a.ctx, a.tx, "SELECT id, topic, channel, value, source_at FROM optins WHERE shop_id=? AND kind=? AND contact_id=0 AND gone_at=0 AND id IN (%)",
			[]any{a.b.ShopID, string(kind)}, ids, func(rows *sqlx.Rows) error {
				var id, value string
				r := &record{facet: optins}
				if err := rows.Scan(&id, &r.topic, &r.channel, &value, &r.at); err != nil {
					return err
				}
				r.keys, r.vals, r.contact = []any{string(kind), id, r.topic, r.channel}, []any{value}, contacts[id]
				found = append(found, r)
				return nil
			}); err != nil {
			return nil, err
		}
	}
	var updates [][]any
	var changes []ConsentChange
	for _, r := range found {
		updates = append(updates, append([]any{r.contact, a.b.ShopID}, r.keys...))
		if r.vals[0] == "yes" {
			changes = append(changes, a.consent(r, r.contact, a.yes()))
		}
	}
	return changes, execEach(a.ctx, a.tx, "UPDATE optins SET contact_id=? WHERE shop_id=? AND kind=? AND id=? AND topic=? AND channel=?", updates)
}
