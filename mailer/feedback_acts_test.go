package mailer_test

import (
	"testing"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/mailer"
	"github.com/relance/relance/mailer/sendgrid/sendgridtest"
)

func TestWhatComesBackStopsMail(t *testing.T) {
	type want struct {
		scope, reason string
		withdrawn     bool
		came          string
	}
	for name, c := range map[string]struct {
		kind   string
		change func(sendgridtest.Event) sendgridtest.Event
		want   want
	}{
		"a bounce for good":      {"bounce", nil, want{"all", "bounced", false, "bounced"}},
		"a spam report":          {"spamreport", nil, want{"marketing", "complained", true, "complained"}},
		"an unsubscription":      {"unsubscribe", nil, want{"marketing", "unsubscribed", true, "unsubscribed"}},
		"one of a group":         {"group_unsubscribe", nil, want{"marketing", "unsubscribed", true, "unsubscribed"}},
		"dropped, for a bounce":  {"dropped", nil, want{"all", "bounced", false, "dropped"}},
		"dropped, for spam":      {"dropped", func(e sendgridtest.Event) sendgridtest.Event { return e.With("reason", "Spam Reporting Address") }, want{"marketing", "complained", true, "dropped"}},
		"dropped for its words":  {"dropped", func(e sendgridtest.Event) sendgridtest.Event { return e.With("reason", "Spam Content") }, want{came: "dropped"}},
		"B46 a full mailbox":     {"bounce", func(e sendgridtest.Event) sendgridtest.Event { return e.With("type", "blocked") }, want{came: "blocked"}},
		"B46 an absence":         {"bounce", func(e sendgridtest.Event) sendgridtest.Event { return e.With("reason", "Out of office until Monday") }, want{came: "blocked"}},
		"B46 a greylisting":      {"deferred", nil, want{came: "delayed"}},
		"wanting it again":       {"group_resubscribe", nil, want{}},
		"custom_args are absent": {"spamreport", func(e sendgridtest.Event) sendgridtest.Event { return e.With("send_id", nil) }, want{"marketing", "complained", true, "complained"}},
		"the address alone": {"spamreport", func(e sendgridtest.Event) sendgridtest.Event {
			return e.With("send_id", nil).With("sg_message_id", nil).With("smtp-id", nil).With("email", " ZOE@Example.com")
		}, want{"marketing", "complained", true, ""}},
		"the address alone, of another system's mail": {"spamreport", func(e sendgridtest.Event) sendgridtest.Event {
			return e.With("send_id", "other").With("sg_message_id", "other").With("smtp-id", nil)
		}, want{"marketing", "complained", true, ""}},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, w *world) {
				h := hook(t, w)
				ids, mails := h.mailed(t, "zoe@example.com")
				e := h.sg.Event(c.kind, mails[0], h.after(time.Minute))
				if c.change != nil {
					e = c.change(e)
				}
				h.say(t, e, e)
				var got want
				if err := h.db.Read().GetContext(t.Context(), &got.scope, "SELECT COALESCE(MAX(scope), '') FROM suppressions"); err != nil {
					t.Fatal(err)
				}
				if err := h.db.Read().GetContext(t.Context(), &got.reason, "SELECT COALESCE(MAX(reason), '') FROM suppressions"); err != nil {
					t.Fatal(err)
				}
				got.withdrawn = h.count("SELECT COUNT(*) FROM consent_state WHERE contact_id=? AND state='withdrawn'", ids[0]) == 1
				got.came = c.want.came
				if got != c.want {
					t.Errorf("%+v, want %+v", got, c.want)
				}
				counted := map[string]int64{}
				if c.want.came != "" {
					counted[c.want.came] = 1
				}
				h.came(t, counted)
				if n := h.count("SELECT COUNT(*) FROM provider_events WHERE email<>''"); n != 0 {
					t.Error("an address is kept")
				}
				if n := h.count("SELECT COUNT(*) FROM dirty WHERE contact_id=?", ids[0]); n != 1 && c.kind != "group_resubscribe" {
					t.Error("segments are not told")
				}
			})
		})
	}
}

