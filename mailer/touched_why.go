package mailer

import (
	"context"
	"fmt"
	"strings"

	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/segments"
)

// neverBegan says why a contact has no run of an armed campaign that entering a segment of the files does not start.
func (c *campaign) neverBegan(ctx context.Context, q store.Queryer, contactID int64) (string, error) {
	starts := "The campaign starts " + c.sentence
	if c.listens() {
		var rows []struct {
			Outcome string
			N       int
		}
		if err := q.SelectContext(ctx, &rows, "SELECT outcome, COUNT(*) AS n FROM trigger_facts WHERE contact_id=? AND campaign=? GROUP BY outcome ORDER BY outcome",
			contactID, c.id); err != nil {
			return "", fmt.Errorf("reading what facts came to: %w", err)
		}
		if len(rows) == 0 {
			return starts + ", and that has not happened to the contact since it was armed, or too long before Relance knew.", nil
		}
		var parts []string
		for _, r := range rows {
			parts = append(parts, times(r.N)+" and "+whyNot(r.Outcome))
		}
		return starts + ". That happened " + strings.Join(parts, ", ") + ".", nil
	}
	in, err := segments.IsMember(ctx, q, contactID, c.segment)
	if err != nil {
		return "", err
	}
	is := "is not"
	if in {
		is = "is"
	}
	switch c.on {
	case triggerLeaves:
		return fmt.Sprintf("%s. The contact %s in it now, and has not left it since the campaign was armed.", starts, is), nil
	case triggerDate:
		return starts + ". For the contact that day has not come since the campaign was armed, or is not known.", nil
	}
	return fmt.Sprintf("%s. The contact %s in %s now; at the moment of a run it was not, or the run was before arming, or too long ago.", starts, is, c.segment), nil
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// whyNot says of an outcome why it started nothing.
func whyNot(outcome string) string {
	switch outcome {
	case BeforeArming:
		return "was before the campaign, or the shop, was armed"
	case TooOld:
		return "was known too late"
	case Repeated:
		return "the contact had taken part already"
	case NoCart:
		return "no cart was open"
	case NoOrder:
		return "nothing had been ordered"
	}
	return "started nothing (" + outcome + ")"
}
