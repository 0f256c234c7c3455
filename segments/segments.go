// Package segments keeps memberships true: the maintainer evaluates contacts whose facts changed and contacts whose
// instant has come, builds new and edited definitions, and records every change for the mailer to consume.
package segments

import (
	"context"
	"fmt"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// Change is one contact entering or leaving a segment. EffectiveAt is the exact instant of a flip by the clock, the
// newest source instant of a flip by data; RecordedAt is the business time at which Relance knew.
type Change struct {
	ID          int64       `db:"id"`
	ContactID   int64       `db:"contact_id"`
	Lane        int         `db:"lane"`
	Segment     string      `db:"segment"`
	Entered     bool        `db:"entered"`
	EffectiveAt crm.Instant `db:"effective_at"`
	RecordedAt  crm.Instant `db:"recorded_at"`
	Cause       crm.Cause   `db:"cause"`
}

// States of a definition's generation.
const (
	StateBuilding = "building" // contacts are being streamed into it; nobody reads it yet
	StateLive     = "live"     // what readers see; at most one per segment
	StateRetired  = "retired"  // superseded or removed after readers saw it: being reconciled with what follows, then deleted
	stateDropped  = "dropped"  // given up before readers saw it: being deleted
	stateGone     = "gone"     // deleted; the row stays, so that its number is never used again
)

const changeColumns = "id, contact_id, lane, segment, entered, effective_at, recorded_at, cause"

// Pending gives up to limit changes of the lanes that may start campaigns and that nobody consumed, oldest first.
// The mailer calls it; only causes for which crm.Cause.Triggers is true are ever pending.
func Pending(ctx context.Context, q store.Queryer, lanes []int, limit int) ([]Change, error) {
	if len(lanes) == 0 || limit <= 0 {
		return nil, nil
	}
	var out []Change
	text, args, err := store.In("SELECT "+changeColumns+" FROM segment_changes WHERE pending=1 AND lane IN (?) ORDER BY id LIMIT ?", lanes, limit)
	if err == nil {
		err = q.SelectContext(ctx, &out, text, args...)
	}
	if err != nil {
		return nil, fmt.Errorf("reading pending segment changes: %w", err)
	}
	return out, nil
}

// ClearPending consumes changes; call it in the transaction that writes what came of them.
func ClearPending(ctx context.Context, tx *store.Tx, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	if _, err := tx.ExecContext(ctx, "UPDATE segment_changes SET pending=0 WHERE id IN ("+list(ids)+")"); err != nil {
		return fmt.Errorf("consuming segment changes: %w", err)
	}
	return nil
}

// IsMember tells whether the contact is in the segment as of the watermark. A segment that is not built yet has no members.
func IsMember(ctx context.Context, q store.Queryer, contactID int64, segment string) (bool, error) {
	var n int
	err := q.GetContext(ctx, &n, `SELECT COUNT(*) FROM memberships m JOIN segment_defs d ON d.segment=m.segment AND d.generation=m.generation
 WHERE m.contact_id=? AND m.segment=? AND d.state='live'`, contactID, segment)
	if err != nil {
		return false, fmt.Errorf("reading a membership: %w", err)
	}
	return n > 0, nil
}

// Watermark is the instant W as of which memberships are exact: every change of facts that was committed, and every
// instant that passed, up to W is in them. It never goes backwards. 0 before the first step.
func Watermark(ctx context.Context, q store.Queryer) (crm.Instant, error) {
	return readMeta(ctx, q, metaWatermark)
}
