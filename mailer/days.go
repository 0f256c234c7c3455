package mailer

import (
	"context"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// What campaign_days counts, by campaign and day (UTC) on which it became known; orders, and revenue: beside them, by the day
// on which they were placed.
const (
	dayHanded       = "handed" // left for the provider, and not certainly still here
	dayAccepted     = "accepted"
	dayDelivered    = "delivered"
	dayBounced      = "bounced" // for good
	dayComplained   = "complained"
	dayUnsubscribed = "unsubscribed"
	dayOpened       = "opened"  // by people
	dayClicked      = "clicked" // by people
	dayGoal         = "goal"
	dayOrder        = "order" // that a mail brought
)

// days is a tally of one day.
type days struct {
	day    string
	counts tally
}

// newDays counts for the day of an instant.
func newDays(at crm.Instant) days { return days{day: dayOf(at), counts: tally{}} }

func dayOf(at crm.Instant) string { return at.Time().Format(time.DateOnly) }

// add counts one; lane is one that the transaction has fenced.
func (d days) add(campaign, name string, lane int) {
	d.counts[tallyKey{campaign, d.day, name, lane}]++
}

// takeBack undoes an add of the day of an instant.
func (d days) takeBack(campaign, name string, lane int, at crm.Instant) {
	d.counts[tallyKey{campaign, dayOf(at), name, lane}]--
}

// moved counts what a move of a send means for its day. A mail that certainly stayed here does not count as handed on the
// day when it was, so that a ramp is not used up by a provider that cannot be reached.
func (d days) moved(m *move) {
	switch {
	case m.to == Handing:
		d.add(m.row.Campaign, dayHanded, m.row.Lane)
	case m.to == Accepted:
		d.add(m.row.Campaign, dayAccepted, m.row.Lane)
	case m.row.State == Handing && m.to == Deferred:
		d.takeBack(m.row.Campaign, dayHanded, m.row.Lane, m.handedAt)
	}
}

func (d days) write(ctx context.Context, tx *store.Tx) error { return d.counts.write(ctx, tx) }
