package mailer_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/mailer"
)

// credited gives "<campaign>/<step> <how> <revenue> <currency>" of each credited order, by order id.
func (e *earning) credited() map[string]string {
	e.tb.Helper()
	out := map[string]string{}
	for _, r := range e.rows("attributed_orders", "order_id") {
		out[r.ID] = fmt.Sprintf("%s/%s %s %d %s", r.Campaign, r.Step, r.How, r.Revenue, r.Currency)
	}
	return out
}

func (e *earning) expectCredit(order, want string) {
	e.tb.Helper()
	if got := e.credited()[order]; got != want {
		e.tb.Errorf("order %s is credited to %q, want %q", order, got, want)
	}
}

func (e *earning) buys(id, email string, at time.Time, change func(*crm.Order)) {
	e.tb.Helper()
	e.read(shopOrder(id, email, crm.StateAccepted, at, change))
	e.settle()
}

func TestAnOrderIsCreditedToTheLastClickBeforeIt(t *testing.T) {
	eachEarning(t, func(t *testing.T, e *earning) {
		ana := e.buyer("ana@example.com")
		first := e.left(ana, "plain", "first", "once", "", e.now.Add(-30*time.Hour))
		second := e.left(ana, cartMails, "second", "cart:1:x", "try=b", e.now.Add(-20*time.Hour))
		e.buys("before", "ana@example.com", e.now, nil)
		e.expectCredit("before", "")
		e.click(first, browser, e.now)
		e.buys("one", "ana@example.com", e.now.Add(time.Minute), nil)
		e.expectCredit("one", "plain/first click 4990 EUR")
		at := e.now.Add(2 * time.Minute)
		e.now = at
		e.click(second, browser, at)
		e.buys("two", "ana@example.com", at, nil) // at the same instant
		e.expectCredit("two", "cart_mails/second click 4990 EUR")
		e.expectCredit("one", "plain/first click 4990 EUR")
		e.expectCredit("before", "")
		e.verify("clicks of two campaigns")

		w := must(mailer.Worth(t.Context(), e.db.Read(), cartMails))(t)
		if len(w.Total.Earned) != 1 || w.Total.Earned[0].Orders != 1 || w.Total.Earned[0].Revenue != "49.90" || w.Total.Mails != 1 || w.Total.Clicked != 1 || w.Total.Earned[0].PerMail != "49.90" {
			t.Errorf("%+v", w.Total)
		}
		if len(w.Variants) != 1 || w.Variants[0].Variant != "try=b" || len(w.Steps) != 1 || w.Steps[0].Step != "second" || w.Lift != nil {
			t.Errorf("%+v", w)
		}
		days := must(mailer.RevenueDays(t.Context(), e.db.Read(), must(mailer.Infos(t.Context(), e.db.Read()))(t), crm.At(e.now), 3))(t)
		if d := days["plain"]; len(d) != 3 || d[2] != 4990 || d[0] != 0 {
			t.Errorf("%v", days)
		}
	})
}

func TestTheWindowOfAClickIsHalfOpen(t *testing.T) {
	eachEarning(t, func(t *testing.T, e *earning) {
		ana := e.buyer("ana@example.com")
		mail := e.left(ana, "plain", "first", "once", "", e.now.Add(-time.Hour))
		clicked := e.now
		e.click(mail, browser, clicked)
		e.settle()
		e.now = clicked.AddDate(0, 0, 6)
		e.buys("just", "ana@example.com", clicked.AddDate(0, 0, 5).Add(-time.Millisecond), nil)
		e.buys("over", "ana@example.com", clicked.AddDate(0, 0, 5), nil)
		e.expectCredit("just", "plain/first click 4990 EUR")
		e.expectCredit("over", "")
		e.verify("five days")
		e.sender(func(s *mailer.Sender) { s.Windows.Click = 7 * 24 * time.Hour })
		e.buys("wide", "ana@example.com", clicked.AddDate(0, 0, 5), nil)
		e.expectCredit("wide", "plain/first click 4990 EUR")
		e.expectCredit("over", "plain/first click 4990 EUR") // it was looked at again with the contact
	})
}

