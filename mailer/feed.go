package mailer

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/segments"
)

// What became of what might have started a campaign: a closed set.
const (
	Enrolled     = "enrolled"
	BeforeArming = "before_arming" // entered before campaign and shop were armed: not mailed
	History      = "history"       // a backfill, a build or a new definition, not something that happened
	TooOld       = "stale"         // happened longer ago than not_after
	Repeated     = "repeated"      // has taken part already, as far as the occurrence goes
	NoCart       = "no_cart"       // occurrence cart, and no cart is open
	NoOrder      = "no_order"      // occurrence order, and nothing was ordered yet
	Gone         = "contact_gone"
)

// States of an enrolment.
const (
	enrolmentActive  = "active"  // waits until due_at, then takes its step
	enrolmentSending = "sending" // its step's send is in the ledger; goes on when that is settled
	enrolmentDone    = "done"
	enrolmentExited  = "exited"
)

const feedBatch = 200

type enrolment struct {
	ID          int64
	Campaign    string
	ContactID   int64 `db:"contact_id"`
	Lane        int
	Occurrence  string
	AudienceID  int64 `db:"audience_id"`
	ShopID      int64 `db:"shop_id"`
	Step        string
	Generation  int64
	State       string
	TriggeredAt crm.Instant `db:"triggered_at"`
	EnteredAt   crm.Instant `db:"entered_at"`
	DueAt       crm.Instant `db:"due_at"`
	ExitReason  string      `db:"exit_reason"`
	About       string      // what it is about: "order:<shop>:<id>", "event:…", "product:…"; "" = the contact
	Variants    string      // what splits gave it: "step=variant,…"
	GoalAt      crm.Instant `db:"goal_at"`    // 0 = not reached
	BegunAt     crm.Instant `db:"begun_at"`   // when the step began; 0 = it has not
	ClickedAt   crm.Instant `db:"clicked_at"` // after SplitAt, of runs that were split
	OrderedAt   crm.Instant `db:"ordered_at"`
	SplitAt     crm.Instant `db:"split_at"` // the first split; 0 = none yet

	isNew, exits bool // only within a feed transaction
	marked       bool // goal, click or order is news
}

const enrolmentCols = "id, campaign, contact_id, lane, occurrence, audience_id, shop_id, step, generation, state, triggered_at, entered_at, due_at, exit_reason, about, variants, goal_at, begun_at, clicked_at, ordered_at, split_at"

func (n *enrolment) values() []any {
	return []any{n.ID, n.Campaign, n.ContactID, n.Lane, n.Occurrence, n.AudienceID, n.ShopID, n.Step, n.Generation, n.State, n.TriggeredAt, n.EnteredAt, n.DueAt, n.ExitReason, n.About, n.Variants, n.GoalAt, n.BegunAt, n.ClickedAt, n.OrderedAt, n.SplitAt}
}

func (n *enrolment) open() bool { return n.State == enrolmentActive || n.State == enrolmentSending }

// feed consumes membership changes: entries become enrolments, exits end them, and the pending flag goes in the
// same transaction.
func (e *Engine) feed(ctx context.Context, p *pass) (bool, error) {
	peek, err := segments.Pending(ctx, e.db.Read(), p.lanes, feedBatch)
	if err != nil || len(peek) == 0 {
		return false, err
	}
	known := map[int64]bool{}
	var lanes []int
	var contacts []int64
	for _, c := range peek {
		known[c.ID] = true
		lanes = append(lanes, c.Lane)
		contacts = append(contacts, c.ContactID)
	}
	profiles, err := e.profiles(ctx, e.db.Read(), contacts, p.startNeeds())
	if err != nil {
		return false, err
	}
	var f *feeding
	err = e.db.Write(ctx, "mailer.feed", func(tx *store.Tx) error {
		if err := e.fence(ctx, tx, lanes); err != nil {
			return err
		}
		pending, err := segments.Pending(ctx, tx, p.lanes, feedBatch) // again: what the reader showed may be gone
		if err != nil {
			return err
		}
		f = e.feeding(p, profiles)
		for _, c := range pending {
			if known[c.ID] {
				f.changes = append(f.changes, c)
			}
		}
		return e.takeIn(ctx, tx, f)
	})
	if err != nil {
		return false, fmt.Errorf("enrolling: %w", err)
	}
	e.told(f)
	e.observe(p, f.moves)
	return len(f.changes) > 0, nil
}

func (e *Engine) profiles(ctx context.Context, q store.Queryer, ids []int64, needs crm.Needs) (map[int64]*crm.Profile, error) {
	seen := map[int64]bool{}
	var once []int64
	for _, id := range ids {
		if !seen[id] {
			seen[id] = true
			once = append(once, id)
		}
	}
	list, err := segments.Profiles(ctx, e.mirror, q, once, needs)
	if err != nil {
		return nil, fmt.Errorf("loading profiles: %w", err)
	}
	byID := make(map[int64]*crm.Profile, len(list))
	for i := range list {
		byID[list[i].Contact.ID] = &list[i]
	}
	return byID, nil
}

