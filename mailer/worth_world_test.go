package mailer_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/mailer"
)

// earning is a chain whose mails have left, so that people may click in them, use their codes and buy.
type earning struct {
	*chain
	events int
}

func earn(tb testing.TB, db *store.DB) *earning {
	w := newWorld(tb, db)
	w.m.TellAsked(mailer.Askers)
	e := &earning{chain: &chain{world: w}}
	e.begin(mailer.CampaignFile{"plain": plainCampaign(), cartMails: cartCampaign()})
	return e
}

func eachEarning(t *testing.T, fn func(t *testing.T, e *earning)) {
	t.Helper()
	servers.Each(t, func(t *testing.T, db *store.DB) { fn(t, earn(t, db)) })
}

// buyer is somebody whom the shop knows.
func (e *earning) buyer(email string) int64 {
	e.tb.Helper()
	e.read(crm.Fact{Ref: crm.Ref{Kind: crm.KindCustomer, ID: email}, Body: &crm.Customer{Email: email, RegisteredAt: crm.At(noon().AddDate(-1, 0, 0))}})
	return e.who(email)
}

// left puts a mail into the ledger that was handed over.
func (e *earning) left(contact int64, campaign, step, occurrence, variants string, at time.Time) int64 {
	e.tb.Helper()
	id := e.db.NewID()
	e.insert("sends", []string{"id", "campaign", "step", "contact_id", "occurrence", "lane", "audience_id", "shop_id", "kind", "state", "handed_at", "settled_at", "variants"},
		[]any{id, campaign, step, contact, occurrence, crm.LaneOf(contact), e.audience, e.shop, mailer.KindMarketing, "accepted", crm.At(at), crm.At(at), variants})
	return id
}

// click says that a link was followed now; by a program where agent says so.
func (e *earning) click(send int64, agent string, at time.Time) {
	e.tb.Helper()
	e.events++
	v := mailer.ProviderEvent{
		ID: "c" + strconv.Itoa(e.events), Source: mailer.SourceOwn, Kind: mailer.EventClicked, SendID: mailer.SendID(send), At: crm.At(at), URL: "https://boutique.example/", UserAgent: agent,
	}
	must(mailer.RecordEvents(e.tb.Context(), e.m, e.audience, []mailer.ProviderEvent{v}, crm.At(e.now)))(e.tb)
}

const (
	browser = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
	robot   = "python-requests/2.32"
)

func (e *earning) give(contact int64, campaign, occurrence, code string, at time.Time) {
	e.tb.Helper()
	e.insert("coupons", []string{"audience_id", "code_key", "code", "list", "state", "campaign", "contact_id", "occurrence", "given_at"},
		[]any{e.audience, crm.CodeKey(code), code, "summer", "given", campaign, contact, occurrence, crm.At(at)})
}

// settle lets everything be told, judged and credited: clicks wait a while for others of the same mail.
func (e *earning) settle() {
	e.tb.Helper()
	for range 4 {
		e.now = e.now.Add(20 * time.Second)
		e.live()
	}
}

// row is a credit as both computations give it.
type row struct {
	Shop     int64 `db:"shop_id"`
	ID       string
	Contact  int64 `db:"contact_id"`
	Send     int64 `db:"send_id"`
	Campaign string
	Step     string
	Variants string
	How      string
	Placed   int64 `db:"placed_at"`
	Currency string
	Revenue  int64
	Counted  int64
}

func (e *earning) rows(table, id string) []row {
	e.tb.Helper()
	var out []row
	if err := e.db.Read().SelectContext(context.Background(), &out, "SELECT shop_id, "+id+" AS id, contact_id, send_id, campaign, step, variants, how, placed_at, currency, revenue, counted FROM "+table+
		" WHERE contact_id<>0 ORDER BY shop_id, "+id); err != nil {
		e.tb.Fatal(err)
	}
	return out
}

