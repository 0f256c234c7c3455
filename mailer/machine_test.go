package mailer_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/mailer"
	"github.com/relance/relance/segments/rule"
)

// machine draws definitions. Ids are never used twice.
type machine struct {
	ids  int
	hook string
}

func (m *machine) id() string { m.ids++; return fmt.Sprintf("s%d", m.ids) }

func (m *machine) steps(t *rapid.T, depth, most int) []mailer.StepSpec {
	var out []mailer.StepSpec
	for range rapid.IntRange(1, most).Draw(t, "steps") {
		out = append(out, m.step(t, depth))
	}
	return out
}

func (m *machine) step(t *rapid.T, depth int) mailer.StepSpec {
	s := mailer.StepSpec{ID: m.id()}
	kinds := []string{"send", "send", "wait", "days", "until", "if", "set", "call"}
	if depth > 0 {
		kinds = append(kinds, "branch", "branch", "split", "split")
	}
	switch rapid.SampledFrom(kinds).Draw(t, "kind") {
	case "send":
		s.Send = &mailer.SendSpec{Template: "win_back"}
	case "wait":
		s.Wait = &mailer.WaitSpec{For: rapid.SampledFrom([]string{"10m", "3h", "2d"}).Draw(t, "for")}
	case "days":
		s.Wait = &mailer.WaitSpec{Days: rapid.IntRange(0, 3).Draw(t, "days"), At: "02:30", On: []string{"sun", "wed"}}
	case "until":
		s.Until = &mailer.UntilSpec{Order: true, Timeout: "1d"}
	case "if":
		s.Until = &mailer.UntilSpec{If: &rule.Condition{LastPurchase: &rule.LastPurchase{OlderThan: "5h"}}, Timeout: "2d"}
	case "set":
		s.Set = map[string]string{"relance.stage": rapid.SampledFrom([]string{"1", "2", ""}).Draw(t, "value")}
	case "call":
		s.Call = &mailer.CallSpec{URL: m.hook, Secret: hookSecret}
	case "branch":
		s.Branch = []mailer.BranchSpec{
			{If: &rule.Condition{Attribute: &rule.Attribute{Name: "relance.stage", Comparison: rule.Comparison{Is: rule.List{"1"}}}}, Steps: m.steps(t, depth-1, 2)},
			{If: &rule.Condition{Bought: &rule.Bought{AtLeast: "1"}}, Steps: append(m.steps(t, depth-1, 2), mailer.StepSpec{ID: m.id(), End: true})},
		}
	case "split":
		s.Split = &mailer.SplitSpec{Winner: &mailer.WinnerSpec{Goal: "order", After: 1, Decided: "3d"}}
		for _, id := range []string{"a", "b", "c"}[:rapid.IntRange(2, 3).Draw(t, "variants")] {
			s.Split.Variants = append(s.Split.Variants, mailer.VariantSpec{ID: id, Steps: m.steps(t, depth-1, 2)})
		}
	}
	return s
}

func (m *machine) campaign(t *rapid.T) mailer.CampaignSpec {
	s := mailer.CampaignSpec{
		Trigger: mailer.TriggerSpec{Enters: anybody}, Occurrence: mailer.Occurrence{Mode: mailer.OccurrenceEach}, NotAfter: "3d",
		Steps: append(m.steps(t, 2, 4), mailer.StepSpec{ID: m.id(), Send: &mailer.SendSpec{Template: "welcome"}}),
	}
	if rapid.Bool().Draw(t, "goal") {
		s.Goal = &mailer.GoalSpec{Order: true, Within: "1d"}
	}
	if rapid.Bool().Draw(t, "exit") {
		s.ExitIf = &rule.Condition{Bought: &rule.Bought{AtLeast: "3"}}
	}
	return s
}

