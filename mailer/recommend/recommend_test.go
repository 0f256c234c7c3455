package recommend_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/internal/store/storetest"
	"github.com/relance/relance/mailer/recommend"
)

var servers storetest.Servers //nolint:gochecknoglobals // one server per test binary

func TestMain(m *testing.M) { os.Exit(storetest.Main(m, &servers)) }

// good is a product of the tests' shop.
type good struct {
	id, parent, brand, status string
	category                  string
	price                     int
	inStock, stockSaysNo      bool
}

// sale is one order.
type sale struct {
	contact      int64
	id, purchase string
	state        string
	at           crm.Instant
	products     []string
}

// world is a shop whose catalogue and sales are known to the test.
type world struct {
	tb     testing.TB
	db     *store.DB
	m      *mirror.Mirror
	leases *store.Leases
	shop   int64
	goods  []good
	sales  []sale
	now    time.Time
}

func newWorld(tb testing.TB, db *store.DB) *world {
	tb.Helper()
	w := &world{tb: tb, db: db, m: mirror.New(db), leases: store.NewLeases(db, "one", time.Hour), now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)}
	s, err := w.m.EnsureShop(tb.Context(), mirror.ShopSpec{Name: "boutique", Platform: "woocommerce", Zone: "Europe/Paris"})
	if err != nil {
		tb.Fatal(err)
	}
	w.shop = s.ID
	w.write(func(tx *store.Tx) error { return w.m.SetBackfilled(context.Background(), tx, s.ID, 1) })
	if _, err := w.leases.Acquire(tb.Context(), store.LaneLeases(crm.Lanes)...); err != nil {
		tb.Fatal(err)
	}
	return w
}

func (w *world) write(fn func(tx *store.Tx) error) {
	w.tb.Helper()
	if err := w.db.Write(context.Background(), "test", fn); err != nil {
		w.tb.Fatal(err)
	}
}

func (w *world) insert(table string, cols string, rows [][]any) {
	w.tb.Helper()
	w.write(func(tx *store.Tx) error {
		return tx.Insert(context.Background(), table, strings.Split(cols, ","), rows)
	})
}

func (w *world) add(goods ...good) {
	w.tb.Helper()
	w.goods = append(w.goods, goods...)
	var products, stocks, categories [][]any
	for _, g := range goods {
		products = append(products, []any{w.shop, g.id, g.parent, "Product " + g.id, g.status, g.price, "EUR", g.inStock, g.brand, "https://shop.example/" + g.id})
		if g.stockSaysNo {
			stocks = append(stocks, []any{w.shop, g.id, 0})
		}
		if g.category != "" {
			categories = append(categories, []any{w.shop, g.id, g.category})
		}
	}
	w.insert("products", "shop_id,id,parent_id,name,status,price,currency,in_stock,brand,url", products)
	w.insert("stocks", "shop_id,id,in_stock", stocks)
	w.insert("product_categories", "shop_id,product_id,category_id", categories)
}

func (w *world) sell(sales ...sale) {
	w.tb.Helper()
	w.sales = append(w.sales, sales...)
	var orders, lines [][]any
	stats := map[int64]int{}
	for _, s := range sales {
		counts := crm.CountsAsSale(s.state)
		orders = append(orders, []any{w.shop, s.id, s.contact, s.state, counts, s.purchase, s.at, "", ""})
		for i, p := range s.products {
			lines = append(lines, []any{w.shop, s.id, fmt.Sprint(i), p, 1})
		}
		if counts {
			stats[s.contact]++
		}
	}
	w.insert("orders", "shop_id,id,contact_id,state,counts_as_sale,purchase,placed_at,coupons,attribution", orders)
	w.insert("order_lines", "shop_id,order_id,line_id,product_id,quantity", lines)
	w.write(func(tx *store.Tx) error {
		var rows [][]any
		for contact, n := range stats {
			rows = append(rows, []any{contact, w.shop, n})
		}
		return tx.Upsert(context.Background(), "contact_stats", []string{"contact_id", "shop_id"}, []string{"contact_id", "shop_id", "sales"}, rows)
	})
}

// clear makes room for another world.
func (w *world) clear() {
	w.tb.Helper()
	w.write(func(tx *store.Tx) error {
		for _, table := range []string{"products", "stocks", "product_categories", "orders", "order_lines", "contact_stats", "pick_lists", "pick_runs", "shops"} {
			if _, err := tx.ExecContext(context.Background(), "DELETE FROM "+table); err != nil {
				return err
			}
		}
		return nil
	})
	if err := w.leases.Release(w.tb.Context()); err != nil {
		w.tb.Fatal(err)
	}
}

