package mailer_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/mailer"
	"github.com/relance/relance/segments"
	"github.com/relance/relance/segments/rule"
)

func TestABranchTakesTheFirstWayThatHoldsWhenTheRunComesThere(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.arm("c", written(t, `
steps:
  - {id: pause, wait: 1d}
  - id: which
    branch:
      - if: {bought: {at_least: 2}}
        steps: [{id: many, send: {template: win_back}}, {id: stop, end: true}]
      - if: {bought: {at_least: 1}}
        steps: [{id: one, send: {template: win_back}}]
  - {id: last, send: {template: welcome}}`))
		none, one, many, late := w.contact("n@example.com"), w.contact("o@example.com"), w.contact("m@example.com"), w.contact("l@example.com")
		for _, id := range []int64{none, one, many, late} {
			w.started(id)
		}
		w.order(one, w.shop, "1", crm.StateAccepted, w.now.Add(time.Hour))
		w.order(many, w.shop, "2", crm.StateAccepted, w.now.Add(time.Hour))
		w.order(many, w.shop, "3", crm.StateAccepted, w.now.Add(2*time.Hour))
		w.order(late, w.shop, "4", crm.StateAccepted, w.now.Add(25*time.Hour)) // the machine slept; the run came there before
		w.runAt(w.now.Add(26 * time.Hour))
		for id, want := range map[int64][]string{none: {"last"}, one: {"one", "last"}, many: {"many"}, late: {"last"}} {
			if diff := cmp.Diff(want, w.subjects(id)); diff != "" {
				t.Error(diff)
			}
			w.expectRun(id, "done")
		}
	})
}

func TestAWaitUntilAConditionEndsWhenTheClockSaysSo(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.arm("c", written(t, `
steps:
  - {id: until, wait_until: {if: {last_purchase: {older_than: 2d, newer_than: 3d}}, timeout: 10d}}
  - {id: mail, send: {template: win_back}}`))
		zoe, max := w.contact("zoe@example.com"), w.contact("max@example.com")
		w.order(zoe, w.shop, "1", crm.StateAccepted, w.now.Add(-time.Hour))
		w.started(zoe)
		w.started(max)
		w.runAt(noon().Add(47*time.Hour - time.Second))
		w.expectRun(zoe, "active until")
		w.order(max, w.shop, "2", crm.StateAccepted, w.now)
		w.wake(max)
		w.runAt(noon().Add(10 * 24 * time.Hour)) // the machine slept: the conditions held meanwhile, and do no longer
		w.expectRun(zoe, "done")
		w.expectRun(max, "done")
		for id, want := range map[int64]time.Time{zoe: noon().Add(47 * time.Hour), max: noon().Add(95*time.Hour - time.Second)} {
			if n := w.count("SELECT COUNT(*) FROM sends WHERE contact_id=? AND due_at=?", id, crm.At(want)); n != 1 {
				t.Errorf("the mail was not due at %s", want)
			}
		}
	})
}

func TestWaitingEndsAtTheDueInstantOfACondition(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.arm("c", written(t, `
steps:
  - {id: until, wait_until: {if: {last_purchase: {older_than: 2d}}, timeout: 10d}}
  - {id: mail, send: {template: win_back}}`))
		zoe := w.contact("zoe@example.com")
		w.order(zoe, w.shop, "1", crm.StateAccepted, w.now)
		w.started(zoe)
		w.runAt(noon().Add(48*time.Hour - time.Millisecond))
		w.expectMails(0)
		w.runAt(noon().Add(48 * time.Hour))
		w.expectMails(1)
	})
}

func TestEditsApplyFromTheNextStepAndRemovedStepsExit(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		const branchy = `
steps:
  - id: which
    branch:
      - {if: {locale: fr}, steps: [{id: inside, wait: 1d}, {id: mail, send: {template: win_back}}]}
  - {id: last, send: {template: welcome}}`
		w.arm("c", written(t, branchy))
		zoe := w.contact("zoe@example.com")
		w.started(zoe)
		w.expectRun(zoe, "active inside")
		w.deploy(mailer.CampaignFile{"c": written(t, `
steps:
  - {id: inside, wait: 3d}
  - {id: fresh, send: {template: welcome}}`)}) // the step is elsewhere now, and begun as it was
		w.runAt(w.now.Add(24 * time.Hour))
		if diff := cmp.Diff([]string{"fresh"}, w.subjects(zoe)); diff != "" {
			t.Error(diff)
		}
		max := w.contact("max@example.com")
		w.deploy(mailer.CampaignFile{"c": written(t, branchy)})
		w.started(max)
		w.expectRun(max, "active inside")
		w.deploy(mailer.CampaignFile{"c": written(t, "steps: [{id: last, send: {template: welcome}}]")})
		w.runAt(w.now.Add(24 * time.Hour))
		w.expectRun(max, "exited step_removed")
	})
}

