package mailer_test

import (
	"strings"
	"testing"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/mailer"
)

func marketing() []string { return []string{mailer.TopicMarketing} }

func choosing(wanted bool) mailer.Choices {
	return mailer.Choices{Topics: map[string]bool{mailer.TopicMarketing: wanted}, Hour: -1}
}

func (w *world) preferences(contact int64) string {
	w.tb.Helper()
	return must(w.options.Keys.PreferencesToken(mailer.Subject{ContactID: contact, AudienceID: w.audience}, crm.At(w.now)))(w.tb)
}

func (w *world) choose(token string, c mailer.Choices) mailer.ChoicesPage {
	w.tb.Helper()
	proof := mailer.Proof{Text: "Je souhaite recevoir…", IP: "192.0.2.7"}
	return must(mailer.SavePreferences(w.tb.Context(), w.m, w.options.Keys, token, c, proof, crm.At(w.now)))(w.tb)
}

// proofs lists the ledger of consents of a contact, oldest first, as "state source".
func (w *world) proofs(contact int64) []string {
	w.tb.Helper()
	var rows []struct{ State, Source, IP string }
	if err := w.db.Read().SelectContext(w.tb.Context(), &rows, "SELECT state, source, ip FROM consents WHERE contact_id=? AND source<>'test' ORDER BY id", contact); err != nil {
		w.tb.Fatal(err)
	}
	var out []string
	for _, r := range rows {
		out = append(out, strings.TrimSpace(r.State+" "+r.Source+" "+r.IP))
	}
	return out
}

// What is chosen on the page is in force for the mail that waits; taking it back lets mails come again; a shop that says
// "subscribed" does neither.
func TestB15ChoicesAreInForceAtOnceAndOnlyThePersonTakesThemBack(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		zoe := w.contact("zoe@example.com")
		token := w.preferences(zoe)
		w.arm("plain", plainCampaign())
		w.enter(zoe, anybody, w.now)
		w.choose(token, choosing(false))
		w.run()
		if s := w.sends(mailer.SendFilter{})[0]; s.State != mailer.Refused || s.Reason != mailer.Suppressed && s.Reason != mailer.ConsentWithdrawn {
			t.Fatalf("%+v", s)
		}
		w.write(func(tx *store.Tx) error { // a later sync
			changed, err := w.m.SetConsent(t.Context(), tx, mirror.ConsentChange{ContactID: zoe, Topic: mailer.TopicMarketing, Channel: "email", State: crm.ConsentGranted, Source: "woocommerce:boutique", SourceAt: crm.At(w.now), SeenAt: crm.At(w.now)})
			if changed {
				t.Error("a sync lifted a withdrawal")
			}
			return err
		})
		page := must(mailer.Preferences(t.Context(), w.m, w.options.Keys, token, marketing(), crm.At(w.now)))(t)
		if page.Topics[mailer.TopicMarketing] || page.Expired {
			t.Errorf("%+v", page)
		}
		w.now = w.now.Add(time.Hour)
		if page := w.choose(token, choosing(true)); !page.Topics[mailer.TopicMarketing] {
			t.Errorf("%+v", page)
		}
		w.choose(token, choosing(true)) // again: nothing
		want := []string{"withdrawn preferences 192.0.2.7", "granted preferences 192.0.2.7"}
		if got := w.proofs(zoe); strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("the ledger says %v, want %v", got, want)
		}
		w.arm("second", plainCampaign())
		w.enter(zoe, anybody, w.now)
		w.run()
		if n := len(w.out.got()); n != 1 {
			t.Errorf("%d mails after asking for them again", n)
		}
	})
}

func TestTheContactsOwnFrequencyIsACap(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		zoe := w.contact("zoe@example.com")
		c := choosing(true)
		c.Frequency, c.Hour, c.Locale, c.Birthday = mailer.FrequencyWeekly, 18, "en", "1990-02-28"
		page := w.choose(w.preferences(zoe), c)
		if page.Frequency != mailer.FrequencyWeekly || page.Hour != 18 || page.Locale != "en" || page.Birthday != "1990-02-28" || page.Language != "en" {
			t.Errorf("%+v", page)
		}
		long := plainCampaign()
		long.NotAfter = "30d"
		w.arm("first", long)
		w.enter(zoe, anybody, w.now)
		w.run()
		w.arm("second", long)
		w.enter(zoe, anybody, w.now)
		w.run()
		if got := w.out.got(); len(got) != 1 || !strings.Contains(got[0].Subject+got[0].Text, "we") {
			t.Fatalf("%d mails", len(got))
		}
		var capped int
		for _, s := range w.sends(mailer.SendFilter{}) {
			if s.State == mailer.Deferred && s.Reason == mailer.Capped {
				capped++
			}
		}
		if capped != 1 {
			t.Errorf("%+v", w.sends(mailer.SendFilter{}))
		}
		w.now = w.now.Add(7*24*time.Hour + time.Minute)
		w.run()
		if n := len(w.out.got()); n != 2 {
			t.Errorf("%d mails a week later", n)
		}
	})
}

