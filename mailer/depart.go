package mailer

import (
	"context"
	"fmt"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

// Forgetter is a Provider that keeps what it was handed and can let go of it. Forgetting what is not there is no error.
type Forgetter interface {
	Forget(ctx context.Context, sendIDs []string) error
}

const (
	departBatch = 50  // contacts
	forgetBatch = 200 // sends of one contact
)

// mergedFrom gives the contacts that are merged into some of these, and into which.
func (e *Engine) mergedFrom(ctx context.Context, q store.Queryer, contacts []int64) (map[int64]int64, error) {
	into, err := e.mirror.MergedFrom(ctx, q, contacts)
	if err != nil {
		return nil, err
	}
	out := map[int64]int64{}
	for to, list := range into {
		for _, from := range list {
			out[from] = to
		}
	}
	return out, nil
}

// depart ends what is under way for contacts that were merged into another or erased; of the erased it also removes what
// the ledger says of the person. The rows stay: they count what was sent. A mail that is just being handed over is
// waited for.
func (e *Engine) depart(ctx context.Context, p *pass) (worked bool, err error) {
	peek, err := e.mirror.Departures(ctx, e.db.Read(), p.lanes, departBatch)
	if err != nil {
		return false, err
	}
	for _, d := range peek {
		did, err := e.departOne(ctx, p, d)
		if err != nil {
			return worked, fmt.Errorf("ending what was under way for a contact: %w", err)
		}
		worked = worked || did
	}
	return worked, nil
}

func (e *Engine) departOne(ctx context.Context, p *pass, d mirror.Departure) (worked bool, err error) {
	if d.Why == mirror.DepartedErased {
		for _, forget := range []func(context.Context, mirror.Departure) (bool, error){e.forget, e.forgetFacts} {
			if more, err := forget(ctx, d); err != nil || more {
				return more, err
			}
		}
	}
	var moves []move
	err = e.db.Write(ctx, "mailer.depart", func(tx *store.Tx) error {
		moves, worked = nil, false
		if err := e.fence(ctx, tx, []int{d.Lane}); err != nil {
			return err
		}
		why := MergedAway
		if d.Why == mirror.DepartedErased {
			why = Erased
		}
		var open []sendRow
		if err := tx.SelectContext(ctx, &open, "SELECT "+sendCols+" FROM sends WHERE contact_id=? AND +state IN ('ready','deferred','handing')", d.ContactID); err != nil {
			return err
		}
		handing := false
		for i := range open {
			if open[i].State == Handing {
				handing = true
				continue
			}
			moves = append(moves, move{row: &open[i], to: Refused, reason: why})
		}
		if err := e.applyMoves(ctx, tx, p, moves); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE enrolments SET state=?, exit_reason=? WHERE contact_id=? AND state=?", enrolmentExited, string(why), d.ContactID, enrolmentActive); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE calls SET state=?, error=?, done_at=? WHERE contact_id=? AND +state=?", callDropped, why.Sentence(), p.now, d.ContactID, callOpen); err != nil {
			return err
		}
		if d.Why == mirror.DepartedErased {
			if _, err := tx.ExecContext(ctx, "DELETE FROM trigger_facts WHERE contact_id=?", d.ContactID); err != nil {
				return err
			}
		}
		if worked = len(moves) > 0 || !handing; handing {
			return nil
		}
		left, err := namedSends(ctx, tx, d.ContactID)
		if err != nil || d.Why == mirror.DepartedErased && len(left) > 0 { // settled since they were looked for
			return err
		}
		if d.Why == mirror.DepartedErased {
			for _, forget := range []func(context.Context, *store.Tx, int64) error{forgetCoupons, forgetWorth} {
				if err := forget(ctx, tx, d.ContactID); err != nil {
					return err
				}
			}
		}
		return e.mirror.DoneDeparture(ctx, tx, d)
	})
	if err == nil {
		e.observe(p, moves)
	}
	return worked, err
}

// namedSends lists sends whose rows, or the mails kept of them, say something of the person.
func namedSends(ctx context.Context, q store.Queryer, contactID int64) ([]int64, error) {
	var ids []int64
	err := q.SelectContext(ctx, &ids, "SELECT id FROM sends WHERE contact_id=? AND (subject<>'' OR message_id<>'') AND +state IN ('accepted','refused','unknown','deferred','ready') LIMIT ?",
		contactID, forgetBatch)
	return ids, err
}

// forget removes subjects, the provider's words and captured mails, first the mails: after a crash they are looked for again.
func (e *Engine) forget(ctx context.Context, d mirror.Departure) (more bool, err error) {
	ids, err := namedSends(ctx, e.db.Read(), d.ContactID)
	if err != nil || len(ids) == 0 {
		return false, err
	}
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = SendID(id)
	}
	for _, s := range e.o.Senders {
		if f, ok := s.Provider.(Forgetter); ok {
			if err := f.Forget(ctx, names); err != nil {
				return false, err
			}
		}
	}
	return true, e.db.Write(ctx, "mailer.forget", func(tx *store.Tx) error {
		if err := e.fence(ctx, tx, []int{d.Lane}); err != nil {
			return err
		}
		if _, err := execIn(ctx, tx, "UPDATE send_log SET detail='' WHERE send_id IN (?)", ids); err != nil {
			return err
		}
		_, err := execIn(ctx, tx, "UPDATE sends SET subject='', message_id='' WHERE id IN (?)", ids)
		return err
	})
}

// Depart ends what is under way for contacts that were merged or erased, as Step does among other things. The command
// line calls it when no relance runs. now is business time.
func (e *Engine) Depart(ctx context.Context, now time.Time) (worked bool, err error) {
	p, err := e.begin(ctx, crm.At(now))
	if err != nil {
		return false, err
	}
	return e.depart(ctx, p)
}
