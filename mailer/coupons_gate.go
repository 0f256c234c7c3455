package mailer

import (
	"context"
	"fmt"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

// codeRow is a code as it is read for a mail.
type codeRow struct {
	AudienceID int64  `db:"audience_id"`
	Key        string `db:"code_key"`
	Code       string
	List       string
	Worth      string
	ShopID     int64 `db:"shop_id"`
	State      string
	Campaign   string
	ContactID  int64 `db:"contact_id"`
	Occurrence string
	Expires    string // the last day, "" = not said
}

const codeCols = "audience_id, code_key, code, list, worth, shop_id, state, campaign, contact_id, occurrence, expires"

// runKey names a run: its mails share one code.
type runKey struct {
	campaign   string
	contact    int64
	occurrence string
}

func (s *sendRow) run() runKey { return runKey{s.Campaign, s.ContactID, s.Occurrence} }

// source is where codes of a kind are drawn from.
type source struct {
	audience    int64
	list, worth string
}

// drawing are the codes of one batch: those that its runs have, and free ones for the others, which are not theirs before
// giveCoupons has written so.
type drawing struct {
	of   map[runKey]codeRow
	free map[source][]codeRow
}

// needsCoupon tells whether a mail shows a code of its run.
func (g *gating) needsCoupon(s *sendRow) bool {
	r := g.campaigns[s.Campaign]
	return r.campaign != nil && r.coupon != nil && s.Kind == KindMarketing && g.profiles[s.ContactID] != nil && g.shows(s, "Coupon")
}

func (g *gating) sourceOf(s *sendRow) source {
	r, shop := g.campaigns[s.Campaign], g.shops[s.ShopID]
	return source{s.AudienceID, r.listFor(shop), r.coupon.worthIn(shop)}
}

// loadCoupons reads the codes that the batch's runs have, and as many free ones as the others need: first codes of their own
// lanes, which no other process draws.
func (g *gating) loadCoupons(ctx context.Context) error {
	var rows []*sendRow
	var contacts []int64
	for i := range g.rows {
		if s := &g.rows[i]; g.needsCoupon(s) {
			rows, contacts = append(rows, s), append(contacts, s.ContactID)
		}
	}
	if len(rows) == 0 {
		return nil
	}
	var given []codeRow
	if err := selectIn(ctx, g.q, &given, "SELECT "+codeCols+" FROM coupons WHERE contact_id IN (?)", contacts); err != nil {
		return fmt.Errorf("reading coupons: %w", err)
	}
	d := &g.content.coupons
	d.of, d.free = map[runKey]codeRow{}, map[source][]codeRow{}
	for _, c := range given {
		d.of[runKey{c.Campaign, c.ContactID, c.Occurrence}] = c
	}
	lacking := map[source]int{}
	lanes := map[source][]int{}
	for _, s := range rows {
		if _, has := d.of[s.run()]; !has {
			src := g.sourceOf(s)
			lacking[src]++
			lanes[src] = append(lanes[src], s.Lane)
		}
	}
	for src, n := range lacking {
		some, err := src.draw(ctx, g.q, lanes[src], n)
		if err == nil && len(some) < n {
			some, err = src.draw(ctx, g.q, nil, n)
		}
		if err != nil {
			return fmt.Errorf("looking for free coupons: %w", err)
		}
		d.free[src] = some
	}
	return nil
}

func (s source) draw(ctx context.Context, q store.Queryer, lanes []int, most int) (rows []codeRow, err error) {
	query, args := "SELECT "+codeCols+" FROM coupons WHERE audience_id=? AND list=? AND state=?", []any{s.audience, s.list, couponFree}
	if lanes != nil {
		query, args = query+" AND lane IN (?)", append(args, lanes)
	}
	if s.worth != "" {
		query, args = query+" AND worth=?", append(args, s.worth)
	}
	err = selectIn(ctx, q, &rows, query+" LIMIT ?", append(args, most)...)
	return rows, err
}

// coupon lets a mail that shows a code pass only with one; the holdout comes after it, and takes none.
func (g *gating) coupon(c *candidate) verdict {
	if !g.needsCoupon(c.sendRow) {
		return g.ok("the mail shows none")
	}
	d := &g.content.coupons
	if _, has := d.of[c.sendRow.run()]; has {
		return g.ok("the contact has one of list %s", d.of[c.sendRow.run()].List)
	}
	src := g.sourceOf(c.sendRow)
	free := d.free[src]
	if len(free) == 0 {
		return g.value(g.later(c, NoCoupon), "list %s has no free code", src.list)
	}
	next := free[0]
	d.free[src] = free[1:]
	next.Expires = g.lastDay(c)
	d.of[c.sendRow.run()] = next
	return g.ok("list %s has codes", src.list)
}

// lastDay is until when the code is good: so long after the mail, to the end of that day in the shop; "" when the campaign says nothing.
func (g *gating) lastDay(c *candidate) string {
	if c.run.coupon.expires == 0 {
		return ""
	}
	zone := g.e.zone(crm.Contact{Zone: g.shops[c.ShopID].Zone})
	return g.now.Add(c.run.coupon.expires).Time().In(zone).Format(time.DateOnly)
}

// couponData is the code that a mail shows; nil when it shows none.
func (g *gating) couponData(c *candidate, locale string) *CouponData {
	if c.run.campaign == nil || c.run.coupon == nil {
		return nil
	}
	code, ok := g.content.coupons.of[c.sendRow.run()]
	if !ok {
		return nil
	}
	return code.data(locale, c.zone)
}

func (r codeRow) data(locale string, zone *time.Location) *CouponData {
	d := &CouponData{Code: r.Code, Worth: worthText(r.Worth, locale)}
	if day, err := time.ParseInLocation(time.DateOnly, r.Expires, zone); err == nil {
		d.Expires = day.AddDate(0, 0, 1).Add(-time.Second)
	}
	return d
}

// giveCoupons makes codes the property of the runs whose mails are handed over, in the transaction that says so. Where
// another process was first, the whole decision is made again.
func (g *gating) giveCoupons(ctx context.Context, tx *store.Tx, hands []handed) error {
	ends := map[int64][]mirror.Coupon{}
	done := map[runKey]bool{}
	for i := range hands {
		row := &hands[i].row
		code, ok := g.content.coupons.of[row.run()]
		if !ok || code.State != couponFree || done[row.run()] {
			continue
		}
		done[row.run()] = true
		stmt, err := tx.Prepared(ctx, "UPDATE coupons SET state=?, campaign=?, contact_id=?, occurrence=?, given_at=?, expires=? WHERE audience_id=? AND code_key=? AND state=?")
		if err != nil {
			return fmt.Errorf("giving a coupon: %w", err)
		}
		n, err := store.Matched(stmt.ExecContext(ctx, couponGiven, row.Campaign, row.ContactID, row.Occurrence, g.now, code.Expires, code.AudienceID, code.Key, couponFree))
		if err != nil {
			return fmt.Errorf("giving a coupon: %w", err)
		}
		if n != 1 {
			return fmt.Errorf("giving a coupon: %w", store.ErrAgain)
		}
		if code.Expires != "" && code.ShopID != 0 {
			ends[code.ShopID] = append(ends[code.ShopID], shopCoupon(code.Code, code.Worth, code.Expires))
		}
	}
	for shop, coupons := range ends {
		if err := g.e.mirror.AddCoupons(ctx, tx, shop, coupons, g.now); err != nil {
			return fmt.Errorf("telling the shop when a coupon ends: %w", err)
		}
	}
	return nil
}

// forgetCoupons keeps that an erased person's codes are given, and no longer to whom.
func forgetCoupons(ctx context.Context, tx *store.Tx, contactID int64) error {
	if _, err := tx.ExecContext(ctx, "UPDATE coupons SET contact_id=0, occurrence='' WHERE contact_id=?", contactID); err != nil {
		return fmt.Errorf("forgetting whose a coupon was: %w", err)
	}
	return nil
}

// CouponOf finds the code that a mail's run has; nil when it has none. It is Landings.Coupon.
func CouponOf(ctx context.Context, q store.Queryer, sendID int64, locale string) (*CouponData, error) {
	var rows []codeRow
	err := q.SelectContext(ctx, &rows, `SELECT k.audience_id, k.code_key, k.code, k.list, k.worth, k.shop_id, k.state, k.campaign, k.contact_id, k.occurrence, k.expires FROM sends s
 JOIN coupons k ON k.contact_id=s.contact_id AND k.campaign=s.campaign AND k.occurrence=s.occurrence WHERE s.id=? AND s.contact_id<>0`, sendID)
	if err != nil {
		return nil, fmt.Errorf("reading the coupon of a mail: %w", err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	return rows[0].data(locale, time.UTC), nil
}
