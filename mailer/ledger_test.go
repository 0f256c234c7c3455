package mailer_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/mailer"
)

func TestB1_OneBadRecipientNeitherHoldsUpNorRepeatsTheOthers(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.arm("plain", plainCampaign())
		w.out.answer = func(m mailer.Mail) error {
			switch m.ToEmail {
			case "c3@example.com":
				return fault.New(fault.Reject, "handing a mail to the provider", errors.New("does not like c3@example.com"))
			case "c4@example.com":
				panic("a provider that fails")
			}
			return nil
		}
		ids := map[string]int64{}
		for i := range 20 {
			email := fmt.Sprintf("c%d@example.com", i)
			ids[email] = w.contact(email)
			w.enter(ids[email], anybody, w.now)
		}
		w.exec("UPDATE contacts SET first_name=? WHERE id=?", strings.Repeat("x", 190), ids["c5@example.com"]) // a subject that is too long for some
		for range 5 {
			w.run()
			w.now = w.now.Add(time.Hour)
			w.ahead += time.Hour
		}
		w.expectMails(20)
		for email, id := range ids {
			switch email {
			case "c3@example.com":
				w.expect(id, mailer.Refused, mailer.Rejected)
			case "c4@example.com":
				w.expect(id, mailer.Unknown, mailer.NoAnswer)
			default:
				w.expect(id, mailer.Accepted, mailer.NoReason)
			}
		}
		s := must(mailer.Why(t.Context(), w.db.Read(), "plain", ids["c3@example.com"]))(t)
		if d := s.Sends[0].Log[2].Detail; !strings.Contains(d, "does not like") || strings.Contains(d, "c3@") {
			t.Fatalf("detail %q", d)
		}
	})
}

func TestAnUnknownOutcomeIsShownAndNeverSentAgain(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.arm("plain", plainCampaign())
		answers := []error{fault.New(fault.Unknown, "posting", errors.New("reset by peer")), errors.New("not classified at all")}
		for i, answer := range answers {
			w.out.answer = func(mailer.Mail) error { return answer }
			id := w.contact(fmt.Sprintf("c%d@example.com", i))
			w.enter(id, anybody, w.now)
			for range 4 {
				w.run()
				w.now, w.ahead = w.now.Add(time.Hour), w.ahead+time.Hour
			}
			w.expectMails(i + 1)
			w.expect(id, mailer.Unknown, mailer.NoAnswer)
		}
		infos := must(mailer.Infos(t.Context(), w.db.Read()))(t)
		if infos[0].Sends["unknown"] != 2 {
			t.Fatalf("%+v", infos[0])
		}
	})
}

func TestAProviderThatGivesNoAnswerDoesNotBurnTheQueue(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.arm("plain", plainCampaign())
		w.out.answer = func(mailer.Mail) error { return fault.New(fault.Unknown, "posting", errors.New("timed out")) }
		for i := range 50 {
			w.enter(w.contact(fmt.Sprintf("c%d@example.com", i)), anybody, w.now)
		}
		for range 6 {
			w.run()
			w.ahead += 500 * time.Millisecond
		}
		if n := len(w.out.got()); n > 12 {
			t.Fatalf("%d mails were burnt against a provider that is not there", n)
		}
	})
}

func TestThrottledIsNoAttempt(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.arm("plain", plainCampaign())
		busy := true
		w.out.answer = func(mailer.Mail) error {
			if busy {
				return &fault.Error{Class: fault.Throttled, Op: "posting", After: 40 * time.Second}
			}
			return nil
		}
		zoe := w.contact("zoe@example.com")
		w.enter(zoe, anybody, w.now)
		for i := range 20 {
			w.run()
			w.expectMails(i + 1)
			w.expect(zoe, mailer.Deferred, mailer.ProviderBusy)
			w.ahead += 39 * time.Second
			w.run()
			w.expectMails(i + 1)
			w.ahead += 2 * time.Second
		}
		busy = false
		w.run()
		w.expect(zoe, mailer.Accepted, mailer.NoReason)
		if s := w.one(zoe); s.Attempts != 0 {
			t.Fatalf("%d attempts", s.Attempts)
		}
	})
}

func TestB5_AProviderThatIsDownIsTriedABoundedNumberOfTimes(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.arm("plain", plainCampaign())
		w.out.answer = func(mailer.Mail) error { return fault.New(fault.Retry, "connecting", errors.New("refused")) }
		zoe := w.contact("zoe@example.com")
		w.enter(zoe, anybody, w.now)
		for range 100 {
			w.run()
			w.ahead += time.Hour
		}
		w.expectMails(8)
		w.expect(zoe, mailer.Refused, mailer.TooManyAttempts)
		if n := w.count("SELECT COUNT(*) FROM send_log"); n > 20 {
			t.Fatalf("%d lines in the log for one mail", n)
		}
	})
}