// expected works the same out from all rows, order by order, without anything of the engine.
func (e *earning) expected() (orders, carts []row) {
	e.tb.Helper()
	ctx, q := context.Background(), e.db.Read()
	get := func(dest any, query string, args ...any) {
		e.tb.Helper()
		if err := q.SelectContext(ctx, dest, query, args...); err != nil {
			e.tb.Fatal(err)
		}
	}
	const persons = "(?, COALESCE((SELECT MIN(from_id) FROM contact_merges WHERE to_id=? AND state IN ('merging','merged')), 0), COALESCE((SELECT MAX(from_id) FROM contact_merges WHERE to_id=? AND state IN ('merging','merged')), 0))"
	const sent = "SELECT s.id AS send_id, s.campaign, s.step, s.variants FROM sends s "
	window := (5 * 24 * time.Hour).Milliseconds()
	var sales []struct {
		row
		Purchase string
		First    int64
	}
	get(&sales, `SELECT o.shop_id, o.id, o.contact_id, o.placed_at, o.currency, o.total-o.refunded AS revenue, CASE WHEN o.purchase='' THEN o.id ELSE o.purchase END AS purchase,
 (SELECT MIN(x.placed_at) FROM orders x WHERE x.shop_id=o.shop_id AND x.contact_id=o.contact_id AND x.gone_at=0 AND (x.counts_as_sale=1 OR x.state='replaced')
 AND (CASE WHEN x.purchase='' THEN x.id ELSE x.purchase END)=(CASE WHEN o.purchase='' THEN o.id ELSE o.purchase END)) AS first
 FROM orders o JOIN contacts c ON c.id=o.contact_id AND c.erased_at=0 WHERE o.gone_at=0 AND o.counts_as_sale=1 ORDER BY o.placed_at, o.id`)
	counted := map[string]bool{}
	for _, o := range sales {
		var of []row
		get(&of, `SELECT s.id AS send_id, s.campaign, s.step, s.variants FROM coupons k JOIN order_coupons c ON c.code_key=k.code_key
 JOIN orders x ON x.shop_id=c.shop_id AND x.id=c.order_id AND x.gone_at=0 AND (x.counts_as_sale=1 OR x.state='replaced') JOIN sends s ON s.campaign=k.campaign AND s.contact_id=k.contact_id AND s.occurrence=k.occurrence
 WHERE x.shop_id=? AND x.contact_id=? AND (CASE WHEN x.purchase='' THEN x.id ELSE x.purchase END)=? AND k.contact_id IN `+persons+` AND s.handed_at>0
 ORDER BY k.given_at DESC, k.code_key DESC, CASE WHEN s.handed_at<=? THEN 0 ELSE 1 END, CASE WHEN s.handed_at<=? THEN -s.handed_at ELSE s.handed_at END LIMIT 1`,
			o.Shop, o.Contact, o.Purchase, o.Contact, o.Contact, o.Contact, o.First, o.First)
		how := "code"
		if len(of) == 0 {
			how = "click"
			get(&of, sent+`JOIN mail_events v ON v.send_id=s.id WHERE v.contact_id IN `+persons+` AND v.kind='clicked' AND v.machine=0 AND v.happened_at<=? AND v.happened_at>?
 ORDER BY v.happened_at DESC, s.id DESC LIMIT 1`, o.Contact, o.Contact, o.Contact, o.First, o.First-window)
		}
		if len(of) == 0 {
			continue
		}
		r := o.row
		r.Send, r.Campaign, r.Step, r.Variants, r.How = of[0].Send, of[0].Campaign, of[0].Step, of[0].Variants, how
		if key := fmt.Sprint(o.Shop, o.Contact, o.Purchase); !counted[key] {
			counted[key], r.Counted = true, 1
		}
		orders = append(orders, r)
	}
	var closed []row
	get(&closed, `SELECT k.shop_id, k.id, k.contact_id, k.closed_at AS placed_at, k.currency, k.total AS revenue FROM carts k JOIN contacts c ON c.id=k.contact_id AND c.erased_at=0
 WHERE k.closed_by='ordered' AND k.gone_at=0 AND (NOT EXISTS (SELECT 1 FROM orders o WHERE o.shop_id=k.shop_id AND o.cart_id=k.id AND o.contact_id=k.contact_id)
 OR EXISTS (SELECT 1 FROM orders o WHERE o.shop_id=k.shop_id AND o.cart_id=k.id AND o.contact_id=k.contact_id AND o.gone_at=0 AND o.counts_as_sale=1))`)
	for _, k := range closed {
		var of []row
		get(&of, sent+"WHERE s.contact_id IN "+persons+" AND s.occurrence=? AND s.handed_at>0 AND s.handed_at<=? AND s.handed_at>? ORDER BY s.handed_at DESC, s.id DESC LIMIT 1",
			k.Contact, k.Contact, k.Contact, fmt.Sprintf("cart:%d:%s", k.Shop, k.ID), k.Placed, k.Placed-window)
		if len(of) > 0 {
			k.Send, k.Campaign, k.Step, k.Variants, k.How, k.Counted = of[0].Send, of[0].Campaign, of[0].Step, of[0].Variants, "mail", 1
			carts = append(carts, k)
		}
	}
	byID := func(a, b row) int { return cmpText(a.ID, b.ID) }
	slices.SortFunc(orders, byID)
	slices.SortFunc(carts, byID)
	return orders, carts
}

