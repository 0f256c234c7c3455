package mailer

import (
	"context"
	"fmt"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// stop is what an event asks for besides being remembered. The zero stop asks for nothing: a mailbox that is full, a
// holiday note or a mail that is late are no wish of anybody's.
type stop struct {
	scope  string
	reason string // crm.SuppressedBounced…
}

func stopOf(kind string, hard bool, reason string) stop {
	switch kind {
	case EventBounced:
		if hard {
			return stop{ScopeAll, crm.SuppressedBounced}
		}
	case EventComplained:
		return stop{ScopeMarketing, crm.SuppressedComplained}
	case EventUnsubscribed:
		return stop{ScopeMarketing, crm.SuppressedUnsubscribed}
	case EventDropped:
		switch reason {
		case DroppedBounced:
			return stop{ScopeAll, crm.SuppressedBounced}
		case DroppedComplained:
			return stop{ScopeMarketing, crm.SuppressedComplained}
		case DroppedUnsubscribed:
			return stop{ScopeMarketing, crm.SuppressedUnsubscribed}
		}
	}
	return stop{}
}

// heed does what the events ask for: mails that wait at the gate find it there.
func (d *digestion) heed(ctx context.Context) error {
	for i := range d.done {
		v := &d.done[i]
		s := stopOf(v.Kind, v.Hard, v.Reason)
		who := d.people[v.ContactID].Contact
		switch s.scope {
		case ScopeAll:
			if _, err := Suppress(ctx, d.tx, who.AudienceID, who.EmailNorm, s.scope, s.reason, v.Source, d.p.now); err != nil {
				return err
			}
		case ScopeMarketing:
			if _, err := endTopic(ctx, d.tx, d.e.mirror, who, TopicMarketing, s.reason, v.Source, d.p.now); err != nil {
				return err
			}
		}
	}
	return nil
}

// findOut looks up whose the events are that do not name a mail of ours: by the provider's id of the message, else, for
// those that may stop mail, by the address. Then the address is forgotten.
func (e *Engine) findOut(ctx context.Context, p *pass, peek []eventRow) error {
	lanes := lanesOfEvents(peek)
	return e.db.Write(ctx, "mailer.events_found", func(tx *store.Tx) error {
		if err := e.fence(ctx, tx, lanes); err != nil {
			return err
		}
		events, err := dueEvents(ctx, tx, eventLookup, lanes, p.now)
		if err != nil || len(events) == 0 {
			return err
		}
		mails, err := sendsByMessage(ctx, tx, events)
		if err != nil {
			return err
		}
		var foreign, nobody, later []eventRow
		for i := range events {
			v := &events[i]
			mail, urgent := mails[v.MessageID], urgentKind(v.Kind)
			switch {
			case mail.ID != 0 && mail.AudienceID != v.AudienceID:
				foreign = append(foreign, *v)
			case mail.ID != 0:
				err = placeByMail(ctx, tx, v, mail)
			case urgent && v.Email != "":
				err = e.placeByAddress(ctx, tx, p, v)
			case v.MessageID != "" && p.now < v.ReceivedAt.Add(messageWait):
				later = append(later, *v)
			default: // of another system's mail: what becomes of it is not ours to know
				nobody = append(nobody, *v)
			}
			if err != nil {
				return err
			}
		}
		if err := updateEvents(ctx, tx, "state=?, email=''", []any{eventForeign}, foreign); err != nil {
			return err
		}
		if err := updateEvents(ctx, tx, "state=?, email=''", []any{eventNobody}, nobody); err != nil {
			return err
		}
		return updateEvents(ctx, tx, "due_at=?", []any{p.now.Add(handingWait)}, later)
	})
}

// messageWait is how long an event may be ahead of the ledger: its mail's answer is still being written.
const messageWait = handWindow + handingWait

func placeByMail(ctx context.Context, tx *store.Tx, v *eventRow, mail owned) error {
	state, due := eventPending, v.ReceivedAt
	switch {
	case urgentKind(v.Kind):
		state = eventUrgent
	case v.Kind == EventOpened || v.Kind == EventClicked:
		due = due.Add(settling)
	}
	return updateEvents(ctx, tx, "state=?, email='', due_at=?, send_id=?, contact_id=?, lane=?", []any{state, due, mail.ID, mail.ContactID, mail.Lane}, []eventRow{*v})
}

// urgentKind tells events that may stop mail.
func urgentKind(kind string) bool {
	switch kind {
	case EventDropped, EventBounced, EventComplained, EventUnsubscribed:
		return true
	}
	return false
}

// placeByAddress gives an event to the contact of its address. What it asks for holds for the address even when nobody is
// known by it.
func (e *Engine) placeByAddress(ctx context.Context, tx *store.Tx, p *pass, v *eventRow) error {
	one := []eventRow{*v}
	var ids []int64
	if err := tx.SelectContext(ctx, &ids, "SELECT id FROM contacts WHERE audience_id=? AND email_norm=? AND erased_at=0", v.AudienceID, v.Email); err != nil {
		return fmt.Errorf("finding whose address it is: %w", err)
	}
	if len(ids) > 0 {
		return updateEvents(ctx, tx, "state=?, email='', contact_id=?, lane=?", []any{eventUrgent, ids[0], crm.LaneOf(ids[0])}, one)
	}
	if s := stopOf(v.Kind, v.Hard, v.Reason); s.scope != "" {
		if _, err := Suppress(ctx, tx, v.AudienceID, v.Email, s.scope, s.reason, v.Source, p.now); err != nil {
			return err
		}
	}
	return updateEvents(ctx, tx, "state=?, email=''", []any{eventNobody}, one)
}

// sendsByMessage finds mails by the provider's ids of them.
func sendsByMessage(ctx context.Context, tx *store.Tx, events []eventRow) (map[string]owned, error) {
	var names []string
	for i := range events {
		if events[i].MessageID != "" {
			names = append(names, events[i].MessageID)
		}
	}
	out := map[string]owned{}
	if len(names) == 0 {
		return out, nil
	}
	var rows []struct {
		owned
		MessageID string `db:"message_id"`
	}
	if err := selectIn(ctx, tx, &rows, "SELECT id, contact_id, audience_id, lane, message_id FROM sends WHERE message_id IN (?) AND message_id<>''", names); err != nil {
		return nil, fmt.Errorf("finding mails by the provider's ids: %w", err)
	}
	for _, r := range rows {
		out[r.MessageID] = r.owned
	}
	return out, nil
}
