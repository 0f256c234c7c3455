package mailer_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/mailer"
)

func TestB4_EnteringIsIdempotent(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.arm("once", plainCampaign())
		zoe := w.contact("zoe@example.com")
		for range 4 { // in one batch
			w.enter(zoe, anybody, w.now)
		}
		w.run()
		for range 4 { // and in batches of their own
			w.now = w.now.Add(time.Hour)
			w.change(zoe, anybody, false, w.now, crm.CauseChange)
			w.run()
			w.enter(zoe, anybody, w.now)
			w.run()
		}
		w.expectMails(1)
		infos := must(mailer.Infos(t.Context(), w.db.Read()))(t)
		if e := infos[0].Entries; e[mailer.Enrolled] != 1 || e[mailer.Repeated] != 7 {
			t.Fatalf("%+v", infos[0])
		}
	})
}

func TestOccurrencesSayHowOftenSomebodyTakesPart(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		each, again, cart := plainCampaign(), plainCampaign(), cartCampaign()
		each.Occurrence.Mode = mailer.OccurrenceEach
		again.Occurrence = mailer.Occurrence{Mode: mailer.OccurrenceAgain, AgainAfter: "2d"}
		cart.Trigger.Enters = anybody
		w.deploy(mailer.CampaignFile{"each": each, "again": again, "cart": cart})
		for _, id := range []string{"each", "again", "cart"} {
			if _, err := mailer.Arm(t.Context(), w.m, id, crm.At(w.now.Add(-time.Hour))); err != nil {
				t.Fatal(err)
			}
		}
		zoe := w.contact("zoe@example.com")
		for day := range 5 {
			if day == 2 || day == 4 {
				w.cart(zoe, string(rune('a'+day)))
			}
			w.enter(zoe, anybody, w.now)
			w.run()
			w.now = w.now.Add(24 * time.Hour)
		}
		for id, want := range map[string]int{"each": 5, "again": 3, "cart": 2} {
			if n := len(w.sends(mailer.SendFilter{Campaign: id, State: mailer.Accepted})); n != want {
				t.Errorf("%s: %d mails, want %d", id, n, want)
			}
		}
	})
}

func TestB14_HistoryNeverTriggers(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.exec("UPDATE shops SET backfilled_at=0")
		w.deploy(mailer.CampaignFile{"plain": plainCampaign()})
		if _, err := mailer.Arm(t.Context(), w.m, "plain", crm.At(w.now)); err != nil {
			t.Fatal(err)
		}
		first, built, after := w.contact("first@example.com"), w.contact("built@example.com"), w.contact("after@example.com")
		w.enter(first, anybody, w.now.Add(time.Minute)) // armed, but the shop is still being read for the first time
		w.runAt(w.now.Add(time.Minute))
		w.exec("UPDATE shops SET backfilled_at=?", crm.At(w.now.Add(time.Hour)))
		w.enter(first, anybody, w.now.Add(30*time.Minute)) // by its instant it belongs to the history
		w.change(built, anybody, true, w.now.Add(2*time.Hour), crm.CauseBuilt)
		w.change(built, anybody, true, w.now.Add(2*time.Hour), crm.CauseBackfill)
		w.enter(after, anybody, w.now.Add(2*time.Hour))
		w.runAt(w.now.Add(2 * time.Hour))
		w.expectMails(1)
		w.expect(after, mailer.Accepted, mailer.NoReason)
		infos := must(mailer.Infos(t.Context(), w.db.Read()))(t)
		if e := infos[0].Entries; e[mailer.BeforeArming] != 2 || e[mailer.History] != 2 || e[mailer.Enrolled] != 1 {
			t.Fatalf("%+v", e)
		}
	})
}

