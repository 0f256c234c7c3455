package inbox

import (
	"context"
	"fmt"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

func insert(ctx context.Context, tx *store.Tx, ds []delivery) error {
	rows := make([][]any, 0, len(ds))
	for _, d := range ds {
		var first crm.Ref
		if len(d.refs) > 0 {
			first = d.refs[0]
		}
		rows = append(rows, []any{tx.NewID(), d.shopID, string(first.Kind), first.ID, d.topic, int64(d.at), d.body})
	}
	err := tx.Insert(ctx, "inbox", []string{"id", "shop_id", "kind", "record_id", "topic", "received_at", "body"}, rows)
	if err != nil {
		return fmt.Errorf("storing webhooks: %w", err)
	}
	return nil
}

// pruneBatch bounds one Prune, so that its transaction stays short.
const pruneBatch = 500

// Prune deletes deliveries of a shop received before an instant, at most a few hundred, and tells whether there may
// be more. The shop's engine calls it when idle; the hints that the deliveries became live on their own.
func Prune(ctx context.Context, db *store.DB, shopID int64, before crm.Instant) (more bool, err error) {
	var old []int64 // ids grow with time, so the oldest come first
	err = db.Read().SelectContext(ctx, &old,
		"SELECT id FROM (SELECT id, received_at FROM inbox WHERE shop_id=? ORDER BY id LIMIT ?) AS oldest WHERE received_at < ?", shopID, pruneBatch, int64(before))
	if err != nil {
		return false, fmt.Errorf("finding old webhooks: %w", err)
	}
	if len(old) == 0 {
		return false, nil
	}
	err = db.WriteBackground(ctx, "inbox.prune", func(tx *store.Tx) error {
		query, args, err := store.In("DELETE FROM inbox WHERE id IN (?)", old)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, query, args...)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("pruning old webhooks: %w", err)
	}
	return len(old) == pruneBatch, nil
}
