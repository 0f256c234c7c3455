package segments

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/segments/rule"
)

// everyThresholds is how often thresholds are published, in business time.
const everyThresholds = 24 * time.Hour

// metaRanked + an audience's id: how far its contacts have been told of the newest thresholds.
const metaRanked = "segments.ranked."

// ranking is what became of the newest thresholds of an audience.
type ranking struct {
	audience int64
	version  int64
	at       crm.Instant // in force from then on
	told     int64       // contacts up to this id are marked, where they are concerned; laneDone: all
}

func (r ranking) String() string { return fmt.Sprintf("%d %d %d", r.version, r.at, r.told) }

// rankings reads them; empty when no definition compares with thresholds.
func (s *setup) rankings(ctx context.Context, q store.Queryer) ([]ranking, error) {
	if !s.needs.Ranks {
		return nil, nil
	}
	var rows []struct{ Name, Value string }
	if err := q.SelectContext(ctx, &rows, "SELECT name, value FROM meta WHERE name>=? AND name<? ORDER BY name", metaRanked, metaRanked+"~"); err != nil {
		return nil, fmt.Errorf("reading how far thresholds are: %w", err)
	}
	var out []ranking
	for _, row := range rows {
		var r ranking
		id, err := strconv.ParseInt(strings.TrimPrefix(row.Name, metaRanked), 10, 64)
		if err == nil {
			_, err = fmt.Sscanf(row.Value, "%d %d %d", &r.version, &r.at, &r.told)
		}
		if err != nil {
			return nil, fmt.Errorf("reading how far thresholds are: %q: %w", row.Value, err)
		}
		r.audience = id
		out = append(out, r)
	}
	return out, nil
}

func storeRanking(ctx context.Context, tx *store.Tx, r ranking) error {
	return tx.Upsert(ctx, "meta", []string{"name"}, []string{"name", "value"}, [][]any{{metaRanked + strconv.FormatInt(r.audience, 10), r.String()}})
}

// ranksBelow is the instant before which memberships are exact whatever the thresholds that are being told.
func ranksBelow(rs []ranking) crm.Instant {
	w := crm.Never
	for _, r := range rs {
		if r.told < laneDone {
			w = min(w, r.at-1)
		}
	}
	return w
}

// ranks tells whether this process looks after thresholds: the owner of the first lane does.
func (m *Maintainer) ranks() bool {
	return m.setup.needs.Ranks && slices.Contains(m.lanes, 0)
}

// publishThresholds puts new thresholds in force where the last ones are a day old. They are dated after the watermark, so
// that what was exact stays so.
func (m *Maintainer) publishThresholds(ctx context.Context, now crm.Instant) (worked bool, err error) {
	if !m.ranks() || now < m.setup.ranked {
		return false, nil
	}
	q := m.db.Read()
	audiences, err := m.mirror.AudienceIDs(ctx, q)
	if err != nil {
		return false, err
	}
	next := crm.Never
	for _, audience := range audiences {
		known, err := mirror.Thresholds(ctx, q, audience)
		if err != nil {
			return false, err
		}
		at := crm.Instant(math.MinInt64)
		if len(known) > 0 {
			at = known[len(known)-1].PublishedAt.Add(m.thresholds)
		}
		if at > now {
			next = min(next, at)
			continue
		}
		did, err := m.publishOne(ctx, audience, now, len(known) == 0)
		if err != nil {
			return false, fmt.Errorf("publishing thresholds: %w", err)
		}
		if !did {
			next = now // those before are still being told
			continue
		}
		worked = true
		next = min(next, now.Add(m.thresholds))
	}
	m.setup.ranked = next
	return worked, nil
}

func (m *Maintainer) publishOne(ctx context.Context, audience int64, now crm.Instant, first bool) (bool, error) {
	rs, err := m.setup.rankings(ctx, m.db.Read())
	if err != nil {
		return false, err
	}
	if i := slices.IndexFunc(rs, func(r ranking) bool { return r.audience == audience }); i >= 0 && rs[i].told < laneDone {
		return false, nil
	}
	t, err := mirror.ComputeThresholds(ctx, m.db.Read(), audience, now)
	if err != nil {
		return false, err
	}
	t.PublishedAt = max(now, m.watermark+1)
	told := int64(0)
	if first && !m.setup.ranksCover() {
		told = laneDone // nobody was compared with anything yet
	}
	return true, m.db.Write(ctx, "segments.thresholds", func(tx *store.Tx) error {
		if err := m.leases.Fence(ctx, tx, store.LaneLease(0)); err != nil {
			return err
		}
		if err := mirror.PublishThresholds(ctx, tx, audience, t); err != nil {
			return err
		}
		return storeRanking(ctx, tx, ranking{audience, t.Version, t.PublishedAt, told})
	})
}

