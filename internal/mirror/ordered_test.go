package mirror_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

func itoa(n int64) string { return fmt.Sprint(n) }

func fromCart(f crm.Fact, id string) crm.Fact {
	f.Body.(*crm.Order).CartID = id
	return f
}

func (b *bench) cartOf(email string) crm.ProfileCart {
	b.tb.Helper()
	carts := b.profile(email).Carts
	if len(carts) != 1 {
		b.tb.Fatalf("%d carts", len(carts))
	}
	return carts[0]
}

func TestB17ACartThatBecameAnOrderNeverOpensAgain(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		placed := at("2026-10-01 10:00") + 1000
		for name, steps := range map[string][][]crm.Fact{
			"the cart is read first":         {{cart(8, "a@example.com")}, {fromCart(order(1, "", "a@example.com", 1), "8")}},
			"the order is read first":        {{fromCart(order(1, "", "a@example.com", 1), "8")}, {cart(8, "a@example.com")}},
			"both at once":                   {{cart(8, "a@example.com"), fromCart(order(1, "", "a@example.com", 1), "8")}},
			"the cart is read again":         {{cart(8, "a@example.com")}, {fromCart(order(1, "", "a@example.com", 1), "8")}, {quantity(cart(8, "a@example.com"), 5)}},
			"the order is deleted":           {{cart(8, "a@example.com")}, {fromCart(order(1, "", "a@example.com", 1), "8")}, {gone(order(1, "", "", 0))}, {quantity(cart(8, "a@example.com"), 5)}},
			"the cart is deleted and back":   {{cart(8, "a@example.com"), fromCart(order(1, "", "a@example.com", 1), "8")}, {gone(cart(8, ""))}, {cart(8, "a@example.com")}},
			"deleted before the order":       {{cart(8, "a@example.com")}, {gone(cart(8, ""))}, {fromCart(order(1, "", "a@example.com", 1), "8")}},
			"two orders: the first one says": {{cart(8, "a@example.com")}, {fromCart(order(2, "", "a@example.com", 1), "8")}, {fromCart(order(1, "", "a@example.com", 1), "8")}},
		} {
			b := newWorld(t, mirror.New(db), name).b
			b.at = at("2026-11-01 00:00")
			for _, facts := range steps {
				b.read(facts...)
			}
			if c := b.cartOf("a@example.com"); c.ClosedBy != "ordered" || c.ClosedAt != placed || len(c.Lines) != 1 {
				t.Errorf("%s: %+v", name, c)
			}
			if n := b.number("SELECT COALESCE(SUM(open_carts),0) FROM contact_stats WHERE shop_id=?", b.shop.ID); n != 0 {
				t.Errorf("%s: %d open carts", name, n)
			}
			if n := b.number("SELECT COUNT(*) FROM mirror_v1_carts WHERE shop=?", b.shop.Name); n != 0 {
				t.Errorf("%s: it is shown as open", name)
			}
		}
	})
}

func quantity(f crm.Fact, n int64) crm.Fact {
	f.Body.(*crm.Cart).Lines[0].Quantity = n
	return f
}

func TestAnOrderClosesItsOwnShopsCartAndMarksItsOwner(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		other := b.ensure("second", "")
		b.read(cart(8, "a@example.com"), cart(9, "b@example.com"))
		b.apply(mirror.Batch{ShopID: other.ID, Facts: []crm.Fact{cart(8, "c@example.com")}})
		b.dirty()
		b.read(fromCart(order(1, "", "payer@example.com", 1), "8"))
		marks := b.dirty()
		for _, email := range []string{"a@example.com", "payer@example.com"} {
			if _, ok := marks[b.profile(email).Contact.ID]; !ok {
				t.Errorf("%s is not marked", email)
			}
		}
		if len(marks) != 2 {
			t.Errorf("%d contacts marked", len(marks))
		}
		for email, want := range map[string]string{"a@example.com": "ordered", "b@example.com": "", "c@example.com": ""} {
			if got := b.cartOf(email).ClosedBy; got != want {
				t.Errorf("%s: closed by %q", email, got)
			}
		}
		if n := b.number("SELECT COUNT(*) FROM carts WHERE gone_at=0"); n != 3 {
			t.Error("a cart that the shop still shows is counted as gone")
		}
		refuseWrites(t, db)
		b.at += 1000
		b.apply(mirror.Batch{Facts: []crm.Fact{cart(8, "a@example.com"), fromCart(order(1, "", "payer@example.com", 1), "8")}})
	})
}

// Property: carts and the orders that they became, read in any order and repeated, close the same carts at the same instants.
func TestOrderedCartsConvergeInAnyOrder(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		m := mirror.New(db)
		n := 0
		rapid.Check(t, func(rt *rapid.T) {
			n++
			var reads []reading
			truth := map[crm.Ref][]crm.Fact{}
			for i := range rapid.IntRange(2, 7).Draw(rt, "reads") {
				f := fromCart(order(rapid.IntRange(1, 3).Draw(rt, "order"), "", "a@x.fr", int64(i)), fmt.Sprint(rapid.IntRange(0, 2).Draw(rt, "of")))
				if rapid.Bool().Draw(rt, "a cart") {
					f = quantity(cart(rapid.IntRange(1, 2).Draw(rt, "cart"), "a@x.fr"), int64(i+1))
				}
				f.Gone = rapid.IntRange(0, 3).Draw(rt, "gone") == 0
				truth[f.Ref] = []crm.Fact{f}
				reads = append(reads, reading{at("2026-11-01 00:00") + crm.Instant(i)*1000, []crm.Fact{f}})
			}
			inOrder := newWorld(t, m, fmt.Sprint("carts-in-order-", n))
			for _, r := range reads {
				inOrder.apply(r)
			}
			shuffled := newWorld(t, m, fmt.Sprint("carts-shuffled-", n))
			for _, r := range scramble(rt, reads) {
				shuffled.apply(r)
			}
			shuffled.reread(reads[len(reads)-1].at+1000, truth)
			if diff := cmp.Diff(inOrder.dump(), shuffled.dump()); diff != "" {
				rt.Fatalf("in order (-) and shuffled (+) differ:\n%s", diff)
			}
		})
	})
}

