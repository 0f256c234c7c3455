package mailer

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

const (
	// provenSilence is for how long events of later mails must have come until a mail without any was never sent: as
	// long as a provider repeats what it could not deliver (24 h), and some more.
	provenSilence = 26 * time.Hour
	// firstFlow is how soon after the mail they must have begun: while the provider would still repeat this mail's.
	firstFlow    = 22 * time.Hour
	flowKept     = 15 * 24 * time.Hour
	unknownFor   = 14 * 24 * time.Hour // after that nobody asks any more
	unknownEvery = 10 * time.Minute    // business time
)

// flowHour is one hour in which events came in, and the newest mail that they spoke of.
type flowHour struct {
	HourAt       crm.Instant `db:"hour_at"`
	NewestHanded crm.Instant `db:"newest_handed"`
}

// neverSent tells whether a mail handed over at an instant, of which no event came, was never sent. hours are in order.
func neverSent(hours []flowHour, handed crm.Instant) bool {
	var first, last crm.Instant
	for _, h := range hours {
		if h.NewestHanded <= handed {
			continue
		}
		if first == 0 {
			first = h.HourAt.Add(time.Hour) // the event came within the hour
		}
		last = h.HourAt
	}
	return first > 0 && first <= handed.Add(firstFlow) && last >= first.Add(provenSilence)
}

// flow notes that events come in. Only what is said of every mail proves anything: opening it is up to people.
func (d *digestion) flow(ctx context.Context) error {
	type key struct {
		audience int64
		source   string
		hour     crm.Instant
	}
	newest := map[key]crm.Instant{}
	shard := map[key]int{}
	for i := range d.done {
		v := &d.done[i]
		send := d.sends[v.SendID]
		if send == nil || v.Kind != EventProcessed && v.Kind != EventDelivered || v.Source != d.e.o.Senders[v.AudienceID].Events {
			continue
		}
		k := key{v.AudienceID, v.Source, crm.At(v.ReceivedAt.Time().Truncate(time.Hour))}
		if _, ok := shard[k]; !ok {
			shard[k] = v.Lane
		}
		newest[k] = max(newest[k], send.HandedAt)
	}
	keys := slices.SortedFunc(maps.Keys(newest), func(a, b key) int { return int(a.hour - b.hour) })
	for _, k := range keys {
		where := []any{k.audience, k.source, k.hour, shard[k]}
		var stood []crm.Instant
		if err := d.tx.SelectContext(ctx, &stood, "SELECT newest_handed FROM event_flow WHERE audience_id=? AND source=? AND hour_at=? AND shard=?", where...); err != nil {
			return fmt.Errorf("reading when events came: %w", err)
		}
		if len(stood) > 0 && stood[0] >= newest[k] {
			continue
		}
		if err := d.tx.Upsert(ctx, "event_flow", []string{"audience_id", "source", "hour_at", "shard"},
			[]string{"audience_id", "source", "hour_at", "shard", "newest_handed"}, [][]any{append(where, newest[k])}); err != nil {
			return fmt.Errorf("noting that events came: %w", err)
		}
	}
	return nil
}

// settleUnknown looks now and then for mails of which nobody knows and of which no event will come any more.
func (e *Engine) settleUnknown(ctx context.Context, p *pass) (worked bool, err error) {
	if e.unknownAt > 0 && p.now < e.unknownAt.Add(unknownEvery) {
		return false, nil
	}
	flows := map[int64][]flowHour{}
	for after := int64(0); ; {
		var rows []sentRow
		if err := selectIn(ctx, e.db.Read(), &rows, "SELECT "+sendCols+", handed_at FROM sends WHERE state='unknown' AND lane IN (?) AND handed_at>? AND handed_at<=? AND id>? ORDER BY id LIMIT ?",
			p.lanes, p.now.Add(-unknownFor), p.now.Add(-provenSilence), after, digestBatch); err != nil {
			return worked, fmt.Errorf("looking for mails of which nobody knows: %w", err)
		}
		if len(rows) == 0 {
			break
		}
		after = rows[len(rows)-1].ID
		var lost []sentRow
		for _, r := range rows {
			silent, err := e.silentSince(ctx, p, flows, &r)
			if err != nil {
				return worked, err
			}
			if silent {
				lost = append(lost, r)
			}
		}
		if len(lost) > 0 {
			if err := e.writeOff(ctx, p, lost); err != nil {
				return worked, fmt.Errorf("settling mails that were never sent: %w", err)
			}
			worked = true
		}
	}
	e.unknownAt = p.now
	return worked, nil
}

func (e *Engine) silentSince(ctx context.Context, p *pass, flows map[int64][]flowHour, r *sentRow) (bool, error) {
	source := e.o.Senders[r.AudienceID].Events
	if source == "" {
		return false, nil
	}
	hours, known := flows[r.AudienceID]
	if !known {
		if err := e.db.Read().SelectContext(ctx, &hours, "SELECT hour_at, MAX(newest_handed) AS newest_handed FROM event_flow WHERE audience_id=? AND source=? AND hour_at>=? GROUP BY hour_at ORDER BY hour_at",
			r.AudienceID, source, p.now.Add(-flowKept)); err != nil {
			return false, fmt.Errorf("reading when events came: %w", err)
		}
		flows[r.AudienceID] = hours
	}
	return neverSent(hours, r.HandedAt), nil
}

// writeOff settles mails that were never sent, unless an event has come after all. They are not sent again: who knows what
// the person has read since.
func (e *Engine) writeOff(ctx context.Context, p *pass, lost []sentRow) error {
	var moves []move
	err := e.db.Write(ctx, "mailer.unknown", func(tx *store.Tx) error {
		moves = nil
		var lanes []int
		ids := make([]int64, len(lost))
		for i := range lost {
			lanes, ids[i] = append(lanes, lost[i].Lane), lost[i].ID
		}
		if err := e.fence(ctx, tx, lanes); err != nil {
			return err
		}
		var rows []sendRow
		if err := selectIn(ctx, tx, &rows, "SELECT "+sendCols+" FROM sends WHERE id IN (?) AND +state='unknown'", ids); err != nil {
			return err
		}
		spoken, err := spokenOf(ctx, tx, rows)
		if err != nil {
			return err
		}
		for i := range rows {
			if !spoken[rows[i].ID] {
				moves = append(moves, move{row: &rows[i], to: Refused, reason: NeverSent})
			}
		}
		return e.applyMoves(ctx, tx, p, moves)
	})
	if err == nil {
		e.observe(p, moves)
	}
	return err
}

// spokenOf tells of which mails events that prove them (eventRow.proves) wait to be digested, or were.
func spokenOf(ctx context.Context, tx *store.Tx, rows []sendRow) (map[int64]bool, error) {
	out := map[int64]bool{}
	var contacts, ids []int64
	for i := range rows {
		contacts, ids = append(contacts, rows[i].ContactID), append(ids, rows[i].ID)
	}
	if len(ids) == 0 {
		return out, nil
	}
	for _, text := range []string{
		"SELECT send_id FROM provider_events WHERE contact_id IN (?) AND send_id IN (?) AND (source<>? OR kind=?)", // by the index on contacts
		"SELECT send_id FROM mail_events WHERE contact_id IN (?) AND send_id IN (?) AND (source<>? OR kind=?)",
	} {
		var some []int64
		if err := selectIn(ctx, tx, &some, text, contacts, ids, SourceOwn, EventClicked); err != nil {
			return nil, fmt.Errorf("looking for events of mails: %w", err)
		}
		for _, id := range some {
			out[id] = true
		}
	}
	return out, nil
}
