package mailer

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"pgregory.net/rapid"
)

// bounded is a provider that takes few at once.
type bounded struct {
	Provider

	n int
}

func (b bounded) AtOnce() int { return b.n }

func pacesOf(parallel int, providers ...Provider) *paces {
	senders := map[int64]Sender{}
	for i, p := range providers {
		senders[int64(i+1)] = Sender{Provider: p, Audience: fmt.Sprintf("a%d", i+1)}
	}
	return newPaces(senders, parallel)
}

// flightOf is n mails of an audience that were all answered alike.
func flightOf(n int, audience int64, a answer, took time.Duration) []handed {
	hands := make([]handed, n)
	for i := range hands {
		hands[i] = handed{row: sendRow{ID: int64(i), AudienceID: audience}, answer: a, took: took}
	}
	return hands
}

func (ps *paces) fly(n int, audience int64, a answer, took time.Duration) {
	hands := flightOf(n, audience, a, took)
	ps.learn(hands, ps.begin(hands))
}

func well() answer { return answer{to: Accepted} }
func busy() answer { return answer{to: Deferred, reason: ProviderBusy} }
func mute() answer { return answer{to: Unknown, reason: NoAnswer} }

func TestThePaceGrowsWhileAnswersComeWell(t *testing.T) {
	ps := pacesOf(256, nil)
	for i := 0; ps.room(1) < 128; i++ {
		ps.fly(ps.room(1), 1, well(), time.Millisecond)
		if i > 20 {
			t.Fatalf("it is still at %v", ps.by[1].limit)
		}
	}
	if ps.room(1) != 256 {
		t.Error("a wide road is not divided", ps.room(1))
	}
}

func TestThePaceIsHalvedAndRecovers(t *testing.T) {
	for name, bad := range map[string]func(ps *paces){
		"asked to wait": func(ps *paces) { ps.fly(4, 1, busy(), time.Millisecond) },
		"no answer":     func(ps *paces) { ps.fly(4, 1, mute(), time.Millisecond) },
		"slow":          func(ps *paces) { ps.fly(4, 1, well(), lateAnswer) },
	} {
		ps := pacesOf(64, nil)
		ps.by[1].limit = 64
		bad(ps)
		if ps.by[1].limit != 32 || ps.room(1) != 16 || !ps.tight {
			t.Errorf("%s: limit %v, room %d", name, ps.by[1].limit, ps.room(1))
		}
		ps.fly(16, 1, well(), time.Millisecond)
		if ps.by[1].limit != 33 { // beyond where it was too much, carefully
			t.Errorf("%s: %v", name, ps.by[1].limit)
		}
		for range 40 {
			ps.fly(ps.room(1), 1, well(), time.Millisecond)
		}
		if ps.by[1].limit != 64 {
			t.Errorf("%s: it does not recover: %v", name, ps.by[1].limit)
		}
		for range 20 {
			bad(ps)
		}
		if ps.by[1].limit != 1 || ps.room(1) != 1 { // one finds out
			t.Errorf("%s: %v", name, ps.by[1].limit)
		}
	}
}

func TestWhatSaysNothingChangesNothing(t *testing.T) {
	ps := pacesOf(256, nil)
	ps.fly(2, 1, well(), time.Millisecond) // a limit that was not used
	ps.fly(16, 1, well(), slowAnswer)      // slow, and not late
	ps.fly(16, 1, notSent(Late, time.Time{}), 0)
	ps.fly(16, 1, answer{to: Deferred, reason: ProviderRefusing}, 0)
	if ps.by[1].limit != firstPace {
		t.Error(ps.by[1].limit)
	}
	// Two flights that began before the cut are one piece of news.
	first, second := flightOf(16, 1, busy(), 0), flightOf(16, 1, busy(), 0)
	a, b := ps.begin(first), ps.begin(second)
	if ps.room(1) != 0 || ps.full()[0] != 1 {
		t.Error("there is room beside two flights", ps.room(1))
	}
	ps.learn(first, a)
	ps.learn(second, b)
	if ps.by[1].limit != firstPace/2 {
		t.Error(ps.by[1].limit)
	}
}

func TestNoMoreAtOnceThanAProviderTakes(t *testing.T) {
	ps := pacesOf(256, bounded{nil, 8}, nil)
	for range 50 {
		ps.fly(ps.room(1), 1, well(), time.Millisecond)
	}
	if ps.room(1) != 4 || ps.by[1].limit != 8 {
		t.Error(ps.room(1), ps.by[1].limit)
	}
	rows := []sendRow{{AudienceID: 1}, {AudienceID: 1}, {AudienceID: 1}, {AudienceID: 2}, {AudienceID: 1}, {AudienceID: 1}, {AudienceID: 1}, {AudienceID: 2}}
	kept, full := ps.fit(rows)
	if len(kept) != 6 || len(full) != 1 || full[0] != 1 {
		t.Error(kept, full)
	}
}

// However answers come: what is under way never exceeds the limit that was in force when it left, and comes back to 0.
func TestThePaceKeepsItsLimits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 64).Draw(t, "most")
		ps := pacesOf(64, bounded{nil, most})
		type flying struct {
			hands []handed
			cuts  map[int64]int
		}
		var air []flying
		for range rapid.IntRange(1, 60).Draw(t, "rounds") {
			if n := ps.room(1); n > 0 && len(air) < 2 {
				hands := flightOf(rapid.IntRange(0, n).Draw(t, "n"), 1, rapid.SampledFrom([]answer{well(), busy(), mute()}).Draw(t, "answer"), rapid.SampledFrom([]time.Duration{0, slowAnswer, lateAnswer}).Draw(t, "took"))
				air = append(air, flying{hands, ps.begin(hands)})
				if p := ps.by[1]; p.under > max(int(p.limit), 1) && most < 64 {
					t.Fatalf("%d under way of %v", p.under, p.limit)
				}
			} else if len(air) > 0 {
				ps.learn(air[0].hands, air[0].cuts)
				air = air[1:]
			}
			if p := ps.by[1]; p.limit < 1 || p.limit > float64(most) {
				t.Fatalf("limit %v of %d", p.limit, most)
			}
		}
		for _, f := range air {
			ps.learn(f.hands, f.cuts)
		}
		if ps.by[1].under != 0 {
			t.Fatalf("%d are still under way", ps.by[1].under)
		}
	})
}

func TestThePaceShows(t *testing.T) {
	m := NewMetrics(prometheus.NewPedanticRegistry())
	ps := pacesOf(256, nil)
	ps.begin(flightOf(5, 1, well(), 0))
	ps.show(m)
	if got := testutil.ToFloat64(m.inFlight.WithLabelValues("a1")); got != 5 {
		t.Error(got)
	}
	if got := testutil.ToFloat64(m.limit.WithLabelValues("a1")); got != firstPace {
		t.Error(got)
	}
}
