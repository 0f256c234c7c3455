package mailer_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/mailer"
	"github.com/relance/relance/segments/rule"
)

// TestWhyAndTheGateNeverDisagree puts contacts before the gate in random situations, asks what it would say, and lets it.
func TestWhyAndTheGateNeverDisagree(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		seen := map[mailer.Reason]bool{}
		for seed := range uint64(40) {
			r := rand.New(rand.NewPCG(seed, 7))
			w.now = w.now.Add(time.Duration(r.IntN(30)) * time.Hour)
			contact, id := situation(w, r, seed)
			judged := must(w.e.Judge(t.Context(), id, contact, w.now))(t)
			before := w.count("SELECT COUNT(*) FROM holdouts")
			w.options.SendingAllowed = nil
			w.rebuild()
			w.run()
			s := w.sends(mailer.SendFilter{ContactID: contact, Campaign: id})[0] // campaigns that are paused take part
			want := judged.State
			if want == mailer.Handing {
				want = mailer.Accepted
			}
			if s.State != want || s.Reason != judged.Reason {
				t.Fatalf("seed %d: judged %s %q, then %s %q\n%+v", seed, judged.State, judged.Reason, s.State, s.Reason, judged.Checks)
			}
			if judged.Send != s.Send {
				t.Fatalf("seed %d: judged the mail %q, not %s", seed, judged.Send, s.Send)
			}
			if s.State == mailer.Deferred && s.UntilAt != judged.Until {
				t.Fatalf("seed %d: %s until %s, judged %s", seed, s.Reason, s.UntilAt.Time(), judged.Until.Time())
			}
			if s.Reason == mailer.HeldOut && before == w.count("SELECT COUNT(*) FROM holdouts") {
				t.Fatal("asking logged the holdout")
			}
			seen[s.Reason] = true
			w.exec("UPDATE shops SET skew_ms=0")
			w.silent = false
			w.exec("DELETE FROM campaigns") // those that are paused would take part in all that follows
		}
		t.Logf("met: %v", seen)
		if len(seen) < 10 {
			t.Errorf("only %d reasons were met: %v", len(seen), seen)
		}
	})
}

// situation makes a campaign and a contact whose mail waits before the gate.
func situation(w *world, r *rand.Rand, seed uint64) (contact int64, id string) {
	w.tb.Helper()
	odds := func(n int) bool { return r.IntN(n) == 0 }
	id = fmt.Sprintf("s%d", seed)
	w.sender(func(s *mailer.Sender) {
		if s.Cap = (mailer.Cap{}); odds(2) {
			s.Cap = mailer.Cap{Count: 1, Per: 6 * time.Hour}
		}
	})
	spec := with(func(s *mailer.CampaignSpec) {
		if odds(4) {
			*s = cartCampaign()
		}
		if odds(3) {
			s.QuietHours = &mailer.QuietHours{From: "20:00", To: "09:00"}
		}
		if odds(6) {
			s.Ramp = &mailer.RampSpec{Start: 1}
		}
		if odds(6) {
			s.Holdout = 90
		}
		if odds(6) {
			s.ExitIf = &rule.Condition{Bought: &rule.Bought{Window: rule.Window{Within: "7d"}}}
		}
		if odds(6) {
			s.Goal = &mailer.GoalSpec{Order: true, Within: "9d"}
		}
		if odds(5) {
			s.Topic = "news"
		}
		s.PreferredHour = s.Occurrence.Mode != mailer.OccurrenceCart && odds(3)
	})
	w.armSince(mailer.CampaignFile{id: spec}, w.now.Add(-time.Hour))
	contact = w.contact(fmt.Sprintf("%s@example.com", id))
	w.consentTo(contact, "news", []string{crm.ConsentGranted, crm.ConsentPending, crm.ConsentWithdrawn}[r.IntN(3)])
	w.cart(contact, id)
	for i := range 3 {
		w.order(contact, w.shop, fmt.Sprintf("%s-%d", id, i), crm.StateCompleted, w.now.Add(-time.Duration(40*24+i)*time.Hour))
	}
	w.enter(contact, spec.Trigger.Enters, w.now)
	if spec.Ramp != nil && odds(2) {
		w.came(id, "handed", 1, w.now)
	}
	w.held()
	w.options.SendingAllowed = nil
	happen(w, r, contact, id)
	return contact, id
}

