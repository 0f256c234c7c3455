package segments

import (
	"context"
	"fmt"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

// hides is how long ago a change may have been that a mark of another cause still speaks of.
const hides = 24 * time.Hour

// touch tells campaigns that facts start of the contacts whose marks this transaction clears. It is the only signal, and
// it is written with the memberships: what is settled is told.
func (m *Maintainer) touch(ctx context.Context, tx *store.Tx, settled []*settling, left map[int64]bool, now crm.Instant) error {
	if m.told != nil {
		var changed []int64
		for _, c := range settled {
			if !left[c.id] && c.mark != nil && c.done {
				changed = append(changed, c.id)
			}
		}
		if err := m.told(ctx, tx, changed); err != nil {
			return err
		}
	}
	if m.listening == nil {
		return nil
	}
	var touches []mirror.Touch
	for _, c := range settled {
		if !left[c.id] && c.profile != nil && c.mark != nil && c.done && telling(*c.mark, now) {
			touches = append(touches, mirror.Touch{ContactID: c.id, SourceAt: c.mark.SourceAt})
		}
	}
	if len(touches) == 0 {
		return nil
	}
	listening, err := m.listening(ctx, tx)
	if err != nil {
		return fmt.Errorf("asking whether campaigns listen: %w", err)
	}
	if !listening {
		return nil
	}
	return mirror.WriteTouches(ctx, tx, touches)
}

// telling: a change, an answer, and a merge, whose facts may have been on their way. Of history only what is so young that
// it may hide a change: a mark has one cause, the strongest. Campaigns look at the facts' own instants, so that nothing is
// started by looking once too often.
func telling(d mirror.Dirty, now crm.Instant) bool {
	return d.Cause.Triggers() || d.Cause == crm.CauseMerge || d.Cause == crm.CauseBackfill && d.SourceAt.Add(hides) > now
}
