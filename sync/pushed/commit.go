package pushed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"go.uber.org/zap"

	"github.com/relance/relance/connectors/push"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

// delivery is one decoded request on its way to the disk.
type delivery struct {
	shopID  int64
	polled  bool
	batch   push.Batch
	at      crm.Instant // business time
	results []Result
	err     error // of the commit that decided it
}

// refusedByDatabase is said of a record that the database does not take. The database's own words may quote the data.
const refusedByDatabase = "the database refuses a value of this record (too long or out of range)"

var errTrial = errors.New("only tried")

// commitAll never fails as a whole: each delivery has its own error.
func (r *Receiver) commitAll(ctx context.Context, ds []*delivery) error {
	r.commit(ctx, ds)
	return nil
}

// commit writes the deliveries of a group and sets err and results of each. When the database refuses a value, each
// delivery is written alone, and the bad record of the bad one is found and rejected: the others do not notice (B8).
func (r *Receiver) commit(ctx context.Context, ds []*delivery) {
	err := r.write(ctx, "push.store", ds)
	switch {
	case mirror.IsDataError(err) && len(ds) > 1:
		for _, d := range ds {
			r.commit(ctx, []*delivery{d})
		}
		return
	case mirror.IsDataError(err):
		err = r.withoutBad(ctx, ds[0], err)
	}
	for _, d := range ds {
		d.err = err
	}
	if err != nil || r.o.Wake == nil {
		return
	}
	var woken []int64
	for _, d := range ds {
		if d.hints() && !slices.Contains(woken, d.shopID) {
			woken = append(woken, d.shopID)
			r.o.Wake(d.shopID)
		}
	}
}

func (d *delivery) hints() bool {
	return d.polled && slices.ContainsFunc(d.batch.Records, func(r push.Record) bool { return r.Hint.ID != "" })
}

// withoutBad rejects the records that the database refuses, found by halving in transactions that are rolled back, and
// writes the rest.
func (r *Receiver) withoutBad(ctx context.Context, d *delivery, cause error) error {
	bad, err := r.bisect(ctx, d, 0, len(d.batch.Records))
	if err != nil {
		return err
	}
	if len(bad) == 0 { // each alone is taken: not the records, then
		return cause
	}
	for _, i := range bad {
		rec := &d.batch.Records[i]
		rec.Facts, rec.Problems = nil, []push.Problem{{Pointer: fmt.Sprintf("/records/%d", i), Message: refusedByDatabase}}
	}
	r.o.Log.Warn("the database refuses pushed records; they go to quarantine", zap.Int("records", len(bad)))
	return r.write(ctx, "push.store", []*delivery{d})
}

func (r *Receiver) bisect(ctx context.Context, d *delivery, from, to int) ([]int, error) {
	part := *d
	part.batch.Records = d.batch.Records[from:to]
	err := r.write(ctx, "push.trial", []*delivery{&part})
	switch {
	case errors.Is(err, errTrial):
		return nil, nil
	case !mirror.IsDataError(err):
		return nil, err
	case to-from == 1:
		return []int{from}, nil
	}
	middle := (from + to) / 2
	left, err := r.bisect(ctx, d, from, middle)
	if err != nil {
		return nil, err
	}
	right, err := r.bisect(ctx, d, middle, to)
	return append(left, right...), err
}

// write commits the deliveries in one transaction, shop by shop in the order of their ids: two processes that store
// records of the same shops wait for each other instead of deadlocking. A trial is rolled back with errTrial.
func (r *Receiver) write(ctx context.Context, name string, ds []*delivery) error {
	order := slices.Clone(ds)
	slices.SortStableFunc(order, func(a, b *delivery) int { return cmp.Compare(a.shopID, b.shopID) })
	return r.mirror.DB().Write(ctx, name, func(tx *store.Tx) error {
		for rest := order; len(rest) > 0; {
			n := 1
			for n < len(rest) && rest[n].shopID == rest[0].shopID {
				n++
			}
			if err := storeAll(ctx, r.mirror, tx, rest[:n]); err != nil {
				return err
			}
			rest = rest[n:]
		}
		if name == "push.trial" {
			return errTrial
		}
		return nil
	})
}
