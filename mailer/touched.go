package mailer

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/segments/rule"
)

const (
	touchBatch = 100                // contacts
	lookBack   = 7 * 24 * time.Hour // beyond not_after: how old a fact may be that is still counted as too old
	sweepEvery = time.Hour          // business time between two looks for verdicts that nobody asks for any more
	sweepBatch = 500                // of them
)

// happening is something that happened to, or was done by, a contact and that starts a campaign.
type happening struct {
	at     crm.Instant
	shopID int64
	about  string
	key    string   // what is judged once; the occurrence where the campaign has none of its own
	same   []string // abouts of runs that were about this fact: other orders of the purchase
}

// touched looks at the contacts whose facts changed: what their profiles show, not what a signal said, decides, so that a
// fact starts a run however often, and however late, somebody says that there may be one. A fact dated in the future puts
// the touch off until its instant.
func (e *Engine) touched(ctx context.Context, p *pass) (bool, error) {
	peek, err := mirror.Touches(ctx, e.db.Read(), p.lanes, p.now, touchBatch)
	if err != nil {
		return false, err
	}
	if len(peek) == 0 {
		return e.sweepFacts(ctx, p)
	}
	t, err := e.loadTouched(ctx, p, peek) // after the touches: what they told of is in it
	if err != nil {
		return false, err
	}
	err = e.db.Write(ctx, "mailer.touched", func(tx *store.Tx) error { return t.write(ctx, tx) })
	if err != nil {
		return false, fmt.Errorf("starting campaigns from facts: %w", err)
	}
	e.told(t.feeding)
	e.observe(p, t.moves)
	return true, nil
}

// touching is one batch of touched contacts.
type touching struct {
	*feeding
	touches   []mirror.Touch
	campaigns []running // that facts start, by id
	stock     stocks
	judged    map[judgedKey]bool
	verdicts  [][]any // new rows of trigger_facts
}

type judgedKey struct {
	contact        int64
	campaign, fact string
}

func (e *Engine) loadTouched(ctx context.Context, p *pass, peek []mirror.Touch) (*touching, error) {
	t := &touching{touches: peek}
	needs := p.startNeeds()
	for _, id := range slices.Sorted(maps.Keys(p.campaigns)) {
		if r := p.campaigns[id]; r.listens() {
			t.campaigns = append(t.campaigns, r)
			needs = rule.Union(needs, r.factNeeds())
		}
	}
	profiles, err := e.profiles(ctx, e.db.Read(), contactsTouched(peek), needs)
	if err != nil {
		return nil, err
	}
	t.feeding = e.feeding(p, profiles)
	t.stock, err = e.loadStock(ctx, t.campaigns, profiles)
	return t, err
}

func contactsTouched(touches []mirror.Touch) []int64 {
	ids := make([]int64, len(touches))
	for i, t := range touches {
		ids[i] = t.ContactID
	}
	return ids
}

// factNeeds is what profiles must hold to find the campaign's facts.
func (t *trigger) factNeeds() crm.Needs {
	switch t.on {
	case triggerOrder:
		return crm.Needs{Orders: true, Moments: true}
	case triggerEvent:
		return crm.Needs{Events: []string{t.act.Name}}
	case triggerStock:
		return crm.Needs{Events: t.asked}
	}
	return crm.Needs{}
}

func (t *touching) write(ctx context.Context, tx *store.Tx) error {
	*t.feeding = *t.e.feeding(t.pass, t.profiles) // a transaction may be tried again
	t.judged, t.verdicts = map[judgedKey]bool{}, nil
	var lanes []int
	for _, one := range t.touches {
		lanes = append(lanes, one.Lane)
	}
	if err := t.e.fence(ctx, tx, lanes); err != nil {
		return err
	}
	standing, err := t.standing(ctx, tx)
	if err != nil || len(standing) == 0 {
		return err
	}
	moves, err := t.e.wake(ctx, tx, t.pass, contactsTouched(standing)) // first: who has bought is not mailed about the cart
	if err != nil {
		return err
	}
	if err := t.loadJudged(ctx, tx, contactsTouched(standing)); err != nil {
		return err
	}
	for i := range standing {
		standing[i].DueAt = t.look(tx, standing[i])
	}
	if err := t.e.writeFeed(ctx, tx, t.feeding); err != nil {
		return err
	}
	t.moves = append(t.moves, moves...)
	if err := tx.Upsert(ctx, "trigger_facts", []string{"contact_id", "campaign", "fact"},
		[]string{"contact_id", "campaign", "fact", "lane", "at", "outcome"}, t.verdicts); err != nil {
		return fmt.Errorf("keeping what facts came to: %w", err)
	}
	return mirror.DoneTouches(ctx, tx, standing)
}

