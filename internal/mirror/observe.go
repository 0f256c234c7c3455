package mirror

import (
	"context"
	"fmt"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// sent is the row of observations that everybody who brings records without reading the shop writes first: they take
// turns by it. It is no kind of records.
const sent = "sent"

// ObserveNow gives the observed_at of records that came by themselves (pushed, imported) at an instant of our clock. It is told
// by the shop's clock, as reads are, and later than every read of this shop applied so far: what was sent last counts, and a
// read that began earlier and ends later is older than it. Until tx ends, neither the shop's engine nor another sender
// commits anything about the shop. ErrNotFound when there is no such shop.
func (m *Mirror) ObserveNow(ctx context.Context, tx *store.Tx, shopID int64, at crm.Instant) (crm.Instant, error) {
	if err := store.Hold(ctx, tx, store.ShopLease(shopID)); err != nil {
		return 0, err
	}
	n, err := store.Matched(tx.ExecContext(ctx, "UPDATE observations SET observed_at=observed_at+1 WHERE shop_id=? AND kind=?", shopID, sent))
	if err == nil && n == 0 {
		err = again(tx, tx.Insert(ctx, "observations", []string{"shop_id", "kind", "observed_at"}, [][]any{{shopID, sent, 1}}))
	}
	if err != nil {
		return 0, fmt.Errorf("taking turns at a shop: %w", err)
	}
	var row struct {
		Skew int64
		Last crm.Instant
	}
	if err := tx.GetContext(ctx, &row, "SELECT skew_ms AS skew, COALESCE((SELECT MAX(observed_at) FROM observations o WHERE o.shop_id=s.id),0) AS last FROM shops s WHERE s.id=?", shopID); err != nil {
		return 0, fmt.Errorf("finding the shop: %w", notFound(err))
	}
	observed := max(at+crm.Instant(row.Skew), row.Last+1)
	if _, err := tx.ExecContext(ctx, "UPDATE observations SET observed_at=? WHERE shop_id=? AND kind=?", observed, shopID, sent); err != nil {
		return 0, fmt.Errorf("noting an observation: %w", err)
	}
	return observed, nil
}

// SetCurrency stores the currency of a shop that nothing is asked of, once: the first order sent says it.
func (m *Mirror) SetCurrency(ctx context.Context, tx *store.Tx, shopID int64, code string) error {
	if _, err := tx.ExecContext(ctx, "UPDATE shops SET currency=? WHERE id=? AND currency=''", code, shopID); err != nil {
		return fmt.Errorf("storing a shop's currency: %w", err)
	}
	return nil
}

// sendsByItself lists the platforms of shops that nobody reads.
func sendsByItself() []string { return []string{PlatformPush, PlatformImport} }

// Platforms of shops that nobody reads.
const (
	PlatformPush   = "push"   // sends its records
	PlatformImport = "import" // lists that people imported; one per audience, in no file
)
