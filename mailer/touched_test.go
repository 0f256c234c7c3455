package mailer_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/mailer"
)

const zoeMail = "zoe@example.com"

func onEvent(name string) mailer.TriggerSpec {
	return mailer.TriggerSpec{Event: &mailer.EventSpec{Name: name}}
}

func TestAnOrderStartsACampaignAtEachOfItsMoments(t *testing.T) {
	eachChain(t, func(t *testing.T, c *chain) {
		f := mailer.CampaignFile{}
		for _, moment := range []string{"placed", "paid", "shipped", "cancelled", "refunded"} {
			f[moment] = tells(mailer.TriggerSpec{Order: moment})
		}
		c.begin(f)
		at := func(minute int) time.Time { return noon().Add(time.Duration(minute) * time.Minute) }
		step := func(minute int, want map[string]int, facts ...crm.Fact) {
			t.Helper()
			c.now = at(minute)
			c.read(facts...)
			c.live()
			c.expectRuns(want)
		}
		step(1, map[string]int{"placed": 0, "paid": 0}, shopOrder("7", zoeMail, crm.StatePending, at(0), nil))
		step(2, map[string]int{"placed": 1, "paid": 0, "shipped": 0}, shopOrder("7", zoeMail, crm.StateOnHold, at(0), nil))
		paid := func(o *crm.Order) { o.PaidAt, o.ModifiedAt = crm.At(at(3)), crm.At(at(3)) }
		step(4, map[string]int{"placed": 1, "paid": 1, "shipped": 0}, shopOrder("7", zoeMail, crm.StateAccepted, at(0), paid))
		step(5, map[string]int{"paid": 1, "shipped": 1}, shopOrder("7", zoeMail, crm.StateShipped, at(0), func(o *crm.Order) { paid(o); o.ModifiedAt = crm.At(at(5)) }))
		done := func(o *crm.Order) { paid(o); o.CompletedAt, o.ModifiedAt = crm.At(at(9)), crm.At(at(9)) }
		step(9, map[string]int{"paid": 1, "shipped": 1, "refunded": 0}, shopOrder("7", zoeMail, crm.StateCompleted, at(0), done))
		step(10, map[string]int{"refunded": 1}, crm.Fact{Ref: crm.Ref{Kind: crm.KindRefund, ID: "1"}, Body: &crm.Refund{OrderID: "7", Amount: 500, Currency: "EUR", At: crm.At(at(10))}})
		step(11, map[string]int{"refunded": 1}, crm.Fact{Ref: crm.Ref{Kind: crm.KindRefund, ID: "2"}, Body: &crm.Refund{OrderID: "7", Amount: 700, Currency: "EUR", At: crm.At(at(11))}})
		step(12, map[string]int{"placed": 1, "paid": 1, "cancelled": 1}, shopOrder("8", zoeMail, crm.StateCancelled, at(11), nil))
		// A platform that does not say when: when it was first seen so, and not again when it is edited later.
		silent := func(o *crm.Order) { o.PaidBySale, o.ModifiedAt = true, crm.At(at(13)) }
		step(14, map[string]int{"placed": 2, "paid": 2, "shipped": 1}, shopOrder("9", zoeMail, crm.StateAccepted, at(12), silent))
		step(15, map[string]int{"placed": 2, "paid": 2, "shipped": 1, "cancelled": 1, "refunded": 1},
			shopOrder("9", zoeMail, crm.StateAccepted, at(12), func(o *crm.Order) { silent(o); o.ModifiedAt = crm.At(at(15)) }))
		var got []struct {
			About, Occurrence string
			TriggeredAt       crm.Instant `db:"triggered_at"`
		}
		if err := c.db.Read().SelectContext(t.Context(), &got, "SELECT about, occurrence, triggered_at FROM enrolments WHERE campaign='paid' ORDER BY triggered_at"); err != nil {
			t.Fatal(err)
		}
		if len(got) != 2 || got[0].About != got[0].Occurrence || got[0].TriggeredAt != crm.At(at(3)) || got[1].TriggeredAt != crm.At(at(13)) {
			t.Errorf("%+v", got)
		}
		if n := c.count("SELECT COUNT(*) FROM touches"); n != 0 {
			t.Errorf("%d touches are left", n)
		}
		if s := c.info("shipped").Starts; s != "when an order is shipped" {
			t.Error(s)
		}
	})
}

