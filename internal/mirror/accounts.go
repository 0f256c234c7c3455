package mirror

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"

	"github.com/jmoiron/sqlx"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// Account is what is mirrored of an account and its address.
type Account struct {
	Customer crm.Customer
	Address  crm.Address
}

// Clone shares nothing with the original.
func (a Account) Clone() Account {
	a.Customer.Attributes = maps.Clone(a.Customer.Attributes)
	return a
}

// Equal tells whether both say the same.
func (a Account) Equal(b Account) bool {
	same := maps.Equal(a.Customer.Attributes, b.Customer.Attributes)
	a.Customer.Attributes, b.Customer.Attributes = nil, nil
	return same && reflect.DeepEqual(a, b)
}

// Accounts gives the live accounts of a shop among the ids (at most a page). Whoever brings part of what is known of a
// person puts it over this, so that nothing is blanked.
func (m *Mirror) Accounts(ctx context.Context, tx *store.Tx, shopID int64, ids []string) (map[string]Account, error) {
	out := make(map[string]Account, len(ids))
	err := readIn(ctx, tx, `SELECT id, email, first_name, last_name, company, phone, role, locale, birthday, registered_at, modified_at, attributes
 FROM customers WHERE shop_id=? AND gone_at=0 AND id IN (%)`, []any{shopID}, ids, func(r *sqlx.Rows) error {
		var id, attributes string
		var c crm.Customer
		err := r.Scan(&id, &c.Email, &c.FirstName, &c.LastName, &c.Company, &c.Phone, &c.Role, &c.Locale, &c.Birthday, &c.RegisteredAt, &c.ModifiedAt, &attributes)
		if err == nil && attributes != "" {
			err = json.Unmarshal([]byte(attributes), &c.Attributes)
		}
		out[id] = Account{Customer: c}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading accounts: %w", err)
	}
	err = readIn(ctx, tx, "SELECT id, line1, line2, city, region, postcode, country FROM addresses WHERE shop_id=? AND kind='customer' AND gone_at=0 AND id IN (%)",
		[]any{shopID}, ids, func(r *sqlx.Rows) error {
			var id string
			var a crm.Address
			err := r.Scan(&id, &a.Line1, &a.Line2, &a.City, &a.Region, &a.Postcode, &a.Country)
			if known, ok := out[id]; ok {
				known.Address = a
				out[id] = known
			}
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("reading addresses of accounts: %w", err)
	}
	return out, nil
}
