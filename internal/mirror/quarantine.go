package mirror

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// Quarantine stores records that cannot be applied, with their raw body and the reason. The same record with the same
// body and reason writes nothing; attempts counts the different tries.
func (m *Mirror) Quarantine(ctx context.Context, tx *store.Tx, shopID int64, rs []connectors.Rejected, at crm.Instant) error {
	byRef := map[crm.Ref]connectors.Rejected{}
	var order []crm.Ref
	for _, r := range rs {
		r.Ref.ID, r.Reason = quarantineID(r), clip(r.Reason, 1000)
		if _, twice := byRef[r.Ref]; !twice {
			order = append(order, r.Ref)
		}
		byRef[r.Ref] = r
	}
	if err := hideErased(ctx, tx, shopID, byRef); err != nil {
		return err
	}
	var rows [][]any
	for _, ref := range order {
		r := byRef[ref]
		same, err := quarantined(ctx, tx, shopID, r)
		if err != nil {
			return fmt.Errorf("reading quarantine: %w", err)
		}
		if !same {
			rows = append(rows, []any{shopID, string(ref.Kind), ref.ID, r.Reason, slices.Clone(r.Raw), at, at, 1})
		}
	}
	d := tx.Dialect()
	clause := d.OnConflict("shop_id", "kind", "id") + "reason=" + d.Refused("reason") + ", raw=" + d.Refused("raw") +
		", last_at=" + d.Refused("last_at") + ", attempts=quarantine.attempts+1"
	if err := tx.InsertOr(ctx, "quarantine", []string{"shop_id", "kind", "id", "reason", "raw", "first_at", "last_at", "attempts"}, clause, rows); err != nil {
		return fmt.Errorf("writing quarantine: %w", err)
	}
	return nil
}

// hideErased takes the bodies away that name erased people: the record is still counted, and its reason names nobody.
func hideErased(ctx context.Context, tx *store.Tx, shopID int64, byRef map[crm.Ref]connectors.Rejected) error {
	if len(byRef) == 0 {
		return nil
	}
	var audience int64
	if err := tx.GetContext(ctx, &audience, "SELECT audience_id FROM shops WHERE id=?", shopID); err != nil {
		return fmt.Errorf("finding the shop: %w", notFound(err))
	}
	g, err := openGraves(ctx, tx, audience)
	if err != nil || g == nil {
		return err
	}
	refs := make([]crm.Ref, 0, len(byRef))
	named := make([][]string, 0, len(byRef))
	for ref, r := range byRef {
		refs, named = append(refs, ref), append(named, addressesIn(r.Raw))
	}
	hit, err := g.namesErased(ctx, tx, named)
	for i, ref := range refs {
		if err == nil && hit[i] {
			r := byRef[ref]
			r.Raw = nil
			byRef[ref] = r
		}
	}
	return err
}

// quarantineID is the record's id; a record whose id cannot be read, or is too long to be one, is known by its content.
func quarantineID(r connectors.Rejected) string {
	if r.Ref.ID != "" && len(r.Ref.ID) <= maxID {
		return r.Ref.ID
	}
	h := sha256.Sum256(append([]byte(r.Ref.ID), r.Raw...))
	return "?" + hex.EncodeToString(h[:12])
}

func quarantined(ctx context.Context, tx *store.Tx, shopID int64, r connectors.Rejected) (same bool, err error) {
	err = read(ctx, tx, "SELECT reason, raw FROM quarantine WHERE shop_id=? AND kind=? AND id=?", []any{shopID, string(r.Ref.Kind), r.Ref.ID}, func(rows *sqlx.Rows) error {
		var reason string
		var raw []byte
		err := rows.Scan(&reason, &raw)
		same = reason == r.Reason && bytes.Equal(raw, r.Raw)
		return err
	})
	return same, err
}

func (a *applying) quarantine() error {
	a.res.Quarantined = len(a.b.Rejected)
	return a.m.Quarantine(a.ctx, a.tx, a.b.ShopID, a.b.Rejected, a.now())
}

// clearQuarantine lets go of records that this batch could apply after all.
func (a *applying) clearQuarantine() error {
	var some bool
	if err := a.tx.GetContext(a.ctx, &some, "SELECT EXISTS(SELECT 1 FROM quarantine WHERE shop_id=?)", a.b.ShopID); err != nil || !some {
		return err
	}
	rejected := map[crm.Ref]bool{}
	for _, r := range a.b.Rejected {
		rejected[r.Ref] = true
	}
	byKind := map[crm.Kind][]string{}
	seen := map[crm.Ref]bool{}
	for _, f := range a.b.Facts {
		if !seen[f.Ref] && !rejected[f.Ref] && !a.skipped[f.Ref] {
			seen[f.Ref] = true
			byKind[f.Ref.Kind] = append(byKind[f.Ref.Kind], f.Ref.ID)
		}
	}
	for kind, ids := range byKind {
		var held []string
		if err := readIn(a.ctx, a.tx, "SELECT id FROM quarantine WHERE shop_id=? AND kind=? AND id IN (%)", []any{a.b.ShopID, string(kind)}, ids, func(r *sqlx.Rows) error {
			var id string
			err := r.Scan(&id)
			held = append(held, id)
			return err
		}); err != nil {
			return fmt.Errorf("reading quarantine: %w", err)
		}
		if err := execIn(a.ctx, a.tx, "DELETE FROM quarantine WHERE shop_id=? AND kind=? AND id IN (%)", []any{a.b.ShopID, string(kind)}, held); err != nil {
			return fmt.Errorf("clearing quarantine: %w", err)
		}
	}
	return nil
}