// edit drops, moves or adds a step.
func (m *machine) edit(t *rapid.T, s *mailer.CampaignSpec) {
	s.Steps = slices.Clone(s.Steps)
	at := rapid.IntRange(0, len(s.Steps)-1).Draw(t, "at")
	switch rapid.SampledFrom([]string{"drop", "swap", "add"}).Draw(t, "edit") {
	case "drop":
		if len(s.Steps) > 1 && at+1 < len(s.Steps) { // the last one sends
			s.Steps = slices.Delete(s.Steps, at, at+1)
		}
	case "swap":
		other := rapid.IntRange(0, len(s.Steps)-1).Draw(t, "with")
		s.Steps[at], s.Steps[other] = s.Steps[other], s.Steps[at]
	case "add":
		s.Steps = slices.Insert(s.Steps, at, m.step(t, 1))
	}
}

// order gives the place of every step in the order in which a run can come to them.
func order(steps []mailer.StepSpec, into map[string]int) {
	for _, s := range steps {
		into[s.ID] = len(into)
		for _, b := range s.Branch {
			order(b.Steps, into)
		}
		if s.Split != nil {
			for _, v := range s.Split.Variants {
				order(v.Steps, into)
			}
		}
	}
}

// TestRandomMachines drives random definitions through crashes, restarts, edits, orders and jumps of the clock: every run
// ends, no mail leaves twice, steps keep their order, and a contact keeps its variant.
func TestRandomMachines(t *testing.T) {
	fewer(t)
	for _, engine := range []store.Dialect{store.SQLite, store.MySQL} {
		t.Run(string(engine), func(t *testing.T) {
			crash := 0 // > 0: so many sides of commits until the process ends
			db := servers.Open(t, engine, store.Options{DSN: servers.DSN(t, engine), Fault: func(string, string) error {
				if crash--; crash == 0 {
					return errCrash
				}
				return nil
			}})
			w := newWorld(t, db)
			s := newService(t)
			rapid.Check(t, func(rt *rapid.T) { randomMachine(rt, w, s, &crash) })
		})
	}
}

// fewer lets rapid draw a tenth of what it was told to: each draw is dozens of durable transactions on two engines.
func fewer(t *testing.T) {
	t.Helper()
	checks := flag.Lookup("rapid.checks")
	before := checks.Value.String()
	n := must(strconv.Atoi(before))(t)
	if err := checks.Value.Set(strconv.Itoa(max(n/10, 1))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = checks.Value.Set(before) })
}

func randomMachine(t *rapid.T, w *world, s *service, crash *int) {
	w.write(func(tx *store.Tx) error {
		for _, table := range []string{
			"campaigns", "campaign_defs", "campaign_shops", "campaign_counts", "split_winners", "enrolments", "sends", "send_log", "calls",
			"contact_attributes", "orders", "memberships", "segment_changes", "contacts", "consent_state", "dirty", "touches",
		} {
			if _, err := tx.ExecContext(t.Context(), "DELETE FROM "+table); err != nil {
				return err
			}
		}
		return nil
	})
	w.out.mu.Lock()
	w.out.mails = nil
	w.out.mu.Unlock()
	w.now, w.ahead = noon(), 0
	m := &machine{hook: s.URL}
	spec := m.campaign(t)
	w.armCalls(spec)
	var people []int64
	for i := range 3 {
		people = append(people, w.contact(fmt.Sprintf("c%d@example.com", i)))
	}
	edited := false
	for range rapid.IntRange(5, 20).Draw(t, "acts") {
		who := rapid.SampledFrom(people).Draw(t, "who")
		switch rapid.SampledFrom([]string{"enter", "enter", "enter", "order", "time", "time", "time", "crash", "edit"}).Draw(t, "act") {
		case "enter":
			w.enter(who, anybody, w.now)
		case "order":
			w.order(who, w.shop, mailer.SendID(w.db.NewID()), crm.StateAccepted, w.now)
			w.touch(who)
		case "time":
			w.now = w.now.Add(time.Duration(rapid.IntRange(1, 40*3600).Draw(t, "seconds")) * time.Second)
		case "crash":
			w.enter(who, anybody, w.now)
			w.now = w.now.Add(6 * time.Hour)
			*crash = rapid.IntRange(2, 14).Draw(t, "side")
		case "edit":
			edited = true
			m.edit(t, &spec)
			w.deploy(mailer.CampaignFile{"c": spec})
			w.options.Secrets = mailer.SecretsOf(mailer.CampaignFile{"c": spec})
			w.rebuild()
		}
		if err := w.tryRun(); err != nil && !errors.Is(err, errCrash) {
			t.Fatal(err)
		} else if err != nil {
			w.ahead += time.Minute // what was being handed over is unknown then
			w.rebuild()
		}
		*crash = 0
	}
	for i := 0; i < 40 && (i == 0 || w.count("SELECT (SELECT COUNT(*) FROM enrolments WHERE state IN ('active','sending'))+(SELECT COUNT(*) FROM calls WHERE state='open')") > 0); i++ {
		w.now, w.ahead = w.now.Add(48*time.Hour), w.ahead+time.Hour
		w.run()
	}
	checkMachine(t, w, spec, edited)
}

