package mailer_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/mailer"
)

// landings are the pages of a world's mails.
func (w *world) landings() mailer.Landings {
	w.tb.Helper()
	l := mailer.Landings{Mirror: w.m, Keys: w.options.Keys, Shops: map[int64]mirror.Shop{}, Picks: mailer.Picks(w.m), Coupon: mailer.CouponOf}
	for _, s := range must(w.m.Shops(context.Background()))(w.tb) {
		l.Shops[s.ID] = s
	}
	return l
}

// inFrench picks French unless the contact's language is known.
func inFrench(locale string) string {
	if strings.HasPrefix(locale, "en") {
		return "en"
	}
	return "fr"
}

func (w *world) open(token string, at time.Time) mailer.Landing {
	w.tb.Helper()
	return must(w.landings().Open(context.Background(), token, crm.At(at), inFrench))(w.tb)
}

// cartLink is the token of the link to the cart in the newest mail to an address, as its text part shows it.
func (w *world) cartLink(email string) string {
	w.tb.Helper()
	for _, m := range w.out.got() {
		if m.ToEmail != email {
			continue
		}
		if _, rest, ok := strings.Cut(m.Text, "https://mail.example/l/k1."); ok {
			token, _, _ := strings.Cut(rest, "\n")
			return "k1." + token
		}
	}
	w.tb.Fatalf("no link to a cart was mailed to %s", email)
	return ""
}

// mailCart brings a contact's cart to a mail.
func (w *world) mailCart(email, cart string) int64 {
	w.tb.Helper()
	id := w.contact(email)
	w.cart(id, cart)
	w.enter(id, idleCart, w.now)
	w.run()
	return id
}

func TestB24_ACartLinkNeverOpensAnothersCart(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.arm(cartMails, cartCampaign())
		zoe, luc := w.mailCart("zoe@example.com", "117"), w.mailCart("luc@example.com", "118")
		w.exec("UPDATE cart_lines SET name=? WHERE cart_id='118'", "Parapluie")
		token := w.cartLink("zoe@example.com")
		page := w.open(token, w.now)
		if page.Cart == nil || page.Cart.ID != "117" || len(page.Cart.Lines) != 1 || page.Cart.Lines[0].Name != "Écharpe" || page.Expired {
			t.Fatalf("%+v", page)
		}
		if page.Cart.Total != "49,90\u00a0€" || !strings.HasPrefix(page.Cart.RecoverURL, "https://boutique.example/panier/117?utm_source=relance&utm_medium=email&utm_campaign=cart_mails&utm_content=first") {
			t.Errorf("%+v", page.Cart)
		}
		if page = w.open(w.cartLink("luc@example.com"), w.now); page.Cart == nil || page.Cart.Lines[0].Name != "Parapluie" {
			t.Errorf("%+v", page)
		}
		nothing := func(why, token string, at time.Time) {
			t.Helper()
			page := w.open(token, at)
			if !page.Expired || page.Cart != nil || page.Redirect != "" || page.Picks != nil || page.ShopURL == "" || page.ShopTitle != "Maison Alba" {
				t.Errorf("%s: %+v", why, page)
			}
		}
		lasts, _ := mailer.LinkLife()
		nothing("a link that is too old", token, w.now.Add(lasts+time.Second))
		w.exec("UPDATE carts SET contact_id=? WHERE id='117'", luc)
		nothing("a cart that somebody else has taken over", token, w.now)
		w.exec("UPDATE carts SET contact_id=? WHERE id='117'", zoe)
		forged := must(w.options.Keys.PlaceToken(1, zoe, w.shop, "118", w.now))(t)
		nothing("a cart of another contact, were it signed", forged, w.now)
		w.exec("UPDATE carts SET closed_at=?, closed_by='ordered' WHERE id='117'", crm.At(w.now))
		nothing("a cart that was ordered", token, w.now)
		w.exec("UPDATE carts SET closed_at=0, closed_by='' WHERE id='117'")
		w.exec("UPDATE contacts SET erased_at=? WHERE id=?", crm.At(w.now), zoe)
		nothing("a person who was erased", token, w.now)
		w.exec("DELETE FROM contacts WHERE id=?", zoe)
		nothing("a person who is gone", token, w.now)
		if _, err := w.landings().Open(t.Context(), token[:len(token)-1], crm.At(w.now), inFrench); fault.ClassOf(err) != fault.Reject {
			t.Errorf("a cut link: %v", err)
		}
	})
}

func TestACartLinkFollowsAMerge(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.arm(cartMails, cartCampaign())
		zoe, luc := w.mailCart("zoe@example.com", "117"), w.contact("luc@example.com")
		w.exec("UPDATE contacts SET merged_into=? WHERE id=?", luc, zoe)
		w.exec("UPDATE carts SET contact_id=? WHERE id='117'", luc) // what a merge does with records
		if page := w.open(w.cartLink("zoe@example.com"), w.now); page.Cart == nil || page.Cart.ID != "117" {
			t.Errorf("%+v", page)
		}
	})
}

