package mailer_test

import (
	"testing"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/mailer"
)

func customer(id, email, birthday string, registered time.Time) crm.Fact {
	return crm.Fact{Ref: crm.Ref{Kind: crm.KindCustomer, ID: id}, Body: &crm.Customer{Email: email, Birthday: birthday, RegisteredAt: crm.At(registered), ModifiedAt: crm.At(registered)}}
}

func on(of, before, after string) mailer.TriggerSpec {
	return mailer.TriggerSpec{Date: &mailer.DateSpec{Of: of, Before: before, After: after}}
}

func TestACampaignStartsOnADateOfTheContactAtTheExactInstant(t *testing.T) {
	eachChain(t, func(t *testing.T, c *chain) {
		c.begin(mailer.CampaignFile{"day": tells(on("birthday", "", "")), "week": tells(on("birthday", "7d", "")), "month": tells(on("registered", "", "1mo")), "hello": tells(on("registered", "", ""))})
		registered := c.now.Add(time.Minute)
		c.now = registered
		c.read(customer("1", zoeMail, "1990-12-06", registered))
		c.live()
		c.expectRuns(map[string]int{"hello": 1, "day": 0, "week": 0, "month": 0})
		midnight := time.Date(2026, 12, 6, 0, 0, 0, 0, time.UTC).Add(-time.Hour) // in Paris
		for _, step := range []struct {
			at   time.Time
			want map[string]int
		}{
			{midnight.Add(-7*24*time.Hour - time.Millisecond), map[string]int{"week": 0}},
			{midnight.Add(-7 * 24 * time.Hour), map[string]int{"week": 1, "day": 0}},
			{midnight.Add(-time.Millisecond), map[string]int{"week": 1, "day": 0}},
			{midnight, map[string]int{"week": 1, "day": 1}},
			{registered.AddDate(0, 1, 0).Add(-time.Millisecond), map[string]int{"month": 0}},
			{registered.AddDate(0, 1, 0), map[string]int{"month": 1, "hello": 1}},
			{midnight.AddDate(1, 0, 0).Add(20 * time.Hour), map[string]int{"day": 2, "week": 1}}, // off over the next year's: the week before is too long ago
		} {
			c.liveAt(step.at)
			c.expectRuns(step.want)
		}
		if n := c.count("SELECT COUNT(*) FROM enrolments WHERE campaign='day' AND occurrence IN ('year:2026','year:2027')"); n != 2 {
			t.Error("not once a year")
		}
		if i := c.info("week"); i.Starts != "7d before somebody's birthday" || i.Segment != "campaign:week" {
			t.Errorf("%+v", i)
		}
	})
}

// Who is past the date when the campaign comes, or is read as history, is not mailed; and the segment goes with its campaign.
func TestB14_DatesOfHistoryStartNothing(t *testing.T) {
	eachChain(t, func(t *testing.T, c *chain) {
		f := mailer.CampaignFile{"later": tells(on("last_order", "", "30d"))}
		old := c.now.Add(-40 * 24 * time.Hour)
		c.readAs(crm.CauseBackfill, shopOrder("1", "old@example.com", crm.StateAccepted, old, nil))
		c.begin(f)
		c.readAs(crm.CauseBackfill, shopOrder("2", "older@example.com", crm.StateAccepted, old, nil))
		c.live()
		if n := c.count("SELECT COUNT(*) FROM memberships WHERE segment='campaign:later'"); n != 2 {
			t.Fatalf("%d members", n)
		}
		c.expectRuns(map[string]int{"later": 0})
		c.read(shopOrder("3", "old@example.com", crm.StateAccepted, c.now, nil))
		c.live()
		c.liveAt(c.now.Add(30 * 24 * time.Hour))
		c.expectRuns(map[string]int{"later": 1})
		c.deploy(nil)
		c.keep(nil)
		if n := c.count("SELECT COUNT(*) FROM memberships WHERE segment='campaign:later'"); n != 0 {
			t.Errorf("%d members of a campaign that is gone", n)
		}
	})
}
