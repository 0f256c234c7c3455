package segments_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/segments/rule"
	"github.com/relance/relance/segments/rule/ruletest"
)

// TestIncrementalMembershipEqualsEvaluationFromScratch draws histories: facts in any order and of any date, clock
// moves, edits of definitions, crashes before and after commits, restarts; whenever all is settled, memberships, due
// instants, changes and the watermark must be what evaluation from scratch gives.
func TestIncrementalMembershipEqualsEvaluationFromScratch(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		rapid.Check(t, func(rt *rapid.T) {
			w.wipe(rt)
			w.page = rapid.SampledFrom([]int{1, 2, 500}).Draw(rt, "page")
			h := &history{world: w}
			h.edit(rt)
			for range rapid.IntRange(1, 8).Draw(rt, "contacts") {
				h.contacts = append(h.contacts, w.contact(rt, h.instant(rt)))
			}
			rt.Repeat(map[string]func(*rapid.T){
				"order": h.anOrder, "cart": h.aCart, "consent": h.aConsent, "life": h.aLife, "event": h.anEvent, "person": h.aPerson, "suppression": h.aSuppression,
				"clock": h.aMove, "step": h.aStep, "edit": h.edit, "crash": h.aCrash, "settle": h.settleAndCheck,
			})
			h.settleAndCheck(rt)
		})
	})
}

type history struct {
	*world
	contacts []int64
	file     rule.File
}

func (h *history) instant(t *rapid.T) crm.Instant {
	return h.now.Add(time.Duration(rapid.IntRange(-50, 10).Draw(t, "hours")) * time.Hour)
}

func (h *history) who(t *rapid.T) int64 { return rapid.SampledFrom(h.contacts).Draw(t, "who") }

func (h *history) anOrder(t *rapid.T) {
	cause := rapid.SampledFrom([]crm.Cause{crm.CauseChange, crm.CauseChange, crm.CauseBackfill}).Draw(t, "cause")
	id := h.who(t)
	h.order(t, id, order{
		id: fmt.Sprintf("%d-%d", id, rapid.IntRange(1, 3).Draw(t, "order")), at: h.instant(t),
		total: int64(rapid.IntRange(1, 4).Draw(t, "total")) * 100, sale: rapid.IntRange(0, 3).Draw(t, "sale") > 0, cause: cause,
		purchase: rapid.SampledFrom([]string{"", "", fmt.Sprintf("%d-1", id), "split"}).Draw(t, "purchase"),
	})
}

func (h *history) aCart(t *rapid.T) {
	id, at, closed := h.who(t), h.instant(t), crm.Instant(0)
	if rapid.Bool().Draw(t, "closed?") {
		closed = at.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "closed")) * time.Hour)
	}
	h.cart(t, id, fmt.Sprint(id), at, closed)
}

func (h *history) aConsent(t *rapid.T) {
	at, expires := h.instant(t), crm.Instant(0)
	if rapid.Bool().Draw(t, "expires?") {
		expires = at.Add(time.Duration(rapid.IntRange(1, 40).Draw(t, "expires")) * time.Hour)
	}
	h.consent(t, h.who(t), rapid.SampledFrom([]string{"granted", "withdrawn"}).Draw(t, "state"), at, expires)
}

func (h *history) aLife(t *rapid.T) { h.live(t, h.who(t), rapid.Bool().Draw(t, "live")) }

func (h *history) aMove(t *rapid.T) {
	h.now = h.now.Add(time.Duration(rapid.IntRange(1, 30).Draw(t, "hours")) * time.Hour)
}

func (h *history) aStep(t *rapid.T) { h.must(t, errOf2(h.m.Step(h.ctx, h.now.Time()))) }

func errOf2[A, B any](_ A, _ B, err error) error { return err }

// edit deploys up to four segments under four ids: some new, some edited, some removed, some as they were; each may lean
// on those before it.
func (h *history) edit(t *rapid.T) {
	was := h.file
	if h.m == nil {
		was = nil
	}
	h.file = rule.File{}
	var below []string
	for _, id := range ruletest.Below() {
		switch rapid.IntRange(0, 2).Draw(t, "do") {
		case 0:
			h.file[id] = ruletest.SpecOver(below...).Draw(t, "spec")
		case 1:
			if kept, ok := was[id]; ok {
				h.file[id] = kept
				if len(h.file.Validate()) > 0 { // what it leans on is gone
					delete(h.file, id)
				}
			}
		}
		if _, ok := h.file[id]; ok {
			below = append(below, id)
		}
	}
	h.deploy(t, defineAll(t, h.file)...)
}

// aCrash makes the next commit of the maintainer fail, before or after, and restarts.
func (h *history) aCrash(t *rapid.T) {
	when := rapid.SampledFrom([]string{"before", "after"}).Draw(t, "when")
	skip := rapid.IntRange(0, 2).Draw(t, "skip")
	*h.fault = func(name, at string) error {
		if at != when || !strings.HasPrefix(name, "segments.") {
			return nil
		}
		if skip--; skip >= 0 {
			return nil
		}
		return errCrash
	}
	for range 5 {
		if _, worked, err := h.m.Step(h.ctx, h.now.Time()); err != nil || !worked {
			break
		}
	}
	*h.fault = nil
	h.restart()
}

func (h *history) settleAndCheck(t *rapid.T) {
	h.settle(t)
	h.checkExact(t)
	h.checkLog(t)
}
