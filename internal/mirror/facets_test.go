package mirror_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

func stock(product string, in bool, n int64) crm.Fact {
	return crm.Fact{Ref: crm.Ref{Kind: crm.KindProduct, ID: product}, Body: &crm.Stock{InStock: in, Stock: &n}}
}

func event(id int, account, email string) crm.Fact {
	return crm.Fact{Ref: crm.Ref{Kind: crm.KindEvent, ID: fmt.Sprint(id)}, Body: &crm.Event{
		Name: "viewed_product", CustomerID: account, Email: email, At: at("2026-10-15 10:00") + crm.Instant(id)*1000, Properties: map[string]string{"product": "7"},
	}}
}

func statement(id int, account, email, state string) crm.Fact {
	return crm.Fact{Ref: crm.Ref{Kind: crm.KindConsent, ID: fmt.Sprint(id)}, Body: &crm.Consent{
		CustomerID: account, Email: email, State: state, At: at("2026-10-16 10:00") + crm.Instant(id)*1000,
		Text: "Yes, write to me", Source: "till 3", IP: "203.0.113.7",
	}}
}

func TestStockOfItsOwnDecidesOverTheProducts(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		shown := func() []string { return texts(t, db, "SELECT in_stock, stock FROM mirror_v1_products") }
		b.read(product("7"), stock("8", true, 1)) // a stock may come before its product
		if diff := cmp.Diff([]string{`in_stock="0" stock="<nil>"`}, shown()); diff != "" {
			t.Error(diff)
		}
		b.read(stock("7", true, 3))
		if diff := cmp.Diff([]string{`in_stock="1" stock="3"`}, shown()); diff != "" {
			t.Error(diff)
		}
		if res := b.read(stock("7", true, 3)); res.Applied != 0 || res.Unchanged != 1 {
			t.Errorf("%+v", res)
		}
		uncounted := stock("7", false, 0)
		uncounted.Body.(*crm.Stock).Stock = nil
		count := int64(12)
		own := product("7")
		own.Body.(*crm.Product).InStock, own.Body.(*crm.Product).Stock = true, &count
		b.read(uncounted, own)
		if diff := cmp.Diff([]string{`in_stock="0" stock="<nil>"`}, shown()); diff != "" {
			t.Error(diff)
		}
		b.read(gone(stock("7", false, 0)))
		if diff := cmp.Diff([]string{`in_stock="1" stock="12"`}, shown()); diff != "" {
			t.Error(diff)
		}
		if n := b.number("SELECT COUNT(*) FROM mirror_v1_stocks"); n != 1 {
			t.Errorf("%d stocks shown", n)
		}
	})
}