func TestB44_ClicksOfMachinesBringNoOrders(t *testing.T) {
	eachEarning(t, func(t *testing.T, e *earning) {
		ana := e.buyer("ana@example.com")
		mail := e.left(ana, "plain", "first", "once", "", e.now.Add(-time.Hour))
		e.click(mail, robot, e.now)
		e.buys("1", "ana@example.com", e.now.Add(time.Minute), nil)
		e.expectCredit("1", "")
		e.click(mail, browser, e.now) // known after the order: after it, too
		e.settle()
		e.expectCredit("1", "")
		// A person's click that turns out to be a machine's when the mail is known to have been delivered later.
		e.buys("2", "ana@example.com", e.now, nil)
		e.expectCredit("2", "plain/first click 4990 EUR")
		late := mailer.ProviderEvent{ID: "d", Source: "smtp", Kind: mailer.EventDelivered, SendID: mailer.SendID(mail), At: crm.At(e.now)}
		must(mailer.RecordEvents(t.Context(), e.m, e.audience, []mailer.ProviderEvent{late}, crm.At(e.now)))(t)
		e.settle()
		e.expectCredit("2", "")
		e.verify("machines")
	})
}

func TestAClickThatBecomesKnownAfterTheOrderCounts(t *testing.T) {
	eachEarning(t, func(t *testing.T, e *earning) {
		ana := e.buyer("ana@example.com")
		mail := e.left(ana, "plain", "first", "once", "", e.now.Add(-time.Hour))
		placed := e.now
		e.buys("1", "ana@example.com", placed, nil)
		e.expectCredit("1", "")
		e.click(mail, browser, placed.Add(-time.Minute))
		e.settle()
		e.expectCredit("1", "plain/first click 4990 EUR")
		e.verify("late click")
	})
}

func TestACodeGoesBeforeAClick(t *testing.T) {
	eachEarning(t, func(t *testing.T, e *earning) {
		ana, bob := e.buyer("ana@example.com"), e.buyer("bob@example.com")
		gift := e.left(ana, "plain", "first", "once", "", e.now.AddDate(0, 0, -40))
		e.left(ana, "plain", "second", "once", "", e.now.AddDate(0, 0, -39))
		e.give(ana, "plain", "once", "SUMMER-1", e.now.AddDate(0, 0, -40))
		clicked := e.left(ana, cartMails, "first", "cart:1:x", "", e.now.Add(-time.Hour))
		e.click(clicked, browser, e.now)
		e.settle()
		code := func(o *crm.Order) { o.Coupons = []string{"summer-1"} }
		e.buys("1", "ana@example.com", e.now, code)
		e.buys("2", "ana@example.com", e.now, nil)
		e.buys("3", "bob@example.com", e.now, code) // it was not given to Bob
		e.expectCredit("1", "plain/second code 4990 EUR")
		e.expectCredit("2", "cart_mails/first click 4990 EUR")
		e.expectCredit("3", "")
		e.verify("codes")
		if gift == 0 || bob == 0 {
			t.Fatal()
		}
	})
}

