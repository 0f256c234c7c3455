package rule

import "github.com/relance/relance/internal/crm"

// mutant is a condition that announces its changes wrongly.
type mutant struct {
	condition
	wrong func(next func(crm.Instant) crm.Instant, t crm.Instant) crm.Instant
}

func (m mutant) next(p *crm.Profile, t crm.Instant) crm.Instant {
	return m.wrong(func(t crm.Instant) crm.Instant { return m.condition.next(p, t) }, t)
}

// Mutate gives a copy of the segment that announces its changes wrongly, as its outermost condition does.
func (s *Segment) Mutate(wrong func(next func(crm.Instant) crm.Instant, t crm.Instant) crm.Instant) *Segment {
	cp := *s
	cp.root = mutant{s.root, wrong}
	return &cp
}