// B25: nothing of ours logs anybody in or changes anything: the page is the same as often as it is opened, and the shop's own
// link is asked of the mirror, not carried by the mail.
func TestB25_TheShopsOwnRecoveryLinkIsNeverMailed(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		const secret = "https://boutique.example/checkout/order-pay/117/?pay_for_order=true&key=wc_order_geheim"
		w.arm(cartMails, cartCampaign())
		zoe := w.contact("zoe@example.com")
		w.cart(zoe, "117")
		w.exec("UPDATE carts SET recover_url=?", secret)
		w.enter(zoe, idleCart, w.now)
		w.run()
		m := w.out.got()[0]
		if strings.Contains(m.HTML+m.Text, "geheim") {
			t.Error("the mail carries the shop's own link")
		}
		token := w.cartLink("zoe@example.com")
		for range 3 {
			page := w.open(token, w.now)
			if page.Redirect != secret+"&utm_source=relance&utm_medium=email&utm_campaign=cart_mails&utm_content=first" || page.Cart != nil {
				t.Fatalf("%+v", page)
			}
		}
		w.exec("UPDATE carts SET closed_at=?", crm.At(w.now))
		if page := w.open(token, w.now); page.Redirect != "" || !page.Expired {
			t.Errorf("a cart that is closed is still led to: %+v", page)
		}
	})
}

func TestThePageOfAContactNamesNobody(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.arm(cartMails, cartCampaign())
		zoe := w.mailCart("zoe@example.com", "117")
		send := w.one(zoe)
		var id int64
		if err := w.db.Read().GetContext(t.Context(), &id, "SELECT id FROM sends WHERE contact_id=?", zoe); err != nil {
			t.Fatal(err)
		}
		token := must(w.options.Keys.PlaceToken(id, zoe, w.shop, "", w.now))(t)
		page := w.open(token, w.now)
		if len(page.Picks) != 1 || page.Picks[0].Name != "Écharpe" || page.Locale != "fr" || send.State != mailer.Accepted {
			t.Fatalf("%+v", page)
		}
		if all := strings.ToLower(fmt.Sprintf("%+v", page)); strings.Contains(all, "zoé") || strings.Contains(all, "zoe") || strings.Contains(all, "example.com") {
			t.Errorf("somebody is named: %s", all)
		}
		if page.Coupon != nil {
			t.Errorf("a code out of nowhere: %+v", page.Coupon)
		}
		w.exec("INSERT INTO coupons (audience_id, code_key, code, list, state, worth, campaign, contact_id, occurrence, expires) SELECT audience_id, 'alba-1', 'ALBA-1', 'l', 'given', '10%', campaign, contact_id, occurrence, '2026-12-24' FROM sends")
		w.exec("INSERT INTO coupons (audience_id, code_key, code, list, state, campaign, contact_id, occurrence) SELECT audience_id, 'luc-1', 'LUC-1', 'l', 'given', campaign, 7, occurrence FROM sends")
		if c := w.open(token, w.now).Coupon; c == nil || c.Code != "ALBA-1" || c.Expires.Format(time.DateOnly) != "2026-12-24" {
			t.Errorf("the coupon of the mail: %+v", c)
		}
		w.exec("DELETE FROM cart_lines")
		if page := w.open(token, w.now); page.Expired || len(page.Picks) != 0 || page.ShopURL == "" {
			t.Errorf("with nothing to show: %+v", page)
		}
		if _, life := mailer.LinkLife(); !w.open(token, w.now.Add(life+time.Second)).Expired {
			t.Error("the link does not end")
		}
	})
}

// mailedClick is the click of the first redirect link of the only mail that leads to a page of ours.
func (w *world) mailedClick() mailer.Click {
	w.tb.Helper()
	for _, h := range hrefs(w.out.got()[0].HTML) {
		if token, ours := strings.CutPrefix(h, "https://mail.example/c/"); ours {
			if c := must(w.options.Keys.Click(token))(w.tb); strings.HasPrefix(c.Target, "/l/") {
				return c
			}
		}
	}
	w.tb.Fatal("no link of the mail leads through the redirect")
	return mailer.Click{}
}

type recordedEvent struct {
	Kind, URL string
	Machine   int
	SendID    int64 `db:"send_id"`
}

func (w *world) clicked() []recordedEvent {
	w.tb.Helper()
	var rows []recordedEvent
	if err := w.db.Read().SelectContext(context.Background(), &rows, "SELECT kind, url, machine, send_id FROM provider_events WHERE source='relance' ORDER BY received_at, machine, id"); err != nil {
		w.tb.Fatal(err)
	}
	return rows
}

