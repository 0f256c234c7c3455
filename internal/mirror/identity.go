package mirror

import (
	"fmt"
	"maps"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/relance/relance/internal/crm"
)

// resolve finds the contact of every record to be written: an account's by its e-mail; an order's or cart's by its
// account if that is mirrored, live and has an e-mail, else by its billing e-mail; an event's likewise. Those that are
// already here follow when their account changed: the e-mail moves the account with all that belongs to it.
func (a *applying) resolve() error {
	if err := a.findContacts(a.wantedEmails()); err != nil {
		return err
	}
	if err := a.findAccounts(); err != nil {
		return err
	}
	moved := a.resolveAccounts()
	for _, f := range a.m.followers() {
		for _, r := range a.changed[f] {
			if r.gone {
				r.contact = r.oldContact
			} else {
				r.contact = a.contactOf(r.account, r.email)
			}
			a.touchRecord(r)
		}
	}
	for _, r := range a.changed[addresses] {
		if r.ref.Kind == crm.KindCustomer {
			a.touch(a.accounts[r.ref.ID], r.at)
		}
	}
	for _, r := range a.changed[statements] {
		a.resolveStatement(r)
	}
	return a.follow(moved)
}

// followers are the facets whose records belong to whom an account of theirs belongs, else to their own address.
func (m *Mirror) followers() []facet { return []facet{orders, carts, events} }

func (a *applying) touchRecord(r *record) {
	a.touch(r.oldContact, r.at)
	a.touch(r.contact, r.at)
}

// wantedEmails lists the addresses that the batch's accounts, orders, carts and opt-ins name.
func (a *applying) wantedEmails() []string {
	seen := map[string]bool{}
	for _, f := range []facet{customers, orders, carts, events, statements, optins} {
		for _, r := range a.changed[f] {
			if r.email != "" && !r.gone {
				seen[r.email] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

func (a *applying) findContacts(emails []string) error {
	err := readIn(a.ctx, a.tx, "SELECT id, email_norm, merged_into FROM contacts WHERE audience_id=? AND email_norm IN (%)", []any{a.shop.Audience}, emails,
		func(r *sqlx.Rows) error {
			var id, into int64
			var email string
			err := r.Scan(&id, &email, &into)
			a.contacts[email] = id
			if into != 0 {
				a.merging.redirect[id] = into
			}
			return err
		})
	if err != nil {
		return fmt.Errorf("finding contacts: %w", err)
	}
	return nil
}

// findAccounts learns the contacts of the accounts that the batch's orders, carts and addresses name. Accounts that the batch
// itself changes are resolved after.
func (a *applying) findAccounts() error {
	seen := map[string]bool{}
	for _, f := range append(a.m.followers(), statements) {
		for _, r := range a.changed[f] {
			if r.account != "" && !r.gone {
				seen[r.account] = true
			}
		}
	}
	for _, r := range a.changed[addresses] {
		if r.ref.Kind == crm.KindCustomer {
			seen[r.ref.ID] = true
		}
	}
	err := readIn(a.ctx, a.tx, "SELECT id, contact_id FROM customers WHERE shop_id=? AND gone_at=0 AND id IN (%)", []any{a.b.ShopID}, slices.Sorted(maps.Keys(seen)),
		func(r *sqlx.Rows) error {
			var id string
			var contact int64
			err := r.Scan(&id, &contact)
			a.accounts[id] = contact
			return err
		})
	if err != nil {
		return fmt.Errorf("finding accounts: %w", err)
	}
	return a.findOwn(crm.KindCustomer, slices.Sorted(maps.Keys(seen)), a.merging.own)
}

// resolveAccounts gives every changed account its contact and lists those whose contact is another than before.
func (a *applying) resolveAccounts() (moved []string) {
	for _, r := range a.changed[customers] {
		before, after := r.oldContact, int64(0)
		delete(a.merging.own, r.ref.ID) // as it was stored
		if r.wasGone {
			before = 0
		}
		if r.gone {
			r.contact = r.oldContact // the tombstone still says whose it was; nothing resolves through it
		} else {
			own := a.contactFor(r.email)
			if after = a.owner(own); own != after {
				a.merging.own[r.ref.ID] = own
			}
			r.contact = after
		}
		a.accounts[r.ref.ID] = after
		a.touchRecord(r)
		if before != after {
			moved = append(moved, r.ref.ID)
		}
	}
	return moved
}

// contactOf is the contact of an order or cart.
func (a *applying) contactOf(account, email string) int64 {
	if account != "" && a.accounts[account] != 0 {
		return a.accounts[account]
	}
	return a.owner(a.contactFor(email))
}

// contactFor is the contact of an address; a new one is noted and inserted with its attributes by recompute.
func (a *applying) contactFor(email string) int64 {
	if email == "" {
		return 0
	}
	id, ok := a.contacts[email]
	if !ok {
		id = a.tx.NewID()
		a.contacts[email], a.fresh[id] = id, email
	}
	return id
}

// follow re-resolves the stored orders, carts and events of accounts that moved.
func (a *applying) follow(moved []string) error {
	if len(moved) == 0 {
		return nil
	}
	for _, f := range a.m.followers() {
		inBatch := map[string]bool{}
		for _, r := range a.changed[f] {
			inBatch[r.ref.ID] = true
		}
		var rows []followed
		if err := readIn(a.ctx, a.tx, "SELECT id, contact_id, customer_id, email_norm FROM "+a.m.shapes[f].table+" WHERE shop_id=? AND customer_id IN (%)",
			[]any{a.b.ShopID}, moved, func(r *sqlx.Rows) error {
				var o followed
				err := r.Scan(&o.id, &o.contact, &o.account, &o.email)
				if err == nil && !inBatch[o.id] {
					rows = append(rows, o)
				}
				return err
			}); err != nil {
			return fmt.Errorf("finding what belongs to an account: %w", err)
		}
		if err := a.move(a.m.shapes[f].table, rows); err != nil {
			return err
		}
	}
	return nil
}

type followed struct {
	id, account, email string
	contact            int64
}

func (a *applying) move(table string, rows []followed) error {
	var emails []string
	for _, o := range rows {
		if _, known := a.contacts[o.email]; !known && o.email != "" && a.accounts[o.account] == 0 {
			emails = append(emails, o.email)
		}
	}
	if err := a.findContacts(emails); err != nil {
		return err
	}
	var updates [][]any
	for _, o := range rows {
		to := a.contactOf(o.account, o.email)
		if to == o.contact {
			continue
		}
		a.touch(o.contact, 0)
		a.touch(to, 0)
		updates = append(updates, []any{to, a.b.ShopID, o.id})
	}
	if err := execEach(a.ctx, a.tx, "UPDATE "+table+" SET contact_id=? WHERE shop_id=? AND id=?", updates); err != nil {
		return fmt.Errorf("moving what belongs to an account: %w", err)
	}
	return nil
}
