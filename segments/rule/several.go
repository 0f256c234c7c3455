package rule

import (
	"fmt"

	"github.com/relance/relance/internal/crm"
)

// Several holds while at least N conditions of the list hold.
type Several struct {
	N  int         `yaml:"n"`
	Of []Condition `yaml:"of"`
}

type several struct {
	n  int
	of []condition
}

func (c *compiler) several(path string, w Several) condition {
	if w.N < 1 || w.N > len(w.Of) && len(w.Of) > 0 {
		c.fail(path+".n", fmt.Sprintf("at least %d of %d conditions: that holds for everybody or for nobody", w.N, len(w.Of)), "a number from 1 to that of the conditions")
	}
	return several{w.N, c.list(path+".of", w.Of)}
}

func (s several) match(p *crm.Profile, t crm.Instant) bool {
	missing := s.n
	for i, c := range s.of {
		if c.match(p, t) {
			missing--
		}
		if missing <= 0 || missing > len(s.of)-i-1 {
			break
		}
	}
	return missing <= 0
}

func (s several) next(p *crm.Profile, t crm.Instant) crm.Instant { return earliest(s.of, p, t) }
func (s several) needs() crm.Needs                               { return union(s.of) }
func (s several) explain(p *crm.Profile, t crm.Instant) Explanation {
	return explainAll(fmt.Sprintf("at least %d of", s.n), s.of, s.match(p, t), p, t)
}
