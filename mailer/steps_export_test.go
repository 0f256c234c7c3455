package mailer

import (
	"time"

	"github.com/relance/relance/internal/crm"
)

// WaitOver is the end of a wait that begins at an instant in a zone.
func WaitOver(spec WaitSpec, begun time.Time, loc *time.Location) time.Time {
	k := &compiler{}
	return k.wait("", spec).over(crm.At(begun), loc).Time()
}

// VariantOf is the variant that a split of equal shares gives to a contact.
func VariantOf(campaign, step string, contactID int64, variants ...string) string {
	s := split{}
	for _, id := range variants {
		s.variants = append(s.variants, variant{id: id, share: 1})
	}
	return s.of(campaign, step, contactID, "").id
}

// Score is what a variant has brought.
type Score = score

// NewScore makes one.
func NewScore(variant string, entered, hits int64) Score { return score{variant, entered, hits} }

// Judge looks at variants once; looks is how often they were looked at before.
func Judge(after int64, looks int, scores ...Score) (won string, looked int) {
	w := winner{goal: measureGoal, after: after}
	r := w.judge(scores, winnerRow{Looks: looks}, 1)
	return r.Variant, r.Looks
}

// SignCall signs a body.
func SignCall(secret string, at time.Time, body []byte) string { return signCall(secret, at, body) }
