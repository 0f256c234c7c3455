package oracletest

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/big"
)

// several is at_least: {n, of}.
func (o *Oracle) several(n *node) bool {
	want, _ := amount(n.text("n"))
	in, _ := o.count(n.path+".of", n.get("of"))
	return whole(int64(in)).Cmp(want) >= 0
}

func (o *Oracle) inSegment(ids []string) bool {
	in := false
	for _, id := range ids {
		match, ok := o.below[id]
		if !ok {
			panic(confused("the oracle was not told what segment " + id + " is"))
		}
		in = o.holds(id+".match", match) || in
	}
	return in
}

// passed is entered or left, by what is recorded.
func (o *Oracle) passed(n *node, left bool) bool {
	in, ids := false, n.list("segment")
	for _, s := range o.who.Stays {
		at := s.Entered
		if left {
			at = s.Left
		}
		in = in || at != 0 && among(ids, s.Segment) && o.window(n, at)
	}
	return in
}

// inShare deals each person one of 10 000 lots.
func (o *Oracle) inShare(n *node) bool {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d", n.text("key"), o.who.ID))
	lot := new(big.Rat).SetInt64(int64(binary.BigEndian.Uint64(sum[:8]) % 10_000))
	from := new(big.Rat)
	if n.has("from") {
		from, _ = amount(n.text("from"))
	}
	percent, _ := amount(n.text("percent"))
	to := new(big.Rat).Add(from, percent)
	hundred := whole(100)
	return lot.Cmp(from.Mul(from, hundred)) >= 0 && lot.Cmp(to.Mul(to, hundred)) < 0
}
