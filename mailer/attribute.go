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
)

const (
	worthBatch = 100         // contacts
	worthWait  = time.Second // until an order is looked at again that still counts for another contact
)

// worthMark says that a contact's orders are to be looked at. It is deleted WHERE generation = ? with what came of it.
type worthMark struct {
	ContactID  int64 `db:"contact_id"`
	Lane       int
	Generation int64
}

// TellWorth gives what the maintainer of segments calls with the contacts whose facts changed, in the transaction in which
// they are settled: of them, those who have ever been mailed, and those to whom an order is credited, are marked.
func TellWorth(m *mirror.Mirror) func(ctx context.Context, tx *store.Tx, contacts []int64) error {
	return func(ctx context.Context, tx *store.Tx, contacts []int64) error {
		if len(contacts) == 0 {
			return nil
		}
		var ids []int64
		err := selectIn(ctx, tx, &ids, `SELECT contact_id FROM sends WHERE contact_id IN (?) AND handed_at>0 UNION SELECT contact_id FROM attributed_orders WHERE contact_id IN (?)
 UNION SELECT contact_id FROM recovered_carts WHERE contact_id IN (?)`, contacts, contacts, contacts)
		if err != nil {
			return fmt.Errorf("asking who has been mailed: %w", err)
		}
		from, err := m.MergedFrom(ctx, tx, contacts)
		if err != nil {
			return err
		}
		ids = slices.Concat(ids, slices.Collect(maps.Keys(from)))
		slices.Sort(ids)
		return markWorth(ctx, tx, slices.Compact(ids))
	}
}

func markWorth(ctx context.Context, tx *store.Tx, contacts []int64) error {
	rows := make([][]any, 0, len(contacts))
	for _, id := range contacts {
		rows = append(rows, []any{id, crm.LaneOf(id), tx.NewID(), 0})
	}
	if err := tx.Upsert(ctx, "worth_marks", []string{"contact_id"}, []string{"contact_id", "lane", "generation", "due_at"}, rows); err != nil {
		return fmt.Errorf("marking whose orders are to be looked at: %w", err)
	}
	return nil
}

// attribute looks at the orders of marked contacts: which mail brought them, and what they are worth now.
func (e *Engine) attribute(ctx context.Context, p *pass) (bool, error) {
	var peek []worthMark
	if err := selectIn(ctx, e.db.Read(), &peek, "SELECT contact_id, lane, generation FROM worth_marks WHERE lane IN (?) AND due_at<=? LIMIT ?", p.lanes, p.now, worthBatch); err != nil {
		return false, fmt.Errorf("looking for orders to be credited: %w", err)
	}
	if len(peek) == 0 {
		return false, nil
	}
	var a *attributing
	err := e.db.Write(ctx, "mailer.worth", func(tx *store.Tx) error {
		a = &attributing{e: e, tx: tx, p: p, days: tally{}, counts: creditCounts{}}
		return a.carryOut(ctx, peek)
	})
	if err != nil {
		return false, fmt.Errorf("crediting orders to mails: %w", err)
	}
	for _, c := range a.fresh {
		if c.What == creditOrder {
			e.o.Metrics.attributed.WithLabelValues(c.How).Inc()
		}
	}
	return true, nil
}

// attributing is one transaction's work.
type attributing struct {
	e        *Engine
	tx       *store.Tx
	p        *pass
	marks    []worthMark
	contacts []int64 // of the marks
	days     tally
	counts   creditCounts
	fresh    []*credit // credited now, and not before
	waiting  map[int64]bool
	others   []int64 // contacts for whom an order of these still counts
}

func (a *attributing) carryOut(ctx context.Context, peek []worthMark) error {
	var lanes []int
	for _, m := range peek {
		lanes = append(lanes, m.Lane)
	}
	if err := a.e.fence(ctx, a.tx, lanes); err != nil {
		return err
	}
	if err := a.standing(ctx, peek); err != nil || len(a.marks) == 0 {
		return err
	}
	people, err := a.load(ctx)
	if err != nil {
		return err
	}
	want := map[creditKey]*credit{}
	skip := map[int64]bool{}
	for _, d := range people {
		skip[d.profile.Contact.ID] = d.profile.Contact.ErasedAt > 0 // depart takes the person out of the rows
		for _, c := range d.credits() {
			want[c.key()] = &c
		}
	}
	a.waiting = map[int64]bool{}
	for _, l := range creditTables() {
		if err := a.settle(ctx, l, want, skip); err != nil {
			return err
		}
	}
	if err := a.counts.write(ctx, a.tx); err != nil {
		return err
	}
	if err := a.days.write(ctx, a.tx); err != nil {
		return err
	}
	return a.done(ctx)
}

