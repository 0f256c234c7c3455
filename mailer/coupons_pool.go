package mailer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

const (
	poolEvery  = 15 * time.Second // business time between two looks at the pools
	poolAhead  = 30               // codes made before anybody asks for them
	poolMost   = 500              // free codes, however many mails wait
	poolBatch  = 50               // codes asked for, or taken over, at a look
	poolAgain  = time.Hour        // a code that could not be made is asked for again
	codeLength = 10               // random characters: 50 bits
	leftEvery  = 5 * time.Minute  // between two counts of the codes left
)

// fillPools keeps codes ready that shops make: it asks for them ahead through the shops' queues of acts, and frees those
// that were made. What a shop makes for a campaign is filled by whoever holds the shop's lane.
func (e *Engine) fillPools(ctx context.Context, p *pass) (worked bool, err error) {
	if p.now < e.pools.next {
		return false, nil
	}
	e.pools.next = p.now.Add(poolEvery)
	var errs []error
	for _, r := range p.campaigns {
		if r.campaign == nil || r.coupon == nil || r.coupon.list != "" || r.state != CampaignArmed {
			continue
		}
		for _, shop := range p.shops {
			if shop.Audience != r.audience || r.armed[shop.ID] == 0 || !makesCoupons(shop.Platform) || !slices.Contains(p.lanes, crm.LaneOf(shop.ID)) {
				continue
			}
			did, err := e.fillPool(ctx, p, r, shop)
			if err != nil {
				errs = append(errs, fmt.Errorf("keeping codes of campaign %s ready: %w", r.id, err))
			}
			worked = worked || did
		}
	}
	errs = append(errs, e.countLeft(ctx, p))
	return worked, errors.Join(errs...)
}

// pooled is what one pool holds.
type pooled struct {
	free, asked int
	made        []codeRow       // by the shop: free from now on
	done        []string        // their acts: no longer of use
	again       []mirror.Coupon // acts that came to nothing a while ago
}

func (e *Engine) fillPool(ctx context.Context, p *pass, r running, shop mirror.Shop) (worked bool, err error) {
	worth := r.coupon.worthIn(shop)
	if worth == "" {
		return false, nil
	}
	list := poolOf(r.id, shop)
	now, err := e.pool(ctx, p, source{shop.AudienceID, list, worth}, shop)
	if err != nil {
		return false, err
	}
	waiting, err := e.waitingMails(ctx, r.id, shop.ID)
	if err != nil {
		return false, err
	}
	want := min(max(min(poolAhead+waiting, poolMost)-now.free-now.asked, 0), poolBatch)
	old, err := e.mirror.OldCouponTasks(ctx, e.db.Read(), shop.ID, p.now.Add(-poolAgain), poolBatch)
	if err != nil {
		return false, err
	}
	now.done = append(now.done, old...)
	if want == 0 && len(now.made)+len(now.again)+len(now.done) == 0 {
		return false, nil
	}
	var rows [][]any
	coupons := now.again
	for range want {
		code := r.coupon.prefix + rand.Text()[:codeLength]
		key := crm.CodeKey(code)
		rows = append(rows, []any{shop.AudienceID, key, code, list, laneOfCode(key), couponAsked, worth, shop.ID, p.now})
		coupons = append(coupons, shopCoupon(code, worth, ""))
	}
	return true, e.db.Write(ctx, "mailer.pool", func(tx *store.Tx) error {
		if err := e.fence(ctx, tx, []int{crm.LaneOf(shop.ID)}); err != nil {
			return err
		}
		if err := freeMade(ctx, tx, now.made); err != nil {
			return err
		}
		if err := e.mirror.DropCouponTasks(ctx, tx, shop.ID, now.done); err != nil {
			return err
		}
		if err := tx.Insert(ctx, "coupons", []string{"audience_id", "code_key", "code", "list", "lane", "state", "worth", "shop_id", "added_at"}, rows); err != nil {
			return again(tx, err)
		}
		return e.mirror.AddCoupons(ctx, tx, shop.ID, coupons, p.now)
	})
}

// laneOfCode spreads codes over the lanes.
func laneOfCode(key string) int {
	h := int64(1469598103934665603)
	for _, b := range []byte(key) {
		h = (h ^ int64(b)) * 1099511628211
	}
	return crm.LaneOf(h)
}

