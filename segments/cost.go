package segments

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// Cost is what keeping one segment true took. Seconds and RowsRead are estimates: every sampled contact's evaluation is
// measured and stands for those beside it. RowsWritten is counted.
type Cost struct {
	Segment     string  `json:"segment"`
	Evaluations int64   `json:"evaluations"`  // of its definition, for a contact at an instant
	Seconds     float64 `json:"seconds"`      // of one core
	RowsRead    int64   `json:"rows_read"`    // facts that it looked at; a fact that several segments look at is read once and counted for each
	RowsWritten int64   `json:"rows_written"` // memberships and recorded changes
}

// Costs sums what was measured since a day (UTC), by segment. What was measured in the last minute may be missing.
func Costs(ctx context.Context, q store.Queryer, since time.Time) ([]Cost, error) {
	var rows []struct {
		Segment     string
		Evaluations int64
		Micros      int64
		RowsRead    int64 `db:"rows_read"`
		RowsWritten int64 `db:"rows_written"`
	}
	if err := q.SelectContext(ctx, &rows, `SELECT segment, SUM(evaluations) AS evaluations, SUM(micros) AS micros, SUM(rows_read) AS rows_read, SUM(rows_written) AS rows_written
 FROM segment_costs WHERE cost_day>=? GROUP BY segment ORDER BY segment`, dayOf(crm.At(since))); err != nil {
		return nil, fmt.Errorf("reading what segments cost: %w", err)
	}
	out := make([]Cost, len(rows))
	for i, r := range rows {
		out[i] = Cost{r.Segment, r.Evaluations, float64(r.Micros) / 1e6, r.RowsRead, r.RowsWritten}
	}
	return out, nil
}

const (
	costSample = 16 // one contact of so many is measured; every batch has one
	costKeep   = 90 // days
	costFlush  = time.Minute
)

// costs gathers, in memory, what was not stored yet; what a crash loses is a minute's estimate.
type costs struct {
	spent   map[string]*spending
	flushed time.Time // real time
}

type spending struct {
	evaluations, read, written int64
	spent                      time.Duration
}

// measure takes a written batch into account. Sampled contacts are evaluated once more, under a watch: the evaluation
// that counts stays free of it.
func (m *Maintainer) measure(s *setup, settled []*settling, was []before, now crm.Instant, left map[int64]bool) {
	if m.costs.spent == nil {
		m.costs.spent = map[string]*spending{}
	}
	for i, c := range settled {
		if left[c.id] || c.steps == 0 && len(c.flips) == 0 {
			continue
		}
		sampled := i%costSample == 0
		weight := int64(min(costSample, len(settled)-i))
		for j, sl := range s.slots {
			x := m.costs.spent[sl.segment]
			if x == nil {
				x = &spending{}
				m.costs.spent[sl.segment] = x
			}
			x.evaluations += int64(max(c.steps, 1))
			if c.in[j] != was[i].in[j] {
				x.written++
			}
			if sampled && c.profile != nil {
				began := time.Now()
				sl.rule.Match(c.profile, now)
				sl.rule.NextChange(c.profile, now)
				x.spent += time.Since(began) * time.Duration(int64(max(c.steps, 1))*weight)
				x.read += facts(c.profile, sl.rule.Needs()) * weight
			}
		}
		for _, f := range c.flips {
			if sl := s.slots[f.slot]; sl.speaks() {
				m.costs.spent[sl.segment].written++
			}
		}
	}
}

// facts counts the rows of a profile that a definition looks at.
func facts(p *crm.Profile, n crm.Needs) int64 {
	rows := 1
	if n.Orders || n.Lines || n.Source {
		rows += len(p.Orders)
	}
	for i := range p.Orders {
		if n.Lines {
			rows += len(p.Orders[i].Lines)
		}
	}
	if n.Carts {
		rows += len(p.Carts)
	}
	if n.Consents {
		rows += len(p.Consents)
	}
	if n.Events != nil {
		rows += len(p.Events)
	}
	if n.History != nil {
		rows += len(p.History)
	}
	return int64(rows)
}

// FlushCosts stores what was measured and not stored yet; call it before a maintainer is given up.
func (m *Maintainer) FlushCosts(ctx context.Context) error { return m.flushCosts(ctx, m.clock, 0) }

// flushCosts stores what was measured, by day, unless that was done less than every ago, and forgets what is old.
func (m *Maintainer) flushCosts(ctx context.Context, now crm.Instant, every time.Duration) error {
	wall := time.Now()
	if m.costs.flushed.IsZero() {
		m.costs.flushed = wall
	}
	if len(m.costs.spent) == 0 || wall.Sub(m.costs.flushed) < every {
		return nil
	}
	today := dayOf(now)
	rows := make([][]any, 0, len(m.costs.spent))
	for segment, x := range m.costs.spent {
		rows = append(rows, []any{segment, today, x.evaluations, x.spent.Microseconds(), x.read, x.written})
	}
	cols := []string{"segment", "cost_day", "evaluations", "micros", "rows_read", "rows_written"}
	err := m.db.WriteBackground(ctx, "segments.costs", func(tx *store.Tx) error {
		var sums []string
		for _, c := range cols[2:] {
			sums = append(sums, fmt.Sprintf("%s=segment_costs.%s+%s", c, c, tx.Dialect().Refused(c)))
		}
		clause := tx.Dialect().OnConflict("segment", "cost_day") + strings.Join(sums, ", ")
		if err := tx.InsertOr(ctx, "segment_costs", cols, clause, rows); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "DELETE FROM segment_costs WHERE cost_day<?", today-costKeep*dayMillis)
		return err
	})
	if err != nil {
		return fmt.Errorf("storing what segments cost: %w", err)
	}
	m.metrics.spent(m.costs.spent)
	m.costs.spent, m.costs.flushed = nil, wall
	return nil
}
