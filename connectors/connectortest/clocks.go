package connectortest

import (
	"testing"
	"time"

	"github.com/relance/relance/connectors"
)

// clockChanges: the hour that comes twice in autumn and the one that is left out in spring hide no change, whatever
// times of day the platform filters by.
func clockChanges(t *testing.T, h *harness) {
	if h.SetClock == nil || h.Zone == "" {
		t.Skip("the shop's clock cannot be set")
	}
	zone, err := time.LoadLocation(h.Zone)
	if err != nil {
		t.Fatal(err)
	}
	src, ids := h.source(t), h.IDs()
	var at connectors.Cursor
	n := 0
	for _, change := range changes(t, zone, h.Now()) {
		h.SetClock(change.Add(-3 * time.Hour))
		_, at = h.walk(t, src, h.Stream, at, 100, nil)
		for _, minutes := range []int{-90, -59, -31, -1, 0, 1, 29, 31, 59, 61, 90, 119, 121, 200} {
			edited := change.Add(time.Duration(minutes) * time.Minute)
			h.SetClock(edited)
			id := ids[n%len(ids)]
			n++
			if err := h.Touch(id); err != nil {
				t.Fatal(err)
			}
			h.SetClock(edited.Add(30 * time.Second))
			var seen map[string]bool
			seen, at = h.walk(t, src, h.Stream, at, 100, nil)
			if !seen[id] {
				t.Errorf("an edit %v min from the change of %s is not seen", minutes, change.In(zone).Format("2 January 2006"))
			}
		}
	}
}

// changes are the next two instants at which the zone's offset changes.
func changes(t *testing.T, zone *time.Location, after time.Time) []time.Time {
	t.Helper()
	var out []time.Time
	at := after.Truncate(time.Hour)
	for range 2 * 366 * 24 {
		_, a := at.In(zone).Zone()
		_, b := at.Add(time.Hour).In(zone).Zone()
		if at = at.Add(time.Hour); a != b {
			out = append(out, at)
		}
		if len(out) == 2 {
			return out
		}
	}
	t.Fatalf("the clocks of %s do not change", zone)
	return nil
}

// clockSkew: what changed is found by the shop's clock, however far ours is off; the probe says that it is.
func clockSkew(t *testing.T, h *harness) {
	if h.Skew == nil {
		t.Skip("the shop's clock cannot be set apart")
	}
	for _, d := range []time.Duration{3 * time.Hour, -3 * time.Hour} {
		h.Skew(d)
		src, ids := h.source(t), h.IDs()
		_, at := h.walk(t, src, h.Stream, nil, 100, nil)
		h.Tick()
		if err := h.Touch(ids[1]); err != nil {
			t.Fatal(err)
		}
		seen, _ := h.walk(t, src, h.Stream, at, 100, nil)
		wantAll(t, seen, ids[1:2])
		res, err := src.Probe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		said := false
		for _, f := range res.Findings {
			said = said || !f.OK && f.Mend != ""
		}
		if !said {
			t.Errorf("the probe is content with a clock %v off: %+v", d, res.Findings)
		}
	}
	h.Skew(0)
}