// pool looks at one pool and at what became of the codes asked for.
func (e *Engine) pool(ctx context.Context, p *pass, s source, shop mirror.Shop) (pooled, error) {
	var now pooled
	q := e.db.Read()
	if err := q.GetContext(ctx, &now.free, "SELECT COUNT(*) FROM (SELECT 1 FROM coupons WHERE audience_id=? AND list=? AND state=? AND worth=? LIMIT ?) AS some",
		s.audience, s.list, couponFree, s.worth, poolMost); err != nil {
		return now, fmt.Errorf("counting codes: %w", err)
	}
	var asked []codeRow
	if err := q.SelectContext(ctx, &asked, "SELECT "+codeCols+" FROM coupons WHERE audience_id=? AND list=? AND state=? AND worth=? LIMIT ?",
		s.audience, s.list, couponAsked, s.worth, poolMost); err != nil {
		return now, fmt.Errorf("reading codes asked for: %w", err)
	}
	now.asked = len(asked)
	coupons := make([]mirror.Coupon, len(asked))
	for i, c := range asked {
		coupons[i] = shopCoupon(c.Code, c.Worth, "")
	}
	rows, err := e.mirror.CouponTasks(ctx, q, shop.ID, coupons)
	if err != nil {
		return now, err
	}
	for i, c := range asked {
		t, known := rows[coupons[i].Key()]
		switch {
		case known && t.State == mirror.TaskDone && t.Mend == "":
			now.made, now.done = append(now.made, c), append(now.done, t.Key)
		case known && t.State == mirror.TaskOpen:
		case !known || max(t.DoneAt, t.QueuedAt).Add(poolAgain) <= p.now: // its key may do it now
			now.again = append(now.again, coupons[i])
		}
		if len(now.made) == poolBatch {
			break
		}
	}
	now.again = now.again[:min(len(now.again), 1)] // one finds out for all
	return now, nil
}

// waitingMails counts mails of a campaign that wait at the gate.
func (e *Engine) waitingMails(ctx context.Context, campaign string, shopID int64) (n int, err error) {
	if err := e.db.Read().GetContext(ctx, &n, "SELECT COUNT(*) FROM (SELECT 1 FROM sends WHERE state IN ('ready','deferred') AND campaign=? AND shop_id=? LIMIT ?) AS some",
		campaign, shopID, poolMost); err != nil {
		return 0, fmt.Errorf("counting mails that wait: %w", err)
	}
	return n, nil
}

func freeMade(ctx context.Context, tx *store.Tx, made []codeRow) error {
	for _, c := range made {
		stmt, err := tx.Prepared(ctx, "UPDATE coupons SET state=? WHERE audience_id=? AND code_key=? AND state=?")
		if err == nil {
			_, err = stmt.ExecContext(ctx, couponFree, c.AudienceID, c.Key, couponAsked)
		}
		if err != nil {
			return fmt.Errorf("freeing a code: %w", err)
		}
	}
	return nil
}

// pools is what the engine knows of them between two steps.
type pools struct {
	next, counted crm.Instant
	low           map[string]bool // lists of which few codes are left, told once
}

// countLeft keeps the metric of the codes left, and warns once when a list runs low. Whoever holds the first lane counts.
func (e *Engine) countLeft(ctx context.Context, p *pass) error {
	if p.now < e.pools.counted || !slices.Contains(p.lanes, 0) {
		return nil
	}
	e.pools.counted = p.now.Add(leftEvery)
	lists, err := CouponLists(ctx, e.db.Read(), p.now)
	if err != nil {
		return err
	}
	if e.pools.low == nil {
		e.pools.low = map[string]bool{}
	}
	for _, l := range lists {
		e.o.Metrics.coupons.WithLabelValues(l.List).Set(float64(l.Free))
		if low := l.Low && !strings.Contains(l.List, "@"); low != e.pools.low[l.List] { // a pool fills up by itself
			e.pools.low[l.List] = low
			if low {
				e.o.Log.Warn("few coupon codes are left: import more", zap.String("list", l.List), zap.Int64("free", l.Free))
			}
		}
	}
	return nil
}
