package main

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/connectors/woocommerce/wooshop"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/mailer"
)

func eachEngine(t *testing.T, fn func(t *testing.T, engine store.Dialect)) {
	t.Helper()
	for _, engine := range []store.Dialect{store.SQLite, store.MySQL} {
		t.Run(string(engine), func(t *testing.T) {
			t.Parallel()
			fn(t, engine)
		})
	}
}

// on lets the rig keep its data in an engine and gives the address.
func (r *rig) on(engine store.Dialect) (dsn string) {
	r.t.Helper()
	if engine == store.SQLite {
		return "sqlite:" + filepath.Join(r.dir, "relance.db")
	}
	dsn = servers.DSN(r.t, engine)
	r.edit("relance.yaml", "database: sqlite:relance.db", fmt.Sprintf("database: %q", dsn))
	return dsn
}

// looking opens a database to look into; the world is one without a process.
func looking(t *testing.T, dsn string) *world {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{DSN: dsn})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, d: &daemon{app: &app{lasting: lasting{db: db}}}}
	t.Cleanup(w.close)
	return w
}

// counted gives the rows of a query of two columns as a map.
func (w *world) counted(query string) map[string]int {
	w.t.Helper()
	out := map[string]int{}
	for _, row := range w.rows(query) {
		key, n, _ := strings.Cut(row, "|")
		count, err := strconv.Atoi(n)
		if err != nil {
			w.t.Fatalf("%s: %q", query, row)
		}
		out[key] = count
	}
	return out
}

// The recorded shop, read from the command line, is what its own database held; read again, nothing is written.
func TestSyncOnceEqualsWhatTheShopHeldAndASecondRunWritesNothing(t *testing.T) {
	t.Parallel()
	want, err := wooshop.Expected()
	if err != nil {
		t.Fatal(err)
	}
	eachEngine(t, func(t *testing.T, engine store.Dialect) {
		r := newRig(t).withShop()
		dsn := r.on(engine)
		said := syncJSON(t, r)
		w := looking(t, dsn)
		equalsExpected(t, w, want)
		for kind, held := range map[string]int{
			"orders": len(want.OrderIDs) + want.OrdersByStatus["trash"], "customers": want.Users, "refunds": want.Refunds, "products": len(r.shop.ProductIDs()),
		} {
			if c := said.Shops["boutique"][kind]; c.Source != int64(held) || c.Mirrored != int64(held) || c.Quarantined != 0 {
				t.Errorf("%s: it says %+v, the shop held %d", kind, c, held)
			}
		}

		before := w.contents()
		again := syncJSON(t, r)
		if again.Applied != 0 || again.Unchanged == 0 {
			t.Errorf("the second run: %+v", again)
		}
		if diff := cmp.Diff(before, w.contents()); diff != "" {
			t.Errorf("the second run wrote:\n%s", diff)
		}
		if n := w.number("SELECT COUNT(*) FROM dirty"); n > 0 {
			t.Errorf("the second run marked %d contacts", n)
		}
	})
}

