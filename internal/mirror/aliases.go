package mirror

import (
	"context"
	"fmt"

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
