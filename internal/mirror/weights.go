package mirror

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// FreshMarks gives up to limit marks of the lanes whose cause may start campaigns, oldest first: what just happened, and
// goes before history, catalogues and thresholds however many contacts those have marked.
func (m *Mirror) FreshMarks(ctx context.Context, q store.Queryer, lanes []int, limit int) ([]Dirty, error) {
	if len(lanes) == 0 || limit <= 0 {
		return nil, nil
	}
	each := 2*limit/len(lanes) + 8
	var parts []string
	for _, lane := range lanes {
		for _, cause := range []crm.Cause{crm.CauseChange, crm.CauseConsent} {
			parts = append(parts, fmt.Sprintf("SELECT * FROM (SELECT contact_id, generation, source_at, marked_at, cause FROM dirty WHERE lane=%d AND cause='%s' ORDER BY marked_at LIMIT %d) %s%d",
				lane, cause, each, cause, lane))
		}
	}
	var out []Dirty
	if err := q.SelectContext(ctx, &out, strings.Join(parts, " UNION ALL ")); err != nil {
		return nil, fmt.Errorf("reading fresh marks: %w", err)
	}
	slices.SortFunc(out, func(a, b Dirty) int {
		return cmp.Or(cmp.Compare(a.MarkedAt, b.MarkedAt), cmp.Compare(a.ContactID, b.ContactID))
	})
	return out[:min(limit, len(out))], nil
}

// Weights estimates how many facts a profile of each contact holds, from statistics: orders, and events where they are
// needed. Contacts without any are left out. Whoever loads many contacts at once asks it first (≤ 500 ids).
func (m *Mirror) Weights(ctx context.Context, q store.Queryer, ids []int64, n crm.Needs) (map[int64]int64, error) {
	out := map[int64]int64{}
	if len(ids) == 0 {
		return out, nil
	}
	var parts []string
	if n.Orders || n.Lines || n.Source {
		parts = append(parts, "SELECT contact_id, orders AS facts FROM contact_stats WHERE contact_id IN ("+idList(ids)+")")
	}
	if len(n.Events) > 0 {
		parts = append(parts, "SELECT contact_id, COUNT(*) AS facts FROM events WHERE contact_id IN ("+idList(ids)+") GROUP BY contact_id")
	}
	if parts == nil {
		return out, nil
	}
	var rows []struct {
		ContactID int64 `db:"contact_id"`
		Facts     int64
	}
	if err := q.SelectContext(ctx, &rows, strings.Join(parts, " UNION ALL ")); err != nil {
		return nil, fmt.Errorf("weighing contacts: %w", err)
	}
	for _, r := range rows {
		out[r.ContactID] += r.Facts
	}
	return out, nil
}

// Buyers pages through the live contacts of an audience that have a sale, by id.
func (m *Mirror) Buyers(ctx context.Context, q store.Queryer, audienceID, after int64, limit int) ([]int64, error) {
	var ids []int64
	if err := q.SelectContext(ctx, &ids, `SELECT DISTINCT t.contact_id FROM contact_stats t JOIN contacts c ON c.id=t.contact_id
 WHERE t.contact_id>? AND t.sales>0 AND c.audience_id=? AND c.live=1 ORDER BY t.contact_id LIMIT ?`, after, audienceID, limit); err != nil {
		return nil, fmt.Errorf("listing buyers: %w", err)
	}
	return ids, nil
}

// AudienceIDs lists the audiences.
func (m *Mirror) AudienceIDs(ctx context.Context, q store.Queryer) ([]int64, error) {
	var ids []int64
	if err := q.SelectContext(ctx, &ids, "SELECT id FROM audiences ORDER BY id"); err != nil {
		return nil, fmt.Errorf("listing audiences: %w", err)
	}
	return ids, nil
}
