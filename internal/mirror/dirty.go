package mirror

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// DirtyBatch gives up to limit marks of the lanes, oldest first (in a backlog each lane gives its oldest few). An empty
// answer means that there is none.
func (m *Mirror) DirtyBatch(ctx context.Context, q store.Queryer, lanes []int, limit int) ([]Dirty, error) {
	if len(lanes) == 0 || limit <= 0 {
		return nil, nil
	}
	// Each lane is walked along (lane, marked_at) and stops early; over all lanes at once the engine would sort every mark.
	each := 2*limit/len(lanes) + 8
	parts := make([]string, len(lanes))
	for i, lane := range lanes {
		parts[i] = fmt.Sprintf("SELECT * FROM (SELECT contact_id, generation, source_at, marked_at, cause FROM dirty WHERE lane=%d ORDER BY marked_at LIMIT %d) l%d", lane, each, lane)
	}
	var out []Dirty
	if err := q.SelectContext(ctx, &out, strings.Join(parts, " UNION ALL ")); err != nil {
		return nil, fmt.Errorf("reading dirty marks: %w", err)
	}
	slices.SortFunc(out, func(a, b Dirty) int {
		return cmp.Or(cmp.Compare(a.MarkedAt, b.MarkedAt), cmp.Compare(a.ContactID, b.ContactID))
	})
	return out[:min(limit, len(out))], nil
}

// ClearDirty removes marks WHERE generation = ?: a contact marked again meanwhile stays marked.
func (m *Mirror) ClearDirty(ctx context.Context, tx *store.Tx, marks []Dirty) error {
	for page := range slices.Chunk(marks, clearPage) {
		pairs := make([]string, len(page))
		for i, d := range page {
			pairs[i] = fmt.Sprintf("contact_id=%d AND generation=%d", d.ContactID, d.Generation)
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM dirty WHERE "+strings.Join(pairs, " OR ")); err != nil {
			return fmt.Errorf("clearing dirty marks: %w", err)
		}
	}
	return nil
}

const clearPage = 250 // terms of one statement; SQLite allows expressions 1000 deep

// MarkDirty marks contacts. A mark that stands keeps the newest source instant and its age; of two causes the
// stronger stays: backfill over everything (history never triggers), then merge (nor does it), then change, then consent, then the rest.
func (m *Mirror) MarkDirty(ctx context.Context, tx *store.Tx, contactIDs []int64, sourceAt, now crm.Instant, cause crm.Cause) error {
	at := make(map[int64]crm.Instant, len(contactIDs))
	for _, id := range contactIDs {
		at[id] = sourceAt
	}
	return markDirty(ctx, tx, at, now, cause)
}

// MarkDirtyAt is MarkDirty for contacts that each have a source instant of their own.
func (m *Mirror) MarkDirtyAt(ctx context.Context, tx *store.Tx, at map[int64]crm.Instant, now crm.Instant, cause crm.Cause) error {
	return markDirty(ctx, tx, at, now, cause)
}

// markDirty marks each contact with its own source instant. An instant after now counts as now: what a shop dates
// into the future is seen today all the same.
func markDirty(ctx context.Context, tx *store.Tx, at map[int64]crm.Instant, now crm.Instant, cause crm.Cause) error {
	rows := make([][]any, 0, len(at))
	for _, id := range slices.Sorted(maps.Keys(at)) { // one order of locking for all
		source := at[id]
		if id == 0 {
			continue
		}
		if source == 0 || source > now {
			source = now
		}
		rows = append(rows, []any{id, crm.LaneOf(id), tx.NewID(), source, now, string(cause)})
	}
	d := tx.Dialect()
	clause := d.OnConflict("contact_id") + "generation=" + d.Refused("generation") +
		", source_at=CASE WHEN " + d.Refused("source_at") + ">dirty.source_at THEN " + d.Refused("source_at") + " ELSE dirty.source_at END" +
		", cause=CASE WHEN " + causeRank(d.Refused("cause")) + ">" + causeRank("dirty.cause") + " THEN " + d.Refused("cause") + " ELSE dirty.cause END"
	if err := tx.InsertOr(ctx, "dirty", []string{"contact_id", "lane", "generation", "source_at", "marked_at", "cause"}, clause, rows); err != nil {
		return fmt.Errorf("marking contacts dirty: %w", err)
	}
	return nil
}

func causeRank(expr string) string {
	return "(CASE " + expr + " WHEN 'backfill' THEN 4 WHEN 'merge' THEN 3 WHEN 'change' THEN 2 WHEN 'consent' THEN 1 ELSE 0 END)"
}

// DirtyStats gives the number of marks and the oldest (0 when none).
func (m *Mirror) DirtyStats(ctx context.Context) (n int64, oldest crm.Instant, err error) {
	var row struct {
		N      int64
		Oldest crm.Instant
	}
	if err := m.db.Read().GetContext(ctx, &row, "SELECT COUNT(*) AS n, COALESCE(MIN(marked_at),0) AS oldest FROM dirty"); err != nil {
		return 0, 0, fmt.Errorf("counting dirty marks: %w", err)
	}
	return row.N, row.Oldest, nil
}
