package mirror

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/relance/relance/internal/crm"
)

// decoded reads a JSON column, in which nothing is "".
func decoded(text []byte, into any) error {
	if len(text) == 0 {
		return nil
	}
	return json.Unmarshal(text, into)
}

// sourceOf finds in an order's attribution what brought its buyer, in the words of the platforms that say it.
func sourceOf(text []byte, into *string) error {
	if len(text) == 0 {
		return nil
	}
	var attribution map[string]string
	err := decoded(text, &attribution)
	*into = cmp.Or(attribution["utm_source"], attribution["source"], attribution["source_type"])
	return err
}

func (l *loading) readShops(ctx context.Context) error {
	if l.shops != nil {
		return nil
	}
	l.shops = map[int64]shopOfProfile{}
	return read(ctx, l.q, "SELECT id, name, basis FROM shops", nil, func(r *sqlx.Rows) error {
		var id int64
		var s shopOfProfile
		err := r.Scan(&id, &s.name, &s.basis)
		l.shops[id] = s
		return err
	})
}

// accounts fills in attributes, groups, shops and bases of consent.
func (l *loading) accounts(ctx context.Context) error {
	if err := l.readShops(ctx); err != nil {
		return err
	}
	bases := make(map[int64]string, len(l.shops))
	for id, s := range l.shops {
		bases[id] = s.basis
	}
	for _, p := range l.profiles {
		p.Contact.Bases = bases
	}
	if err := l.attributes(ctx); err != nil {
		return err
	}
	return l.presence(ctx)
}

// accountRow is an account as far as profiles tell of it.
type accountRow struct {
	when
	role       string
	attributes map[string]string
}

func (l *loading) attributes(ctx context.Context) error {
	accounts := map[int64][]accountRow{}
	if err := read(ctx, l.q, "SELECT contact_id, shop_id, id, role, attributes, registered_at, modified_at FROM customers WHERE contact_id IN "+l.in+" AND gone_at=0",
		nil, func(r *sqlx.Rows) error {
			var contact int64
			var a accountRow
			var text string
			var registered, modified crm.Instant
			if err := r.Scan(&contact, &a.shop, &a.id, &a.role, &text, &registered, &modified); err != nil {
				return err
			}
			a.at = max(modified, registered)
			err := decoded([]byte(text), &a.attributes)
			maps.DeleteFunc(a.attributes, func(name, _ string) bool { return strings.HasPrefix(name, AttributePrefix) }) // not the shops' to say
			accounts[contact] = append(accounts[contact], a)
			return err
		}); err != nil {
		return err
	}
	for contact, list := range accounts {
		p := l.profiles[contact]
		if p == nil {
			continue
		}
		slices.SortFunc(list, func(a, b accountRow) int {
			return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.shop, b.shop), cmp.Compare(a.id, b.id))
		})
		for _, a := range list {
			if a.role != "" {
				p.Contact.Groups = append(p.Contact.Groups, a.role)
			}
			if p.Contact.Attributes == nil {
				p.Contact.Attributes = a.attributes
			} else {
				maps.Copy(p.Contact.Attributes, a.attributes)
			}
		}
		slices.Sort(p.Contact.Groups)
		p.Contact.Groups = slices.Compact(p.Contact.Groups)
	}
	return nil
}

// presence tells in which shops contacts are known, and since when.
func (l *loading) presence(ctx context.Context) error {
	since := map[int64]map[int64]crm.Instant{}
	if err := read(ctx, l.q, "SELECT contact_id, shop_id, MIN(registered_at) FROM customers WHERE contact_id IN "+l.in+" AND gone_at=0 GROUP BY contact_id, shop_id"+
		" UNION ALL SELECT contact_id, shop_id, MIN(placed_at) FROM orders WHERE contact_id IN "+l.in+" AND gone_at=0 GROUP BY contact_id, shop_id"+
		" UNION ALL SELECT contact_id, shop_id, MIN(CASE WHEN created_at>0 THEN created_at ELSE active_at END) FROM carts WHERE contact_id IN "+l.in+
		" GROUP BY contact_id, shop_id", nil, func(r *sqlx.Rows) error {
		var contact, shop int64
		var at crm.Instant
		if err := r.Scan(&contact, &shop, &at); err != nil {
			return err
		}
		if since[contact] == nil {
			since[contact] = map[int64]crm.Instant{}
		}
		if first, known := since[contact][shop]; !known || at < first {
			since[contact][shop] = at
		}
		return nil
	}); err != nil {
		return err
	}
	for contact, shops := range since {
		p := l.profiles[contact]
		if p == nil {
			continue
		}
		for shop, at := range shops {
			p.Contact.Shops = append(p.Contact.Shops, crm.ContactShop{Name: l.shops[shop].name, Since: at})
		}
		slices.SortFunc(p.Contact.Shops, func(a, b crm.ContactShop) int { return cmp.Compare(a.Name, b.Name) })
	}
	return nil
}

// events reads those of the names, or all.
func (l *loading) events(ctx context.Context, names []string) error {
	text := "SELECT contact_id, shop_id, id, name, happened_at, properties FROM events WHERE contact_id IN " + l.in + " AND gone_at=0"
	var args []any
	if !slices.Contains(names, crm.AllEvents) {
		text += " AND name IN (" + strings.TrimSuffix(strings.Repeat("?,", len(names)), ",") + ")"
		for _, n := range names {
			args = append(args, n)
		}
	}
	return read(ctx, l.q, text+" ORDER BY contact_id, happened_at, shop_id, id", args, func(r *sqlx.Rows) error {
		var id int64
		var e crm.ProfileEvent
		var properties []byte
		if err := r.Scan(&id, &e.ShopID, &e.ID, &e.Name, &e.At, &properties); err != nil {
			return err
		}
		if err := decoded(properties, &e.Properties); err != nil {
			return err
		}
		if p := l.profiles[id]; p != nil {
			p.Events = append(p.Events, e)
		}
		return nil
	})
}

// thresholds hands every audience's published versions to its contacts.
func (l *loading) thresholds(ctx context.Context) error {
	known := map[int64][]*crm.Thresholds{}
	for _, p := range l.profiles {
		audience := p.Contact.AudienceID
		list, ok := known[audience]
		if !ok {
			var err error
			if list, err = Thresholds(ctx, l.q, audience); err != nil {
				return err
			}
			known[audience] = list
		}
		p.Thresholds = list
	}
	return nil
}