func equalsExpected(t *testing.T, w *world, want wooshop.Expectation) {
	t.Helper()
	byStatus := map[string]int{}
	for status, n := range w.counted("SELECT CASE WHEN state='trash' THEN 'trash' ELSE status END, COUNT(*) FROM mirror_v1_orders GROUP BY 1") {
		if status != "trash" {
			status = "wc-" + status
		}
		byStatus[status] = n
	}
	same := func(what string, want, got any) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-shop +mirror):\n%s", what, diff)
		}
	}
	same("orders by status", want.OrdersByStatus, byStatus)
	var ids []int64
	for _, row := range w.rows("SELECT id FROM mirror_v1_orders WHERE state<>'trash'") {
		id, err := strconv.ParseInt(row, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	same("ids of orders", want.OrderIDs, ids)
	same("orders by currency", want.OrdersByCurrency, w.counted("SELECT currency, COUNT(*) FROM mirror_v1_orders WHERE state<>'trash' GROUP BY currency"))
	same("guests' orders", want.GuestOrders, w.number("SELECT COUNT(*) FROM mirror_v1_orders WHERE state<>'trash' AND customer_id=''"))
	same("orders without e-mail", want.OrdersWithoutEmail, w.number("SELECT COUNT(*) FROM mirror_v1_orders WHERE state<>'trash' AND email=''"))

	byRole := w.counted("SELECT role, COUNT(*) FROM mirror_v1_customers GROUP BY role")
	same("accounts", want.Users, w.number("SELECT COUNT(*) FROM mirror_v1_customers"))
	same("customers", want.UsersByRole["customer"], byRole["customer"])
	for role, n := range byRole { // an account with two roles shows one of them
		if n > want.UsersByRole[role] {
			t.Errorf("%d accounts are %s, the shop held %d", n, role, want.UsersByRole[role])
		}
	}

	same("refunds", want.Refunds, w.number("SELECT COUNT(*) FROM mirror_v1_refunds"))
	var cents int64
	for _, row := range w.rows("SELECT amount, id FROM mirror_v1_refunds") {
		amount, _, _ := strings.Cut(row, "|")
		minor, err := crm.ParseMinor(amount, "EUR")
		if err != nil {
			t.Fatal(err)
		}
		cents += minor
	}
	same("money given back", want.RefundedAmount, crm.Money{Minor: cents, Currency: "EUR"}.Decimal())
	for currency, sum := range want.GrossOfPaidOrders {
		minor := int64(w.number("SELECT SUM(total) FROM orders WHERE counts_as_sale=1 AND currency=? AND status<>'en-preparation'", currency)) // the recording knew WooCommerce's own statuses only
		same("gross of paid orders", sum, crm.Money{Minor: minor, Currency: currency}.Decimal())
	}
}

// contents is every row but those that say how far reading has come and until when a process owns it.
func (w *world) contents() map[string][]string {
	w.t.Helper()
	list := "SELECT name FROM sqlite_master WHERE type='table' AND name NOT LIKE 'sqlite%'"
	if w.d.db.Dialect() == store.MySQL {
		list = "SELECT table_name FROM information_schema.tables WHERE table_schema=DATABASE() AND table_type='BASE TABLE'"
	}
	out := map[string][]string{}
	for _, table := range w.rows(list) {
		switch table {
		case "leases", "streams", "observations":
		case "shops": // how busy it is kept goes on
			out[table] = w.rows("SELECT id, name, audience_id, platform, title, address, zone, own_zone, basis, currency, locale, backfilled_at, fault, probed FROM shops")
		case "meta": // the clock of segments and the count of starts go on
			out[table] = w.rows("SELECT * FROM meta WHERE name NOT IN ('segments.clock','segments.watermark','" + metaPlace + "')")
		default:
			out[table] = w.rows("SELECT * FROM " + table)
		}
	}
	if len(out) < 25 || len(out["orders"]) == 0 {
		w.t.Fatalf("tables: %v", slices.Sorted(maps.Keys(out)))
	}
	return out
}

const eagerSegments = `cart_left:
  match: {open_cart: {idle_for: 1h}}
dormant:
  match: {last_purchase: {older_than: 60d}}
bought:
  match: {bought: {at_least: 1}}
registered:
  match: {registered: {within: 900d}}
`

func eagerCampaigns() string {
	var b strings.Builder
	for _, segment := range []string{"cart_left", "dormant", "bought", "registered"} {
		fmt.Fprintf(&b, "mail_%s:\n  trigger: {enters: %s}\n  occurrence: each\n  not_after: 900d\n  steps:\n    - id: hello\n      send: {template: win_back}\n", segment, segment)
	}
	return b.String()
}

// Two years of history meet campaigns that would mail everybody in it, in a shop where who bought may be mailed:
// whether they are armed before the first read or after it, nobody is mailed for what was before. What happens
// afterwards is mailed about.
func TestB14_HistoryMailsNobody(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, engine store.Dialect) {
		for _, armed := range []string{"before", "after"} {
			t.Run("armed "+armed, func(t *testing.T) {
				w := newWorld(t, servers.DSN(t, engine))
				w.write("segments/segments.yaml", eagerSegments)
				w.write("campaigns/campaigns.yaml", eagerCampaigns())
				w.write("shops/boutique.yaml", worldShop+"basis: soft_opt_in\n")
				if err := w.open(); err != nil {
					t.Fatal(err)
				}
				arm := func() {
					for id := range w.cfg.Campaigns {
						if _, err := mailer.Arm(t.Context(), w.d.mirror, id, w.instant()); err != nil {
							t.Fatal(err)
						}
					}
				}
				if armed == "before" {
					arm()
				}
				w.settle()
				if armed == "after" {
					arm()
				}
				for range 12 { // every stream is read again
					w.move(5 * time.Second)
					w.settle()
				}
				for segment, n := range w.counted("SELECT segment, COUNT(*) FROM memberships GROUP BY segment") {
					if n == 0 {
						t.Errorf("nobody is in %s: this proves nothing", segment)
					}
				}
				if n := w.number("SELECT COUNT(*) FROM sends") + w.number("SELECT COUNT(*) FROM enrolments"); n > 0 {
					t.Fatalf("%d sends and enrolments for history", n)
				}
				newcomer := person{First: "Aude", Last: "Exemple", Email: "aude@example.com"}
				if _, err := w.shop.CreateOrder(newcomer.order(w.shop.Goods()[0].Item)); err != nil {
					t.Fatal(err)
				}
				w.settle()
				w.move(w.ahead) // by our clock the order lies in the future until then
				w.settle()
				if got := w.rows("SELECT s.campaign, c.email_norm, s.state FROM sends s JOIN contacts c ON c.id=s.contact_id"); !slices.Equal(got, []string{"mail_bought|aude@example.com|accepted"}) {
					t.Errorf("a new customer is to be mailed, and nobody else: %v", got)
				}
			})
		}
	})
}
