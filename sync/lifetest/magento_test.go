package lifetest_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/magento"
	"github.com/relance/relance/connectors/magento/magshop"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/sync/lifetest"
)

func TestMagentoLife(t *testing.T) {
	lifetest.Run(t, func(t *testing.T, clock func() time.Time) lifetest.Shop {
		shop, err := magshop.New(magshop.Options{Clock: clock})
		if err != nil {
			t.Fatal(err)
		}
		return &magentoLife{Shop: shop, carts: map[int64]time.Time{}, clock: clock}
	})
}

// magentoLife is what people do in a Magento shop.
type magentoLife struct {
	*magshop.Shop
	clock    func() time.Time
	carts    map[int64]time.Time // new carts, and when they were last touched
	accounts []int64             // made here: all their orders are recent
	orders   []int64
	made     int
}

// Connect implements lifetest.Shop.
func (m *magentoLife) Connect(url string, clock func() time.Time) (connectors.Source, error) {
	return magento.New(magento.Config{
		URL: url, Token: magshop.Token, TokenSecret: magshop.TokenSecret, ConsumerKey: magshop.ConsumerKey, ConsumerSecret: magshop.ConsumerSecret, Clock: clock,
	}, nil)
}

// Act implements lifetest.Shop. Webhooks would come from a module that observes every save.
func (m *magentoLife) Act(pick func(n int) int) (string, []crm.Ref) {
	acts := []func(func(int) int) (string, []crm.Ref){
		m.account, m.account, m.editAccount, m.email, m.newsletter, m.newsletter, m.deleteAccount,
		m.order, m.order, m.order, m.orderGoesOn, m.orderGoesOn, m.editOrder, m.refund,
		m.cart, m.cart, m.fillCart, m.fillCart, m.payment, m.mergeCart, m.deleteCart, m.promotion,
		m.price, m.stock, m.deleteProduct, m.category,
	}
	return acts[pick(len(acts))](pick)
}

func (m *magentoLife) one(ids []int64, pick func(int) int) int64 {
	if len(ids) == 0 {
		return 0
	}
	return ids[pick(len(ids))]
}

func ref(kind crm.Kind, id int64) []crm.Ref {
	return []crm.Ref{{Kind: kind, ID: strconv.FormatInt(id, 10)}}
}

func (m *magentoLife) address() string {
	m.made++
	return fmt.Sprintf("Somebody.%d@example.com", m.made)
}

func (m *magentoLife) account(pick func(int) int) (string, []crm.Ref) {
	id := m.CreateCustomer(magshop.Account{Email: m.address(), FirstName: "Zoé", LastName: "Martin", StoreID: int64(1 + pick(3)), Subscribed: pick(2) == 0})
	m.accounts = append(m.accounts, id)
	return fmt.Sprint("account ", id), ref(crm.KindCustomer, id)
}

func (m *magentoLife) editAccount(pick func(int) int) (string, []crm.Ref) {
	id := m.one(m.IDs("customers"), pick)
	m.made++
	m.SetCustomer(id, map[string]any{"lastname": fmt.Sprint("Nom ", m.made)})
	return fmt.Sprint("account edited ", id), ref(crm.KindCustomer, id)
}

func (m *magentoLife) email(pick func(int) int) (string, []crm.Ref) {
	id := m.one(m.IDs("customers"), pick)
	m.ChangeEmail(id, m.address())
	return fmt.Sprint("e-mail changed ", id), ref(crm.KindCustomer, id)
}

func (m *magentoLife) newsletter(pick func(int) int) (string, []crm.Ref) {
	id := m.one(m.IDs("customers"), pick)
	m.Subscribe(id, pick(2) == 0)
	return fmt.Sprint("newsletter ", id), ref(crm.KindCustomer, id)
}

func (m *magentoLife) deleteAccount(pick func(int) int) (string, []crm.Ref) {
	id := m.one(m.accounts, pick)
	if id != 0 {
		m.DeleteCustomer(id)
	}
	return fmt.Sprint("account deleted ", id), ref(crm.KindCustomer, max(id, 1))
}

