package mailer_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/internal/web"
	"github.com/relance/relance/mailer"
	"github.com/relance/relance/mailer/sendgrid"
	"github.com/relance/relance/mailer/sendgrid/sendgridtest"
)

// hooked is a world that sends through SendGrid and listens to its events.
type hooked struct {
	*world
	sg  *sendgridtest.SendGrid
	url string
}

func hook(t *testing.T, w *world) *hooked {
	t.Helper()
	h := &hooked{world: w, sg: sendgridtest.New(t)}
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	provider := sendgrid.New(sendgrid.Config{APIKey: "SG.x", BaseURL: h.sg.URL(), WebhookKey: h.sg.WebhookKey()}, tr)
	w.sender(func(s *mailer.Sender) { s.Provider, s.Events = provider, sendgrid.Source })
	key := must(sendgrid.ParseEventKey(h.sg.WebhookKey()))(t)
	receiver := sendgrid.NewEventReceiver(w.m, sendgrid.EventOptions{
		Audiences: map[string]sendgrid.EventAudience{"default": {ID: w.audience, Key: key}, "keyless": {ID: 77}},
		Now:       func() time.Time { return w.now },
	})
	srv := httptest.NewServer(web.NewPublic(web.PublicOptions{Events: receiver.Receive, HooksPerSecond: 100_000, Log: zap.NewNop()}))
	t.Cleanup(srv.Close)
	h.url = srv.URL + "/events/"
	return h
}

// mailed sends the plain campaign to people, and gives their ids and the mails in that order.
func (h *hooked) mailed(t *testing.T, people ...string) (ids []int64, mails []sendgridtest.Mail) {
	t.Helper()
	h.arm("plain", plainCampaign())
	for _, email := range people {
		ids = append(ids, h.contact(email))
		h.enter(ids[len(ids)-1], anybody, h.now)
	}
	h.run()
	byTo := map[string]sendgridtest.Mail{}
	for _, m := range h.sg.Mails() {
		byTo[m.To] = m
	}
	for _, email := range people {
		if byTo[email].SendID == "" {
			t.Fatalf("%s was not mailed", email)
		}
		mails = append(mails, byTo[email])
	}
	return ids, mails
}

// say posts events ten minutes later, and digests them after another one.
func (h *hooked) say(t *testing.T, events ...sendgridtest.Event) {
	t.Helper()
	h.now = h.now.Add(10 * time.Minute)
	h.post(t, events...)
	h.runAt(h.now.Add(time.Minute))
}

func (h *hooked) post(t *testing.T, events ...sendgridtest.Event) {
	t.Helper()
	if status := must(h.sg.Post(t.Context(), h.url+"default", sendgridtest.Body(t, events...)))(t); status != 200 {
		t.Fatalf("status %d", status)
	}
}

func (h *hooked) came(t *testing.T, want map[string]int64) {
	t.Helper()
	infos := must(mailer.Infos(t.Context(), h.db.Read()))(t)
	got := map[string]int64{}
	for name, n := range infos[0].CameBack {
		if n != 0 {
			got[name] = n
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func (h *hooked) after(d time.Duration) time.Time { return noon().Add(d) }

func TestWhatIsNotSendGridsStoresNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		h := hook(t, w)
		_, mails := h.mailed(t, "zoe@example.com")
		body := sendgridtest.Body(t, h.sg.Event("delivered", mails[0], h.now))
		stranger := sendgridtest.New(t)
		for name, c := range map[string]struct {
			audience string
			body     []byte
			sign     func(http.Header)
			status   int
		}{
			"unsigned":            {"default", body, func(http.Header) {}, 403},
			"another's signature": {"default", body, func(x http.Header) { stranger.Sign(x, body, time.Now()) }, 403},
			"of another body":     {"default", body, func(x http.Header) { h.sg.Sign(x, []byte("[]"), time.Now()) }, 403},
			"no audience":         {"elsewhere", body, func(x http.Header) { h.sg.Sign(x, body, time.Now()) }, 404},
			"no key":              {"keyless", body, func(x http.Header) { h.sg.Sign(x, body, time.Now()) }, 404},
			"too large":           {"default", bytes.Repeat([]byte(" "), sendgrid.MaxEvents+1), func(http.Header) {}, 413},
			"signed, no events":   {"default", []byte("{}"), func(x http.Header) { h.sg.Sign(x, []byte("{}"), time.Now()) }, 400},
		} {
			r := must(http.NewRequestWithContext(t.Context(), http.MethodPost, h.url+c.audience, bytes.NewReader(c.body)))(t)
			c.sign(r.Header)
			a := must(http.DefaultClient.Do(r))(t)
			_, _ = io.Copy(io.Discard, a.Body)
			_ = a.Body.Close()
			if a.StatusCode != c.status {
				t.Errorf("%s: status %d, want %d", name, a.StatusCode, c.status)
			}
		}
		if n := h.count("SELECT COUNT(*) FROM provider_events"); n != 0 {
			t.Errorf("%d events are stored", n)
		}
	})
}

