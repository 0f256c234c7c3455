package pushed

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/relance/relance/connectors/push"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

// storing is the deliveries for one shop in their transaction.
type storing struct {
	ctx      context.Context // of the one call of storeAll that this lives for
	m        *mirror.Mirror
	tx       *store.Tx
	shopID   int64
	observed crm.Instant
	past     bool // the shop's backfill has not ended: nothing is news yet

	known map[crm.Ref]int64 // newest sequence number taken
	taken map[crm.Ref]bool  // in this transaction
	hints []crm.Ref
	next  mirror.Batch // being gathered
	in    map[crm.Ref]bool
}

// storeAll applies deliveries for one shop, in the order in which they came, and sets their results.
func storeAll(ctx context.Context, m *mirror.Mirror, tx *store.Tx, ds []*delivery) error {
	s := storing{
		ctx: ctx, m: m, tx: tx, shopID: ds[0].shopID, known: map[crm.Ref]int64{}, taken: map[crm.Ref]bool{}, in: map[crm.Ref]bool{},
	}
	var at crm.Instant
	for _, d := range ds {
		at = max(at, d.at)
	}
	var err error
	if s.observed, err = m.ObserveNow(ctx, tx, s.shopID, at); err != nil {
		return err
	}
	if err := s.load(ds); err != nil {
		return err
	}
	for _, d := range ds {
		if err := s.deliver(d); err != nil {
			return err
		}
	}
	if err := s.flush(); err != nil {
		return err
	}
	if err := s.saveVersions(at); err != nil {
		return err
	}
	slices.SortFunc(s.hints, byRef) // one order of locking for all
	return m.AddHints(ctx, tx, s.shopID, s.hints, at)
}

func byRef(a, b crm.Ref) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID)) }

// load reads what deciding needs: whether the shop's history has been read, and the versions of the records named.
func (s *storing) load(ds []*delivery) error {
	if err := s.tx.GetContext(s.ctx, &s.past, "SELECT backfilled_at=0 FROM shops WHERE id=?", s.shopID); err != nil {
		return fmt.Errorf("finding the shop: %w", err)
	}
	byKind := map[crm.Kind][]string{}
	for _, d := range ds {
		for _, r := range d.batch.Records {
			if r.Ref.ID != "" {
				byKind[r.Ref.Kind] = append(byKind[r.Ref.Kind], r.Ref.ID)
			}
		}
	}
	for kind, ids := range byKind {
		text, args, err := store.In("SELECT id, version FROM push_versions WHERE shop_id=? AND kind=? AND id IN (?)", s.shopID, string(kind), ids)
		if err != nil {
			return err
		}
		var rows []struct {
			ID      string
			Version int64
		}
		if err := s.tx.SelectContext(s.ctx, &rows, text, args...); err != nil {
			return fmt.Errorf("reading versions: %w", err)
		}
		for _, row := range rows {
			s.known[crm.Ref{Kind: kind, ID: row.ID}] = row.Version
		}
	}
	return nil
}

func (s *storing) deliver(d *delivery) error {
	d.results = make([]Result, len(d.batch.Records))
	cause := crm.CauseChange
	if d.batch.History || s.past {
		cause = crm.CauseBackfill
	}
	for i, rec := range d.batch.Records {
		if rec.Hint.ID != "" && !d.polled {
			rec.Problems = []push.Problem{{
				Pointer: fmt.Sprintf("/records/%d/kind", i), Message: "nobody reads this shop, so there is nothing to read again: send the record itself",
			}}
		}
		out := &d.results[i]
		*out = Result{Index: i, Kind: rec.Ref.Kind, ID: rec.Ref.ID, Status: Applied, Errors: rec.Problems}
		old := rec.Ref.ID != "" && rec.Sequence > 0 && rec.Sequence <= s.known[rec.Ref]
		var err error
		switch {
		case len(rec.Problems) > 0:
			out.Status = Rejected
			if !old && rec.Ref.Kind != push.KindHint { // what is out of date or only a hint is worth no one's attention
				err = s.add(rec, cause)
			}
		case rec.Hint.ID != "":
			s.hints = append(s.hints, rec.Hint)
		case old:
			out.Status = Unchanged
		default:
			s.known[rec.Ref], s.taken[rec.Ref] = rec.Sequence, true
			if err = s.currency(d, rec); err == nil {
				err = s.add(rec, cause)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// currency lets the first order say what the shop's books are in, where nobody can be asked.
func (s *storing) currency(d *delivery, rec push.Record) error {
	if d.polled || len(rec.Facts) == 0 || rec.Facts[0].Gone {
		return nil
	}
	if o, ok := rec.Facts[0].Body.(*crm.Order); ok {
		return s.m.SetCurrency(s.ctx, s.tx, s.shopID, cmp.Or(o.BaseCurrency, o.Currency))
	}
	return nil
}

// add puts a record into the batch that is being gathered. Two versions of one record are applied one after the other:
// each is seen, as if they had come in two requests.
func (s *storing) add(rec push.Record, cause crm.Cause) error {
	if s.in[rec.Ref] && rec.Ref.ID != "" || s.next.Cause != cause {
		if err := s.flush(); err != nil {
			return err
		}
	}
	s.in[rec.Ref], s.next.Cause = true, cause
	if len(rec.Problems) > 0 {
		s.next.Rejected = append(s.next.Rejected, rec.Rejected(rec.Reason()))
		return nil
	}
	s.next.Facts = append(s.next.Facts, rec.Facts...)
	return nil
}

func (s *storing) flush() error {
	b := s.next
	s.next = mirror.Batch{}
	clear(s.in)
	if len(b.Facts)+len(b.Rejected) == 0 {
		return nil
	}
	b.ShopID, b.ObservedAt = s.shopID, s.observed
	res, err := s.m.Apply(s.ctx, s.tx, b)
	s.hints = append(s.hints, res.Reread...)
	return err
}

func (s *storing) saveVersions(at crm.Instant) error {
	var rows [][]any
	for _, ref := range slices.SortedFunc(maps.Keys(s.taken), byRef) {
		rows = append(rows, []any{s.shopID, string(ref.Kind), ref.ID, s.known[ref], at})
	}
	err := s.tx.Upsert(s.ctx, "push_versions", []string{"shop_id", "kind", "id"}, []string{"shop_id", "kind", "id", "version", "taken_at"}, rows)
	if err != nil {
		return fmt.Errorf("writing versions: %w", err)
	}
	return nil
}