// standing keeps the marks that are still those which were read.
func (a *attributing) standing(ctx context.Context, peek []worthMark) error {
	ids := make([]int64, len(peek))
	for i, m := range peek {
		ids[i] = m.ContactID
	}
	var rows []worthMark
	if err := selectIn(ctx, a.tx, &rows, "SELECT contact_id, lane, generation FROM worth_marks WHERE contact_id IN (?)", ids); err != nil {
		return fmt.Errorf("reading marks: %w", err)
	}
	for _, m := range rows {
		if slices.Contains(peek, m) {
			a.marks, a.contacts = append(a.marks, m), append(a.contacts, m.ContactID)
		}
	}
	return nil
}

// load reads what the marked contacts, and those merged into them, did.
func (a *attributing) load(ctx context.Context) (map[int64]*doings, error) {
	profiles, err := a.e.mirror.Profiles(ctx, a.tx, a.contacts, crm.Needs{Orders: true, Carts: true})
	if err != nil {
		return nil, err
	}
	into, err := a.e.mergedFrom(ctx, a.tx, a.contacts)
	if err != nil {
		return nil, err
	}
	persons := slices.Concat(a.contacts, slices.Collect(maps.Keys(into)))
	people := map[int64]*doings{}
	for i := range profiles {
		p := &profiles[i]
		people[p.Contact.ID] = &doings{
			profile: p, mails: map[int64]mailed{}, undone: map[creditKey]bool{}, window: a.e.o.Senders[p.Contact.AudienceID].Windows.click(),
		}
	}
	of := func(contact int64) *doings { return people[cmp.Or(into[contact], contact)] }
	var mails []mailed
	if err := selectIn(ctx, a.tx, &mails, `SELECT id, contact_id, campaign, step, occurrence, about, variants, handed_at FROM sends
 WHERE contact_id IN (?) AND handed_at>0 AND +state IN ('handing','accepted','unknown')`, persons); err != nil {
		return nil, fmt.Errorf("reading the mails: %w", err)
	}
	for _, m := range mails {
		if d := of(m.ContactID); d != nil {
			d.mails[m.ID] = m
		}
	}
	var clicks []struct {
		clicked
		ContactID int64 `db:"contact_id"`
	}
	if err := selectIn(ctx, a.tx, &clicks, "SELECT contact_id, send_id, happened_at FROM mail_events WHERE contact_id IN (?) AND kind=? AND machine=0 AND send_id<>0", persons, EventClicked); err != nil {
		return nil, fmt.Errorf("reading the clicks: %w", err)
	}
	for _, c := range clicks {
		if d := of(c.ContactID); d != nil {
			d.clicks = append(d.clicks, c.clicked)
		}
	}
	if err := a.loadCodes(ctx, persons, of); err != nil {
		return nil, err
	}
	carts, err := a.e.mirror.CartOrders(ctx, a.tx, a.contacts)
	for _, c := range carts {
		if d := people[c.ContactID]; d != nil && !c.Sale {
			d.undone[creditKey{creditCart, c.ShopID, c.ID}] = true
		}
	}
	return people, err
}

func (a *attributing) loadCodes(ctx context.Context, persons []int64, of func(int64) *doings) error {
	uses, err := a.e.mirror.CodeUses(ctx, a.tx, a.contacts)
	if err != nil || len(uses) == 0 {
		return err
	}
	var given []struct {
		codeRow
		GivenAt crm.Instant `db:"given_at"`
	}
	if err := selectIn(ctx, a.tx, &given, "SELECT "+codeCols+", given_at FROM coupons WHERE contact_id IN (?)", persons); err != nil {
		return fmt.Errorf("reading the codes given: %w", err)
	}
	for _, use := range uses {
		for _, g := range given {
			d := of(use.ContactID)
			if g.Key == use.Key && d != nil && of(g.ContactID) == d && (g.ShopID == 0 || g.ShopID == use.ShopID) {
				d.codes = append(d.codes, codeUsed{runKey{g.Campaign, g.ContactID, g.Occurrence}, g.GivenAt, g.Key, use.ShopID, use.OrderID})
			}
		}
	}
	return nil
}

// done ends the marks; one whose order still counts for another contact is looked at again after that contact.
func (a *attributing) done(ctx context.Context) error {
	for _, m := range a.marks {
		query, args := "DELETE FROM worth_marks WHERE contact_id=? AND generation=?", []any{m.ContactID, m.Generation}
		if a.waiting[m.ContactID] {
			query, args = "UPDATE worth_marks SET due_at=? WHERE contact_id=? AND generation=?", append([]any{a.p.now.Add(worthWait)}, args...)
		}
		if _, err := execPrepared(ctx, a.tx, query, args...); err != nil {
			return fmt.Errorf("ending marks: %w", err)
		}
	}
	slices.Sort(a.others)
	others := slices.DeleteFunc(slices.Compact(a.others), func(id int64) bool { return slices.Contains(a.contacts, id) })
	return markWorth(ctx, a.tx, others)
}
