package mailer_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/mailer"
)

// written reads a campaign as people write it; it begins when somebody enters anybody.
func written(tb testing.TB, text string) mailer.CampaignSpec {
	tb.Helper()
	s := mailer.CampaignSpec{Trigger: mailer.TriggerSpec{Enters: anybody}}
	if err := yaml.UnmarshalWithOptions([]byte(text), &s, yaml.Strict()); err != nil {
		tb.Fatal(err)
	}
	return s
}

// event lets a contact do something.
func (w *world) event(contact int64, name string, at time.Time, properties map[string]string) {
	w.tb.Helper()
	text := must(json.Marshal(properties))(w.tb)
	w.insert("events", []string{"shop_id", "id", "contact_id", "name", "happened_at", "properties"},
		[]any{w.shop, mailer.SendID(w.db.NewID()), contact, name, crm.At(at), string(text)})
}

// wake tells the campaigns that facts of contacts have changed, as the maintainer of segments does.
func (w *world) wake(contacts ...int64) {
	w.tb.Helper()
	w.touch(contacts...)
	w.run()
}

func (w *world) touch(contacts ...int64) {
	w.tb.Helper()
	var touches []mirror.Touch
	for _, id := range contacts {
		touches = append(touches, mirror.Touch{ContactID: id, SourceAt: crm.At(w.now)})
	}
	w.write(func(tx *store.Tx) error { return mirror.WriteTouches(context.Background(), tx, touches) })
}

func (w *world) started(contact int64) {
	w.tb.Helper()
	w.enter(contact, anybody, w.now)
	w.run()
}

// expectRun checks where the newest run of a contact stands: "active wait", "done", "exited goal".
func (w *world) expectRun(contact int64, want string) {
	w.tb.Helper()
	var row struct {
		State, Step string
		Reason      string `db:"exit_reason"`
	}
	if err := w.db.Read().GetContext(w.tb.Context(), &row, "SELECT state, step, exit_reason FROM enrolments WHERE contact_id=? ORDER BY id DESC LIMIT 1", contact); err != nil {
		w.tb.Fatal(err)
	}
	got := row.State
	switch row.State {
	case "active", "sending":
		got += " " + row.Step
	case "exited":
		got += " " + row.Reason
	}
	if got != want {
		w.tb.Fatalf("the run is %s, want %s", got, want)
	}
}

func (w *world) subjects(contact int64) []string {
	w.tb.Helper()
	var steps []string
	if err := w.db.Read().SelectContext(w.tb.Context(), &steps, "SELECT step FROM sends WHERE contact_id=? ORDER BY id", contact); err != nil {
		w.tb.Fatal(err)
	}
	return steps
}

func TestWaitsGoByTheContactsClock(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		wait              mailer.WaitSpec
		zone, begun, over string
	}{
		{mailer.WaitSpec{For: "1d"}, "Europe/Paris", "2026-03-28T12:00:00+01:00", "2026-03-29T13:00:00+02:00"}, // 24 hours, whatever the clocks do
		{mailer.WaitSpec{Days: 1}, "Europe/Paris", "2026-03-28T12:00:00+01:00", "2026-03-29T12:00:00+02:00"},
		{mailer.WaitSpec{Days: 1, At: "02:30"}, "Europe/Paris", "2026-03-28T12:00:00+01:00", "2026-03-29T03:00:00+02:00"}, // the gap
		{mailer.WaitSpec{Days: 1, At: "02:30"}, "Europe/Paris", "2026-10-24T12:00:00+02:00", "2026-10-25T02:30:00+02:00"}, // comes twice
		{mailer.WaitSpec{At: "02:30"}, "Europe/Paris", "2026-10-25T02:30:00+01:00", "2026-10-26T02:30:00+01:00"},          // the second time: it has passed
		{mailer.WaitSpec{At: "09:00"}, "Europe/Paris", "2026-11-20T08:59:59+01:00", "2026-11-20T09:00:00+01:00"},
		{mailer.WaitSpec{At: "09:00"}, "Europe/Paris", "2026-11-20T09:00:00+01:00", "2026-11-20T09:00:00+01:00"},
		{mailer.WaitSpec{At: "09:00"}, "Europe/Paris", "2026-11-20T09:00:01+01:00", "2026-11-21T09:00:00+01:00"},
		{mailer.WaitSpec{At: "09:00", On: []string{"mon"}}, "Europe/Paris", "2026-11-20T10:00:00+01:00", "2026-11-23T09:00:00+01:00"}, // a Friday
		{mailer.WaitSpec{Days: 3, At: "09:00", On: []string{"mon", "fri"}}, "Europe/Paris", "2026-11-20T10:00:00+01:00", "2026-11-23T09:00:00+01:00"},
		{mailer.WaitSpec{Days: 4, At: "09:00", On: []string{"mon", "fri"}}, "Europe/Paris", "2026-11-20T10:00:00+01:00", "2026-11-27T09:00:00+01:00"},
		{mailer.WaitSpec{On: []string{"fri"}}, "Europe/Paris", "2026-11-20T10:00:01+01:00", "2026-11-20T10:00:01+01:00"},
		{mailer.WaitSpec{On: []string{"sat"}}, "Europe/Paris", "2026-11-20T10:00:01+01:00", "2026-11-21T10:00:01+01:00"},
		{mailer.WaitSpec{Days: 1, At: "00:30"}, "America/Sao_Paulo", "2018-11-03T12:00:00-03:00", "2018-11-04T01:00:00-02:00"}, // no midnight that day
		{mailer.WaitSpec{Days: 1, At: "09:00"}, "Pacific/Apia", "2011-12-29T12:00:00-10:00", "2011-12-31T00:00:00+14:00"},      // no such day
		{mailer.WaitSpec{Days: 1, At: "09:00"}, "Asia/Tokyo", "2026-11-20T20:00:00Z", "2026-11-22T00:00:00Z"},                  // already tomorrow there
		{mailer.WaitSpec{Days: 30, At: "08:15"}, "Australia/Lord_Howe", "2026-09-20T00:00:00Z", "2026-10-19T21:15:00Z"},        // half an hour of summer time
		{mailer.WaitSpec{Days: 1}, "UTC", "2028-02-28T23:59:59Z", "2028-02-29T23:59:59Z"},
	} {
		loc := must(time.LoadLocation(c.zone))(t)
		begun, over := must(time.Parse(time.RFC3339, c.begun))(t), must(time.Parse(time.RFC3339, c.over))(t)
		if got := mailer.WaitOver(c.wait, begun, loc); !got.Equal(over) {
			t.Errorf("%+v from %s in %s is over at %s, want %s", c.wait, c.begun, c.zone, got.In(loc), over.In(loc))
		}
	}
}

