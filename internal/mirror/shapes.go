package mirror

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/relance/relance/internal/crm"
)

// facet names a table of facts. The order is the order of writing: accounts before what refers to them.
type facet int

const (
	customers facet = iota
	addresses
	categoriesFacet
	products
	stocks
	refunds
	orders
	carts
	events
	statements
	optins
	facets // their number
)

// shape is how one facet is stored: the one mechanism that all of them share.
type shape struct {
	table   string
	keys    []string // beside shop_id
	cols    []string // content, in the order of record.vals
	contact bool     // has contact_id
	derived []string // columns computed here, written with the content but not hashed
	once    bool     // a record is written once and never changed, whenever it was read
	extra   [2]string
	lines   string // table of child rows, "" = none
	parent  string // its column that names the parent
}

func shapes() [facets]shape {
	return [facets]shape{
		customers: {table: "customers", keys: []string{"id"}, contact: true, extra: [2]string{"''", "''"}, cols: []string{
			"email", "email_norm", "first_name", "last_name", "company", "phone", "role", "locale", "birthday", "registered_at", "modified_at", "attributes",
		}},
		addresses: {table: "addresses", keys: []string{"kind", "id"}, extra: [2]string{"''", "''"}, cols: []string{
			"line1", "line2", "city", "region", "postcode", "country",
		}},
		categoriesFacet: {table: "categories", keys: []string{"id"}, extra: [2]string{"parent_id", "slug"}, cols: []string{"parent_id", "name", "slug"}},
		products: {table: "products", keys: []string{"id"}, extra: [2]string{"brand", "parent_id"}, cols: []string{
			"parent_id", "name", "sku", "type", "status", "url", "image_url", "price", "currency", "in_stock", "stock", "brand", "modified_at",
		}},
		stocks: {table: "stocks", keys: []string{"id"}, extra: [2]string{"''", "''"}, cols: []string{"in_stock", "stock"}},
		refunds: {table: "refunds", keys: []string{"id"}, extra: [2]string{"order_id", "''"}, lines: "refund_lines", parent: "refund_id", cols: []string{
			"order_id", "amount", "currency", "reason", "refunded_at",
		}},
		orders: {table: "orders", keys: []string{"id"}, contact: true, derived: append([]string{"refunded"}, momentColumns()...), extra: [2]string{"''", "''"}, lines: "order_lines", parent: "order_id", cols: []string{
			"number", "customer_id", "email", "email_norm", "first_name", "last_name", "status", "state", "counts_as_sale", "currency", "goods", "shipping", "tax",
			"discount", "total", "total_raw", "placed_at", "paid_at", "completed_at", "cancelled_at", "modified_at", "country", "region", "city", "via", "coupons", "attribution",
			"base_currency", "base_total", "purchase", "cart_id",
		}},
		carts: {table: "carts", keys: []string{"id"}, contact: true, derived: []string{"content"}, extra: [2]string{"content", "active_at"}, lines: "cart_lines", parent: "cart_id", cols: []string{
			"customer_id", "email", "email_norm", "first_name", "last_name", "currency", "total", "created_at", "active_at", "closed_at", "closed_by", "recover_url", "country",
		}},
		events: {table: "events", keys: []string{"id"}, contact: true, once: true, derived: []string{"product_id"}, extra: [2]string{"''", "''"}, cols: []string{
			"happened_at", "name", "customer_id", "email", "email_norm", "properties",
		}},
		statements: {table: "statements", keys: []string{"id"}, contact: true, once: true, extra: [2]string{"''", "''"}, cols: []string{
			"stated_at", "customer_id", "email", "email_norm", "topic", "channel", "state", "basis", "text_shown", "source", "ip",
		}},
		optins: {table: "optins", keys: []string{"kind", "id", "topic", "channel"}, contact: true, extra: [2]string{"value", "''"}, cols: []string{
			"value", "no_means", "source_at", "email_norm",
		}},
	}
}

