package mailer

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/relance/relance/internal/store"
)

// creditTable is where credits of a kind are stored.
type creditTable struct{ what, table, id string }

func creditTables() []creditTable {
	return []creditTable{{creditOrder, "attributed_orders", "order_id"}, {creditCart, "recovered_carts", "cart_id"}}
}

const (
	creditCols = "contact_id, lane, send_id, campaign, step, variants, how, placed_at, currency, revenue, counted"
	dayRevenue = "revenue:" // campaign_days: minor units by currency, of the day on which orders were placed
)

func (c *credit) values() []any {
	return []any{c.ContactID, c.Lane, c.SendID, c.Campaign, c.Step, c.Variants, c.How, c.PlacedAt, c.Currency, c.Revenue, c.Counted}
}

// settle makes the rows of the marked contacts what they should be. An order that still counts for another contact waits
// until that contact has been looked at: it is never counted twice.
func (a *attributing) settle(ctx context.Context, l creditTable, want map[creditKey]*credit, skip map[int64]bool) error {
	mine, err := l.read(ctx, a.tx, "contact_id IN (?)", a.contacts)
	if err != nil {
		return err
	}
	had := map[creditKey]*credit{}
	for i := range mine {
		c := &mine[i]
		if skip[c.ContactID] {
			continue
		}
		had[c.key()] = c
		if want[c.key()] == nil {
			a.count(c, -1)
			if err := l.remove(ctx, a.tx, c); err != nil {
				return err
			}
		}
	}
	var fresh []*credit
	for _, key := range slices.SortedFunc(maps.Keys(want), creditKey.compare) {
		is, was := want[key], had[key]
		switch {
		case key.what != l.what:
		case was == nil:
			fresh = append(fresh, is)
		case *was != *is:
			a.count(was, -1)
			a.count(is, 1)
			if err := l.change(ctx, a.tx, was, is); err != nil {
				return err
			}
		}
	}
	return a.insert(ctx, l, fresh)
}

func (k creditKey) compare(o creditKey) int {
	return cmp.Or(cmp.Compare(k.what, o.what), cmp.Compare(k.shop, o.shop), cmp.Compare(k.id, o.id))
}

// insert writes new credits, except of what another contact has the row of.
func (a *attributing) insert(ctx context.Context, l creditTable, fresh []*credit) error {
	byShop := map[int64][]string{}
	for _, c := range fresh {
		byShop[c.ShopID] = append(byShop[c.ShopID], c.ID)
	}
	taken := map[creditKey]int64{}
	for _, shop := range slices.Sorted(maps.Keys(byShop)) {
		for ids := range slices.Chunk(byShop[shop], 500) {
			rows, err := l.read(ctx, a.tx, "shop_id=? AND "+l.id+" IN (?)", shop, ids)
			if err != nil {
				return err
			}
			for i := range rows {
				taken[rows[i].key()] = rows[i].ContactID
			}
		}
	}
	var rows [][]any
	for _, c := range fresh {
		other, is := taken[c.key()]
		switch {
		case !is:
			a.count(c, 1)
			a.fresh = append(a.fresh, c)
			rows = append(rows, append([]any{c.ShopID, c.ID}, c.values()...))
		case other != 0: // whose it was is no longer marked, or not looked at yet
			a.waiting[c.ContactID] = true
			a.others = append(a.others, other)
		}
	}
	if err := again(a.tx, a.tx.Insert(ctx, l.table, append([]string{"shop_id", l.id}, splitCols(creditCols)...), rows)); err != nil {
		return fmt.Errorf("crediting: %w", err)
	}
	return nil
}

func (l creditTable) read(ctx context.Context, q store.Queryer, where string, args ...any) ([]credit, error) {
	var rows []credit
	if err := selectIn(ctx, q, &rows, "SELECT shop_id, "+l.id+" AS id, "+creditCols+" FROM "+l.table+" WHERE "+where, args...); err != nil {
		return nil, fmt.Errorf("reading what mails brought: %w", err)
	}
	for i := range rows {
		rows[i].What = l.what
	}
	return rows, nil
}

