package engine

import (
	"context"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/sync/inbox"
)

const (
	inboxKept  = 7 * 24 * time.Hour
	pruneEvery = time.Hour
)

// prune clears old webhooks out of the inbox when there is nothing else to do.
func (e *Engine) prune(ctx context.Context, now time.Time) (worked bool, err error) {
	if at := crm.At(now); e.pruned > 0 && at < e.pruned.Add(pruneEvery) {
		return false, nil
	}
	more, err := inbox.Prune(ctx, e.o.Mirror.DB(), e.shop.ID, crm.At(now.Add(-inboxKept)))
	if err != nil {
		return false, err
	}
	if !more {
		e.pruned = crm.At(now)
	}
	return more, nil
}
