package segments

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

type dueRow struct {
	ContactID int64       `db:"contact_id"`
	DueAt     crm.Instant `db:"due_at"`
}

// dueBatch gives up to limit contacts of the lanes whose instant has come, oldest first. Each lane is walked along its
// index and stops early, so that a second in which a million contacts are due costs each step the same.
func dueBatch(ctx context.Context, q store.Queryer, lanes []int, now crm.Instant, limit int) ([]dueRow, error) {
	each := 2*limit/len(lanes) + 8
	parts := make([]string, len(lanes))
	for i, lane := range lanes {
		parts[i] = fmt.Sprintf("SELECT * FROM (SELECT contact_id, due_at FROM segment_due WHERE lane=%d AND due_at<=%d ORDER BY due_at LIMIT %d) l%d", lane, now, each, lane)
	}
	var out []dueRow
	if err := q.SelectContext(ctx, &out, strings.Join(parts, " UNION ALL ")); err != nil {
		return nil, fmt.Errorf("reading due contacts: %w", err)
	}
	slices.SortFunc(out, func(a, b dueRow) int {
		return cmp.Or(cmp.Compare(a.DueAt, b.DueAt), cmp.Compare(a.ContactID, b.ContactID))
	})
	return out[:min(limit, len(out))], nil
}

// firstDue is the earliest due instant of the lanes; crm.Never when there is none.
func firstDue(ctx context.Context, q store.Queryer, lanes []int) (crm.Instant, error) {
	parts := make([]string, len(lanes))
	for i, lane := range lanes {
		parts[i] = fmt.Sprintf("SELECT MIN(due_at) AS d FROM segment_due WHERE lane=%d", lane)
	}
	var first sql.NullInt64
	if err := q.GetContext(ctx, &first, "SELECT MIN(d) FROM ("+strings.Join(parts, " UNION ALL ")+") x"); err != nil {
		return 0, fmt.Errorf("reading the next due instant: %w", err)
	}
	if !first.Valid {
		return crm.Never, nil
	}
	return crm.Instant(first.Int64), nil
}

func dueIDs(due []dueRow) []int64 {
	ids := make([]int64, len(due))
	for i, d := range due {
		ids[i] = d.ContactID
	}
	return ids
}
