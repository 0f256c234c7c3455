package mailer

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// roundsPerStep bounds a step: this many batches, then the other phases have their turn.
const roundsPerStep = 16

// batchesAhead is how many batches are looked for at once; looksPerBatch is how often, when audiences have no room.
const (
	batchesAhead  = 8
	looksPerBatch = 8
)

// send lets due sends through the gate and hands over those that pass, in two batches that take turns: while one is
// on its way to the provider, a transaction settles the answers of the one before and decides on the next.
func (e *Engine) send(ctx context.Context, p *pass) (worked bool, err error) {
	if !e.allowed() || p.undigested {
		return false, nil
	}
	var flying *flight
	var answered []handed
	var ahead []sendRow
	for range roundsPerStep {
		if len(ahead) == 0 || len(e.breakers) > 0 || e.paces.tight {
			if ahead, err = e.dueSends(ctx, p, flying); err != nil || len(ahead) == 0 {
				return worked, errors.Join(err, e.settle(ctx, p, append(answered, flying.land()...)))
			}
		}
		rows := ahead[:min(len(ahead), e.batch())]
		ahead = ahead[len(rows):]
		hands, err := e.gate(ctx, p, answered, rows)
		if err != nil {
			left := slices.Concat(answered, hands, flying.land())
			return worked, errors.Join(fmt.Errorf("deciding on mails: %w", err), e.settle(ctx, p, left))
		}
		worked = true
		next := e.handOver(ctx, hands)
		answered = flying.land()
		flying = next
		if ctx.Err() != nil {
			break
		}
	}
	return worked, e.settle(ctx, p, append(answered, flying.land()...))
}

// batch is how many mails one decision is about: two batches are under way at once.
func (e *Engine) batch() int { return max(1, e.o.Parallel/2) }

// dueSends finds the next batches: where they are and what they need, no more. The gate reads each whole. While a
// provider fails or has no more room it is one batch, since the answers to that decide what comes next.
func (e *Engine) dueSends(ctx context.Context, p *pass, flying *flight) ([]sendRow, error) {
	limit := e.batch()
	if len(e.breakers) == 0 && !e.paces.tight {
		limit *= batchesAhead
	}
	full := e.paces.full()
	e.paces.tight = len(full) > 0
	shut := slices.Concat(e.breakers.shut(e.o.Wall(), flying), full)
	var rows []sendRow
	for looks := 1; ; looks++ {
		some, err := e.dueOf(ctx, p, shut, limit-len(rows))
		if err != nil {
			return nil, err
		}
		fit, full := e.paces.fit(some)
		if len(full) == 0 || looks == looksPerBatch {
			return e.breakers.probesOnly(append(rows, fit...)), nil
		}
		// Behind those for whom there is no room others may wait who have some.
		rows = append(rows, slices.DeleteFunc(fit, func(r sendRow) bool { return !slices.Contains(full, r.AudienceID) })...)
		shut = append(shut, full...)
		e.paces.tight = true
	}
}

// dueOf reads due sends, the longest due first, but for those of some audiences.
func (e *Engine) dueOf(ctx context.Context, p *pass, shut []int64, limit int) ([]sendRow, error) {
	var rows []sendRow
	for _, state := range []State{Deferred, Ready} {
		most := limit - len(rows)
		if state == Deferred { // many that are looked at again and again do not keep the others waiting
			most = (limit + 1) / 2
		}
		// The longest due come first; they often lie side by side, and a commit then writes few pages. Without the hint,
		// which is a comment to SQLite, MariaDB may read the ledger from its beginning.
		query := `SELECT id, lane, audience_id, shop_id FROM sends /*! FORCE INDEX (sends_state_until_at) */
 WHERE state=? AND until_at<=? AND lane IN (?) AND retry_at<=?`
		args := []any{state, p.now, p.lanes, e.o.Wall().UnixMilli()}
		if len(shut) > 0 {
			query += " AND audience_id NOT IN (?)"
			args = append(args, shut)
		}
		var some []sendRow
		if err := selectIn(ctx, e.db.Read(), &some, query+" ORDER BY until_at, id LIMIT ?", append(args, most)...); err != nil {
			return nil, fmt.Errorf("reading due sends: %w", err)
		}
		rows = append(rows, some...)
	}
	return rows, nil
}

// gate is the deciding transaction. It returns what is to be handed over now, committed as handing; with an error,
// what may have been committed as handing and is not to be handed over.
func (e *Engine) gate(ctx context.Context, p *pass, answered []handed, due []sendRow) ([]handed, error) {
	if err := e.askFreshness(ctx, p, due); err != nil {
		return nil, err
	}
	var moves []move
	var hands []handed
	err := e.db.Write(ctx, "mailer.gate", func(tx *store.Tx) error {
		var err error
		hands = nil
		if err = e.fence(ctx, tx, lanesOf(answered, due)); err != nil {
			return err
		}
		if moves, err = e.settleMoves(ctx, tx, answered); err != nil {
			return err
		}
		g, err := e.load(ctx, tx, p, due)
		if err != nil {
			return err
		}
		var decided []move
		decided, hands = g.decide()
		moves = append(moves, decided...)
		if err := g.giveCoupons(ctx, tx, hands); err != nil {
			return err
		}
		if err := g.writeWishes(ctx, tx); err != nil {
			return err
		}
		return e.applyMoves(ctx, tx, p, moves)
	})
	if err != nil {
		// The commit may have happened all the same. These mails were certainly not handed over: say so if it did.
		for i := range hands {
			hands[i].answer = notSent(Late, e.o.Wall())
		}
		return hands, err
	}
	e.observe(p, moves)
	return hands, nil
}

func lanesOf(answered []handed, due []sendRow) []int {
	var lanes []int
	for _, h := range answered {
		lanes = append(lanes, h.row.Lane)
	}
	for _, r := range due {
		lanes = append(lanes, r.Lane)
	}
	return lanes
}

// askFreshness finds out whether the shops of the batch have been read lately. What the gate loads afterwards
// contains what those reads brought.
func (e *Engine) askFreshness(ctx context.Context, p *pass, due []sendRow) error {
	for _, s := range due {
		if _, asked := p.fresh[s.ShopID]; asked || s.ShopID == 0 {
			continue
		}
		f, err := e.mirror.Freshness(ctx, e.db.Read(), s.ShopID, freshKinds())
		if err != nil {
			return fmt.Errorf("asking whether the shop has been read: %w", err)
		}
		p.fresh[s.ShopID] = f
	}
	return nil
}

// freshKinds is what a mail relies on: an order stops it, a cart is shown in it.
func freshKinds() []crm.Kind { return []crm.Kind{crm.KindOrder, crm.KindCart} }