func (m *magentoLife) items(pick func(int) int) []magshop.Item {
	var out []magshop.Item
	for range 1 + pick(3) {
		out = append(out, magshop.Item{ProductID: m.one(m.Simple(), pick), Quantity: int64(1 + pick(3))})
	}
	return out
}

func (m *magentoLife) order(pick func(int) int) (string, []crm.Ref) {
	o := magshop.Order{StoreID: int64(1 + pick(3)), Items: m.items(pick), Email: m.address()}
	if pick(2) == 0 {
		o.CustomerID = m.one(m.IDs("customers"), pick)
	}
	if pick(3) == 0 {
		o.Coupon = "BIENVENUE10"
	}
	if pick(3) > 0 {
		o.CartID = m.someCart(pick)
		delete(m.carts, o.CartID)
	}
	id := m.PlaceOrder(o)
	m.orders = append(m.orders, id)
	return fmt.Sprintf("order %d of cart %d", id, o.CartID), ref(crm.KindOrder, id)
}

func (m *magentoLife) orderGoesOn(pick func(int) int) (string, []crm.Ref) {
	id := m.one(m.IDs("orders"), pick)
	done := []func(int64) bool{m.Invoice, m.Ship, m.Hold, m.Cancel, func(id int64) bool { m.Comment(id, "Appel du client"); return true }}
	n := pick(len(done))
	done[n](id)
	return fmt.Sprintf("order %d: act %d", id, n), ref(crm.KindOrder, id)
}

func (m *magentoLife) editOrder(pick func(int) int) (string, []crm.Ref) {
	id := m.one(m.orders, pick)
	if id == 0 {
		return "nothing", nil
	}
	fresh := m.EditOrder(id, m.items(pick))
	m.orders = append(m.orders, fresh)
	return fmt.Sprintf("order %d becomes %d", id, fresh), append(ref(crm.KindOrder, id), ref(crm.KindOrder, fresh)...)
}

func (m *magentoLife) refund(pick func(int) int) (string, []crm.Ref) {
	order := m.one(m.IDs("orders"), pick)
	id := m.Refund(order, []int64{10, 50, 100}[pick(3)])
	return fmt.Sprintf("refund %d of %d", id, order), ref(crm.KindRefund, id)
}

func (m *magentoLife) someCart(pick func(int) int) int64 {
	var ids []int64
	for _, id := range m.IDs("carts") {
		if _, mine := m.carts[id]; mine {
			ids = append(ids, id)
		}
	}
	return m.one(ids, pick)
}

func (m *magentoLife) cart(pick func(int) int) (string, []crm.Ref) {
	var customer int64
	if pick(2) == 0 {
		customer = m.one(m.IDs("customers"), pick)
	}
	id := m.NewCart(customer, 1)
	m.carts[id] = m.clock()
	m.Fill(id, magshop.Item{ProductID: m.one(m.Simple(), pick), Quantity: 1})
	return fmt.Sprint("cart ", id), ref(crm.KindCart, id)
}

func (m *magentoLife) fillCart(pick func(int) int) (string, []crm.Ref) {
	id := m.someCart(pick)
	m.Fill(id, magshop.Item{ProductID: m.one(m.Simple(), pick), Quantity: int64(pick(4))})
	return fmt.Sprint("cart filled ", id), ref(crm.KindCart, max(id, 1))
}

// payment is the last step of a checkout, minutes after the shipping step.
func (m *magentoLife) payment(pick func(int) int) (string, []crm.Ref) {
	id := m.someCart(pick)
	if id == 0 || m.Get("carts", id, "customer", "id") != "" {
		return "nothing", nil
	}
	m.ShippingStep(id, "")
	m.PaymentStep(id, m.address())
	return fmt.Sprint("payment step ", id), nil
}

func (m *magentoLife) mergeCart(pick func(int) int) (string, []crm.Ref) {
	id := m.someCart(pick)
	m.Merge(id)
	delete(m.carts, id)
	return fmt.Sprint("cart merged ", id), nil
}

func (m *magentoLife) deleteCart(pick func(int) int) (string, []crm.Ref) {
	id := m.someCart(pick)
	m.Delete("carts", id)
	delete(m.carts, id)
	return fmt.Sprint("cart deleted ", id), nil
}

func (m *magentoLife) promotion(func(int) int) (string, []crm.Ref) {
	m.SavePromotion()
	return "promotion saved", nil
}

