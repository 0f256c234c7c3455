package pushed_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/relance/relance/connectors/push"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/sync/pushed"
)

// B8: a value that the decoder let through and the database refuses costs that record alone, also when requests of
// others are committed with it. (SQLite refuses no text for its length.)
func TestB8_WhatTheDatabaseRefusesHarmsNoOther(t *testing.T) {
	db := servers.Open(t, store.MySQL, store.Options{})
	w := open(t, db, false)
	customer := func(id, born string) push.Record {
		ref := crm.Ref{Kind: crm.KindCustomer, ID: id}
		return push.Record{Ref: ref, Sequence: 1, Raw: []byte("{}"), Facts: []crm.Fact{{Ref: ref, Body: &crm.Customer{Email: id + "@example.com", Birthday: born}}}}
	}
	results, err := pushed.CommitTogether(t.Context(), w.r, w.shop.ID, crm.At(business), push.Batch{Records: []push.Record{customer("a", "1980-02-29")}},
		push.Batch{Records: []push.Record{customer("b", ""), customer("c", strings.Repeat("x", 300)), customer("d", "")}})
	if err != nil {
		t.Fatal(err)
	}
	got := statuses(answer{Results: results})
	if want := []string{pushed.Applied, pushed.Applied, pushed.Rejected, pushed.Applied}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	var ids []string
	if err := db.Read().SelectContext(t.Context(), &ids, "SELECT id FROM customers ORDER BY id"); err != nil || !slices.Equal(ids, []string{"a", "b", "d"}) {
		t.Errorf("%v, %v", ids, err)
	}
	if err := db.Read().SelectContext(t.Context(), &ids, "SELECT id FROM quarantine"); err != nil || !slices.Equal(ids, []string{"c"}) {
		t.Errorf("quarantine: %v, %v", ids, err)
	}
	if err := db.Read().SelectContext(t.Context(), &ids, "SELECT id FROM push_versions ORDER BY id"); err != nil || !slices.Equal(ids, []string{"a", "b", "d"}) {
		t.Errorf("versions: %v, %v", ids, err)
	}
}
