package rule

import (
	"testing"
	"time"
)

// Beyond a zone's table (2037) Go takes leap years to end on 30 December: what looks for the end of an offset there must
// come past it.
func TestWallClocksOfYearsFarAhead(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Europe/Paris", "America/New_York", "Australia/Sydney", "Asia/Tokyo", "UTC"} {
		loc, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for y := 2036; y < 2140; y++ {
			for d := 28; d <= 35; d++ { // 28 December to 4 January
				for _, h := range []int{0, 1, 12, 23} {
					want := time.Date(y, time.December, d, h, 23, 40, 0, loc)
					got := wall(want.Year(), want.Month(), want.Day(), h, 23, 40, 0, loc)
					if got.Time().Unix() != want.Unix() {
						t.Fatalf("%s: %v, want %v", name, got.Time(), want.UTC())
					}
				}
			}
		}
	}
}