func TestB19_WhoEnteredBeforeArmingIsCountedAndShown(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.deploy(mailer.CampaignFile{cartMails: cartCampaign()})
		zoe := w.contact("zoe@example.com")
		w.cart(zoe, "1")
		w.enter(zoe, idleCart, w.now)
		w.run()
		before := must(mailer.PreviewArm(t.Context(), w.m, cartMails, crm.At(w.now)))(t)
		if before.State != mailer.CampaignDraft || before.Members != 1 || !before.Built || len(before.Shops) != 1 || before.Shops[0].ArmedAt != 0 {
			t.Fatalf("%+v", before)
		}
		after := must(mailer.Arm(t.Context(), w.m, cartMails, crm.At(w.now)))(t)
		if after.State != mailer.CampaignArmed || after.Shops[0].ArmedAt != crm.At(w.now) {
			t.Fatalf("%+v", after)
		}
		again := must(mailer.Arm(t.Context(), w.m, cartMails, crm.At(w.now.Add(time.Hour))))(t)
		if again.Shops[0].ArmedAt != crm.At(w.now) {
			t.Fatal("arming twice moves the beginning")
		}
		w.runAt(w.now.Add(time.Hour))
		w.expectMails(0)
		infos := must(mailer.Infos(t.Context(), w.db.Read()))(t)
		if infos[0].NotMailed != "1 entered before arming: not mailed" {
			t.Fatalf("%+v", infos[0])
		}
		if s := must(mailer.Why(t.Context(), w.db.Read(), cartMails, zoe))(t); !strings.Contains(s.Sentence, "entered it before the campaign was armed") {
			t.Fatal(s.Sentence)
		}
	})
}

func TestWaitsAndEditsAndRemovedSteps(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		spec := crashCampaign()
		w.arm("plain", spec)
		zoe := w.contact("zoe@example.com")
		w.enter(zoe, anybody, w.now)
		w.run()
		w.expectMails(1)
		w.runAt(w.now.Add(59 * time.Minute))
		w.expectMails(1)
		w.runAt(w.now.Add(time.Minute))
		w.expectMails(2)
		w.expect(zoe, mailer.Accepted, mailer.NoReason)

		max, lea := w.contact("max@example.com"), w.contact("lea@example.com")
		w.enter(max, anybody, w.now)
		w.run()
		spec.Steps[1].Wait = &mailer.WaitSpec{For: "3h"} // max stands there already: the edit is in force from the next step on
		spec.Steps[2].Send.Template = "welcome"
		if d := w.deploy(mailer.CampaignFile{"plain": spec}); d[0].What != "changed" || d[0].Generation != 2 {
			t.Fatalf("%+v", d)
		}
		w.enter(lea, anybody, w.now)
		w.runAt(w.now.Add(time.Hour))
		if n := len(w.sends(mailer.SendFilter{ContactID: max})); n != 2 {
			t.Fatalf("%d sends to somebody whose wait was an hour", n)
		}
		spec.Steps = spec.Steps[:1] // lea stands at the wait
		w.deploy(mailer.CampaignFile{"plain": spec})
		w.runAt(w.now.Add(3 * time.Hour))
		s := must(mailer.Why(t.Context(), w.db.Read(), "plain", lea))(t)
		if len(s.Sends) != 1 || s.Runs[0].State != "exited" || s.Runs[0].ExitReason != string(mailer.StepRemoved) {
			t.Fatalf("%+v", s)
		}
	})
}

func TestLeavingTheSegmentEndsTheCampaign(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.arm("plain", crashCampaign())
		zoe, max := w.contact("zoe@example.com"), w.contact("max@example.com")
		w.enter(zoe, anybody, w.now) // gets the first mail, leaves during the wait
		w.run()
		w.change(zoe, anybody, false, w.now, crm.CauseClock)
		w.waiting(max, anybody) // leaves while the mail waits at the gate
		w.change(max, anybody, false, w.now, crm.CauseChange)
		w.runAt(w.now.Add(2 * time.Hour))
		w.expectMails(1)
		w.expect(max, mailer.Refused, mailer.LeftSegment)
		if n := w.count("SELECT COUNT(*) FROM enrolments WHERE state='exited' AND exit_reason='left_segment'"); n != 2 {
			t.Fatalf("%d left", n)
		}
	})
}

func TestExitWhenLeftFalseGoesOn(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		spec, stay := crashCampaign(), false
		spec.ExitWhenLeft = &stay
		w.arm("plain", spec)
		zoe := w.contact("zoe@example.com")
		w.enter(zoe, anybody, w.now)
		w.run()
		w.change(zoe, anybody, false, w.now, crm.CauseClock)
		w.runAt(w.now.Add(time.Hour))
		w.expectMails(2)
	})
}

