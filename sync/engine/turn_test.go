package engine

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
)

func aRow(name string, mode connectors.Mode, change func(*row)) *row {
	r := &row{Stream: mirror.Stream{Stream: name, BackfilledAt: 1}, spec: connectors.Stream{Name: name, Mode: mode}}
	if change != nil {
		change(r)
	}
	return r
}

func turns(t *turn, n int, rows []*row, hint bool) string {
	var q queued
	if hint {
		q.hints = make([]mirror.Hint, 1)
	}
	var b strings.Builder
	for range n {
		switch w := t.next(rows, q, 100); {
		case w.hint:
			b.WriteString("h")
		case w.row != nil:
			b.WriteString(w.row.Stream.Stream)
		default:
			b.WriteString("-")
		}
	}
	return b.String()
}

func TestTurns(t *testing.T) {
	const delta, ids = connectors.ModeDelta, connectors.ModeIDs
	first := func(r *row) { r.BackfilledAt = 0 }
	late := func(r *row) { r.NextAt = 200 }
	wanted := func(r *row) { r.NextAt, r.WantedAt, r.ReadAt = 200, 90, 80 }
	waiting := func(r *row) { r.Attempts, r.NextAt, r.WantedAt = 1, 200, 90 }
	for name, c := range map[string]struct {
		rows []*row
		hint bool
		want string
	}{
		"nothing due":                       {[]*row{aRow("a", delta, late)}, false, "----"},
		"only hints":                        {[]*row{aRow("a", delta, late)}, true, "hhhhhhhhhh"},
		"streams in turn":                   {[]*row{aRow("a", delta, nil), aRow("b", delta, nil)}, false, "abababab"},
		"first runs one after the other":    {[]*row{aRow("a", delta, first), aRow("b", delta, first), aRow("c", delta, nil)}, false, "acacac"},
		"id lists wait for the backfill":    {[]*row{aRow("a", delta, first), aRow("b", ids, nil)}, false, "aaaa"},
		"a failing stream waits":            {[]*row{aRow("a", delta, waiting), aRow("b", delta, nil)}, false, "bbbb"},
		"hints do not starve streams":       {[]*row{aRow("a", delta, nil)}, true, "hhhhhahhhhhahhhhha"},
		"a mail waits: at once":             {[]*row{aRow("a", delta, nil), aRow("w", delta, wanted)}, false, "wwww"},
		"a mail waits: one hint at a time":  {[]*row{aRow("w", delta, wanted)}, true, "hwhwhwhw"},
		"endless wishes do not starve":      {[]*row{aRow("a", delta, nil), aRow("w", delta, wanted)}, false, "wwwwwwwwawwwwwwwwa"},
		"a first run that fails lets pass":  {[]*row{aRow("a", delta, func(r *row) { r.BackfilledAt = 0; waiting(r) }), aRow("b", delta, first)}, false, "bbb"},
		"a stream never read before is due": {[]*row{aRow("a", delta, first)}, false, "aaa"},
	} {
		t.Run(name, func(t *testing.T) {
			tn := &turn{served: map[string]int64{}}
			if got := turns(tn, len(c.want), c.rows, c.hint); got != c.want {
				t.Errorf("turns %s, want %s", got, c.want)
			}
		})
	}
}

func TestStampsGrowWhateverTheClocksDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &clock{}
		last := crm.Instant(0)
		for range rapid.IntRange(1, 40).Draw(t, "reads") {
			now := time.UnixMilli(rapid.Int64Range(1_700_000_000_000, 1_700_000_900_000).Draw(t, "now"))
			switch rapid.IntRange(0, 3).Draw(t, "event") {
			case 0:
				c.learn(now.Add(time.Duration(rapid.Int64Range(-900, 900).Draw(t, "off"))*time.Second), now, now.Add(time.Second))
				c.stored = c.skew
			case 1:
				c.resume(last, rapid.Int64Range(-900_000, 900_000).Draw(t, "skew"))
			}
			if at := c.observe(now); at <= last {
				t.Fatalf("stamp %d after %d", at, last)
			} else {
				last = at
			}
		}
	})
}

func TestOnlyACertainSkewIsBelieved(t *testing.T) {
	from := time.Date(2026, 11, 20, 9, 0, 0, 400e6, time.UTC)
	for name, c := range map[string]struct {
		shop time.Time
		took time.Duration
		want time.Duration
	}{
		"the same second":            {from.Truncate(time.Second), 100 * time.Millisecond, 0},
		"within a slow answer":       {from.Truncate(time.Second).Add(20 * time.Second), 30 * time.Second, 0},
		"ahead":                      {from.Truncate(time.Second).Add(time.Hour), time.Second, time.Hour - 1400*time.Millisecond},
		"behind":                     {from.Truncate(time.Second).Add(-time.Hour), time.Second, -time.Hour + 600*time.Millisecond},
		"a second behind, truncated": {from.Truncate(time.Second).Add(-time.Second), 0, -400 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			k := &clock{}
			k.learn(c.shop, from, from.Add(c.took))
			if k.skew != c.want {
				t.Errorf("skew %v, want %v", k.skew, c.want)
			}
		})
	}
}

func TestBackoffGrowsToItsCeiling(t *testing.T) {
	for attempts := range 70 {
		d := (&Engine{}).backoff(time.Second, time.Minute, attempts, "orders")
		low := min(time.Second<<min(max(attempts-1, 0), 20), time.Minute) / 2
		if d < low || d > 2*low {
			t.Fatalf("attempt %d waits %v", attempts, d)
		}
	}
}
