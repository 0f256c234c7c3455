package mailer_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/mailer"
)

func careful(start, factor, days int) mailer.CampaignSpec {
	return with(func(s *mailer.CampaignSpec) {
		s.Ramp, s.NotAfter = &mailer.RampSpec{Start: start, Factor: factor, Days: days}, "10d"
	})
}

func TestARampGrowsAtMidnightAndEnds(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.now = time.Date(2026, 11, 20, 22, 0, 0, 0, time.UTC)
		w.armSince(mailer.CampaignFile{"careful": careful(3, 2, 3)}, w.now.Add(-time.Hour))
		for i := range 40 {
			w.enter(w.contact(fmt.Sprintf("c%d@example.com", i)), anybody, w.now)
		}
		midnight := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
		for _, c := range []struct {
			at    time.Time
			mails int
		}{
			{w.now, 3},
			{midnight.Add(-time.Second), 3},
			{midnight, 9},
			{midnight.Add(23 * time.Hour), 9},
			{midnight.Add(24 * time.Hour), 21},
			{midnight.Add(48 * time.Hour), 40}, // the fourth day: no limit any more
		} {
			w.runAt(c.at)
			w.expectMails(c.mails)
		}
		if n := w.count("SELECT COUNT(*) FROM sends WHERE state<>'accepted'"); n != 0 {
			t.Fatalf("%d mails were lost on the way", n)
		}
	})
}

func TestAProviderThatIsNotThereDoesNotUseUpARamp(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.armSince(mailer.CampaignFile{"careful": careful(2, 1, 3)}, w.now.Add(-time.Hour))
		w.out.answer = func(mailer.Mail) error { return fault.New(fault.Retry, "posting", fmt.Errorf("no route")) }
		for i := range 5 {
			w.enter(w.contact(fmt.Sprintf("c%d@example.com", i)), anybody, w.now)
		}
		for range 3 {
			w.run()
			w.ahead += 10 * time.Minute
		}
		w.out.answer = nil
		w.run()
		if n := w.count("SELECT COUNT(*) FROM sends WHERE state='accepted'"); n != 2 {
			t.Fatalf("%d accepted, want the day's 2", n)
		}
		if n := w.count("SELECT COUNT(*) FROM sends WHERE state='deferred' AND reason='ramp'"); n != 3 {
			t.Fatalf("%d wait for tomorrow", n)
		}
	})
}

// TestProcessesShareARamp: however the lanes are divided, processes that decide at the same time send together no more than
// the day's limit, and when lanes change hands, no more than a batch on top of it. Here nothing is decided while they do, so
// the limit holds.
func TestProcessesShareARamp(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		const limit = 25
		other := openWorld(t, w.db, "second") // it takes no lane: the first has them all
		other.audience, other.shop, other.out = w.audience, w.shop, w.out
		other.rebuild()
		lanes := store.LaneLeases(crm.Lanes)
		divide := func(cut int) {
			for _, l := range []*store.Leases{w.leases, other.leases} {
				if err := l.Release(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			for l, names := range map[*store.Leases][]string{w.leases: lanes[:cut], other.leases: lanes[cut:]} {
				if _, err := l.Acquire(t.Context(), names...); err != nil {
					t.Fatal(err)
				}
			}
		}
		w.armSince(mailer.CampaignFile{"careful": careful(limit, 1, 30)}, w.now.Add(-time.Hour))
		for i := range 150 {
			w.enter(w.contact(fmt.Sprintf("c%d@example.com", i)), anybody, w.now)
		}
		for day := range 4 {
			for _, cut := range []int{20, 60, 40} {
				divide(cut)
				var wg sync.WaitGroup
				errs := make([]error, 2)
				for i, one := range []*world{w, other} {
					one.now = w.now
					wg.Go(func() { errs[i] = one.tryRun() })
				}
				wg.Wait()
				if errs[0] != nil || errs[1] != nil {
					t.Fatal(errs)
				}
			}
			sent := w.count("SELECT COUNT(*) FROM sends WHERE state='accepted'")
			if sent > limit*(day+1) || sent < limit*(day+1)*3/4 {
				t.Fatalf("%d mails by day %d, the limit is %d a day: %v", sent, day+1, limit, w.tallied("SELECT state, reason, COUNT(*) AS n FROM sends GROUP BY state, reason"))
			}
			w.now = w.now.Add(24 * time.Hour)
		}
	})
}
