package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/sync/engine"
)

// acting is an odd source that can also act.
type acting struct {
	*odd
	acts    []string
	perform func(t connectors.Task) (connectors.Outcome, error)
}

func (a *acting) Acts() []string { return a.acts }

func (a *acting) Perform(_ context.Context, t connectors.Task) (connectors.Outcome, error) {
	return a.perform(t)
}

func (r *rig) queue(tasks ...connectors.Task) {
	r.t.Helper()
	if err := r.db.Write(r.t.Context(), "test", func(tx *store.Tx) error {
		return r.m.AddTasks(r.t.Context(), tx, r.shop.ID, tasks, crm.At(r.now))
	}); err != nil {
		r.t.Fatal(err)
	}
}

// task is the queue's only task.
func (r *rig) task() mirror.TaskRow {
	r.t.Helper()
	all, err := r.m.Tasks(r.t.Context(), r.shop.ID)
	if err != nil || len(all) != 1 {
		r.t.Fatalf("%d tasks, %v", len(all), err)
	}
	return all[0]
}

func TestAnActIsDoneOnceAndItsEchoIsReadAtOnce(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		var done, read []string
		src := &acting{acts: []string{connectors.TaskUnsubscribe}, odd: &odd{streams: []connectors.Stream{orderStream}}}
		src.read = func(_ context.Context, ref crm.Ref) (connectors.Page, error) {
			read = append(read, ref.ID)
			return connectors.Page{Total: -1}, nil
		}
		src.perform = func(task connectors.Task) (connectors.Outcome, error) {
			done = append(done, task.Kind+" "+task.Key)
			return connectors.Outcome{Done: "Newsletter switched off", Mend: "Tick the box yourself", Reread: []crm.Ref{{Kind: crm.KindCustomer, ID: task.Key}}}, nil
		}
		r := newRig(t, db, src)
		unsubscribe := connectors.Task{Kind: connectors.TaskUnsubscribe, Key: "7"}
		r.queue(unsubscribe, unsubscribe)
		r.queue(unsubscribe)
		r.idle()
		if diff := cmp.Diff([]string{"unsubscribe 7"}, done); diff != "" {
			t.Fatal(diff)
		}
		if diff := cmp.Diff([]string{"7"}, read); diff != "" {
			t.Fatal(diff)
		}
		if got := r.task(); got.State != mirror.TaskDone || got.Done != "Newsletter switched off" || got.Mend != "Tick the box yourself" || got.DoneAt != crm.At(r.now) {
			t.Errorf("%+v", got)
		}
		r.after(24 * time.Hour)
		if len(done) != 1 {
			t.Errorf("done %d times", len(done))
		}
		r.queue(unsubscribe) // it was undone, and is wanted again
		r.idle()
		if len(done) != 2 {
			t.Errorf("armed again, done %d times", len(done))
		}
		if n := r.counted("relance_shop_tasks_total", "result", "done"); n != 2 {
			t.Errorf("counted %v", n)
		}
	})
}

func TestAnActThatFailsWaitsLongerEachTimeAndIsParkedInTheEnd(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		tries := 0
		src := &acting{acts: []string{connectors.TaskUnsubscribe}, odd: &odd{streams: []connectors.Stream{orderStream}}}
		var answer error = fault.New(fault.Retry, "switching the newsletter off", errors.New("status 500"))
		src.perform = func(connectors.Task) (connectors.Outcome, error) { tries++; return connectors.Outcome{}, answer }
		r := newRig(t, db, src)
		r.settle()
		r.queue(connectors.Task{Kind: connectors.TaskUnsubscribe, Key: "7"})
		r.idle()
		if r.idle(); tries != 1 {
			t.Fatalf("tried %d times at once", tries)
		}
		for range 100 {
			r.after(time.Hour)
		}
		if got := r.task(); got.State != mirror.TaskParked || !strings.Contains(got.Error, "status 500") || tries != 12 {
			t.Fatalf("%d tries, %+v", tries, got)
		}
		if r.reload().Fault != "" {
			t.Error("what cannot be written is no fault of reading")
		}
		answer = nil
		r.restart(src) // perhaps somebody mended the key
		r.idle()
		if got := r.task(); got.State != mirror.TaskDone || tries != 13 {
			t.Errorf("%d tries, %+v", tries, got)
		}
	})
}

func TestAnActThatCannotBeDoneIsParkedWithASentence(t *testing.T) {
	never := fault.New(fault.Reject, "switching the newsletter off", errors.New("there is no such customer"))
	for name, c := range map[string]struct {
		src  connectors.Source
		want string
	}{
		"not allowed": {&acting{odd: &odd{}, acts: []string{connectors.TaskHooks}}, "this shop's key or mapping does not allow it"},
		"no actor":    {&odd{}, "this shop's key or mapping does not allow it"},
		"impossible": {&acting{odd: &odd{}, acts: []string{connectors.TaskUnsubscribe}, perform: func(connectors.Task) (connectors.Outcome, error) {
			return connectors.Outcome{}, never
		}}, "there is no such customer"},
	} {
		t.Run(name, func(t *testing.T) {
			servers.Each(t, func(t *testing.T, db *store.DB) {
				r := newRig(t, db, c.src)
				r.queue(connectors.Task{Kind: connectors.TaskUnsubscribe, Key: "7"})
				r.idle()
				if got := r.task(); got.State != mirror.TaskParked || !strings.Contains(got.Error, c.want) {
					t.Errorf("%+v", got)
				}
			})
		})
	}
}

func TestB26_TheWebhooksAreLookedAfterOnStartAndHourly(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		looked := 0
		src := &acting{acts: []string{connectors.TaskHooks}, odd: &odd{streams: []connectors.Stream{orderStream}}}
		src.perform = func(task connectors.Task) (connectors.Outcome, error) {
			if looked++; task.Kind != connectors.TaskHooks || task.Key != "" {
				t.Errorf("%+v", task)
			}
			return connectors.Outcome{Done: "1 webhook enabled again"}, nil
		}
		r := newRig(t, db, nil)
		hooked := func(url string) {
			r.e = engine.New(engine.Options{Mirror: r.m, Leases: r.leases, Shop: r.shop, Source: src, HookURL: url, Wall: func() time.Time { return r.wall }})
		}
		hooked("")
		r.after(2 * time.Hour)
		if looked != 0 {
			t.Fatal("a shop that cannot reach us was told to")
		}
		hooked("https://relance.example.com/hooks/boutique")
		r.idle()
		if looked != 1 || r.task().Done != "1 webhook enabled again" {
			t.Fatalf("looked %d times on start", looked)
		}
		for range 60 {
			r.after(3 * time.Minute)
		}
		if looked != 4 {
			t.Errorf("looked %d times in three hours", looked)
		}
	})
}

func TestActsAndPagesTakeTurns(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		var turns, asked []string
		src := &acting{acts: []string{connectors.TaskUnsubscribe}, odd: paged(50, &asked)}
		inner := src.pull
		src.pull = func(ctx context.Context, s string, after connectors.Cursor, size int) (connectors.Page, error) {
			turns = append(turns, "page")
			return inner(ctx, s, after, size)
		}
		src.perform = func(connectors.Task) (connectors.Outcome, error) {
			turns = append(turns, "act")
			return connectors.Outcome{}, nil
		}
		r := newRig(t, db, src)
		for _, key := range []string{"1", "2", "3"} {
			r.queue(connectors.Task{Kind: connectors.TaskUnsubscribe, Key: key})
		}
		r.idle()
		if got := strings.Join(turns[:7], " "); got != "act page act page act page page" {
			t.Errorf("turns: %s", got)
		}
	})
}
