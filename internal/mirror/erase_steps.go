package mirror

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// personal lists the columns of a table that say who somebody is, all texts: an erasure blanks them. What a shop must
// keep for its books (numbers, amounts, dates, the country) stays.
func personal(table string) []string {
	switch table {
	case "customers":
		return []string{"email", "email_norm", "first_name", "last_name", "company", "phone", "birthday", "attributes"}
	case "addresses":
		return []string{"line1", "line2", "city", "region", "postcode"}
	case "orders":
		return []string{"email", "email_norm", "first_name", "last_name", "region", "city", "attribution"}
	case "carts":
		return []string{"email", "email_norm", "first_name", "last_name", "recover_url"}
	case "refunds":
		return []string{"reason"}
	case "events":
		return []string{"email", "email_norm", "properties"}
	case "statements":
		return []string{"email", "email_norm", "text_shown", "source", "ip"}
	case "optins":
		return []string{"email_norm"}
	}
	return nil
}

// counted as erased: tables whose rows say that their person was erased.
func marksErased(table string) bool {
	switch table {
	case "customers", "orders", "carts", "events", "statements":
		return true
	}
	return false
}

func blank(table string) string {
	return strings.Join(personal(table), "='', ") + "=''"
}

// phase is one part of an erasure; it does at most a page and tells whether there may be more.
type phase func(ctx context.Context, tx *store.Tx, e *erasure, limit int) (more bool, err error)

func phases() []phase {
	return []phase{
		owned("customers", crm.KindCustomer), owned("orders", crm.KindOrder), owned("carts", crm.KindCart), owned("events", crm.KindEvent),
		owned("statements", crm.KindConsent), eraseConsents, eraseQuarantine,
		strays("orders", crm.KindOrder), strays("carts", crm.KindCart), strays("events", crm.KindEvent), strays("statements", crm.KindConsent),
	}
}

// eraseOn does the next page of an erasure.
func (i *Identities) eraseOn(ctx context.Context, wish erasure, now crm.Instant) error {
	err := i.m.db.WriteBackground(ctx, "mirror.erase_rows", func(tx *store.Tx) error {
		if err := i.leases.Fence(ctx, tx, store.LaneLease(wish.Lane)); err != nil {
			return err
		}
		again, err := erasures(ctx, tx, "contact_id=? AND state='"+Erasing+"'", wish.ContactID)
		if err != nil || len(again) == 0 {
			return err
		}
		e := again[0]
		steps := phases()
		more, err := steps[min(e.Phase, len(steps)-1)](ctx, tx, &e, i.page)
		if err != nil {
			return err
		}
		if !more {
			e.Phase, e.Position = e.Phase+1, ""
		}
		if e.Phase >= len(steps) {
			e.State, e.DoneAt = IsErased, now
		}
		_, err = tx.ExecContext(ctx, "UPDATE contact_erasures SET state=?, phase=?, position=?, done_at=? WHERE contact_id=?", e.State, e.Phase, e.Position, e.DoneAt, e.ContactID)
		return err
	})
	if err != nil {
		return fmt.Errorf("erasing what belongs to a contact: %w", err)
	}
	return nil
}

// owned blanks the records of the contact, with all that is kept of them beside.
func owned(table string, kind crm.Kind) phase {
	return func(ctx context.Context, tx *store.Tx, e *erasure, limit int) (bool, error) {
		var rows []recordID
		if err := tx.SelectContext(ctx, &rows, "SELECT shop_id, id FROM "+table+" WHERE contact_id=? ORDER BY shop_id, id LIMIT ?", e.ContactID, limit); err != nil {
			return false, err
		}
		byShop := map[int64][]string{}
		for _, r := range rows {
			byShop[r.ShopID] = append(byShop[r.ShopID], r.ID)
		}
		for shop, ids := range byShop {
			// Without a hash, the next read writes the row once more, blanked from what the shop shows.
			if err := execIn(ctx, tx, "UPDATE "+table+" SET "+blank(table)+", contact_id=0, hash=NULL, erased_at=? WHERE shop_id=? AND id IN (%)", []any{e.AskedAt, shop}, ids); err != nil {
				return false, err
			}
			if err := eraseBeside(ctx, tx, shop, kind, ids); err != nil {
				return false, err
			}
		}
		return len(rows) == limit, nil
	}
}