func cmpText(a, b string) int {
	if a < b {
		return -1
	}
	return 1
}

// verify compares what is stored with what all rows say, and the counters with what is stored.
func (e *earning) verify(what string) {
	e.tb.Helper()
	orders, carts := e.expected()
	if diff := cmp.Diff(orders, e.rows("attributed_orders", "order_id")); diff != "" {
		e.tb.Errorf("%s: orders (-from scratch +stored)\n%s", what, diff)
	}
	if diff := cmp.Diff(carts, e.rows("recovered_carts", "cart_id")); diff != "" {
		e.tb.Errorf("%s: carts (-from scratch +stored)\n%s", what, diff)
	}
	for _, pair := range [][2]string{
		{
			"SELECT campaign, step, variants, 'order' AS what, currency, SUM(counted) AS n, SUM(revenue) AS m FROM attributed_orders GROUP BY campaign, step, variants, currency UNION ALL SELECT campaign, step, variants, 'cart' AS what, currency, SUM(counted) AS n, SUM(revenue) AS m FROM recovered_carts GROUP BY campaign, step, variants, currency",
			"SELECT campaign, step, variants, what, currency, SUM(number) AS n, SUM(amount) AS m FROM attributed_counts GROUP BY campaign, step, variants, what, currency HAVING SUM(number)<>0 OR SUM(amount)<>0",
		},
		{
			"SELECT campaign, SUM(counted) AS n, SUM(revenue) AS m FROM attributed_orders GROUP BY campaign",
			"SELECT campaign, SUM(CASE WHEN name='order' THEN total ELSE 0 END) AS n, SUM(CASE WHEN name='revenue:EUR' THEN total ELSE 0 END) AS m FROM campaign_days WHERE name IN ('order','revenue:EUR') GROUP BY campaign HAVING n<>0 OR m<>0",
		},
	} {
		var got [2]map[string][2]int64
		for i, query := range pair {
			var rows []struct {
				Campaign, Step, Variants, What, Currency string
				N, M                                     int64
			}
			if err := e.db.Read().SelectContext(context.Background(), &rows, query); err != nil {
				e.tb.Fatal(err)
			}
			got[i] = map[string][2]int64{}
			for _, r := range rows {
				if r.N != 0 || r.M != 0 {
					got[i][fmt.Sprint(r.Campaign, r.Step, r.Variants, r.What, r.Currency)] = [2]int64{r.N, r.M}
				}
			}
		}
		if diff := cmp.Diff(got[0], got[1]); diff != "" {
			e.tb.Errorf("%s: counters (-rows +counters)\n%s", what, diff)
		}
	}
	if n := e.count("SELECT COUNT(*) FROM worth_marks"); n != 0 {
		e.tb.Errorf("%s: %d contacts are still to be looked at", what, n)
	}
}