func TestEventsAreDurableBeforeTheyAreAnswered(t *testing.T) {
	for _, engine := range []store.Dialect{store.SQLite, store.MySQL} {
		for _, when := range []string{"before", "after"} {
			for _, name := range []string{"mailer.events", "mailer.digest"} {
				t.Run(fmt.Sprintf("%s/%s_%s", engine, when, name), func(t *testing.T) {
					broken := ""
					db := servers.Open(t, engine, store.Options{Fault: func(n, at string) error {
						if n == broken && at == when {
							broken = ""
							return errors.New("the plug is pulled")
						}
						return nil
					}})
					h := hook(t, newWorld(t, db))
					_, mails := h.mailed(t, "zoe@example.com")
					h.now = h.now.Add(2 * time.Hour)
					delivered, opened := h.sg.Event("delivered", mails[0], h.after(time.Second)), h.sg.Event("open", mails[0], h.after(time.Hour))
					body := sendgridtest.Body(t, delivered, opened)
					broken = name
					status := must(h.sg.Post(t.Context(), h.url+"default", body))(t)
					if want := map[bool]int{true: 503, false: 200}[name == "mailer.events"]; status != want {
						t.Fatalf("status %d, want %d", status, want)
					}
					if n := h.count("SELECT COUNT(*) FROM provider_events"); name == "mailer.events" && when == "before" && n != 0 || status == 200 && n != 2 {
						t.Errorf("%d events are stored after status %d", n, status)
					}
					h.now = h.now.Add(time.Minute)
					if status == 503 { // SendGrid repeats it
						h.post(t, delivered, opened)
					} else if err := h.tryRun(); err == nil || !strings.Contains(err.Error(), "plug") {
						t.Fatal("it did not die", err)
					}
					h.now = h.now.Add(time.Minute)
					h.run()
					h.came(t, map[string]int64{"delivered": 1, "opened": 1})
					if n := h.count("SELECT COUNT(*) FROM mail_events"); n != 2 {
						t.Errorf("%d facts", n)
					}
				})
			}
		}
	}
}

// B48: each event comes three times on average, up to 46 times, over hours, in any order, from a hundred connections.
func TestB48_EachEventCountsOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		h := hook(t, w)
		const people = 12
		var emails []string
		for i := range people {
			emails = append(emails, fmt.Sprintf("p%d@example.com", i))
		}
		_, mails := h.mailed(t, emails...)
		var events []sendgridtest.Event
		for i, m := range mails {
			one := []sendgridtest.Event{
				h.sg.Event("processed", m, h.after(time.Second)), h.sg.Event("deferred", m, h.after(2*time.Second)),
				h.sg.Event("delivered", m, h.after(3*time.Second)), h.sg.Event("open", m, h.after(time.Hour)),
				h.sg.Event("open", m, h.after(3*time.Second)).With("sg_machine_open", true), h.sg.Event("click", m, h.after(90*time.Minute)),
			}
			for k, e := range one {
				switch (i + k) % 3 { // what SendGrid forgets now and then
				case 1:
					e = e.With("send_id", nil).With("email", nil)
				case 2:
					e = e.With("sg_message_id", nil).With("timestamp", fmt.Sprint(e["timestamp"]))
				}
				events = append(events, e)
			}
		}
		random := rand.New(rand.NewPCG(1, 2))
		var posted []sendgridtest.Event
		for i, e := range events {
			for range []int{1, 3, 46}[i%3] {
				posted = append(posted, e)
			}
		}
		random.Shuffle(len(posted), func(i, j int) { posted[i], posted[j] = posted[j], posted[i] })
		h.now = h.now.Add(2 * time.Hour)
		var all sync.WaitGroup
		for i := range 100 {
			from, to := i*len(posted)/100, (i+1)*len(posted)/100
			all.Go(func() {
				if status, err := h.sg.Post(t.Context(), h.url+"default", sendgridtest.Body(t, posted[from:to]...)); status != 200 || err != nil {
					t.Errorf("status %d, %v", status, err)
				}
			})
		}
		all.Wait()
		h.runAt(h.now.Add(time.Minute))
		h.post(t, posted...) // and once more, a day later
		h.runAt(h.now.Add(24 * time.Hour))
		h.came(t, map[string]int64{"delayed": people, "delivered": people, "opened": people, "opened_machine": people, "clicked": people})
		if n := h.count("SELECT COUNT(*) FROM provider_events"); n != len(events) {
			t.Errorf("%d events of %d are stored", n, len(events))
		}
		if n := h.count("SELECT COUNT(*) FROM provider_events WHERE email<>'' OR state<>'done'"); n != 0 {
			t.Errorf("%d events keep an address or are left", n)
		}
		for name, want := range map[string]int{"delivered": people, "opened": people, "clicked": people} {
			if n := h.count("SELECT COALESCE(SUM(total), 0) FROM campaign_days WHERE name=?", name); n != want {
				t.Errorf("%d %s in the days, want %d", n, name, want)
			}
		}
	})
}

