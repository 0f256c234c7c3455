package mirror

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/jmoiron/sqlx"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// What a row of fanouts is about.
const (
	fanProduct  = "product"  // who bought it or has it in a cart
	fanCategory = "category" // the products that are put right into it, each a row of its own
	fanShop     = "shop"     // whose zone and locale are the shop's
	fanBasis    = "basis"    // who ordered there: the shop's basis of consent is theirs
	fanRestock  = "restock"  // who asked for the product: it is there again
)

const fanOutPage = 500 // contacts, lines or products of one step

// fanOut is a redefinition on its way to the contacts that it concerns.
type fanOut struct {
	ShopID     int64 `db:"shop_id"`
	Kind       string
	ID         string
	Generation int64
	Part       int         // of a product: 0 its orders, 1 its carts
	AfterID    string      `db:"after_id"` // how far it has come
	SourceAt   crm.Instant `db:"source_at"`
}

// startFanOuts queues redefinitions, to be carried out by FanOutStep. One that is under way begins anew.
func startFanOuts(ctx context.Context, tx *store.Tx, shopID int64, kind string, ids []string, sourceAt, now crm.Instant) error {
	rows := make([][]any, 0, len(ids))
	for _, id := range ids {
		rows = append(rows, []any{shopID, kind, id, tx.NewID(), 0, "", int64(sourceAt), int64(now)})
	}
	if err := tx.Upsert(ctx, "fanouts", []string{"shop_id", "kind", "id"},
		[]string{"shop_id", "kind", "id", "generation", "part", "after_id", "source_at", "since"}, rows); err != nil {
		return fmt.Errorf("queueing a redefinition: %w", err)
	}
	return nil
}

// FanOutStep marks the next few (at most 500) contacts that a change of the catalogue or of a shop's zone concerns, with cause
// redefined, and tells whether there was anything to do. It is low-priority work for whoever has nothing better to do:
// a step repeated, by this process or another, marks the same contacts again and no others.
func (m *Mirror) FanOutStep(ctx context.Context, now crm.Instant) (worked bool, err error) {
	if !m.fanning.TryLock() { // another shop's engine is at it
		return false, nil
	}
	defer m.fanning.Unlock()
	var rows []fanOut
	if err := m.db.Read().SelectContext(ctx, &rows,
		"SELECT shop_id, kind, id, generation, part, after_id, source_at FROM fanouts ORDER BY since LIMIT 50"); err != nil {
		return false, fmt.Errorf("reading redefinitions: %w", err)
	}
	if len(rows) == 0 {
		return false, nil
	}
	s := fanning{m: m, q: m.db.Read(), left: fanOutPage, marks: map[int64]crm.Instant{}}
	for i := 0; i < len(rows) && s.left > 0; i++ {
		if err := s.take(ctx, rows[i]); err != nil {
			return false, fmt.Errorf("finding whom a redefinition concerns: %w", err)
		}
	}
	return true, m.db.WriteBackground(ctx, "mirror.fanout", func(tx *store.Tx) error { return s.write(ctx, tx, now) })
}

// FanOutPending tells whether contacts are still to be marked by FanOutStep: until then, what segments know of some may be
// from before a change of the catalogue.
func (m *Mirror) FanOutPending(ctx context.Context, q store.Queryer) (pending bool, err error) {
	if err := q.GetContext(ctx, &pending, "SELECT EXISTS(SELECT 1 FROM fanouts)"); err != nil {
		return false, fmt.Errorf("asking for redefinitions: %w", err)
	}
	return pending, nil
}

// fanning is one step.
type fanning struct {
	m      *Mirror
	q      store.Queryer
	left   int
	marks  map[int64]crm.Instant
	asked  []Touch
	moved  []fanOut
	done   []fanOut
	spread []spreading
}

// spreading is a category whose products' buyers are to be marked.
type spreading struct {
	of       fanOut
	products []string
}

func (s *fanning) take(ctx context.Context, f fanOut) error {
	work := map[string]func(context.Context, fanOut) (ids []string, err error){
		fanProduct: s.buyers, fanCategory: s.products, fanShop: s.atHome, fanBasis: s.customers, fanRestock: s.askers,
	}[f.Kind]
	if work == nil {
		return fmt.Errorf("%q is no kind of redefinition", f.Kind)
	}
	for s.left > 0 {
		room := s.left
		ids, err := work(ctx, f)
		if err != nil {
			return err
		}
		s.left -= len(ids)
		switch {
		case len(ids) == room:
			f.AfterID = ids[len(ids)-1]
		case f.Kind == fanProduct && f.Part == 0:
			f.Part, f.AfterID = 1, ""
		default:
			s.done = append(s.done, f)
			return nil
		}
	}
	s.moved = append(s.moved, f)
	return nil
}