// record is one fact on its way into its table.
type record struct {
	facet      facet
	ref        crm.Ref
	key        string // its keys in one text
	keys       []any  // beside shop_id
	vals       []any
	lines      []crm.Line
	categories []string // of a product, sorted
	topic      string   // of an opt-in or a statement
	channel    string
	cart       string        // of an order: the cart that became it
	paidBySale bool          // of an order: nobody says when it was paid
	coupons    []string      // of an order: the codes used (crm.CodeKey)
	said       ConsentChange // of a statement: what it asks for, all but whose and when it was seen
	byContent  bool          // of a cart: only another content is activity
	gone       bool
	hash       []byte
	at         crm.Instant // source instant, 0 = the read's

	// who it belongs to, before resolution
	account string // platform id of the account, "" = none
	email   string // email_norm

	// what is stored
	found      bool
	wasGone    bool
	was        []byte      // its hash
	written    crm.Instant // observed_at of the read that wrote it
	oldContact int64
	extra      [2]string

	contact int64
	derived []any       // values of the shape's derived columns
	erased  crm.Instant // its person was erased then; 0: was not
}

// encode turns a fact into its record. A fact without a body of ours is a mistake of the connector.
func encode(f crm.Fact) (*record, error) {
	r := &record{ref: f.Ref, gone: f.Gone, keys: []any{f.Ref.ID}, key: f.Ref.ID}
	switch b := f.Body.(type) {
	case *crm.Customer:
		r.encodeCustomer(b)
	case *crm.Address:
		r.facet, r.keys, r.key = addresses, []any{string(f.Ref.Kind), f.Ref.ID}, string(f.Ref.Kind)+"\x00"+f.Ref.ID
		r.vals = []any{
			text(b.Line1, roomName), text(b.Line2, roomName), text(b.City, roomName), text(b.Region, roomArea), text(b.Postcode, roomCode), whole(b.Country, roomCountry),
		}
	case *crm.Category:
		r.facet, r.vals = categoriesFacet, []any{b.ParentID, text(b.Name, roomName), text(b.Slug, roomName)}
	case *crm.Product:
		r.encodeProduct(b)
	case *crm.Stock:
		r.facet, r.vals = stocks, []any{flag(b.InStock), counted(b.Stock)}
	case *crm.Refund:
		r.facet, r.at, r.lines = refunds, b.At, fitLines(uniqueLines(b.Lines))
		r.vals = []any{b.OrderID, b.Amount, b.Currency, text(b.Reason, roomReason), int64(b.At)}
	case *crm.Order:
		r.encodeOrder(b)
	case *crm.Cart:
		r.encodeCart(b)
	case *crm.OptIn:
		r.encodeOptIn(b)
	case *crm.Event:
		r.encodeEvent(b)
	case *crm.Consent:
		r.encodeStatement(b)
	default:
		return nil, fmt.Errorf("applying %s: it has no facet", f.Ref.Kind)
	}
	r.seal()
	return r, nil
}

func (r *record) encodeCustomer(b *crm.Customer) {
	r.facet, r.at = customers, cmp.Or(b.ModifiedAt, b.RegisteredAt)
	r.email = crm.NormEmail(b.Email)
	r.vals = []any{
		b.Email, r.email, text(b.FirstName, roomName), text(b.LastName, roomName), text(b.Company, roomName), text(b.Phone, roomWord), text(b.Role, roomWord),
		whole(b.Locale, roomLocale), b.Birthday, int64(b.RegisteredAt), int64(b.ModifiedAt),
		jsonText(b.Attributes, len(b.Attributes)),
	}
}

// Places in the values of a product.
const (
	productParent = 0
	productBrand  = 11
)

func (r *record) encodeProduct(b *crm.Product) {
	r.facet, r.at = products, b.ModifiedAt
	r.categories = slices.Compact(slices.Sorted(slices.Values(b.Categories)))
	r.vals = []any{
		b.ParentID, text(b.Name, roomTitle), text(b.SKU, roomArea), text(b.Type, roomCode), text(b.Status, roomCode), whole(b.URL, roomAddress), whole(b.ImageURL, roomAddress),
		b.Price, b.Currency, flag(b.InStock), counted(b.Stock), text(b.Brand, roomName), int64(b.ModifiedAt),
	}
}