func TestRevenueFollowsRefundsCancellationsAndEdits(t *testing.T) {
	eachEarning(t, func(t *testing.T, e *earning) {
		ana := e.buyer("ana@example.com")
		mail := e.left(ana, "plain", "first", "once", "", e.now.Add(-time.Hour))
		e.click(mail, browser, e.now)
		placed := e.now.Add(time.Minute)
		for range 10 { // the same record is read again and again
			e.buys("1", "ana@example.com", placed, nil)
		}
		e.expectCredit("1", "plain/first click 4990 EUR")
		e.read(crm.Fact{Ref: crm.Ref{Kind: crm.KindRefund, ID: "r"}, Body: &crm.Refund{OrderID: "1", Amount: 990, Currency: "EUR", At: crm.At(e.now)}})
		e.settle()
		e.expectCredit("1", "plain/first click 4000 EUR")
		e.verify("refunded")
		e.buys("1", "ana@example.com", placed, func(o *crm.Order) { o.Total = 6000 })
		e.expectCredit("1", "plain/first click 5010 EUR")
		e.buys("1", "ana@example.com", placed, func(o *crm.Order) { o.State, o.CountsAsSale = crm.StateCancelled, false })
		e.expectCredit("1", "")
		e.verify("cancelled")
		if w := must(mailer.Worth(t.Context(), e.db.Read(), "plain"))(t); len(w.Total.Earned) != 0 {
			t.Errorf("%+v", w.Total)
		}
		// Two orders of one purchase, and one of another currency.
		e.buys("2", "ana@example.com", placed, func(o *crm.Order) { o.Purchase = "p" })
		e.buys("3", "ana@example.com", placed.AddDate(0, 0, 1), func(o *crm.Order) { o.Purchase = "p" })
		e.buys("4", "ana@example.com", placed, func(o *crm.Order) { o.Currency = "CHF" })
		e.buys("5", "ana@example.com", placed, func(o *crm.Order) { o.Currency, o.Total, o.BaseCurrency, o.BaseTotal = "USD", 1000, "EUR", 900 })
		w := must(mailer.Worth(t.Context(), e.db.Read(), "plain"))(t)
		var parts []string
		for _, x := range w.Total.Earned {
			parts = append(parts, fmt.Sprint(x.Orders, " ", x.Revenue, " ", x.Currency))
		}
		if got := strings.Join(parts, ", "); got != "2 108.80 EUR, 1 49.90 CHF" {
			t.Error(got)
		}
	})
}

func TestCreditsFollowMergesSplitsAndErasures(t *testing.T) {
	eachEarning(t, func(t *testing.T, e *earning) {
		ana, bob := e.buyer("ana@example.com"), e.buyer("bob@example.com")
		mail := e.left(ana, "plain", "first", "once", "", e.now.Add(-time.Hour))
		e.click(mail, browser, e.now)
		e.buys("1", "ana@example.com", e.now.Add(time.Second), nil)
		e.buys("2", "bob@example.com", e.now, nil)
		e.expectCredit("1", "plain/first click 4990 EUR")
		e.expectCredit("2", "")
		e.merge(ana, bob)
		e.settle()
		e.expectCredit("1", "plain/first click 4990 EUR")
		e.expectCredit("2", "plain/first click 4990 EUR")
		e.verify("merged")
		list := must(mailer.AttributedOrders(t.Context(), e.m, e.db.Read(), bob, 10))(t)
		if len(list) != 2 || list[0].Shop != boutique {
			t.Errorf("%+v", list)
		}
		e.split(ana)
		e.settle()
		e.expectCredit("1", "plain/first click 4990 EUR")
		e.expectCredit("2", "")
		e.verify("split")
		must(e.m.Erase(t.Context(), ana, crm.At(e.now)))(t)
		e.identities()
		e.settle()
		e.verify("erased")
		if n := e.count("SELECT COUNT(*) FROM attributed_orders WHERE contact_id=0 AND send_id=0 AND order_id='1'"); n != 1 {
			t.Error("the order is forgotten, or it is known whose it was")
		}
		if w := must(mailer.Worth(t.Context(), e.db.Read(), "plain"))(t); len(w.Total.Earned) != 1 || w.Total.Earned[0].Revenue != "49.90" {
			t.Errorf("%+v", w.Total)
		}
	})
}