func TestAProviderThatRefusesOurKeyKeepsTheQueue(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.arm("plain", plainCampaign())
		w.out.answer = func(mailer.Mail) error {
			return &fault.Error{Class: fault.Operator, Op: "posting", Err: errors.New("401"), Hint: "Check the key"}
		}
		for i := range 30 {
			w.enter(w.contact(fmt.Sprintf("c%d@example.com", i)), anybody, w.now)
		}
		w.run()
		w.expectMails(8) // one batch
		if got := w.e.Stopped(); len(got) != 1 || !strings.Contains(got[0], "Check the key") {
			t.Fatal(got)
		}
		w.ahead += 61 * time.Second
		w.run()
		w.expectMails(9) // one finds out for all
		w.out.answer = nil
		w.ahead += 16 * time.Minute
		w.run()
		if n := w.count("SELECT COUNT(*) FROM sends WHERE state='accepted'"); n != 30 || len(w.e.Stopped()) != 0 {
			t.Fatalf("%d accepted, %v", n, w.e.Stopped())
		}
	})
}

func TestAStaleOwnerOfALaneCannotHandOver(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.arm("plain", plainCampaign())
		zoe := w.contact("zoe@example.com")
		w.waiting(zoe, anybody)
		w.exec("UPDATE leases SET until_ms=0")
		successor := openWorld(t, w.db, "second") // takes the lanes over; the first does not know
		successor.audience, successor.shop, successor.now = w.audience, w.shop, w.now
		successor.rebuild()
		w.run()
		w.expectMails(0)
		successor.run()
		if len(successor.out.got()) != 1 {
			t.Fatal("the successor sends nothing")
		}
		w.run()
		w.expectMails(0)
	})
}

func TestB2_AMailThatWasBeingHandedOverAtACrashIsUnknown(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.arm("plain", plainCampaign())
		zoe := w.contact("zoe@example.com")
		w.waiting(zoe, anybody)
		w.exec("UPDATE sends SET state='handing', hand_before=?, handed_at=?", time.Now().Add(20*time.Second).UnixMilli(), crm.At(w.now))
		w.run()
		w.expect(zoe, mailer.Handing, mailer.WaitingForShop) // its owner may still be alive
		w.ahead = 21 * time.Second
		w.run()
		w.expect(zoe, mailer.Unknown, mailer.Crashed)
		w.expectMails(0)
	})
}

func TestAMailIsNotHandedOverWhenTheProcessWasHeldUp(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.arm("plain", plainCampaign())
		zoe := w.contact("zoe@example.com")
		var mu sync.Mutex
		slept := time.Duration(0)
		w.options.Wall = func() time.Time { // the machine sleeps for a minute between the commit and the POST
			mu.Lock()
			defer mu.Unlock()
			if slept == 0 && w.count("SELECT COUNT(*) FROM sends WHERE state='handing'") > 0 {
				slept = time.Minute
			}
			return time.Now().Add(slept)
		}
		w.rebuild()
		w.enter(zoe, anybody, w.now)
		w.run()
		s := must(mailer.Why(t.Context(), w.db.Read(), "plain", zoe))(t)
		log := s.Sends[0].Log
		if len(log) < 3 || log[2].State != mailer.Deferred || log[2].Reason != mailer.Late {
			t.Fatalf("%+v", log)
		}
		w.expectMails(1) // later, and once
		w.expect(zoe, mailer.Accepted, mailer.NoReason)
	})
}

// script is what the crash test lives through: entries, a wait, a second mail, a shop to be read, a provider that
// balks, an unsubscribe.
func script(w *world) error {
	for hour := range 3 {
		w.now = noon().Add(time.Duration(hour) * time.Hour)
		w.ahead += 2 * time.Second
		if err := w.tryRun(); err != nil {
			return err
		}
	}
	return nil
}

func crashCampaign() mailer.CampaignSpec {
	s := plainCampaign()
	s.Steps = []mailer.StepSpec{
		{ID: "first", Send: &mailer.SendSpec{Template: "win_back"}},
		{ID: "pause", Wait: &mailer.WaitSpec{For: "1h"}},
		{ID: "second", Send: &mailer.SendSpec{Template: "win_back"}},
	}
	return s
}

