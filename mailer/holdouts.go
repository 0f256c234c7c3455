package mailer

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/mailer/worth"
)

const (
	liftEvery = 24 * time.Hour   // business time between two comparisons of a campaign
	liftLook  = 10 * time.Minute // and between two looks whether one is due
	liftPage  = 400              // contacts of one step
)

// lifts is the comparison that is under way: a page a step. One that is cut off begins anew.
type lifts struct {
	lookedAt crm.Instant
	walk     *liftWalk
}

// liftWalk compares who was mailed with who was held out, of one campaign: first it walks along the holdout, which says
// from when until when there was one, then along the mails of each step.
type liftWalk struct {
	campaign    string
	lane        int
	now         crm.Instant // of its beginning: of all contacts the same is asked
	span        time.Duration
	heldDone    bool
	step        string
	contact     int64
	from, until crm.Instant // when contacts were held out
	mailed      liftArm
	held        liftArm
}

// liftArm is one group.
type liftArm struct {
	contacts, buyers int64
	orders           map[string]int64 // by currency
	revenue          map[string]int64
}

func newLiftArm() liftArm { return liftArm{orders: map[string]int64{}, revenue: map[string]int64{}} }

// compareHoldouts brings the comparison that is under way a page further, or begins one that is due.
func (e *Engine) compareHoldouts(ctx context.Context, p *pass) (bool, error) {
	if e.lifts.walk == nil {
		if e.lifts.lookedAt > 0 && p.now < e.lifts.lookedAt.Add(liftLook) {
			return false, nil
		}
		walk, err := e.dueLift(ctx, p)
		if err != nil {
			return false, fmt.Errorf("looking for comparisons with holdouts: %w", err)
		}
		if walk == nil {
			e.lifts.lookedAt = p.now
			return false, nil
		}
		e.lifts.walk = walk
	}
	w := e.lifts.walk
	if !slices.Contains(p.lanes, w.lane) {
		e.lifts.walk = nil
		return false, nil
	}
	over, err := e.liftOn(ctx, w)
	if err == nil && over {
		err = e.keepLift(ctx, w)
	}
	if err != nil {
		e.lifts.walk = nil
		return false, fmt.Errorf("comparing with the holdout of campaign %s: %w", w.campaign, err)
	}
	if over {
		e.lifts.walk = nil
	}
	return true, nil
}

// dueLift finds a campaign of ours that has a holdout and was not compared lately; nil when there is none.
func (e *Engine) dueLift(ctx context.Context, p *pass) (*liftWalk, error) {
	var rows []struct {
		Campaign   string
		ComputedAt crm.Instant `db:"computed_at"`
	}
	if err := e.db.Read().SelectContext(ctx, &rows, "SELECT campaign, computed_at FROM campaign_lifts"); err != nil {
		return nil, err
	}
	computed := map[string]crm.Instant{}
	for _, r := range rows {
		computed[r.Campaign] = r.ComputedAt
	}
	for _, id := range slices.Sorted(maps.Keys(p.campaigns)) {
		r := p.campaigns[id]
		lane := laneOfSplit(id, "holdout")
		if r.state == CampaignDraft || !slices.Contains(p.lanes, lane) || computed[id] > 0 && p.now < computed[id].Add(liftEvery) {
			continue
		}
		var held []int64
		if err := e.db.Read().SelectContext(ctx, &held, "SELECT contact_id FROM holdouts WHERE campaign=? LIMIT 1", id); err != nil {
			return nil, err
		}
		if len(held) == 0 {
			continue
		}
		span := standardLiftWindow
		for _, s := range e.o.Senders {
			if s.Audience == r.audience {
				span = s.Windows.lift()
			}
		}
		return &liftWalk{campaign: id, lane: lane, now: p.now, span: span, mailed: newLiftArm(), held: newLiftArm()}, nil
	}
	return nil, nil
}