// buyers marks whom the next lines of the product belong to and gives the ids of their orders or carts.
func (s *fanning) buyers(ctx context.Context, f fanOut) ([]string, error) {
	lines, parents, parent := "order_lines", "orders", "order_id"
	if f.Part == 1 {
		lines, parents, parent = "cart_lines", "carts", "cart_id"
	}
	var ids []string
	if err := s.q.SelectContext(ctx, &ids, "SELECT "+parent+" FROM "+lines+" WHERE shop_id=? AND product_id=? AND "+parent+">? ORDER BY "+parent+" LIMIT ?",
		f.ShopID, f.ID, f.AfterID, s.left); err != nil || len(ids) == 0 {
		return nil, err
	}
	text, args, err := store.In("SELECT DISTINCT contact_id FROM "+parents+" WHERE shop_id=? AND id IN (?) AND contact_id<>0", f.ShopID, ids)
	if err != nil {
		return nil, err
	}
	var contacts []int64
	if err := s.q.SelectContext(ctx, &contacts, text, args...); err != nil {
		return nil, err
	}
	s.mark(contacts, f.SourceAt)
	return ids, nil
}

// products lists the next ones in the category; of those that were ever bought the buyers are to be marked.
func (s *fanning) products(ctx context.Context, f fanOut) ([]string, error) {
	var ids []string
	if err := s.q.SelectContext(ctx, &ids, "SELECT product_id FROM product_categories WHERE shop_id=? AND category_id=? AND product_id>? ORDER BY product_id LIMIT ?",
		f.ShopID, f.ID, f.AfterID, s.left); err != nil || len(ids) == 0 {
		return nil, err
	}
	s.spread = append(s.spread, spreading{f, ids})
	return ids, nil
}

// atHome goes through contacts by id; only those whose home shop it is are marked.
func (s *fanning) atHome(ctx context.Context, f fanOut) ([]string, error) {
	after, err := strconv.ParseInt(cmp.Or(f.AfterID, "0"), 10, 64)
	if err != nil {
		return nil, err
	}
	var rows []struct {
		ID   int64
		Home int64 `db:"home_shop_id"`
	}
	if err := s.q.SelectContext(ctx, &rows, "SELECT id, home_shop_id FROM contacts WHERE id>? ORDER BY id LIMIT ?", after, s.left); err != nil {
		return nil, err
	}
	ids := make([]string, len(rows))
	for i, r := range rows {
		ids[i] = strconv.FormatInt(r.ID, 10)
		if r.Home == f.ShopID {
			s.mark([]int64{r.ID}, f.SourceAt)
		}
	}
	return ids, nil
}

// customers goes through the orders of the shop and marks whose they are.
func (s *fanning) customers(ctx context.Context, f fanOut) ([]string, error) {
	var rows []struct {
		ID        string
		ContactID int64 `db:"contact_id"`
	}
	if err := s.q.SelectContext(ctx, &rows, "SELECT id, contact_id FROM orders WHERE shop_id=? AND id>? ORDER BY id LIMIT ?", f.ShopID, f.AfterID, s.left); err != nil {
		return nil, err
	}
	ids := make([]string, len(rows))
	for i, r := range rows {
		ids[i] = r.ID
		s.mark([]int64{r.ContactID}, f.SourceAt)
	}
	return ids, nil
}

func (s *fanning) mark(contacts []int64, at crm.Instant) {
	for _, id := range contacts {
		s.marks[id] = max(s.marks[id], at)
	}
}

func (s *fanning) write(ctx context.Context, tx *store.Tx, now crm.Instant) error {
	if err := markDirty(ctx, tx, s.marks, now, crm.CauseRedefined); err != nil {
		return err
	}
	if err := WriteTouches(ctx, tx, s.asked); err != nil {
		return err
	}
	var moved, done [][]any
	for _, f := range s.moved {
		moved = append(moved, []any{f.Part, f.AfterID, f.ShopID, f.Kind, f.ID, f.Generation})
	}
	for _, f := range s.done {
		done = append(done, []any{f.ShopID, f.Kind, f.ID, f.Generation})
	}
	// One that was begun anew meanwhile has another generation and keeps its place.
	if err := execEach(ctx, tx, "UPDATE fanouts SET part=?, after_id=? WHERE shop_id=? AND kind=? AND id=? AND generation=?", moved); err != nil {
		return fmt.Errorf("moving a redefinition on: %w", err)
	}
	if err := execEach(ctx, tx, "DELETE FROM fanouts WHERE shop_id=? AND kind=? AND id=? AND generation=?", done); err != nil {
		return fmt.Errorf("ending a redefinition: %w", err)
	}
	for _, p := range s.spread {
		bought, err := boughtAmong(ctx, tx, p.of.ShopID, p.products)
		if err != nil {
			return err
		}
		if err := startFanOuts(ctx, tx, p.of.ShopID, fanProduct, bought, p.of.SourceAt, now); err != nil {
			return err
		}
	}
	return nil
}

// boughtAmong gives those of the products that some order or cart has a line of.
func boughtAmong(ctx context.Context, tx *store.Tx, shopID int64, ids []string) ([]string, error) {
	found := map[string]bool{}
	err := readIn(ctx, tx, `SELECT p.id FROM products p WHERE p.shop_id=? AND p.id IN (%)
 AND (EXISTS(SELECT 1 FROM order_lines l WHERE l.shop_id=p.shop_id AND l.product_id=p.id) OR EXISTS(SELECT 1 FROM cart_lines l WHERE l.shop_id=p.shop_id AND l.product_id=p.id))`,
		[]any{shopID}, ids, func(r *sqlx.Rows) error {
			var id string
			err := r.Scan(&id)
			found[id] = true
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("finding which products were bought: %w", err)
	}
	return slices.Sorted(maps.Keys(found)), nil
}
