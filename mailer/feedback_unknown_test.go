package mailer_test

import (
	"testing"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/mailer"
	"github.com/relance/relance/mailer/sendgrid/sendgridtest"
)

// lose cuts the connection after SendGrid took the mail (or, untaken, before): nobody knows what became of it.
func (h *hooked) lose(t *testing.T, email string, taken bool) (id int64, mail sendgridtest.Mail) {
	t.Helper()
	id = h.contact(email)
	var lost []sendgridtest.Mail
	h.sg.Answer = func(mails []sendgridtest.Mail) int {
		lost = append(lost, mails...)
		if taken {
			return -1
		}
		return 500
	}
	h.enter(id, anybody, h.now)
	h.run()
	h.sg.Answer = nil
	h.expect(id, mailer.Unknown, mailer.NoAnswer)
	if len(lost) != 1 {
		t.Fatalf("%d mails were handed over", len(lost))
	}
	return id, lost[0]
}

func (h *hooked) settled(t *testing.T) (accepted, unknown, neverSent int64) {
	t.Helper()
	sends := must(mailer.Infos(t.Context(), h.db.Read()))(t)[0].Sends
	return sends["accepted"], sends["unknown"], sends["refused:never_sent"]
}

func TestAnEventOfAnUnknownMailSettlesIt(t *testing.T) {
	for _, kind := range []string{"processed", "delivered", "deferred", "bounce", "dropped", "open", "click", "spamreport"} {
		t.Run(kind, func(t *testing.T) {
			each(t, func(t *testing.T, w *world) {
				h := hook(t, w)
				spec := plainCampaign()
				spec.Steps = append(spec.Steps, mailer.StepSpec{ID: "pause", Wait: &mailer.WaitSpec{For: "3d"}}, mailer.StepSpec{ID: "second", Send: &mailer.SendSpec{Template: "win_back"}})
				h.arm("plain", spec)
				zoe, mail := h.lose(t, "zoe@example.com", true)
				if n := h.count("SELECT COUNT(*) FROM enrolments WHERE contact_id=? AND state='active' AND step='pause'", zoe); n != 1 {
					t.Fatal("the run does not go on")
				}
				mail.MessageID = "the-answer-that-was-lost"
				h.say(t, h.sg.Event(kind, mail, h.after(time.Minute)), h.sg.Event("processed", mail, h.after(time.Second)))
				h.expect(zoe, mailer.Accepted, mailer.NoReason)
				if s := h.one(zoe); s.MessageID != mail.MessageID {
					t.Errorf("the provider's id is %q", s.MessageID)
				}
				if a, u, n := h.settled(t); a != 1 || u != 0 || n != 0 {
					t.Errorf("%d accepted, %d unknown, %d never sent", a, u, n)
				}
				if n := h.count("SELECT COUNT(*) FROM enrolments WHERE contact_id=? AND state='active' AND step='pause'", zoe); n != 1 {
					t.Error("the run was moved")
				}
				if got := len(h.sg.Mails()); got != 1 {
					t.Errorf("%d mails", got)
				}
			})
		})
	}
}

func TestAnUnknownMailWithoutEventsWasNeverSentAndIsNotSentAgain(t *testing.T) {
	for name, c := range map[string]struct {
		events bool          // the provider says what becomes of mails
		begins time.Duration // events of later mails come from then on
		down   time.Duration // no events come from then on
		leaves bool          // the person unsubscribes meanwhile, by the link of an older mail
		want   mailer.State
	}{
		"events of later mails for more than a day": {true, time.Hour, 40 * time.Hour, false, mailer.Refused},
		"the person unsubscribes meanwhile":         {true, time.Hour, 40 * time.Hour, true, mailer.Refused},
		"a provider that says nothing":              {false, time.Hour, 40 * time.Hour, false, mailer.Unknown},
		"events for less than a day":                {true, time.Hour, 20 * time.Hour, false, mailer.Unknown},
		"no events while this one's were repeated":  {true, 24 * time.Hour, 70 * time.Hour, false, mailer.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, w *world) {
				h := hook(t, w)
				if !c.events {
					h.sender(func(s *mailer.Sender) { s.Events = "" })
				}
				h.arm("plain", plainCampaign())
				zoe, _ := h.lose(t, "zoe@example.com", false)
				if c.leaves {
					token := must(w.options.Keys.Token(mailer.Subject{ContactID: zoe, AudienceID: w.audience, Topic: mailer.TopicMarketing}))(t)
					must(mailer.Unsubscribe(t.Context(), w.m, w.options.Keys, token, "one-click", crm.At(h.now)))(t)
				}
				h.ahead += time.Hour // the provider is asked again
				h.runAt(h.now.Add(time.Minute))
				ann := h.contact("ann@example.com") // the later mail
				h.enter(ann, anybody, h.now)
				h.run()
				later := h.sg.Mails()[0]
				for at := time.Duration(0); at <= 80*time.Hour; at += time.Hour {
					h.now = h.after(at + 2*time.Minute)
					if at >= c.begins && at <= c.down {
						h.post(t, h.sg.Event("processed", later, h.now))
					}
					if at%(4*time.Hour) == 0 {
						h.run()
					}
				}
				reason := mailer.NoAnswer
				if c.want == mailer.Refused {
					reason = mailer.NeverSent
				}
				h.expect(zoe, c.want, reason)
				a, u, n := h.settled(t)
				if a != 1 || u+n != 1 || (n == 1) != (c.want == mailer.Refused) {
					t.Errorf("%d accepted, %d unknown, %d never sent", a, u, n)
				}
				if got := len(h.sg.Mails()); got != 1 {
					t.Errorf("%d mails: it was sent again", got)
				}
			})
		})
	}
}