// TestWhatMailsBringIsWhatAllRowsSay lets people buy, click, use codes, give back, be merged, split and erased at random, with
// crashes on the way: what is stored in the end is what is worked out from all rows.
func TestWhatMailsBringIsWhatAllRowsSay(t *testing.T) {
	for _, engine := range []store.Dialect{store.SQLite, store.MySQL} {
		seeds := uint64(2)
		if engine == store.MySQL {
			seeds = 1
		}
		for seed := range seeds {
			t.Run(fmt.Sprintf("%s/%d", engine, seed), func(t *testing.T) { randomEarning(t, engine, seed) })
		}
	}
}

func randomEarning(t *testing.T, engine store.Dialect, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 7))
	crash, crashed := false, 0
	db := servers.Open(t, engine, store.Options{DSN: servers.DSN(t, engine), Fault: func(at, _ string) error {
		if crash && (at == "mailer.worth" || at == "mailer.digest" || rnd.IntN(12) == 0) && rnd.IntN(3) == 0 {
			crash = false
			crashed++
			return errCrash
		}
		return nil
	}})
	e := earn(t, db)
	r := &roaming{earning: e, rnd: rnd, codes: map[string]int64{}, merged: map[int64]bool{}, erased: map[int64]bool{}}
	for i := range 5 {
		r.people = append(r.people, e.buyer(fmt.Sprintf("p%d@example.com", i)))
	}
	for i := range 120 {
		e.now = e.now.Add(time.Duration(rnd.IntN(10*3600)) * time.Second)
		r.act(i)
		if rnd.IntN(2) == 0 {
			continue
		}
		e.now = e.now.Add(20 * time.Second)
		crash = rnd.IntN(3) == 0
		if err := e.tryLive(); err != nil {
			if !errors.Is(err, errCrash) {
				t.Fatal(err)
			}
			e.rebuild()
			e.keep(mailer.CampaignFile{"plain": plainCampaign(), cartMails: cartCampaign()})
		}
		crash = false
	}
	e.settle()
	e.verify(fmt.Sprintf("seed %d", seed))
	n, codes := e.count("SELECT COUNT(*) FROM attributed_orders"), e.count("SELECT COUNT(*) FROM attributed_orders WHERE how='code'")
	if n < 5 || codes == 0 || codes == n || crashed == 0 {
		t.Errorf("a poor world: %d orders credited, %d by code, %d crashes", n, codes, crashed)
	}
}

// roaming does things at random.
type roaming struct {
	*earning
	rnd            *rand.Rand
	people         []int64
	orders         []*crm.Order
	mails          []int64
	codes          map[string]int64 // whose they are
	merged, erased map[int64]bool
	carts          int
}

func (r *roaming) person() (int, int64) {
	for {
		if i := r.rnd.IntN(len(r.people)); !r.erased[r.people[i]] {
			return i, r.people[i]
		}
	}
}

func (r *roaming) show(o *crm.Order) {
	o.CountsAsSale = crm.CountsAsSale(o.State)
	body := *o
	r.read(crm.Fact{Ref: crm.Ref{Kind: crm.KindOrder, ID: o.Number}, Body: &body})
}

