package lifetest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/mapping"
	"github.com/relance/relance/connectors/woocommerce"
	"github.com/relance/relance/connectors/woocommerce/wooshop"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/sync/lifetest"
)

func TestWooCommerceLife(t *testing.T) {
	lifetest.Run(t, func(t *testing.T, clock func() time.Time) lifetest.Shop {
		shop, err := wooshop.New(wooshop.Options{Clock: clock})
		if err != nil {
			t.Fatal(err)
		}
		for i, id := range shop.OrderIDs() { // a smaller shop lives as well
			if i%6 != 0 {
				if err := shop.DeleteOrder(id); err != nil {
					t.Fatal(err)
				}
			}
		}
		return &wooLife{Shop: shop, spoiled: map[int64]bool{}}
	})
}

// wooLife is what people do in a WooCommerce shop. Its webhooks are decoded as the inbox decodes them.
type wooLife struct {
	*wooshop.Shop
	spoiled map[int64]bool // orders that a broken extension has made unreadable
	made    int
}

func wooMapping() mapping.Mapping {
	return mapping.Mapping{
		Consent:  &mapping.Consent{Customer: "meta.newsletter_optin", Order: "meta.newsletter_optin", False: mapping.Withdrawn},
		Statuses: map[string]string{"en-preparation": crm.StateAccepted},
	}
}

// Connect implements lifetest.Shop.
func (w *wooLife) Connect(url string, clock func() time.Time) (connectors.Source, error) {
	return woocommerce.New(woocommerce.Config{
		URL: url, Key: wooshop.DefaultKey, Secret: wooshop.DefaultSecret, WebhookSecret: wooshop.DefaultWebhookSecret, Mapping: wooMapping(), Clock: clock,
	}, nil)
}

// Spoiled implements lifetest.Spoiler.
func (w *wooLife) Spoiled() (out []crm.Ref) {
	for id := range w.spoiled {
		text := strconv.FormatInt(id, 10)
		out = append(out, crm.Ref{Kind: crm.KindOrder, ID: text}, crm.Ref{Kind: crm.KindCart, ID: text})
	}
	return out
}

// Act implements lifetest.Shop.
func (w *wooLife) Act(pick func(int) int) (done string, named []crm.Ref) {
	decoder, err := woocommerce.New(woocommerce.Config{URL: "http://127.0.0.1", Key: "k", Secret: "s"}, http.DefaultTransport)
	if err != nil {
		return err.Error(), nil
	}
	w.OnWebhook(func(h http.Header, body []byte) { named = append(named, decoder.Decode(h, body)...) })
	acts := []func(func(int) int) (string, error){
		w.order, w.order, w.draft, w.draft, w.place, w.place, w.status, w.status, w.edit, w.trash, w.deleteOrder, w.refund, w.refund, w.deleteRefund,
		w.bulk, w.spoil, w.account, w.account, w.newsletter, w.newsletter, w.deleteAccount,
		w.price, w.price, w.variation, w.deleteVariation, w.trashProduct, w.category, w.deleteCategory,
	}
	done, err = acts[pick(len(acts))](pick)
	if err != nil {
		done += " (" + err.Error() + ")"
	}
	return done, named
}

func any64(ids []int64, pick func(int) int) int64 {
	if len(ids) == 0 {
		return 0
	}
	return ids[pick(len(ids))]
}

func (w *wooLife) spec(pick func(int) int) wooshop.OrderSpec {
	w.made++
	goods := w.Goods()
	o := wooshop.OrderSpec{FirstName: "Inès", LastName: "Life", Email: fmt.Sprintf("Life%d@Example.com", pick(40))}
	if pick(3) == 0 {
		o.CustomerID = any64(w.CustomerIDs(), pick)
	}
	if pick(4) == 0 {
		o.Meta = map[string]string{"newsletter_optin": []string{"1", "0"}[pick(2)]}
	}
	for range 1 + pick(3) {
		g := goods[pick(len(goods))]
		o.Items = append(o.Items, wooshop.Item{ProductID: g.ProductID, VariationID: g.VariationID, Quantity: int64(1 + pick(3))})
	}
	return o
}

func (w *wooLife) order(pick func(int) int) (string, error) {
	o := w.spec(pick)
	o.Status = []string{"", "pending", "on-hold", "completed", "failed"}[pick(5)]
	id, err := w.CreateOrder(o)
	return fmt.Sprint("order ", id, " ", o.Status), err
}

func (w *wooLife) draft(pick func(int) int) (string, error) {
	id, err := w.CreateDraft(w.spec(pick))
	return fmt.Sprint("draft ", id), err
}

func (w *wooLife) place(pick func(int) int) (string, error) {
	id := any64(w.OrderIDs("checkout-draft"), pick)
	return fmt.Sprint("place draft ", id), w.PlaceDraft(id, []string{"", "pending", "failed"}[pick(3)])
}