type feedKey struct {
	campaign string
	contact  int64
}

// feeding is one batch of changes, facts or members on its way.
type feeding struct {
	*pass
	e         *Engine
	changes   []segments.Change
	profiles  map[int64]*crm.Profile
	byContact map[feedKey][]*enrolment // stored and new
	touched   []*enrolment
	counts    tally
	moves     []move
}

func (e *Engine) feeding(p *pass, profiles map[int64]*crm.Profile) *feeding {
	return &feeding{pass: p, e: e, profiles: profiles, counts: tally{}, byContact: map[feedKey][]*enrolment{}}
}

// told counts what a committed batch made of contacts.
func (e *Engine) told(f *feeding) {
	for k, n := range f.counts {
		e.o.Metrics.enrolments.WithLabelValues(k.campaign, k.name).Add(float64(n))
	}
}

func (e *Engine) takeIn(ctx context.Context, tx *store.Tx, f *feeding) error {
	if len(f.changes) == 0 {
		return nil
	}
	var ids, contacts []int64
	for _, c := range f.changes {
		ids = append(ids, c.ID)
		contacts = append(contacts, c.ContactID)
	}
	if _, err := e.earlier(ctx, tx, f, contacts); err != nil {
		return err
	}
	for _, c := range f.changes {
		for _, r := range f.campaigns {
			if r.watches() && r.segment == c.Segment {
				f.change(tx, r, c)
			}
		}
	}
	if err := e.writeFeed(ctx, tx, f); err != nil {
		return err
	}
	return segments.ClearPending(ctx, tx, ids)
}

// earlier loads the runs that contacts have had; it gives the contacts merged into them, by whom these are now.
func (e *Engine) earlier(ctx context.Context, tx *store.Tx, f *feeding, contacts []int64) (merged map[int64]int64, err error) {
	if merged, err = e.mergedFrom(ctx, tx, contacts); err != nil {
		return nil, err
	}
	var stored []enrolment
	if err := selectIn(ctx, tx, &stored, "SELECT "+enrolmentCols+" FROM enrolments WHERE contact_id IN (?)", slices.Concat(contacts, slices.Collect(maps.Keys(merged)))); err != nil {
		return nil, err
	}
	for i := range stored {
		k := feedKey{stored[i].Campaign, cmp.Or(merged[stored[i].ContactID], stored[i].ContactID)} // what a merged contact had, the person had
		f.byContact[k] = append(f.byContact[k], &stored[i])
	}
	return merged, nil
}

func (f *feeding) change(tx *store.Tx, r running, c segments.Change) {
	key := feedKey{r.id, c.ContactID}
	if !c.Entered {
		for _, n := range f.byContact[key] {
			if r.exitWhenLeft && n.open() {
				n.State, n.ExitReason, n.exits = enrolmentExited, string(LeftSegment), true
				f.touched = append(f.touched, n)
			}
		}
	}
	if c.Entered == (r.on == triggerLeaves) {
		return
	}
	f.take(tx, r, start{
		contact: c.ContactID, lane: c.Lane, at: c.EffectiveAt, history: !c.Cause.Triggers(),
	})
}

func (e *Engine) writeFeed(ctx context.Context, tx *store.Tx, f *feeding) error {
	var rows [][]any
	var exits []int64
	done := map[int64]bool{}
	for _, n := range f.touched {
		switch {
		case done[n.ID]:
		case n.isNew:
			rows = append(rows, n.values())
		case n.exits:
			exits = append(exits, n.ID)
		}
		done[n.ID] = true
	}
	if err := tx.Insert(ctx, "enrolments", splitCols(enrolmentCols), rows); err != nil {
		return again(tx, err)
	}
	if len(exits) > 0 {
		if _, err := execIn(ctx, tx, "UPDATE enrolments SET state=?, exit_reason=? WHERE id IN (?)", enrolmentExited, string(LeftSegment), exits); err != nil {
			return err
		}
		var rows []sendRow
		if err := selectIn(ctx, tx, &rows, "SELECT "+sendCols+" FROM sends WHERE enrolment_id IN (?) AND contact_id IN (?) AND +state IN ('ready','deferred')",
			exits, contactsOf(f.changes)); err != nil {
			return err
		}
		for i := range rows {
			f.moves = append(f.moves, move{row: &rows[i], to: Refused, reason: LeftSegment})
		}
		if err := e.applyMoves(ctx, tx, f.pass, f.moves); err != nil {
			return err
		}
	}
	return f.counts.write(ctx, tx)
}

func contactsOf(changes []segments.Change) []int64 {
	ids := make([]int64, 0, len(changes))
	for _, c := range changes {
		ids = append(ids, c.ContactID)
	}
	return ids
}
