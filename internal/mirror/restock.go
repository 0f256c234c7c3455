package mirror

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

const keepTurns = 400 * 24 * time.Hour // nobody asks about older ones; a product's go when it runs out again

const propertyProduct = "product_id" // of an event: the product, or variation, that it is about

// turnStock notes which products of the page ran out and which are there again, and queues the touches of those who
// asked. While history is read or records are made anew nothing comes back: it was there all the time, for all we know.
func (a *applying) turnStock() error {
	var ids []string
	fresh := map[string]bool{}
	for _, f := range []facet{products, stocks} {
		for _, r := range a.changed[f] {
			ids = append(ids, r.ref.ID)
			fresh[r.ref.ID] = fresh[r.ref.ID] || f == products && !r.found
		}
	}
	if len(ids) == 0 {
		return nil
	}
	slices.Sort(ids)
	t, err := a.stockTurns(slices.Compact(ids), fresh)
	if err != nil {
		return fmt.Errorf("reading what is in stock: %w", err)
	}
	if err := execEach(a.ctx, a.tx, "DELETE FROM stock_turns WHERE back_at>0 AND back_at<? AND shop_id=? AND product_id=?", t.old); err != nil {
		return fmt.Errorf("forgetting what was out of stock: %w", err)
	}
	if err := a.tx.Upsert(a.ctx, "stock_turns", []string{"shop_id", "product_id", "out_at"}, []string{"shop_id", "product_id", "out_at", "back_at"}, t.gone); err != nil {
		return fmt.Errorf("noting what is out of stock: %w", err)
	}
	if !a.b.Cause.Triggers() {
		return execEach(a.ctx, a.tx, "DELETE FROM stock_turns WHERE back_at=0 AND shop_id=? AND product_id=?", t.back)
	}
	for i := range t.back {
		t.back[i] = append([]any{a.now()}, t.back[i]...)
	}
	if err := execEach(a.ctx, a.tx, "UPDATE stock_turns SET back_at=? WHERE back_at=0 AND shop_id=? AND product_id=?", t.back); err != nil {
		return fmt.Errorf("noting what is in stock again: %w", err)
	}
	return startFanOuts(a.ctx, a.tx, a.b.ShopID, fanRestock, slices.Sorted(maps.Keys(t.asked)), a.now(), a.now())
}

// turned is what changed in the stock of a page's products.
type turned struct {
	gone, old, back [][]any
	asked           map[string]bool // products that are back, and their parents
}

func (a *applying) stockTurns(ids []string, fresh map[string]bool) (turned, error) {
	t := turned{asked: map[string]bool{}}
	out := map[string]bool{}
	if err := readIn(a.ctx, a.tx, "SELECT product_id FROM stock_turns WHERE shop_id=? AND back_at=0 AND product_id IN (%)", []any{a.b.ShopID}, ids, func(r *sqlx.Rows) error {
		var id string
		err := r.Scan(&id)
		out[id] = true
		return err
	}); err != nil {
		return t, err
	}
	return t, readIn(a.ctx, a.tx, selectInStock+"WHERE p.shop_id=? AND p.gone_at=0 AND p.id IN (%)", []any{a.b.ShopID}, ids, func(r *sqlx.Rows) error {
		var id, parent string
		var there bool
		if err := r.Scan(&id, &parent, &there); err != nil {
			return err
		}
		switch {
		case there && out[id]:
			t.back = append(t.back, []any{a.b.ShopID, id})
			t.asked[id] = true
			if account(parent) != "" {
				t.asked[parent] = true
			}
		case !there && !out[id]:
			since := a.now()
			if fresh[id] {
				since = 0 // nobody knows since when
			}
			t.gone = append(t.gone, []any{a.b.ShopID, id, since, 0})
			t.old = append(t.old, []any{a.now().Add(-keepTurns), a.b.ShopID, id})
		}
		return nil
	})
}

// selectInStock tells of products whether they are there: what keeps the stock apart decides.
const selectInStock = "SELECT p.id, p.parent_id, COALESCE(k.in_stock, p.in_stock) AS in_stock FROM products p LEFT JOIN stocks k ON k.shop_id=p.shop_id AND k.id=p.id AND k.gone_at=0 "

