package mailer_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/mailer"
)

const twoMails = `
  - {id: first, send: {template: win_back}}
  - {id: pause, wait: 2d}
  - {id: second, send: {template: win_back}}`

// info is what is shown of a campaign.
func (w *world) info(id string) mailer.CampaignInfo {
	w.tb.Helper()
	for _, i := range must(mailer.Infos(w.tb.Context(), w.db.Read()))(w.tb) {
		if i.ID == id {
			return i
		}
	}
	w.tb.Fatalf("there is no campaign %s", id)
	return mailer.CampaignInfo{}
}

func TestAGoalEndsTheRunAndIsCounted(t *testing.T) {
	for name, c := range map[string]struct {
		goal    string
		happens func(w *world, id int64)
	}{
		"order": {"order: true", func(w *world, id int64) { w.order(id, w.shop, mailer.SendID(w.db.NewID()), crm.StateAccepted, w.now) }},
		"click": {"click: true", func(w *world, id int64) {
			w.event(id, "mail.clicked", w.now, map[string]string{"campaign": "c"})
		}},
		"event":   {"event: wished", func(w *world, id int64) { w.event(id, "wished", w.now, nil) }},
		"segment": {"segment: idle_cart", func(w *world, id int64) { w.cart(id, mailer.SendID(id)) }},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, w *world) {
				w.arm("c", written(t, "goal: {"+c.goal+"}\nsteps:"+twoMails))
				before, after, never, late := w.contact("b@example.com"), w.contact("a@example.com"), w.contact("n@example.com"), w.contact("l@example.com")
				if name != "segment" {
					w.now = w.now.Add(-time.Minute)
					c.happens(w, before) // nothing that the campaign has brought
					w.now = w.now.Add(time.Minute)
				}
				for _, id := range []int64{before, after, never, late} {
					w.started(id)
				}
				w.now = w.now.Add(24 * time.Hour)
				c.happens(w, after)
				w.wake(before, after, never, late)
				w.expectRun(after, "exited goal")
				w.runAt(noon().Add(48 * time.Hour))
				w.expectMails(7)
				w.now = w.now.Add(24 * time.Hour)
				c.happens(w, never) // after its last mail, within five days
				w.wake(never)
				w.expectRun(never, "done")
				w.now = w.now.Add(3 * 24 * time.Hour)
				c.happens(w, late)
				w.wake(late, after, never)
				if i := w.info("c"); i.Goals != 2 {
					t.Errorf("%d goals are counted", i.Goals)
				}
				if n := w.count("SELECT COUNT(*) FROM enrolments WHERE goal_at>triggered_at"); n != 2 {
					t.Errorf("%d runs have reached it", n)
				}
			})
		})
	}
}

func TestAGoalIsLookedAtAtEveryStepEvenIfNobodyTold(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.arm("c", written(t, "goal: {order: true}\nsteps:"+twoMails))
		zoe := w.contact("zoe@example.com")
		w.started(zoe)
		w.now = w.now.Add(time.Hour)
		w.order(zoe, w.shop, "o1", crm.StateAccepted, w.now)
		w.runAt(noon().Add(48 * time.Hour))
		w.expectRun(zoe, "exited goal")
		w.expectMails(1)
	})
}

func TestAGoalOrExitRefusesTheMailThatWaits(t *testing.T) {
	for name, want := range map[string]mailer.Reason{
		"goal: {order: true}": mailer.GoalReached, "exit_if: {bought: {at_least: 1}}": mailer.ExitRule,
		"goal: {order: true}\nexit_if: {bought: {at_least: 1}}": mailer.GoalReached, // the goal goes first
	} {
		t.Run(string(want), func(t *testing.T) {
			each(t, func(t *testing.T, w *world) {
				w.arm("c", written(t, name+"\nsteps:"+twoMails))
				zoe := w.contact("zoe@example.com")
				w.waiting(zoe, anybody)
				w.order(zoe, w.shop, "o1", crm.StateAccepted, w.now)
				w.silent = true // the gate would have to wait
				w.wake(zoe)
				w.silent = false
				w.expect(zoe, mailer.Refused, want)
				w.expectRun(zoe, "exited "+string(want))
				w.runAt(w.now.Add(72 * time.Hour))
				w.expectMails(0)
			})
		})
	}
}

func TestB18_AnOrderEndsARunAboutACartAtOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		stay := false
		s := cartCampaign()
		s.ExitWhenLeft = &stay
		s.Steps = append(s.Steps, mailer.StepSpec{ID: "pause", Wait: &mailer.WaitSpec{For: "1d"}}, mailer.StepSpec{ID: "second", Send: &mailer.SendSpec{Template: "abandoned_cart"}})
		w.arm(cartMails, s)
		zoe, max := w.contact("zoe@example.com"), w.contact("max@example.com")
		w.cart(zoe, "1")
		w.cart(max, "2")
		w.enter(zoe, idleCart, w.now)
		w.run()
		w.waiting(max, idleCart)
		w.order(zoe, w.shop, "o1", crm.StateAccepted, w.now)
		w.order(max, w.addShop("other", "opt_in"), "o2", crm.StateAccepted, w.now) // whatever the shop
		w.silent = true                                                            // the gate would have to wait
		w.wake(zoe, max)
		w.expectRun(zoe, "exited bought")
		w.expectRun(max, "exited bought")
		w.expect(max, mailer.Refused, mailer.Bought)
	})
}

func TestWhatTheHoldoutDoesIsNoGoalOfTheCampaign(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.arm("c", written(t, `
holdout: 90
goal: {order: true}
steps:
  - id: try
    split: {variants: [{id: a, steps: [{id: one, send: {template: win_back}}]}, {id: b, steps: []}]}`))
		for i := range 20 {
			id := w.contact(fmt.Sprintf("c%d@example.com", i))
			w.enter(id, anybody, w.now)
		}
		w.run()
		w.now = w.now.Add(time.Hour)
		var ids []int64
		if err := w.db.Read().SelectContext(t.Context(), &ids, "SELECT contact_id FROM enrolments"); err != nil {
			t.Fatal(err)
		}
		for _, id := range ids {
			w.order(id, w.shop, mailer.SendID(id), crm.StateAccepted, w.now)
		}
		w.wake(ids...)
		i := w.info("c")
		if n := w.count("SELECT COUNT(*) FROM enrolments WHERE goal_at>0"); n != 20 || i.Goals > 10 {
			t.Errorf("%d of 20 bought, %d goals are counted", n, i.Goals)
		}
		entered := int64(0)
		for _, v := range i.Splits[0].Variants {
			entered += v.Entered
			if v.Goal != v.Entered || v.Orders != v.Entered {
				t.Errorf("%+v", v)
			}
		}
		if entered != i.Goals {
			t.Errorf("%d entered, %d reached the goal", entered, i.Goals)
		}
	})
}
