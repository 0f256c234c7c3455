package mirror_test

import (
	"fmt"
	"math/big"
	"os"
	"strings"
	"testing"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// Every column of every view is in docs/mirror.md, and every view can be read.
func TestTheViewsAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/mirror.md")
	if err != nil {
		t.Fatal(err)
	}
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.read(customer(5, "ana@example.com"), order(1, "5", "", 1000), refund(3, 1, 250), cart(2, "c@example.com"))
		for _, view := range []string{"contacts", "customers", "orders", "order_lines", "refunds", "carts", "cart_lines", "products", "product_categories", "stocks", "consents", "statements", "events", "contact_stats", "segment_members", "segment_changes"} {
			_, section, found := strings.Cut(string(doc), "## mirror_v1_"+view+"\n")
			section, _, _ = strings.Cut(section, "\n## ")
			if !found {
				t.Errorf("docs/mirror.md has no section mirror_v1_%s", view)
			}
			rows, err := db.Read().QueryxContext(t.Context(), "SELECT * FROM mirror_v1_"+view)
			if err != nil {
				t.Fatal(err)
			}
			cols, err := rows.Columns()
			_ = rows.Close()
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range cols {
				if !strings.Contains(section, "`"+c+"`") {
					t.Errorf("docs/mirror.md does not name mirror_v1_%s.%s", view, c)
				}
			}
		}
	})
}

func TestViewsShowReadableTimesAndAmountsOfLiveRows(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.read(order(1, "", "a@example.com", 1005), refund(3, 1, 2000), order(2, "", "a@example.com", 7), gone(order(2, "", "", 0)), cart(2, "c@example.com"))
		b.read(gone(cart(2, "")))
		var row struct {
			Shop, Total, Revenue, At string
			Paid                     *string
		}
		if err := db.Read().GetContext(t.Context(), &row, "SELECT shop, total, revenue, placed_at AS at, paid_at AS paid FROM mirror_v1_orders"); err != nil {
			t.Fatal(err)
		}
		total, revenue := "10.05", "-9.95"
		if db.Dialect() == store.MySQL {
			total, revenue = "10.0500", "-9.9500"
		}
		row.At = strings.Replace(row.At, "T", " ", 1)
		if row.Shop != "boutique" || row.Total != total || row.Revenue != revenue || row.Paid != nil || !strings.HasPrefix(row.At, "2026-10-01 10:00:01") {
			t.Errorf("%+v", row)
		}
		if n := b.number("SELECT COUNT(*) FROM mirror_v1_carts"); n != 0 {
			t.Errorf("%d carts shown after the one was closed", n)
		}
	})
}

// The views know the decimals of every currency as crm does.
func TestViewsUseTheDecimalsOfTheCurrency(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		for i, currency := range strings.Fields("EUR JPY KWD CLF IQD RSD COP KRW UYW XAF TND ZZZ BIF CLP DJF GNF ISK KMF PYG RWF UGX UYI VND VUV XOF XPF BHD JOD LYD OMR") {
			for k, minor := range []int64{-12345, -5, 0, 5, 98765432109876} {
				f := order(100*i+k, "", "a@example.com", minor)
				f.Body.(*crm.Order).Currency = currency
				b.read(f)
				var got string
				if err := db.Read().GetContext(t.Context(), &got, "SELECT total FROM mirror_v1_orders WHERE id=?", f.Ref.ID); err != nil {
					t.Fatal(err)
				}
				want := crm.Money{Minor: minor, Currency: currency}.Decimal()
				if db.Dialect() == store.SQLite && got != want || !sameNumber(got, want) {
					t.Errorf("%d %s is shown as %s, want %s", minor, currency, got, want)
				}
			}
		}
	})
}

func sameNumber(a, b string) bool {
	x, okx := new(big.Rat).SetString(a)
	y, oky := new(big.Rat).SetString(b)
	return okx && oky && x.Cmp(y) == 0
}

func TestAmountsOfYen(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		minor, err := crm.ParseMinor("993.56", "JPY")
		if err != nil {
			t.Fatal(err)
		}
		f := order(1, "", "a@example.com", minor)
		f.Body.(*crm.Order).Currency = "JPY"
		b.read(f, order(2, "", "a@example.com", 500))
		stats := texts(t, db, "SELECT currency, orders, sales, revenue, left_out FROM mirror_v1_contact_stats")
		want := `currency="EUR" left_out="1" orders="2" revenue="5.00" sales="2"`
		if got := strings.ReplaceAll(fmt.Sprint(stats), "5.0000", "5.00"); got != "["+want+"]" { // B30: currencies are never added together
			t.Errorf("%s, want %s", got, want)
		}
		if o := b.profile("a@example.com").Orders[0]; o.Total != 994 || o.Currency != "JPY" {
			t.Errorf("%+v", o)
		}
	})
}