func TestEveryLinkOfAMailLeadsThroughTheRedirect(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.arm(cartMails, cartCampaign())
		w.mailCart("zoe@example.com", "117")
		m := w.out.got()[0]
		for _, h := range hrefs(m.HTML) {
			unsubscribing := strings.HasPrefix(h, "https://mail.example/u/") || strings.HasPrefix(h, "https://mail.example/p/")
			if !unsubscribing && strings.HasPrefix(h, "http") && !strings.HasPrefix(h, "https://mail.example/c/") {
				t.Errorf("%s is not", h)
			}
		}
		if strings.Contains(m.Text, "/c/") || strings.Contains(m.Headers["List-Unsubscribe"], "/c/") {
			t.Error("the text part or the unsubscribe header is led through the redirect")
		}
	})
}

func TestClicksAreRecordedOnceAMinute(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.arm(cartMails, cartCampaign())
		w.mailCart("zoe@example.com", "117")
		c := w.mailedClick()
		at := w.now.Truncate(time.Minute)
		record := func(v mailer.Visit, at time.Time) {
			t.Helper()
			if err := mailer.RecordClick(t.Context(), w.m, c, v, crm.At(at)); err != nil {
				t.Fatal(err)
			}
		}
		record(mailer.Visit{UserAgent: "scanner", Machine: true, Reason: mailer.ByHead}, at)
		record(mailer.Visit{UserAgent: "phone"}, at.Add(time.Second))
		record(mailer.Visit{UserAgent: "phone"}, at.Add(59*time.Second)) // a reload
		record(mailer.Visit{UserAgent: "phone"}, at.Add(61*time.Second))
		want := []recordedEvent{
			{"clicked", "relance:cart", 1, c.SendID}, {"clicked", "relance:cart", 0, c.SendID}, {"clicked", "relance:cart", 0, c.SendID},
		}
		if diff := cmp.Diff(want, w.clicked()); diff != "" {
			t.Error(diff)
		}
		w.exec("DELETE FROM sends")
		record(mailer.Visit{UserAgent: "phone"}, at.Add(10*365*24*time.Hour)) // the link still leads on, and there is nothing to note
		if n := len(w.clicked()); n != len(want) {
			t.Errorf("%d clicks", n)
		}
	})
}

// A crash at the commit of a click: before it the click is lost and said to be, after it the click is there; the same
// click again makes one of it either way.
func TestAClickSurvivesACrash(t *testing.T) {
	for _, engine := range []store.Dialect{store.SQLite, store.MySQL} {
		for _, when := range []string{"before", "after"} {
			t.Run(string(engine)+"/"+when, func(t *testing.T) {
				var armed atomic.Bool
				dead := errors.New("the process is dead")
				w := newWorld(t, servers.Open(t, engine, store.Options{Fault: func(name, at string) error {
					if armed.Load() && name == "mailer.events" && at == when {
						return dead
					}
					return nil
				}}))
				w.arm(cartMails, cartCampaign())
				w.mailCart("zoe@example.com", "117")
				c, visit := w.mailedClick(), mailer.Visit{UserAgent: "phone"}
				armed.Store(true)
				if err := mailer.RecordClick(t.Context(), w.m, c, visit, crm.At(w.now)); !errors.Is(err, dead) {
					t.Fatalf("nobody is told: %v", err)
				}
				armed.Store(false)
				if n, want := len(w.clicked()), map[string]int{"before": 0, "after": 1}[when]; n != want {
					t.Errorf("%d clicks are stored, want %d", n, want)
				}
				if err := mailer.RecordClick(t.Context(), w.m, c, visit, crm.At(w.now)); err != nil {
					t.Fatal(err)
				}
				if n := len(w.clicked()); n != 1 {
					t.Errorf("%d clicks", n)
				}
			})
		}
	}
}

func TestTransactionalMailsCarryNoMarks(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		spec := plainCampaign()
		spec.Kind = mailer.KindTransactional
		w.arm("plain", spec)
		zoe := w.contact("zoe@example.com")
		w.order(zoe, w.shop, "9", crm.StateCompleted, w.now.Add(-90*24*time.Hour))
		w.enter(zoe, anybody, w.now)
		w.run()
		m := w.out.got()[0]
		if strings.Contains(m.HTML+m.Text, "utm_") || strings.Contains(m.Text, "/l/") {
			t.Errorf("marked or with a page of ours: %s", m.Text)
		}
		for _, h := range hrefs(m.HTML) {
			token, ours := strings.CutPrefix(h, "https://mail.example/c/")
			if !ours {
				t.Errorf("%s is not led through the redirect", h)
				continue
			}
			if c := must(w.options.Keys.Click(token))(t); strings.Contains(c.Target, "utm_") || strings.HasPrefix(c.Target, "/") {
				t.Errorf("leads to %s", c.Target)
			}
		}
	})
}