// happen is what comes between the mail's being due and the gate.
func happen(w *world, r *rand.Rand, contact int64, id string) {
	w.tb.Helper()
	switch r.IntN(11) {
	case 0:
		w.consent(contact, []string{crm.ConsentPending, crm.ConsentWithdrawn}[r.IntN(2)])
	case 1:
		w.order(contact, w.shop, id, crm.StateAccepted, w.now)
	case 2:
		w.exec("UPDATE carts SET closed_at=? WHERE contact_id=?", crm.At(w.now), contact)
	case 3:
		w.write(func(tx *store.Tx) error {
			_, err := mailer.Suppress(w.tb.Context(), tx, w.audience, id+"@example.com", mailer.ScopeAll, "bounced", "test", crm.At(w.now))
			return err
		})
	case 4:
		w.exec("UPDATE shops SET skew_ms=?", (6 * time.Minute).Milliseconds())
	case 5:
		w.silent = true
		w.exec("UPDATE streams SET read_at=?", crm.At(w.now.Add(-time.Hour)))
	case 6:
		w.now = w.now.Add(30 * time.Hour)
	case 7:
		w.exec("UPDATE contacts SET erased_at=? WHERE id=?", crm.At(w.now), contact)
	case 8:
		if err := mailer.Pause(w.tb.Context(), w.m, id, "wrong prices", crm.At(w.now)); err != nil {
			w.tb.Fatal(err)
		}
	case 9:
		w.exec(`UPDATE sends SET state='accepted', handed_at=?, contact_id=? WHERE state='accepted' AND kind='marketing' AND id=(SELECT id FROM (SELECT MIN(id) AS id FROM sends WHERE state='accepted') AS s)`,
			crm.At(w.now.Add(-time.Hour)), contact)
	}
	if !w.silent {
		w.exec("UPDATE streams SET read_at=?", crm.At(w.now))
	}
}

func TestWhyShowsEveryCheckWithItsValue(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.sender(func(s *mailer.Sender) { s.Cap = mailer.Cap{Count: 2, Per: 7 * 24 * time.Hour} })
		w.armSince(mailer.CampaignFile{"plain": with(func(s *mailer.CampaignSpec) {
			s.QuietHours, s.PreferredHour = &mailer.QuietHours{From: "21:00", To: "08:00"}, true
			s.Ramp, s.Holdout, s.Cap = &mailer.RampSpec{Start: 50}, 10, "1 per 30d"
		})}, w.now.Add(-time.Hour))
		zoe := w.contact("zoe@example.com")
		w.exec("UPDATE consent_state SET source_at=?, basis='opt_in' WHERE contact_id=?", crm.At(time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)), zoe)
		for i := range 3 {
			w.order(zoe, w.shop, fmt.Sprint(i), crm.StateCompleted, time.Date(2026, 9, 10+i, 16, 30, 0, 0, time.UTC))
		}
		w.member(zoe, anybody)
		w.came("plain", "handed", 37, w.now)
		w.exec("UPDATE streams SET read_at=?", crm.At(w.now.Add(-12*time.Second)))
		got := map[string]string{}
		j := must(w.e.Judge(t.Context(), "plain", zoe, w.now))(t)
		for _, c := range j.Checks {
			got[c.Check] = c.Verdict + ": " + c.Value
		}
		want := map[string]string{
			"set up":         "passed: the campaign is armed, step first",
			"shop read":      "passed: shop read 12s ago, at most 1m",
			"eligible":       "passed: in the segment anybody",
			"exit rules":     "passed: none applies",
			"suppression":    "passed: no address of the contact",
			"consent":        "passed: marketing granted 2026-03-01 (opt_in)",
			"caps":           "passed: 0 of 2 in 7d of the sender, 0 of 1 in 30d of the campaign",
			"priority":       "passed: 50, 0 ahead",
			"quiet hours":    "passed: 21:00–08:00, 13:00 in Europe/Paris",
			"preferred hour": "would wait: preferred hour 18, learned from 3 acts, 13:00 in Europe/Paris",
			"not after":      "passed: due 2026-11-20T12:00:00Z, not after 2026-11-21T12:00:00Z",
			"clocks":         "passed: the shop's differs by 0s, at most 5m",
			"ramp":           "passed: 37 of 50 today",
			"coupon":         got["coupon"],
			"holdout":        got["holdout"],
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if j.Send != "" || j.State != mailer.Deferred || j.Reason != mailer.PreferredHour || j.Until.Time().Hour() != 17 {
			t.Errorf("%+v", j)
		}
		if n := w.count("SELECT COUNT(*) FROM sends") + w.count("SELECT COUNT(*) FROM holdouts"); n != 0 {
			t.Error("asking wrote something")
		}
		w.exec("DELETE FROM contacts")
		j = must(w.e.Judge(t.Context(), "plain", zoe, w.now))(t)
		if last := j.Checks[len(j.Checks)-1]; j.Reason != mailer.ContactGone || last.Check != "eligible" || last.Verdict != mailer.CheckStops {
			t.Errorf("%+v", j)
		}
	})
}

