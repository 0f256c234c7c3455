package mailer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

const (
	broadcastPage = 200
	keepRuns      = 60 * 24 * time.Hour // how long the progress of runs is kept after their end
)

// stride is how far one lane of one run is. Whoever's instant has come by done_to, and was a member then, has been looked at;
// a walk through the members up to walk_to is under way, position being the last one seen.
type stride struct {
	Lane     int
	DoneTo   crm.Instant `db:"done_to"`
	WalkTo   crm.Instant `db:"walk_to"`
	Position int64
}

// broadcast takes the members of broadcasts' segments in, each at the instant at which it is their own clock's time: a page
// of each campaign a step. Where and when it stops is stored with what it did.
func (e *Engine) broadcast(ctx context.Context, p *pass) (worked bool, err error) {
	for _, id := range slices.Sorted(maps.Keys(p.campaigns)) {
		r := p.campaigns[id]
		if r.on != triggerBroadcast || r.state == CampaignDraft {
			continue
		}
		did, err := e.broadcastOne(ctx, p, r)
		if err != nil {
			return worked, fmt.Errorf("sending broadcast %s: %w", id, err)
		}
		worked = worked || did
	}
	return worked, nil
}

func (e *Engine) broadcastOne(ctx context.Context, p *pass, r running) (worked bool, err error) {
	days := r.runs.around(p.now.Add(-r.notAfter-lookBack), p.now.Add(idleWait))
	if len(days) == 0 {
		return false, nil
	}
	zones, err := e.clocks(ctx, p)
	if err != nil {
		return false, err
	}
	for _, day := range days {
		b := &broadcasting{running: r, day: day, run: day.Format(time.DateOnly)}
		for _, loc := range zones {
			at := r.runs.at(day, loc)
			if b.last = max(b.last, at); at <= p.now {
				b.target = max(b.target, at)
			} else if p.wake == 0 || at < p.wake {
				p.wake = at
			}
		}
		if b.target == 0 || b.last < r.armedAt {
			continue
		}
		if worked, err = e.walkOn(ctx, p, b); err != nil || worked {
			return worked, err
		}
	}
	return false, nil
}

// broadcasting is one run of one campaign.
type broadcasting struct {
	running
	day    time.Time
	run    string
	target crm.Instant // the latest of the zones' instants that have come
	last   crm.Instant // of all zones
}

// clocks lists the zones that contacts live in.
func (e *Engine) clocks(ctx context.Context, p *pass) ([]*time.Location, error) {
	names, err := zonesOf(ctx, e.db.Read(), slices.Collect(maps.Values(p.shops)))
	if err != nil {
		return nil, err
	}
	var out []*time.Location
	for _, name := range names {
		out = append(out, e.zone(crm.Contact{Zone: name}))
	}
	return out, nil
}

var errMoved = errors.New("somebody else moved it on") //nolint:errname // it never leaves this file

// walkOn looks at the next page of members in the lanes that are furthest behind alike.
func (e *Engine) walkOn(ctx context.Context, p *pass, b *broadcasting) (worked bool, err error) {
	group, at, err := b.behind(ctx, e.db.Read(), p.lanes)
	if err != nil || len(group) == 0 {
		return false, err
	}
	members, built, err := b.members(ctx, e.db.Read(), group, at.Position)
	if err != nil || !built {
		return false, err
	}
	var contacts []int64
	for _, m := range members {
		contacts = append(contacts, m.ContactID)
	}
	profiles, err := e.profiles(ctx, e.db.Read(), contacts, p.startNeeds())
	if err != nil {
		return false, err
	}
	var f *feeding
	err = e.db.Write(ctx, "mailer.broadcast", func(tx *store.Tx) error {
		if err := e.fence(ctx, tx, group); err != nil {
			return err
		}
		again, still, err := b.behind(ctx, tx, group)
		if err != nil {
			return err
		}
		if still != at || !slices.Equal(again, group) {
			return errMoved
		}
		f = e.feeding(p, profiles)
		if len(members) > 0 {
			if _, err := e.earlier(ctx, tx, f, contacts); err != nil {
				return err
			}
		}
		for _, m := range members {
			b.take(tx, f, m, at)
		}
		if err := e.writeFeed(ctx, tx, f); err != nil {
			return err
		}
		return b.moveOn(ctx, tx, group, at, members, p.now)
	})
	if errors.Is(err, errMoved) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	e.told(f)
	return true, nil
}

