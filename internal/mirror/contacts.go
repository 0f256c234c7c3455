package mirror

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// A contact's zone and locale are the home shop's unless its own are known; they are resolved when read, so that a
// change of the shop's needs no rewriting of contacts.
const selectContacts = `SELECT c.id, c.lane, c.audience_id, c.email, c.email_norm, c.first_name, c.last_name,
 COALESCE(NULLIF(c.locale,''), s.locale, ''), c.country, c.region, c.city, COALESCE(NULLIF(c.zone,''), NULLIF(s.zone,''), 'UTC'),
 c.home_shop_id, c.registered_at, c.created_at, c.birthday, c.merged_into, c.erased_at
 FROM contacts c LEFT JOIN shops s ON s.id=c.home_shop_id WHERE `

func scanContact(r *sqlx.Rows, c *crm.Contact) error {
	err := r.Scan(&c.ID, &c.Lane, &c.AudienceID, &c.Email, &c.EmailNorm, &c.FirstName, &c.LastName, &c.Locale, &c.Country, &c.Region, &c.City, &c.Zone,
		&c.HomeShopID, &c.RegisteredAt, &c.CreatedAt, &c.Birthday, &c.MergedInto, &c.ErasedAt)
	if c.ErasedAt > 0 {
		c.EmailNorm = "" // what stands there only keeps the rows apart
	}
	return err
}

// ContactByEmail finds a contact of an audience by an address as people write it; ErrNotFound.
func (m *Mirror) ContactByEmail(ctx context.Context, q store.Queryer, audienceID int64, email string) (crm.Contact, error) {
	var c crm.Contact
	key := crm.NormEmail(email)
	if key == "" {
		return c, fmt.Errorf("finding a contact: %w", ErrNotFound)
	}
	err := read(ctx, q, selectContacts+"c.audience_id=? AND c.email_norm=?", []any{audienceID, key}, func(r *sqlx.Rows) error { return scanContact(r, &c) })
	if err != nil {
		return c, fmt.Errorf("finding a contact: %w", err)
	}
	if c.ID == 0 {
		return c, fmt.Errorf("finding a contact: %w", ErrNotFound)
	}
	return c, nil
}

// ContactIDs pages through live contacts by id.
func (m *Mirror) ContactIDs(ctx context.Context, q store.Queryer, after int64, limit int) ([]int64, error) {
	var ids []int64
	if err := q.SelectContext(ctx, &ids, "SELECT id FROM contacts WHERE id>? AND live=1 ORDER BY id LIMIT ?", after, limit); err != nil {
		return nil, fmt.Errorf("listing contacts: %w", err)
	}
	return ids, nil
}

// LiveContacts counts contacts that have at least one account, order or cart.
func (m *Mirror) LiveContacts(ctx context.Context) (int64, error) {
	var n int64
	if err := m.db.Read().GetContext(ctx, &n, "SELECT COUNT(*) FROM contacts WHERE live=1"); err != nil {
		return 0, fmt.Errorf("counting contacts: %w", err)
	}
	return n, nil
}
