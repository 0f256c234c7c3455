package mailer

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

// limits is a BreakerSpec read: per cent of the mails delivered or bounced in breakerDays.
type limits struct {
	bounced, complained float64
	after               int64 // mails before it judges
}

func standardLimits() limits { return limits{bounced: 5, complained: 0.3, after: 200} }

const (
	breakerDays  = 7                // today (UTC) is one of them
	breakerEvery = 10 * time.Second // of business time
	excused      = "excused:"       // campaign_days: what had come back when the campaign was resumed, by day
)

// Health is what came back of a campaign's mails in the last 7 days, or since it was resumed if that is less.
type Health struct {
	Delivered  int64 `json:"delivered"`
	Bounced    int64 `json:"bounced"` // for good
	Complained int64 `json:"complained"`
}

// Mails is how many are known to have arrived or come back.
func (h Health) Mails() int64 { return h.Delivered + h.Bounced }

// BouncedPercent is the share that came back; 0 when there is none.
func (h Health) BouncedPercent() float64 { return percentOf(h.Bounced, h.Mails()) }

// ComplainedPercent is the share that was complained about.
func (h Health) ComplainedPercent() float64 { return percentOf(h.Complained, h.Mails()) }

func percentOf(n, all int64) float64 {
	if all == 0 {
		return 0
	}
	return 100 * float64(n) / float64(all)
}

// broken says why a campaign is to be paused; cause is dayBounced or dayComplained, "" when all is well.
func (l limits) broken(h Health) (cause, sentence string) {
	if h.Mails() == 0 || h.Mails() < l.after {
		return "", ""
	}
	say := func(what string, n int64, percent, limit float64, look string) string {
		return fmt.Sprintf("%s %% of its mails of the last %d days %s (%d of %d; the limit is %s %%). %s, then relance campaign resume",
			short(percent), breakerDays, what, n, h.Mails(), short(limit), look)
	}
	if p := h.BouncedPercent(); p > l.bounced {
		return dayBounced, say("bounced", h.Bounced, p, l.bounced, "Find out where those addresses come from")
	}
	if p := h.ComplainedPercent(); p > l.complained {
		return dayComplained, say("were complained about", h.Complained, p, l.complained, "Find out why people did not expect them")
	}
	return "", ""
}

// short writes a percentage with two significant digits: 6.2, 0.31, 12.
func short(percent float64) string { return strconv.FormatFloat(percent, 'g', 2, 64) }

// healthOf reads the counters of campaigns; all of them when none is named.
func healthOf(ctx context.Context, q store.Queryer, now crm.Instant, campaigns ...string) (map[string]Health, error) {
	query, args := "SELECT campaign, name, SUM(total) AS total FROM campaign_days WHERE day>=? AND name IN (?)", []any{firstDay(now), breakerNames()}
	if len(campaigns) > 0 {
		query, args = query+" AND campaign IN (?)", append(args, campaigns)
	}
	var rows []countRow
	if err := selectIn(ctx, q, &rows, query+" GROUP BY campaign, name", args...); err != nil {
		return nil, fmt.Errorf("reading what came back of mails: %w", err)
	}
	out := map[string]Health{}
	for _, r := range rows {
		h := out[r.Campaign]
		switch r.Name {
		case dayDelivered:
			h.Delivered += r.Total
		case dayBounced:
			h.Bounced += r.Total
		case dayComplained:
			h.Complained += r.Total
		case excused + dayDelivered:
			h.Delivered -= r.Total
		case excused + dayBounced:
			h.Bounced -= r.Total
		case excused + dayComplained:
			h.Complained -= r.Total
		}
		out[r.Campaign] = h
	}
	return out, nil
}

func firstDay(now crm.Instant) string { return dayOf(now.Add(-(breakerDays - 1) * 24 * time.Hour)) }

func breakerNames() []string {
	names := []string{dayDelivered, dayBounced, dayComplained}
	for _, n := range slices.Clone(names) {
		names = append(names, excused+n)
	}
	return names
}

