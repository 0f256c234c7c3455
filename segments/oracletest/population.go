package oracletest

import (
	"fmt"
	"math/big"
	"slices"
)

// cuts are the thresholds in force at t; nil when there are none, or of too few buyers.
func (o *Oracle) cuts() *Cuts {
	var in *Cuts
	for i, c := range o.who.Cuts {
		if c.PublishedAt <= o.t && (in == nil || c.PublishedAt >= in.PublishedAt) {
			in = &o.who.Cuts[i]
		}
	}
	if in == nil || in.Contacts < 5 {
		return nil
	}
	return in
}

// rank is the person's value and the cut points that it is compared with; nil for somebody who has none.
func (o *Oracle) rank(by string, c *Cuts) (value *big.Rat, points []int64) {
	every := newNode("rank", nil)
	sales := o.sales(every)
	if len(sales) == 0 {
		return nil, nil
	}
	switch by {
	case "orders":
		return whole(int64(len(purchases(sales)))), c.Orders
	case "recency":
		last := sales[0].PlacedAt
		for _, x := range sales {
			last = max(last, x.PlacedAt)
		}
		return whole(last), c.Recency
	case "revenue":
		sum, known := int64(0), false
		for _, x := range sales {
			minor, ok := worth(every, x, c.Currency)
			sum, known = sum+minor, known || ok
		}
		if !known {
			return nil, nil // bought in other currencies alone
		}
		return whole(sum), c.Revenue
	}
	panic(confused("the oracle cannot rank by " + by))
}

func (o *Oracle) top(n *node, bottom bool) bool {
	place := n.number("percent")
	by, c := n.text("by"), o.cuts()
	if c == nil {
		return false
	}
	if !bottom {
		place = 100 - place
	}
	value, points := o.rank(by, c)
	if value == nil || len(points) < place {
		return false
	}
	order := value.Cmp(whole(points[place-1]))
	return bottom && order <= 0 || !bottom && order >= 0
}

// groups say which scores of recency and frequency make up a named group.
func groups(r, f int) string {
	switch {
	case r >= 4 && f >= 4:
		return "champions"
	case r >= 3 && f >= 3:
		return "loyal"
	case r >= 3 && f == 2, r >= 3 && r <= 4 && f == 1:
		return "promising"
	case r == 5:
		return "new"
	case f >= 3:
		return "at_risk"
	case r == 2:
		return "hibernating"
	}
	return "lost"
}

func (o *Oracle) rfm(path string, value any) bool {
	c := o.cuts()
	scores := map[string]int{}
	for name, by := range map[string]string{"r": "recency", "f": "orders", "m": "revenue"} {
		if c == nil {
			continue
		}
		value, points := o.rank(by, c)
		if value == nil || len(points) < 80 {
			continue
		}
		scores[name] = 1
		for _, p := range []int{20, 40, 60, 80} {
			if value.Cmp(whole(points[p-1])) > 0 {
				scores[name]++
			}
		}
	}
	in := scores["r"] > 0 && scores["f"] > 0
	if m, ok := value.(map[string]any); ok {
		n := newNode(path, m, "r", "f", "m")
		for _, name := range []string{"r", "f", "m"} {
			if list := n.list(name); list != nil {
				in = in && slices.Contains(list, fmt.Sprint(scores[name]))
			}
		}
		return in
	}
	return in && groups(scores["r"], scores["f"]) == fmt.Sprint(value)
}

// rhythm is the last purchase and the time from the first to it, of three purchases at least.
func (o *Oracle) rhythm() (last, span, gaps int64, ok bool) {
	ps := purchases(o.sales(newNode("rhythm", nil)))
	if len(ps) < 3 {
		return 0, 0, 0, false
	}
	last = ps[len(ps)-1].at
	span = last - ps[0].at
	return last, span, int64(len(ps) - 1), span > 0
}

// nextPurchase: one is expected a mean gap after the last.
func (o *Oracle) nextPurchase(n *node) bool {
	length := n.text("in_next")
	last, span, gaps, ok := o.rhythm()
	expected := last
	if ok {
		expected += span / gaps
	}
	return ok && o.t < expected && o.who.plus(o.t, length) >= expected
}

func (o *Oracle) overdue(n *node) bool {
	factor, _ := amount(n.text("factor"))
	last, span, gaps, ok := o.rhythm()
	return ok && whole(o.t-last).Cmp(factor.Mul(factor, big.NewRat(span, gaps))) >= 0
}