// eraseBeside removes what is kept of records besides their rows: bodies, webhooks, opt-in fields, addresses, reasons of
// refunds.
func eraseBeside(ctx context.Context, tx *store.Tx, shop int64, kind crm.Kind, ids []string) error {
	if err := eraseBodies(ctx, tx, shop, kind, ids); err != nil {
		return err
	}
	of := []any{shop, string(kind)}
	if err := execIn(ctx, tx, "UPDATE optins SET "+blank("optins")+", contact_id=0, hash=NULL WHERE shop_id=? AND kind=? AND id IN (%)", of, ids); err != nil {
		return err
	}
	switch kind { //nolint:exhaustive // the others have nothing beside
	case crm.KindCustomer:
		return execIn(ctx, tx, "UPDATE addresses SET "+blank("addresses")+", hash=NULL WHERE shop_id=? AND kind=? AND id IN (%)", of, ids)
	case crm.KindOrder:
		var refunds []string
		if err := readIn(ctx, tx, "SELECT id FROM refunds WHERE shop_id=? AND order_id IN (%)", []any{shop}, ids, func(r *sqlx.Rows) error {
			var id string
			err := r.Scan(&id)
			refunds = append(refunds, id)
			return err
		}); err != nil {
			return err
		}
		if err := execIn(ctx, tx, "UPDATE refunds SET "+blank("refunds")+", hash=NULL WHERE shop_id=? AND id IN (%)", []any{shop}, refunds); err != nil {
			return err
		}
		return eraseBodies(ctx, tx, shop, crm.KindRefund, refunds)
	case crm.KindCart: // a shop may carry carts within its orders
		return execIn(ctx, tx, `DELETE FROM source_records WHERE shop_id=? AND kind=? AND id IN (%) AND NOT EXISTS
 (SELECT 1 FROM orders o WHERE o.shop_id=source_records.shop_id AND o.id=source_records.id AND o.contact_id<>0)`, []any{shop, string(crm.KindOrder)}, ids)
	}
	return nil
}

// eraseBodies removes the bodies of records. What is in quarantine stays there without its body: it is still counted.
func eraseBodies(ctx context.Context, tx *store.Tx, shop int64, kind crm.Kind, ids []string) error {
	of := []any{shop, string(kind)}
	for _, text := range []string{
		"DELETE FROM source_records WHERE shop_id=? AND kind=? AND id IN (%)",
		"UPDATE quarantine SET raw=NULL WHERE shop_id=? AND kind=? AND id IN (%)",
		"DELETE FROM inbox WHERE shop_id=? AND kind=? AND record_id IN (%)",
	} {
		if err := execIn(ctx, tx, text, of, ids); err != nil {
			return err
		}
	}
	return nil
}

// eraseConsents keeps that and when something was agreed to or withdrawn, but not how to know who it was. Opt-in fields
// that speak for the contact go by its own address, so an account may have moved on with another.
func eraseConsents(ctx context.Context, tx *store.Tx, e *erasure, _ int) (bool, error) {
	for _, text := range []string{
		"UPDATE consents SET text_shown='', ip='', source='' WHERE contact_id=?",
		"UPDATE optins SET " + blank("optins") + ", contact_id=0, hash=NULL WHERE contact_id=?",
		"DELETE FROM consent_state WHERE contact_id=?",
		"DELETE FROM contact_stats WHERE contact_id=?",
		"DELETE FROM contact_attributes WHERE contact_id=?",
	} {
		if _, err := tx.ExecContext(ctx, text, e.ContactID); err != nil {
			return false, err
		}
	}
	return false, nil
}

