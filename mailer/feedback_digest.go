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
	digestBatch   = 200              // events of one transaction
	digestBatches = 4                // of one step: mails must not wait for openings
	urgentBatches = 20               // of one step
	handingWait   = 10 * time.Second // until a mail that is being handed over is looked at again
)

// eventRow is a stored event.
type eventRow struct {
	AudienceID int64 `db:"audience_id"`
	Source     string
	ID         string
	State      string
	Lane       int
	DueAt      crm.Instant `db:"due_at"`
	ReceivedAt crm.Instant `db:"received_at"`
	HappenedAt crm.Instant `db:"happened_at"`
	Kind       string
	SendID     int64  `db:"send_id"`
	ContactID  int64  `db:"contact_id"`
	MessageID  string `db:"message_id"`
	Email      string
	URL        string
	UserAgent  string `db:"user_agent"`
	Hard       bool
	Machine    bool
	Reason     string
}

// sentRow is a send as events speak of it.
type sentRow struct {
	sendRow
	HandedAt crm.Instant `db:"handed_at"`
}

// digest makes facts of the events that wait, first of those that may stop mail.
func (e *Engine) digest(ctx context.Context, p *pass) (worked bool, err error) {
	defer func() { p.undigested = err != nil }()
	for _, of := range []struct {
		state   string
		batches int
		batch   func(context.Context, *pass, []eventRow) error
	}{{eventLookup, urgentBatches, e.findOut}, {eventUrgent, urgentBatches, e.digestBatch}, {eventPending, digestBatches, e.digestBatch}} {
		for range of.batches {
			peek, err := dueEvents(ctx, e.db.Read(), of.state, p.lanes, p.now)
			if err != nil {
				return worked, err
			}
			if len(peek) > 0 {
				err = of.batch(ctx, p, peek)
			}
			if err != nil {
				return worked, fmt.Errorf("digesting what became of mails: %w", err)
			}
			worked = worked || len(peek) > 0
			if len(peek) < digestBatch || ctx.Err() != nil {
				break
			}
		}
	}
	return worked, nil
}

func dueEvents(ctx context.Context, q store.Queryer, state string, lanes []int, now crm.Instant) ([]eventRow, error) {
	var rows []eventRow
	if err := selectIn(ctx, q, &rows, "SELECT "+eventCols+" FROM provider_events WHERE state=? AND lane IN (?) AND due_at<=? LIMIT ?", state, lanes, now, digestBatch); err != nil {
		return nil, fmt.Errorf("looking for what came back of mails: %w", err)
	}
	return rows, nil
}

func lanesOfEvents(events []eventRow) []int {
	var lanes []int
	for i := range events {
		lanes = append(lanes, events[i].Lane)
	}
	slices.Sort(lanes)
	return slices.Compact(lanes)
}

// digestion is one transaction's work.
type digestion struct {
	e       *Engine
	tx      *store.Tx
	p       *pass
	events  []eventRow
	sends   map[int64]*sentRow
	people  map[int64]*crm.Profile
	stories map[int64]*story
	loose   []mailFact // of mails that are not known

	done, wiped, waiting []eventRow
	marks                map[int64]crm.Instant // contacts to be looked at → newest instant
	found                map[int64]bool        // mails of which nobody knew
	moves                []move
}

func (e *Engine) digestBatch(ctx context.Context, p *pass, peek []eventRow) error {
	lanes := lanesOfEvents(peek)
	var d *digestion
	err := e.db.Write(ctx, "mailer.digest", func(tx *store.Tx) error {
		if err := e.fence(ctx, tx, lanes); err != nil {
			return err
		}
		events, err := dueEvents(ctx, tx, peek[0].State, lanes, p.now)
		if err != nil || len(events) == 0 {
			return err
		}
		d = &digestion{e: e, tx: tx, p: p, events: events, stories: map[int64]*story{}, found: map[int64]bool{}, marks: map[int64]crm.Instant{}}
		return d.carryOut(ctx)
	})
	if err != nil || d == nil {
		return err
	}
	e.observe(p, d.moves)
	d.observe()
	return nil
}

func (d *digestion) carryOut(ctx context.Context) error {
	inOrder(d.events)
	if err := d.load(ctx); err != nil {
		return err
	}
	for i := range d.events {
		d.take(&d.events[i])
	}
	counts, perDay := tally{}, newDays(d.p.now)
	for _, s := range d.inOrder() {
		s.judge()
		s.count(counts, perDay)
		for _, id := range s.moved {
			i := slices.IndexFunc(s.facts, func(f mailFact) bool { return f.ID == id })
			d.mark(s.facts[i].ContactID, s.facts[i].HappenedAt)
		}
	}
	if err := writeFacts(ctx, d.tx, d.inOrder(), d.loose); err != nil {
		return err
	}
	if err := d.heed(ctx); err != nil {
		return err
	}
	if err := d.e.applyMoves(ctx, d.tx, d.p, d.moves); err != nil {
		return err
	}
	if err := d.finish(ctx); err != nil {
		return err
	}
	if err := d.flow(ctx); err != nil {
		return err
	}
	for key, n := range perDay.counts {
		counts[key] += n
	}
	if err := counts.write(ctx, d.tx); err != nil {
		return err
	}
	return d.e.mirror.MarkDirtyAt(ctx, d.tx, d.marks, d.p.now, crm.CauseChange)
}