func TestAStepThatWasHadIsNotHadAgainAfterAnEditMovesIt(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s := newService(t)
		call := mailer.StepSpec{ID: "hook", Call: &mailer.CallSpec{URL: s.URL, Secret: hookSecret}}
		mail := mailer.StepSpec{ID: "mail", Send: &mailer.SendSpec{Template: "win_back"}}
		pause := mailer.StepSpec{ID: "pause", Wait: &mailer.WaitSpec{For: "1d"}}
		last := mailer.StepSpec{ID: "last", Send: &mailer.SendSpec{Template: "welcome"}}
		spec := plainCampaign()
		spec.Steps = []mailer.StepSpec{call, mail, pause, last}
		w.armCalls(spec)
		zoe := w.contact("zoe@example.com")
		w.started(zoe)
		spec.Steps = []mailer.StepSpec{pause, call, mail, last}
		w.deploy(mailer.CampaignFile{"c": spec})
		w.runAt(w.now.Add(24 * time.Hour))
		w.expectRun(zoe, "done")
		w.expectMails(2)
		if n := len(s.calls()); n != 1 {
			t.Errorf("%d calls", n)
		}
	})
}

func TestAStepSetsAttributesThatTheNextOnesSee(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.arm("c", written(t, `
steps:
  - {id: note, set: {relance.stage: "2", relance.locale: en}}
  - id: which
    branch:
      - {if: {attribute: {name: relance.stage, is: "2"}}, steps: [{id: yes, send: {template: win_back}}]}
  - {id: forget, set: {relance.stage: ""}}`))
		zoe := w.contact("zoe@example.com")
		w.exec("DELETE FROM dirty")
		w.started(zoe)
		if diff := cmp.Diff([]string{"yes"}, w.subjects(zoe)); diff != "" {
			t.Error(diff)
		}
		card := must(w.m.Card(t.Context(), zoe))(t)
		want := []mirror.CardAttribute{{Name: "locale", Value: "en", SetBy: "campaign c", SetAt: crm.At(w.now)}}
		if diff := cmp.Diff(want, card.Attributes); diff != "" || card.Contact.Locale != "en" {
			t.Error(diff, card.Contact.Locale)
		}
		if m := w.out.got()[0]; m.Subject == "" || w.count("SELECT COUNT(*) FROM dirty WHERE contact_id=?", zoe) != 1 {
			t.Errorf("%+v", m)
		}
	})
}

// TestB35_… lets the segments themselves see what a step sets.
func TestB35_ASetThatTouchesItsOwnTriggerRunsOncePerOccurrence(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s := written(t, `
steps:
  - {id: note, set: {relance.stage: one}}
  - {id: more, set: {relance.seen: "1"}}`)
		s.Occurrence = mailer.Occurrence{Mode: mailer.OccurrenceEach}
		w.arm("c", s)
		zoe := w.contact("zoe@example.com")
		seg := must(rule.Compile(anybody, rule.Spec{Match: rule.Condition{Attribute: &rule.Attribute{Name: "relance.stage", Comparison: rule.Comparison{Is: rule.List{"one"}}}}}))(t)
		w.exec("DELETE FROM segment_defs")
		w.insert("segment_defs", []string{"segment", "generation", "state", "hash", "spec"}, []any{anybody, 1, "live", seg.Hash(), must(seg.Encode())(t)})
		w.write(func(tx *store.Tx) error {
			return w.m.SetAttributes(t.Context(), tx, mirror.Attributes{ContactID: zoe, Values: map[string]string{"stage": "one"}, By: "test", At: crm.At(w.now)})
		})
		keep := segments.NewMaintainer(w.m, w.leases, []*rule.Segment{seg}, segments.Options{})
		rounds := 0
		for worked := true; worked; rounds++ {
			if rounds > 50 {
				t.Fatal("it goes on for ever")
			}
			_, segmented, err := keep.Step(t.Context(), w.now)
			if err != nil {
				t.Fatal(err)
			}
			_, mailed, err := w.e.Step(t.Context(), w.now)
			if err != nil {
				t.Fatal(err)
			}
			worked = segmented || mailed
			w.now = w.now.Add(time.Second)
		}
		if n := w.count("SELECT COUNT(*) FROM enrolments"); n != 1 {
			t.Errorf("%d runs", n)
		}
		if n := w.count("SELECT COUNT(*) FROM dirty"); n != 0 {
			t.Errorf("%d contacts stay marked", n)
		}
	})
}

func TestAStaleOwnerOfALaneMovesNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.arm("c", written(t, "steps: [{id: pause, wait: 1h}, {id: note, set: {relance.stage: one}}]"))
		zoe := w.contact("zoe@example.com")
		w.started(zoe)
		w.exec("UPDATE leases SET until_ms=0")
		successor := openWorld(t, w.db, "second")
		successor.audience, successor.shop, successor.now = w.audience, w.shop, w.now.Add(time.Hour)
		successor.rebuild()
		w.runAt(w.now.Add(time.Hour))
		w.expectRun(zoe, "active pause")
		successor.run()
		w.expectRun(zoe, "done")
	})
}
