package mirror

import (
	"context"
	"fmt"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// States of a task.
const (
	TaskOpen   = "open"
	TaskDone   = "done"
	TaskParked = "parked" // cannot be done as things are: Error says why
)

// TaskRow is one act in a shop as its outbound queue (shop_tasks) holds it.
type TaskRow struct {
	ShopID     int64 `db:"shop_id"`
	Kind       string
	Key        string `db:"task_key"`
	State      string
	Generation int64
	Attempts   int
	QueuedAt   crm.Instant `db:"queued_at"`
	NextAt     crm.Instant `db:"next_at"` // crm.Never unless open
	DoneAt     crm.Instant `db:"done_at"`
	Done       string      // what was done, one sentence
	Mend       string      // what the owner has to do because we may not, "" for nothing
	Error      string      // of the last attempt
}

// Task is the row as a connector is given it.
func (t TaskRow) Task() connectors.Task { return connectors.Task{Kind: t.Kind, Key: t.Key} }

const selectTasks = "SELECT shop_id, kind, task_key, state, generation, attempts, queued_at, next_at, done_at, done, mend, error FROM shop_tasks WHERE shop_id=? "

// AddTasks queues acts in a shop. One that is open already stays as it is, attempts and waiting included; one that is
// done or parked is armed again.
func (m *Mirror) AddTasks(ctx context.Context, tx *store.Tx, shopID int64, tasks []connectors.Task, at crm.Instant) error {
	seen := make(map[connectors.Task]bool, len(tasks))
	rows := make([][]any, 0, len(tasks))
	for _, t := range tasks {
		if seen[t] || len(t.Key) > maxID || len(t.Kind) > 32 {
			continue
		}
		seen[t] = true
		rows = append(rows, []any{shopID, t.Kind, t.Key, tx.NewID(), at, at, TaskOpen})
	}
	d := tx.Dialect()
	unlessOpen := func(column, value string) string {
		return column + "=CASE WHEN shop_tasks.state='open' THEN shop_tasks." + column + " ELSE " + value + " END, "
	}
	clause := d.OnConflict("shop_id", "kind", "task_key") + "generation=" + d.Refused("generation") + ", " +
		unlessOpen("attempts", "0") + unlessOpen("error", "''") + unlessOpen("queued_at", d.Refused("queued_at")) + unlessOpen("next_at", d.Refused("next_at")) +
		"state='open'" // last: MySQL's CASEs above see what was assigned before them
	if err := tx.InsertOr(ctx, "shop_tasks", []string{"shop_id", "kind", "task_key", "generation", "queued_at", "next_at", "state"}, clause, rows); err != nil {
		return fmt.Errorf("queueing tasks: %w", err)
	}
	return nil
}

// Tasks lists what is queued for a shop, was done in it, or cannot be done, for people: at most 500, what is open or
// needs somebody first.
func (m *Mirror) Tasks(ctx context.Context, shopID int64) ([]TaskRow, error) {
	var out []TaskRow
	if err := m.db.Read().SelectContext(ctx, &out, selectTasks+"ORDER BY CASE WHEN state='done' AND mend='' THEN 1 ELSE 0 END, kind, task_key LIMIT 500", shopID); err != nil {
		return nil, fmt.Errorf("reading tasks: %w", err)
	}
	return out, nil
}

// DueTasks lists open tasks due at now, oldest first.
func (m *Mirror) DueTasks(ctx context.Context, shopID int64, now crm.Instant, limit int) ([]TaskRow, error) {
	var out []TaskRow
	if err := m.db.Read().SelectContext(ctx, &out, selectTasks+"AND next_at<=? ORDER BY next_at, kind, task_key LIMIT ?", shopID, now, limit); err != nil {
		return nil, fmt.Errorf("reading due tasks: %w", err)
	}
	return out, nil
}

// DoneTask ends a task, unless it was queued again meanwhile (generation).
func (m *Mirror) DoneTask(ctx context.Context, tx *store.Tx, t TaskRow, o connectors.Outcome, at crm.Instant) error {
	_, err := tx.ExecContext(ctx, "UPDATE shop_tasks SET state=?, next_at=?, done_at=?, done=?, mend=?, error='' WHERE shop_id=? AND kind=? AND task_key=? AND generation=?",
		TaskDone, crm.Never, at, clip(o.Done, 1000), clip(o.Mend, 1000), t.ShopID, t.Kind, t.Key, t.Generation)
	return err
}

// FailTask postpones a task; next = crm.Never parks it.
func (m *Mirror) FailTask(ctx context.Context, tx *store.Tx, t TaskRow, next crm.Instant, why string) error {
	state := TaskOpen
	if next >= crm.Never {
		state = TaskParked
	}
	_, err := tx.ExecContext(ctx, "UPDATE shop_tasks SET state=?, attempts=attempts+1, next_at=?, error=? WHERE shop_id=? AND kind=? AND task_key=? AND generation=?",
		state, next, clip(why, 1000), t.ShopID, t.Kind, t.Key, t.Generation)
	return err
}

// ReviveTasks opens the parked tasks of the kinds again; one that fails is parked as soon as before.
func (m *Mirror) ReviveTasks(ctx context.Context, tx *store.Tx, shopID int64, kinds []string, at crm.Instant) error {
	for _, kind := range kinds {
		if _, err := tx.ExecContext(ctx, "UPDATE shop_tasks SET state='open', next_at=? WHERE shop_id=? AND kind=? AND state='parked'", at, shopID, kind); err != nil {
			return fmt.Errorf("opening parked tasks again: %w", err)
		}
	}
	return nil
}

// QueueUnsubscribe queues the write-back of a withdrawal to every shop in which the contact has a live account. Whoever
// withdraws a consent here calls it in the same transaction, once per withdrawal. A shop that only pushes is told
// nothing: there is nobody to tell.
func (m *Mirror) QueueUnsubscribe(ctx context.Context, tx *store.Tx, contactID int64, at crm.Instant) error {
	var accounts []struct {
		ShopID int64 `db:"shop_id"`
		ID     string
	}
	text, args, err := store.In(`SELECT c.shop_id, c.id FROM customers c JOIN shops s ON s.id=c.shop_id
 WHERE c.contact_id IN (?, (SELECT NULLIF(merged_into,0) FROM contacts WHERE id=?)) AND c.gone_at=0 AND s.platform NOT IN (?) ORDER BY c.shop_id, c.id`, contactID, contactID, sendsByItself())
	if err == nil {
		err = tx.SelectContext(ctx, &accounts, text, args...)
	}
	if err != nil {
		return fmt.Errorf("finding the accounts of a contact: %w", err)
	}
	for _, a := range accounts {
		if err := m.AddTasks(ctx, tx, a.ShopID, []connectors.Task{{Kind: connectors.TaskUnsubscribe, Key: a.ID}}, at); err != nil {
			return err
		}
	}
	return nil
}
