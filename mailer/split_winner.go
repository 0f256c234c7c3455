package mailer

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// significance is how sure a winner is: of splits without a difference at most one in twenty gets one, however often it is
// looked at and however many variants there are.
const significance = 0.05

// judgeEvery is how often splits are looked at, in business time.
const judgeEvery = time.Minute

// winnerRow is a split that is to have a winner. It is made when somebody is first seen to have come there.
type winnerRow struct {
	Campaign  string
	Step      string
	Variant   string      // "" until it is known
	SinceAt   crm.Instant `db:"since_at"`
	Looks     int         // how often the difference was judged
	DecidedAt crm.Instant `db:"decided_at"`
	Why       string
}

const winnerCols = "campaign, step, variant, since_at, looks, decided_at, why"

// winners reads whom splits have for winners.
func winners(ctx context.Context, q store.Queryer, campaigns map[string]running) (map[[2]string]string, error) {
	if !slices.ContainsFunc(slices.Collect(maps.Values(campaigns)), func(r running) bool { return len(r.contests()) > 0 }) {
		return nil, nil
	}
	var rows []winnerRow
	if err := q.SelectContext(ctx, &rows, "SELECT "+winnerCols+" FROM split_winners WHERE variant<>''"); err != nil {
		return nil, fmt.Errorf("reading winners of splits: %w", err)
	}
	won := map[[2]string]string{}
	for _, r := range rows {
		won[[2]string{r.Campaign, r.Step}] = r.Variant
	}
	return won, nil
}

// contests are the splits that are to have a winner.
func (c *campaign) contests() []*step {
	var out []*step
	for i := range c.steps {
		if c.steps[i].kind == stepSplit && c.steps[i].split.winner != nil {
			out = append(out, &c.steps[i])
		}
	}
	return out
}

// judgeSplits decides splits. Whoever owns the lane that a split's ids hash to judges it, so that one process does.
func (e *Engine) judgeSplits(ctx context.Context, p *pass) (worked bool, err error) {
	if e.judgedAt > 0 && p.now < e.judgedAt.Add(judgeEvery) {
		return false, nil
	}
	for _, id := range slices.Sorted(maps.Keys(p.campaigns)) {
		r := p.campaigns[id]
		if r.state == CampaignDraft {
			continue
		}
		for _, s := range r.contests() {
			if lane := laneOfSplit(id, s.id); slices.Contains(p.lanes, lane) && p.won[[2]string{id, s.id}] == "" {
				if err := e.judgeSplit(ctx, p, r, s, lane); err != nil {
					return false, fmt.Errorf("judging the split %s of campaign %s: %w", s.id, id, err)
				}
			}
		}
	}
	e.judgedAt = p.now
	return false, nil
}

func laneOfSplit(campaign, step string) int {
	h := sha256.Sum256([]byte(campaign + "\x00" + step))
	return int(h[0]) % crm.Lanes
}

func (e *Engine) judgeSplit(ctx context.Context, p *pass, r running, s *step, lane int) error {
	var won string
	err := e.db.Write(ctx, "mailer.split", func(tx *store.Tx) error {
		won = ""
		if err := e.fence(ctx, tx, []int{lane}); err != nil {
			return err
		}
		scores, err := scoresOf(ctx, tx, r.id, s)
		if err != nil || entered(scores) == 0 {
			return err
		}
		var rows []winnerRow
		if err := tx.SelectContext(ctx, &rows, "SELECT "+winnerCols+" FROM split_winners WHERE campaign=? AND step=?", r.id, s.id); err != nil {
			return err
		}
		row := winnerRow{Campaign: r.id, Step: s.id, SinceAt: p.now}
		if len(rows) == 0 {
			err = again(tx, tx.Insert(ctx, "split_winners", []string{"campaign", "step", "since_at"}, [][]any{{row.Campaign, row.Step, row.SinceAt}}))
		} else {
			row = rows[0]
		}
		if err != nil || row.Variant != "" {
			return err
		}
		next := s.split.winner.judge(scores, row, p.now)
		if next == row {
			return nil
		}
		won = next.Variant
		_, err = tx.ExecContext(ctx, "UPDATE split_winners SET variant=?, looks=?, decided_at=?, why=? WHERE campaign=? AND step=? AND variant=''",
			next.Variant, next.Looks, next.DecidedAt, clip(next.Why, 255), r.id, s.id)
		return err
	})
	if err == nil && won != "" {
		e.o.Log.Info("a split has its winner", zap.String("campaign", r.id), zap.String("step", s.id), zap.String("variant", won))
	}
	return err
}

