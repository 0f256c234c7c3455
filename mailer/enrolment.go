package mailer

import (
	"context"
	"fmt"
	"strings"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// goTo puts an enrolment at a step of the definition in force, or at the end. A wait of a plain length begins at once; what
// else a step does, advance does.
func (n *enrolment) goTo(r running, id string, at crm.Instant) {
	n.Generation = r.generation
	s, ok := r.step(id)
	if !ok {
		n.State = enrolmentDone
		return
	}
	n.State, n.Step, n.DueAt, n.BegunAt = enrolmentActive, id, at, 0
	if s.kind == stepWait && !s.wait.civil {
		n.BegunAt, n.DueAt = at, at.Add(s.wait.span)
	}
}

// exit ends a run before its end.
func (n *enrolment) exit(why Reason) { n.State, n.ExitReason = enrolmentExited, string(why) }

type enrolmentGroup struct {
	state, step, reason, variants string
	generation                    int64
	split, marked                 bool
}

// writeEnrolments writes where runs stand. What became of a run is written where it is marked.
func writeEnrolments(ctx context.Context, tx *store.Tx, rows []enrolment) error {
	groups := map[enrolmentGroup][]enrolment{}
	var order []enrolmentGroup
	for _, n := range rows {
		g := enrolmentGroup{n.State, n.Step, n.ExitReason, n.Variants, n.Generation, n.SplitAt > 0, n.marked}
		if groups[g] == nil {
			order = append(order, g)
		}
		groups[g] = append(groups[g], n)
	}
	for _, g := range order {
		if err := inChunks(groups[g], func(some []enrolment) error { return writeEnrolmentGroup(ctx, tx, g, some) }); err != nil {
			return err
		}
	}
	return nil
}

func writeEnrolmentGroup(ctx context.Context, tx *store.Tx, g enrolmentGroup, some []enrolment) error {
	ids := make([]int64, len(some))
	for i, n := range some {
		ids[i] = n.ID
	}
	var c cases
	c.same("state", g.state)
	c.same("step", g.step)
	c.same("exit_reason", g.reason)
	c.same("generation", g.generation)
	if g.state == enrolmentActive {
		c.each("due_at", ids, func(i int) any { return some[i].DueAt })
		c.each("begun_at", ids, func(i int) any { return some[i].BegunAt })
	}
	if g.split {
		c.same("variants", g.variants)
		c.each("split_at", ids, func(i int) any { return some[i].SplitAt })
	}
	if g.marked {
		c.each("goal_at", ids, func(i int) any { return some[i].GoalAt })
		c.each("clicked_at", ids, func(i int) any { return some[i].ClickedAt })
		c.each("ordered_at", ids, func(i int) any { return some[i].OrderedAt })
	}
	if _, err := execPrepared(ctx, tx, "UPDATE enrolments SET "+strings.Join(c.sets, ", ")+" WHERE id IN (?)", append(c.args, ids)...); err != nil {
		return fmt.Errorf("moving enrolments: %w", err)
	}
	return nil
}
