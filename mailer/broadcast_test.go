package mailer_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/mailer"
)

// news is a broadcast to anybody.
func news(b mailer.BroadcastSpec) mailer.CampaignSpec {
	b.Segment = anybody
	return tells(mailer.TriggerSpec{Broadcast: &b})
}

// subscriber adds somebody of a zone who has been in the segment for a week.
func (w *world) subscriber(name, zone string) int64 {
	w.tb.Helper()
	id := w.contact(name + "@example.com")
	w.exec("UPDATE contacts SET zone=? WHERE id=?", zone, id)
	w.change(id, anybody, true, w.now.Add(-7*24*time.Hour), crm.CauseBuilt)
	w.exec("UPDATE segment_changes SET pending=0")
	return id
}

func (w *world) had(contact int64, want int) {
	w.tb.Helper()
	if n := w.count("SELECT COUNT(*) FROM sends WHERE contact_id=? AND state='accepted'", contact); n != want {
		w.tb.Errorf("%s: the contact has had %d mails, want %d", w.now, n, want)
	}
}

func TestABroadcastComesAtTheSameTimeOnEverybodysClock(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		far, home, last := w.subscriber("far", "Pacific/Kiritimati"), w.subscriber("home", "Europe/Paris"), w.subscriber("last", "Pacific/Pago_Pago") // UTC+14, +1, -11
		w.armAt("news", news(mailer.BroadcastSpec{At: "2026-12-01 10:00"}), w.now)
		for _, step := range []struct {
			at                string
			n, far, home, ago int
		}{
			{"2026-11-30T19:59:59.999Z", 0, 0, 0, 0},
			{"2026-11-30T20:00:00Z", 1, 1, 0, 0},
			{"2026-12-01T08:59:59.999Z", 1, 1, 0, 0},
			{"2026-12-01T09:00:00Z", 2, 1, 1, 0},
			{"2026-12-01T20:59:59.999Z", 2, 1, 1, 0},
			{"2026-12-01T21:00:00Z", 3, 1, 1, 1},
			{"2026-12-03T00:00:00Z", 3, 1, 1, 1},
		} {
			w.runAt(must(time.Parse(time.RFC3339Nano, step.at))(t))
			w.had(far, step.far)
			w.had(home, step.home)
			w.had(last, step.ago)
		}
		next, _, err := w.e.Step(t.Context(), w.now)
		if err != nil || next.Sub(w.now) != time.Second {
			t.Error(next, err)
		}
		if n := w.count("SELECT COUNT(*) FROM broadcasts WHERE done_at=0"); n != 0 {
			t.Errorf("%d lanes are not done", n)
		}
		if e := w.infos()["news"].Entries; e[mailer.Enrolled] != 3 || len(e) != 1 {
			t.Errorf("%+v", e)
		}
	})
}

func (w *world) infos() map[string]mailer.CampaignInfo {
	w.tb.Helper()
	out := map[string]mailer.CampaignInfo{}
	for _, i := range must(mailer.Infos(w.tb.Context(), w.db.Read()))(w.tb) {
		out[i.ID] = i
	}
	return out
}

// Whoever is in the segment at the moment: not who came later, nor who is gone; and whoever moves to another zone on the
// way is mailed once, also where that clock had been there already.
func TestABroadcastIsForWhoIsInTheSegmentThen(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		paris := time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)
		w.exec("UPDATE shops SET zone='UTC'") // an hour later than Paris
		stays, gone, west, east, late := w.subscriber("a", "Europe/Paris"), w.subscriber("b", "Europe/Paris"), w.subscriber("c", "Europe/Paris"), w.subscriber("d", "UTC"), w.contact("e@example.com")
		w.armAt("news", news(mailer.BroadcastSpec{At: "2026-12-01 10:00"}), w.now)
		w.runAt(paris.Add(-time.Minute))
		w.change(gone, anybody, false, w.now, crm.CauseChange)
		w.runAt(paris)
		w.expectMails(2)
		w.exec("UPDATE contacts SET zone='UTC' WHERE id=?", west)          // its time comes once more
		w.exec("UPDATE contacts SET zone='Europe/Paris' WHERE id=?", east) // its time is over
		w.enter(late, anybody, paris.Add(time.Minute))
		w.runAt(paris.Add(time.Hour))
		for contact, want := range map[int64]int{stays: 1, gone: 0, west: 1, east: 1, late: 0} {
			w.had(contact, want)
		}
		w.expectMails(3)
	})
}

