package mirror

import (
	"context"
	"fmt"
	"slices"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// Coupon is a code that a shop is to make, or whose end it is to know. Its Key names the act in the shop's queue.
type Coupon = connectors.Coupon

// AddCoupons queues the making of codes in a shop, as AddTasks does.
func (m *Mirror) AddCoupons(ctx context.Context, tx *store.Tx, shopID int64, coupons []Coupon, at crm.Instant) error {
	tasks := make([]connectors.Task, len(coupons))
	for i, c := range coupons {
		tasks[i] = connectors.Task{Kind: connectors.TaskCoupon, Key: c.Key()}
	}
	return m.AddTasks(ctx, tx, shopID, tasks, at)
}

// CouponTasks gives what the queue knows of codes, by key.
func (m *Mirror) CouponTasks(ctx context.Context, q store.Queryer, shopID int64, coupons []Coupon) (map[string]TaskRow, error) {
	out := map[string]TaskRow{}
	for some := range slices.Chunk(coupons, 500) {
		keys := make([]string, len(some))
		for i, c := range some {
			keys[i] = c.Key()
		}
		var rows []TaskRow
		text, args, err := store.In(selectTasks+"AND kind=? AND task_key IN (?)", shopID, connectors.TaskCoupon, keys)
		if err == nil {
			err = q.SelectContext(ctx, &rows, text, args...)
		}
		if err != nil {
			return nil, fmt.Errorf("reading what became of codes: %w", err)
		}
		for _, r := range rows {
			out[r.Key] = r
		}
	}
	return out, nil
}

// OldCouponTasks lists the keys of acts that were done before an instant and left nothing to do.
func (m *Mirror) OldCouponTasks(ctx context.Context, q store.Queryer, shopID int64, before crm.Instant, limit int) ([]string, error) {
	var keys []string
	if err := q.SelectContext(ctx, &keys, "SELECT task_key FROM shop_tasks WHERE shop_id=? AND kind=? AND state=? AND mend='' AND done_at<? LIMIT ?",
		shopID, connectors.TaskCoupon, TaskDone, before, limit); err != nil {
		return nil, fmt.Errorf("reading codes that were made: %w", err)
	}
	return keys, nil
}

// DropCouponTasks forgets acts that are done. One that was queued again stays.
func (m *Mirror) DropCouponTasks(ctx context.Context, tx *store.Tx, shopID int64, keys []string) error {
	if err := execIn(ctx, tx, "DELETE FROM shop_tasks WHERE shop_id=? AND kind=? AND state=? AND task_key IN (%)", []any{shopID, connectors.TaskCoupon, TaskDone}, keys); err != nil {
		return fmt.Errorf("forgetting codes that were made: %w", err)
	}
	return nil
}
