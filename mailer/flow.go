package mailer

import (
	"context"
	"fmt"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
)

// Flow is when an audience's last mail left, and when its provider last told of one; 0 = never.
type Flow struct{ LastHanded, LastEvent crm.Instant }

// FlowOf reads it. mirror.ErrNotFound when there is no such audience yet. Called by the command line.
func FlowOf(ctx context.Context, m *mirror.Mirror, audience string) (f Flow, err error) {
	q := m.DB().Read()
	var ids []int64
	if err := q.SelectContext(ctx, &ids, "SELECT id FROM audiences WHERE name=?", audience); err != nil {
		return f, fmt.Errorf("looking for an audience: %w", err)
	}
	if len(ids) == 0 {
		return f, mirror.ErrNotFound
	}
	if err := q.GetContext(ctx, &f.LastHanded, "SELECT COALESCE(MAX(handed_at), 0) FROM sends WHERE audience_id=?", ids[0]); err != nil {
		return f, fmt.Errorf("asking when mails left: %w", err)
	}
	if err := q.GetContext(ctx, &f.LastEvent, "SELECT COALESCE(MAX(hour_at), 0) FROM event_flow WHERE audience_id=? AND source<>?", ids[0], SourceOwn); err != nil {
		return f, fmt.Errorf("asking when events came: %w", err)
	}
	return f, nil
}
