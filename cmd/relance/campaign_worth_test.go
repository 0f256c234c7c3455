package main

import (
	"context"
	"testing"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

func TestWhatACampaignBroughtIsTold(t *testing.T) {
	t.Parallel()
	r := newRig(t).withShop()
	r.must("sync", "--once")
	db := r.database()
	var one struct {
		ContactID int64 `db:"contact_id"`
		ShopID    int64 `db:"shop_id"`
		ID        string
	}
	if err := db.Read().GetContext(t.Context(), &one, "SELECT contact_id, shop_id, id FROM orders WHERE contact_id<>0 AND counts_as_sale=1 LIMIT 1"); err != nil {
		t.Fatal(err)
	}
	buyer, shop, order := one.ContactID, one.ShopID, one.ID
	wants(t, r.must("campaign", "worth", "win_back"), "mails  clicked", "Compared with a holdout: not yet")
	if code, _, errs := r.run("campaign", "worth", "winback"); code != exitUsage {
		t.Errorf("exit %d: %s", code, errs)
	}
	r.must("campaign", "arm", "win_back", "--yes")
	now := crm.At(time.Now())
	if err := db.Write(t.Context(), "test", func(tx *store.Tx) error {
		for table, rows := range map[string]map[string]any{
			"attributed_orders": {"shop_id": shop, "order_id": order, "contact_id": buyer, "lane": 1, "campaign": "win_back", "step": "first", "how": "code", "placed_at": now, "currency": "EUR", "revenue": 4990, "counted": 1},
			"attributed_counts": {"campaign": "win_back", "step": "first", "variants": "try=a", "what": "order", "currency": "EUR", "shard": 1, "number": 1, "amount": 4990},
			"campaign_lifts":    {"campaign": "win_back", "computed_at": now, "span": 14 * 86_400_000, "mailed": 40_000, "mailed_buyers": 2400, "held": 40_000, "held_buyers": 2000},
		} {
			var cols []string
			var values []any
			for c, v := range rows {
				cols, values = append(cols, c), append(values, v)
			}
			if err := tx.Insert(context.Background(), table, cols, [][]any{values}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	wants(t, r.must("campaign", "worth", "win_back"), "step first", "variant try=a", "49.90 EUR", "within 14 days: The campaign brings more buyers: +20 %", "Computed on ", " ago.")
	wants(t, r.must("campaign", "worth", "win_back", "--json"), `"version": 1`, `"verdict": "raises"`, `"revenue": "49.90"`, `"sentence": "The campaign`)
	wants(t, r.must("campaign", "list"), "brought 1 orders of 49.90 EUR")
	wants(t, r.must("campaign", "list", "--json"), `"orders": 1,`, `"recovered_carts": 0`)
	wants(t, r.must("contact", "show", publicID(buyer)), "order boutique "+order, "by code from win_back first")
	wants(t, r.must("contact", "show", publicID(buyer), "--json"), `"attributed_orders": [`, `"how": "code"`)
}
