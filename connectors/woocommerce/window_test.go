package woocommerce

import (
	"testing"

	"pgregory.net/rapid"
)

// A page begins at or before the last row read and brings new ones, whatever the position and the size.
func TestWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pos, size := rapid.IntRange(0, 3_000_000).Draw(t, "pos"), rapid.IntRange(1, 100).Draw(t, "size")
		perPage, page := window(pos, size)
		at := (page - 1) * perPage
		if perPage < 1 || perPage > 100 || page < 1 {
			t.Fatalf("per_page %d, page %d", perPage, page)
		}
		if pos > 0 && at > pos-1 {
			t.Fatalf("begins at %d, after row %d", at, pos-1)
		}
		if gain := at + perPage - pos; gain < 1 || (size >= 8 && gain > size) {
			t.Fatalf("brings %d rows", gain)
		}
	})
}

// The overlap costs little: a page of 100 brings at least 85 new rows over the first million.
func TestWindowIsCheap(t *testing.T) {
	pages, pos := 0, 0
	for pos < 1_000_000 {
		perPage, page := window(pos, 100)
		pos = page * perPage
		pages++
	}
	if pages > 11_800 {
		t.Errorf("%d pages instead of 10000", pages)
	}
}