func TestB3_ABroadcastIsNotSentLate(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		home := w.subscriber("home", "Europe/Paris")
		w.armAt("news", news(mailer.BroadcastSpec{At: "2026-12-01 10:00", Window: "4h"}), w.now)
		at := time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)
		w.runAt(at.Add(4*time.Hour + time.Millisecond)) // off until then
		w.had(home, 0)
		w.runAt(w.now.Add(time.Hour))
		if e := w.infos()["news"].Entries; e[mailer.TooOld] != 1 || len(e) != 1 {
			t.Errorf("%+v", e)
		}
	})
}

func TestB14_ABroadcastBeforeArmingIsNotSent(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		far, home := w.subscriber("far", "Asia/Tokyo"), w.subscriber("home", "Europe/Paris")
		at := time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)
		w.now = at
		w.deploy(mailer.CampaignFile{"news": news(mailer.BroadcastSpec{At: "2026-12-01 10:00"})})
		w.run() // a draft
		a := must(mailer.PreviewArm(t.Context(), w.m, "news", crm.At(at)))(t)
		if !a.Broadcast || a.Members != 2 || a.BeginsAt != crm.At(at) || a.Starts != "on 2026-12-01 at 10:00 by each contact's clock, for whoever is in anybody then" {
			t.Errorf("%+v", a)
		}
		if _, err := mailer.Arm(t.Context(), w.m, "news", crm.At(at)); err != nil {
			t.Fatal(err)
		}
		w.exec("UPDATE campaign_shops SET armed_at=?", crm.At(at))
		w.run()
		w.runAt(w.now.Add(time.Hour))
		w.had(far, 0)
		w.had(home, 1)
		if n := w.infos()["news"].NotMailed; n != "1 before arming: not mailed" {
			t.Error(n)
		}
		if a := must(mailer.PreviewArm(t.Context(), w.m, "news", crm.At(w.now)))(t); a.BeginsAt != 0 {
			t.Errorf("it is said to begin at %s", a.BeginsAt.Time())
		}
		s := must(mailer.Why(t.Context(), w.db.Read(), "news", far))(t).Sentence
		if want := "The campaign starts on 2026-12-01 at 10:00 by each contact's clock, for whoever is in anybody then. " +
			"The contact is in anybody now; at the moment of a run it was not, or the run was before arming, or too long ago."; s != want {
			t.Error(s)
		}
	})
}

func TestABroadcastComesAgainAndAnEditMovesWhatHasNotBegun(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		home := w.subscriber("home", "Europe/Paris")
		b := mailer.BroadcastSpec{At: "2026-11-30 10:00", Every: "1mo"}
		w.armAt("news", news(b), w.now)
		day := func(m, d, h int) time.Time { return time.Date(2026, time.Month(m), d, h-1, 0, 0, 0, time.UTC) }
		w.runAt(day(11, 30, 10))
		w.had(home, 1)
		w.runAt(day(12, 29, 0))
		b.At = "2026-11-30 12:00" // of a day whose run is over, and of the one to come
		w.deploy(mailer.CampaignFile{"news": news(b)})
		w.runAt(day(12, 30, 10))
		w.had(home, 1)
		w.runAt(day(12, 30, 12))
		w.had(home, 2)
		b.At = "2026-12-31 09:00" // the day after: nobody gets two in a day
		w.deploy(mailer.CampaignFile{"news": news(b)})
		w.runAt(day(12, 31, 9))
		w.had(home, 2)
		w.runAt(day(13, 31, 9))
		w.runAt(day(14, 28, 8).Add(time.Hour - time.Millisecond))
		w.had(home, 3)
		w.runAt(day(14, 28, 9)) // February's last
		w.had(home, 4)
	})
}

