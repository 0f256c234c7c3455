package mirror

import (
	"context"
	"fmt"

	"github.com/relance/relance/internal/crm"
)

// ContactLine is one contact for lists: no name and no address.
type ContactLine struct {
	ID           int64
	Shop         string // name of the home shop, "" without one
	Locale       string
	Country      string
	Sales        int64
	LastPlacedAt crm.Instant `db:"last_placed_at"`
	RegisteredAt crm.Instant `db:"registered_at"`
}

// NewestContacts pages through live contacts, the latest first seen here first; before is the last id of the page
// before, 0 for the first page.
func (m *Mirror) NewestContacts(ctx context.Context, before int64, limit int) ([]ContactLine, error) {
	if before == 0 {
		before = int64(crm.Never)
	}
	var out []ContactLine
	err := m.db.Read().SelectContext(ctx, &out, `SELECT c.id, COALESCE(s.name,'') AS shop, COALESCE(NULLIF(c.locale,''), s.locale, '') AS locale, c.country,
 COALESCE((SELECT SUM(t.sales) FROM contact_stats t WHERE t.contact_id=c.id),0) AS sales,
 COALESCE((SELECT MAX(t.last_placed_at) FROM contact_stats t WHERE t.contact_id=c.id),0) AS last_placed_at, c.registered_at
 FROM contacts c LEFT JOIN shops s ON s.id=c.home_shop_id WHERE c.live=1 AND c.id<? ORDER BY c.id DESC LIMIT ?`, before, limit)
	if err != nil {
		return nil, fmt.Errorf("listing contacts: %w", err)
	}
	return out, nil
}
