package mailer_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/mailer"
)

func each(t *testing.T, fn func(t *testing.T, w *world)) {
	t.Helper()
	servers.Each(t, func(t *testing.T, db *store.DB) { fn(t, newWorld(t, db)) })
}

func TestAnAbandonedCartIsMailedOnceWithItsLinesAndAWayOut(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.arm(cartMails, cartCampaign())
		zoe := w.contact("zoe@example.com")
		w.cart(zoe, "117")
		w.enter(zoe, idleCart, w.now)
		w.run()
		w.run()
		w.expectMails(1)
		m := w.out.got()[0]
		link := "https://mail.example/u/"
		if m.ToEmail != "zoe@example.com" || !strings.Contains(m.HTML, "Écharpe") || !strings.Contains(m.Text, "https://mail.example/l/k1.") ||
			!strings.Contains(m.HTML, link) || !strings.HasPrefix(m.Headers["List-Unsubscribe"], "<"+link) ||
			m.Headers["List-Unsubscribe-Post"] != "List-Unsubscribe=One-Click" {
			t.Fatalf("%+v", m)
		}
		s := w.one(zoe)
		if s.State != mailer.Accepted || s.MessageID != "m1" || s.Occurrence != fmt.Sprintf("cart:%d:117", w.shop) || m.SendID != s.Send || s.Subject != m.Subject {
			t.Fatalf("%+v", s)
		}
		if strings.Contains(fmt.Sprint(m.Headers), "zoe") {
			t.Fatal("the address is in a header of ours")
		}
	})
}

func TestB17_AnOrderBetweenReadyAndGateStopsTheCartMail(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.arm(cartMails, cartCampaign())
		zoe := w.contact("zoe@example.com")
		w.cart(zoe, "117")
		w.waiting(zoe, idleCart)
		other := w.addShop("atelier", "opt_in")
		w.order(zoe, other, "9", crm.StateAccepted, w.now) // another shop of the same audience, the cart still looks open
		w.run()
		w.expectMails(0)
		w.expect(zoe, mailer.Refused, mailer.Bought)
		if s := must(mailer.Why(t.Context(), w.db.Read(), cartMails, zoe))(t); !strings.Contains(s.Sentence, "has ordered since") || len(s.Sends[0].Log) != 3 {
			t.Fatalf("%+v", s)
		}
	})
}

func TestB17_ACartThatWasClosedOrABasketThatWasNotPaid(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.arm(cartMails, cartCampaign())
		closed, pending := w.contact("closed@example.com"), w.contact("pending@example.com")
		w.cart(closed, "1")
		w.cart(pending, "2")
		w.order(pending, w.shop, "2", crm.StatePending, w.now.Add(-time.Hour)) // the order of the cart itself, not paid
		w.enter(closed, idleCart, w.now)
		w.enter(pending, idleCart, w.now)
		w.exec("UPDATE carts SET active_at=? WHERE id='1'", crm.At(w.now.Add(-time.Minute))) // no longer idle
		w.run()
		w.expect(closed, mailer.Refused, mailer.LeftSegment)
		w.expect(pending, mailer.Accepted, mailer.NoReason)
	})
}

func TestB45_AnUnsubscribeBetweenReadyAndGateStopsTheMail(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.arm("plain", plainCampaign())
		zoe := w.contact("zoe@example.com")
		w.waiting(zoe, anybody)
		token := must(w.options.Keys.Token(mailer.Subject{ContactID: zoe, AudienceID: w.audience, Topic: mailer.TopicMarketing}))(t)
		for i := range 3 { // a replay is as good as the first time
			done := must(mailer.Unsubscribe(t.Context(), w.m, w.options.Keys, token, "one-click", crm.At(w.now)))(t)
			if done.Again != (i > 0) || done.ContactID != zoe {
				t.Fatalf("%+v", done)
			}
		}
		w.run()
		w.expectMails(0)
		w.expect(zoe, mailer.Refused, mailer.Suppressed)
		w.exec("DELETE FROM suppressions") // the consent alone stops it as well
		w.arm("second", plainCampaign())
		w.enter(zoe, anybody, w.now)
		w.run()
		w.expect(zoe, mailer.Refused, mailer.ConsentWithdrawn)
	})
}