// score is what a variant has brought so far.
type score struct {
	variant       string
	entered, hits int64
}

func (s score) rate() float64 {
	if s.entered == 0 {
		return 0
	}
	return float64(s.hits) / float64(s.entered)
}

func entered(scores []score) (n int64) {
	for _, s := range scores {
		n += s.entered
	}
	return n
}

// scoresOf reads the counters of the variants, in their order.
func scoresOf(ctx context.Context, q store.Queryer, campaign string, s *step) ([]score, error) {
	var names []string
	for _, v := range s.split.variants {
		names = append(names, splitCount(s.id, v.id, measureEntered), splitCount(s.id, v.id, s.split.winner.goal))
	}
	var rows []countRow
	if err := selectIn(ctx, q, &rows, "SELECT campaign, name, SUM(total) AS total FROM campaign_counts WHERE campaign=? AND name IN (?) GROUP BY campaign, name", campaign, names); err != nil {
		return nil, fmt.Errorf("reading counters: %w", err)
	}
	total := map[string]int64{}
	for _, r := range rows {
		total[r.Name] = r.Total
	}
	var out []score
	for _, v := range s.split.variants {
		out = append(out, score{v.id, total[splitCount(s.id, v.id, measureEntered)], total[splitCount(s.id, v.id, s.split.winner.goal)]})
	}
	return out, nil
}

// judge looks at the variants once each has had as many contacts as are asked for, and again each time that number has
// doubled: looking at every moment would sooner or later find a difference where there is none. The looks share the
// probability of such an error, half of what is left each.
func (w *winner) judge(scores []score, row winnerRow, now crm.Instant) winnerRow {
	best := slices.MaxFunc(scores, func(a, b score) int { return cmpRates(a, b) })
	least := slices.MinFunc(scores, func(a, b score) int { return int(min(max(a.entered-b.entered, -1), 1)) })
	for row.Looks < 40 && least.entered >= w.after<<row.Looks {
		allowed := significance / float64(int64(2)<<row.Looks) / float64(len(scores)-1)
		row.Looks++
		if clearly(best, scores, allowed) {
			row.Variant, row.DecidedAt = best.variant, now
			row.Why = fmt.Sprintf("clear: %s", compared(scores, w.goal))
			return row
		}
	}
	if w.decided > 0 && now >= row.SinceAt.Add(w.decided) {
		row.Variant, row.DecidedAt = best.variant, now
		row.Why = fmt.Sprintf("not clear, but decided after %s: %s", w.decided, compared(scores, w.goal))
	}
	return row
}

// cmpRates compares; of equals the first is as good as any.
func cmpRates(a, b score) int {
	switch {
	case a.rate() < b.rate():
		return -1
	case a.rate() > b.rate():
		return 1
	}
	return 0
}

// clearly tells whether a variant is better than every other by the two-proportion test.
func clearly(best score, scores []score, allowed float64) bool {
	for _, other := range scores {
		if other.variant != best.variant && (best.rate() <= other.rate() || chance(best, other) > allowed) {
			return false
		}
	}
	return true
}

// chance is the probability of a difference at least as large between two variants that are the same.
func chance(a, b score) float64 {
	all := float64(a.hits+b.hits) / float64(a.entered+b.entered)
	spread := math.Sqrt(all * (1 - all) * (1/float64(a.entered) + 1/float64(b.entered)))
	if spread == 0 || math.IsNaN(spread) {
		return 1
	}
	return math.Erfc(math.Abs(a.rate()-b.rate()) / spread / math.Sqrt2)
}

func compared(scores []score, measure string) string {
	parts := make([]string, len(scores))
	for i, s := range scores {
		parts[i] = fmt.Sprintf("%s %d of %d", s.variant, s.hits, s.entered)
	}
	return strings.Join(parts, ", ") + " (" + measure + ")"
}