// Places in the values of an order.
const (
	orderState     = 7
	orderSale      = 8
	orderPlaced    = 16
	orderPaid      = 17
	orderCompleted = 18
	orderCancelled = 19
	orderModified  = 20
)

func (r *record) encodeOrder(b *crm.Order) {
	r.facet, r.at, r.lines = orders, cmp.Or(b.ModifiedAt, b.PlacedAt), fitLines(uniqueLines(b.Lines))
	r.account, r.email, r.cart, r.paidBySale = account(b.CustomerID), crm.NormEmail(b.Email), account(b.CartID), b.PaidBySale
	r.coupons = codeKeys(b.Coupons)
	r.vals = []any{
		text(b.Number, roomWord), r.account, b.Email, r.email, text(b.FirstName, roomName), text(b.LastName, roomName), text(b.Status, roomWord), b.State,
		flag(b.CountsAsSale), b.Currency, b.Goods, b.Shipping, b.Tax,
		b.Discount, b.Total, b.TotalRaw, int64(b.PlacedAt), int64(b.PaidAt), int64(b.CompletedAt), int64(b.CancelledAt), int64(b.ModifiedAt),
		whole(b.Country, roomCountry), text(b.Region, roomArea), text(b.City, roomName), text(b.Via, roomWord), jsonText(b.Coupons, len(b.Coupons)), jsonText(b.Attribution, len(b.Attribution)),
		b.BaseCurrency, b.BaseTotal, b.Purchase, r.cart,
	}
}

// Places in the values of a cart.
const (
	cartActive   = 8
	cartClosed   = 9
	cartClosedBy = 10
)

func (r *record) encodeCart(b *crm.Cart) {
	r.facet, r.at, r.lines, r.derived = carts, cmp.Or(b.ActiveAt, b.CreatedAt), fitLines(uniqueLines(b.Lines)), []any{""}
	r.account, r.email = account(b.CustomerID), crm.NormEmail(b.Email)
	if r.gone {
		r.at, r.lines = b.ClosedAt, nil
		r.vals = []any{b.ClosedBy, int64(b.ClosedAt)}
		return
	}
	r.vals = []any{
		r.account, b.Email, r.email, text(b.FirstName, roomName), text(b.LastName, roomName), b.Currency, b.Total, int64(b.CreatedAt), int64(b.ActiveAt), int64(b.ClosedAt), b.ClosedBy,
		whole(b.RecoverURL, roomAddress), whole(b.Country, roomCountry),
	}
	if r.byContent = b.ByContent; r.byContent {
		r.derived = []any{r.content()}
	}
}

// content is a hash of what a cart holds and whose it is. Prices are not in it: a promotion changes them without the visitor.
func (r *record) content() string {
	held := make([]string, 0, len(r.lines))
	for _, l := range r.lines {
		line := appendValue(appendValue(appendValue(nil, l.ProductID), l.VariationID), l.SKU)
		held = append(held, string(appendValue(line, l.Quantity)))
	}
	slices.Sort(held) // a shop may number its lines anew
	b := appendValue(appendValue(nil, r.account), r.email)
	for _, line := range held {
		b = append(b, line...)
	}
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:16])
}

func (r *record) encodeOptIn(b *crm.OptIn) {
	r.topic, r.channel = cmp.Or(b.Topic, "marketing"), cmp.Or(b.Channel, "email")
	r.facet, r.at, r.email = optins, b.SourceAt, crm.NormEmail(b.Email)
	r.keys = []any{string(r.ref.Kind), r.ref.ID, r.topic, r.channel}
	r.key = strings.Join([]string{string(r.ref.Kind), r.ref.ID, r.topic, r.channel}, "\x00")
	r.vals = []any{b.Value, cmp.Or(b.NoMeans, "silence"), int64(b.SourceAt), r.email}
}