// askers touches whoever asked for the product, event by event. Its place is the name and the id of the last one.
func (s *fanning) askers(ctx context.Context, f fanOut) ([]string, error) {
	if s.m.asked == nil {
		return nil, nil
	}
	names, err := s.m.asked(ctx, s.q)
	if err != nil {
		return nil, err
	}
	from, after, _ := strings.Cut(f.AfterID, "\x00")
	slices.Sort(names)
	var places []string
	for _, name := range slices.Compact(names) {
		if name < from || len(places) >= s.left {
			continue
		}
		if name > from {
			after = ""
		}
		var rows []struct {
			ID        string
			ContactID int64 `db:"contact_id"`
		}
		if err := s.q.SelectContext(ctx, &rows, "SELECT id, contact_id FROM events WHERE shop_id=? AND product_id=? AND name=? AND id>? AND gone_at=0 ORDER BY id LIMIT ?",
			f.ShopID, f.ID, name, after, s.left-len(places)); err != nil {
			return nil, err
		}
		for _, r := range rows {
			places = append(places, name+"\x00"+r.ID)
			if r.ContactID != 0 {
				s.asked = append(s.asked, Touch{ContactID: r.ContactID, SourceAt: f.SourceAt})
			}
		}
	}
	return places, nil
}

// Restocked is what is known of the stock of one product, its variations included.
type Restocked struct {
	InStock bool
	Turns   []StockTurn // that are over, oldest first
}

// StockTurn is a time in which a product was out of stock.
type StockTurn struct {
	OutAt  crm.Instant `db:"out_at"` // 0 = nobody knows since when
	BackAt crm.Instant `db:"back_at"`
}

// Restocks tells of products of a shop whether they are in stock, and when they came back.
func (m *Mirror) Restocks(ctx context.Context, q store.Queryer, shopID int64, ids []string) (map[string]*Restocked, error) {
	found := map[string]*Restocked{}
	if len(ids) == 0 {
		return found, nil
	}
	var rows []struct {
		ID      string
		Parent  string `db:"parent_id"`
		InStock bool   `db:"in_stock"`
	}
	text, args, err := store.In(selectInStock+"WHERE p.shop_id=? AND p.gone_at=0 AND (p.id IN (?) OR p.parent_id IN (?))", shopID, ids, ids)
	if err == nil {
		err = q.SelectContext(ctx, &rows, text, args...)
	}
	if err != nil {
		return nil, fmt.Errorf("reading what is in stock: %w", err)
	}
	asked := map[string]bool{}
	for _, id := range ids {
		asked[id], found[id] = true, &Restocked{}
	}
	of := map[string][]string{} // product → those asked for that it speaks for
	var all []string
	for _, r := range rows {
		all = append(all, r.ID)
		for _, id := range []string{r.ID, r.Parent} {
			if asked[id] {
				of[r.ID] = append(of[r.ID], id)
				found[id].InStock = found[id].InStock || r.InStock
			}
		}
	}
	if len(all) == 0 {
		return found, nil
	}
	var turns []struct {
		Product string `db:"product_id"`
		StockTurn
	}
	if text, args, err = store.In("SELECT product_id, out_at, back_at FROM stock_turns WHERE shop_id=? AND product_id IN (?) AND back_at>0", shopID, all); err == nil {
		err = q.SelectContext(ctx, &turns, text, args...)
	}
	if err != nil {
		return nil, fmt.Errorf("reading when products were out of stock: %w", err)
	}
	for _, t := range turns {
		for _, id := range of[t.Product] {
			found[id].Turns = append(found[id].Turns, t.StockTurn)
		}
	}
	for _, r := range found {
		slices.SortFunc(r.Turns, func(a, b StockTurn) int {
			return cmp.Or(cmp.Compare(a.BackAt, b.BackAt), cmp.Compare(a.OutAt, b.OutAt))
		})
	}
	return found, nil
}