func TestB45_NobodyIsMailedWithoutConsent(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		soft, implied := w.addShop("soft", "soft_opt_in"), w.addShop("implied", "implied")
		w.arm("plain", plainCampaign())
		want := map[int64]mailer.Reason{}
		add := func(reason mailer.Reason, state string, more func(id int64)) {
			id := w.stranger(fmt.Sprintf("c%d@example.com", len(want)))
			if state != "" {
				w.consent(id, state)
			}
			if more != nil {
				more(id)
			}
			want[id] = reason
			w.enter(id, anybody, w.now)
		}
		bought := func(shop int64) func(int64) {
			return func(id int64) {
				w.order(id, shop, fmt.Sprint(id), crm.StateCompleted, w.now.Add(-90*24*time.Hour))
			}
		}
		add(mailer.ConsentMissing, "", nil)
		add(mailer.ConsentPending, crm.ConsentPending, nil)
		add(mailer.ConsentWithdrawn, crm.ConsentWithdrawn, bought(soft))
		add(mailer.ConsentMissing, "", bought(w.shop))
		add(mailer.NoReason, "", bought(soft))
		add(mailer.NoReason, crm.ConsentGranted, nil)
		add(mailer.NoReason, "", func(id int64) { w.exec("UPDATE contacts SET home_shop_id=? WHERE id=?", implied, id) })
		add(mailer.ConsentExpired, crm.ConsentGranted, func(id int64) {
			w.exec("UPDATE consent_state SET expires_at=? WHERE contact_id=?", crm.At(w.now), id)
		})
		w.exec("UPDATE campaign_shops SET armed_at=1")
		w.run()
		for id, reason := range want {
			if s := w.one(id); s.Reason != reason || (reason == "") != (s.State == mailer.Accepted) {
				t.Errorf("%s %s, want %q", s.State, s.Reason, reason)
			}
		}
	})
}

func TestASuppressionHoldsForEveryAddressOfAContact(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.arm("plain", plainCampaign())
		zoe := w.contact("zoe@example.com")
		w.order(zoe, w.shop, "5", crm.StateCompleted, w.now.Add(-99*time.Hour))
		w.exec("UPDATE orders SET email_norm='old@example.com' WHERE id='5'")
		w.write(func(tx *store.Tx) error {
			_, err := mailer.Suppress(t.Context(), tx, w.audience, "old@example.com", mailer.ScopeMarketing, "unsubscribed", "page", crm.At(w.now))
			return err
		})
		w.enter(zoe, anybody, w.now)
		w.run()
		w.expect(zoe, mailer.Refused, mailer.Suppressed)
		w.expectMails(0)
	})
}

func TestB46_TransactionalMailPassesAnOptOutButNotABounce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		spec := plainCampaign()
		spec.Kind = mailer.KindTransactional
		w.arm("thanks", spec)
		out, bounced := w.stranger("out@example.com"), w.stranger("bounced@example.com")
		w.consent(out, crm.ConsentWithdrawn)
		w.write(func(tx *store.Tx) error {
			for email, scope := range map[string]string{"out@example.com": mailer.ScopeMarketing, "bounced@example.com": mailer.ScopeAll} {
				if _, err := mailer.Suppress(t.Context(), tx, w.audience, email, scope, "test", "test", crm.At(w.now)); err != nil {
					return err
				}
			}
			return nil
		})
		w.enter(out, anybody, w.now)
		w.enter(bounced, anybody, w.now)
		w.run()
		w.expect(out, mailer.Accepted, mailer.NoReason)
		w.expect(bounced, mailer.Refused, mailer.Suppressed)
		if m := w.out.got()[0]; len(m.Headers) != 0 || strings.Contains(m.HTML, "/u/") {
			t.Fatalf("a transactional mail offers to unsubscribe: %v", m.Headers)
		}
	})
}

func TestTheCapDefersAndNeverDrops(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.sender(func(s *mailer.Sender) { s.Cap = mailer.Cap{Count: 1, Per: 2 * time.Hour} })
		one, two := plainCampaign(), plainCampaign()
		w.deploy(mailer.CampaignFile{"one": one, "two": two})
		for _, id := range []string{"one", "two"} {
			if _, err := mailer.Arm(t.Context(), w.m, id, 1); err != nil {
				t.Fatal(err)
			}
		}
		zoe, max := w.contact("zoe@example.com"), w.contact("max@example.com")
		w.enter(zoe, anybody, w.now) // starts both campaigns; both are at the gate in one batch
		w.enter(max, anybody, w.now)
		w.run()
		w.expectMails(2)
		for _, id := range []int64{zoe, max} {
			if n := w.count("SELECT COUNT(*) FROM sends WHERE contact_id=? AND state='deferred' AND reason='capped' AND until_at=?", id, crm.At(w.now.Add(2*time.Hour))); n != 1 {
				t.Fatalf("%d sends of a contact wait for the cap", n)
			}
		}
		w.runAt(w.now.Add(2*time.Hour - time.Second))
		w.expectMails(2)
		w.runAt(w.now.Add(time.Second))
		w.expectMails(4)
	})
}

