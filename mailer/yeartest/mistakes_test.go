package yeartest

import (
	"strings"
	"testing"
)

// Each mistake is one that the product could make; the judge is to notice it within a few years, and to say what it is.
func TestTheJudgeNoticesMistakes(t *testing.T) {
	t.Parallel()
	years, err := New()
	if err != nil {
		t.Fatal(err)
	}
	empty := blank(t)
	for name, c := range map[string]struct {
		mistake Mistake
		says    string
		first   uint64 // the year to begin with, where such a thing happens soon; 0 = 1
	}{
		"mails are handed over twice": {Mistake{HandsTwice: true}, "is sent twice", 0},
		"withdrawals are forgotten":   {Mistake{Does: []string{"UPDATE consent_state SET state='granted'", "DELETE FROM suppressions"}}, "against the will", 0},
		"nobody is asked": {Mistake{Does: []string{
			"INSERT OR REPLACE INTO consent_state (contact_id, topic, channel, lane, state) SELECT id, 'marketing', 'email', lane, 'granted' FROM contacts",
		}}, "without consent", 0},
		"night is taken for day":        {Mistake{Does: []string{"UPDATE shops SET zone='Pacific/Honolulu'"}}, "in quiet hours", 0},
		"caps are forgotten":            {Mistake{NoCap: true}, "marketing mail no.", 0},
		"ramps are forgotten":           {Mistake{Does: []string{"DELETE FROM campaign_days"}}, "the ramp allows", 0},
		"a copy sends":                  {Mistake{CopySends: true}, "a copy of the database sent", 0},
		"orders are overlooked":         {Mistake{HidesOrders: true}, "has ordered", 0},
		"a refusal is taken back":       {Mistake{Does: []string{"UPDATE sends SET state='accepted' WHERE state='refused'"}}, "the provider never took it", 0},
		"runs are lost":                 {Mistake{Does: []string{"DELETE FROM enrolments WHERE campaign='order_confirmation'"}}, "has 0 confirmations", 0},
		"days are rounded":              {Mistake{Does: []string{"UPDATE segment_due SET due_at=due_at+(86400000-due_at%86400000) WHERE due_at%86400000<>0"}}, "exactly", 30},
		"counts are lost":               {Mistake{Does: []string{"DELETE FROM campaign_counts WHERE name='accepted'"}}, "counted", 0},
		"memberships are lost":          {Mistake{Does: []string{"DELETE FROM memberships WHERE contact_id%2=0"}}, "from scratch", 0},
		"events are answered, not kept": {Mistake{LosesEvents: true}, "against the will", 0},
		"history triggers": {Mistake{Does: []string{
			"UPDATE campaign_shops SET armed_at=1", "UPDATE enrolments SET triggered_at=triggered_at-864000000 WHERE state='active' AND campaign='birthday'",
		}}, "before arming", 0},
	} {
		t.Run(name, func(t *testing.T) {
			const within = 60 // a handful as a rule
			first := max(c.first, 1)
			for seed := first; seed < first+within; seed++ {
				r := years.Run(t, Year{Seed: seed, Open: onSQLite(t, empty), Mistake: c.mistake})
				for _, w := range r.Wrong {
					if strings.Contains(w, c.says) {
						t.Logf("noticed in year %d: %s", seed, w)
						return
					}
				}
			}
			t.Errorf("not noticed within %d years", within)
		})
	}
}