func (m *magentoLife) price(pick func(int) int) (string, []crm.Ref) {
	id := m.one(m.Simple(), pick)
	m.SetProduct(id, "price", fmt.Sprintf("%d.50", 1+pick(90)))
	return fmt.Sprint("price ", id), ref(crm.KindProduct, id)
}

func (m *magentoLife) stock(pick func(int) int) (string, []crm.Ref) {
	id := m.one(m.Simple(), pick)
	m.SetStock(id, int64(pick(3)))
	return fmt.Sprint("stock ", id), ref(crm.KindProduct, id)
}

func (m *magentoLife) deleteProduct(pick func(int) int) (string, []crm.Ref) {
	ids := m.Simple()
	if len(ids) < 10 {
		return "nothing", nil
	}
	id := m.one(ids, pick)
	m.Delete("products", id)
	return fmt.Sprint("product deleted ", id), ref(crm.KindProduct, id)
}

func (m *magentoLife) category(pick func(int) int) (string, []crm.Ref) {
	id := m.one(m.IDs("categories"), pick)
	m.made++
	m.SetCategory(id, fmt.Sprint("Rayon ", m.made))
	return fmt.Sprint("category ", id), ref(crm.KindCategory, id)
}

// Truth implements lifetest.Shop.
func (m *magentoLife) Truth() map[crm.Ref]string {
	out := map[crm.Ref]string{}
	put := func(kind crm.Kind, id int64, text string) { out[ref(kind, id)[0]] = text }
	for _, id := range m.IDs("customers") {
		consent := map[string]string{"1": "yes", "0": "no"}[m.Get("customers", id, "extension_attributes", "is_subscribed")]
		put(crm.KindCustomer, id, lifetest.CustomerText(m.Get("customers", id, "email"), m.Get("customers", id, "firstname"), m.Get("customers", id, "lastname"), consent))
	}
	for _, id := range m.IDs("orders") {
		currency := m.Get("orders", id, "order_currency_code")
		put(crm.KindOrder, id, lifetest.OrderText(m.state(id), currency, minor(m.Get("orders", id, "grand_total"), currency), m.Get("orders", id, "customer_id"), m.Lines(id)))
	}
	for _, id := range m.IDs("creditmemos") {
		currency := m.Get("creditmemos", id, "order_currency_code")
		put(crm.KindRefund, id, lifetest.RefundText(m.Get("creditmemos", id, "order_id"), currency, minor(m.Get("creditmemos", id, "grand_total"), currency)))
	}
	for _, id := range m.IDs("carts") {
		if m.Get("carts", id, "is_active") != "1" || m.Get("carts", id, "items_count") == "0" {
			continue
		}
		email := m.Get("carts", id, "customer", "email")
		if email == "" {
			email = m.Get("carts", id, "billing_address", "email")
		}
		quantity, _ := strconv.ParseInt(m.Get("carts", id, "items_qty"), 10, 64)
		put(crm.KindCart, id, lifetest.CartText(m.Get("carts", id, "customer", "id"), email, quantity))
	}
	for _, id := range m.IDs("products") {
		put(crm.KindProduct, id, lifetest.ProductText(m.Get("products", id, "name"), minor(m.Price(id), "EUR"), m.InStock(id)))
	}
	for _, id := range m.IDs("categories") {
		parent := m.Get("categories", id, "parent_id")
		if parent == "0" {
			parent = ""
		}
		put(crm.KindCategory, id, lifetest.CategoryText(m.Get("categories", id, "name"), parent))
	}
	return out
}

func (m *magentoLife) state(id int64) string {
	state := m.Get("orders", id, "state")
	if state == "canceled" && m.Get("orders", id, "relation_child_id") != "" {
		return crm.StateReplaced
	}
	return map[string]string{
		"new": crm.StatePending, "processing": crm.StateAccepted, "complete": crm.StateCompleted, "closed": crm.StateRefunded,
		"canceled": crm.StateCancelled, "holded": crm.StateOnHold,
	}[state]
}

func minor(amount, currency string) int64 {
	n, err := crm.ParseMinor(amount, currency)
	if err != nil {
		return -1
	}
	return n
}