// ranksCover tells whether some contact's membership may rest on thresholds already.
func (s *setup) ranksCover() bool {
	return slices.ContainsFunc(s.slots, func(sl *slot) bool {
		return sl.cuts != nil && (sl.state == StateLive || slices.ContainsFunc(sl.positions[:], func(at int64) bool { return at > 0 }))
	})
}

// tellThresholds marks the next contacts whom the newest thresholds may move: those with a value between what a cut point
// was and what it is. The mark's cause triggers nothing.
func (m *Maintainer) tellThresholds(ctx context.Context, now crm.Instant) (bool, error) {
	if !m.ranks() {
		return false, nil
	}
	rs, err := m.setup.rankings(ctx, m.db.Read())
	if err != nil {
		return false, err
	}
	for _, r := range rs {
		if r.told < laneDone {
			if err := m.tellPage(ctx, r, now); err != nil {
				return false, fmt.Errorf("telling contacts of new thresholds: %w", err)
			}
			return true, nil
		}
	}
	return false, nil
}

func (m *Maintainer) tellPage(ctx context.Context, r ranking, now crm.Instant) error {
	q := m.db.Read()
	ids, err := m.mirror.Buyers(ctx, q, r.audience, r.told, m.page)
	if err != nil {
		return err
	}
	whole := len(ids) < m.page
	fit, err := m.fitting(ctx, ids)
	if err != nil {
		return err
	}
	whole = whole && len(fit) == len(ids)
	concerned, err := m.concerned(ctx, r, fit, now)
	if err != nil {
		return err
	}
	if len(fit) > 0 {
		r.told = fit[len(fit)-1]
	}
	if whole {
		r.told = laneDone
	}
	return m.db.WriteBackground(ctx, "segments.told", func(tx *store.Tx) error {
		if err := m.leases.Fence(ctx, tx, store.LaneLease(0)); err != nil {
			return err
		}
		if err := m.mirror.MarkDirty(ctx, tx, concerned, r.at, r.at, crm.CauseThreshold); err != nil {
			return err
		}
		return storeRanking(ctx, tx, r)
	})
}

func (m *Maintainer) concerned(ctx context.Context, r ranking, ids []int64, now crm.Instant) ([]int64, error) {
	known, err := mirror.Thresholds(ctx, m.db.Read(), r.audience)
	if err != nil {
		return nil, err
	}
	var was, is *crm.Thresholds
	for _, t := range known {
		if t.Version < r.version {
			was = t
		} else if t.Version == r.version {
			is = t
		}
	}
	if is == nil {
		return nil, nil
	}
	var cuts []rule.Cut
	for _, s := range m.setup.slots {
		cuts = append(cuts, s.cuts...)
	}
	ps, err := m.mirror.Profiles(ctx, m.db.Read(), ids, crm.Needs{Orders: true})
	if err != nil {
		return nil, err
	}
	var out []int64
	for i := range ps {
		if rule.Concerned(&ps[i], was, is, cuts, max(now, r.at)) {
			out = append(out, ps[i].Contact.ID)
		}
	}
	return out, nil
}

// published tells whether thresholds come into force at that very instant.
func published(p *crm.Profile, t crm.Instant) bool {
	return slices.ContainsFunc(p.Thresholds, func(x *crm.Thresholds) bool { return x.PublishedAt == t })
}

// byThresholds tells whether new thresholds alone explain that a slot flips at t. It is asked about a contact that may not
// have been settled since they came into force: its facts changed meanwhile, too.
func (c *settling) byThresholds(s *slot, i int, t crm.Instant) bool {
	if s.cuts == nil || c.mark == nil || len(c.profile.Thresholds) == 0 {
		return false
	}
	newest := c.profile.Thresholds[len(c.profile.Thresholds)-1]
	if newest.PublishedAt > t || c.mark.MarkedAt > newest.PublishedAt && !c.untold {
		return false
	}
	before := *c.profile
	before.Thresholds, before.Scratch = before.Thresholds[:len(before.Thresholds)-1], nil
	return s.rule.Match(&before, t) == c.in[i]
}