func TestAComplaintIsNotLiftedByAPage(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		zoe := w.contact("zoe@example.com")
		w.write(func(tx *store.Tx) error {
			_, err := mailer.Suppress(t.Context(), tx, w.audience, "zoe@example.com", mailer.ScopeMarketing, crm.SuppressedComplained, "sendgrid", crm.At(w.now))
			return err
		})
		w.m = mailer.NewMirror(w.db) // profiles that know who is suppressed
		page := w.choose(w.preferences(zoe), choosing(true))
		if !page.Complained || page.Topics[mailer.TopicMarketing] {
			t.Errorf("%+v", page)
		}
		w.arm("plain", plainCampaign())
		w.enter(zoe, anybody, w.now)
		w.run()
		if n := len(w.out.got()); n != 0 {
			t.Errorf("%d mails", n)
		}
	})
}

func TestLinksOfChoiceAreForOneThing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		zoe, now := w.contact("zoe@example.com"), crm.At(w.now)
		s := mailer.Subject{ContactID: zoe, AudienceID: w.audience, Topic: mailer.TopicMarketing}
		choices, confirm := w.preferences(zoe), must(w.options.Keys.ConfirmToken(s, now))(t)
		leave := must(w.options.Keys.Token(s))(t)
		for _, token := range []string{"", "p1.k1.x", choices + "a", confirm, leave} {
			if _, err := mailer.SavePreferences(t.Context(), w.m, w.options.Keys, token, choosing(false), mailer.Proof{}, now); fault.ClassOf(err) != fault.Reject {
				t.Errorf("%q: %v", token, err)
			}
		}
		for _, token := range []string{choices, leave} {
			if _, err := mailer.Confirm(t.Context(), w.m, w.options.Keys, token, mailer.Proof{}, now); fault.ClassOf(err) != fault.Reject {
				t.Errorf("%q: %v", token, err)
			}
		}
		for _, c := range []mailer.Choices{{Frequency: "daily", Hour: -1}, {Hour: 24}, {Hour: -1, Birthday: "28/02/1990"}, {Hour: -1, Birthday: "2190-01-01"}} {
			if _, err := mailer.SavePreferences(t.Context(), w.m, w.options.Keys, choices, c, mailer.Proof{}, now); fault.ClassOf(err) != fault.Reject {
				t.Errorf("%+v: %v", c, err)
			}
		}
		if page := must(mailer.Preferences(t.Context(), w.m, w.options.Keys, choices, marketing(), now.Add(181*24*time.Hour)))(t); !page.Expired || page.Birthday != "" {
			t.Errorf("%+v", page)
		}
		if len(w.proofs(zoe)) != 0 {
			t.Errorf("%v", w.proofs(zoe))
		}
	})
}

// A ticked box of a shop with double opt-in asks; the person's own click on the page answers.
func TestDoubleOptIn(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		shop := w.addShop("atelier", mirror.BasisDoubleOptIn)
		tick := func(id, email string, cause crm.Cause) (contact int64) {
			w.write(func(tx *store.Tx) error {
				at := crm.At(w.now)
				_, err := w.m.Apply(t.Context(), tx, mirror.Batch{ShopID: shop, ObservedAt: at, Cause: cause, Facts: []crm.Fact{
					{Ref: crm.Ref{Kind: crm.KindCustomer, ID: id}, Body: &crm.Customer{Email: email, RegisteredAt: at}},
					{Ref: crm.Ref{Kind: crm.KindCustomer, ID: id}, Body: &crm.OptIn{Value: "yes", NoMeans: "withdrawn"}},
				}})
				return err
			})
			if err := w.db.Read().GetContext(t.Context(), &contact, "SELECT id FROM contacts WHERE email_norm=?", email); err != nil {
				t.Fatal(err)
			}
			return contact
		}
		state := func(contact int64) (s string) {
			if err := w.db.Read().GetContext(t.Context(), &s, "SELECT state FROM consent_state WHERE contact_id=?", contact); err != nil {
				t.Fatal(err)
			}
			return s
		}
		if s := state(tick("1", "old@example.com", crm.CauseBackfill)); s != crm.ConsentGranted {
			t.Errorf("who subscribed before is %s", s)
		}
		zoe := tick("2", "zoe@example.com", crm.CauseChange)
		if s := state(zoe); s != crm.ConsentPending {
			t.Fatalf("a ticked box is %s", s)
		}
		w.arm("plain", plainCampaign())
		w.enter(zoe, anybody, w.now)
		w.run()
		if s := w.sends(mailer.SendFilter{})[0]; s.Reason != mailer.ConsentPending {
			t.Errorf("B45: %+v", s)
		}
		token := must(w.options.Keys.ConfirmToken(mailer.Subject{ContactID: zoe, AudienceID: w.audience, Topic: mailer.TopicMarketing}, crm.At(w.now)))(t)
		if c := must(mailer.Confirming(t.Context(), w.m, w.options.Keys, token, crm.At(w.now)))(t); c.Done || c.Expired || state(zoe) != crm.ConsentPending {
			t.Errorf("looking at the page changed something: %+v", c)
		}
		if c := must(mailer.Confirm(t.Context(), w.m, w.options.Keys, token, mailer.Proof{}, crm.At(w.now.Add(mailer.ConfirmFor))))(t); !c.Expired || state(zoe) != crm.ConsentPending {
			t.Errorf("an old link: %+v", c)
		}
		for range 2 {
			if c := must(mailer.Confirm(t.Context(), w.m, w.options.Keys, token, mailer.Proof{Text: "Oui", IP: "192.0.2.7"}, crm.At(w.now)))(t); !c.Done {
				t.Errorf("%+v", c)
			}
		}
		if got := w.proofs(zoe); len(got) != 2 || got[1] != "granted double opt-in 192.0.2.7" {
			t.Errorf("%v", got)
		}
	})
}