// liftOn takes one page in; over tells that it was the last.
func (e *Engine) liftOn(ctx context.Context, w *liftWalk) (over bool, err error) {
	if !w.heldDone {
		return false, e.walkHeld(ctx, w)
	}
	if w.step != "" {
		var page []int64
		if err := e.db.Read().SelectContext(ctx, &page, `SELECT DISTINCT contact_id FROM sends WHERE campaign=? AND step=? AND contact_id>? AND handed_at>0
 AND +state IN ('handing','accepted','unknown') ORDER BY contact_id LIMIT ?`, w.campaign, w.step, w.contact, liftPage); err != nil {
			return false, err
		}
		if len(page) > 0 {
			w.contact = page[len(page)-1]
			return false, e.walkMailed(ctx, w, page)
		}
	}
	var next []string
	if err := e.db.Read().SelectContext(ctx, &next, "SELECT step FROM sends WHERE campaign=? AND step>? ORDER BY step LIMIT 1", w.campaign, w.step); err != nil {
		return false, err
	}
	if len(next) == 0 {
		return true, nil
	}
	w.step, w.contact = next[0], 0
	return false, nil
}

// heldRow is when a contact was held out.
type heldRow struct {
	ContactID int64 `db:"contact_id"`
	At        crm.Instant
}

func (e *Engine) walkHeld(ctx context.Context, w *liftWalk) error {
	var page []heldRow
	if err := e.db.Read().SelectContext(ctx, &page, "SELECT contact_id, at FROM holdouts WHERE campaign=? AND contact_id>? ORDER BY contact_id LIMIT ?", w.campaign, w.contact, liftPage); err != nil {
		return err
	}
	if len(page) == 0 {
		w.heldDone, w.contact = true, 0
		// Whole days: of a broadcast the first and last mails have nobody held out right beside them.
		w.from, w.until = crm.At(w.from.Time().Truncate(24*time.Hour)), crm.At(w.until.Time().Truncate(24*time.Hour).Add(24*time.Hour))
		return nil
	}
	w.contact = page[len(page)-1].ContactID
	ids := make([]int64, len(page))
	for i, h := range page {
		ids[i] = h.ContactID
	}
	first, err := e.firstMails(ctx, w.campaign, ids)
	if err != nil {
		return err
	}
	since := map[int64]crm.Instant{}
	for _, h := range page {
		if w.from == 0 || h.At < w.from {
			w.from = h.At
		}
		w.until = max(w.until, h.At)
		if m, was := first[h.ContactID]; !was || m.HandedAt >= h.At { // who had a mail before is no comparison
			since[h.ContactID] = h.At
		}
	}
	return e.watchBuyers(ctx, w, &w.held, since)
}

// walkMailed takes in who had the first mail of the campaign at this step, while there was a holdout.
func (e *Engine) walkMailed(ctx context.Context, w *liftWalk, page []int64) error {
	first, err := e.firstMails(ctx, w.campaign, page)
	if err != nil {
		return err
	}
	var held []heldRow
	if err := selectIn(ctx, e.db.Read(), &held, "SELECT contact_id, at FROM holdouts WHERE campaign=? AND contact_id IN (?)", w.campaign, page); err != nil {
		return err
	}
	for _, h := range held {
		if m := first[h.ContactID]; h.At <= m.HandedAt {
			delete(first, h.ContactID)
		}
	}
	since := map[int64]crm.Instant{}
	for id, m := range first {
		if m.Step == w.step && w.from <= m.HandedAt && m.HandedAt < w.until {
			since[id] = m.HandedAt
		}
	}
	return e.watchBuyers(ctx, w, &w.mailed, since)
}

func (e *Engine) firstMails(ctx context.Context, campaign string, contacts []int64) (map[int64]mailed, error) {
	var rows []mailed
	if err := selectIn(ctx, e.db.Read(), &rows, `SELECT id, contact_id, campaign, step, occurrence, about, variants, handed_at FROM sends
 WHERE contact_id IN (?) AND handed_at>0 AND +campaign=? AND +state IN ('handing','accepted','unknown')`, contacts, campaign); err != nil {
		return nil, err
	}
	first := map[int64]mailed{}
	for _, m := range rows {
		if was, known := first[m.ContactID]; !known || cmp.Or(cmp.Compare(m.HandedAt, was.HandedAt), cmp.Compare(m.ID, was.ID)) < 0 {
			first[m.ContactID] = m
		}
	}
	return first, nil
}

