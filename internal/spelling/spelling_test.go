package spelling_test

import (
	"testing"

	"github.com/relance/relance/internal/spelling"
)

func TestClosest(t *testing.T) {
	t.Parallel()
	known := []string{"win_back", "welcome", "abandoned_cart"}
	for word, want := range map[string]string{
		"win_bacck": "win_back", "Welcom": "welcome", "abandoned-cart_": "abandoned_cart", "wlecome": "welcome", "birthday": "", "": "",
	} {
		if got := spelling.Closest(word, known); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}