func byContent(f crm.Fact, activeAt crm.Instant) crm.Fact {
	f.Body.(*crm.Cart).ByContent, f.Body.(*crm.Cart).ActiveAt = true, activeAt
	return f
}

func TestB23APromotionThatTouchesEveryCartMovesNothing(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		first, rule, later := at("2026-10-30 11:00"), at("2026-10-31 03:00"), at("2026-10-31 09:00")
		facts := func(active crm.Instant) (all []crm.Fact) {
			for i := range 50 {
				all = append(all, byContent(cart(i, fmt.Sprintf("p%d@example.com", i)), active))
			}
			return all
		}
		b.read(facts(first)...)
		b.dirty()
		if res := b.read(facts(rule)...); res.Applied != 0 || res.Dirty != 0 || len(b.dirty()) != 0 {
			t.Errorf("%+v", res)
		}
		if c := b.cartOf("p7@example.com"); c.ActiveAt != first {
			t.Errorf("active at %s", c.ActiveAt.Time())
		}
		// The rule changes the price too: that is mirrored, and is no activity.
		dearer := byContent(cart(7, "p7@example.com"), rule)
		dearer.Body.(*crm.Cart).Total, dearer.Body.(*crm.Cart).Lines[0].Total = 3990, 3990
		b.read(dearer)
		if c := b.cartOf("p7@example.com"); c.ActiveAt != first || c.Total != 3990 || c.Lines[0].Total != 3990 {
			t.Errorf("after a new price: %+v", c)
		}
		for name, change := range map[string]func(*crm.Cart){
			"a quantity":    func(c *crm.Cart) { c.Lines[0].Quantity++ },
			"another line":  func(c *crm.Cart) { c.Lines = append(c.Lines, crm.Line{ID: "2", ProductID: "9", Quantity: 1}) },
			"an e-mail":     func(c *crm.Cart) { c.Email = "new-" + c.Email },
			"an account":    func(c *crm.Cart) { c.CustomerID = "5" },
			"a variation":   func(c *crm.Cart) { c.Lines[0].VariationID = "3" },
			"an empty cart": func(c *crm.Cart) { c.Lines = nil },
		} {
			b := newWorld(t, b.m, "b23 "+name).b
			b.at = later
			b.read(byContent(cart(1, "x@example.com"), first))
			b.dirty()
			changed := byContent(cart(1, "x@example.com"), later)
			change(changed.Body.(*crm.Cart))
			b.read(changed)
			if n := b.number("SELECT active_at FROM carts WHERE shop_id=?", b.shop.ID); crm.Instant(n) != later {
				t.Errorf("%s changed, and the cart was last active at %s", name, crm.Instant(n).Time())
			}
			if len(b.dirty()) == 0 {
				t.Errorf("%s changed, and nobody is marked", name)
			}
		}
	})
}

func TestB23VersionsOfACartSayWhatItHeldAndWhen(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		hour := func(n crm.Instant) crm.Instant { return at("2026-10-30 00:00") + n*3600_000 }
		b.read(byContent(cart(8, "a@example.com"), hour(1)))
		b.read(byContent(cart(8, "a@example.com"), hour(2))) // touched
		b.read(byContent(quantity(cart(8, "a@example.com"), 3), hour(3)))
		b.read(byContent(quantity(cart(8, "a@example.com"), 3), hour(4))) // touched
		b.read(byContent(cart(8, "a@example.com"), hour(5)))              // back to one
		want := []string{
			fmt.Sprintf(`first_at="%d" items="1" last_at="%d"`, hour(1), hour(5)),
			fmt.Sprintf(`first_at="%d" items="3" last_at="%d"`, hour(3), hour(3)),
		}
		if diff := cmp.Diff(want, texts(t, db, "SELECT items, first_at, last_at FROM cart_versions")); diff != "" {
			t.Error(diff)
		}
		if c := b.cartOf("a@example.com"); c.ActiveAt != hour(5) {
			t.Errorf("active at %s", c.ActiveAt.Time())
		}
		b.read(gone(cart(8, "")))
		b.read(byContent(cart(8, "a@example.com"), hour(9)))
		if c := b.cartOf("a@example.com"); c.ActiveAt != hour(9) || c.ClosedAt != 0 {
			t.Errorf("a cart that came back: %+v", c)
		}
		b.read(byContent(cart(10, "z@example.com"), 0))
		if c := b.cartOf("z@example.com"); c.ActiveAt != b.at {
			t.Errorf("a cart without any date was active when it was read, not %s", c.ActiveAt.Time())
		}
	})
}
