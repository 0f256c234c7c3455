// Package worth says what mails brought: pure arithmetic over what the ledger and the mirror count.
package worth

import (
	"fmt"
	"math"
)

// Arm is one group of a comparison: contacts who would all have been mailed.
type Arm struct {
	Contacts int64 `json:"contacts"`
	Buyers   int64 `json:"buyers"`  // of them, who bought within the window
	Revenue  int64 `json:"revenue"` // minor units, net of refunds; not compared: a few large orders would decide
}

// Rate is the share of buyers.
func (a Arm) Rate() float64 {
	if a.Contacts == 0 {
		return 0
	}
	return float64(a.Buyers) / float64(a.Contacts)
}

// Verdict of a comparison.
type Verdict string

const (
	TooEarly Verdict = "not_enough_data"
	NoEffect Verdict = "no_clear_effect" // the interval holds 0
	Raises   Verdict = "raises"
	Lowers   Verdict = "lowers"
)

// Lift compares who was mailed with who was held out at random. Relative is (mailed − held out) ÷ held out: 0.2 is 20 % more
// buyers; Low and High bound it with 95 % confidence.
type Lift struct {
	Mailed   Arm     `json:"mailed"`
	HeldOut  Arm     `json:"held_out"`
	Verdict  Verdict `json:"verdict"`
	Relative float64 `json:"relative"`
	Low      float64 `json:"low"`
	High     float64 `json:"high"`
	Extra    float64 `json:"extra"` // buyers among the mailed who would not have bought without the mail
}

// Below these a comparison says nothing: the normal approximation wants so many in each group, and a campaign that is looked
// at every day would sooner or later show something by chance.
const (
	fewestContacts = 500
	fewestBuyers   = 25
	z95            = 1.959964
)

// Compare judges two arms. The interval is that of the logarithm of the ratio of the rates (Katz 1978): it is right for rare
// purchases, too. That it excludes 0 and the difference of the shares does so is the same at these numbers.
func Compare(mailed, held Arm) Lift {
	l := Lift{Mailed: mailed, HeldOut: held, Verdict: TooEarly}
	if min(mailed.Contacts, held.Contacts) < fewestContacts || min(mailed.Buyers, held.Buyers) < fewestBuyers {
		return l
	}
	ratio := mailed.Rate() / held.Rate()
	spread := math.Sqrt(1/float64(mailed.Buyers) - 1/float64(mailed.Contacts) + 1/float64(held.Buyers) - 1/float64(held.Contacts))
	l.Relative = ratio - 1
	l.Low, l.High = ratio*math.Exp(-z95*spread)-1, ratio*math.Exp(z95*spread)-1
	l.Extra = float64(mailed.Contacts) * (mailed.Rate() - held.Rate())
	switch {
	case l.Low > 0:
		l.Verdict = Raises
	case l.High < 0:
		l.Verdict = Lowers
	default:
		l.Verdict = NoEffect
	}
	return l
}

// Sentence says it for people.
func (l Lift) Sentence() string {
	percent := func(x float64) string { return fmt.Sprintf("%+.0f %%", 100*x) }
	switch l.Verdict {
	case Raises:
		return fmt.Sprintf("The campaign brings more buyers: %s (between %s and %s), some %.0f people.", percent(l.Relative), percent(l.Low), percent(l.High), l.Extra)
	case Lowers:
		return fmt.Sprintf("The campaign costs buyers: %s (between %s and %s).", percent(l.Relative), percent(l.Low), percent(l.High))
	case NoEffect:
		return fmt.Sprintf("No clear effect: anything between %s and %s buyers is possible.", percent(l.Low), percent(l.High))
	case TooEarly:
	}
	return fmt.Sprintf("Not enough data yet: %d mailed (%d bought), %d held out (%d bought); it takes %d people and %d buyers in each.",
		l.Mailed.Contacts, l.Mailed.Buyers, l.HeldOut.Contacts, l.HeldOut.Buyers, fewestContacts, fewestBuyers)
}
