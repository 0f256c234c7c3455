package mailer

import (
	"context"
	"fmt"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// Waiting is what the ledger holds that has not been handed over, and when something was last.
type Waiting struct {
	Mails      int64
	LastHanded crm.Instant // 0 = never
}

// CountWaiting counts the mails that wait. Called by the command line before a copied database is adopted.
func CountWaiting(ctx context.Context, q store.Queryer) (w Waiting, err error) {
	if err = q.GetContext(ctx, &w.Mails, "SELECT COUNT(*) FROM sends WHERE state IN ('ready','deferred')"); err == nil {
		err = q.GetContext(ctx, &w.LastHanded, "SELECT COALESCE(MAX(handed_at), 0) FROM sends")
	}
	if err != nil {
		return w, fmt.Errorf("counting the mails that wait: %w", err)
	}
	return w, nil
}