// compute runs the engine until it has nothing to do.
func (w *world) compute(o recommend.Options) {
	w.tb.Helper()
	e := recommend.NewEngine(w.m, w.leases, o)
	for range 10000 {
		_, worked, err := e.Step(w.tb.Context(), w.now)
		if err != nil {
			w.tb.Fatal(err)
		}
		if !worked {
			return
		}
	}
	w.tb.Fatal("the engine finds work for ever")
}

func (w *world) lists() map[string][]recommend.Pick {
	w.tb.Helper()
	var rows []struct{ Scope, Picks string }
	if err := w.db.Read().SelectContext(w.tb.Context(), &rows, "SELECT scope, picks FROM pick_lists"); err != nil {
		w.tb.Fatal(err)
	}
	out := map[string][]recommend.Pick{}
	for _, r := range rows {
		var picks []recommend.Pick
		if err := json.Unmarshal([]byte(r.Picks), &picks); err != nil {
			w.tb.Fatal(err)
		}
		out[r.Scope] = picks
	}
	return out
}

// random makes a shop in which some products go together, and much is chance.
func random(w *world, r *rand.Rand) {
	w.tb.Helper()
	var goods []good
	n := 8 + r.IntN(20)
	for i := range n {
		g := good{
			id: fmt.Sprint(i + 1), brand: []string{"", "Alba", "Noël"}[r.IntN(3)], status: []string{"publish", "active", "enabled", "publish", "draft"}[r.IntN(5)],
			category: []string{"", "c1", "c2"}[r.IntN(3)], price: r.IntN(5) * 100, inStock: r.IntN(6) > 0, stockSaysNo: r.IntN(8) == 0,
		}
		goods = append(goods, g)
		for v := range r.IntN(3) {
			goods = append(goods, good{id: fmt.Sprintf("%d-%d", i+1, v), parent: g.id, status: "publish", price: 100 + r.IntN(3)*100, inStock: r.IntN(3) > 0})
		}
	}
	w.add(goods...)
	var sales []sale
	for c := range 60 + r.IntN(40) {
		for o := range 1 + r.IntN(3) {
			s := sale{
				contact: int64(1000 + c), id: fmt.Sprintf("%d.%d", c, o), state: []string{crm.StateCompleted, crm.StateCompleted, crm.StateShipped, crm.StateCancelled}[r.IntN(4)],
				at: crm.At(w.now.Add(-time.Duration(r.IntN(400)) * 24 * time.Hour)),
			}
			if o > 0 && r.IntN(4) == 0 {
				s.purchase = fmt.Sprintf("%d.%d", c, o-1)
			}
			for range 1 + r.IntN(3) {
				p := goods[r.IntN(len(goods))].id
				if r.IntN(3) > 0 { // a taste of their own
					p = goods[(c%4*3+r.IntN(3))%len(goods)].id
				}
				s.products = append(s.products, p)
			}
			sales = append(sales, s)
		}
	}
	w.sell(sales...)
}

// oracle computes what goes together from scratch, as slowly as the rule reads.
func (w *world) oracle() map[string][]recommend.Pick {
	family, sold := map[string]string{}, map[string]bool{}
	cheapest := map[string]int{}
	for _, g := range w.goods {
		family[g.id] = cmp.Or(g.parent, g.id)
		if g.parent != "" && g.status == "publish" && g.inStock && !g.stockSaysNo {
			cheapest[g.parent] = max(g.price, 1)
		}
	}
	for _, g := range w.goods {
		if g.parent == "" {
			sold[g.id] = g.status != "draft" && g.inStock && !g.stockSaysNo && g.price+cheapest[g.id] > 0
		}
	}
	begun := map[string]crm.Instant{}
	for _, s := range w.sales {
		key := fmt.Sprint(s.contact, " ", cmp.Or(s.purchase, s.id))
		if at, ok := begun[key]; crm.CountsAsSale(s.state) && (!ok || s.at < at) {
			begun[key] = s.at
		}
	}
	bought := map[int64]map[string][]crm.Instant{}
	for _, s := range w.sales {
		if !crm.CountsAsSale(s.state) {
			continue
		}
		for _, p := range s.products {
			if bought[s.contact] == nil {
				bought[s.contact] = map[string][]crm.Instant{}
			}
			bought[s.contact][family[p]] = append(bought[s.contact][family[p]], begun[fmt.Sprint(s.contact, " ", cmp.Or(s.purchase, s.id))])
		}
	}
	near := func(a, b []crm.Instant) bool {
		for _, x := range a {
			for _, y := range b {
				if max(x-y, y-x) <= crm.Instant(90*24*3600*1000) {
					return true
				}
			}
		}
		return false
	}
	buyers := func(p string) (n int64) {
		for _, of := range bought {
			if of[p] != nil {
				n++
			}
		}
		return n
	}
	out := map[string][]recommend.Pick{}
	for a := range sold {
		var picks []recommend.Pick
		for b := range sold {
			both := int64(0)
			for _, of := range bought {
				if of[a] != nil && of[b] != nil && near(of[a], of[b]) {
					both++
				}
			}
			if a == b || !sold[b] || both < 5 {
				continue
			}
			if lift := both * int64(len(bought)) * 1000 / (buyers(a) * buyers(b)); lift >= 1500 {
				picks = append(picks, recommend.Pick{ID: b, Lift: lift, Together: both})
			}
		}
		slices.SortFunc(picks, func(a, b recommend.Pick) int {
			return cmp.Or(cmp.Compare(b.Lift, a.Lift), cmp.Compare(b.Together, a.Together), cmp.Compare(a.ID, b.ID))
		})
		if len(picks) > 0 {
			out["product:"+a] = picks[:min(16, len(picks))]
		}
	}
	return out
}