// An order that a shop splits or edits is one purchase: it is placed once.
func TestAPurchaseOfSeveralOrdersIsPlacedOnce(t *testing.T) {
	eachChain(t, func(t *testing.T, c *chain) {
		c.begin(mailer.CampaignFile{"placed": tells(mailer.TriggerSpec{Order: "placed"}), "shipped": tells(mailer.TriggerSpec{Order: "shipped"})})
		part := func(o *crm.Order) { o.Purchase = "REF" }
		c.read(shopOrder("12", zoeMail, crm.StateShipped, c.now, part))
		c.live()
		c.read(shopOrder("11", zoeMail, crm.StateShipped, c.now.Add(-time.Minute), part))
		c.live()
		c.expectRuns(map[string]int{"placed": 1, "shipped": 2})
	})
}

func TestB14_FactsOfHistoryStartNothingAndTheBoundaryIsExact(t *testing.T) {
	eachChain(t, func(t *testing.T, c *chain) {
		f := mailer.CampaignFile{"form": tells(onEvent("form")), "placed": tells(mailer.TriggerSpec{Order: "placed"})}
		c.deploy(f)
		c.keep(f)
		armed := c.now
		before, at := armed.Add(-time.Millisecond), armed
		c.readAs(crm.CauseBackfill, shopOrder("1", zoeMail, crm.StateAccepted, armed.Add(-40*24*time.Hour), nil))
		c.live()
		c.read(shopEvent("0", zoeMail, "form", armed.Add(-time.Hour), nil)) // a draft looks on
		c.live()
		for id := range f {
			if _, err := mailer.Arm(t.Context(), c.m, id, crm.At(armed)); err != nil {
				t.Fatal(err)
			}
		}
		c.now = armed.Add(time.Minute)
		c.read(shopEvent("1", zoeMail, "form", before, nil), shopEvent("2", zoeMail, "form", at, nil))
		c.live()
		for i := range 3 { // looked at again and again
			c.now = c.now.Add(time.Minute)
			c.read(shopEvent(string(rune('a'+i)), zoeMail, "other", c.now, nil))
			c.live()
		}
		c.expectRuns(map[string]int{"form": 1, "placed": 0})
		if e := c.info("form").Entries; e[mailer.Enrolled] != 1 || e[mailer.BeforeArming] != 2 || len(e) != 2 {
			t.Errorf("%+v", e)
		}
		if n := c.info("form").NotMailed; n != "2 before arming: not mailed" { // B19
			t.Error(n)
		}
		if e := c.info("placed").Entries; len(e) != 0 {
			t.Errorf("an old order: %+v", e)
		}
		// A shop that is still being read for the first time.
		other := c.addShop("second", "opt_in")
		c.exec("UPDATE shops SET backfilled_at=0 WHERE id=?", other)
		first := c.shop
		c.shop = other
		c.read(shopEvent("1", "ana@example.com", "form", c.now, nil))
		c.live()
		c.shop = first
		c.expectRuns(map[string]int{"form": 1})
		c.expectMails(1)
	})
}

func TestAFactThatIsKnownTooLateIsCountedOnce(t *testing.T) {
	eachChain(t, func(t *testing.T, c *chain) {
		c.begin(mailer.CampaignFile{"form": tells(onEvent("form"))})
		form := c.now
		c.now = c.now.Add(25 * time.Hour) // an outage
		for id := range 3 {
			c.read(shopEvent("1", zoeMail, "form", form, nil), shopEvent(string(rune('a'+id)), zoeMail, "other", c.now, nil))
			c.live()
			c.now = c.now.Add(time.Minute)
		}
		c.expectMails(0)
		if e := c.info("form").Entries; e[mailer.TooOld] != 1 || len(e) != 1 {
			t.Errorf("%+v", e)
		}
		c.runAt(c.now.Add(30 * 24 * time.Hour))
		if n := c.count("SELECT COUNT(*) FROM trigger_facts"); n != 0 {
			t.Errorf("%d verdicts are kept for ever", n)
		}
	})
}

