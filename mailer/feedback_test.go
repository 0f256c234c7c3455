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

// A complaint that could not be taken in yet stops the mails of that step: they wait for the next.
func TestNothingIsSentPastEventsThatWait(t *testing.T) {
	for _, engine := range []store.Dialect{store.SQLite, store.MySQL} {
		t.Run(string(engine), func(t *testing.T) {
			broken := false
			db := servers.Open(t, engine, store.Options{Fault: func(n, at string) error {
				if broken && n == "mailer.digest" && at == "before" {
					broken = false
					return errors.New("the plug is pulled")
				}
				return nil
			}})
			h := hook(t, newWorld(t, db))
			ids, mails := h.mailed(t, "zoe@example.com")
			sent := len(h.sg.Mails())
			h.now = h.now.Add(2 * time.Hour)
			h.arm("second", plainCampaign())
			h.enter(ids[0], anybody, h.now)
			body := sendgridtest.Body(t, h.sg.Event("spamreport", mails[0], h.after(time.Hour)))
			if status := must(h.sg.Post(t.Context(), h.url+"default", body))(t); status != http.StatusOK {
				t.Fatal(status)
			}
			broken = true
			if err := h.tryRun(); err == nil || len(h.sg.Mails()) != sent {
				t.Fatalf("%v; %d mails left while a complaint waited", err, len(h.sg.Mails())-sent)
			}
			h.run()
			if s := h.sends(mailer.SendFilter{Campaign: "second"})[0]; s.State != mailer.Refused {
				t.Errorf("%+v", s)
			}
		})
	}
}