// standing gives the touches that are still those which were read.
func (t *touching) standing(ctx context.Context, tx *store.Tx) ([]mirror.Touch, error) {
	var rows []mirror.Touch
	if err := selectIn(ctx, tx, &rows, "SELECT contact_id, generation FROM touches WHERE contact_id IN (?)", contactsTouched(t.touches)); err != nil {
		return nil, fmt.Errorf("reading whom facts touched: %w", err)
	}
	generation := map[int64]int64{}
	for _, r := range rows {
		generation[r.ContactID] = r.Generation
	}
	return slices.DeleteFunc(slices.Clone(t.touches), func(one mirror.Touch) bool { return generation[one.ContactID] != one.Generation }), nil
}

func (t *touching) loadJudged(ctx context.Context, tx *store.Tx, contacts []int64) error {
	merged, err := t.e.earlier(ctx, tx, t.feeding, contacts)
	if err != nil {
		return err
	}
	var rows []struct {
		ContactID int64 `db:"contact_id"`
		Campaign  string
		Fact      string
	}
	if err := selectIn(ctx, tx, &rows, "SELECT contact_id, campaign, fact FROM trigger_facts WHERE contact_id IN (?)",
		slices.Concat(contacts, slices.Collect(maps.Keys(merged)))); err != nil {
		return fmt.Errorf("reading what facts came to: %w", err)
	}
	for _, r := range rows {
		t.judged[judgedKey{cmp.Or(merged[r.ContactID], r.ContactID), r.Campaign, r.Fact}] = true
	}
	return nil
}

// look judges the facts of one contact; it gives the instant of the next one to come, 0 when there is none.
func (t *touching) look(tx *store.Tx, one mirror.Touch) (next crm.Instant) {
	profile := t.profiles[one.ContactID]
	if profile == nil || profile.Contact.MergedInto != 0 || profile.Contact.ErasedAt > 0 {
		return 0 // whoever it counts for now is touched by that
	}
	for _, r := range t.campaigns {
		for _, f := range t.facts(r, profile) {
			switch {
			case f.at > t.now:
				if next == 0 || f.at < next {
					next = f.at
				}
			case f.at.Add(r.notAfter+lookBack) >= t.now:
				t.judge(tx, r, one, f)
			}
		}
	}
	return next
}

// judge starts a run or notes why not, once for each fact.
func (t *touching) judge(tx *store.Tx, r running, one mirror.Touch, f happening) {
	key := judgedKey{one.ContactID, r.id, f.key}
	if t.judged[key] || slices.ContainsFunc(t.byContact[feedKey{r.id, one.ContactID}], func(n *enrolment) bool {
		return n.Occurrence == f.key || slices.Contains(f.same, n.About)
	}) {
		return
	}
	outcome := t.take(tx, r, start{contact: one.ContactID, lane: one.Lane, at: f.at, shopID: f.shopID, about: f.about, key: f.key})
	if outcome == "" {
		return
	}
	t.judged[key] = true
	if n := t.byContact[feedKey{r.id, one.ContactID}]; outcome != Enrolled || n[len(n)-1].Occurrence != f.key {
		t.verdicts = append(t.verdicts, []any{one.ContactID, r.id, f.key, one.Lane, f.at, outcome})
	}
}