func (w *wooLife) status(pick func(int) int) (string, error) {
	id := any64(w.OrderIDs("pending", "failed", "on-hold", "processing", "trash", "en-preparation"), pick)
	to := []string{"processing", "completed", "cancelled", "failed", "en-preparation", "shipped-by-an-extension"}[pick(6)]
	return fmt.Sprint("order ", id, " becomes ", to), w.UpdateOrder(id, wooshop.OrderChange{Status: to})
}

func (w *wooLife) edit(pick func(int) int) (string, error) {
	id, o := any64(w.OrderIDs(), pick), w.spec(pick)
	delete(w.spoiled, id) // new lines give it a total again
	return fmt.Sprint("edit order ", id), w.UpdateOrder(id, wooshop.OrderChange{Email: o.Email, Items: o.Items, Meta: o.Meta})
}

func (w *wooLife) trash(pick func(int) int) (string, error) {
	id := any64(w.OrderIDs(), pick)
	return fmt.Sprint("trash order ", id), w.TrashOrder(id)
}

func (w *wooLife) deleteOrder(pick func(int) int) (string, error) {
	id := any64(append(w.OrderIDs(), w.OrderIDs("trash")...), pick)
	delete(w.spoiled, id)
	return fmt.Sprint("delete order ", id), w.DeleteOrder(id)
}

func (w *wooLife) refund(pick func(int) int) (string, error) {
	id := any64(w.OrderIDs("processing", "completed"), pick)
	if w.spoiled[id] {
		return "no refund of a spoiled order", nil
	}
	_, err := w.Refund(id, []string{"1.00", "2.345", "500.00"}[pick(3)], "Geste")
	return fmt.Sprint("refund of order ", id), err
}

func (w *wooLife) deleteRefund(pick func(int) int) (string, error) {
	id := any64(w.RefundIDs(), pick)
	return fmt.Sprint("delete refund ", id), w.DeleteRefund(id)
}

// bulk gives many orders the same second, and no webhook comes.
func (w *wooLife) bulk(pick func(int) int) (string, error) {
	ids := w.OrderIDs("processing", "on-hold", "pending")
	ids = ids[:min(len(ids), 5+pick(40))]
	return fmt.Sprint("bulk edit of ", len(ids), " orders"), w.Bulk([]string{"completed", "processing"}[pick(2)], ids...)
}

func (w *wooLife) spoil(pick func(int) int) (string, error) {
	id := any64(w.OrderIDs("completed"), pick)
	if pick(3) > 0 || id == 0 {
		return "nothing", nil
	}
	w.spoiled[id] = true
	return fmt.Sprint("spoil order ", id), w.Spoil(id)
}

func (w *wooLife) account(pick func(int) int) (string, error) {
	w.made++
	c := wooshop.CustomerSpec{Email: fmt.Sprintf("account%d@example.org", w.made), FirstName: "Zoé", LastName: "Neuve", Role: []string{"", "subscriber"}[pick(2)]}
	if pick(2) == 0 {
		c.Meta = map[string]string{"newsletter_optin": "1"}
	}
	id, err := w.CreateCustomer(c)
	return fmt.Sprint("account ", id), err
}

// newsletter is an extension that stores its flag without a word.
func (w *wooLife) newsletter(pick func(int) int) (string, error) {
	id, v := any64(w.CustomerIDs(), pick), []string{"1", "0", "yes", "no"}[pick(4)]
	return fmt.Sprint("newsletter of ", id, " is ", v), w.SetUserMeta(id, "newsletter_optin", v)
}

func (w *wooLife) deleteAccount(pick func(int) int) (string, error) {
	id := any64(w.CustomerIDs(), pick)
	return fmt.Sprint("delete account ", id), w.DeleteCustomer(id)
}

func (w *wooLife) price(pick func(int) int) (string, error) {
	g := w.Goods()[pick(5)]
	return fmt.Sprint("price of ", g.ProductID), w.UpdateProduct(g.ProductID, map[string]string{
		"price": fmt.Sprintf("%d.%02d", pick(90), pick(100)), "stock_status": []string{"instock", "outofstock"}[pick(2)],
	})
}

func (w *wooLife) variation(pick func(int) int) (string, error) {
	id := any64(w.VariationIDs(), pick)
	return fmt.Sprint("price of variation ", id), w.UpdateVariation(id, map[string]string{"price": fmt.Sprintf("%d.50", 1+pick(90))})
}

func (w *wooLife) deleteVariation(pick func(int) int) (string, error) {
	ids := w.VariationIDs()
	if len(ids) < 20 {
		return "nothing", nil
	}
	id := any64(ids, pick)
	return fmt.Sprint("delete variation ", id), w.DeleteVariation(id)
}

func (w *wooLife) trashProduct(pick func(int) int) (string, error) {
	goods := w.Goods()
	if len(goods) < 30 {
		return "nothing", nil
	}
	id := goods[pick(len(goods))].ProductID
	return fmt.Sprint("trash product ", id), w.TrashProduct(id)
}

func (w *wooLife) category(pick func(int) int) (string, error) {
	id := w.categoryID(pick)
	return fmt.Sprint("rename category ", id), w.RenameCategory(id, fmt.Sprintf("Thé &amp; Co %d", pick(100)))
}