func TestACartThatIsOrderedAfterItsMailIsRecovered(t *testing.T) {
	eachEarning(t, func(t *testing.T, e *earning) {
		cart := func(id string, mailed, ordered time.Time) {
			e.read(crm.Fact{Ref: crm.Ref{Kind: crm.KindCart, ID: id}, Body: &crm.Cart{Email: "ana@example.com", Currency: "EUR", Total: 2500, CreatedAt: crm.At(noon().Add(-50 * time.Hour)), ActiveAt: crm.At(noon().Add(-50 * time.Hour))}})
			e.left(e.who("ana@example.com"), cartMails, "first", fmt.Sprintf("cart:%d:%s", e.shop, id), "", mailed)
			if !ordered.IsZero() {
				e.buys("o"+id, "ana@example.com", ordered, func(o *crm.Order) { o.CartID = id })
			}
		}
		at := e.now.Add(-40 * time.Hour)
		cart("bought", at, at.Add(time.Hour))
		cart("late", at.AddDate(0, 0, -5), at)
		cart("before", at, at.Add(-time.Millisecond))
		cart("open", at, time.Time{})
		e.settle()
		var ids []string
		for _, r := range e.rows("recovered_carts", "cart_id") {
			ids = append(ids, fmt.Sprint(r.ID, " ", r.Revenue))
		}
		if got := strings.Join(ids, ", "); got != "bought 2500" {
			t.Error(got)
		}
		e.verify("carts")
		e.buys("obought", "ana@example.com", at.Add(time.Hour), func(o *crm.Order) { o.CartID, o.State, o.CountsAsSale = "bought", crm.StateCancelled, false })
		if n := len(e.rows("recovered_carts", "cart_id")); n != 0 {
			t.Error("a cart whose order was cancelled stays recovered")
		}
		e.verify("cancelled")
	})
}

// TestAPlantedLiftIsFoundInTheStoredRows: 40 000 contacts are mailed and 40 000 are held out; of the held out 5 % buy, of the
// mailed a fifth more.
func TestAPlantedLiftIsFoundInTheStoredRows(t *testing.T) {
	w := newWorld(t, servers.Open(t, store.SQLite, store.Options{DSN: servers.DSN(t, store.SQLite)}))
	w.arm("plain", plainCampaign())
	const each = 40_000
	var people, mails, held, orders [][]any
	id := int64(1)
	add := func(mailed, buys bool, at, bought time.Time) {
		id++
		people = append(people, []any{id, w.audience, crm.LaneOf(id), "e", fmt.Sprint(id), "Europe/Paris", w.shop, 1})
		if mailed {
			mails = append(mails, []any{id, "plain", "first", id, "once", crm.LaneOf(id), w.audience, w.shop, mailer.KindMarketing, "accepted", crm.At(at), crm.At(at)})
		} else {
			held = append(held, []any{"plain", id, crm.At(at)})
		}
		if buys {
			orders = append(orders, []any{w.shop, fmt.Sprint(id), id, crm.StateAccepted, 1, "EUR", 1000, crm.At(bought), "", ""})
		}
	}
	at := noon().AddDate(0, 0, -20)
	for i := range each {
		add(true, i%50 < 3, at, at.Add(time.Hour))
		add(false, i%20 == 0, at, at.Add(time.Hour))
	}
	add(true, true, at, at.AddDate(0, 0, 14))                             // a moment too late: no buyer
	add(true, true, at, at.Add(-time.Second))                             // before the mail
	add(true, true, noon().AddDate(0, 0, -13), noon().AddDate(0, 0, -13)) // its time is not over
	add(true, true, noon().AddDate(0, 0, -60), noon().AddDate(0, 0, -60)) // from before there was a holdout
	add(false, true, noon().AddDate(0, 0, -14).Add(time.Second), noon())  // not over either
	w.insert("contacts", []string{"id", "audience_id", "lane", "email", "email_norm", "zone", "home_shop_id", "live"}, people...)
	w.insert("sends", []string{"id", "campaign", "step", "contact_id", "occurrence", "lane", "audience_id", "shop_id", "kind", "state", "handed_at", "settled_at"}, mails...)
	w.insert("holdouts", []string{"campaign", "contact_id", "at"}, held...)
	w.insert("orders", []string{"shop_id", "id", "contact_id", "state", "counts_as_sale", "currency", "total", "placed_at", "coupons", "attribution"}, orders...)
	w.run()
	l := must(mailer.Worth(t.Context(), w.db.Read(), "plain"))(t).Lift
	if l == nil {
		t.Fatal("nothing was compared")
	}
	if l.Mailed.Contacts != each+2 || l.Mailed.Buyers != 2400 || l.HeldOut.Contacts != each || l.HeldOut.Buyers != 2000 || l.Mailed.Revenue != 2_400_000 || l.Currency != "EUR" {
		t.Errorf("%+v", l)
	}
	if l.Verdict != "raises" || l.Relative < 0.19 || l.Relative > 0.21 || l.Low <= 0 || l.Days != 14 || l.ComputedAt != crm.At(w.now) {
		t.Errorf("%+v", l)
	}
	before := l.ComputedAt
	w.runAt(w.now.Add(23 * time.Hour))
	if l = must(mailer.Worth(t.Context(), w.db.Read(), "plain"))(t).Lift; l.ComputedAt != before {
		t.Error("it was compared again before a day had passed")
	}
}