func TestEventsAreWrittenOnceAndFollowTheirPerson(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		owner := func(id int) string {
			var who string
			if err := db.Read().GetContext(t.Context(), &who, "SELECT COALESCE((SELECT email_norm FROM contacts c WHERE c.id=e.contact_id),'') FROM events e WHERE id=?", fmt.Sprint(id)); err != nil {
				t.Fatal(err)
			}
			return who
		}
		b.read(event(1, "5", ""), event(2, "5", "Guest@example.com"), event(3, "", "guest@example.com"), event(4, "", ""))
		for id, want := range map[int]string{1: "", 2: "guest@example.com", 3: "guest@example.com", 4: ""} {
			if got := owner(id); got != want {
				t.Errorf("event %d is %q's", id, got)
			}
		}
		c := b.profile("guest@example.com").Contact
		if c.HomeShopID != b.shop.ID || c.CreatedAt != at("2026-10-15 10:00")+2000 || c.Zone != "Europe/Paris" {
			t.Errorf("a visitor who left an address: %+v", c)
		}
		if n, _ := b.m.LiveContacts(t.Context()); n != 1 {
			t.Errorf("%d live contacts", n)
		}
		b.dirty()
		b.read(customer(5, "ana@example.com")) // the account appears
		for id, want := range map[int]string{1: "ana@example.com", 2: "ana@example.com", 3: "guest@example.com"} {
			if got := owner(id); got != want {
				t.Errorf("after the account appeared, event %d is %q's", id, got)
			}
		}
		if n := len(b.dirty()); n != 2 {
			t.Errorf("%d contacts marked", n)
		}
		b.read(customer(5, "new@example.com")) // and moves
		if got := owner(1); got != "new@example.com" {
			t.Errorf("after the account moved, event 1 is %q's", got)
		}
		b.read(gone(customer(5, "")))
		if got := owner(2); got != "guest@example.com" {
			t.Errorf("after the account was deleted, event 2 is %q's", got)
		}
		// Never changed, only repeated, however old the read: what is there stays, what is not comes.
		other := event(3, "", "other@example.com")
		if res := b.read(other, gone(event(2, "", ""))); res.Applied != 0 || res.Unchanged != 2 || owner(3) != "guest@example.com" {
			t.Errorf("%+v", res)
		}
		if res := b.apply(mirror.Batch{ObservedAt: b.at - 500_000, Facts: []crm.Fact{event(9, "", "late@example.com")}}); res.Applied != 1 || len(res.Reread) != 0 {
			t.Errorf("a late event: %+v", res)
		}
		undated := event(10, "", "late@example.com")
		undated.Body.(*crm.Event).At = 0
		b.read(undated)
		if n := b.number("SELECT happened_at FROM events WHERE id='10'"); crm.Instant(n) != b.at {
			t.Errorf("an event without an instant happened at %d", n)
		}
	})
}

func TestB15AStatementCarriesItsProofIntoTheLedger(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.read(statement(1, "", "Ana@example.com", crm.ConsentGranted))
		if got := b.consent("ana@example.com"); got != crm.ConsentGranted {
			t.Fatal(got)
		}
		want := []string{fmt.Sprintf(`basis="opt_in" channel="email" ip="203.0.113.7" source="till 3" source_at="%d" state="granted" text_shown="Yes, write to me" topic="marketing"`, at("2026-10-16 10:00")+1000)}
		if diff := cmp.Diff(want, texts(t, db, "SELECT topic, channel, state, basis, source, source_at, text_shown, ip FROM consents")); diff != "" {
			t.Error(diff)
		}
		for _, d := range b.dirty() {
			if d.SourceAt != at("2026-10-16 10:00")+1000 {
				t.Errorf("%+v", d)
			}
		}
		if n, _ := b.m.LiveContacts(t.Context()); n != 1 {
			t.Error("somebody who signed up is nobody")
		}
		// What changes nothing is kept as proof, marks nobody and is no row of the ledger.
		b.read(statement(2, "", "ana@example.com", crm.ConsentGranted))
		if marks := b.dirty(); len(marks) != 0 || b.number("SELECT COUNT(*) FROM statements") != 2 || b.number("SELECT COUNT(*) FROM consents") != 1 {
			t.Errorf("%d marks", len(marks))
		}
		topical := statement(3, "", "ana@example.com", crm.ConsentGranted)
		topical.Body.(*crm.Consent).Topic, topical.Body.(*crm.Consent).Channel, topical.Body.(*crm.Consent).Basis, topical.Body.(*crm.Consent).Source = "news", "sms", "soft_opt_in", ""
		b.read(topical)
		if n := b.number("SELECT COUNT(*) FROM consents WHERE topic='news' AND channel='sms' AND basis='soft_opt_in' AND source='woocommerce:boutique'"); n != 1 {
			t.Error("topic, channel, basis and source of the statement")
		}
		for _, d := range b.dirty() {
			if d.Cause != crm.CauseConsent {
				t.Errorf("%+v", d)
			}
		}
	})
}