func (r *roaming) act(i int) {
	who, id := r.person()
	name := fmt.Sprintf("p%d@example.com", who)
	switch roll := r.rnd.IntN(100); {
	case roll < 22:
		occurrence := fmt.Sprintf("n:%d", i)
		campaign := []string{"plain", cartMails}[r.rnd.IntN(2)]
		r.mails = append(r.mails, r.left(id, campaign, "first", occurrence, []string{"", "try=a", "try=b"}[r.rnd.IntN(3)], r.now))
		if r.rnd.IntN(3) == 0 {
			code := fmt.Sprintf("CODE%d", i)
			r.codes[code] = id
			r.give(id, campaign, occurrence, code, r.now)
		}
	case roll < 45 && len(r.mails) > 0:
		r.click(r.mails[r.rnd.IntN(len(r.mails))], []string{browser, browser, robot}[r.rnd.IntN(3)], r.now.Add(-time.Duration(r.rnd.IntN(6*3600))*time.Second))
	case roll < 70:
		o := &crm.Order{
			Number: "o" + strconv.Itoa(i), Email: name, State: crm.StateAccepted, Currency: "EUR", Total: int64(1000 + r.rnd.IntN(9000)),
			PlacedAt: crm.At(r.now.Add(-time.Duration(r.rnd.IntN(86400)) * time.Second)), ModifiedAt: crm.At(r.now),
		}
		for _, code := range slices.Sorted(maps.Keys(r.codes)) {
			if r.codes[code] == id && r.rnd.IntN(2) == 0 || r.rnd.IntN(20) == 0 {
				o.Coupons = append(o.Coupons, code)
			}
		}
		if len(r.orders) > 0 && r.rnd.IntN(5) == 0 { // of one purchase with another order
			other := r.orders[r.rnd.IntN(len(r.orders))]
			other.Purchase = "u" + other.Number
			o.Purchase, o.Email = other.Purchase, other.Email
			if r.rnd.IntN(2) == 0 {
				other.State = crm.StateReplaced
			}
			r.show(other)
		}
		r.orders = append(r.orders, o)
		r.show(o)
	case roll < 85 && len(r.orders) > 0:
		o := r.orders[r.rnd.IntN(len(r.orders))]
		switch r.rnd.IntN(5) {
		case 4:
			r.read(crm.Fact{Ref: crm.Ref{Kind: crm.KindRefund, ID: "r" + strconv.Itoa(i)}, Body: &crm.Refund{OrderID: o.Number, Amount: 1 + int64(r.rnd.IntN(900)), Currency: "EUR", At: crm.At(r.now)}})
			return
		case 0:
			o.State = crm.StateCancelled
		case 1:
			o.State = crm.StateAccepted
		case 2:
			o.Total += 100
		case 3: // the shop's other customer after all
			o.Email = fmt.Sprintf("p%d@example.com", r.rnd.IntN(len(r.people)))
		}
		r.show(o)
	case roll < 92:
		r.carts++
		cart := "k" + strconv.Itoa(r.carts)
		at := crm.At(r.now.Add(-time.Hour))
		r.read(crm.Fact{Ref: crm.Ref{Kind: crm.KindCart, ID: cart}, Body: &crm.Cart{Email: name, Currency: "EUR", Total: 700, CreatedAt: at, ActiveAt: at}})
		r.mails = append(r.mails, r.left(id, cartMails, "first", fmt.Sprintf("cart:%d:%s", r.shop, cart), "", r.now))
		o := &crm.Order{
			Number: "ko" + strconv.Itoa(i), Email: name, State: crm.StateAccepted, Currency: "EUR", Total: 700, CartID: cart, PlacedAt: crm.At(r.now.Add(time.Minute)), ModifiedAt: crm.At(r.now),
		}
		r.orders = append(r.orders, o)
		r.show(o)
	case roll < 95:
		_, other := r.person()
		if id != other && !r.merged[id] && !r.merged[other] {
			r.merge(id, other)
			r.merged[id], r.merged[other] = true, true
		}
	case roll < 98:
		for _, from := range slices.Sorted(maps.Keys(r.merged)) {
			if r.count("SELECT COUNT(*) FROM contact_merges WHERE from_id=? AND state='merged'", from) == 1 && !r.erased[from] {
				r.split(from)
				break
			}
		}
	case !r.merged[id] && len(r.erased) == 0:
		r.erased[id] = true
		must(r.m.Erase(r.tb.Context(), id, crm.At(r.now)))(r.tb)
		r.identities()
	}
}