func (l creditTable) remove(ctx context.Context, tx *store.Tx, c *credit) error {
	n, err := execPrepared(ctx, tx, "DELETE FROM "+l.table+" WHERE shop_id=? AND "+l.id+"=? AND contact_id=?", c.ShopID, c.ID, c.ContactID)
	return matchedOne(n, err)
}

func (l creditTable) change(ctx context.Context, tx *store.Tx, was, is *credit) error {
	n, err := execPrepared(ctx, tx, "UPDATE "+l.table+` SET contact_id=?, lane=?, send_id=?, campaign=?, step=?, variants=?, how=?, placed_at=?, currency=?, revenue=?, counted=?
 WHERE shop_id=? AND `+l.id+"=? AND contact_id=?", append(is.values(), was.ShopID, was.ID, was.ContactID)...)
	return matchedOne(n, err)
}

func matchedOne(n int64, err error) error {
	if err == nil && n != 1 {
		return fmt.Errorf("changing what a mail brought: %w", store.ErrAgain)
	}
	return err
}

// creditCounts add up credits within one transaction. They are split by lane, as tally is.
type creditCounts map[creditCount]amounts

type creditCount struct {
	campaign, step, variants, what, currency string
	lane                                     int
}

type amounts struct{ number, amount int64 }

func (k creditCount) compare(o creditCount) int {
	return cmp.Or(cmp.Compare(k.campaign, o.campaign), cmp.Compare(k.step, o.step), cmp.Compare(k.variants, o.variants), cmp.Compare(k.what, o.what),
		cmp.Compare(k.currency, o.currency), cmp.Compare(k.lane, o.lane))
}

// count adds a credit to the counters, or takes it back.
func (a *attributing) count(c *credit, by int64) {
	k := creditCount{c.Campaign, c.Step, c.Variants, c.What, c.Currency, c.Lane}
	n := a.counts[k]
	a.counts[k] = amounts{n.number + by*c.Counted, n.amount + by*c.Revenue}
	if c.What == creditOrder {
		day := dayOf(c.PlacedAt)
		a.days[tallyKey{c.Campaign, day, dayOrder, c.Lane}] += by * c.Counted
		a.days[tallyKey{c.Campaign, day, dayRevenue + c.Currency, c.Lane}] += by * c.Revenue
	}
}

func (t creditCounts) write(ctx context.Context, tx *store.Tx) error {
	for _, k := range slices.SortedFunc(maps.Keys(t), creditCount.compare) {
		by := t[k]
		if by == (amounts{}) {
			continue
		}
		n, err := execPrepared(ctx, tx, "UPDATE attributed_counts SET number=number+?, amount=amount+? WHERE campaign=? AND step=? AND variants=? AND what=? AND currency=? AND shard=?",
			by.number, by.amount, k.campaign, k.step, k.variants, k.what, k.currency, k.lane)
		if err == nil && n == 0 {
			err = again(tx, tx.Insert(ctx, "attributed_counts", []string{"campaign", "step", "variants", "what", "currency", "shard", "number", "amount"},
				[][]any{{k.campaign, k.step, k.variants, k.what, k.currency, k.lane, by.number, by.amount}}))
		}
		if err != nil {
			return fmt.Errorf("counting what mails brought: %w", err)
		}
	}
	return nil
}

// forgetWorth takes an erased person out of what mails brought: the order stays counted, without whose it was.
func forgetWorth(ctx context.Context, tx *store.Tx, contactID int64) error {
	for _, l := range creditTables() {
		if _, err := tx.ExecContext(ctx, "UPDATE "+l.table+" SET contact_id=0, send_id=0 WHERE contact_id=?", contactID); err != nil {
			return fmt.Errorf("forgetting whose an order was: %w", err)
		}
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM worth_marks WHERE contact_id=?", contactID); err != nil {
		return fmt.Errorf("forgetting whose orders are to be looked at: %w", err)
	}
	return nil
}
