package mirror

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// QuarantineRow is a record that could not be applied. Its body is asked for apart.
type QuarantineRow struct {
	Kind     crm.Kind
	ID       string      // of the shop; "?…" when even that could not be read
	Reason   string      // says nothing personal
	FirstAt  crm.Instant `db:"first_at"`
	LastAt   crm.Instant `db:"last_at"` // when it last came with another body or for another reason
	Attempts int64
	HasRaw   bool `db:"has_raw"` // false when the body was not kept, or its person was erased
}

// After is what the next page begins after.
func (r QuarantineRow) After() string { return string(r.Kind) + "/" + r.ID }

// Retryable tells whether the shop can be asked for the record again.
func (r QuarantineRow) Retryable() bool { return r.ID != "" && !strings.HasPrefix(r.ID, "?") }

const quarantineCols = "kind, id, reason, first_at, last_at, attempts, CASE WHEN raw IS NULL THEN 0 ELSE 1 END AS has_raw"

// Quarantined pages through what is in quarantine of a shop, by kind and id; kind "" means every kind. after is After of
// the page before's last row (with a kind, its id will do, too), "" for the first page.
func (m *Mirror) Quarantined(ctx context.Context, shopID int64, kind crm.Kind, after string, limit int) ([]QuarantineRow, error) {
	query, args := "SELECT "+quarantineCols+" FROM quarantine WHERE shop_id=?", []any{shopID}
	if kind != "" {
		query, args = query+" AND kind=? AND id>?", append(args, string(kind), strings.TrimPrefix(after, string(kind)+"/"))
	} else if k, id, ok := strings.Cut(after, "/"); ok {
		query, args = query+" AND (kind>? OR kind=? AND id>?)", append(args, k, k, id)
	}
	var out []QuarantineRow
	if err := m.db.Read().SelectContext(ctx, &out, query+" ORDER BY kind, id LIMIT ?", append(args, limit)...); err != nil {
		return nil, fmt.Errorf("listing quarantine: %w", err)
	}
	return out, nil
}

// QuarantineRaw gives one record of quarantine with its body as the shop sent it, which may hold personal data; nil when it
// was not kept. ErrNotFound.
func (m *Mirror) QuarantineRaw(ctx context.Context, shopID int64, ref crm.Ref) (QuarantineRow, []byte, error) {
	var row struct {
		QuarantineRow

		Raw []byte
	}
	err := m.db.Read().GetContext(ctx, &row, "SELECT "+quarantineCols+", raw FROM quarantine WHERE shop_id=? AND kind=? AND id=?", shopID, string(ref.Kind), ref.ID)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return QuarantineRow{}, nil, fmt.Errorf("reading quarantine: %w", err)
	}
	return row.QuarantineRow, row.Raw, nil
}

// RetryQuarantine has the shop's engine read records again, and tells how many: those in quarantine whose id can be read.
// Whatever the shop shows by then is applied, or stays in quarantine with its new reason.
func (m *Mirror) RetryQuarantine(ctx context.Context, shopID int64, refs []crm.Ref, at crm.Instant) (int, error) {
	var queued int
	err := m.db.Write(ctx, "mirror.retry", func(tx *store.Tx) error {
		byKind := map[crm.Kind][]string{}
		for _, r := range refs {
			byKind[r.Kind] = append(byKind[r.Kind], r.ID)
		}
		var again []crm.Ref
		for kind, ids := range byKind {
			for len(ids) > 0 {
				n := min(len(ids), 500)
				found, err := m.QuarantinedIDs(ctx, tx, shopID, kind, ids[:n])
				if err != nil {
					return err
				}
				for _, id := range found {
					if (QuarantineRow{ID: id}).Retryable() {
						again = append(again, crm.Ref{Kind: kind, ID: id})
					}
				}
				ids = ids[n:]
			}
		}
		queued = len(again)
		return m.AddHints(ctx, tx, shopID, again, at)
	})
	if err != nil {
		return 0, fmt.Errorf("retrying what is in quarantine: %w", err)
	}
	return queued, nil
}
