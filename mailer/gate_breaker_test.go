package mailer_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/mailer"
)

// came counts what came back of a campaign's mails on a day, as feedback does.
func (w *world) came(campaign, name string, n int, at time.Time) {
	w.tb.Helper()
	w.insert("campaign_days", []string{"campaign", "day", "name", "shard", "total"}, []any{campaign, at.UTC().Format(time.DateOnly), name, w.db.NewID() % 1000, n})
}

func (w *world) campaign(id string) mailer.CampaignInfo {
	w.tb.Helper()
	for _, i := range must(mailer.Infos(w.tb.Context(), w.db.Read()))(w.tb) {
		if i.ID == id {
			return i
		}
	}
	w.tb.Fatalf("there is no campaign %s", id)
	return mailer.CampaignInfo{}
}

func TestACampaignWhoseMailsComeBackIsPaused(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		r := prometheus.NewPedanticRegistry()
		w.options.Metrics = mailer.NewMetrics(r)
		w.rebuild()
		w.armSince(mailer.CampaignFile{"plain": plainCampaign(), "other": with(func(s *mailer.CampaignSpec) {
			s.Breaker = &mailer.BreakerSpec{Bounced: "50%", After: 10}
		})}, w.now.Add(-time.Hour))
		state := func(want string) mailer.CampaignInfo {
			t.Helper()
			w.now = w.now.Add(11 * time.Second)
			w.run()
			i := w.campaign("plain")
			if i.State != want {
				t.Fatalf("the campaign is %s (%s)", i.State, i.Reason)
			}
			return i
		}
		w.came("plain", "delivered", 100, w.now.Add(-8*24*time.Hour)) // too long ago
		w.came("plain", "bounced", 100, w.now.Add(-8*24*time.Hour))
		w.came("plain", "delivered", 180, w.now.Add(-6*24*time.Hour))
		w.came("plain", "bounced", 19, w.now)
		state(mailer.CampaignArmed) // 199: too few to judge
		w.came("plain", "delivered", 181, w.now)
		state(mailer.CampaignArmed) // 19 of 380 are exactly 5 %
		w.came("plain", "bounced", 2, w.now)
		w.came("other", "delivered", 300, w.now)
		w.came("other", "bounced", 100, w.now)
		if i := state(mailer.CampaignPaused); !strings.Contains(i.Reason, "5.5 % of its mails of the last 7 days bounced (21 of 382; the limit is 5 %)") {
			t.Fatal(i.Reason)
		}
		if i := w.campaign("other"); i.State != mailer.CampaignArmed {
			t.Fatalf("a campaign with limits of its own is %s", i.State)
		}
		zoe := w.contact("zoe@example.com")
		w.enter(zoe, anybody, w.now)
		w.run()
		if n := w.count("SELECT COUNT(*) FROM sends WHERE campaign='plain' AND state='deferred' AND reason='campaign_paused'"); n != 1 {
			t.Fatal("a paused campaign's mail does not wait")
		}
		err := testutil.GatherAndCompare(r, strings.NewReader(`
# HELP relance_campaign_breaks_total Times that a campaign was paused because too many of its mails came back or were complained about.
# TYPE relance_campaign_breaks_total counter
relance_campaign_breaks_total{campaign="plain",cause="bounced"} 1
# HELP relance_campaign_paused 1 while a campaign is paused, by a person or by its breaker.
# TYPE relance_campaign_paused gauge
relance_campaign_paused{campaign="other"} 0
relance_campaign_paused{campaign="plain"} 1
`), "relance_campaign_breaks_total", "relance_campaign_paused")
		if err != nil {
			t.Fatal(err)
		}
		health := must(mailer.Healths(t.Context(), w.m, crm.At(w.now)))(t)["default"]
		if health.Bounced != 121 || health.Paused["plain"] == "" || len(health.Paused) != 1 {
			t.Fatalf("%+v", health)
		}
		if err := mailer.Resume(t.Context(), w.m, "plain", crm.At(w.now)); err != nil {
			t.Fatal(err)
		}
		state(mailer.CampaignArmed) // it counts anew
		w.came("plain", "delivered", 250, w.now)
		w.came("plain", "complained", 1, w.now.Add(24*time.Hour))
		state(mailer.CampaignPaused) // 0.4 % complained
		if i := w.campaign("plain"); !strings.Contains(i.Reason, "0.4 % of its mails of the last 7 days were complained about (1 of 250; the limit is 0.3 %)") {
			t.Fatal(i.Reason)
		}
	})
}