// The process ends while a mail is on its way, and the provider speaks of it before anybody settles it.
func TestAnEventWaitsForAMailThatIsBeingHandedOver(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		h := hook(t, w)
		ids, mails := h.mailed(t, "zoe@example.com")
		h.exec("UPDATE sends SET state='handing', message_id='', hand_before=?", time.Now().Add(20*time.Second).UnixMilli())
		h.say(t, h.sg.Event("delivered", mails[0], h.after(time.Second)))
		h.expect(ids[0], mailer.Handing, mailer.NoReason)
		h.came(t, map[string]int64{})
		h.ahead = 21 * time.Second
		h.run()
		h.expect(ids[0], mailer.Unknown, mailer.Crashed)
		h.runAt(h.now.Add(time.Minute))
		h.expect(ids[0], mailer.Accepted, mailer.NoReason)
		h.came(t, map[string]int64{"delivered": 1})
	})
}

// B44: a scanner follows every link. What it did first looks like a person until the rest is known; then it is judged again.
func TestB44_AClickIsJudgedAgainByWhatCameLater(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		h := hook(t, w)
		ids, mails := h.mailed(t, "zoe@example.com")
		click := func(link string, at time.Duration) sendgridtest.Event {
			return h.sg.Event("click", mails[0], h.after(at)).With("url", "https://boutique.example/"+link)
		}
		h.say(t, h.sg.Event("delivered", mails[0], h.after(time.Second)), click("a", 5*time.Minute))
		h.came(t, map[string]int64{"delivered": 1, "clicked": 1})
		h.exec("DELETE FROM dirty")
		h.runAt(h.now.Add(24 * time.Hour)) // another day for the counts
		h.say(t, click("b", 5*time.Minute+time.Second), click("c", 5*time.Minute+2*time.Second))
		h.came(t, map[string]int64{"delivered": 1, "clicked_machine": 1})
		if n := h.count("SELECT COALESCE(SUM(total), 0) FROM campaign_days WHERE name='clicked'"); n != 0 {
			t.Errorf("%d clicks in the days", n)
		}
		if n := h.count("SELECT COUNT(*) FROM mail_events WHERE kind='clicked' AND machine=1 AND why='burst'"); n != 3 {
			t.Errorf("%d of 3 clicks are a machine's", n)
		}
		if n := h.count("SELECT COUNT(*) FROM dirty WHERE contact_id=? AND cause='change'", ids[0]); n != 1 {
			t.Error("segments are not told")
		}
		h.say(t, click("a", 3*time.Hour)) // the person, in the evening
		h.came(t, map[string]int64{"delivered": 1, "clicked_machine": 1, "clicked": 1})
	})
}

// B44: a burst that arrives within seconds, in pieces, never looks like a person at all.
func TestB44_ClicksSettleBeforeTheyCount(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		h := hook(t, w)
		ids, mails := h.mailed(t, "zoe@example.com")
		h.now = h.now.Add(time.Hour)
		for i, link := range []string{"a", "b", "c"} {
			v := mailer.ProviderEvent{
				ID: link, Source: mailer.SourceOwn, Kind: mailer.EventClicked, SendID: mails[0].SendID, At: crm.At(h.now), URL: link, UserAgent: sendgridtest.Browser,
			}
			must(mailer.RecordEvents(t.Context(), w.m, w.audience, []mailer.ProviderEvent{v}, crm.At(h.now)))(t)
			h.run()
			if n := h.count("SELECT COUNT(*) FROM mail_events"); n != 0 {
				t.Fatalf("click %d counts at once", i)
			}
			h.now = h.now.Add(4 * time.Second)
		}
		h.exec("DELETE FROM dirty")
		h.runAt(h.now.Add(30 * time.Second))
		h.came(t, map[string]int64{"clicked_machine": 1})
		if n := h.count("SELECT COUNT(*) FROM dirty WHERE contact_id=?", ids[0]); n != 1 {
			t.Error("segments are not told")
		}
	})
}