func TestB42_QuietHoursAreKeptAtTheGateInTheZoneOfTheContact(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		spec := plainCampaign()
		spec.QuietHours = &mailer.QuietHours{From: "21:00", To: "08:00"}
		w.now = time.Date(2026, 10, 24, 20, 30, 0, 0, time.UTC) // 22:30 in Paris, whose clocks go back that night
		w.arm("plain", spec)
		zoe, tokyo := w.contact("zoe@example.com"), w.contact("tokyo@example.com")
		w.exec("UPDATE contacts SET zone='Asia/Tokyo' WHERE id=?", tokyo) // 05:30
		w.enter(zoe, anybody, w.now)
		w.enter(tokyo, anybody, w.now)
		w.exec("UPDATE campaign_shops SET armed_at=1")
		w.run()
		w.expect(zoe, mailer.Deferred, mailer.Quiet)
		if got, want := w.one(zoe).UntilAt.Time(), time.Date(2026, 10, 25, 7, 0, 0, 0, time.UTC); !got.Equal(want) {
			t.Fatalf("until %s, want 08:00 in Paris in winter time, %s", got, want)
		}
		w.runAt(time.Date(2026, 10, 24, 23, 0, 0, 0, time.UTC)) // 08:00 in Tokyo
		w.expect(tokyo, mailer.Accepted, mailer.NoReason)
		w.runAt(time.Date(2026, 10, 25, 6, 59, 59, 0, time.UTC))
		w.expect(zoe, mailer.Deferred, mailer.Quiet)
		w.runAt(time.Date(2026, 10, 25, 7, 0, 0, 0, time.UTC))
		w.expect(zoe, mailer.Accepted, mailer.NoReason)
	})
}

func TestB3_ALateRestartSendsNothingStale(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.arm(cartMails, func() mailer.CampaignSpec { s := cartCampaign(); s.NotAfter = "6h"; return s }())
		zoe, max := w.contact("zoe@example.com"), w.contact("max@example.com")
		w.cart(zoe, "1")
		w.cart(max, "2")
		w.waiting(zoe, idleCart)
		due := w.now
		w.now = due.Add(8 * time.Hour) // the machine was off
		w.enter(max, idleCart, due)
		w.run()
		w.expectMails(0)
		w.expect(zoe, mailer.Refused, mailer.Stale)
		if n := len(w.sends(mailer.SendFilter{ContactID: max})); n != 0 {
			t.Fatalf("%d sends for an entry eight hours ago", n)
		}
	})
}

func TestTheShopIsReadBeforeTheMailAndGivenUpInTheEnd(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.arm("plain", plainCampaign())
		zoe, max := w.contact("zoe@example.com"), w.contact("max@example.com")
		w.waiting(zoe, anybody)
		streams := must(w.m.Streams(t.Context(), w.shop))(t)
		if streams[0].WantedAt <= streams[0].ReadAt {
			t.Fatalf("nobody asked for a read: wanted %d, read %d", streams[0].WantedAt, streams[0].ReadAt)
		}
		w.run() // it has been read
		w.expect(zoe, mailer.Accepted, mailer.NoReason)
		w.now = w.now.Add(time.Hour)
		w.waiting(max, anybody)
		w.silent = true
		for range 200 { // asks now and then, ever more seldom, without a line in the log each time
			w.now = w.now.Add(10 * time.Minute)
			w.run()
		}
		w.expectMails(1)
		w.expect(max, mailer.Refused, mailer.ShopUnreachable)
		if s := must(mailer.Why(t.Context(), w.db.Read(), "plain", max))(t); len(s.Sends[0].Log) != 3 {
			t.Fatalf("the log has %d lines", len(s.Sends[0].Log))
		}
	})
}

func TestAClockThatIsWrongStopsSending(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.arm("plain", plainCampaign())
		zoe := w.contact("zoe@example.com")
		w.exec("UPDATE shops SET skew_ms=?", -(6 * time.Minute).Milliseconds())
		w.enter(zoe, anybody, w.now)
		w.run()
		w.expect(zoe, mailer.Deferred, mailer.ClockSkew)
		w.exec("UPDATE shops SET skew_ms=?", (4 * time.Minute).Milliseconds())
		w.runAt(w.now.Add(time.Minute))
		w.expect(zoe, mailer.Accepted, mailer.NoReason)
	})
}

