package mirror

import (
	"context"
	"fmt"
	"hash/fnv"

	"github.com/jmoiron/sqlx"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// SourceRecord is a body as kept.
type SourceRecord struct {
	connectors.RawRecord
	ReadAt crm.Instant // observed_at of the read that brought it
}

// rulesVersion is what source_records.norm_version says of the rules by which a body's facts were made.
func rulesVersion(rules string) int64 {
	if rules == "" {
		return 0
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(rules)) // a hash takes everything
	return int64(h.Sum64() >> 1)
}

// outdated tells whether something newer has been read than what the record was made from.
func (a *applying) outdated(r *record) bool {
	if a.b.ReadAt != nil {
		return r.found && r.written > a.b.ReadAt[r.ref]
	}
	return a.b.ObservedAt < a.observed[r.ref.Kind]
}

// readAt is when the read behind a record began, by the shop's clock.
func (a *applying) readAt(r *record) crm.Instant {
	if at, stored := a.b.ReadAt[r.ref]; stored {
		return at
	}
	return a.b.ObservedAt
}

// OutdatedRecords pages through the bodies of a shop whose facts were made by other rules than these, by kind and id after
// the last one seen.
func (m *Mirror) OutdatedRecords(ctx context.Context, shopID int64, rules string, after crm.Ref, limit int) ([]SourceRecord, error) {
	return m.sourceRecords(ctx, `SELECT kind, id, read_at, raw FROM source_records
 WHERE shop_id=? AND (kind>? OR kind=? AND id>?) AND norm_version<>? ORDER BY kind, id LIMIT ?`, shopID, after.Kind, after.Kind, after.ID, rulesVersion(rules), limit)
}

// OutdatedAmong gives those of the records (a page) whose facts were made by other rules than these.
func (m *Mirror) OutdatedAmong(ctx context.Context, shopID int64, rules string, refs []crm.Ref) ([]SourceRecord, error) {
	byKind := map[crm.Kind][]string{}
	for _, r := range refs {
		byKind[r.Kind] = append(byKind[r.Kind], r.ID)
	}
	var out []SourceRecord
	for _, kind := range crm.Kinds() {
		if len(byKind[kind]) == 0 {
			continue
		}
		text, args, err := store.In("SELECT kind, id, read_at, raw FROM source_records WHERE shop_id=? AND kind=? AND norm_version<>? AND id IN (?) ORDER BY id",
			shopID, kind, rulesVersion(rules), byKind[kind])
		if err != nil {
			return nil, err
		}
		some, err := m.sourceRecords(ctx, text, args...)
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	return out, nil
}

func (m *Mirror) sourceRecords(ctx context.Context, text string, args ...any) ([]SourceRecord, error) {
	var out []SourceRecord
	err := read(ctx, m.db.Read(), text, args, func(r *sqlx.Rows) error {
		var s SourceRecord
		var raw []byte
		if err := r.Scan(&s.Ref.Kind, &s.Ref.ID, &s.ReadAt, &raw); err != nil {
			return err
		}
		var err error
		s.Body, err = Unpack(raw)
		out = append(out, s)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading source records: %w", err)
	}
	return out, nil
}

// CountOutdated is how many bodies of a shop were normalised by other rules than these.
func (m *Mirror) CountOutdated(ctx context.Context, shopID int64, rules string) (n int, err error) {
	if err := m.db.Read().GetContext(ctx, &n, "SELECT COUNT(*) FROM source_records WHERE shop_id=? AND norm_version<>?", shopID, rulesVersion(rules)); err != nil {
		return 0, fmt.Errorf("counting source records: %w", err)
	}
	return n, nil
}

// MarkNormalised notes that the facts of the bodies were made by these rules. A body that was read anew meanwhile is not
// touched.
func (m *Mirror) MarkNormalised(ctx context.Context, tx *store.Tx, shopID int64, rules string, records []SourceRecord) error {
	rows := make([][]any, 0, len(records))
	for _, s := range records {
		rows = append(rows, []any{rulesVersion(rules), shopID, string(s.Ref.Kind), s.Ref.ID, s.ReadAt})
	}
	if err := execEach(ctx, tx, "UPDATE source_records SET norm_version=? WHERE shop_id=? AND kind=? AND id=? AND read_at=?", rows); err != nil {
		return fmt.Errorf("marking source records: %w", err)
	}
	return nil
}

// Unsourced pages through the live records of a kind whose body is not kept, in quarantine included: only the shop can
// say what they are by new rules. A kind of which no body at all is kept comes within another's.
func (m *Mirror) Unsourced(ctx context.Context, shopID int64, kind crm.Kind, after string, limit int) ([]string, error) {
	table := tableOf(kind)
	if table == "" {
		return nil, nil
	}
	var ids []string
	if err := m.db.Read().SelectContext(ctx, &ids, `SELECT id FROM (
 SELECT id FROM `+table+` t WHERE t.shop_id=? AND t.id>? AND t.gone_at=0 AND EXISTS (SELECT 1 FROM source_records k WHERE k.shop_id=? AND k.kind=?)
  AND NOT EXISTS (SELECT 1 FROM source_records r WHERE r.shop_id=t.shop_id AND r.kind=? AND r.id=t.id)
 UNION SELECT id FROM quarantine q WHERE q.shop_id=? AND q.kind=? AND q.id>? AND q.id NOT LIKE ?) AS missing ORDER BY id LIMIT ?`,
		shopID, after, shopID, kind, kind, shopID, kind, after, "?%", limit); err != nil {
		return nil, fmt.Errorf("listing records without a body: %w", err)
	}
	return ids, nil
}

// SetRules notes that all records of a shop were read by these rules.
func (m *Mirror) SetRules(ctx context.Context, tx *store.Tx, shopID int64, rules string) error {
	if _, err := tx.ExecContext(ctx, "UPDATE shops SET rules=? WHERE id=?", clip(rules, 255), shopID); err != nil {
		return fmt.Errorf("storing a shop's rules: %w", err)
	}
	return nil
}
