package worth_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/relance/relance/mailer/worth"
)

// arm draws who buys.
func arm(rnd *rand.Rand, contacts int64, rate float64) worth.Arm {
	a := worth.Arm{Contacts: contacts}
	for range contacts {
		if rnd.Float64() < rate {
			a.Buyers++
		}
	}
	return a
}

func TestAPlantedLiftIsFound(t *testing.T) {
	t.Parallel()
	found, covered := 0, 0
	const seeds = 100
	for seed := range uint64(seeds) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		l := worth.Compare(arm(rnd, 40_000, 0.06), arm(rnd, 40_000, 0.05))
		if l.Verdict == worth.Raises {
			found++
		}
		if l.Low <= 0.2 && 0.2 <= l.High {
			covered++
		}
	}
	if found < 99 {
		t.Errorf("found with %d of %d seeds", found, seeds)
	}
	if covered < 88 { // 95 are expected
		t.Errorf("the interval holds the truth with %d of %d seeds", covered, seeds)
	}
}

func TestAPlantedZeroIsSeldomClaimed(t *testing.T) {
	t.Parallel()
	claimed := 0
	const seeds = 200
	for seed := range uint64(seeds) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		if v := worth.Compare(arm(rnd, 40_000, 0.05), arm(rnd, 40_000, 0.05)).Verdict; v != worth.NoEffect {
			claimed++
		}
	}
	if claimed > seeds*7/100 {
		t.Errorf("an effect was claimed with %d of %d seeds", claimed, seeds)
	}
}

func TestSmallNumbersSayThatTheyAreSmall(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ mailed, held worth.Arm }{
		{worth.Arm{}, worth.Arm{}},
		{worth.Arm{Contacts: 499, Buyers: 400}, worth.Arm{Contacts: 40_000, Buyers: 2000}},
		{worth.Arm{Contacts: 40_000, Buyers: 2000}, worth.Arm{Contacts: 4000, Buyers: 24}},
		{worth.Arm{Contacts: 40_000, Buyers: 2000}, worth.Arm{}},
	} {
		l := worth.Compare(c.mailed, c.held)
		if l.Verdict != worth.TooEarly || !strings.HasPrefix(l.Sentence(), "Not enough data yet") {
			t.Errorf("%+v: %s", c, l.Sentence())
		}
		for _, x := range []float64{l.Relative, l.Low, l.High, l.Extra} {
			if math.IsNaN(x) || x != 0 {
				t.Errorf("%+v says a number", l)
			}
		}
	}
}

// TestTheIntervalIsThatOfTheBooks compares with figures worked out by hand: 60 of 1000 against 40 of 1000.
func TestTheIntervalIsThatOfTheBooks(t *testing.T) {
	t.Parallel()
	l := worth.Compare(worth.Arm{Contacts: 1000, Buyers: 60}, worth.Arm{Contacts: 1000, Buyers: 40})
	// ratio 1.5; sqrt(1/60-1/1000+1/40-1/1000) = 0.199165; 1.5·e^∓0.390357 = 1.0152, 2.2162
	for _, c := range []struct{ got, want float64 }{{l.Relative, 0.5}, {l.Low, 0.0152}, {l.High, 1.2162}, {l.Extra, 20}} {
		if math.Abs(c.got-c.want) > 5e-4 {
			t.Errorf("%+v: %v, want %v", l, c.got, c.want)
		}
	}
	if l.Verdict != worth.Raises {
		t.Error(l.Verdict)
	}
	if back := worth.Compare(worth.Arm{Contacts: 1000, Buyers: 40}, worth.Arm{Contacts: 1000, Buyers: 60}); back.Verdict != worth.Lowers {
		t.Error(back.Verdict)
	}
}