// TestB2_CrashAtEveryCommit ends the process before and after every single commit of a run, opens the database again
// and lets it finish: no mail is handed over twice, none is lost, and what may have been sent is shown as unknown.
func TestB2_CrashAtEveryCommit(t *testing.T) {
	for _, engine := range []store.Dialect{store.SQLite, store.MySQL} {
		t.Run(string(engine), func(t *testing.T) {
			points := crashRun(t, engine, "", "", 0)
			for name, n := range points {
				if !strings.HasPrefix(name, "mailer.") {
					continue
				}
				for nth := 1; nth <= n; nth++ {
					for _, when := range []string{"before", "after"} {
						t.Run(fmt.Sprintf("%s %s %d", name, when, nth), func(t *testing.T) { crashRun(t, engine, name, when, nth) })
					}
				}
			}
			for _, want := range []string{"mailer.feed", "mailer.advance", "mailer.gate", "mailer.settle"} {
				if points[want] == 0 {
					t.Errorf("the script never commits %s", want)
				}
			}
		})
	}
}

var errCrash = errors.New("the process ends here")

func crashRun(t *testing.T, engine store.Dialect, name, when string, nth int) map[string]int {
	t.Helper()
	seen := map[string]int{}
	dsn := servers.DSN(t, engine)
	armed, dead := false, false
	db := servers.Open(t, engine, store.Options{DSN: dsn, Fault: func(at, side string) error {
		if dead {
			return errCrash // nothing commits after a crash
		}
		if side == "before" {
			seen[at]++
		}
		if armed && at == name && side == when && seen[at] == nth {
			dead = true
			return errCrash
		}
		return nil
	}})
	w := newWorld(t, db)
	w.arm("plain", crashCampaign())
	busy := map[string]bool{}
	w.out.answer = func(m mailer.Mail) error {
		if strings.HasPrefix(m.ToEmail, "c1@") && !busy[m.SendID] { // refused for the moment, certainly not sent
			busy[m.SendID] = true
			return &fault.Error{Class: fault.Throttled, Op: "posting", After: time.Second}
		}
		return nil
	}
	const people = 12
	w.ids = 1000 // the same lanes, and so the same batches, in every run
	for i := range people {
		w.enter(w.contact(fmt.Sprintf("c%d@example.com", i)), anybody, w.now)
	}
	clear(seen)
	armed = true
	err := script(w)
	points := maps.Clone(seen)
	if name == "" && err != nil {
		t.Fatal(err)
	}
	if name != "" && !errors.Is(err, errCrash) {
		t.Fatalf("the crash at %s did not happen: %v", name, err)
	}
	if err != nil {
		reopened := servers.Open(t, engine, store.Options{DSN: dsn})
		audience, shop, out, then := w.audience, w.shop, w.out, w.now
		w.exec2(reopened, "UPDATE leases SET until_ms=0")
		w = openWorld(t, reopened, "again")
		w.audience, w.shop, w.out, w.now, w.ahead = audience, shop, out, then, time.Minute
		w.rebuild()
		if err := script(w); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 { // throttled ones
		w.ahead += time.Minute
		w.now = w.now.Add(time.Hour)
		w.run()
	}
	verifyOnce(t, w, people)
	return points
}

func verifyOnce(t *testing.T, w *world, people int) {
	t.Helper()
	accepted := map[string]int{}
	for _, m := range w.out.got() {
		accepted[m.SendID]++
	}
	sends := w.sends(mailer.SendFilter{Limit: 500})
	if len(sends) != 2*people {
		t.Fatalf("%d sends for %d people and two mails", len(sends), people)
	}
	for _, s := range sends {
		handed := accepted[s.Send]
		log := must(mailer.Why(t.Context(), w.db.Read(), "plain", s.ContactID))(t)
		busy := strings.Contains(fmt.Sprint(log), string(mailer.ProviderBusy))
		switch {
		case s.State == mailer.Accepted && (handed == 1 || busy && handed == 2):
		case s.State == mailer.Unknown && s.Reason == mailer.Crashed && handed <= 1:
		case s.State == mailer.Unknown && s.Reason == mailer.Crashed && handed <= 2 && busy:
		default:
			t.Errorf("send %s %s is %s %s and was handed over %d times", s.Send, s.Step, s.State, s.Reason, handed)
		}
	}
	if n := w.count("SELECT COUNT(*) FROM enrolments WHERE state<>'done'"); n != 0 {
		t.Errorf("%d enrolments never ended", n)
	}
	if n := w.count("SELECT COUNT(*) FROM segment_changes WHERE pending=1"); n != 0 {
		t.Errorf("%d changes were never consumed", n)
	}
}