func (w *wooLife) deleteCategory(pick func(int) int) (string, error) {
	if len(w.Bodies("categories")) < 6 {
		return "nothing", nil
	}
	id := w.categoryID(pick)
	return fmt.Sprint("delete category ", id), w.DeleteCategory(id)
}

func (w *wooLife) categoryID(pick func(int) int) int64 {
	all := w.Bodies("categories")
	var c struct{ ID int64 }
	if json.Unmarshal(all[pick(len(all))], &c) != nil {
		return 0
	}
	return c.ID
}

// Truth implements lifetest.Shop.
func (w *wooLife) Truth() map[crm.Ref]string {
	out := map[crm.Ref]string{}
	for kind, of := range map[string]func(b wooBody) (crm.Kind, string){
		"customers": func(b wooBody) (crm.Kind, string) {
			return crm.KindCustomer, lifetest.CustomerText(b.Email, b.First, b.Last, b.optIn())
		},
		"orders": func(b wooBody) (crm.Kind, string) {
			return crm.KindOrder, lifetest.OrderText(b.state(), b.Currency, b.minor(b.Total), number(b.Customer), len(b.Lines))
		},
		"refunds": func(b wooBody) (crm.Kind, string) {
			b.Currency = "EUR"
			return crm.KindRefund, lifetest.RefundText(number(b.Parent), b.Currency, b.minor(b.Amount))
		},
		"products":   wooBody.product,
		"variations": wooBody.product,
		"categories": func(b wooBody) (crm.Kind, string) {
			return crm.KindCategory, lifetest.CategoryText(html.UnescapeString(b.Name), number(b.Above))
		},
	} {
		for _, raw := range w.Bodies(kind) {
			var b wooBody
			if err := json.Unmarshal(raw, &b); err != nil {
				out[crm.Ref{Kind: crm.Kind(kind)}] = "unreadable: " + err.Error()
				continue
			}
			k, text := of(b)
			if text != "" {
				out[crm.Ref{Kind: k, ID: number(b.ID)}] = text
			}
			if cart := b.cart(); k == crm.KindOrder && cart != "" {
				out[crm.Ref{Kind: crm.KindCart, ID: number(b.ID)}] = cart
			}
		}
	}
	return out
}

type wooBody struct {
	ID, Parent         int64
	Email, Name, Price string
	First              string `json:"first_name"`
	Last               string `json:"last_name"`
	Status, Currency   string
	Total, Amount      string
	Customer           int64  `json:"customer_id"`
	ParentID           int64  `json:"parent_id"`
	Above              int64  `json:"-"`
	Stock              string `json:"stock_status"`
	Billing            struct{ Email string }
	Lines              []struct{ Quantity int64 } `json:"line_items"`
	Meta               []struct {
		Key   string
		Value any
	} `json:"meta_data"`
}

// UnmarshalJSON takes `parent` of categories and `parent_id` of the others apart.
func (b *wooBody) UnmarshalJSON(raw []byte) error {
	type plain wooBody
	if err := json.Unmarshal(raw, (*plain)(b)); err != nil {
		return err
	}
	b.Above, b.Parent = b.Parent, b.ParentID
	if b.ID == 0 {
		return errors.New("no id")
	}
	return nil
}

func number(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func (b wooBody) minor(amount string) int64 {
	if amount == "" {
		return 0
	}
	n, err := crm.ParseMinor(amount, b.Currency)
	if err != nil {
		return -1
	}
	return n
}

func (b wooBody) product() (crm.Kind, string) {
	if b.Status == "trash" {
		return crm.KindProduct, ""
	}
	b.Currency = "EUR"
	return crm.KindProduct, lifetest.ProductText(b.Name, b.minor(b.Price), b.Stock != "outofstock")
}

func (b wooBody) optIn() string {
	said := ""
	for _, m := range b.Meta {
		if m.Key != "newsletter_optin" || said == "no" {
			continue
		}
		said = "no"
		if slices.Contains([]string{"1", "yes", "true", "on"}, strings.ToLower(fmt.Sprint(m.Value))) {
			said = "yes"
		}
	}
	return said
}

func (b wooBody) state() string {
	if s, ok := map[string]string{
		"checkout-draft": crm.StateDraft, "pending": crm.StatePending, "failed": crm.StateFailed, "on-hold": crm.StateOnHold,
		"processing": crm.StateAccepted, "en-preparation": crm.StateAccepted, "completed": crm.StateCompleted,
		"cancelled": crm.StateCancelled, "refunded": crm.StateRefunded, "trash": crm.StateTrash,
	}[b.Status]; ok {
		return s
	}
	return crm.StateOther
}

// cart is what an order that was not placed, or not paid, says of a cart.
func (b wooBody) cart() string {
	if !slices.Contains([]string{"checkout-draft", "pending", "failed"}, b.Status) {
		return ""
	}
	var items int64
	for _, l := range b.Lines {
		items += l.Quantity
	}
	return lifetest.CartText(number(b.Customer), b.Billing.Email, items)
}