func TestWhatGoesTogetherAgreesWithAnOracle(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		found := 0
		for seed := range uint64(3) {
			w := newWorld(t, db)
			random(w, rand.New(rand.NewPCG(seed, 7)))
			want := w.oracle()
			for _, most := range []int{0, 20} { // all pairs at once, and in many passes
				w.compute(recommend.Options{MostPair: most})
				got := w.lists()
				maps.DeleteFunc(got, func(scope string, _ []recommend.Pick) bool { return !strings.HasPrefix(scope, "product:") })
				if diff := gocmp.Diff(want, got); diff != "" {
					t.Fatalf("seed %d, %d pairs at once (-oracle +ours):\n%s", seed, most, diff)
				}
				w.write(func(tx *store.Tx) error {
					_, err := tx.ExecContext(context.Background(), "DELETE FROM pick_runs")
					return err
				})
			}
			found += len(want)
			w.clear()
		}
		if found < 10 {
			t.Fatalf("only %d products go with others in all these shops: the test says little", found)
		}
	})
}

// picks asks for one contact with a history.
func (w *world) picks(p *crm.Profile, about []crm.ProfileLine, limit int) []string {
	w.tb.Helper()
	all, err := recommend.For(w.tb.Context(), w.m, w.db.Read(), []recommend.Wish{{ShopID: w.shop, Profile: p, About: about, Limit: limit}})
	if err != nil {
		w.tb.Fatal(err)
	}
	var ids []string
	for _, o := range all[0] {
		ids = append(ids, o.ID)
	}
	return ids
}

func (w *world) order(products ...string) crm.ProfileOrder {
	o := crm.ProfileOrder{ShopID: w.shop, ID: "o", Purchase: "o", State: crm.StateCompleted, CountsAsSale: true}
	for _, p := range products {
		o.Lines = append(o.Lines, crm.ProfileLine{ProductID: p, Quantity: 1})
	}
	return o
}

func TestNobodyIsOfferedWhatCannotBeBoughtOrIsTheirs(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		for seed := range uint64(2) {
			r := rand.New(rand.NewPCG(seed, 9))
			w := newWorld(t, db)
			random(w, r)
			w.compute(recommend.Options{})
			for _, g := range w.goods { // a day later much is different
				if r.IntN(3) == 0 {
					column := []string{"in_stock=0", "status='draft'", "gone_at=1", "price=0"}[r.IntN(4)]
					w.write(func(tx *store.Tx) error {
						_, err := tx.ExecContext(context.Background(), "UPDATE products SET "+column+" WHERE shop_id=? AND id=?", w.shop, g.id)
						return err
					})
				}
			}
			for range 20 {
				p := &crm.Profile{Orders: []crm.ProfileOrder{w.order(w.goods[r.IntN(len(w.goods))].id, w.goods[r.IntN(len(w.goods))].id)}}
				if r.IntN(2) == 0 {
					p.Carts = []crm.ProfileCart{{ShopID: w.shop, ID: "c", Lines: []crm.ProfileLine{{ProductID: w.goods[r.IntN(len(w.goods))].id}}}}
				}
				w.judge(p, w.picks(p, nil, 6))
			}
			w.clear()
		}
	})
}

