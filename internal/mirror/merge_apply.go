package mirror

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// merging is what applying a batch knows of merges: records of a merged contact are another's, but its consents stay its
// own, for they are about its address.
type merging struct {
	redirect map[int64]int64  // merged contact → whose its records are
	own      map[string]int64 // account of a merged contact → that contact
}

// owner is the contact that records of a contact belong to: itself unless it is merged.
func (a *applying) owner(contact int64) int64 {
	if to, merged := a.merging.redirect[contact]; merged {
		return to
	}
	return contact
}

// ownContact is the contact of an account's own address.
func (a *applying) ownContact(account string) int64 {
	if id, merged := a.merging.own[account]; merged {
		return id
	}
	return a.accounts[account]
}

// findOwn learns the contacts of the own addresses of stored accounts, or of what stored orders name, where that contact
// is merged.
func (a *applying) findOwn(kind crm.Kind, ids []string, into map[string]int64) error {
	if !a.shop.Merges {
		return nil
	}
	text := `SELECT k.id, o.id FROM customers k JOIN contacts o ON o.audience_id=? AND o.email_norm=k.email_norm AND o.merged_into<>0
 WHERE k.shop_id=? AND k.gone_at=0 AND k.id IN (%)`
	if kind == crm.KindOrder {
		text = `SELECT r.id, o.id FROM orders r LEFT JOIN customers k ON k.shop_id=r.shop_id AND k.id=r.customer_id AND k.gone_at=0 AND k.contact_id<>0
 JOIN contacts o ON o.audience_id=? AND o.email_norm=COALESCE(k.email_norm, r.email_norm) AND o.merged_into<>0 WHERE r.shop_id=? AND r.gone_at=0 AND r.id IN (%)`
	}
	if err := readIn(a.ctx, a.tx, text, []any{a.shop.Audience, a.b.ShopID}, ids, func(r *sqlx.Rows) error {
		var id string
		var contact int64
		err := r.Scan(&id, &contact)
		into[id] = contact
		return err
	}); err != nil {
		return fmt.Errorf("finding whose address it is: %w", err)
	}
	return nil
}

// mergedInto gives, of the contacts that are merged, into which.
func mergedInto(ctx context.Context, tx *store.Tx, ids []int64) (map[int64]int64, error) {
	out := map[int64]int64{}
	err := readIn(ctx, tx, "SELECT id, merged_into FROM contacts WHERE merged_into<>0 AND id IN (%)", nil, ids, func(r *sqlx.Rows) error {
		var id, to int64
		err := r.Scan(&id, &to)
		out[id] = to
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("finding merges: %w", err)
	}
	return out, nil
}

// consentsOfMerged notes that a consent of a merged contact concerns the other one, too.
func (a *applying) consentsOfMerged() error {
	if !a.shop.Merges {
		return nil
	}
	ids := make([]int64, 0, len(a.consents))
	for id := range a.consents {
		ids = append(ids, id)
	}
	into, err := mergedInto(a.ctx, a.tx, ids)
	for from, to := range into {
		a.consents[to] = max(a.consents[to], a.consents[from])
	}
	return err
}

// cautious lowers the consents of contacts that others are merged into: what one of the addresses has withdrawn is
// withdrawn for all. What one has granted is not carried over to another.
func (l *loading) cautious(ctx context.Context) error {
	return read(ctx, l.q, `SELECT m.to_id, s.topic, s.channel, s.basis, s.source_at FROM contact_merges m
 JOIN consent_state s ON s.contact_id=m.from_id AND s.state='`+crm.ConsentWithdrawn+`' WHERE m.`+inForce+" AND m.to_id IN "+l.in+" ORDER BY m.to_id, s.topic, s.channel, s.source_at DESC",
		nil, func(r *sqlx.Rows) error {
			var id int64
			c := crm.ConsentState{State: crm.ConsentWithdrawn}
			if err := r.Scan(&id, &c.Topic, &c.Channel, &c.Basis, &c.SourceAt); err != nil {
				return err
			}
			if p := l.profiles[id]; p != nil {
				p.Consents = lowered(p.Consents, c)
			}
			return nil
		})
}

func lowered(list []crm.ConsentState, c crm.ConsentState) []crm.ConsentState {
	for i := range list {
		if list[i].Topic == c.Topic && list[i].Channel == c.Channel {
			if list[i].State != crm.ConsentWithdrawn {
				list[i] = c
			}
			return list
		}
	}
	return append(list, c)
}
