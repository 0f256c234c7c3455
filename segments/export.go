package segments

import (
	"context"

	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

// Export reads in which segments persons are and were, for them to read.
func Export(ctx context.Context, q store.Queryer, persons []int64) ([]mirror.Holding, error) {
	return mirror.Hold(ctx, q, persons, []mirror.Question{
		{
			Name: "memberships", Title: "Groups that you are in", From: mirror.FromRelance,
			Query: `SELECT m.segment, m.since AS entered_at FROM memberships m JOIN segment_defs d ON d.segment=m.segment AND d.generation=m.generation AND d.state='live'
 WHERE m.contact_id IN (ids) ORDER BY m.segment`,
		},
		{
			Name: "segment_changes", Title: "When you came into groups and left them", From: mirror.FromRelance,
			Query: "SELECT segment, entered, effective_at, recorded_at, cause FROM segment_changes WHERE contact_id IN (ids) ORDER BY effective_at, id",
		},
	})
}