// watchBuyers adds to a group those whose time is over, and of them those who bought in it. Who was erased is in neither
// group; who was merged is looked at as who they are now.
func (e *Engine) watchBuyers(ctx context.Context, w *liftWalk, arm *liftArm, since map[int64]crm.Instant) error {
	maps.DeleteFunc(since, func(_ int64, at crm.Instant) bool { return at.Add(w.span) > w.now })
	if len(since) == 0 {
		return nil
	}
	people, err := e.profiles(ctx, e.db.Read(), slices.Sorted(maps.Keys(since)), crm.Needs{Orders: true})
	if err != nil {
		return err
	}
	var into []int64
	for _, p := range people {
		if p.Contact.MergedInto != 0 {
			into = append(into, p.Contact.MergedInto)
		}
	}
	slices.Sort(into)
	merged, err := e.profiles(ctx, e.db.Read(), slices.Compact(into), crm.Needs{Orders: true})
	if err != nil {
		return err
	}
	for id, at := range since {
		p := people[id]
		if p != nil && p.Contact.MergedInto != 0 {
			p = merged[p.Contact.MergedInto]
		}
		if p != nil && p.Contact.ErasedAt == 0 {
			arm.add(p, at, at.Add(w.span))
		}
	}
	return nil
}

func (a *liftArm) add(p *crm.Profile, from, to crm.Instant) {
	a.contacts++
	bought := int64(0)
	for _, o := range p.Orders {
		if o.CountsAsSale && from <= o.PlacedAt && o.PlacedAt < to {
			currency, revenue := bookedRevenue(o)
			bought = 1
			a.orders[currency]++
			a.revenue[currency] += revenue
		}
	}
	a.buyers += bought
}

// keepLift stores what came of it.
func (e *Engine) keepLift(ctx context.Context, w *liftWalk) error {
	currency := w.currency()
	return e.db.Write(ctx, "mailer.lift", func(tx *store.Tx) error {
		if err := e.fence(ctx, tx, []int{w.lane}); err != nil {
			return err
		}
		return tx.Upsert(ctx, "campaign_lifts", []string{"campaign"},
			[]string{"campaign", "computed_at", "span", "from_at", "until_at", "currency", "mailed", "mailed_buyers", "mailed_revenue", "held", "held_buyers", "held_revenue"},
			[][]any{{
				w.campaign, w.now, w.span.Milliseconds(), w.from, w.until, currency, w.mailed.contacts, w.mailed.buyers, w.mailed.revenue[currency],
				w.held.contacts, w.held.buyers, w.held.revenue[currency],
			}})
	})
}

// currency is the one that most orders are in: amounts of several are never added up.
func (w *liftWalk) currency() (best string) {
	most := int64(0)
	for _, c := range slices.Sorted(maps.Keys(w.mailed.orders)) {
		if n := w.mailed.orders[c]; n > most {
			best, most = c, n
		}
	}
	if best == "" {
		for _, c := range slices.Sorted(maps.Keys(w.held.orders)) {
			return c
		}
	}
	return best
}

// LiftInfo is the last comparison of a campaign with its holdout.
type LiftInfo struct {
	worth.Lift
	Says       string      `json:"sentence"`
	ComputedAt crm.Instant `json:"computed_at"`
	Days       float64     `json:"days"` // after a first mail, or its like in the holdout, in which a purchase counts
	Currency   string      `json:"currency,omitempty"`
}

// liftOf reads a campaign's; nil when it has not been compared.
func liftOf(ctx context.Context, q store.Queryer, campaign string) (*LiftInfo, error) {
	var rows []struct {
		ComputedAt    crm.Instant `db:"computed_at"`
		Span          int64
		Currency      string
		Mailed        int64
		MailedBuyers  int64 `db:"mailed_buyers"`
		MailedRevenue int64 `db:"mailed_revenue"`
		Held          int64
		HeldBuyers    int64 `db:"held_buyers"`
		HeldRevenue   int64 `db:"held_revenue"`
	}
	if err := q.SelectContext(ctx, &rows, `SELECT computed_at, span, currency, mailed, mailed_buyers, mailed_revenue, held, held_buyers, held_revenue
 FROM campaign_lifts WHERE campaign=?`, campaign); err != nil {
		return nil, fmt.Errorf("reading the comparison with the holdout: %w", err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	r := rows[0]
	l := worth.Compare(worth.Arm{Contacts: r.Mailed, Buyers: r.MailedBuyers, Revenue: r.MailedRevenue}, worth.Arm{Contacts: r.Held, Buyers: r.HeldBuyers, Revenue: r.HeldRevenue})
	return &LiftInfo{Lift: l, Says: l.Sentence(), ComputedAt: r.ComputedAt, Days: (time.Duration(r.Span) * time.Millisecond).Hours() / 24, Currency: r.Currency}, nil
}
