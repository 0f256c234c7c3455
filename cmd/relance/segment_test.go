package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

const lookedAt = `
everybody:
  title: Bought something
  match: {bought: {at_least: 1}}
french:
  match: {country: FR}
`

// lookingRig is a rig whose shop was read, with two segments of its own.
func lookingRig(t *testing.T) *rig {
	t.Helper()
	r := newRig(t).withShop()
	r.write("segments/own.yaml", lookedAt)
	r.must("sync", "--once")
	return r
}

func answerOf[T any](r *rig, args ...string) T {
	r.t.Helper()
	var v T
	if err := json.Unmarshal([]byte(r.must(append(args, "--json")...)), &v); err != nil {
		r.t.Fatal(err)
	}
	return v
}

func lines(text string) []string { return strings.Split(strings.TrimSpace(text), "\n") }

func TestLookingAtASegment(t *testing.T) {
	t.Parallel()
	r := lookingRig(t)
	all := lines(r.must("segment", "members", "everybody"))
	size := answerOf[segmentSize](r, "segment", "size", "everybody")
	if size.Version != 1 || size.By != "stored" || int(size.Size) != len(all) || size.At == "" || len(all) < 5 {
		t.Fatalf("%+v, %d members", size, len(all))
	}
	at := time.Now().UTC().Add(time.Hour).Format(time.RFC3339)
	if then := answerOf[segmentSize](r, "segment", "size", "everybody", "--at", at); then.By != "facts" || then.Size != size.Size || then.At != at {
		t.Errorf("%+v", then)
	}
	if old := lines(r.must("segment", "size", "everybody", "--at", "1999-01-01T00:00:00Z")); old[0] != "0" {
		t.Errorf("%v in 1999", old)
	}

	// Pages add up to the whole.
	var paged []string
	after := "0"
	for {
		page := r.must("segment", "members", "everybody", "--limit", "2", "--after", after)
		if page == "" {
			break
		}
		paged = append(paged, lines(page)...)
		after, _, _ = strings.Cut(paged[len(paged)-1], "\t")
	}
	if strings.Join(paged, "\n") != strings.Join(all, "\n") {
		t.Errorf("pages give %d, the list %d", len(paged), len(all))
	}
	if n := len(lines(r.must("segment", "members", "everybody", "--at", at, "--limit", "3"))); n != 3 {
		t.Errorf("%d of 3", n)
	}

	out := r.must("segment", "history", "everybody")
	wants(t, out, "day", "entered", time.Now().UTC().Format(time.DateOnly), "█", "+", " r ")
	history := answerOf[struct {
		Version int
		Days    []struct {
			Size, Entered, Redefined int64
		}
	}](r, "segment", "history", "everybody", "--days", "3")
	if n := len(history.Days); n == 0 || history.Days[n-1].Size != size.Size || history.Days[n-1].Entered != size.Size || history.Days[n-1].Redefined == 0 {
		t.Errorf("%+v", history)
	}

	wants(t, r.must("segment", "cost"), "everybody", "french", "evaluations", "rows written", " ms")
	cost := answerOf[struct {
		Version  int
		Segments []struct {
			Segment     string
			Evaluations int64
			Written     int64 `json:"rows_written"`
		}
	}](r, "segment", "cost")
	if cost.Version != 1 || len(cost.Segments) != 12 || cost.Segments[0].Evaluations == 0 {
		t.Errorf("%+v", cost)
	}

	for _, args := range [][]string{{"size", "nobody"}, {"history", "nobody"}, {"verify", "nobody"}, {"history", "everybody", "--days", "0"}, {"cost", "--days", "0"}, {"size", "everybody", "--at", "now"}} {
		if code, _, errs := r.run(append([]string{"segment"}, args...)...); code != exitUsage || errs == "" {
			t.Errorf("%v: exit %d %s", args, code, errs)
		}
	}
}

