package mailer_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/mailer"
)

func TestThePreferredHourIsAskedForElseLearned(t *testing.T) {
	t.Parallel()
	now := crm.At(time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC))
	paris := must(time.LoadLocation("Europe/Paris"))(t)
	at := func(day, hour int) crm.Instant { return crm.At(time.Date(2026, 10, day, hour, 30, 0, 0, paris)) }
	order := func(at crm.Instant) crm.ProfileOrder {
		return crm.ProfileOrder{State: crm.StateCompleted, PlacedAt: at}
	}
	click := func(at crm.Instant, machine string) crm.ProfileEvent {
		return crm.ProfileEvent{Name: "mail.clicked", At: at, Properties: map[string]string{"machine": machine}}
	}
	three := []crm.ProfileOrder{order(at(1, 18)), order(at(2, 18)), order(at(3, 9))}
	for name, c := range map[string]struct {
		p    crm.Profile
		hour int // -1: none
	}{
		"most frequent":       {crm.Profile{Orders: three}, 18},
		"two are no habit":    {crm.Profile{Orders: three[:2]}, -1},
		"clicks count":        {crm.Profile{Orders: three[:1], Events: []crm.ProfileEvent{click(at(4, 7), ""), click(at(5, 7), "")}}, 7},
		"machines do not":     {crm.Profile{Orders: three[:2], Events: []crm.ProfileEvent{click(at(4, 7), "1"), click(at(5, 7), "1")}}, -1},
		"ties: the later act": {crm.Profile{Orders: []crm.ProfileOrder{order(at(1, 18)), order(at(2, 9)), order(at(3, 20))}}, 20},
		"a year ago":          {crm.Profile{Orders: append(three[:2:2], order(crm.At(time.Date(2025, 11, 20, 12, 0, 0, 0, time.UTC))))}, -1},
		"to come":             {crm.Profile{Orders: append(three[:2:2], order(now+1))}, -1},
		"unpaid":              {crm.Profile{Orders: append(three[:2:2], crm.ProfileOrder{State: crm.StatePending, PlacedAt: at(9, 9)})}, -1},
		"clocks go back":      {crm.Profile{Orders: []crm.ProfileOrder{order(crm.At(time.Date(2026, 10, 25, 0, 30, 0, 0, time.UTC))), order(crm.At(time.Date(2026, 10, 25, 1, 30, 0, 0, time.UTC))), order(at(1, 9))}}, 2},
		"asked for":           {crm.Profile{Orders: three, Contact: crm.Contact{Attributes: map[string]string{"relance.preferred_hour": "6"}}}, 6},
		"nonsense":            {crm.Profile{Orders: three, Contact: crm.Contact{Attributes: map[string]string{"relance.preferred_hour": "25"}}}, 18},
	} {
		if got := mailer.HourOf(&c.p, now, paris); got != c.hour {
			t.Errorf("%s: %d, want %d", name, got, c.hour)
		}
	}
}

func TestThePreferredHourOnNightsWhenClocksChange(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		zone      string
		hour      int
		now, want string
	}{
		{"Europe/Paris", 2, "2026-03-28T22:00:00Z", "2026-03-29T01:00:00Z"}, // 02:00 does not come: 03:00 summer time
		{"Europe/Paris", 2, "2026-03-29T01:30:00Z", "2026-03-29T01:30:00Z"}, // within the hour after the gap
		{"Europe/Paris", 3, "2026-03-29T00:59:00Z", "2026-03-29T01:00:00Z"},
		{"Europe/Paris", 2, "2026-10-24T22:00:00Z", "2026-10-25T00:00:00Z"},        // comes twice: the first
		{"Europe/Paris", 2, "2026-10-25T01:00:00Z", "2026-10-26T01:00:00Z"},        // the second is none
		{"Europe/Paris", 23, "2026-11-20T22:59:59Z", "2026-11-20T22:59:59Z"},       // 23:59:59
		{"Europe/Paris", 23, "2026-11-20T23:00:00Z", "2026-11-21T22:00:00Z"},       // midnight
		{"Australia/Lord_Howe", 2, "2026-10-03T15:00:00Z", "2026-10-03T15:30:00Z"}, // 02:00 to 02:30 is left out
		{"Africa/Cairo", 0, "2026-04-23T12:00:00Z", "2026-04-23T22:00:00Z"},        // midnight does not come
	} {
		loc := must(time.LoadLocation(c.zone))(t)
		now, want := must(time.Parse(time.RFC3339, c.now))(t), must(time.Parse(time.RFC3339, c.want))(t)
		if got := mailer.NextHour(c.hour, now, loc); !got.Equal(want) {
			t.Errorf("%d at %s in %s: %s, want %s", c.hour, c.now, c.zone, got.Format(time.RFC3339), c.want)
		}
	}
}

// TestTheHourIsNeverLate: what is waited for comes within a day and the hour by which clocks may go back.
func TestTheHourIsNeverLate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		loc, err := time.LoadLocation(rapid.SampledFrom([]string{"UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca"}).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		now := time.UnixMilli(rapid.Int64Range(1_760_000_000_000, 1_800_000_000_000).Draw(t, "now")).UTC()
		hour := rapid.IntRange(0, 23).Draw(t, "hour")
		got := mailer.NextHour(hour, now, loc)
		if got.Before(now) || got.Sub(now) > 25*time.Hour {
			t.Fatalf("%d at %s is %s", hour, now, got)
		}
		if h := got.In(loc).Hour(); h != hour && h != (hour+1)%24 { // the hour after a gap
			t.Fatalf("%d at %s is %s", hour, now.In(loc), got.In(loc))
		}
	})
}

func TestAMailWaitsForThePreferredHourADayAtMost(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.armSince(mailer.CampaignFile{
			"plain": with(func(s *mailer.CampaignSpec) { s.PreferredHour, s.NotAfter = true, "3d" }),
			"brief": with(func(s *mailer.CampaignSpec) { s.PreferredHour, s.NotAfter = true, "2h" }),
			"night": with(func(s *mailer.CampaignSpec) {
				s.PreferredHour, s.QuietHours = true, &mailer.QuietHours{From: "17:00", To: "08:00"}
			}),
			"thanks": with(func(s *mailer.CampaignSpec) { s.Kind = mailer.KindTransactional }),
		}, w.now.Add(-time.Hour))
		zoe := w.contact("zoe@example.com") // 13:00 in Paris
		w.insert("contact_attributes", []string{"contact_id", "name", "value"}, []any{zoe, "preferred_hour", "18"})
		w.enter(zoe, anybody, w.now)
		w.run()
		w.expectMails(3) // one that would be too late at 18:00, one whose hour is quiet, one that somebody waits for
		if n := w.count("SELECT COUNT(*) FROM sends WHERE campaign='plain' AND reason='preferred_hour' AND until_at=?", crm.At(w.now.Add(5*time.Hour))); n != 1 {
			t.Fatal("the mail does not wait for 18:00 in Paris")
		}
		w.runAt(w.now.Add(5 * time.Hour))
		w.expectMails(4)
	})
}
