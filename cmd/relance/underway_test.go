package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/internal/web"
	"github.com/relance/relance/sync/engine"
)

func TestThePageShowsFirstReadsUntilTheyAreFinished(t *testing.T) {
	t.Parallel()
	u := newUnderway()
	for _, p := range []engine.Progress{
		{Shop: "boutique", Stream: "orders", Done: 100, Total: 600, Backfill: true},
		{Shop: "boutique", Stream: "orders", Done: 200, Total: 600, Backfill: true},
		{Shop: "boutique", Stream: "customers", Done: 20, Total: -1, Backfill: true},
		{Shop: "boutique", Stream: "products", Done: 38, Total: 38, Backfill: true},
		{Shop: "boutique", Stream: "products", Done: 38, Total: 38, Backfill: true, Finished: true},
		{Shop: "boutique", Stream: "refunds", Done: 3, Total: 3}, // a later run: nothing to wait for
		{Shop: "atelier", Stream: "orders", Done: 1, Total: 1, Backfill: true, Finished: true},
	} {
		u.update(p)
	}
	if d := cmp.Diff([]web.Progress{{Stream: "customers", Done: 20}, {Stream: "orders", Done: 200, Total: 600}}, u.of("boutique")); d != "" {
		t.Error(d)
	}
	if lines := u.of("atelier"); len(lines) != 0 {
		t.Errorf("%+v", lines)
	}
}