// excuse lets a campaign that is resumed be judged by what comes back from now on.
func excuse(ctx context.Context, tx *store.Tx, campaign string, now crm.Instant) error {
	var rows []struct {
		Day, Name string
		Total     int64
	}
	if err := selectIn(ctx, tx, &rows, "SELECT day, name, SUM(total) AS total FROM campaign_days WHERE campaign=? AND day>=? AND name IN (?) GROUP BY day, name",
		campaign, firstDay(now), breakerNames()[:3]); err != nil {
		return err
	}
	var values [][]any
	for _, r := range rows {
		values = append(values, []any{campaign, r.Day, excused + r.Name, 0, r.Total})
	}
	return tx.Upsert(ctx, "campaign_days", []string{"campaign", "day", "name", "shard"}, []string{"campaign", "day", "name", "shard", "total"}, values)
}

// watch pauses campaigns whose mails come back or are complained about too often.
func (e *Engine) watch(ctx context.Context, p *pass) (bool, error) {
	if e.watchedAt > 0 && p.now < e.watchedAt.Add(breakerEvery) || len(p.campaigns) == 0 {
		return false, nil
	}
	found, err := healthOf(ctx, e.db.Read(), p.now, slices.Sorted(maps.Keys(p.campaigns))...)
	if err != nil {
		return false, err
	}
	e.watchedAt = p.now
	for _, id := range slices.Sorted(maps.Keys(p.campaigns)) {
		r, h := p.campaigns[id], found[id]
		if cause, sentence := r.breaker.broken(h); cause != "" && r.state == CampaignArmed {
			if err := e.breakCampaign(ctx, id, cause, sentence, p.now); err != nil {
				return false, err
			}
			r.state, r.reason = CampaignPaused, sentence
			p.campaigns[id] = r
		}
		e.o.Metrics.campaign(id, r.state, h)
	}
	return false, nil
}

func (e *Engine) breakCampaign(ctx context.Context, id, cause, sentence string, now crm.Instant) error {
	var broke bool
	err := e.db.Write(ctx, "mailer.break", func(tx *store.Tx) error {
		n, err := store.Matched(tx.ExecContext(ctx, "UPDATE campaigns SET state=?, reason=?, updated_at=? WHERE campaign=? AND state=?",
			CampaignPaused, clip(sentence, 1000), now, id, CampaignArmed))
		broke = n > 0 // else another process, or a person, was first
		return err
	})
	if err != nil {
		return fmt.Errorf("pausing campaign %s: %w", id, err)
	}
	if broke {
		e.o.Metrics.breaks.WithLabelValues(id, cause).Inc()
		e.o.Log.Error("a campaign was paused", zap.String("campaign", id), zap.String("because", sentence))
	}
	return nil
}

// AudienceHealth is what came back of all campaigns of an audience.
type AudienceHealth struct {
	Health
	Paused map[string]string `json:"paused,omitempty"` // campaign → why
}

// Healths gives it by the audience's name, for `relance status`. now is business time.
func Healths(ctx context.Context, m *mirror.Mirror, now crm.Instant) (map[string]AudienceHealth, error) {
	q := m.DB().Read()
	infos, err := Infos(ctx, q)
	if err != nil {
		return nil, err
	}
	found, err := healthOf(ctx, q, now)
	if err != nil {
		return nil, err
	}
	out := map[string]AudienceHealth{}
	for _, i := range infos {
		a, h := out[i.Audience], found[i.ID]
		a.Delivered, a.Bounced, a.Complained = a.Delivered+h.Delivered, a.Bounced+h.Bounced, a.Complained+h.Complained
		if i.State == CampaignPaused {
			if a.Paused == nil {
				a.Paused = map[string]string{}
			}
			a.Paused[i.ID] = i.Reason
		}
		out[i.Audience] = a
	}
	return out, nil
}
