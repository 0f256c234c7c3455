package mirror

import (
	"context"
	"fmt"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

const maxID = 128 // runes of a record's id in hints, source_records and quarantine

// AddHints queues re-reads; a record already queued is coalesced (its generation grows). An id too long to be one is
// left out: a webhook is only a hint.
func (m *Mirror) AddHints(ctx context.Context, tx *store.Tx, shopID int64, refs []crm.Ref, at crm.Instant) error {
	return m.addHints(ctx, tx, shopID, refs, at, "")
}

// AddRedefined queues re-reads that may trigger nothing, because the mapping changed and not the record. A re-read that
// is queued for a change stays one.
func (m *Mirror) AddRedefined(ctx context.Context, tx *store.Tx, shopID int64, refs []crm.Ref, at crm.Instant) error {
	return m.addHints(ctx, tx, shopID, refs, at, crm.CauseRedefined)
}

func (m *Mirror) addHints(ctx context.Context, tx *store.Tx, shopID int64, refs []crm.Ref, at crm.Instant, cause crm.Cause) error {
	seen := make(map[crm.Ref]bool, len(refs))
	rows := make([][]any, 0, len(refs))
	for _, r := range refs {
		if seen[r] || r.ID == "" || len(r.ID) > maxID || len(r.Kind) > 16 {
			continue
		}
		seen[r] = true
		rows = append(rows, []any{shopID, string(r.Kind), r.ID, tx.NewID(), at, at, string(cause)})
	}
	d := tx.Dialect()
	clause := d.OnConflict("shop_id", "kind", "id") +
		"generation=" + d.Refused("generation") + ", wanted_at=" + d.Refused("wanted_at") +
		", cause=CASE WHEN " + d.Refused("cause") + "='' THEN '' ELSE hints.cause END" +
		", next_at=CASE WHEN " + d.Refused("next_at") + "<hints.next_at THEN " + d.Refused("next_at") + " ELSE hints.next_at END"
	if err := tx.InsertOr(ctx, "hints", []string{"shop_id", "kind", "id", "generation", "wanted_at", "next_at", "cause"}, clause, rows); err != nil {
		return fmt.Errorf("queueing re-reads: %w", err)
	}
	return nil
}

// DueHints lists re-reads due at now, oldest first.
func (m *Mirror) DueHints(ctx context.Context, shopID int64, now crm.Instant, limit int) ([]Hint, error) {
	var out []Hint
	if err := m.db.Read().SelectContext(ctx, &out,
		"SELECT shop_id, kind, id, generation, attempts, cause FROM hints WHERE shop_id=? AND next_at<=? ORDER BY next_at, kind, id LIMIT ?", shopID, now, limit); err != nil {
		return nil, fmt.Errorf("reading due re-reads: %w", err)
	}
	return out, nil
}

// DoneHint removes a hint unless it was asked for again meanwhile (generation).
func (m *Mirror) DoneHint(ctx context.Context, tx *store.Tx, h Hint) error {
	if _, err := tx.ExecContext(ctx, "DELETE FROM hints WHERE shop_id=? AND kind=? AND id=? AND generation=?", h.ShopID, string(h.Kind), h.ID, h.Generation); err != nil {
		return err
	}
	return forgetDelivered(ctx, tx, h)
}

// FailHint postpones a hint, unless it was asked for again meanwhile.
func (m *Mirror) FailHint(ctx context.Context, tx *store.Tx, h Hint, next crm.Instant, cause error) error {
	_, err := tx.ExecContext(ctx, "UPDATE hints SET attempts=attempts+1, next_at=?, error=? WHERE shop_id=? AND kind=? AND id=? AND generation=?",
		next, clip(cause.Error(), 1000), h.ShopID, string(h.Kind), h.ID, h.Generation)
	return err
}
