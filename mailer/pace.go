package mailer

import (
	"slices"
	"strconv"
	"time"
)

// pace is how many mails of one audience may be under way at once. Nobody knows what a provider takes, so it is found out,
// as TCP finds the width of a road: it grows while answers come well, and is halved when the provider asks to wait, gives no
// clear answer, or answers so slowly that the hand-over window comes into sight. It lives in memory, as breakers do.
type pace struct {
	limit float64
	brisk float64 // below it the limit grows by what was answered well, above it by one for each flight
	most  float64 // what the engine, or the provider, takes at most
	under int     // under way now
	cuts  int     // times it was halved
	name  string  // of the audience
}

const (
	firstPace  = 32              // at a start
	slowAnswer = handWindow / 10 // grows no further
	lateAnswer = handWindow / 4  // halves
)

// paces are by audience id.
type paces struct {
	by       map[int64]*pace
	parallel int
	tight    bool // the last look for due mails left some out, or a limit was cut since: look again for every batch
}

func newPaces(senders map[int64]Sender, parallel int) *paces {
	ps := &paces{by: map[int64]*pace{}, parallel: parallel}
	for id, s := range senders {
		most := parallel
		if b, ok := s.Provider.(Bounded); ok {
			most = max(1, min(most, b.AtOnce()))
		}
		ps.by[id] = &pace{limit: float64(min(most, firstPace)), brisk: float64(most), most: float64(most), name: orElse(s.Audience, strconv.FormatInt(id, 10))}
	}
	return ps
}

// room is how many more may leave now. Flights take turns in twos: none takes more than half of a limit.
func (ps *paces) room(audience int64) int {
	p := ps.by[audience]
	if p == nil || int(p.limit) >= ps.parallel { // as wide as the batches themselves
		return ps.parallel
	}
	limit := int(p.limit)
	return max(0, min(limit-p.under, (limit+1)/2))
}

// full lists the audiences that have no room now.
func (ps *paces) full() []int64 {
	var ids []int64
	for id := range ps.by {
		if ps.room(id) == 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

// fit keeps what there is room for, in order, and names the audiences of which it left something out.
func (ps *paces) fit(rows []sendRow) (kept []sendRow, full []int64) {
	taken := map[int64]int{}
	for _, r := range rows {
		if p := ps.by[r.AudienceID]; p == nil || int(p.limit) >= ps.parallel || taken[r.AudienceID] < ps.room(r.AudienceID) {
			taken[r.AudienceID]++
			kept = append(kept, r)
		} else if !slices.Contains(full, r.AudienceID) {
			full = append(full, r.AudienceID)
		}
	}
	return kept, full
}

// begin counts mails as under way and gives the cuts so far: what began before a cut says nothing about the new limit.
func (ps *paces) begin(hands []handed) (cuts map[int64]int) {
	cuts = map[int64]int{}
	for i := range hands {
		if p := ps.by[hands[i].row.AudienceID]; p != nil {
			p.under++
			cuts[hands[i].row.AudienceID] = p.cuts
		}
	}
	return cuts
}

// learn draws the conclusions of one flight that has landed.
func (ps *paces) learn(hands []handed, cuts map[int64]int) {
	type seen struct {
		n, well    int
		late, slow bool
	}
	all := map[int64]*seen{}
	for i := range hands {
		h := &hands[i]
		s := all[h.row.AudienceID]
		if s == nil {
			s = &seen{}
			all[h.row.AudienceID] = s
		}
		s.n++
		s.late = s.late || h.answer.reason == ProviderBusy || h.answer.reason == NoAnswer || h.took >= lateAnswer
		s.slow = s.slow || h.took >= slowAnswer
		if h.answer.to == Accepted || h.answer.reason == Rejected {
			s.well++
		}
	}
	for id, s := range all {
		p := ps.by[id]
		if p == nil {
			continue
		}
		p.under -= s.n
		switch {
		case s.late && p.cuts == cuts[id]:
			p.limit = max(1, float64(int(p.limit/2)))
			p.brisk = p.limit
			p.cuts++
			ps.tight = true
		case s.late, s.slow, 2*s.n < int(p.limit): // a limit that was not used was not tried
		case p.limit < p.brisk:
			p.limit = min(p.limit+float64(s.well), p.most)
		case s.well > 0:
			p.limit = min(p.limit+1, p.most)
		}
	}
}

// show sets the gauges.
func (ps *paces) show(m *Metrics) {
	for _, p := range ps.by {
		m.inFlight.WithLabelValues(p.name).Set(float64(p.under))
		m.limit.WithLabelValues(p.name).Set(float64(int(p.limit)))
	}
}

// since is how long ago a real instant was.
func (e *Engine) since(wall time.Time) time.Duration { return e.o.Wall().Sub(wall) }
