package mirror_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

func TestB49EachModifiedGuestOrderMakesNoDuplicate(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		for i, email := range []string{"guest@example.com", "Guest@Example.com", " guest@example.com", "guest@example.com"} {
			f := order(1, "0", email, int64(1000+i)) // platforms write 0 for a guest
			f.Body.(*crm.Order).FirstName, f.Body.(*crm.Order).Status = fmt.Sprint("Bo", i), fmt.Sprint("state-", i)
			b.read(f, event(i, "0", email), cart(i, email))
		}
		b.read(statement(1, "0", "GUEST@example.com", crm.ConsentGranted), optIn(crm.KindOrder, 1, "yes", "", "Guest@example.com"))
		if n := b.number("SELECT COUNT(*) FROM contacts"); n != 1 {
			t.Errorf("%d contacts", n)
		}
		p := b.profile("guest@example.com")
		if len(p.Orders) != 1 || len(p.Carts) != 4 || p.Contact.FirstName != "Bo3" || b.number("SELECT sales FROM contact_stats") != 1 {
			t.Errorf("%d orders, %d carts, %s", len(p.Orders), len(p.Carts), p.Contact.FirstName)
		}
		b.read(customer(5, "guest@example.com"), event(9, "5", ""), cart(9, "guest@example.com")) // the guest registers
		if n := b.number("SELECT COUNT(*) FROM contacts"); n != 1 {
			t.Errorf("%d contacts after the guest registered", n)
		}
		if n := b.number("SELECT COUNT(DISTINCT contact_id) FROM events"); n != 1 {
			t.Errorf("events of %d people", n)
		}
	})
}

// strangers lists what in the database refers to somebody of another audience, or to nobody that there is.
func strangers(b *bench) (found []string) {
	b.tb.Helper()
	for _, table := range []string{"customers", "orders", "carts", "events", "statements", "optins", "contact_stats"} {
		found = append(found, texts(b.tb, b.m.DB(), `SELECT '`+table+`' AS of_table, s.name, COALESCE(c.audience_id,0) AS reached FROM `+table+` x JOIN shops s ON s.id=x.shop_id
 LEFT JOIN contacts c ON c.id=x.contact_id WHERE x.contact_id<>0 AND (c.id IS NULL OR c.audience_id<>s.audience_id)`)...)
	}
	found = append(found, texts(b.tb, b.m.DB(), `SELECT 'home' AS of_table, s.name, c.email_norm FROM contacts c JOIN shops s ON s.id=c.home_shop_id WHERE s.audience_id<>c.audience_id`)...)
	found = append(found, texts(b.tb, b.m.DB(), `SELECT 'consents' AS of_table, x.source FROM consents x LEFT JOIN contacts c ON c.id=x.contact_id
 LEFT JOIN shops s ON x.source=CONCAT('woocommerce:', s.name) WHERE c.id IS NULL OR s.audience_id IS NULL OR s.audience_id<>c.audience_id`)...)
	for _, table := range []string{"consent_state", "dirty"} {
		found = append(found, texts(b.tb, b.m.DB(), `SELECT '`+table+`' AS of_table, x.contact_id FROM `+table+` x LEFT JOIN contacts c ON c.id=x.contact_id WHERE c.id IS NULL`)...)
	}
	return found
}

// Property: the same addresses in two audiences of two shops each, over random batches: nothing of one audience ever
// refers to the other, and within an audience an address is one contact.
func TestB49TwoAudiencesNeverMix(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		m := mirror.New(db)
		n := 0
		rapid.Check(t, func(rt *rapid.T) {
			n++
			var shops []mirror.Shop
			for i := range 4 {
				s, err := m.EnsureShop(t.Context(), mirror.ShopSpec{Name: fmt.Sprint("s", n, "-", i), Audience: fmt.Sprint("a", n, "-", i/2), Platform: "woocommerce"})
				if err != nil {
					t.Fatal(err)
				}
				shops = append(shops, s)
			}
			b := &bench{tb: t, m: m, shop: shops[0], at: at("2026-11-01 00:00")}
			for range rapid.IntRange(2, 10).Draw(rt, "batches") {
				var facts []crm.Fact
				for _, ref := range rapid.SliceOfNDistinct(rapid.Custom(anyRef), 1, 6, rapid.ID[crm.Ref]).Draw(rt, "records") {
					facts = append(facts, anyState(rt, ref)...)
					if ref.Kind == crm.KindCustomer || ref.Kind == crm.KindOrder {
						facts = append(facts, crm.Fact{Ref: ref, Body: &crm.OptIn{Value: rapid.SampledFrom([]string{"yes", "no", ""}).Draw(rt, "opt-in"), Email: anyEmail(rt), NoMeans: "withdrawn"}})
					}
				}
				b.at += 1000
				b.apply(mirror.Batch{ShopID: shops[rapid.IntRange(0, 3).Draw(rt, "shop")].ID, Facts: facts})
			}
			if found := strangers(b); len(found) > 0 {
				rt.Fatalf("%d rows refer to another audience, or to nobody:\n%v", len(found), found)
			}
			for _, email := range []string{"a@x.fr", "b@x.fr", "c@x.fr"} {
				reached := map[int64]bool{}
				for _, s := range shops {
					c, err := m.ContactByEmail(t.Context(), db.Read(), s.AudienceID, email)
					if err == nil && c.AudienceID != s.AudienceID {
						rt.Fatalf("%s of audience %d is %+v", email, s.AudienceID, c)
					}
					if err == nil {
						reached[c.ID] = true
					}
				}
				if len(reached) > 2 {
					rt.Fatalf("%s is %d contacts of two audiences", email, len(reached))
				}
			}
		})
	})
}