// behind gives lanes that have the same way before them, and where they stand.
func (b *broadcasting) behind(ctx context.Context, q store.Queryer, lanes []int) (group []int, at stride, err error) {
	var rows []stride
	if err := selectIn(ctx, q, &rows, "SELECT lane, done_to, walk_to, position FROM broadcasts WHERE campaign=? AND run=? AND lane IN (?)", b.id, b.run, lanes); err != nil {
		return nil, at, fmt.Errorf("reading how far it is: %w", err)
	}
	stored := map[int]stride{}
	for _, r := range rows {
		stored[r.Lane] = r
	}
	for _, lane := range slices.Sorted(slices.Values(lanes)) {
		s := stored[lane]
		if s.DoneTo >= b.target {
			continue
		}
		if s.WalkTo == 0 {
			s.WalkTo = b.target
		}
		s.Lane = 0
		if group == nil {
			at = s
		}
		if s == at {
			group = append(group, lane)
		}
	}
	return group, at, nil
}

type broadcastMember struct {
	ContactID int64 `db:"contact_id"`
	Lane      int
	Since     crm.Instant
}

// members is a page of the segment in the lanes; built is false while there is no such segment yet.
func (b *broadcasting) members(ctx context.Context, q store.Queryer, lanes []int, after int64) (list []broadcastMember, built bool, err error) {
	var generation int64
	if err := q.GetContext(ctx, &generation, "SELECT COALESCE(MAX(generation), 0) FROM segment_defs WHERE segment=? AND state='live'", b.segment); err != nil {
		return nil, false, fmt.Errorf("reading segment %s: %w", b.segment, err)
	}
	if generation == 0 {
		return nil, false, nil
	}
	if err := selectIn(ctx, q, &list, "SELECT contact_id, lane, since FROM memberships WHERE segment=? AND generation=? AND contact_id>? AND lane IN (?) ORDER BY contact_id LIMIT ?",
		b.segment, generation, after, lanes, broadcastPage); err != nil {
		return nil, false, fmt.Errorf("reading the members of %s: %w", b.segment, err)
	}
	return list, true, nil
}

// take looks at one member. Those whose instant is before done_to were looked at by an earlier walk; if they have no run all
// the same, their clock is another one since, and they get it now.
func (b *broadcasting) take(tx *store.Tx, f *feeding, m broadcastMember, at stride) {
	profile := f.profiles[m.ContactID]
	if profile == nil {
		return
	}
	own := b.runs.at(b.day, f.e.zone(profile.Contact))
	if own > at.WalkTo || m.Since > own {
		return
	}
	s := start{contact: m.ContactID, lane: m.Lane, at: own, key: runPrefix + b.run}
	for _, n := range f.byContact[feedKey{b.id, m.ContactID}] {
		if n.Occurrence == s.key || n.TriggeredAt > own.Add(-allZones) { // has had it, by whatever clock or day it was then
			return
		}
	}
	if outcome, _ := f.entry(b.running, s); own > at.DoneTo || outcome == Enrolled {
		f.take(tx, b.running, s)
	}
}

// moveOn stores how far the lanes are after a page.
func (b *broadcasting) moveOn(ctx context.Context, tx *store.Tx, lanes []int, at stride, page []broadcastMember, now crm.Instant) error {
	to, done := stride{DoneTo: at.DoneTo, WalkTo: at.WalkTo}, crm.Instant(0)
	if len(page) < broadcastPage {
		if to = (stride{DoneTo: at.WalkTo}); at.WalkTo >= b.last {
			done = now
		}
	} else {
		to.Position = page[len(page)-1].ContactID
	}
	rows := make([][]any, 0, len(lanes))
	for _, lane := range lanes {
		rows = append(rows, []any{b.id, b.run, lane, to.DoneTo, to.WalkTo, to.Position, done})
	}
	if err := tx.Upsert(ctx, "broadcasts", []string{"campaign", "run", "lane"}, []string{"campaign", "run", "lane", "done_to", "walk_to", "position", "done_at"}, rows); err != nil {
		return fmt.Errorf("storing how far it is: %w", err)
	}
	if done == 0 {
		return nil
	}
	_, err := execIn(ctx, tx, "DELETE FROM broadcasts WHERE campaign=? AND lane IN (?) AND done_at>0 AND done_at<?", b.id, lanes, now.Add(-keepRuns))
	return err
}
