package mirror

import (
	"context"
	"fmt"
	"math"
	"strconv"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// LiveIDsBetween lists the decimal ids of a kind that are not gone, after < id ≤ upTo, in numeric order, at most
// limit. Reconciliation calls it once per page of a shop's id list. Ids that are no plain numbers are not seen.
//
// Ids are text: within one length text order is numeric order, so each length is one range of the primary key.
func (m *Mirror) LiveIDsBetween(ctx context.Context, q store.Queryer, shopID int64, kind crm.Kind, after, upTo int64, limit int) ([]string, error) {
	table := tableOf(kind)
	if table == "" {
		return nil, fmt.Errorf("listing mirrored ids: %q is no kind", kind)
	}
	if upTo <= after {
		return nil, nil
	}
	var all []string
	low := strconv.FormatInt(after+1, 10)
	high := strconv.FormatInt(upTo, 10)
	for digits := len(low); digits <= len(high) && len(all) < limit; digits++ {
		from, to := low, high
		if digits > len(low) {
			from = strconv.FormatInt(pow10(digits-1), 10)
		}
		if digits < len(high) {
			to = strconv.FormatInt(pow10(digits)-1, 10)
		}
		var some []string
		err := q.SelectContext(ctx, &some, "SELECT id FROM "+table+
			" WHERE shop_id=? AND id BETWEEN ? AND ? AND LENGTH(id)=? AND gone_at=0 ORDER BY id LIMIT ?", shopID, from, to, digits, limit-len(all))
		if err != nil {
			return nil, fmt.Errorf("listing mirrored ids: %w", err)
		}
		all = append(all, some...)
	}
	return all, nil
}

// pow10 is 10^n for n ≤ 18, the largest length of a 64-bit number.
func pow10(n int) int64 {
	p := int64(1)
	for range min(n, 18) {
		p *= 10
	}
	if n > 18 {
		return math.MaxInt64
	}
	return p
}

// LiveIDsAmong gives those of the ids (at most a page) that are mirrored and not gone.
func (m *Mirror) LiveIDsAmong(ctx context.Context, q store.Queryer, shopID int64, kind crm.Kind, ids []string) ([]string, error) {
	table := tableOf(kind)
	if table == "" {
		return nil, fmt.Errorf("looking up mirrored ids: %q is no kind", kind)
	}
	if len(ids) == 0 {
		return nil, nil
	}
	query, args, err := store.In("SELECT id FROM "+table+" WHERE shop_id=? AND gone_at=0 AND id IN (?)", shopID, ids)
	if err != nil {
		return nil, err
	}
	var found []string
	if err := q.SelectContext(ctx, &found, query, args...); err != nil {
		return nil, fmt.Errorf("looking up mirrored ids: %w", err)
	}
	return found, nil
}

// QuarantinedIDs gives those of the ids that are in quarantine.
func (m *Mirror) QuarantinedIDs(ctx context.Context, q store.Queryer, shopID int64, kind crm.Kind, ids []string) ([]string, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	query, args, err := store.In("SELECT id FROM quarantine WHERE shop_id=? AND kind=? AND id IN (?)", shopID, kind, ids)
	if err != nil {
		return nil, err
	}
	var found []string
	if err := q.SelectContext(ctx, &found, query, args...); err != nil {
		return nil, fmt.Errorf("listing quarantined ids: %w", err)
	}
	return found, nil
}

// LastObserved is the newest read of a shop that has been applied, 0 before the first: whoever takes the shop over
// stamps its reads later than this.
func (m *Mirror) LastObserved(ctx context.Context, shopID int64) (crm.Instant, error) {
	var last crm.Instant
	err := m.db.Read().GetContext(ctx, &last, "SELECT COALESCE(MAX(observed_at),0) FROM observations WHERE shop_id=?", shopID)
	if err != nil {
		return 0, fmt.Errorf("reading the last observation: %w", err)
	}
	return last, nil
}

// SetSkew stores how far the shop's clock is from ours, in milliseconds; the mailer stops sending beyond its limit.
func (m *Mirror) SetSkew(ctx context.Context, tx *store.Tx, shopID, skewMS int64) error {
	if _, err := tx.ExecContext(ctx, "UPDATE shops SET skew_ms=? WHERE id=?", skewMS, shopID); err != nil {
		return fmt.Errorf("storing the clock skew: %w", err)
	}
	return nil
}

// SetBusy stores the share of the shop's time that reading it took over the last 10 minutes, in millionths.
func (m *Mirror) SetBusy(ctx context.Context, tx *store.Tx, shopID, ppm int64) error {
	if _, err := tx.ExecContext(ctx, "UPDATE shops SET busy_ppm=? WHERE id=?", ppm, shopID); err != nil {
		return fmt.Errorf("storing how busy the shop is kept: %w", err)
	}
	return nil
}
