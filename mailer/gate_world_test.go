package mailer_test

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/mailer"
)

// armSince deploys campaigns and arms them as of an instant, whatever the shops' backfills.
func (w *world) armSince(f mailer.CampaignFile, at time.Time) {
	w.tb.Helper()
	w.deploy(f)
	for id := range f {
		if _, err := mailer.Arm(w.tb.Context(), w.m, id, crm.At(at)); err != nil {
			w.tb.Fatal(err)
		}
	}
	w.exec("UPDATE campaign_shops SET armed_at=?", crm.At(at))
}

// held lets the engine take in what there is, up to the gate and no further.
func (w *world) held() {
	w.tb.Helper()
	before := w.options.SendingAllowed
	w.options.SendingAllowed = func() error { return errors.New("not yet") }
	w.rebuild()
	w.run()
	w.options.SendingAllowed = before
	w.rebuild()
}

// queue puts a mail of a campaign before the gate as if its step had come at an instant.
func (w *world) queue(contact int64, campaign string, priority int, due time.Time, notAfter time.Duration) int64 {
	w.tb.Helper()
	var id int64
	w.write(func(tx *store.Tx) error {
		id = tx.NewID()
		if err := tx.Insert(context.Background(), "enrolments", []string{"id", "campaign", "contact_id", "lane", "occurrence", "audience_id", "shop_id", "step", "generation", "state", "triggered_at", "entered_at", "due_at"},
			[][]any{{id, campaign, contact, crm.LaneOf(contact), "once", w.audience, w.shop, "first", 1, "sending", crm.At(due), crm.At(due), crm.At(due)}}); err != nil {
			return err
		}
		return tx.Insert(context.Background(), "sends", []string{
			"id", "campaign", "step", "contact_id", "occurrence", "lane", "enrolment_id", "audience_id", "shop_id", "kind",
			"state", "created_at", "due_at", "until_at", "not_after", "moves", "priority", "triggered_at",
		}, [][]any{{
			id, campaign, "first", contact, "once", crm.LaneOf(contact), id, w.audience, w.shop, "marketing",
			"ready", crm.At(due), crm.At(due), crm.At(due), crm.At(due.Add(notAfter)), 1, priority, crm.At(due),
		}})
	})
	return id
}

// member puts a contact into a segment without an entry.
func (w *world) member(contact int64, segment string) {
	w.tb.Helper()
	w.insert("memberships", []string{"contact_id", "segment", "generation", "lane", "since"}, []any{contact, segment, 1, crm.LaneOf(contact), crm.At(w.now)})
}

// byID gives a send as it is.
func (w *world) byID(id int64) mailer.SendInfo {
	w.tb.Helper()
	list := w.sends(mailer.SendFilter{Limit: 500})
	i := slices.IndexFunc(list, func(s mailer.SendInfo) bool { return s.ID == id })
	if i < 0 {
		w.tb.Fatalf("there is no send %d", id)
	}
	return list[i]
}

// with is plainCampaign with something changed.
func with(change func(*mailer.CampaignSpec)) mailer.CampaignSpec {
	s := plainCampaign()
	change(&s)
	return s
}

// consentTo is consent to a topic.
func (w *world) consentTo(id int64, topic, state string) {
	w.tb.Helper()
	w.write(func(tx *store.Tx) error {
		return tx.Upsert(context.Background(), "consent_state", []string{"contact_id", "topic", "channel"},
			[]string{"contact_id", "topic", "channel", "lane", "state"}, [][]any{{id, topic, "email", crm.LaneOf(id), state}})
	})
}

// tallied counts rows by state and reason, for messages of tests that fail.
func (w *world) tallied(query string) map[string]int {
	w.tb.Helper()
	var rows []struct {
		State, Reason string
		N             int
	}
	if err := w.db.Read().SelectContext(context.Background(), &rows, query); err != nil {
		w.tb.Fatal(err)
	}
	out := map[string]int{}
	for _, r := range rows {
		out[r.State+" "+r.Reason] = r.N
	}
	return out
}
