package mailer

import (
	"context"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// WaitOver is the end of a wait that begins at an instant in a zone.
func WaitOver(spec WaitSpec, begun time.Time, loc *time.Location) time.Time {
	k := &compiler{}
	return k.wait("", spec).over(crm.At(begun), loc).Time()
}

// Wake looks at the runs of contacts whose facts have changed, as the touch of a contact does.
func (e *Engine) Wake(ctx context.Context, now time.Time, contacts ...int64) error {
	p, err := e.begin(ctx, crm.At(now))
	if err != nil {
		return err
	}
	return e.db.Write(ctx, "mailer.wake", func(tx *store.Tx) error {
		var lanes []int
		for _, id := range contacts {
			lanes = append(lanes, crm.LaneOf(id))
		}
		if err := e.fence(ctx, tx, lanes); err != nil {
			return err
		}
		profiles, err := e.profiles(ctx, tx, contacts, p.needs)
		if err != nil {
			return err
		}
		_, err = e.wake(ctx, tx, p, profiles)
		return err
	})
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