func TestB15StatementsRaiseFromNoneAndNeverLiftAWithdrawal(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		yes, no := crm.ConsentGranted, crm.ConsentWithdrawn
		for _, c := range []struct {
			name   string
			person string // an act of the person before
			said   []string
			want   string
		}{
			{"a yes grants", "", []string{yes}, yes},
			{"a no withdraws what was never given", "", []string{no}, no},
			{"a no withdraws", "", []string{yes, no}, no},
			{"a later yes lifts nothing", "", []string{no, yes}, no},
			{"nor does one after one's own withdrawal", no, []string{yes}, no},
			{"a no withdraws what the person granted", yes, []string{no}, no},
			{"who awaits confirmation is not confirmed", crm.ConsentPending, []string{yes}, crm.ConsentPending},
			{"another word does nothing", "", []string{crm.ConsentPending, crm.ConsentNone, "perhaps"}, crm.ConsentNone},
		} {
			for _, together := range []bool{false, true} {
				b := newWorld(t, mirror.New(db), fmt.Sprint(c.name, together)).b
				b.at = at("2026-11-01 00:00")
				b.read(order(1, "", "ana@example.com", 1))
				if c.person != "" {
					b.act("ana@example.com", c.person)
				}
				var facts []crm.Fact
				for i, state := range c.said {
					facts = append(facts, statement(i, "", "ana@example.com", state))
				}
				if together {
					b.read(facts...)
				}
				for _, f := range facts {
					b.read(f)
				}
				if got := b.consent("ana@example.com"); got != c.want {
					t.Errorf("%s (together: %v): %s, want %s", c.name, together, got, c.want)
				}
			}
		}
	})
}

func TestAStatementMayComeBeforeItsAccountAndStaysWithItsPerson(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.read(statement(1, "5", "", crm.ConsentGranted), statement(2, "6", "", crm.ConsentWithdrawn))
		if n := b.number("SELECT COUNT(*) FROM contacts"); n != 0 {
			t.Errorf("%d contacts", n)
		}
		b.apply(mirror.Batch{Cause: crm.CauseBackfill, Facts: []crm.Fact{customer(5, "ana@example.com"), customer(6, "six@example.com")}})
		if a, z := b.consent("ana@example.com"), b.consent("six@example.com"); a != crm.ConsentGranted || z != crm.ConsentWithdrawn {
			t.Errorf("%s, %s", a, z)
		}
		if n := b.number("SELECT COUNT(*) FROM consents WHERE ip='203.0.113.7' AND text_shown<>'' AND source='till 3'"); n != 2 {
			t.Errorf("%d rows with their proof", n)
		}
		for _, d := range b.dirty() {
			if d.Cause != crm.CauseBackfill {
				t.Errorf("history must not trigger: %+v", d)
			}
		}
		b.read(customer(5, "new@example.com")) // an e-mail change moves the account, not the consent
		if a, z := b.consent("ana@example.com"), b.consent("new@example.com"); a != crm.ConsentGranted || z != crm.ConsentNone {
			t.Errorf("old address %s, new address %s", a, z)
		}
		// In one batch with its account, and with an address of its own.
		b.read(customer(7, "seven@example.com"), statement(3, "7", "", crm.ConsentGranted), statement(4, "7", "Other@example.com", crm.ConsentGranted))
		for _, email := range []string{"seven@example.com", "other@example.com"} {
			if got := b.consent(email); got != crm.ConsentGranted {
				t.Errorf("%s: %s", email, got)
			}
		}
		b.read(statement(5, "7", "other@example.com", crm.ConsentWithdrawn)) // lowers both
		for _, email := range []string{"seven@example.com", "other@example.com"} {
			if got := b.consent(email); got != crm.ConsentWithdrawn {
				t.Errorf("%s: %s", email, got)
			}
		}
	})
}

func TestCountsOfEventsAndStatements(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.read(event(1, "", "a@example.com"), event(2, "", ""), statement(1, "", "a@example.com", crm.ConsentGranted))
		if e, s := count(t, b, crm.KindEvent), count(t, b, crm.KindConsent); e.Mirrored != 2 || s.Mirrored != 1 || e.Source != 0 || s.Source != 0 {
			t.Errorf("%+v, %+v", e, s)
		}
	})
}