func TestSmallHoldoutsSaySoAndTheFilteredAreLeftOut(t *testing.T) {
	eachEarning(t, func(t *testing.T, e *earning) {
		at := noon().AddDate(0, 0, -20)
		var people []int64
		for i := range 6 {
			people = append(people, e.buyer(fmt.Sprintf("p%d@example.com", i)))
		}
		for _, id := range people[:4] {
			e.left(id, "plain", "first", "n:1", "", at)
			e.left(id, "plain", "second", "n:1", "", at.Add(time.Hour)) // counts once
		}
		for i, id := range people[3:] { // the first of them had a mail before
			e.insert("holdouts", []string{"campaign", "contact_id", "at"}, []any{"plain", id, crm.At(at.Add(time.Duration(i) * time.Minute).Add(2 * time.Hour))})
		}
		e.read(shopOrder("1", "p0@example.com", crm.StateAccepted, at.Add(time.Hour), nil))
		e.merge(people[1], people[2])
		must(e.m.Erase(t.Context(), people[5], crm.At(e.now)))(t)
		e.identities()
		e.rebuild()
		e.settle()
		l := must(mailer.Worth(t.Context(), e.db.Read(), "plain"))(t).Lift
		if l == nil || l.Mailed.Contacts != 4 || l.Mailed.Buyers != 1 || l.HeldOut.Contacts != 1 || l.HeldOut.Buyers != 0 {
			t.Fatalf("%+v", l)
		}
		if l.Verdict != "not_enough_data" || !strings.HasPrefix(l.Says, "Not enough data yet") {
			t.Error(l.Says)
		}
	})
}

// TestAnOrderThatPassesToAnotherContactIsNeverCountedTwice marks the new contact alone: the old one is looked at first.
func TestAnOrderThatPassesToAnotherContactIsNeverCountedTwice(t *testing.T) {
	eachEarning(t, func(t *testing.T, e *earning) {
		ana, bob := e.buyer("ana@example.com"), e.buyer("bob@example.com")
		for _, id := range []int64{ana, bob} {
			e.click(e.left(id, "plain", "first", "once", "", e.now.Add(-time.Hour)), browser, e.now)
		}
		e.buys("1", "ana@example.com", e.now.Add(time.Second), nil)
		e.exec("UPDATE orders SET contact_id=? WHERE id='1'", bob)
		e.insert("worth_marks", []string{"contact_id", "lane", "generation"}, []any{bob, crm.LaneOf(bob), 1})
		e.run()
		if rows := e.rows("attributed_orders", "order_id"); len(rows) > 1 || len(rows) == 1 && rows[0].Contact != ana && rows[0].Contact != bob {
			t.Errorf("%+v", rows)
		}
		e.settle()
		e.verify("passed on")
		if rows := e.rows("attributed_orders", "order_id"); len(rows) != 1 || rows[0].Contact != bob {
			t.Errorf("%+v", rows)
		}
	})
}
