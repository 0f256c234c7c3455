package engine

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

const (
	taskBackoff  = 30 * time.Second
	taskLongest  = 6 * time.Hour
	taskAttempts = 12 // then it is parked: two days on, somebody has to look
	hooksEvery   = time.Hour

	notAllowed = "this shop's key or mapping does not allow it"
)

// tasks is what the engine knows of its outbound queue.
type tasks struct {
	revived bool        // parked ones were given another chance since this process began
	hooked  crm.Instant // when the webhooks were last queued to be looked at
	after   crm.Instant // acts as such are failing: none before
	failed  int         // in a row
}

// dueTasks gives the oldest due act, or none while acts as such are failing. It keeps the webhooks on the queue.
func (e *Engine) dueTasks(ctx context.Context, now time.Time) ([]mirror.TaskRow, error) {
	at := crm.At(now)
	if e.o.MayAct != nil && !e.o.MayAct() { // the mailer says why
		return nil, nil
	}
	if err := e.arm(ctx, at); err != nil {
		return nil, err
	}
	if e.tasks.after > at {
		return nil, nil
	}
	return e.o.Mirror.DueTasks(ctx, e.shop.ID, at, 1)
}

// arm queues a look at the webhooks, on start and hourly (B26). On start what was parked is tried once more: the key or
// the mapping may have been mended.
func (e *Engine) arm(ctx context.Context, at crm.Instant) error {
	acts := e.acts()
	if !e.tasks.revived {
		if err := e.write(ctx, "sync.revive", func(tx *store.Tx) error {
			return e.o.Mirror.ReviveTasks(ctx, tx, e.shop.ID, acts, at)
		}); err != nil {
			return err
		}
		e.tasks.revived = true
	}
	if e.o.HookURL == "" || !slices.Contains(acts, connectors.TaskHooks) || (e.tasks.hooked > 0 && at < e.tasks.hooked.Add(hooksEvery)) {
		return nil
	}
	if err := e.write(ctx, "sync.arm", func(tx *store.Tx) error {
		return e.o.Mirror.AddTasks(ctx, tx, e.shop.ID, []connectors.Task{{Kind: connectors.TaskHooks}}, at)
	}); err != nil {
		return err
	}
	e.tasks.hooked = at
	return nil
}

func (e *Engine) acts() []string {
	if actor, ok := e.o.Source.(connectors.Actor); ok {
		return actor.Acts()
	}
	return nil
}

// perform carries out one act. It may have been done before a crash: an act looks first and changes only what differs.
// What it changed is read again, so that its echo is known as such before any stream brings it.
func (e *Engine) perform(ctx context.Context, t mirror.TaskRow, now time.Time) error {
	actor, ok := e.o.Source.(connectors.Actor)
	if !ok || !slices.Contains(actor.Acts(), t.Kind) {
		return e.park(ctx, t, notAllowed)
	}
	var out connectors.Outcome
	err := e.ask(ctx, now, func(ctx context.Context) (time.Time, error) {
		var err error
		out, err = actor.Perform(ctx, t.Task())
		return time.Time{}, err
	})
	if err != nil {
		return e.taskFailed(ctx, t, now, err)
	}
	e.tasks.failed = 0
	if err := e.write(ctx, "sync.task", func(tx *store.Tx) error {
		if err := e.o.Mirror.DoneTask(ctx, tx, t, out, crm.At(now)); err != nil {
			return err
		}
		return e.o.Mirror.AddHints(ctx, tx, e.shop.ID, out.Reread, crm.At(now))
	}); err != nil {
		return err
	}
	e.o.Metrics.acted(e.shop.Name, t.Kind, "done")
	if out.Mend != "" {
		e.log.Warn("something is left to do in the shop", zap.String("task", t.Kind), zap.String("mend", out.Mend))
	}
	return nil
}

// taskFailed postpones an act. A key that may read but not write is no fault of the shop: it goes on being read.
func (e *Engine) taskFailed(ctx context.Context, t mirror.TaskRow, now time.Time, cause error) error {
	if ctx.Err() != nil {
		return cause
	}
	class := fault.ClassOf(cause)
	switch {
	case class == fault.Throttled:
		_, err := e.shopFailed(ctx, now, cause, false)
		return err
	case class == fault.Reject, t.Attempts+1 >= taskAttempts:
		return e.park(ctx, t, cause.Error())
	}
	e.tasks.failed++ // a shop that is down must not use up the attempts of every act
	e.tasks.after = crm.At(now.Add(e.backoff(time.Second, 10*time.Minute, e.tasks.failed, "tasks")))
	e.o.Metrics.acted(e.shop.Name, t.Kind, "failed")
	e.log.Info("an act in the shop failed", zap.String("task", t.Kind), zap.String("class", string(class)), zap.Int("attempts", t.Attempts+1), zap.Error(cause))
	next := crm.At(now.Add(e.backoff(taskBackoff, taskLongest, t.Attempts+1, t.Kind+t.Key)))
	return e.write(ctx, "sync.task_failed", func(tx *store.Tx) error { return e.o.Mirror.FailTask(ctx, tx, t, next, cause.Error()) })
}

// park gives an act up until somebody queues it again or the process starts anew.
func (e *Engine) park(ctx context.Context, t mirror.TaskRow, why string) error {
	e.o.Metrics.acted(e.shop.Name, t.Kind, "parked")
	e.log.Warn("an act in the shop is given up", zap.String("task", t.Kind), zap.String("why", why))
	return e.write(ctx, "sync.task_parked", func(tx *store.Tx) error { return e.o.Mirror.FailTask(ctx, tx, t, crm.Never, why) })
}