// facts lists what starts a campaign for a contact, oldest first, of whatever age.
func (t *touching) facts(r running, p *crm.Profile) []happening {
	var out []happening
	switch r.on {
	case triggerEvent:
		for i := range p.Events {
			if ev := &p.Events[i]; r.act.Is(ev) {
				name := about(eventPrefix, ev.ShopID, ev.ID)
				out = append(out, happening{at: ev.At, shopID: ev.ShopID, about: name, key: name, same: []string{name}})
			}
		}
	case triggerOrder:
		out = orderFacts(r.moment, p)
	case triggerStock:
		out = t.stock.facts(r, p, t.now)
	}
	slices.SortStableFunc(out, func(a, b happening) int { return cmp.Compare(a.at, b.at) })
	return out
}

// orderFacts: an order that was split or edited is placed and paid once, as one purchase; each parcel is shipped.
func orderFacts(moment string, p *crm.Profile) []happening {
	type purchase struct {
		shop int64
		id   string
	}
	whole := moment == orderPlaced || moment == orderPaid
	seen := map[purchase]int{}
	var out []happening
	for i := range p.Orders {
		o := &p.Orders[i]
		at := momentOf(moment, o)
		if at == 0 {
			continue
		}
		name := about(orderPrefix, o.ShopID, o.ID)
		key := purchase{o.ShopID, o.Purchase}
		if j, twice := seen[key]; whole && twice {
			out[j].same = append(out[j].same, name)
			continue
		}
		seen[key] = len(out)
		out = append(out, happening{at: at, shopID: o.ShopID, about: name, key: name, same: []string{name}})
	}
	return out
}

// momentOf is when the order became what a campaign waits for; 0 = is not, or not any more.
func momentOf(moment string, o *crm.ProfileOrder) crm.Instant {
	switch {
	case moment == orderPlaced && ordered(*o):
		return o.PlacedAt
	case moment == orderPaid:
		return o.Moments.Paid
	case moment == orderShipped:
		return o.Moments.Shipped
	case moment == orderCancelled && o.State == crm.StateCancelled:
		return o.Moments.Cancelled
	case moment == orderRefunded:
		return o.Moments.Refunded
	}
	return 0
}

// sweepFacts now and then removes verdicts on facts that are too old to be looked at.
func (e *Engine) sweepFacts(ctx context.Context, p *pass) (bool, error) {
	if p.now < e.sweptAt.Add(sweepEvery) {
		return false, nil
	}
	keep := defaultNotAfter
	for _, r := range p.campaigns {
		keep = max(keep, r.notAfter)
	}
	before := p.now.Add(-keep - 2*lookBack)
	var rows []struct {
		ContactID int64 `db:"contact_id"`
		Campaign  string
		Fact      string
		Lane      int
	}
	if err := selectIn(ctx, e.db.Read(), &rows, "SELECT contact_id, campaign, fact, lane FROM trigger_facts WHERE at<? AND lane IN (?) LIMIT ?", before, p.lanes, sweepBatch); err != nil {
		return false, fmt.Errorf("reading old verdicts on facts: %w", err)
	}
	if len(rows) < sweepBatch {
		e.sweptAt = p.now
	}
	if len(rows) == 0 {
		return false, nil
	}
	err := e.db.WriteBackground(ctx, "mailer.sweep", func(tx *store.Tx) error {
		var lanes []int
		for _, r := range rows {
			lanes = append(lanes, r.Lane)
		}
		if err := e.fence(ctx, tx, lanes); err != nil {
			return err
		}
		for _, r := range rows {
			if _, err := tx.ExecContext(ctx, "DELETE FROM trigger_facts WHERE contact_id=? AND campaign=? AND fact=?", r.ContactID, r.Campaign, r.Fact); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("removing old verdicts on facts: %w", err)
	}
	return true, nil
}

// Listening tells whether any campaign waits for facts: the maintainer of segments asks before it tells of contacts.
func Listening(ctx context.Context, q store.Queryer) (bool, error) {
	var n int
	err := q.GetContext(ctx, &n, "SELECT COUNT(*) FROM campaigns WHERE listens>0")
	if err != nil {
		return false, fmt.Errorf("asking whether campaigns wait for facts: %w", err)
	}
	return n > 0, nil
}
