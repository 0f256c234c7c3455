package mirror

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// Aliases gives, per contact, every normalised address that its rows name: of its accounts, orders and carts,
// and of the contacts merged into it. A gate
// that asks whether somebody may be mailed asks for all of them.
func (m *Mirror) Aliases(ctx context.Context, q store.Queryer, contactIDs []int64) (map[int64][]string, error) {
	aliases := map[int64][]string{}
	if len(contactIDs) == 0 {
		return aliases, nil
	}
	text, args, err := store.In(`SELECT contact_id, email_norm FROM customers WHERE contact_id IN (?)
 UNION SELECT contact_id, email_norm FROM orders WHERE contact_id IN (?)
 UNION SELECT contact_id, email_norm FROM carts WHERE contact_id IN (?)
 UNION SELECT to_id, from_email FROM contact_merges WHERE `+inForce+` AND to_id IN (?)`, contactIDs, contactIDs, contactIDs, contactIDs)
	if err != nil {
		return nil, fmt.Errorf("reading the addresses of contacts: %w", err)
	}
	var rows []struct {
		ContactID int64  `db:"contact_id"`
		EmailNorm string `db:"email_norm"`
	}
	if err := q.SelectContext(ctx, &rows, text, args...); err != nil {
		return nil, fmt.Errorf("reading the addresses of contacts: %w", err)
	}
	for _, r := range rows {
		if r.EmailNorm != "" {
			aliases[r.ContactID] = append(aliases[r.ContactID], r.EmailNorm)
		}
	}
	return aliases, nil
}

// MailAddresses gives, per contact, the addresses that mail to it goes to: its own and those of the contacts merged into
// it. Unlike Aliases, whose they are is found by MarkAddress without a search.
func (m *Mirror) MailAddresses(ctx context.Context, q store.Queryer, contactIDs []int64) (map[int64][]string, error) {
	addresses := map[int64][]string{}
	if len(contactIDs) == 0 {
		return addresses, nil
	}
	in := "(" + idList(contactIDs) + ")"
	if err := read(ctx, q, "SELECT id, email_norm FROM contacts WHERE erased_at=0 AND id IN "+in+
		" UNION ALL SELECT to_id, from_email FROM contact_merges WHERE "+inForce+" AND to_id IN "+in, nil, func(r *sqlx.Rows) error {
		var id int64
		var email string
		err := r.Scan(&id, &email)
		addresses[id] = append(addresses[id], email)
		return err
	}); err != nil {
		return nil, fmt.Errorf("reading the addresses of contacts: %w", err)
	}
	return addresses, nil
}

// MarkAddress marks whoever mail to a normalised address goes to: what may be sent there has changed. Called when an address is
// suppressed.
func MarkAddress(ctx context.Context, tx *store.Tx, audienceID int64, emailNorm string, at crm.Instant) error {
	marks := map[int64]crm.Instant{}
	if err := read(ctx, tx, "SELECT id, merged_into FROM contacts WHERE audience_id=? AND email_norm=?", []any{audienceID, emailNorm}, func(r *sqlx.Rows) error {
		var id, into int64
		err := r.Scan(&id, &into)
		marks[id], marks[into] = at, at
		return err
	}); err != nil {
		return fmt.Errorf("finding whose address it is: %w", err)
	}
	return markDirty(ctx, tx, marks, at, crm.CauseConsent)
}
