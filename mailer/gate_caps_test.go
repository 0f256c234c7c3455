package mailer_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/mailer"
)

func TestTheCapOfACampaignCountsItsOwnMailsOnly(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		again := func(s *mailer.CampaignSpec) { s.Occurrence.Mode = mailer.OccurrenceEach }
		w.armSince(mailer.CampaignFile{
			"capped": with(func(s *mailer.CampaignSpec) { again(s); s.Cap = "1 per 2h" }),
			"free":   with(again),
		}, w.now.Add(-time.Hour))
		zoe := w.contact("zoe@example.com")
		for range 2 {
			w.enter(zoe, anybody, w.now)
			w.run()
			w.now = w.now.Add(time.Minute)
		}
		w.expectMails(3)
		until := crm.At(w.now.Add(2*time.Hour - 2*time.Minute))
		if n := w.count("SELECT COUNT(*) FROM sends WHERE campaign='capped' AND state='deferred' AND reason='capped_campaign' AND until_at=?", until); n != 1 {
			t.Fatal("the second mail does not wait for the campaign's cap")
		}
		w.runAt(until.Time())
		w.expectMails(4)
	})
}

// TestCapsNeverDropAndTheHigherGoesFirst drives random mails of random campaigns through two caps, in batches of one, and
// looks at what left: never more than a cap allows, never a mail before another that outranked it, and nothing lost.
func TestCapsNeverDropAndTheHigherGoesFirst(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for seed := range uint64(3) {
			t.Run(fmt.Sprint(seed), func(t *testing.T) { capsNeverDrop(t, w, rand.New(rand.NewPCG(seed, 42))) })
		}
	})
}

func capsNeverDrop(t *testing.T, w *world, r *rand.Rand) {
	t.Helper()
	w.exec("DELETE FROM sends")
	limit := mailer.Cap{Count: 1 + r.IntN(2), Per: time.Duration(2+r.IntN(5)) * time.Hour}
	own := mailer.Cap{Count: 1, Per: 12 * time.Hour}
	w.options.Parallel = 2 + 6*r.IntN(2) // batches of one, or of four
	w.sender(func(s *mailer.Sender) { s.Cap = limit })
	f := mailer.CampaignFile{}
	for i := range 5 {
		f[fmt.Sprintf("c%d", i)] = with(func(s *mailer.CampaignSpec) {
			s.Occurrence.Mode = mailer.OccurrenceEach
			if i == 0 {
				s.Cap = "1 per 12h"
			}
		})
	}
	w.armSince(f, w.now.Add(-time.Hour))
	begin := w.now
	var ids []int64
	for c := range 4 {
		contact := w.contact(fmt.Sprintf("c%d-%d@example.com", c, r.Int64()))
		w.member(contact, anybody)
		for i := range 5 {
			notAfter := 70 * time.Hour
			if r.IntN(4) == 0 {
				notAfter = time.Duration(1+r.IntN(12)) * time.Hour
			}
			ids = append(ids, w.queue(contact, fmt.Sprintf("c%d", i), 1+r.IntN(3), begin.Add(time.Duration(r.IntN(6))*time.Hour), notAfter))
		}
	}
	for h := range 75 {
		w.runAt(begin.Add(time.Duration(h) * time.Hour))
	}
	byContact := map[int64][]capped{}
	for _, id := range ids {
		var row capped
		if err := w.db.Read().GetContext(t.Context(), &row, "SELECT id, campaign, contact_id, priority, due_at, not_after, handed_at, state, reason FROM sends WHERE id=?", id); err != nil {
			t.Fatal(err)
		}
		if row.State != mailer.Accepted && (row.State != mailer.Refused || row.Reason != mailer.Stale) {
			t.Fatalf("a mail ended %s %s: caps defer, they never drop", row.State, row.Reason)
		}
		if row.State == mailer.Refused && row.NotAfter >= crm.At(begin.Add(70*time.Hour)) {
			t.Fatal("a mail was refused though seventy hours are enough for all")
		}
		byContact[row.ContactID] = append(byContact[row.ContactID], row)
	}
	for _, rows := range byContact {
		kept(t, rows, limit, "")
		kept(t, rows, own, "c0")
		inOrder(t, rows)
	}
	w.now = w.now.Add(48 * time.Hour)
}

type capped struct {
	ID        int64
	Campaign  string
	ContactID int64 `db:"contact_id"`
	Priority  int
	DueAt     crm.Instant `db:"due_at"`
	NotAfter  crm.Instant `db:"not_after"`
	HandedAt  crm.Instant `db:"handed_at"`
	State     mailer.State
	Reason    mailer.Reason
}