// inOrder gives the mails by id: two processes write in the same order.
func (d *digestion) inOrder() []*story {
	var out []*story
	for _, id := range slices.Sorted(maps.Keys(d.stories)) {
		out = append(out, d.stories[id])
	}
	return out
}

func (d *digestion) load(ctx context.Context) error {
	var ids, contacts []int64
	for i := range d.events {
		if n := d.events[i].SendID; n != 0 {
			ids = append(ids, n)
		}
		contacts = append(contacts, d.events[i].ContactID)
	}
	slices.Sort(ids)
	slices.Sort(contacts)
	ids, contacts = slices.Compact(ids), slices.Compact(contacts)
	d.sends = map[int64]*sentRow{}
	if len(ids) > 0 {
		var rows []sentRow
		if err := selectIn(ctx, d.tx, &rows, "SELECT "+sendCols+", handed_at FROM sends WHERE id IN (?)", ids); err != nil {
			return fmt.Errorf("reading the mails: %w", err)
		}
		for i := range rows {
			d.sends[rows[i].ID] = &rows[i]
		}
	}
	profiles, err := d.e.mirror.Profiles(ctx, d.tx, contacts, crm.Needs{})
	if err != nil {
		return err
	}
	d.people = map[int64]*crm.Profile{}
	for i := range profiles {
		d.people[profiles[i].Contact.ID] = &profiles[i]
	}
	facts, err := factsOf(ctx, d.tx, ids)
	if err != nil {
		return err
	}
	for id, send := range d.sends {
		if send.State != Handing {
			d.stories[id] = newStory(send, facts[id])
		}
	}
	return nil
}

// take finds one event its place. A mail that is being handed over is waited for: its answer is not written yet.
func (d *digestion) take(v *eventRow) {
	send := d.sends[v.SendID]
	if send != nil && send.State == Handing {
		d.waiting = append(d.waiting, *v)
		return
	}
	person := d.people[v.ContactID]
	erased := person == nil || person.Contact.ErasedAt > 0
	if send != nil && send.State == Unknown && v.proves() && !d.found[send.ID] {
		d.found[send.ID] = true
		m := move{row: &send.sendRow, to: Accepted, detail: "it was not lost: the provider reported " + v.Kind}
		if !erased {
			m.messageID = v.MessageID
		}
		d.moves = append(d.moves, m)
	}
	if erased { // nothing is known of them any more, and nothing becomes known
		d.wiped = append(d.wiped, *v)
		return
	}
	d.done = append(d.done, *v)
	if v.Kind == EventProcessed {
		return
	}
	f := newFact(d.tx, v, send, d.p.now)
	if s := d.stories[v.SendID]; s != nil {
		s.add(f)
	} else {
		d.loose = append(d.loose, f)
	}
	d.mark(v.ContactID, v.HappenedAt)
}

// proves tells whether an event shows that its mail was sent. A click on our own link does: the link names its mail. What
// else somebody did on a page of ours is only put down to the newest mail (ownEvent), and may come of an older one.
func (v *eventRow) proves() bool { return v.Source != SourceOwn || v.Kind == EventClicked }

func (d *digestion) mark(contactID int64, at crm.Instant) {
	d.marks[contactID] = max(d.marks[contactID], at)
	if p := d.people[contactID]; p != nil && p.Contact.MergedInto != 0 {
		d.marks[p.Contact.MergedInto] = max(d.marks[p.Contact.MergedInto], at)
	}
}

// finish writes down what has been done with the events.
func (d *digestion) finish(ctx context.Context) error {
	for _, of := range []struct {
		events []eventRow
		set    string
		args   []any
	}{
		{d.done, "state=?", []any{eventDone}},
		{d.wiped, "state=?, contact_id=0, message_id='', email='', url='', user_agent='', reason=''", []any{eventDone}},
		{d.waiting, "due_at=?", []any{d.p.now.Add(handingWait)}},
	} {
		if err := updateEvents(ctx, d.tx, of.set, of.args, of.events); err != nil {
			return err
		}
	}
	return nil
}

// eventKey is the part of an event's key that a batch has few of.
type eventKey struct {
	audience      int64
	source, state string
}

// updateEvents changes events that are in the state in which they were read.
func updateEvents(ctx context.Context, tx *store.Tx, set string, args []any, events []eventRow) error {
	groups := map[eventKey][]string{}
	var order []eventKey
	for i := range events {
		k := eventKey{events[i].AudienceID, events[i].Source, events[i].State}
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], events[i].ID)
	}
	for _, k := range order {
		n, err := execIn(ctx, tx, "UPDATE provider_events SET "+set+" WHERE audience_id=? AND source=? AND id IN (?) AND state=?", append(slices.Clone(args), k.audience, k.source, groups[k], k.state)...)
		if err != nil {
			return fmt.Errorf("moving events: %w", err)
		}
		if n != int64(len(groups[k])) {
			return fmt.Errorf("moving events: %d of %d were where they should be", n, len(groups[k]))
		}
	}
	return nil
}
