package crm_test

import (
	"testing"

	"github.com/relance/relance/internal/crm"
)

func TestAPartKeepsItsShareHalfEven(t *testing.T) {
	for _, c := range []struct{ amount, to, from, want int64 }{
		{2999, 2777, 2999, 2777},
		{0, 2777, 2999, 0},
		{100, 1850, 2000, 92},
		{1, 3, 2, 2},   // 1.5
		{1, 5, 2, 2},   // 2.5
		{-1, 3, 2, -2}, // −1.5
		{-1, 5, 2, -2}, // −2.5
		{-1, 5, -2, 2},
		{1, 1, 3, 0},
		{2, 1, 3, 1},
		{5, 7, 0, 0},
		{4_000_000_000_000, 9_000_000_000_000, 9_000_000_000_000, 4_000_000_000_000}, // more than 64 bits on the way
	} {
		if got := crm.Scale(c.amount, c.to, c.from); got != c.want {
			t.Errorf("%d × %d ÷ %d is %d, want %d", c.amount, c.to, c.from, got, c.want)
		}
	}
}