// judge looks at each pick as the database has it.
func (w *world) judge(p *crm.Profile, picks []string) {
	w.tb.Helper()
	family := map[string]string{}
	for _, g := range w.goods {
		family[g.id] = cmp.Or(g.parent, g.id)
	}
	theirs := map[string]bool{}
	for _, l := range p.Orders[0].Lines {
		theirs[family[l.ProductID]] = true
	}
	for _, c := range p.Carts {
		theirs[family[c.Lines[0].ProductID]] = true
	}
	seen := map[string]bool{}
	for _, id := range picks {
		var ok int
		if err := w.db.Read().GetContext(w.tb.Context(), &ok, `SELECT COUNT(*) FROM products p WHERE p.shop_id=? AND p.id=? AND p.parent_id='' AND p.gone_at=0 AND p.status<>'draft' AND p.in_stock=1
 AND NOT EXISTS(SELECT 1 FROM stocks k WHERE k.shop_id=p.shop_id AND k.id=p.id AND k.in_stock=0)
 AND (p.price>0 OR EXISTS(SELECT 1 FROM products v WHERE v.shop_id=p.shop_id AND v.parent_id=p.id AND v.in_stock=1 AND v.status='publish' AND v.price>0 AND v.gone_at=0))`, w.shop, id); err != nil {
			w.tb.Fatal(err)
		}
		if ok != 1 || theirs[id] || seen[id] {
			w.tb.Errorf("%s is offered: it can be bought %v, is theirs already %v, is offered twice %v", id, ok == 1, theirs[id], seen[id])
		}
		seen[id] = true
	}
	if len(picks) > 6 {
		w.tb.Errorf("%d picks", len(picks))
	}
}

func TestPicksComeInOrder(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		for _, id := range []string{"lamp", "bulb", "shade", "soap", "bowl", "book", "hat"} {
			w.add(good{id: id, status: "publish", price: 100, inStock: true, brand: map[string]string{"lamp": "Lux", "shade": "Lux"}[id], category: map[string]string{"lamp": "light", "soap": "light"}[id]})
		}
		n := 0
		buy := func(times int, products ...string) {
			for range times {
				n++
				w.sell(sale{contact: int64(n), id: fmt.Sprint(n), state: crm.StateCompleted, at: crm.At(w.now.Add(-time.Hour)), products: products})
			}
		}
		buy(8, "lamp", "bulb")
		buy(4, "lamp", "hat") // too few to say anything
		buy(30, "book")
		buy(9, "bowl")
		w.compute(recommend.Options{})
		p := &crm.Profile{Orders: []crm.ProfileOrder{w.order("lamp")}}
		p.Orders[0].Lines[0].Brand, p.Orders[0].Lines[0].Categories = "Lux", []string{"light"}
		if diff := gocmp.Diff([]string{"bulb", "shade", "soap", "book", "bowl", "hat"}, w.picks(p, nil, 6)); diff != "" {
			t.Errorf("what goes with it, its brand, its category, best sellers: %s", diff)
		}
		if diff := gocmp.Diff([]string{"book", "lamp"}, w.picks(&crm.Profile{}, nil, 2)); diff != "" {
			t.Errorf("somebody of whom nothing is known: %s", diff)
		}
		if diff := gocmp.Diff([]string{"bulb"}, w.picks(&crm.Profile{}, p.Orders[0].Lines, 1)); diff != "" {
			t.Errorf("about a cart: %s", diff)
		}
		if got := w.picks(&crm.Profile{Orders: []crm.ProfileOrder{{ShopID: w.shop + 1, CountsAsSale: true, Lines: p.Orders[0].Lines}}}, nil, 1); got[0] != "book" {
			t.Errorf("what was bought in another shop says something here: %v", got)
		}
	})
}

func TestPicksAreComputedDailyAndOldOnesGo(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.add(good{id: "a", status: "publish", price: 1, inStock: true, brand: "Alba"})
		w.compute(recommend.Options{})
		if len(w.lists()) != 1 {
			t.Fatalf("%v", w.lists())
		}
		w.write(func(tx *store.Tx) error {
			_, err := tx.ExecContext(context.Background(), "UPDATE products SET brand='Noël'")
			return err
		})
		w.now = w.now.Add(23 * time.Hour)
		w.compute(recommend.Options{})
		if w.lists()["brand:Alba"] == nil {
			t.Error("computed again within the day")
		}
		w.now = w.now.Add(time.Hour)
		w.compute(recommend.Options{})
		if diff := gocmp.Diff(map[string][]recommend.Pick{"brand:Noël": {{ID: "a"}}}, w.lists()); diff != "" {
			t.Error(diff)
		}
		other := store.NewLeases(db, "other", time.Hour) // holds no lane
		w.leases, w.now = other, w.now.Add(48*time.Hour)
		before := w.lists()
		w.compute(recommend.Options{})
		if diff := gocmp.Diff(before, w.lists()); diff != "" {
			t.Errorf("without the lane: %s", diff)
		}
	})
}
