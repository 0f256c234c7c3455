package mirror

import (
	"fmt"

	"github.com/jmoiron/sqlx"

	"github.com/relance/relance/internal/crm"
)

// resolveStatement finds whose consent a statement is about: that of the address it names, else that of its account. It
// speaks for that contact for good: an e-mail change moves the account, not the consent.
func (a *applying) resolveStatement(r *record) {
	if r.erased > 0 {
		return
	}
	r.contact = a.ownContact(r.account)
	if r.email != "" {
		r.contact = a.contactFor(r.email)
	}
	if r.contact != 0 {
		a.counted[r.contact] = max(a.counted[r.contact], r.at) // a statement alone makes somebody known
	}
}

// stated turns the batch's statements into changes of consent. What is granted is granted to the one that the statement
// names; what is withdrawn is withdrawn from its account's contact too, where that is another.
func (a *applying) stated() ([]ConsentChange, error) {
	var changes []ConsentChange
	for _, r := range a.changed[statements] {
		changes = append(changes, a.statement(r, r.contact)...)
		if other := a.ownContact(r.account); r.erased == 0 && r.said.State == crm.ConsentWithdrawn && other != r.contact {
			changes = append(changes, a.statement(r, other)...)
		}
	}
	late, err := a.lateStatements()
	if err != nil {
		return nil, fmt.Errorf("finding statements that waited for their account: %w", err)
	}
	return append(changes, late...), nil
}

// statement is what one statement does to one contact: like a sync it raises from none only and lowers always. Any other
// state is kept as it was said and does nothing.
func (a *applying) statement(r *record, contact int64) []ConsentChange {
	c := r.said
	if contact == 0 || c.State != crm.ConsentGranted && c.State != crm.ConsentWithdrawn {
		return nil
	}
	if c.Source == "" {
		c.Source = a.shop.Platform + ":" + a.shop.Name
	}
	c.ContactID, c.SourceAt, c.SeenAt = contact, r.at, a.now()
	return []ConsentChange{c}
}

// lateStatements finds those read before their account, of accounts that are here now, and gives them their contact.
func (a *applying) lateStatements() ([]ConsentChange, error) {
	var accounts []string
	for _, r := range a.changed[customers] {
		if a.accounts[r.ref.ID] != 0 {
			accounts = append(accounts, r.ref.ID)
		}
	}
	if len(accounts) == 0 {
		return nil, nil
	}
	var waiting bool
	if err := a.tx.GetContext(a.ctx, &waiting, "SELECT EXISTS(SELECT 1 FROM statements WHERE contact_id=0 AND shop_id=?)", a.b.ShopID); err != nil || !waiting {
		return nil, err
	}
	var updates [][]any
	var changes []ConsentChange
	err := readIn(a.ctx, a.tx, `SELECT id, customer_id, topic, channel, state, basis, stated_at, text_shown, source, ip FROM statements
 WHERE shop_id=? AND contact_id=0 AND customer_id IN (%)`, []any{a.b.ShopID}, accounts, func(rows *sqlx.Rows) error {
		var id string
		r := &record{}
		if err := rows.Scan(&id, &r.account, &r.said.Topic, &r.said.Channel, &r.said.State, &r.said.Basis, &r.at, &r.said.Text, &r.said.Source, &r.said.IP); err != nil {
			return err
		}
		contact := a.ownContact(r.account)
		updates = append(updates, []any{contact, a.b.ShopID, id})
		changes = append(changes, a.statement(r, contact)...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return changes, execEach(a.ctx, a.tx, "UPDATE statements SET contact_id=? WHERE shop_id=? AND id=?", updates)
}
