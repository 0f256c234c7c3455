package engine

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

// refusedByDatabase is what quarantine says of a record that the database does not take. The database's own words
// may quote the data, so they are not repeated.
const refusedByDatabase = "the database refuses a value of this record (too long or out of range)"

var errTrial = errors.New("only tried")

// apply commits a batch and what then writes, in one transaction. Records that the database refuses are found by
// halving, go to quarantine, and the rest is committed (B8).
func (e *Engine) apply(ctx context.Context, name string, b mirror.Batch, then func(*store.Tx, mirror.Result) error) (mirror.Result, error) {
	for {
		var res mirror.Result
		err := e.write(ctx, name, func(tx *store.Tx) error {
			var err error
			if res, err = e.o.Mirror.Apply(ctx, tx, b); err != nil {
				return err
			}
			return then(tx, res)
		})
		if err == nil || !mirror.IsDataError(err) {
			return res, err
		}
		bad, trialErr := e.bisect(ctx, b, refsOf(b))
		if trialErr != nil {
			return res, trialErr
		}
		if len(bad) == 0 { // not the records, then: each alone is taken
			return res, err
		}
		e.log.Warn("the database refuses records; they go to quarantine", zap.Int("records", len(bad)))
		b = quarantined(b, bad)
	}
}

// bisect gives those of the records that the database refuses, trying halves in transactions that are rolled back.
func (e *Engine) bisect(ctx context.Context, b mirror.Batch, refs []crm.Ref) ([]crm.Ref, error) {
	if len(refs) == 0 {
		return nil, nil
	}
	err := e.write(ctx, "sync.trial", func(tx *store.Tx) error {
		if _, err := e.o.Mirror.Apply(ctx, tx, only(b, refs)); err != nil {
			return err
		}
		return errTrial
	})
	switch {
	case errors.Is(err, errTrial):
		return nil, nil
	case !mirror.IsDataError(err):
		return nil, err
	case len(refs) == 1:
		return refs, nil
	}
	left, err := e.bisect(ctx, b, refs[:len(refs)/2])
	if err != nil {
		return nil, err
	}
	right, err := e.bisect(ctx, b, refs[len(refs)/2:])
	return append(left, right...), err
}

// refsOf names every record of a batch once.
func refsOf(b mirror.Batch) []crm.Ref {
	seen := map[crm.Ref]bool{}
	var refs []crm.Ref
	add := func(r crm.Ref) {
		if !seen[r] {
			seen[r] = true
			refs = append(refs, r)
		}
	}
	for _, f := range b.Facts {
		add(f.Ref)
	}
	for _, r := range b.Raw {
		add(r.Ref)
	}
	for _, r := range b.Rejected {
		add(r.Ref)
	}
	return refs
}

// only is the part of a batch that is about the records.
func only(b mirror.Batch, refs []crm.Ref) mirror.Batch {
	want := setOf(refs)
	return filter(b, func(r crm.Ref) bool { return want[r] })
}

func setOf(refs []crm.Ref) map[crm.Ref]bool {
	set := make(map[crm.Ref]bool, len(refs))
	for _, r := range refs {
		set[r] = true
	}
	return set
}

func filter(b mirror.Batch, keep func(crm.Ref) bool) mirror.Batch {
	out := b
	out.Facts, out.Raw, out.Rejected = nil, nil, nil
	for _, f := range b.Facts {
		if keep(f.Ref) {
			out.Facts = append(out.Facts, f)
		}
	}
	for _, r := range b.Raw {
		if keep(r.Ref) {
			out.Raw = append(out.Raw, r)
		}
	}
	for _, r := range b.Rejected {
		if keep(r.Ref) {
			out.Rejected = append(out.Rejected, r)
		}
	}
	return out
}

// quarantined is the batch with the bad records' facts turned into rejections.
func quarantined(b mirror.Batch, bad []crm.Ref) mirror.Batch {
	isBad := setOf(bad)
	out := filter(b, func(r crm.Ref) bool { return !isBad[r] })
	hadFacts := map[crm.Ref]bool{}
	for _, f := range b.Facts {
		hadFacts[f.Ref] = true
	}
	for _, ref := range bad {
		if hadFacts[ref] { // a body or a rejection that the database refuses is left out instead
			out.Rejected = append(out.Rejected, connectors.Rejected{Ref: ref, Reason: refusedByDatabase, Raw: rawOf(b, ref)})
		}
	}
	return out
}

// rawOf is the body behind a record's facts: its own, or that of the record which carries it (a cart comes within
// the order of the same id, a refund within its order).
func rawOf(b mirror.Batch, ref crm.Ref) []byte {
	parent := ref.ID
	for _, f := range b.Facts {
		if refund, ok := f.Body.(*crm.Refund); ok && f.Ref == ref {
			parent = refund.OrderID
		}
	}
	var carrier []byte
	for _, r := range b.Raw {
		if r.Ref == ref {
			return r.Body
		}
		if r.Ref.ID == parent {
			carrier = r.Body
		}
	}
	return carrier
}
