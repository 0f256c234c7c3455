package mailer

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// split is a SplitSpec read.
type split struct {
	variants []variant
	winner   *winner // nil: the shares stay
}

type variant struct {
	id    string
	share int
	to    string
}

// winner is a WinnerSpec read.
type winner struct {
	goal    string // what is counted: one of the measures
	after   int64  // contacts of each variant
	decided time.Duration
}

// What variants are compared by: a closed set, also the names of their counters.
const (
	measureEntered = "entered"
	measureGoal    = "goal"
	measureClick   = "click"
	measureOrder   = "order"

	standardAfter = 500
	mostShare     = 1000
)

func (k *compiler) split(path string, raw SplitSpec, next string, c *campaign) split {
	if len(raw.Variants) < 2 {
		k.wrong(path+".variants", fmt.Sprintf("there is nothing to compare: %d variants", len(raw.Variants)), "two variants or more, each {id: <id>, steps: [...]}")
	}
	var s split
	steps := 0
	for i, one := range raw.Variants {
		at := fmt.Sprintf("%s.variants[%d]", path, i)
		switch {
		case !validID(one.ID):
			k.wrong(at+".id", quoted(one.ID)+" is no id of a variant", idWant)
		case slices.ContainsFunc(s.variants, func(v variant) bool { return v.id == one.ID }):
			k.wrong(at+".id", "the id "+quoted(one.ID)+" is used twice", "an id of its own for each variant of the split; it never changes")
		}
		v := variant{id: one.ID, share: one.Share}
		if v.share == 0 {
			v.share = 1
		}
		if v.share < 0 || v.share > mostShare {
			k.wrong(at+".share", fmt.Sprintf("%d is no share", one.Share), fmt.Sprintf("1 to %d: of shares 2 and 1, two of three contacts get the first", mostShare))
			v.share = 1
		}
		steps += len(one.Steps)
		v.to = k.list(at+".steps", one.Steps, next, c)
		s.variants = append(s.variants, v)
	}
	if steps == 0 && len(raw.Variants) > 1 {
		k.wrong(path+".variants", "no variant has steps", "steps in at least one; a variant without steps does nothing, for comparison")
	}
	if raw.Winner != nil {
		s.winner = k.winner(path+".winner", *raw.Winner, c)
	}
	return s
}

func (k *compiler) winner(path string, raw WinnerSpec, c *campaign) *winner {
	w := winner{goal: orElse(raw.Goal, measureGoal), after: int64(raw.After), decided: k.span(path+".decided", raw.Decided, 0)}
	switch {
	case w.goal == measureGoal && c.goal == nil:
		k.wrong(path, "the campaign has no goal to compare variants by", "goal: beside steps:, or winner: {goal: click} or {goal: order}")
	case w.goal != measureGoal && w.goal != measureClick && w.goal != measureOrder:
		k.wrong(path+".goal", quoted(w.goal)+" is nothing that is counted", "goal, click or order")
	}
	if w.after == 0 {
		w.after = standardAfter
	}
	if w.after < 0 {
		k.wrong(path+".after", fmt.Sprintf("%d is no number of contacts", raw.After), "the contacts that each variant must have had, 1 or more")
	}
	return &w
}

// room is how much of enrolments.variants the split may take.
func (s split) room(id string) int {
	longest := 0
	for _, v := range s.variants {
		longest = max(longest, len(id)+len(v.id)+2)
	}
	return longest
}

// of gives a contact's variant: that of the winner, or by a hash of ids, so that it is always the same.
func (s split) of(campaign, step string, contactID int64, won string) variant {
	total := uint64(0)
	for _, v := range s.variants {
		if s.winner != nil && v.id == won {
			return v
		}
		total += uint64(v.share)
	}
	h := sha256.Sum256([]byte("relance split\x00" + campaign + "\x00" + step + "\x00" + strconv.FormatInt(contactID, 10)))
	at := binary.BigEndian.Uint64(h[:8]) % total
	for _, v := range s.variants {
		if at < uint64(v.share) {
			return v
		}
		at -= uint64(v.share)
	}
	return s.variants[0]
}

// variantOf finds what a split gave to a run; "" when it has not come there.
func variantOf(variants, step string) string {
	for one := range strings.SplitSeq(variants, ",") {
		if id, ok := strings.CutPrefix(one, step+"="); ok {
			return id
		}
	}
	return ""
}

func withVariant(variants, step, id string) string {
	if variants == "" {
		return step + "=" + id
	}
	return variants + "," + step + "=" + id
}

// splitCount names the counter of a variant: "split:<step>:<variant>:entered".
func splitCount(step, variant, measure string) string {
	return "split:" + step + ":" + variant + ":" + measure
}

// countVariants counts for every variant that a run had.
func (t tally) countVariants(n *enrolment, measure string) {
	if n.Variants == "" {
		return
	}
	for one := range strings.SplitSeq(n.Variants, ",") {
		if step, id, ok := strings.Cut(one, "="); ok {
			t.add(n.Campaign, splitCount(step, id, measure), n.Lane)
		}
	}
}