// kept: at most Count mails within any Per.
func kept(t *testing.T, rows []capped, limit mailer.Cap, campaign string) {
	t.Helper()
	for _, a := range rows {
		n := 0
		for _, b := range rows {
			if b.HandedAt > 0 && b.HandedAt >= a.HandedAt && b.HandedAt < a.HandedAt.Add(limit.Per) && (campaign == "" || b.Campaign == campaign) {
				n++
			}
		}
		if a.HandedAt > 0 && n > limit.Count {
			t.Fatalf("%d mails within %s, the cap is %d", n, limit.Per, limit.Count)
		}
	}
}

// inOrder: when a mail left, no other that could have left then outranked it. c0 has a cap of its own.
func inOrder(t *testing.T, rows []capped) {
	t.Helper()
	for _, a := range rows {
		for _, b := range rows {
			waited := b.DueAt <= a.HandedAt && (b.HandedAt > a.HandedAt || b.HandedAt == 0) && b.NotAfter > a.HandedAt && b.Campaign != "c0"
			if a.HandedAt > 0 && waited && cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.DueAt, b.DueAt), cmp.Compare(a.ID, b.ID)) > 0 {
				t.Fatalf("%s (%d, due %d) left at %d before %s (%d, due %d)", a.Campaign, a.Priority, a.DueAt, a.HandedAt, b.Campaign, b.Priority, b.DueAt)
			}
		}
	}
}

func TestAMailWaitsBehindAHigherOneThatWaitsForTheMorning(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.options.Parallel = 2 // batches of one: the lower mail is decided without the other beside it
		w.sender(func(s *mailer.Sender) { s.Cap = mailer.Cap{Count: 1, Per: 48 * time.Hour} })
		w.now = time.Date(2026, 11, 20, 21, 0, 0, 0, time.UTC) // 22:00 in Paris
		w.armSince(mailer.CampaignFile{"lower": plainCampaign(), "higher": with(func(s *mailer.CampaignSpec) {
			s.Topic, s.QuietHours = "news", &mailer.QuietHours{From: "21:00", To: "08:00"}
		})}, w.now.Add(-time.Hour))
		type pair struct{ higher, lower int64 }
		prepare := func(email string) (int64, pair) {
			c := w.contact(email)
			w.consentTo(c, "news", crm.ConsentGranted)
			w.member(c, anybody)
			return c, pair{w.queue(c, "higher", 80, w.now, 100*time.Hour), w.queue(c, "lower", 20, w.now.Add(-time.Minute), 100*time.Hour)}
		}
		_, of := prepare("zoe@example.com")
		max, ofMax := prepare("max@example.com")
		w.run()
		w.runAt(w.now.Add(time.Hour))
		w.expectMails(0)
		morning := time.Date(2026, 11, 21, 7, 0, 0, 0, time.UTC)
		if s := w.byID(of.lower); s.Reason != mailer.Outranked || s.UntilAt != crm.At(morning) {
			t.Fatalf("%s until %s", s.Reason, s.UntilAt.Time())
		}
		w.consentTo(max, "news", crm.ConsentWithdrawn) // what outranks and is not sent in the end gives way
		for i := range 3 {
			w.runAt(morning.Add(time.Duration(i) * time.Minute))
		}
		if a, b := w.byID(ofMax.higher), w.byID(ofMax.lower); a.Reason != mailer.ConsentWithdrawn || b.State != mailer.Accepted {
			t.Fatalf("the higher is %s %s, the lower %s %s", a.State, a.Reason, b.State, b.Reason)
		}
		if a, b := w.byID(of.higher), w.byID(of.lower); a.State != mailer.Accepted || b.Reason != mailer.Capped {
			t.Fatalf("the higher is %s %s, the lower %s %s", a.State, a.Reason, b.State, b.Reason)
		}
		w.runAt(morning.Add(48 * time.Hour))
		if b := w.byID(of.lower); b.State != mailer.Accepted {
			t.Fatalf("the lower is %s %s", b.State, b.Reason)
		}
	})
}

func TestACampaignThatIsPausedKeepsNobodyElseBack(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.options.Parallel = 2
		w.sender(func(s *mailer.Sender) { s.Cap = mailer.Cap{Count: 1, Per: 48 * time.Hour} })
		w.armSince(mailer.CampaignFile{"lower": plainCampaign(), "higher": plainCampaign()}, w.now.Add(-time.Hour))
		if err := mailer.Pause(t.Context(), w.m, "higher", "test", crm.At(w.now)); err != nil {
			t.Fatal(err)
		}
		zoe := w.contact("zoe@example.com")
		w.member(zoe, anybody)
		lower := w.queue(zoe, "lower", 20, w.now.Add(-time.Minute), 100*time.Hour) // it is looked at first
		higher := w.queue(zoe, "higher", 80, w.now, 100*time.Hour)
		w.run()
		if a, b := w.byID(higher), w.byID(lower); a.Reason != mailer.Paused || b.State != mailer.Accepted {
			t.Fatalf("the higher is %s %s, the lower %s %s", a.State, a.Reason, b.State, b.Reason)
		}
	})
}
