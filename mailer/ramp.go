package mailer

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/relance/relance/internal/crm"
)

const (
	standardRampFactor = 2
	standardRampDays   = 7
)

// ramp is a RampSpec read; the zero ramp bounds nothing.
type ramp struct{ start, factor, days int }

// limit is how many mails may leave on a day (UTC) of a campaign armed at an instant; false: as many as there are. The day
// of arming is the first.
func (r ramp) limit(armedAt, now crm.Instant) (mails int64, limited bool) {
	const day = int64(24 * time.Hour / time.Millisecond)
	if armedAt == 0 { // a draft: as if it began now
		armedAt = now
	}
	since := int64(now)/day - int64(armedAt)/day
	if r.start == 0 || since >= int64(r.days) {
		return 0, false
	}
	mails = int64(r.start)
	for range since {
		if mails > math.MaxInt32 {
			break
		}
		mails *= int64(r.factor)
	}
	return mails, true
}

// nextDay is the first instant of the day (UTC) after.
func nextDay(now crm.Instant) crm.Instant {
	return crm.At(now.Time().Truncate(24 * time.Hour).Add(24 * time.Hour))
}

// ramped is what a campaign that begins carefully may still send today.
type ramped struct {
	limit int64 // of all processes
	used  int64 // of all processes, when this batch began
	share int64 // of the limit, that falls to the lanes of this process
	ours  int64 // used by those lanes, and by this batch
	batch int64 // used by this batch
}

// full tells whether another mail would be too many. The limit is divided among the lanes: processes that decide at the same
// time each have a share of their own, and send together no more than the limit. When lanes change hands during a day, the
// count of all processes keeps to it, but for what the others decide at that very moment: at most one batch of each.
func (r *ramped) full() bool { return r.used+r.batch >= r.limit || r.ours >= r.share }

func (r *ramped) take() { r.batch++; r.ours++ }

// shareOf is how much of a limit falls to some lanes. It is spread over the lanes as evenly as whole mails can be; which lanes
// have what does not divide is another matter for each campaign and day.
func shareOf(limit int64, lanes []int, campaign, day string) int64 {
	h := sha256.Sum256([]byte("relance ramp\x00" + campaign + "\x00" + day))
	turn := int64(binary.BigEndian.Uint32(h[:4]) % crm.Lanes)
	share := int64(0)
	for _, l := range lanes {
		i := (int64(l) + turn) % crm.Lanes
		share += (i+1)*limit/crm.Lanes - i*limit/crm.Lanes
	}
	return share
}

// loadRamps counts what the campaigns of the batch that begin carefully have sent today.
func (g *gating) loadRamps(ctx context.Context, _ []int64) error {
	day := dayOf(g.now)
	var names []string
	for _, s := range g.rows {
		r := g.campaigns[s.Campaign]
		if r.campaign == nil || g.ramps[s.Campaign] != nil {
			continue
		}
		if limit, limited := r.ramp.limit(r.armedAt, g.now); limited {
			g.ramps[s.Campaign] = &ramped{limit: limit, share: shareOf(limit, g.lanes, s.Campaign, day)}
			names = append(names, s.Campaign)
		}
	}
	if len(names) == 0 {
		return nil
	}
	ours := map[int]bool{}
	for _, l := range g.lanes {
		ours[l] = true
	}
	var rows []struct {
		Campaign string
		Shard    int
		Total    int64
	}
	if err := selectIn(ctx, g.q, &rows, "SELECT campaign, shard, total FROM campaign_days WHERE campaign IN (?) AND day=? AND name=?", names, day, dayHanded); err != nil {
		return fmt.Errorf("counting the mails of today: %w", err)
	}
	for _, r := range rows {
		g.ramps[r.Campaign].used += r.Total
		if ours[r.Shard] {
			g.ramps[r.Campaign].ours += r.Total
		}
	}
	return nil
}
