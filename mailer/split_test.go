package mailer_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/mailer"
)

const splitSteps = `
steps:
  - id: try
    split:
      variants:
        - {id: a, steps: [{id: one, send: {template: win_back}}]}
        - {id: b, share: 3, steps: [{id: two, send: {template: welcome}}]}
      winner: {after: 20, goal: %s, decided: 10d}
  - {id: after, send: {template: win_back}}`

func TestASplitGivesEachContactAlwaysTheSameVariantByItsShare(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.ids = 5000 // the same variants in every run
		s := written(t, fmt.Sprintf(splitSteps, "click"))
		s.Occurrence = mailer.Occurrence{Mode: mailer.OccurrenceEach}
		w.arm("c", s)
		var ids []int64
		for i := range 80 {
			ids = append(ids, w.contact(fmt.Sprintf("c%d@example.com", i)))
		}
		for range 2 {
			for _, id := range ids {
				w.enter(id, anybody, w.now)
			}
			w.run()
			w.now = w.now.Add(time.Hour)
		}
		w.expectMails(80 * 2 * 2)
		if n := w.count("SELECT COUNT(*) FROM enrolments e JOIN enrolments f ON f.contact_id=e.contact_id AND f.variants<>e.variants"); n != 0 {
			t.Errorf("%d got another variant the second time", n)
		}
		if n := w.count("SELECT COUNT(*) FROM enrolments WHERE variants='try=b'"); n < 2*45 || n > 2*75 {
			t.Errorf("%d of 160 got the variant of three quarters", n)
		}
		if n := w.count("SELECT COUNT(*) FROM sends WHERE step IN ('one','two') AND variants='' OR step='one' AND variants<>'try=a'"); n != 0 {
			t.Errorf("%d mails do not say their variant", n)
		}
		i := w.info("c")
		if v := i.Splits[0].Variants; v[0].Entered+v[1].Entered != 160 {
			t.Errorf("%+v", v)
		}
		for name := range i.Entries {
			if name != mailer.Enrolled {
				t.Errorf("%s is shown as what became of entries", name)
			}
		}
	})
}

func TestAClearWinnerIsGivenToWhoeverComesLater(t *testing.T) {
	for _, measure := range []string{"click", "order"} {
		t.Run(measure, func(t *testing.T) {
			each(t, func(t *testing.T, w *world) {
				w.ids = 5000 // the same variants in every run
				w.arm("c", written(t, fmt.Sprintf(splitSteps, measure)))
				var ids []int64
				for i := range 100 {
					ids = append(ids, w.contact(fmt.Sprintf("c%d@example.com", i)))
					w.enter(ids[i], anybody, w.now)
				}
				w.run()
				w.now = w.now.Add(time.Hour)
				for _, id := range ids {
					if w.count("SELECT COUNT(*) FROM enrolments WHERE contact_id=? AND variants='try=a'", id) == 0 {
						continue
					}
					if measure == "order" {
						w.order(id, w.shop, mailer.SendID(id), crm.StateAccepted, w.now)
					} else {
						w.event(id, "mail.clicked", w.now, map[string]string{"campaign": "c"})
						w.event(id, "mail.clicked", w.now.Add(time.Second), map[string]string{"campaign": "c"}) // counts once
					}
				}
				w.now = w.now.Add(time.Minute)
				w.wake(ids...)
				w.wake(ids...)
				w.run()
				if i := w.info("c"); i.Splits[0].Winner != "a" || i.Splits[0].DecidedAt != crm.At(w.now) || i.Splits[0].Why == "" {
					t.Fatalf("%+v", i.Splits[0])
				}
				before := w.count("SELECT COUNT(*) FROM enrolments WHERE variants='try=a'")
				for i := range 20 {
					w.enter(w.contact(fmt.Sprintf("later%d@example.com", i)), anybody, w.now)
				}
				w.run()
				if n := w.count("SELECT COUNT(*) FROM enrolments WHERE variants='try=a'"); n != before+20 {
					t.Errorf("%d of 20 got the winner", n-before)
				}
			})
		})
	}
}

func TestTheBetterVariantIsTakenInTheEnd(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.ids = 5000
		w.arm("c", written(t, fmt.Sprintf(splitSteps, "click")))
		for i := range 12 {
			w.enter(w.contact(fmt.Sprintf("c%d@example.com", i)), anybody, w.now)
		}
		w.run()
		var b int64
		if err := w.db.Read().GetContext(t.Context(), &b, "SELECT contact_id FROM enrolments WHERE variants='try=b' LIMIT 1"); err != nil {
			t.Fatal(err)
		}
		w.now = w.now.Add(time.Hour)
		w.event(b, "mail.clicked", w.now, map[string]string{"campaign": "c"})
		w.wake(b)
		w.run()
		w.runAt(w.now.Add(9 * 24 * time.Hour))
		if i := w.info("c"); i.Splits[0].Winner != "" {
			t.Fatalf("%+v", i.Splits[0])
		}
		w.runAt(w.now.Add(24 * time.Hour))
		if i := w.info("c"); i.Splits[0].Winner != "b" {
			t.Fatalf("%+v", i.Splits[0])
		}
	})
}

func TestVariantsThatAreTheSameSeldomWin(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	const seeds = 400
	won := func(rates ...float64) (n int) {
		for range seeds {
			looks := 0
			entered, hits := make([]int64, len(rates)), make([]int64, len(rates))
			for winner := ""; winner == "" && entered[0] < 6400; {
				var scores []mailer.Score
				for i, rate := range rates {
					for range 100 {
						entered[i]++
						if rng.Float64() < rate {
							hits[i]++
						}
					}
					scores = append(scores, mailer.NewScore(fmt.Sprint(i), entered[i], hits[i]))
				}
				if winner, looks = mailer.Judge(200, looks, scores...); winner == "0" || winner != "" && rates[0] == rates[1] {
					n++
				}
			}
		}
		return n
	}
	for _, rates := range [][]float64{{.05, .05}, {.3, .3}, {.1, .1, .1, .1}} {
		if n := won(rates...); n > seeds*7/100 {
			t.Errorf("of %d splits without a difference (%v) %d have a winner", seeds, rates, n)
		}
	}
	if n := won(.10, .07); n < seeds*95/100 {
		t.Errorf("10 %% against 7 %% is found %d times of %d", n, seeds)
	}
}
