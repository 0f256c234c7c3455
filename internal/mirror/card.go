package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// Card is what is known of one contact, for people.
type Card struct {
	Contact  crm.Contact
	Audience string
	HomeShop string
	Live     bool // an account, order, cart, event or statement refers to it
	Accounts []CardAccount
	Aliases  []string // every other address that its records name, normalised
	Merges   []Merge  // newest first; also those taken back
	Consents []CardConsent
	Stats    []CardStats
	Carts    []CardCart // open ones
	Erasure  string     // "", Erasing or IsErased
	// Attributes are what Relance itself knows, by name; of two of a name, from a merged contact, the last one is in force.
	Attributes []CardAttribute
}

// CardAccount is an account in a shop.
type CardAccount struct {
	Shop         string
	ID           string
	Email        string
	RegisteredAt crm.Instant `db:"registered_at"`
}

// CardConsent is the state of one topic and channel, as given for the address of one contact: this one, or one merged
// into it.
type CardConsent struct {
	ContactID int64 `db:"contact_id"`
	Topic     string
	Channel   string
	State     string
	Basis     string
	Source    string
	SourceAt  crm.Instant `db:"source_at"`
	ExpiresAt crm.Instant `db:"expires_at"`
}

// CardStats are one shop's. Amounts are minor units of Currency.
type CardStats struct {
	Shop          string
	Currency      string
	Orders        int64
	Sales         int64
	Revenue       int64
	Refunded      int64
	FirstPlacedAt crm.Instant `db:"first_placed_at"`
	LastPlacedAt  crm.Instant `db:"last_placed_at"`
	LeftOut       int64       `db:"left_out"` // sales in another currency: their amounts are not in the others
}

// CardCart is an open cart. Total is in minor units of Currency.
type CardCart struct {
	Shop     string
	ID       string
	Currency string
	Total    int64
	ActiveAt crm.Instant `db:"active_at"`
}

// Card reads all that is known of a contact. The command line calls it. ErrNotFound.
func (m *Mirror) Card(ctx context.Context, contactID int64) (Card, error) {
	q := m.db.Read()
	c, err := m.card(ctx, q, contactID)
	if err != nil {
		return Card{}, fmt.Errorf("reading a contact: %w", err)
	}
	return c, nil
}

func (m *Mirror) card(ctx context.Context, q store.Queryer, id int64) (Card, error) {
	var c Card
	if err := read(ctx, q, selectContacts+"c.id=?", []any{id}, func(r *sqlx.Rows) error { return scanContact(r, &c.Contact) }); err != nil {
		return c, err
	}
	if c.Contact.ID == 0 {
		return c, ErrNotFound
	}
	var where struct {
		Audience string
		HomeShop string `db:"home_shop"`
		Live     bool
	}
	if err := q.GetContext(ctx, &where, `SELECT COALESCE(a.name,'') AS audience, COALESCE(s.name,'') AS home_shop, c.live FROM contacts c
 LEFT JOIN audiences a ON a.id=c.audience_id LEFT JOIN shops s ON s.id=c.home_shop_id WHERE c.id=?`, id); err != nil {
		return c, err
	}
	c.Audience, c.HomeShop, c.Live = where.Audience, where.HomeShop, where.Live
	var err error
	if c.Merges, err = m.MergesOf(ctx, q, id); err != nil {
		return c, err
	}
	persons := []int64{id} // the contact and those merged into it
	aliases, err := m.Aliases(ctx, q, persons)
	if err != nil {
		return c, err
	}
	for _, norm := range aliases[id] {
		if norm != c.Contact.EmailNorm {
			c.Aliases = append(c.Aliases, norm)
		}
	}
	slices.Sort(c.Aliases)
	c.Aliases = slices.Compact(c.Aliases)
	from, err := m.MergedFrom(ctx, q, persons)
	if err != nil {
		return c, err
	}
	persons = append(persons, from[id]...)
	if c.Attributes, err = cardAttributes(ctx, q, persons); err != nil {
		return c, err
	}
	for _, a := range c.Attributes {
		Apply(&c.Contact, map[string]string{a.Name: a.Value})
	}
	if states, err := erasures(ctx, q, "contact_id=?", id); err != nil {
		return c, err
	} else if len(states) > 0 {
		c.Erasure = states[0].State
	}
	return c, errors.Join(
		q.SelectContext(ctx, &c.Accounts, `SELECT s.name AS shop, k.id, k.email, k.registered_at FROM customers k JOIN shops s ON s.id=k.shop_id
 WHERE k.contact_id=? AND k.gone_at=0 ORDER BY s.name, k.id`, id),
		q.SelectContext(ctx, &c.Consents, "SELECT contact_id, topic, channel, state, basis, source, source_at, expires_at FROM consent_state WHERE contact_id IN ("+idList(persons)+
			") ORDER BY topic, channel, contact_id"),
		q.SelectContext(ctx, &c.Stats, `SELECT s.name AS shop, x.currency, x.orders, x.sales, x.revenue, x.refunded, x.first_placed_at, x.last_placed_at, x.left_out
 FROM contact_stats x JOIN shops s ON s.id=x.shop_id WHERE x.contact_id=? ORDER BY s.name`, id),
		q.SelectContext(ctx, &c.Carts, `SELECT s.name AS shop, k.id, k.currency, k.total, k.active_at FROM carts k JOIN shops s ON s.id=k.shop_id
 WHERE k.contact_id=? AND k.gone_at=0 AND k.closed_at=0 ORDER BY k.active_at DESC, s.name, k.id LIMIT 100`, id),
	)
}
