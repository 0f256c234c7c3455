package mailer_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/mailer"
)

const everyStep = `
goal: {event: wished}
steps:
  - {id: first, send: {template: win_back}}
  - {id: note, set: {relance.stage: "1"}}
  - {id: hook, call: {url: %q, secret: a secret of the tests' service}}
  - id: try
    split: {variants: [{id: a, steps: [{id: pause, wait: 1h}]}, {id: b, steps: [{id: until, wait_until: {order: true, timeout: 2h}}]}], winner: {after: 1}}
  - id: which
    branch: [{if: {bought: {at_least: 1}}, steps: [{id: bought, send: {template: welcome}}, {id: stop, end: true}]}]
  - {id: last, send: {template: win_back}}`

// TestB2_StepsSurviveACrashAtEveryKindOfCommit ends the process before and after every kind of commit: what a run comes to is the
// same.
func TestB2_StepsSurviveACrashAtEveryKindOfCommit(t *testing.T) {
	for _, engine := range []store.Dialect{store.SQLite, store.MySQL} {
		t.Run(string(engine), func(t *testing.T) {
			points := crashSteps(t, engine, "", "", 0)
			for name, n := range points {
				if !strings.HasPrefix(name, "mailer.") || name == "mailer.deploy" {
					continue
				}
				crashSteps(t, engine, name, "after", n)
				if engine == store.SQLite {
					crashSteps(t, engine, name, "before", 1)
				}
			}
			for _, want := range []string{"mailer.touched", "mailer.advance", "mailer.calls", "mailer.split"} {
				if points[want] == 0 {
					t.Errorf("the script never commits %s", want)
				}
			}
		})
	}
}

func crashSteps(t *testing.T, engine store.Dialect, name, when string, nth int) map[string]int {
	t.Helper()
	seen, armed, dead := map[string]int{}, false, false
	db := servers.Open(t, engine, store.Options{DSN: servers.DSN(t, engine), Fault: func(at, side string) error {
		if side == "before" {
			seen[at]++
		}
		if armed && !dead && at == name && side == when && seen[at] == nth {
			dead = true
			return errCrash
		}
		return nil
	}})
	w := newWorld(t, db)
	w.ids = 1000 // the same lanes and variants in every run
	s := newService(t)
	w.armCalls(written(t, fmt.Sprintf(everyStep, s.URL)))
	var people []int64
	for i := range 4 {
		people = append(people, w.contact(fmt.Sprintf("c%d@example.com", i)))
		w.enter(people[i], anybody, w.now)
	}
	clear(seen)
	armed = true
	for minute := 0; minute <= 120; minute += 40 {
		w.now, w.ahead = noon().Add(time.Duration(minute)*time.Minute), w.ahead+time.Minute
		if minute == 40 {
			w.order(people[0], w.shop, "o0", crm.StateAccepted, w.now)
			w.event(people[1], "wished", w.now, nil)
			w.touch(people...)
		}
		if err := w.tryRun(); err != nil {
			if !errors.Is(err, errCrash) {
				t.Fatal(err)
			}
			w.rebuild()
			w.ahead += time.Minute // what was being handed over is unknown then
			w.run()
		}
	}
	points := maps.Clone(seen)
	if name != "" && !dead {
		t.Fatalf("the crash %s %s %d did not happen", when, name, nth)
	}
	for i, id := range people {
		want := []string{"done", "first last"}
		switch i {
		case 0:
			want[1] = "first bought"
		case 1:
			want = []string{"exited goal", "first"}
		}
		w.expectRun(id, want[0])
		if got := strings.Join(w.subjects(id), " "); got != want[1] {
			t.Errorf("%s %s %d: contact %d got %s, want %s", when, name, nth, i, got, want[1])
		}
	}
	keys := map[string]bool{}
	for _, c := range s.calls() {
		keys[c.key] = true
	}
	i := w.info("c")
	entered := int64(0)
	for _, v := range i.Splits[0].Variants {
		entered += v.Entered
	}
	if len(keys) != 4 || i.Calls["done"] != 4 || i.Goals != 1 || entered != 4 || w.count("SELECT COUNT(*) FROM contact_attributes") != 4 {
		t.Errorf("%s %s %d: %d keys of calls, %+v", when, name, nth, len(keys), i)
	}
	for _, m := range w.out.got() {
		if n := len(w.sends(mailer.SendFilter{Limit: 500})); n > 7 {
			t.Errorf("%d sends, one of them %s", n, m.SendID)
		}
	}
	return points
}