// eraseQuarantine looks through the bodies in quarantine, which belong to no row: those that name an erased address go.
func eraseQuarantine(ctx context.Context, tx *store.Tx, e *erasure, limit int) (bool, error) {
	return lookThrough{
		query: func(at place) (string, []any) {
			return "SELECT kind, id, raw AS body FROM quarantine WHERE shop_id=? AND (kind>? OR kind=? AND id>?) AND raw IS NOT NULL ORDER BY kind, id LIMIT ?",
				[]any{at.shop, at.kind, at.kind, at.id, limit}
		},
		names: addressesIn,
		found: func(at place) error {
			return execEach(ctx, tx, "UPDATE quarantine SET raw=NULL WHERE shop_id=? AND kind=? AND id=?", [][]any{{at.shop, at.kind, at.id}})
		},
	}.next(ctx, tx, e, limit)
}

const strayPages = 10 // pages of records that are only looked at fit into one transaction

// strays blanks records of other people's accounts that name an erased address. No index leads to them.
func strays(table string, kind crm.Kind) phase {
	return func(ctx context.Context, tx *store.Tx, e *erasure, limit int) (bool, error) {
		limit *= strayPages
		return lookThrough{
			query: func(at place) (string, []any) {
				return "SELECT '-' AS kind, id, email_norm AS body FROM " + table + " WHERE shop_id=? AND id>? AND email_norm<>'' ORDER BY id LIMIT ?", []any{at.shop, at.id, limit}
			},
			names: func(norm []byte) []string { return []string{string(norm)} },
			found: func(at place) error {
				if err := execEach(ctx, tx, "UPDATE "+table+" SET "+blank(table)+", hash=NULL WHERE shop_id=? AND id=?", [][]any{{at.shop, at.id}}); err != nil {
					return err
				}
				return eraseBodies(ctx, tx, at.shop, kind, []string{at.id})
			},
		}.next(ctx, tx, e, limit)
	}
}

// lookThrough goes through the rows of every shop that may name an erased address.
type lookThrough struct {
	query func(at place) (string, []any) // the next rows of a shop: kind, id and body
	names func(body []byte) []string     // addresses in a body, normalised
	found func(at place) error
}

// next does the next page. It moves the erasure's position and tells whether there may be more.
func (l lookThrough) next(ctx context.Context, tx *store.Tx, e *erasure, limit int) (bool, error) {
	g, err := openGraves(ctx, tx, e.AudienceID)
	if err != nil || g == nil {
		return false, err
	}
	shops, err := shopsOf(ctx, tx, e.AudienceID)
	if err != nil {
		return false, err
	}
	at := parsePlace(e.Position)
	for _, shop := range shops {
		if shop < at.shop {
			continue
		}
		if shop > at.shop {
			at = place{shop: shop}
		}
		last, n, err := l.page(ctx, tx, g, at)
		if err != nil {
			return false, err
		}
		if n == limit {
			e.Position = last.String()
			return true, nil
		}
	}
	return false, nil
}

func (l lookThrough) page(ctx context.Context, tx *store.Tx, g *graves, at place) (last place, n int, err error) {
	var rows []struct {
		Kind string
		ID   string
		Body []byte
	}
	query, args := l.query(at)
	if err := tx.SelectContext(ctx, &rows, query, args...); err != nil {
		return at, 0, err
	}
	named := make([][]string, len(rows))
	for i, r := range rows {
		named[i] = l.names(r.Body)
	}
	hit, err := g.namesErased(ctx, tx, named)
	if err != nil {
		return at, 0, err
	}
	for i, r := range rows {
		last = place{at.shop, r.Kind, r.ID}
		if hit[i] {
			if err := l.found(last); err != nil {
				return at, 0, err
			}
		}
	}
	return last, len(rows), nil
}

// place is how far the look through quarantine is.
type place struct {
	shop     int64
	kind, id string
}

func (p place) String() string { return fmt.Sprintf("%d %s %s", p.shop, p.kind, p.id) }

func parsePlace(text string) place {
	parts := slices.Concat(strings.SplitN(text, " ", 3), []string{"", ""})
	var p place
	if _, err := fmt.Sscan(parts[0], &p.shop); err != nil {
		return place{}
	}
	p.kind, p.id = parts[1], parts[2]
	return p
}