func checkMachine(t *rapid.T, w *world, spec mailer.CampaignSpec, edited bool) {
	if n := w.count("SELECT COUNT(*) FROM enrolments WHERE state NOT IN ('done','exited')"); n != 0 {
		t.Fatalf("%d runs never end", n)
	}
	if n := w.count("SELECT COUNT(*) FROM sends WHERE state NOT IN ('accepted','refused','unknown')"); n != 0 {
		t.Fatalf("%d mails never settle", n)
	}
	if n := w.count("SELECT COUNT(*) FROM calls WHERE state NOT IN ('done','dropped')"); n != 0 {
		t.Fatalf("%d calls never end", n)
	}
	handed := map[string]int{}
	for _, m := range w.out.got() {
		if handed[m.SendID]++; handed[m.SendID] > 1 {
			t.Fatalf("%s was handed over twice", m.SendID)
		}
	}
	for _, s := range w.sends(mailer.SendFilter{Limit: 500}) {
		if s.State == mailer.Accepted && handed[s.Send] != 1 {
			t.Fatalf("%s is accepted and was handed over %d times", s.Send, handed[s.Send])
		}
	}
	var runs []struct {
		ID       int64
		Contact  int64 `db:"contact_id"`
		Variants string
	}
	if err := w.db.Read().SelectContext(t.Context(), &runs, "SELECT id, contact_id, variants FROM enrolments ORDER BY id"); err != nil {
		t.Fatal(err)
	}
	place := map[string]int{}
	order(spec.Steps, place)
	for _, r := range runs {
		had := map[string]string{}
		for one := range strings.SplitSeq(r.Variants, ",") {
			step, variant, _ := strings.Cut(one, "=")
			if old, twice := had[step]; twice && old != variant {
				t.Fatalf("a run has two variants: %s", r.Variants)
			}
			had[step] = variant
		}
		if edited {
			continue
		}
		var steps []string
		if err := w.db.Read().SelectContext(t.Context(), &steps, "SELECT step FROM sends WHERE enrolment_id=? ORDER BY id", r.ID); err != nil {
			t.Fatal(err)
		}
		if !slices.IsSortedFunc(steps, func(a, b string) int { return place[a] - place[b] }) {
			t.Fatalf("the mails left in another order than their steps: %v", steps)
		}
		for _, step := range slices.Sorted(maps.Keys(had)) {
			if step != "" && w.count("SELECT COUNT(*) FROM split_winners WHERE variant<>'' AND step=?", step) == 0 && had[step] != splitOf(spec.Steps, step, r.Contact) {
				t.Fatalf("the contact got %s of %s", had[step], step)
			}
		}
	}
}

// splitOf is what a split must give to a contact.
func splitOf(steps []mailer.StepSpec, id string, contact int64) string {
	for _, s := range steps {
		for _, b := range s.Branch {
			if got := splitOf(b.Steps, id, contact); got != "" {
				return got
			}
		}
		if s.Split == nil {
			continue
		}
		var ids []string
		for _, v := range s.Split.Variants {
			ids = append(ids, v.ID)
			if got := splitOf(v.Steps, id, contact); got != "" {
				return got
			}
		}
		if s.ID == id {
			return mailer.VariantOf("c", id, contact, ids...)
		}
	}
	return ""
}
