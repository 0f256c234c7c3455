package recommend

import (
	"cmp"
	"slices"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
)

// bought is one product of one buyer, by its number in the catalogue, and when it was bought, ascending.
type bought struct {
	product int32
	at      []crm.Instant
}

// last is when it was bought last.
func (b bought) last() crm.Instant { return b.at[len(b.at)-1] }

// fold makes what one buyer bought of the lines: families, at the instants of their purchases (orders of one purchase
// have one instant, the earliest), at most the PerBuyer bought last.
func fold(lines []mirror.Basket, c *catalogue) []bought {
	begun := map[string]crm.Instant{}
	for _, l := range lines {
		if at, ok := begun[l.Purchase]; !ok || l.At < at {
			begun[l.Purchase] = l.At
		}
	}
	at := map[int32][]crm.Instant{}
	for _, l := range lines {
		n := c.family(l.ProductID)
		at[n] = append(at[n], begun[l.Purchase])
	}
	out := make([]bought, 0, len(at))
	for n, instants := range at {
		slices.Sort(instants)
		out = append(out, bought{n, slices.Compact(instants)})
	}
	slices.SortFunc(out, func(a, b bought) int {
		return cmp.Or(cmp.Compare(b.last(), a.last()), cmp.Compare(c.products[a.product].id, c.products[b.product].id))
	})
	return out[:min(len(out), PerBuyer)]
}

// together tells whether two products were bought within the window of each other at least once.
func together(a, b bought) bool {
	window := crm.Instant(Window.Milliseconds())
	for i, j := 0, 0; i < len(a.at) && j < len(b.at); {
		gap := a.at[i] - b.at[j]
		if max(gap, -gap) <= window {
			return true
		}
		if gap < 0 {
			i++
		} else {
			j++
		}
	}
	return false
}

// pair is a product and another that its buyers bought.
type pair struct{ of, with int32 }

// pairs counts the contacts of each pair in memory that is bounded: when there are too many, only the products of one part
// of the catalogue are counted on, and the others in further passes.
type pairs struct {
	counts      map[pair]int64
	part, parts int32
	most        int
}

func (p *pairs) take(c *catalogue, all []bought) {
	for _, a := range all {
		if a.product%p.parts != p.part || c.products[a.product].buyers < MinTogether {
			continue
		}
		for _, b := range all {
			if with := &c.products[b.product]; a.product != b.product && with.sold && with.buyers >= MinTogether && together(a, b) {
				p.counts[pair{a.product, b.product}]++
			}
		}
	}
	for len(p.counts) > p.most && int(p.parts) < len(c.products) {
		p.parts *= 2
		for k := range p.counts {
			if k.of%p.parts != p.part {
				delete(p.counts, k)
			}
		}
	}
}

// strong gives what goes with each product of the part.
func (p *pairs) strong(c *catalogue) map[int32][]Pick {
	out := map[int32][]Pick{}
	for k, n := range p.counts {
		of, with := c.products[k.of].buyers, c.products[k.with].buyers
		lift := Lift(n, of, with, c.buyers)
		if n < MinTogether || lift < MinLift {
			continue
		}
		out[k.of] = append(out[k.of], Pick{ID: c.products[k.with].id, Lift: lift, Together: n})
	}
	for of, picks := range out {
		slices.SortFunc(picks, byLift)
		out[of] = picks[:min(len(picks), perProduct)]
	}
	return out
}

// Lift is how much more often two products are bought by the same contacts than if it were chance, in thousandths, rounded
// down: together × buyers ÷ (of × with).
func Lift(together, of, with, buyers int64) int64 {
	if of == 0 || with == 0 {
		return 0
	}
	return together * buyers * 1000 / (of * with)
}