// TestTheDocsShowTheGateInItsOrder compares the list of the docs with the table of checks.
func TestTheDocsShowTheGateInItsOrder(t *testing.T) {
	t.Parallel()
	raw := string(must(os.ReadFile("../docs/campaigns.md"))(t))
	_, gate, found := strings.Cut(raw, "\n## The gate\n")
	gate, _, ended := strings.Cut(gate, "\n### ")
	if !found || !ended {
		t.Fatal("docs/campaigns.md has no section The gate")
	}
	var shown []string
	for _, m := range regexp.MustCompile(`(?m)^\d+\. \*\*([^*]+)\*\*`).FindAllStringSubmatch(gate, -1) {
		shown = append(shown, strings.ToLower(strings.Trim(m[1], ".:")))
	}
	if diff := cmp.Diff(mailer.GateChecks(), shown); diff != "" {
		t.Error(diff)
	}
	if !slices.Contains(shown, "holdout") || shown[len(shown)-1] != "holdout" {
		t.Error("the holdout is not last")
	}
}

func TestConsentIsAskedForTheTopicOfTheCampaign(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		implied := w.addShop("implied", "implied")
		w.armSince(mailer.CampaignFile{"news": with(func(s *mailer.CampaignSpec) { s.Topic = "news" })}, w.now.Add(-time.Hour))
		want := map[int64]mailer.Reason{}
		for i, c := range []struct {
			news, marketing string
			shop            int64
			reason          mailer.Reason
		}{
			{crm.ConsentGranted, "", w.shop, mailer.NoReason},
			{crm.ConsentGranted, crm.ConsentWithdrawn, w.shop, mailer.NoReason}, // they say so themselves
			{"", crm.ConsentGranted, w.shop, mailer.ConsentMissing},
			{crm.ConsentWithdrawn, crm.ConsentGranted, w.shop, mailer.ConsentWithdrawn},
			{"", "", implied, mailer.NoReason},
			{"", crm.ConsentWithdrawn, implied, mailer.ConsentWithdrawn}, // declined marketing as such: nothing is implied
			{crm.ConsentPending, crm.ConsentGranted, implied, mailer.ConsentPending},
		} {
			id := w.stranger(fmt.Sprintf("c%d@example.com", i))
			w.exec("UPDATE contacts SET home_shop_id=? WHERE id=?", c.shop, id)
			for topic, state := range map[string]string{"news": c.news, "marketing": c.marketing} {
				if state != "" {
					w.consentTo(id, topic, state)
				}
			}
			w.enter(id, anybody, w.now)
			want[id] = c.reason
		}
		w.run()
		for id, reason := range want {
			if s := w.one(id); s.Reason != reason || (reason == "") != (s.State == mailer.Accepted) {
				t.Errorf("%s %s, want %q", s.State, s.Reason, reason)
			}
		}
	})
}