func TestAPausedCampaignTakesPeopleInAndSendsNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.arm("plain", plainCampaign())
		if err := mailer.Pause(t.Context(), w.m, "plain", "a mistake in the text", crm.At(w.now)); err != nil {
			t.Fatal(err)
		}
		zoe, max := w.contact("zoe@example.com"), w.contact("max@example.com")
		w.enter(zoe, anybody, w.now)
		w.run()
		w.expect(zoe, mailer.Deferred, mailer.Paused)
		w.runAt(w.now.Add(25 * time.Hour))
		w.expect(zoe, mailer.Refused, mailer.Stale)
		w.enter(max, anybody, w.now)
		w.run()
		if err := mailer.Resume(t.Context(), w.m, "plain", crm.At(w.now)); err != nil {
			t.Fatal(err)
		}
		w.runAt(w.now.Add(time.Minute))
		w.expect(max, mailer.Accepted, mailer.NoReason)
		w.expectMails(1)
		if err := mailer.Resume(t.Context(), w.m, "nothing", 1); err == nil || !strings.Contains(fault.HintOf(err), "campaign list") {
			t.Fatal(err)
		}
	})
}

func TestACampaignThatIsNoLongerInTheFilesIsPausedUntilItIsBack(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		file := mailer.CampaignFile{"plain": plainCampaign()}
		w.arm("plain", file["plain"])
		if d := w.deploy(file); d[0].What != "unchanged" {
			t.Fatalf("%+v", d)
		}
		if d := w.deploy(nil); len(d) != 1 || d[0].What != "paused" {
			t.Fatalf("%+v", d)
		}
		if d := w.deploy(file); d[0].What != "resumed" || d[0].Generation != 1 {
			t.Fatalf("%+v", d)
		}
		zoe := w.contact("zoe@example.com")
		w.enter(zoe, anybody, w.now)
		w.run()
		w.expectMails(1)
		err := mailer.Pause(t.Context(), w.m, "draft", "", 1)
		w.deploy(mailer.CampaignFile{"plain": file["plain"], "draft": plainCampaign()})
		err2 := mailer.Pause(t.Context(), w.m, "draft", "", 1)
		if err == nil || fault.ClassOf(err2) != fault.Operator {
			t.Fatal(err, err2)
		}
	})
}

func TestAnOrdersContactOfAnotherAudienceIsNotTheCampaigns(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		other := must(w.m.EnsureAudience(t.Context(), "other", "Another client"))(t)
		w.arm("plain", plainCampaign())
		zoe := w.contact("zoe@example.com")
		w.exec("UPDATE contacts SET audience_id=? WHERE id=?", other, zoe)
		w.enter(zoe, anybody, w.now)
		w.run()
		w.expectMails(0)
		if n := w.count("SELECT COUNT(*) FROM segment_changes WHERE pending=1") + w.count("SELECT COUNT(*) FROM enrolments"); n != 0 {
			t.Fatal("an entry of another client is not consumed, or takes part")
		}
	})
}

func TestTheShopsDatabaseComingBackFindsTheAnswers(t *testing.T) {
	for _, engine := range []store.Dialect{store.SQLite, store.MySQL} {
		t.Run(string(engine), func(t *testing.T) {
			failing := map[string]bool{}
			gone := errors.New("the server has gone away")
			db := servers.Open(t, engine, store.Options{Fault: func(name, when string) error {
				if failing[name+" "+when] {
					return gone
				}
				return nil
			}})
			w := newWorld(t, db)
			w.arm("plain", plainCampaign())
			zoe, max, lea := w.contact("zoe@example.com"), w.contact("max@example.com"), w.contact("lea@example.com")
			fail := func(contact int64, point string) {
				t.Helper()
				failing = map[string]bool{point: true, "mailer.settle before": true}
				w.enter(contact, anybody, w.now)
				if err := w.tryRun(); !errors.Is(err, gone) {
					t.Fatal(err)
				}
				failing = map[string]bool{}
				w.run()
				w.expect(contact, mailer.Accepted, mailer.NoReason)
			}
			fail(zoe, "mailer.settle before") // the answer is kept in memory
			w.expectMails(1)
			fail(max, "mailer.gate after") // committed, and the process knows that it has not sent it
			w.expectMails(2)
			fail(lea, "mailer.gate before")
			w.expectMails(3)
		})
	}
}