func (r *record) encodeEvent(b *crm.Event) {
	r.facet, r.at, r.account, r.email = events, b.At, account(b.CustomerID), crm.NormEmail(b.Email)
	r.vals = []any{int64(b.At), b.Name, r.account, b.Email, r.email, jsonText(b.Properties, len(b.Properties))}
	r.derived = []any{whole(b.Properties[propertyProduct], roomWord)}
}

func (r *record) encodeStatement(b *crm.Consent) {
	r.facet, r.at, r.account, r.email = statements, b.At, account(b.CustomerID), crm.NormEmail(b.Email)
	r.said = ConsentChange{
		Topic: cmp.Or(b.Topic, "marketing"), Channel: cmp.Or(b.Channel, "email"), State: b.State, Basis: cmp.Or(b.Basis, "opt_in"),
		Source: clip(b.Source, 255), Text: b.Text, IP: clip(b.IP, 64),
	}
	c := r.said
	r.vals = []any{int64(b.At), r.account, b.Email, r.email, c.Topic, c.Channel, c.State, c.Basis, c.Text, c.Source, c.IP}
}

// counted is a stock for a column: NULL when the shop does not count it.
func counted(stock *int64) any {
	if stock == nil {
		return nil
	}
	return *stock
}

// account is the platform's id of an account; platforms write 0 for a guest.
func account(id string) string {
	if id == "0" {
		return ""
	}
	return id
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// jsonText writes a list or map of texts; nothing in it is "". Maps come out with sorted keys.
func jsonText(v any, n int) string {
	if n == 0 {
		return ""
	}
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // a list or map of strings always has a JSON text
	}
	return string(text)
}

// uniqueLines gives every line an id of its own: a platform may leave it out, or name one line twice.
func uniqueLines(lines []crm.Line) []crm.Line {
	seen := make(map[string]bool, len(lines))
	for i, l := range lines {
		if l.ID == "" || seen[l.ID] {
			lines = slices.Clone(lines)
			for j := i; j < len(lines); j++ {
				if lines[j].ID == "" || seen[lines[j].ID] {
					lines[j].ID = "#" + strconv.Itoa(j)
				}
				seen[lines[j].ID] = true
			}
			return lines
		}
		seen[l.ID] = true
	}
	return lines
}

// seal computes the content hash: the first half of SHA-256 over every value with its length, so that no two
// contents read the same. A tombstone's hash knows only what closed it: its instant may be told differently each time.
func (r *record) seal() {
	b := make([]byte, 0, 1024)
	if r.gone {
		b = append(b, "gone"...)
		if r.facet == carts {
			b = appendValue(b, r.vals[0])
		}
		r.sum(b)
		return
	}
	for i, v := range r.vals {
		if !r.byContent || i != cartActive {
			b = appendValue(b, v)
		}
	}
	for _, l := range r.lines {
		for _, v := range lineValues(l) {
			b = appendValue(b, v)
		}
	}
	for _, c := range r.categories {
		b = appendValue(b, c)
	}
	r.sum(b)
}

func (r *record) sum(b []byte) {
	h := sha256.Sum256(b)
	r.hash = slices.Clone(h[:16])
}

func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		b = binary.AppendUvarint(append(b, 's'), uint64(len(v)))
		return append(b, v...)
	case int64:
		return binary.AppendVarint(append(b, 'i'), v)
	case nil:
		return append(b, 'n')
	}
	panic(fmt.Sprintf("hashing a %T", v)) // encode makes no other type
}

func lineColumns(parent string) []string {
	return []string{"shop_id", parent, "line_id", "product_id", "variation_id", "sku", "name", "quantity", "total", "image_url"}
}

func lineValues(l crm.Line) []any {
	return []any{l.ID, l.ProductID, l.VariationID, l.SKU, l.Name, l.Quantity, l.Total, l.ImageURL}
}