func TestVerifyingOneSegmentByName(t *testing.T) {
	t.Parallel()
	r := lookingRig(t)
	db, err := store.Open(t.Context(), store.Options{DSN: "sqlite:" + filepath.Join(r.dir, "relance.db")})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Write(t.Context(), "test", func(tx *store.Tx) error {
		_, err := tx.ExecContext(t.Context(), "DELETE FROM memberships WHERE segment='everybody'")
		return err
	})
	if err != nil || db.Close() != nil {
		t.Fatal(err)
	}
	wants(t, r.must("segment", "verify", "french"), "0 differences")
	code, out, _ := r.run("segment", "verify", "everybody")
	if code != exitFailure {
		t.Errorf("exit %d", code)
	}
	wants(t, out, "everybody: stored false, computed true")
}

func TestTryingAConditionStoresNothing(t *testing.T) {
	t.Parallel()
	r := lookingRig(t)
	before := r.must("segment", "list")
	size := answerOf[segmentSize](r, "segment", "size", "everybody").Size
	a := answerOf[tried](r, "segment", "try", "bought: {}", "--examples", "2")
	if a.Version != 1 || a.Size != size || a.Contacts < a.Size || len(a.Examples) != 2 {
		t.Errorf("%+v", a)
	}
	if b := answerOf[tried](r, "segment", "try", "not: {segment: everybody}"); b.Size != a.Contacts-a.Size {
		t.Errorf("%+v", b)
	}
	r.in = strings.NewReader("idea:\n  title: An idea\n  match:\n    all:\n      - segment: [everybody]\n      - country: [FR, BE]\n")
	wants(t, r.must("segment", "try", "-"), " contacts\n")
	if old := answerOf[tried](r, "segment", "try", "bought: {}", "--at", "1999-01-01T00:00:00Z"); old.Size != 0 {
		t.Errorf("%+v", old)
	}
	if ranked := answerOf[tried](r, "segment", "try", "rfm: champions"); ranked.Size != 0 || !strings.Contains(strings.Join(ranked.Notes, " "), "thresholds") {
		t.Errorf("%+v", ranked)
	}
	for text, want := range map[string]string{
		"bougth: {}":           "condition:1:1",
		"bought: {at_last: 2}": "did you mean at_least",
		"segment: everybodyy":  "did you mean everybody",
		"":                     "there is nothing",
	} {
		code, _, errs := r.run("segment", "try", text)
		if code != exitUsage || !strings.Contains(errs, want) {
			t.Errorf("%q: exit %d: %s", text, code, errs)
		}
	}
	if after := r.must("segment", "list"); after != before {
		t.Errorf("trying changed something:\n%s\n%s", before, after)
	}
}

func TestExplainShowsTheTreeOfANewCondition(t *testing.T) {
	t.Parallel()
	r := newRig(t).withShop()
	r.write("segments/own.yaml", `
rich:
  match:
    at_least:
      n: 2
      of:
        - first_purchase: {older_than: 1d}
        - not: {bounced: true}
        - segment: base
        - overdue: {factor: 1.5}
        - clicked: {within: 90d}
base:
  match: {bought: {at_least: 1, within: 100y}}
`)
	r.must("sync", "--once")
	id, _, _ := strings.Cut(lines(r.must("segment", "members", "base"))[0], "\t")
	out := r.must("segment", "explain", "rich", id)
	wants(t, out, "is in rich as stored", "at least 2 of", "first purchase", "bought at", "  not\n", "no address is suppressed", "segment base", "overdue by a factor of 1.5",
		"rhythm", "clicked in a mail", "0 times", " at ")
	r.in = strings.NewReader(id + "\n")
	a := answerOf[explained](r, "segment", "explain", "rich", "-")
	if !a.Member || !a.Explanation.Match || len(a.Explanation.Of) != 5 || len(a.Changes) != 1 || a.Changes[0].Cause != crm.CauseBuilt {
		t.Errorf("%+v", a)
	}
}