func TestAFactDatedAheadStartsAtItsInstant(t *testing.T) {
	eachChain(t, func(t *testing.T, c *chain) {
		c.begin(mailer.CampaignFile{"placed": tells(mailer.TriggerSpec{Order: "placed"})})
		due := c.now.Add(3 * time.Hour)
		c.read(shopOrder("1", zoeMail, crm.StateAccepted, due, nil))
		c.liveAt(due.Add(-time.Millisecond))
		c.expectRuns(map[string]int{"placed": 0})
		next, worked, err := c.e.Step(t.Context(), c.now)
		if err != nil || worked || !next.Equal(due) {
			t.Fatal(next, worked, err)
		}
		c.runAt(due)
		c.expectMails(1)
	})
}

// B4: whatever commit a process dies at, each event starts one run.
func TestB4_AnEventStartsOneRunThroughACrashAtEveryCommit(t *testing.T) {
	crash := errors.New("the process ends here")
	for _, engine := range []store.Dialect{store.SQLite, store.MySQL} {
		t.Run(string(engine), func(t *testing.T) {
			fails := ""
			db := servers.Open(t, engine, store.Options{Fault: func(name, when string) error {
				if name+" "+when == fails {
					return crash
				}
				return nil
			}})
			w := newWorld(t, db)
			c := &chain{world: w}
			c.begin(mailer.CampaignFile{"form": tells(onEvent("form"))})
			for i, at := range []string{"segments.settle before", "segments.settle after", "mailer.touched before", "mailer.touched after", "mailer.advance after"} {
				c.now = c.now.Add(time.Minute)
				c.read(shopEvent(string(rune('a'+i)), zoeMail, "form", c.now, nil))
				fails = at
				if err := c.tryLive(); !errors.Is(err, crash) {
					t.Fatalf("%s: %v", at, err)
				}
				fails = ""
				c.rebuild()
				c.keep(mailer.CampaignFile{})
				c.live()
				c.live()
				c.expectRuns(map[string]int{"form": i + 1})
				c.expectMails(i + 1)
			}
			if e := c.info("form").Entries; e[mailer.Enrolled] != 5 || len(e) != 1 {
				t.Errorf("%+v", e)
			}
		})
	}
}

func TestFactsFollowAMergedContactAndAreNotRepeated(t *testing.T) {
	eachChain(t, func(t *testing.T, c *chain) {
		c.begin(mailer.CampaignFile{"form": tells(onEvent("form"))})
		c.read(shopEvent("1", "a@example.com", "form", c.now, nil), shopEvent("x", "b@example.com", "other", c.now, nil))
		c.live()
		c.expectRuns(map[string]int{"form": 1})
		c.read(shopEvent("2", "a@example.com", "form", c.now, nil)) // seen, and not yet told
		c.merge(c.who("a@example.com"), c.who("b@example.com"))
		c.live()
		c.expectRuns(map[string]int{"form": 2})
		if n := c.count("SELECT COUNT(*) FROM enrolments WHERE contact_id=?", c.who("b@example.com")); n != 1 {
			t.Errorf("%d runs for whom the event counts now", n)
		}
	})
}

func TestAnEventIsChosenByItsProperties(t *testing.T) {
	eachChain(t, func(t *testing.T, c *chain) {
		spec := tells(mailer.TriggerSpec{Event: &mailer.EventSpec{Name: "form", Where: map[string]string{"id": "contact"}}})
		c.begin(mailer.CampaignFile{"form": spec})
		c.read(shopEvent("1", zoeMail, "form", c.now, map[string]string{"id": "contact"}), shopEvent("2", zoeMail, "form", c.now, map[string]string{"id": "other"}),
			shopEvent("3", zoeMail, "search", c.now, map[string]string{"id": "contact"}))
		c.live()
		c.expectRuns(map[string]int{"form": 1})
		if s := c.info("form").Starts; s != "when somebody does form with id: contact" {
			t.Error(s)
		}
	})
}

