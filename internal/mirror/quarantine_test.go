package mirror_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

func bad(kind crm.Kind, id string) connectors.Rejected {
	return connectors.Rejected{Ref: crm.Ref{Kind: kind, ID: id}, Reason: "its total is no number", Raw: []byte(`{"id":"` + id + `"}`)}
}

func TestQuarantineIsListedShownAndRetried(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		var all []connectors.Rejected
		for i := range 5 {
			all = append(all, bad(crm.KindOrder, fmt.Sprint(i)), bad(crm.KindProduct, fmt.Sprint(i)))
		}
		all = append(all, connectors.Rejected{Ref: crm.Ref{Kind: crm.KindOrder}, Reason: "no id", Raw: []byte("{")})
		b.apply(mirror.Batch{Rejected: all})
		b.apply(mirror.Batch{ShopID: b.ensure("second", "").ID, Rejected: all[:1]})
		for kind, want := range map[crm.Kind]int{"": 11, crm.KindOrder: 6, crm.KindProduct: 5, crm.KindCart: 0} {
			var seen []string
			for after := ""; ; {
				page, err := b.m.Quarantined(t.Context(), b.shop.ID, kind, after, 2)
				if err != nil {
					t.Fatal(err)
				}
				if len(page) == 0 {
					break
				}
				for _, r := range page {
					seen = append(seen, r.After())
				}
				after = page[len(page)-1].After()
			}
			if len(seen) != want || !slices.IsSorted(seen) || len(slices.Compact(seen)) != want {
				t.Errorf("%q: %v", kind, seen)
			}
		}
		row, raw, err := b.m.QuarantineRaw(t.Context(), b.shop.ID, crm.Ref{Kind: crm.KindOrder, ID: "3"})
		want := mirror.QuarantineRow{Kind: crm.KindOrder, ID: "3", Reason: "its total is no number", FirstAt: b.at, LastAt: b.at, Attempts: 1, HasRaw: true}
		if diff := cmp.Diff(want, row); diff != "" || err != nil || string(raw) != `{"id":"3"}` {
			t.Errorf("%s %s %v", diff, raw, err)
		}
		if _, _, err := b.m.QuarantineRaw(t.Context(), b.shop.ID, crm.Ref{Kind: crm.KindOrder, ID: "99"}); !errors.Is(err, mirror.ErrNotFound) {
			t.Error(err)
		}
		page, _ := b.m.Quarantined(t.Context(), b.shop.ID, crm.KindOrder, "", 100)
		refs := []crm.Ref{{Kind: crm.KindOrder, ID: "99"}, {Kind: crm.KindCart, ID: "1"}}
		for _, r := range page {
			refs = append(refs, crm.Ref{Kind: r.Kind, ID: r.ID})
		}
		if n, err := b.m.RetryQuarantine(t.Context(), b.shop.ID, refs, b.at); n != 5 || err != nil {
			t.Errorf("%d queued, %v", n, err)
		}
		if hints, _ := b.m.DueHints(t.Context(), b.shop.ID, b.at, 100); len(hints) != 5 {
			t.Errorf("%d re-reads are due", len(hints))
		}
		b.read(order(3, "", "a@x.fr", 100)) // what the re-read shows
		if left, _ := b.m.Quarantined(t.Context(), b.shop.ID, crm.KindOrder, "order/2", 1); len(left) != 1 || left[0].ID != "4" {
			t.Errorf("%+v", left)
		}
	})
}