func TestPlanShowsWhatTheFilesWouldDo(t *testing.T) {
	t.Parallel()
	r := newRig(t).withShop()
	r.write("segments/own.yaml", lookedAt)
	if a := answerOf[planned](r, "plan"); len(a.Segments) != 12 || !a.Changes || !strings.Contains(strings.Join(a.Notes, " "), "no database yet") {
		t.Errorf("%+v", a)
	}
	if _, err := os.Stat(filepath.Join(r.dir, "relance.db")); err == nil {
		t.Error("planning made a database")
	}
	r.must("sync", "--once")
	r.must("campaign", "arm", "win_back", "--yes")
	same := answerOf[planned](r, "plan")
	for _, s := range same.Segments {
		if s.What != "unchanged" || s.After != s.Before || s.Enter+s.Leave != 0 {
			t.Errorf("%+v", s)
		}
	}
	if same.Changes || len(same.Campaigns) != 15 {
		t.Errorf("%+v", same)
	}
	wants(t, r.must("plan"), "12 segments as in force", "= win_back (armed)", "The files say what is in force.", "note: ")

	size := answerOf[segmentSize](r, "segment", "size", "everybody").Size
	r.write("segments/own.yaml", strings.Replace(strings.Split(lookedAt, "french:")[0], "at_least: 1", "at_least: 2", 1)+"fresh:\n  match: {bought: {}}\n")
	r.edit("campaigns/win_back.yaml", "template: win_back}", "template: welcome}")
	out := r.must("plan", "--examples", "1")
	wants(t, out, "+ fresh is new", "~ everybody is edited: 0 would enter", "- french is gone from the files", "~ win_back (armed) is edited", "leave: ")
	a := answerOf[planned](r, "plan")
	by := map[string]plannedSegment{}
	for _, s := range a.Segments {
		by[s.Segment] = s
	}
	if f := by["fresh"]; f.What != "new" || f.Enter != size || len(f.Entering) != 5 || f.Leave != 0 {
		t.Errorf("%+v", f)
	}
	if e := by["everybody"]; e.What != "changed" || e.Before != size || e.After != size-e.Leave || e.Leave == 0 || len(e.Leaving) == 0 {
		t.Errorf("%+v", e)
	}
	// What was planned is what happens.
	r.must("sync", "--once")
	for _, s := range a.Segments {
		if s.What == "removed" {
			continue
		}
		if now := answerOf[segmentSize](r, "segment", "size", s.Segment).Size; now != s.After {
			t.Errorf("%s has %d, planned %d", s.Segment, now, s.After)
		}
	}
	r.write("segments/own.yaml", "x:\n  match: {bougth: {}}\n")
	if code, _, errs := r.run("plan"); code != exitUsage || !strings.Contains(errs, "segments/own.yaml:2:") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

// A run that stands in a campaign is counted among those who would leave, and a daemon may hold the database meanwhile.
func TestPlanBesideADaemonCountsWhoIsUnderWay(t *testing.T) {
	t.Parallel()
	r := lookingRig(t)
	r.must("campaign", "arm", "win_back", "--yes")
	id, _, _ := strings.Cut(lines(r.must("segment", "members", "everybody"))[0], "\t")
	path := filepath.Join(r.dir, "relance.db")
	unlock, err := lockDatabase(path)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	db, err := store.Open(t.Context(), store.Options{DSN: "sqlite:" + path})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Write(t.Context(), "test", func(tx *store.Tx) error {
		if _, err := tx.ExecContext(t.Context(), "INSERT INTO memberships(contact_id, segment, generation, lane, since) SELECT ?, segment, generation, 0, 1 FROM segment_defs WHERE segment='dormant'"+
			" ON CONFLICT DO NOTHING", id); err != nil {
			return err
		}
		return tx.Insert(t.Context(), "enrolments", []string{"id", "campaign", "contact_id", "occurrence", "step", "state", "due_at"},
			[][]any{{1, "win_back", id, "once", "we_miss_you", "active", 1}, {2, "win_back", 77, "once", "bygone", "active", int64(crm.Never)}})
	})
	if err != nil {
		t.Fatal(err)
	}
	r.edit("segments/win_back.yaml", "last_purchase: {older_than: 60d}", "last_purchase: {older_than: 99y}")
	for _, c := range answerOf[planned](r, "plan").Campaigns {
		if c.Campaign == "win_back" && (c.UnderWay != 2 || c.DueBy != 1 || c.StepsGone != 1 || c.Leaving != 1 || c.NextDue == "") {
			t.Errorf("%+v", c)
		}
	}
	wants(t, r.must("plan"), "2 under way, 1 with a step due by", "1 stand at a step that is no longer there", "1 would end, since their contacts would leave dormant")
}
