package mailer

import (
	"context"
	"fmt"
	"time"

	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

const (
	standardEventsKept = 30 * 24 * time.Hour
	// LeastEventsKept is how long events must be kept at least: what a provider repeats must be known as a repeat.
	LeastEventsKept = 3 * 24 * time.Hour
	pruneEvery      = 10 * time.Minute // business time
	pruneBatch      = 400
)

// pruneEvents removes events as they came once they are old, a batch a step. Facts stay.
func (e *Engine) pruneEvents(ctx context.Context, p *pass) (worked bool, err error) {
	if e.prunedAt > 0 && p.now < e.prunedAt.Add(pruneEvery) {
		return false, nil
	}
	var old []eventRow
	if err := selectIn(ctx, e.db.Read(), &old, "SELECT audience_id, source, id, state, lane FROM provider_events WHERE received_at<? AND lane IN (?) AND +state IN (?) LIMIT ?",
		p.now.Add(-e.o.EventsKept), p.lanes, []string{eventDone, eventNobody, eventForeign}, pruneBatch); err != nil {
		return false, fmt.Errorf("looking for old events: %w", err)
	}
	if len(old) == 0 {
		e.prunedAt = p.now
		return false, e.pruneFlow(ctx, p)
	}
	err = e.db.WriteBackground(ctx, "mailer.events_pruned", func(tx *store.Tx) error {
		if err := e.fence(ctx, tx, lanesOfEvents(old)); err != nil {
			return err
		}
		return deleteEvents(ctx, tx, old)
	})
	if err != nil {
		return false, fmt.Errorf("removing old events: %w", err)
	}
	return true, nil
}

// pruneFlow removes the hours that prove nothing any more: a few rows.
func (e *Engine) pruneFlow(ctx context.Context, p *pass) error {
	var n int
	before := p.now.Add(-flowKept)
	err := e.db.Read().GetContext(ctx, &n, "SELECT COUNT(*) FROM event_flow WHERE hour_at<?", before)
	if err == nil && n > 0 {
		err = e.db.WriteBackground(ctx, "mailer.flow_pruned", func(tx *store.Tx) error {
			_, err := tx.ExecContext(ctx, "DELETE FROM event_flow WHERE hour_at<?", before)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("removing what is known of old events: %w", err)
	}
	return nil
}

func deleteEvents(ctx context.Context, tx *store.Tx, old []eventRow) error {
	groups := map[eventKey][]string{}
	for i := range old {
		k := eventKey{audience: old[i].AudienceID, source: old[i].Source}
		groups[k] = append(groups[k], old[i].ID)
	}
	for k, ids := range groups {
		if _, err := execIn(ctx, tx, "DELETE FROM provider_events WHERE audience_id=? AND source=? AND id IN (?)", k.audience, k.source, ids); err != nil {
			return err
		}
	}
	return nil
}

// forgetFacts removes what an erased person did with mails, and the events that said so. What was counted stays counted.
func (e *Engine) forgetFacts(ctx context.Context, d mirror.Departure) (more bool, err error) {
	var ids []int64
	var events []eventRow
	q := e.db.Read()
	if err := q.SelectContext(ctx, &ids, "SELECT id FROM mail_events WHERE contact_id=? LIMIT ?", d.ContactID, pruneBatch); err != nil {
		return false, err
	}
	if err := q.SelectContext(ctx, &events, "SELECT audience_id, source, id, state, lane FROM provider_events WHERE contact_id=? LIMIT ?", d.ContactID, pruneBatch); err != nil {
		return false, err
	}
	if len(ids) == 0 && len(events) == 0 {
		return false, nil
	}
	return true, e.db.Write(ctx, "mailer.forget_events", func(tx *store.Tx) error {
		if err := e.fence(ctx, tx, []int{d.Lane}); err != nil {
			return err
		}
		if len(ids) > 0 {
			if _, err := execIn(ctx, tx, "DELETE FROM mail_events WHERE id IN (?)", ids); err != nil {
				return err
			}
		}
		return deleteEvents(ctx, tx, events)
	})
}