func TestAMailAtTheGateFindsWhatHasJustComeBack(t *testing.T) {
	for kind, reason := range map[string]mailer.Reason{"spamreport": mailer.Suppressed, "bounce": mailer.Suppressed, "unsubscribe": mailer.Suppressed} {
		t.Run(kind, func(t *testing.T) {
			each(t, func(t *testing.T, w *world) {
				h := hook(t, w)
				ids, mails := h.mailed(t, "zoe@example.com")
				h.armAll(mailer.CampaignFile{"plain": plainCampaign(), cartMails: cartCampaign()})
				h.cart(ids[0], "117")
				h.waiting(ids[0], idleCart)
				var openings []sendgridtest.Event
				for i := range 1000 { // more than a step digests
					openings = append(openings, h.sg.Event("open", mails[0], h.now.Add(-time.Duration(i)*time.Second)))
				}
				h.post(t, openings...)
				h.now = h.now.Add(20 * time.Second)
				h.post(t, h.sg.Event(kind, mails[0], h.now))
				h.run()
				h.expect(ids[0], mailer.Refused, reason)
				if n := len(h.sg.Mails()); n != 1 {
					t.Errorf("%d mails", n)
				}
			})
		})
	}
}

func TestNothingIsLearntOfAMailOfAnotherAudience(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		h := hook(t, w)
		ids, mails := h.mailed(t, "zoe@example.com")
		other := must(w.m.EnsureAudience(t.Context(), "other", ""))(t)
		for _, v := range []mailer.ProviderEvent{
			{ID: "1", Source: "sendgrid", Kind: mailer.EventComplained, SendID: mails[0].SendID, Email: "zoe@example.com", At: crm.At(w.now)},
			{ID: "2", Source: "sendgrid", Kind: mailer.EventBounced, Hard: true, MessageID: mails[0].MessageID, Email: "zoe@example.com", At: crm.At(w.now)},
		} {
			if n := must(mailer.RecordEvents(t.Context(), w.m, other, []mailer.ProviderEvent{v}, crm.At(w.now)))(t); n != 1 {
				t.Error(n)
			}
		}
		h.runAt(h.now.Add(time.Minute))
		h.came(t, map[string]int64{})
		if n := h.count("SELECT COUNT(*) FROM suppressions") + h.count("SELECT COUNT(*) FROM mail_events") + h.count("SELECT COUNT(*) FROM consent_state WHERE contact_id=? AND state<>'granted'", ids[0]); n != 0 {
			t.Error("something was learnt")
		}
		if n := h.count("SELECT COUNT(*) FROM provider_events WHERE state='foreign' AND email=''"); n != 2 {
			t.Errorf("%d of 2 events are known as foreign", n)
		}
	})
}

func TestAnAddressThatNobodyHasIsSuppressedAndForgotten(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		h := hook(t, w)
		h.say(t, h.sg.Event("spamreport", sendgridtest.Mail{To: "new@example.com"}, h.now), h.sg.Event("open", sendgridtest.Mail{To: "new@example.com"}, h.now))
		if n := h.count("SELECT COUNT(*) FROM provider_events WHERE email<>'' OR state<>'nobody'"); n != 0 {
			t.Errorf("%d events keep an address or are left", n)
		}
		h.arm("plain", plainCampaign())
		zoe := h.contact("new@example.com") // a customer, from now on
		h.enter(zoe, anybody, h.now)
		h.run()
		h.expect(zoe, mailer.Refused, mailer.Suppressed)
	})
}

func TestOwnUnsubscriptionsCountForTheNewestMail(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		h := hook(t, w)
		ids, _ := h.mailed(t, "zoe@example.com")
		token := must(w.options.Keys.Token(mailer.Subject{ContactID: ids[0], AudienceID: w.audience, Topic: mailer.TopicMarketing}))(t)
		for range 3 {
			must(mailer.Unsubscribe(t.Context(), w.m, w.options.Keys, token, "one-click", crm.At(w.now)))(t)
			w.now = w.now.Add(time.Second)
		}
		h.run()
		h.came(t, map[string]int64{"unsubscribed": 1})
	})
}
