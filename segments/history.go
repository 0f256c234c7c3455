package segments

import (
	"context"
	"fmt"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

const dayMillis = int64(24 * time.Hour / time.Millisecond)

// Day is one UTC day of a segment's history. Entered and Left count what the recorded changes date on it, people who
// came and left on the same day included; of them Redefined were no doing of anybody's but of an edited definition, a
// first build or moved thresholds.
type Day struct {
	Day       string `json:"day"`  // 2026-11-27
	Size      int64  `json:"size"` // members at its end; on the last day now
	Entered   int64  `json:"entered"`
	Left      int64  `json:"left"`
	Redefined int64  `json:"redefined"`
}

// History gives up to days days of a segment that is in force, oldest first, today the last. Days before the segment was
// first defined are left out: nothing is known of them. Sizes count back from what is stored now, so that a change that
// was learned late stands on the day on which it took effect. ErrUnknown.
func History(ctx context.Context, q store.Queryer, segment string, now time.Time, days int) ([]Day, error) {
	var def struct {
		Born     int64
		Standing int
	}
	if err := q.GetContext(ctx, &def, `SELECT COALESCE(MIN(created_at),0) AS born, COALESCE(MAX(CASE WHEN state IN ('live','building') THEN 1 ELSE 0 END),0) AS standing
 FROM segment_defs WHERE segment=?`, segment); err != nil {
		return nil, fmt.Errorf("reading the history of %s: %w", segment, err)
	}
	if def.Standing == 0 {
		return nil, fmt.Errorf("reading the history of %s: %w", segment, ErrUnknown)
	}
	today := dayOf(crm.At(now))
	first := max(today-int64(days-1)*dayMillis, dayOf(crm.Instant(def.Born)))
	size, err := Size(ctx, q, segment)
	if err != nil {
		return nil, err
	}
	var rows []struct {
		Day     int64
		Entered bool
		Cause   crm.Cause
		N       int64
	}
	if err := q.SelectContext(ctx, &rows, `SELECT effective_at-effective_at%86400000 AS day, entered, cause, COUNT(*) AS n FROM segment_changes
 WHERE segment=? AND effective_at>=? GROUP BY effective_at-effective_at%86400000, entered, cause`, segment, first); err != nil {
		return nil, fmt.Errorf("reading the history of %s: %w", segment, err)
	}
	byDay := map[int64]*Day{}
	for _, r := range rows {
		at := min(r.Day, today)
		d := byDay[at]
		if d == nil {
			d = &Day{}
			byDay[at] = d
		}
		if r.Entered {
			d.Entered += r.N
		} else {
			d.Left += r.N
		}
		switch r.Cause {
		case crm.CauseBuilt, crm.CauseRedefined, crm.CauseThreshold:
			d.Redefined += r.N
		case crm.CauseChange, crm.CauseClock, crm.CauseConsent, crm.CauseBackfill, crm.CauseMerge:
		}
	}
	out := make([]Day, max((today-first)/dayMillis+1, 0))
	for i := len(out) - 1; i >= 0; i-- {
		at := first + int64(i)*dayMillis
		if d := byDay[at]; d != nil {
			out[i] = *d
		}
		out[i].Day, out[i].Size = crm.Instant(at).Time().Format(time.DateOnly), max(size, 0)
		size += out[i].Left - out[i].Entered
	}
	return out, nil
}

func dayOf(t crm.Instant) int64 { return int64(t) - int64(t)%dayMillis }