func TestALargeDeliveryIsTakenWhole(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		h := hook(t, w)
		_, mails := h.mailed(t, "zoe@example.com")
		var events []sendgridtest.Event
		size := 0
		for size < 768<<10 {
			events = append(events, h.sg.Event("open", mails[0], h.after(time.Hour)).With("padding", strings.Repeat("x", 500)))
			size += 1000
		}
		h.now = h.now.Add(2 * time.Hour)
		h.post(t, events...)
		if n := h.count("SELECT COUNT(*) FROM provider_events"); n != len(events) {
			t.Errorf("%d of %d events are stored", n, len(events))
		}
		h.runAt(h.now.Add(time.Minute))
		h.came(t, map[string]int64{"opened": 1})
		if n := h.count("SELECT COUNT(*) FROM mail_events"); n != 100 { // of more openings nothing is learnt
			t.Errorf("%d facts of one mail", n)
		}
	})
}

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

// The successor digests what another process stored before it died; the late process does nothing any more.
func TestEventsOfADeadProcessAreDigestedByItsSuccessor(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		h := hook(t, w)
		_, mails := h.mailed(t, "zoe@example.com", "ann@example.com")
		h.post(t, h.sg.Event("delivered", mails[0], h.now), h.sg.Event("bounce", mails[1], h.now))
		w.exec("UPDATE leases SET until_ms=0")
		second := openWorld(t, w.db, "second")
		second.audience, second.shop, second.now = w.audience, w.shop, w.now.Add(time.Minute)
		second.rebuild()
		h.runAt(h.now.Add(time.Minute))
		h.came(t, map[string]int64{})
		second.run()
		h.run()
		h.came(t, map[string]int64{"delivered": 1, "bounced": 1})
	})
}

func TestProfilesKnowWhatBecameOfMailsAlsoOfMergedContacts(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		h := hook(t, w)
		m := mailer.NewMirror(w.db)
		ids, mails := h.mailed(t, "zoe@example.com", "ann@example.com")
		h.say(t, h.sg.Event("delivered", mails[0], h.after(time.Second)), h.sg.Event("click", mails[0], h.after(30*time.Second)))
		h.merge(ids[0], ids[1])
		h.exec("DELETE FROM dirty")
		h.say(t, h.sg.Event("open", mails[0], h.after(5*time.Minute)).With("useragent", "Mozilla/5.0"), h.sg.Event("bounce", mails[1], h.after(time.Second)))
		if n := h.count("SELECT COUNT(*) FROM dirty WHERE contact_id IN (?, ?)", ids[0], ids[1]); n != 2 {
			t.Errorf("%d of 2 contacts are marked", n)
		}
		events := func(names ...string) map[string]map[string]string {
			got := map[string]map[string]string{}
			for _, p := range must(m.Profiles(t.Context(), w.db.Read(), ids, crm.Needs{Events: names}))(t) {
				if p.Contact.ID != ids[1] {
					continue
				}
				for i, e := range p.Events {
					if e.ID == "" || i > 0 && p.Events[i-1].At > e.At {
						t.Error("an event without an id, or out of order")
					}
					got[e.Name] = e.Properties
				}
			}
			return got
		}
		of := func(i int, more ...string) map[string]string {
			p := map[string]string{"campaign": "plain", "step": "first", "send": mails[i].SendID}
			for n := 0; n < len(more); n += 2 {
				p[more[n]] = more[n+1]
			}
			return p
		}
		want := map[string]map[string]string{
			"mail.delivered": of(0), "mail.clicked": of(0, "url", "https://boutique.example/nouveautes"), "mail.opened": of(0, "machine", "1"), "mail.bounced": of(1, "hard", "1"),
		}
		if diff := cmp.Diff(want, events(crm.AllEvents)); diff != "" {
			t.Error(diff)
		}
		if got := events("mail.clicked", "viewed_product"); len(got) != 1 || got["mail.clicked"] == nil {
			t.Error(got)
		}
		if got := events("viewed_product"); len(got) != 0 {
			t.Error(got)
		}
		shown := must(mailer.MailEvents(t.Context(), m, w.db.Read(), ids[1], 10))(t)
		if len(shown) != 4 || shown[0].Kind != "opened" || !strings.Contains(shown[0].Sentence(), "proxy") {
			t.Errorf("%+v", shown)
		}
	})
}