// Many members, lanes that change hands amid the pages, and a process that dies after each commit: everybody once.
func TestABroadcastIsTakenOverAmidItsPages(t *testing.T) {
	for _, engine := range []store.Dialect{store.SQLite, store.MySQL} {
		t.Run(string(engine), func(t *testing.T) {
			dsn, commits, last := servers.DSN(t, engine), 0, 0
			db := servers.Open(t, engine, store.Options{DSN: dsn, Fault: func(name, when string) error {
				if name == "mailer.broadcast" && when == "after" {
					if commits++; commits > last {
						return errCrash
					}
				}
				return nil
			}})
			w := newWorld(t, db)
			const people = 450
			var contacts, members [][]any
			for i := range people {
				id := int64(1000 + i)
				contacts = append(contacts, []any{id, w.audience, crm.LaneOf(id), fmt.Sprintf("c%d@example.com", i), fmt.Sprintf("c%d@example.com", i), "", w.shop, 1})
				members = append(members, []any{id, anybody, 1, crm.LaneOf(id), 1})
			}
			w.insert("contacts", []string{"id", "audience_id", "lane", "email", "email_norm", "zone", "home_shop_id", "live"}, contacts...)
			w.insert("memberships", []string{"contact_id", "segment", "generation", "lane", "since"}, members...)
			w.options.SendingAllowed = func() error { return errCrash }
			w.rebuild()
			w.armAt("news", news(mailer.BroadcastSpec{At: "2026-11-20 13:00"}), w.now)
			for owner := range 3 { // each does one page, and dies
				last = commits
				if err := w.tryRun(); err == nil {
					t.Fatal("it lives")
				}
				w.exec2(db, "UPDATE leases SET until_ms=0")
				audience, shop := w.audience, w.shop
				w = openWorld(t, db, fmt.Sprint("process ", owner))
				w.audience, w.shop = audience, shop
				w.options.SendingAllowed = func() error { return errCrash }
				w.rebuild()
			}
			last = 1000
			half := store.NewLeases(db, "half", time.Hour) // and two at once
			w.exec2(db, "UPDATE leases SET until_ms=0 WHERE name IN ('lane:1','lane:2','lane:3','lane:4','lane:5')")
			if held := must(half.Acquire(t.Context(), "lane:1", "lane:2", "lane:3", "lane:4", "lane:5"))(t); len(held) != 5 {
				t.Fatal(held)
			}
			other := mailer.NewEngine(w.m, half, w.options)
			for range 10 {
				if _, _, err := other.Step(t.Context(), w.now); err != nil {
					t.Fatal(err)
				}
				if _, _, err := w.e.Step(t.Context(), w.now); err != nil {
					t.Fatal(err)
				}
			}
			if n := w.count("SELECT COUNT(*) FROM enrolments"); n != people {
				t.Errorf("%d runs of %d people", n, people)
			}
			if n := w.count("SELECT COUNT(*) FROM broadcasts WHERE done_at>0"); n != crm.Lanes {
				t.Errorf("%d lanes are done", n)
			}
		})
	}
}

// Where clocks are changed the run comes at the first such time, or right after the gap; days that a month lacks are its last.
func TestRunsGoByTheCalendar(t *testing.T) {
	t.Parallel()
	days := func(b mailer.BroadcastSpec, n int) (out []string) {
		for i := range n {
			out = append(out, mailer.RunDay(b, i).Format(time.DateOnly))
		}
		return out
	}
	for _, c := range []struct {
		at, every string
		want      []string
	}{
		{"2027-01-31 10:00", "1mo", []string{"2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30"}},
		{"2027-11-30 10:00", "3mo", []string{"2027-11-30", "2028-02-29", "2028-05-30"}},
		{"2028-02-29 10:00", "1y", []string{"2028-02-29", "2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29"}},
		{"2026-12-28 10:00", "2w", []string{"2026-12-28", "2027-01-11", "2027-01-25"}},
	} {
		if d := cmp.Diff(c.want, days(mailer.BroadcastSpec{At: c.at, Every: c.every}, len(c.want))); d != "" {
			t.Errorf("%s every %s: %s", c.at, c.every, d)
		}
	}
	paris := must(time.LoadLocation("Europe/Paris"))(t)
	for at, want := range map[string]string{"2027-03-28 02:30": "2027-03-28T01:00:00Z", "2026-10-25 02:30": "2026-10-25T00:30:00Z", "2027-07-01 10:00": "2027-07-01T08:00:00Z"} {
		if got := mailer.RunAt(mailer.BroadcastSpec{At: at}, 0, paris).Time().Format(time.RFC3339); got != want {
			t.Errorf("%s in Paris is %s, want %s", at, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) { // around: as if each run were looked at
		b := mailer.BroadcastSpec{At: "2026-01-31 09:00", Every: rapid.SampledFrom([]string{"", "1w", "3w", "1mo", "5mo", "2y"}).Draw(t, "every")}
		from := crm.At(time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.Int64Range(0, 24*365*20).Draw(t, "from")) * time.Hour))
		to := from.Add(time.Duration(rapid.Int64Range(0, 24*90).Draw(t, "for")) * time.Hour)
		var want []time.Time
		for i := range 1200 {
			noon := crm.At(mailer.RunDay(b, i).Add(9 * time.Hour))
			if noon.Add(-14*time.Hour) <= to && noon.Add(12*time.Hour) >= from {
				want = append(want, mailer.RunDay(b, i))
			}
			if b.Every == "" {
				break
			}
		}
		if d := cmp.Diff(want, mailer.RunsAround(b, from, to)); d != "" {
			t.Fatal(d)
		}
	})
}