func TestTheHoldoutIsTheSamePeopleLoggedOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		spec := plainCampaign()
		spec.Holdout = 50
		spec.Occurrence.Mode = mailer.OccurrenceEach
		w.arm("plain", spec)
		var ids []int64
		for i := range 40 {
			ids = append(ids, w.contact(fmt.Sprintf("c%d@example.com", i)))
		}
		for range 2 {
			for _, id := range ids {
				w.enter(id, anybody, w.now)
			}
			w.run()
			w.now = w.now.Add(time.Hour)
		}
		held := w.count("SELECT COUNT(*) FROM holdouts")
		refused := w.count("SELECT COUNT(*) FROM sends WHERE state='refused' AND reason='holdout'")
		if held < 8 || held > 32 || refused != 2*held || len(w.out.got()) != 2*(40-held) {
			t.Fatalf("%d held out, %d sends refused, %d mails", held, refused, len(w.out.got()))
		}
	})
}

func TestMarketingThroughARealProviderNeedsAWayOut(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.out.real = true
		w.options.PublicURL = "http://mail.example"
		w.rebuild()
		w.arm("plain", plainCampaign())
		zoe := w.contact("zoe@example.com")
		w.enter(zoe, anybody, w.now)
		w.run()
		w.expect(zoe, mailer.Deferred, mailer.NoPublicURL)
		next := func() { w.runAt(w.now.Add(time.Minute)) }
		w.options.PublicURL = "https://mail.example/"
		w.sender(func(s *mailer.Sender) { s.PostalAddress = " " })
		next()
		w.expect(zoe, mailer.Deferred, mailer.NoPostalAddress)
		keys := w.options.Keys
		w.options.Keys = nil
		w.sender(func(s *mailer.Sender) { s.PostalAddress = "1 rue de la Paix" })
		next()
		w.expect(zoe, mailer.Deferred, mailer.NoKey)
		w.options.Keys = keys
		w.sender(func(s *mailer.Sender) { s.Provider = nil })
		next()
		w.expect(zoe, mailer.Deferred, mailer.NoSender)
		w.sender(func(s *mailer.Sender) { s.Provider = w.out })
		next()
		w.expect(zoe, mailer.Accepted, mailer.NoReason)
	})
}

func TestATemplateThatCannotBeFilledInRefusesThatMailOnly(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		spec := plainCampaign()
		w.arm("plain", spec)
		w.options.Renderer = broken{w.options.Renderer}
		w.rebuild()
		bad, good := w.contact("bad@example.com"), w.contact("good@example.com")
		w.enter(bad, anybody, w.now)
		w.enter(good, anybody, w.now)
		w.run()
		w.expect(bad, mailer.Refused, mailer.Unrendered)
		w.expect(good, mailer.Accepted, mailer.NoReason)
		s := must(mailer.Why(t.Context(), w.db.Read(), "plain", bad))(t)
		if d := s.Sends[0].Log[1].Detail; !strings.Contains(d, "no such field") || strings.Contains(d, "bad@") {
			t.Fatalf("detail %q", d)
		}
	})
}

type broken struct{ mailer.Renderer }

func (b broken) Render(template, locale string, d mailer.Data) (mailer.Rendered, error) {
	if d.Contact.Email == "bad@example.com" {
		return mailer.Rendered{}, fmt.Errorf("filling in %s for %s: no such field", template, d.Contact.Email)
	}
	return b.Renderer.Render(template, locale, d)
}

func TestSendingThatIsSwitchedOffKeepsMailsWaiting(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		off := fmt.Errorf("This database is a copy: run `relance adopt` first")
		w.options.SendingAllowed = func() error { return off }
		w.rebuild()
		w.arm("plain", plainCampaign())
		zoe := w.contact("zoe@example.com")
		w.enter(zoe, anybody, w.now)
		w.run()
		w.expect(zoe, mailer.Ready, mailer.NoReason)
		if got := w.e.Stopped(); len(got) != 1 || !strings.Contains(got[0], "adopt") {
			t.Fatal(got)
		}
		off = nil
		w.run()
		w.expect(zoe, mailer.Accepted, mailer.NoReason)
		if got := w.e.Stopped(); len(got) != 0 {
			t.Fatal(got)
		}
	})
}

func TestAGoneContactIsNotMailed(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.arm("plain", plainCampaign())
		zoe := w.contact("zoe@example.com")
		w.waiting(zoe, anybody)
		w.exec("DELETE FROM contacts")
		w.run()
		w.expect(zoe, mailer.Refused, mailer.ContactGone)
		token := must(w.options.Keys.Token(mailer.Subject{ContactID: zoe, AudienceID: w.audience, Topic: mailer.TopicMarketing}))(t)
		if done := must(mailer.Unsubscribe(t.Context(), w.m, w.options.Keys, token, "page", crm.At(w.now)))(t); !done.Again {
			t.Fatal("an erased contact is unsubscribed already")
		}
		if _, err := mailer.Arm(t.Context(), w.m, "nothing", 1); err == nil {
			t.Fatal("a campaign that is not there was armed")
		}
	})
}