func TestOccurrencesOfFacts(t *testing.T) {
	eachChain(t, func(t *testing.T, c *chain) {
		f := mailer.CampaignFile{}
		for name, o := range map[string]mailer.Occurrence{
			"default": {}, "once": {Mode: mailer.OccurrenceOnce}, "each": {Mode: mailer.OccurrenceEach}, "year": {Mode: mailer.OccurrenceYear},
			"order": {Mode: mailer.OccurrenceOrder}, "again": {Mode: mailer.OccurrenceAgain, AgainAfter: "2d"}, "cart": {Mode: mailer.OccurrenceCart},
		} {
			spec := tells(onEvent("form"))
			spec.Occurrence = o
			if name == "each" { // is under way for an hour
				spec.Steps = append([]mailer.StepSpec{{ID: "pause", Wait: &mailer.WaitSpec{For: "1h"}}}, spec.Steps...)
			}
			f[name] = spec
		}
		c.now = time.Date(2026, 12, 30, 12, 0, 0, 0, time.UTC)
		c.begin(f)
		c.read(shopOrder("1", zoeMail, crm.StateAccepted, c.now.Add(-time.Hour), nil))
		for i := range 4 { // two at once, then one a day
			if i > 1 {
				c.liveAt(c.now.Add(2 * time.Hour)) // what was under way is over
				c.now = c.now.Add(22 * time.Hour)
			}
			c.read(shopEvent(string(rune('a'+i)), zoeMail, "form", c.now.Add(time.Duration(i)*time.Second-time.Minute), nil))
			c.live()
			c.read(shopEvent(string(rune('p'+i)), zoeMail, "other", c.now, nil)) // and a look that finds nothing new
			c.live()
		}
		c.expectRuns(map[string]int{"default": 4, "once": 1, "each": 3, "year": 2, "order": 1, "again": 2, "cart": 0})
		for name, want := range map[string]map[string]int64{
			"default": {mailer.Enrolled: 4}, "once": {mailer.Enrolled: 1, mailer.Repeated: 3}, "each": {mailer.Enrolled: 3, mailer.Repeated: 1}, "cart": {mailer.NoCart: 4},
			"order": {mailer.Enrolled: 1, mailer.Repeated: 3},
		} {
			if d := cmp.Diff(want, c.info(name).Entries); d != "" {
				t.Errorf("%s: %s", name, d)
			}
		}
	})
}

// Whoever edits what an armed campaign waits for begins anew: nobody saw an audience for what happened before.
func TestAnotherFactBeginsWhenItIsDeployed(t *testing.T) {
	eachChain(t, func(t *testing.T, c *chain) {
		c.begin(mailer.CampaignFile{"tell": tells(onEvent("form"))})
		c.read(shopEvent("1", zoeMail, "search", c.now, nil))
		c.live()
		c.now = c.now.Add(time.Minute)
		c.deploy(mailer.CampaignFile{"tell": tells(onEvent("search"))})
		c.now = c.now.Add(time.Minute)
		c.read(shopEvent("2", zoeMail, "search", c.now, nil))
		c.live()
		c.expectRuns(map[string]int{"tell": 1})
	})
}

func TestLeavingASegmentStartsACampaign(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		spec := plainCampaign()
		spec.Trigger = mailer.TriggerSpec{Leaves: idleCart}
		w.arm("gone", spec)
		zoe, ana := w.contact(zoeMail), w.contact("ana@example.com")
		w.enter(zoe, idleCart, w.now)
		w.run()
		w.expectMails(0)
		w.change(zoe, idleCart, false, w.now, crm.CauseChange)
		w.change(ana, idleCart, false, w.now, crm.CauseRedefined)
		w.run()
		w.expectMails(1)
		w.expect(zoe, mailer.Accepted, mailer.NoReason)
	})
}

func TestWhoComesBackIsStillMailedWhenLeavingStartedIt(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		spec := plainCampaign()
		spec.Trigger = mailer.TriggerSpec{Leaves: idleCart}
		spec.Steps = append([]mailer.StepSpec{{ID: "pause", Wait: &mailer.WaitSpec{For: "1h"}}}, spec.Steps...)
		w.arm("gone", spec)
		zoe := w.contact(zoeMail)
		w.change(zoe, idleCart, false, w.now, crm.CauseChange)
		w.run()
		w.enter(zoe, idleCart, w.now)
		w.runAt(w.now.Add(time.Hour))
		w.expectMails(1)
	})
}
