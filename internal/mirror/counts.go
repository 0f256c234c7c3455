package mirror

import (
	"context"
	"fmt"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
)

// tableOf is the table of a kind's records.
func tableOf(kind crm.Kind) string {
	switch kind {
	case crm.KindCustomer:
		return "customers"
	case crm.KindOrder:
		return "orders"
	case crm.KindRefund:
		return "refunds"
	case crm.KindCart:
		return "carts"
	case crm.KindProduct:
		return "products"
	case crm.KindCategory:
		return "categories"
	case crm.KindEvent:
		return "events"
	case crm.KindConsent:
		return "statements"
	}
	return ""
}

// Counts says per kind what the shop has, what is mirrored, what is quarantined (and not mirrored as it was before)
// and what is there without its person, who was erased: source = mirrored + quarantined + erased.
// What the shop has is the newer of what the kind's complete id list said and of the sum over its reading streams
// (WooCommerce: orders of any status, and those in its bin), which is as old as the oldest of its parts. A stream that
// brings parts of records says nothing of how many there are.
func (m *Mirror) Counts(ctx context.Context, shopID int64) ([]Count, error) {
	source, err := m.sourceCounts(ctx, shopID)
	if err != nil {
		return nil, err
	}
	out := make([]Count, 0, len(crm.Kinds()))
	for _, kind := range crm.Kinds() {
		table := tableOf(kind)
		if table == "" {
			continue
		}
		c := Count{Kind: kind, Source: source[kind]}
		if err := m.db.Read().GetContext(ctx, &c.Mirrored, "SELECT COUNT(*) FROM "+table+" WHERE shop_id=? AND gone_at=0", shopID); err != nil {
			return nil, fmt.Errorf("counting what is mirrored: %w", err)
		}
		if marksErased(table) {
			if err := m.db.Read().GetContext(ctx, &c.Erased, "SELECT COUNT(*) FROM "+table+" WHERE shop_id=? AND gone_at=0 AND erased_at>0", shopID); err != nil {
				return nil, fmt.Errorf("counting what is erased: %w", err)
			}
			c.Mirrored -= c.Erased
		}
		if err := m.db.Read().GetContext(ctx, &c.Quarantined, `SELECT COUNT(*) FROM quarantine q WHERE q.shop_id=? AND q.kind=?
 AND NOT EXISTS (SELECT 1 FROM `+table+` r WHERE r.shop_id=q.shop_id AND r.id=q.id AND r.gone_at=0)`, shopID, kind); err != nil {
			return nil, fmt.Errorf("counting what is quarantined: %w", err)
		}
		out = append(out, c)
	}
	return out, nil
}

func (m *Mirror) sourceCounts(ctx context.Context, shopID int64) (map[crm.Kind]int64, error) {
	streams, err := m.Streams(ctx, shopID)
	if err != nil {
		return nil, err
	}
	type tally struct {
		n       int64
		counted crm.Instant
	}
	listed, read := map[crm.Kind]tally{}, map[crm.Kind]tally{}
	for _, s := range streams {
		if s.Part {
			continue
		}
		into := read
		if s.Mode == connectors.ModeIDs {
			into = listed
		}
		sum, more := into[s.Kind]
		if !more {
			sum.counted = s.CountedAt
		}
		into[s.Kind] = tally{sum.n + s.SourceCount, min(sum.counted, s.CountedAt)}
	}
	out := map[crm.Kind]int64{}
	for kind, t := range read {
		out[kind] = t.n
	}
	for kind, t := range listed {
		if t.counted > read[kind].counted {
			out[kind] = t.n
		}
	}
	return out, nil
}

// LiveIDs pages through the ids of a kind that are not gone, in the order of the id text (by bytes).
func (m *Mirror) LiveIDs(ctx context.Context, shopID int64, kind crm.Kind, after string, limit int) ([]string, error) {
	table := tableOf(kind)
	if table == "" {
		return nil, fmt.Errorf("listing ids: %q is no kind", kind)
	}
	var ids []string
	if err := m.db.Read().SelectContext(ctx, &ids, "SELECT id FROM "+table+" WHERE shop_id=? AND id>? AND gone_at=0 ORDER BY id LIMIT ?", shopID, after, limit); err != nil {
		return nil, fmt.Errorf("listing ids: %w", err)
	}
	return ids, nil
}