func TestOfAnErasedPersonNothingStaysAndNothingComesBack(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		h := hook(t, w)
		ids, mails := h.mailed(t, "zoe@example.com", "ann@example.com")
		for _, m := range mails {
			h.say(t, h.sg.Event("delivered", m, h.after(time.Second)), h.sg.Event("click", m, h.after(40*time.Second)))
		}
		h.post(t, h.sg.Event("open", mails[0], h.now)) // stored, not digested
		must(w.m.Erase(t.Context(), ids[0], crm.At(w.now)))(t)
		h.exec("DELETE FROM dirty")
		h.run()
		h.identities()
		h.say(t, h.sg.Event("click", mails[0], h.now), h.sg.Event("spamreport", mails[0], h.now), h.sg.Event("spamreport", mails[0], h.now).With("send_id", nil).With("sg_message_id", nil).With("smtp-id", nil))
		h.run()
		for _, text := range []string{
			"SELECT COUNT(*) FROM mail_events WHERE contact_id=?", "SELECT COUNT(*) FROM provider_events WHERE contact_id=?", "SELECT COUNT(*) FROM dirty WHERE contact_id=? AND cause='change'",
		} {
			if n := h.count(text, ids[0]); n != 0 {
				t.Errorf("%s: %d", text, n)
			}
		}
		if n := h.count("SELECT COUNT(*) FROM provider_events WHERE contact_id=0 AND (email<>'' OR url<>'' OR user_agent<>'')"); n != 0 {
			t.Errorf("%d events say something of nobody", n)
		}
		if n := h.count("SELECT COUNT(*) FROM mail_events WHERE contact_id=?", ids[1]); n != 2 {
			t.Errorf("%d facts of the other", n)
		}
		h.came(t, map[string]int64{"delivered": 2, "clicked": 2}) // what was counted stays
	})
}

func TestOldEventsGoAndFactsStay(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		h := hook(t, w)
		w.options.EventsKept = 5 * 24 * time.Hour
		h.sender(func(*mailer.Sender) {})
		_, mails := h.mailed(t, "zoe@example.com")
		h.say(t, h.sg.Event("delivered", mails[0], h.now))
		h.runAt(h.now.Add(4 * 24 * time.Hour))
		if n := h.count("SELECT COUNT(*) FROM provider_events"); n != 1 {
			t.Fatal("it is gone too early")
		}
		h.runAt(h.now.Add(2 * 24 * time.Hour))
		if n, facts := h.count("SELECT COUNT(*) FROM provider_events"), h.count("SELECT COUNT(*) FROM mail_events"); n != 0 || facts != 1 {
			t.Errorf("%d events and %d facts", n, facts)
		}
	})
}

func TestTheStoryTellsWhatBecameOfTheMail(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		h := hook(t, w)
		ids, mails := h.mailed(t, "zoe@example.com", "ann@example.com", "bob@example.com")
		h.say(t, h.sg.Event("dropped", mails[0], h.now), h.sg.Event("delivered", mails[1], h.after(time.Second)), h.sg.Event("open", mails[1], h.after(9*time.Minute)))
		for i, want := range []string{"did not arrive: the provider did not send it: bounced address.", "The mail was delivered.", "The provider has the mail."} {
			s := must(mailer.Why(t.Context(), w.db.Read(), "plain", ids[i]))(t)
			if !strings.Contains(s.Sentence, want) {
				t.Errorf("%q, want %q", s.Sentence, want)
			}
			if n := []int{1, 2, 0}[i]; len(s.Sends[0].Events) != n {
				t.Errorf("%d events, want %d: %+v", len(s.Sends[0].Events), n, s.Sends[0].Events)
			}
		}
	})
}