func TestARunWaitsInTheZoneOfItsContact(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.arm("c", written(t, `
steps:
  - {id: morning, wait: {days: 1, at: "09:00"}}
  - {id: mail, send: {template: win_back}}`))
		paris, tokyo := w.contact("p@example.com"), w.contact("t@example.com")
		w.exec("UPDATE contacts SET zone='Asia/Tokyo' WHERE id=?", tokyo)
		w.started(paris) // 12:00 UTC
		w.started(tokyo)
		w.runAt(time.Date(2026, 11, 20, 23, 59, 59, 0, time.UTC))
		w.expectMails(0)
		w.runAt(time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC))
		w.expectRun(tokyo, "done")
		w.runAt(time.Date(2026, 11, 21, 7, 59, 59, 0, time.UTC))
		w.expectRun(paris, "active morning")
		w.runAt(time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC))
		w.expectRun(paris, "done")
		w.expectMails(2)
	})
}

func TestWaitUntilGoesOnAtOnceOrAtItsTimeOut(t *testing.T) {
	for name, c := range map[string]struct {
		until  string
		happen func(w *world, id int64)
		other  func(w *world, id int64) // what it does not wait for
	}{
		"order": {
			"order: true", func(w *world, id int64) { w.order(id, w.shop, mailer.SendID(w.db.NewID()), crm.StateAccepted, w.now) },
			func(w *world, id int64) { w.order(id, w.shop, mailer.SendID(w.db.NewID()), crm.StateDraft, w.now) },
		},
		"click": {
			"click: true", func(w *world, id int64) { w.event(id, "mail.clicked", w.now, map[string]string{"campaign": "c"}) },
			func(w *world, id int64) {
				w.event(id, "mail.clicked", w.now, map[string]string{"campaign": "c", "machine": "1"})
				w.event(id, "mail.clicked", w.now, map[string]string{"campaign": "another"})
			},
		},
		"event": {
			"event: {name: wished, where: {list: noel}}", func(w *world, id int64) { w.event(id, "wished", w.now, map[string]string{"list": "Noel"}) },
			func(w *world, id int64) { w.event(id, "wished", w.now, map[string]string{"list": "easter"}) },
		},
		"if": {
			"if: {bought: {at_least: 1}}", func(w *world, id int64) { w.order(id, w.shop, mailer.SendID(w.db.NewID()), crm.StateAccepted, w.now) },
			func(w *world, id int64) { w.event(id, "wished", w.now, nil) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, w *world) {
				w.arm("c", written(t, `
steps:
  - {id: until, wait_until: {`+c.until+`, timeout: 3d}}
  - {id: mail, send: {template: win_back}}`))
				zoe, max := w.contact("zoe@example.com"), w.contact("max@example.com")
				if name != "if" {
					w.now = w.now.Add(-time.Hour)
					c.happen(w, max) // before the step began
					w.now = w.now.Add(time.Hour)
				}
				w.started(zoe)
				w.started(max)
				w.now = w.now.Add(24 * time.Hour)
				c.other(w, zoe)
				c.other(w, max)
				w.wake(zoe, max)
				w.run()
				w.expectRun(zoe, "active until")
				w.expectRun(max, "active until")
				c.happen(w, zoe)
				w.wake(zoe)
				w.run()
				w.expectRun(zoe, "done")
				w.expectMails(1)
				w.runAt(noon().Add(72*time.Hour - time.Second))
				w.expectRun(max, "active until")
				w.runAt(noon().Add(72 * time.Hour))
				w.expectRun(max, "done")
				w.expectMails(2)
			})
		})
	}
}
