package mailer_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/mailer"
	"github.com/relance/relance/mailer/outbox"
)

// merge carries a merge out.
func (w *world) merge(from, to int64) {
	w.tb.Helper()
	must(w.m.Merge(w.tb.Context(), from, to, "test", crm.At(w.now)))(w.tb)
	w.identities()
}

// armAll deploys campaigns together and arms them a day ago.
func (w *world) armAll(f mailer.CampaignFile) {
	w.tb.Helper()
	w.armSince(f, w.now.Add(-24*time.Hour))
}

func (w *world) split(from int64) {
	w.tb.Helper()
	must(w.m.Split(w.tb.Context(), from, "test", crm.At(w.now)))(w.tb)
	w.identities()
}

func (w *world) identities() {
	w.tb.Helper()
	work := mirror.NewIdentities(w.m, w.leases)
	for range 100 {
		_, worked, err := work.Step(w.tb.Context(), w.now)
		if err != nil {
			w.tb.Fatal(err)
		}
		if !worked {
			return
		}
	}
}

func TestAMergeEndsWhatIsUnderWayForTheMergedContact(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		spec := plainCampaign()
		spec.Steps = append([]mailer.StepSpec{{ID: "pause", Wait: &mailer.WaitSpec{For: "3d"}}}, spec.Steps...)
		w.armAll(mailer.CampaignFile{"plain": plainCampaign(), "later": spec})
		a, b := w.contact("a@example.com"), w.contact("b@example.com")
		w.waiting(a, anybody)
		must(w.m.Merge(t.Context(), a, b, "test", crm.At(w.now)))(t) // recorded is enough
		w.run()
		w.expectMails(0)
		w.expect(a, mailer.Refused, mailer.MergedAway)
		if n := w.count("SELECT COUNT(*) FROM enrolments WHERE contact_id=? AND state='exited' AND exit_reason='merged'", a); n != 2 {
			t.Errorf("%d of 2 runs ended", n)
		}
		if n := w.count("SELECT COUNT(*) FROM departures"); n != 0 {
			t.Error("the departure is not forgotten")
		}
		w.enter(a, anybody, w.now) // too late by a moment
		w.run()
		w.expectMails(0)
	})
}

func TestB13_WhatAMergedContactHasHadThePersonDoesNotGetAgain(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.armAll(mailer.CampaignFile{"plain": plainCampaign(), cartMails: cartCampaign()})
		a, b := w.contact("a@example.com"), w.contact("b@example.com")
		w.cart(a, "117")
		w.enter(a, anybody, w.now)
		w.enter(a, idleCart, w.now)
		w.run()
		w.expectMails(2)
		w.merge(a, b)
		w.enter(b, anybody, w.now)
		w.enter(b, idleCart, w.now) // with the cart that came with the merge
		w.run()
		w.expectMails(2)
		if n := w.count("SELECT COUNT(*) FROM carts WHERE contact_id=?", b); n != 1 {
			t.Errorf("%d carts came with the merge", n)
		}
		w.sender(func(s *mailer.Sender) { s.Cap = must(mailer.ParseCap("2 per 7d"))(t) })
		w.cart(b, "118")
		w.exec("UPDATE carts SET active_at=active_at+1000 WHERE id='118'")
		w.enter(b, idleCart, w.now)
		w.run()
		w.expect(b, mailer.Deferred, mailer.Capped)
	})
}

func TestASuppressionOrWithdrawalOfEitherAddressStopsMailToBoth(t *testing.T) {
	for name, stop := range map[string]func(w *world, a int64){
		"bounced": func(w *world, _ int64) {
			w.write(func(tx *store.Tx) error {
				_, err := mailer.Suppress(context.Background(), tx, w.audience, "a@example.com", mailer.ScopeAll, "bounced", "test", crm.At(w.now))
				return err
			})
		},
		"withdrawn": func(w *world, a int64) { w.consent(a, crm.ConsentWithdrawn) },
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, w *world) {
				w.arm("plain", plainCampaign())
				a, b, c := w.stranger("a@example.com"), w.contact("b@example.com"), w.contact("c@example.com")
				stop(w, a)
				w.merge(a, b)
				w.enter(b, anybody, w.now)
				w.run()
				w.expectMails(0)
				if s := w.one(b); s.State != mailer.Refused {
					t.Errorf("%s %s", s.State, s.Reason)
				}
				w.merge(a, b) // again: nothing
				w.split(a)
				w.merge(a, c)
				w.split(a)
				w.enter(c, anybody, w.now)
				w.run()
				w.expectMails(1)
			})
		})
	}
}

func TestAnUnsubscribeByAnOldLinkReachesTheMergedPerson(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.arm("plain", plainCampaign())
		a, b := w.contact("a@example.com"), w.contact("b@example.com")
		token := must(w.options.Keys.Token(mailer.Subject{AudienceID: w.audience, ContactID: a, Topic: mailer.TopicMarketing}))(t)
		w.merge(a, b)
		w.exec("DELETE FROM dirty")
		must(mailer.Unsubscribe(t.Context(), w.m, w.options.Keys, token, "one-click", crm.At(w.now)))(t)
		if n := w.count("SELECT COUNT(*) FROM dirty WHERE contact_id=?", b); n != 1 {
			t.Error("the person is not marked")
		}
		w.enter(b, anybody, w.now)
		w.run()
		w.expectMails(0)
	})
}

func TestB47_TheLedgerCountsOnWithoutThePerson(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		box := must(outbox.New(t.TempDir()))(t)
		t.Cleanup(func() { _ = box.Close() })
		w.sender(func(s *mailer.Sender) { s.Provider = box })
		transactional := plainCampaign()
		transactional.Kind = mailer.KindTransactional
		transactional.Steps = append([]mailer.StepSpec{{ID: "pause", Wait: &mailer.WaitSpec{For: "1d"}}}, transactional.Steps...)
		w.armAll(mailer.CampaignFile{"plain": plainCampaign(), "receipt": transactional})
		ana, bob := w.contact("ana@example.com"), w.contact("bob@example.com")
		w.enter(ana, anybody, w.now)
		w.enter(bob, anybody, w.now)
		w.run()
		if mails := must(box.Mails(10))(t); len(mails) != 2 {
			t.Fatalf("%d mails were captured", len(mails))
		}
		must(w.m.Erase(t.Context(), ana, crm.At(w.now)))(t)
		w.identities()
		w.run()
		mails := must(box.Mails(10))(t)
		if len(mails) != 1 || mails[0].To != "bob@example.com" {
			t.Errorf("%d captured mails are left", len(mails))
		}
		s := w.one(ana)
		if s.State != mailer.Accepted || s.Subject != "" || s.MessageID != "" {
			t.Errorf("%+v", s)
		}
		w.runAt(w.now.Add(25 * time.Hour)) // the step of the other campaign is due
		if n := w.count("SELECT COUNT(*) FROM enrolments WHERE contact_id=? AND exit_reason='erased'", ana); n != 1 {
			t.Errorf("%d runs ended for the erasure", n)
		}
		if mails := must(box.Mails(10))(t); slices.ContainsFunc(mails, func(e outbox.Entry) bool { return strings.HasPrefix(e.To, "ana") }) {
			t.Error("an erased person was written to")
		}
		infos := must(mailer.Infos(t.Context(), w.db.Read()))(t)
		for _, i := range infos {
			if i.ID == "plain" && i.Sends["accepted"] != 2 {
				t.Errorf("the ledger counts %v", i.Sends)
			}
		}
	})
}
