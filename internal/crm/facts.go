package crm

// Kind names what a record is, whatever the platform calls it.
type Kind string

const (
	KindCustomer Kind = "customer"
	KindOrder    Kind = "order"
	KindRefund   Kind = "refund"
	KindCart     Kind = "cart"
	KindProduct  Kind = "product"
	KindCategory Kind = "category"
	KindEvent    Kind = "event"   // something that somebody did: viewed, searched, a form, a visit
	KindConsent  Kind = "consent" // an explicit statement of a person, with its proof
)

// Kinds lists every kind, for metrics and counts.
func Kinds() []Kind {
	return []Kind{KindCustomer, KindOrder, KindRefund, KindCart, KindProduct, KindCategory, KindEvent, KindConsent}
}

// Ref names one record of a shop by the platform's own id.
type Ref struct {
	Kind Kind
	ID   string
}

// Fact is one facet of one record as a read showed it. Body is exactly one of *Customer, *Address,
// *OptIn, *Order, *Refund, *Cart, *Product, *Category, *Stock, *Event, *Consent; its type says which facet it is, and each facet
// has its own content hash, so that a partial read never blanks what it did not see.
type Fact struct {
	Ref  Ref
	Gone bool // the shop confirmed that the record is no longer there; Body then says of which facet (its fields may be empty)
	Body Body
}

// Body is implemented by the facets alone.
type Body interface{ facet() }

// Customer is the facet customer.profile: an account of the shop.
type Customer struct {
	Email        string // as written
	FirstName    string
	LastName     string
	Company      string
	Phone        string
	Role         string // the platform's own word
	Locale       string // BCP 47 if the shop knows it, else ""
	Birthday     string // YYYY-MM-DD or ""
	RegisteredAt Instant
	ModifiedAt   Instant
	Attributes   map[string]string
}

// Address is the facet address: the billing address of a customer (Ref is the customer's).
type Address struct {
	Line1, Line2, City, Region, Postcode string
	Country                              string // ISO 3166 alpha-2
}

// OptIn is the facet customer.consent: what a mapped field of a customer or order says (Ref is theirs).
// An unticked box is a statement only if the shop's mapping says so.
type OptIn struct {
	Topic    string // "marketing" unless mapped otherwise
	Channel  string // "email"
	Value    string // "yes", "no", or "" when the field is absent
	SourceAt Instant
	Email    string // billing e-mail for a guest's order; "" when the account decides
	NoMeans  string // "silence" (default) or "withdrawn": the mapping's `false:`
}

// Order states, canonical over platforms. Which platform status is which is the connector's and the YAML's affair.
const (
	StateDraft     = "draft"     // a checkout that was begun, no order yet
	StatePending   = "pending"   // placed, not paid
	StateFailed    = "failed"    // payment refused
	StateOnHold    = "on_hold"   // placed, awaiting payment by hand
	StateAccepted  = "accepted"  // paid or to be paid on delivery, being prepared
	StateShipped   = "shipped"   // on its way
	StateCompleted = "completed" // done
	StateCancelled = "cancelled"
	StateRefunded  = "refunded" // fully refunded
	StateTrash     = "trash"    // put into the shop's bin
	StateReplaced  = "replaced" // edited: another order of the same purchase stands in its place
	StateOther     = "other"    // a status nobody mapped
)

// CountsAsSale tells whether an order in this state was bought; one that was refunded in full was, and its revenue is 0.
func CountsAsSale(state string) bool {
	switch state {
	case StateAccepted, StateShipped, StateCompleted, StateRefunded:
		return true
	}
	return false
}

// Order is the facet order. Amounts are minor units of Currency, tax-inclusive.
type Order struct {
	Number       string
	CustomerID   string // platform's id of the account, "" for a guest
	Email        string // billing e-mail as written, may be ""
	FirstName    string
	LastName     string
	Status       string // the platform's own word
	State        string // canonical
	CountsAsSale bool
	Currency     string
	Goods        int64 // lines after discount, with tax
	Shipping     int64
	Tax          int64 // contained in Total
	Discount     int64
	Total        int64  // as charged; refunds are not subtracted
	TotalRaw     string // as the shop wrote it
	BaseCurrency string // the currency of the shop's books, "" when it is Currency or unknown
	BaseTotal    int64  // Total in minor units of BaseCurrency at the order's own rate
	Purchase     string // orders that share it are one purchase (a split cart, an edited order); "": the order alone
	CartID       string // the cart that became this order, where carts are records of their own: it never opens again
	PlacedAt     Instant
	PaidAt       Instant
	CompletedAt  Instant
	CancelledAt  Instant // first certain instant, else ModifiedAt of the read that showed it
	PaidBySale   bool    // nobody says when it was paid: it was when it was first seen to count as a sale
	ModifiedAt   Instant
	Country      string
	Region       string
	City         string
	Via          string // how the shop says it came in: checkout, admin, …
	Coupons      []string
	Attribution  map[string]string
	Lines        []Line
}

// Line is one line of an order, refund or cart. Product id and frozen name stay whatever happens to the catalogue.
type Line struct {
	ID          string // the platform's line id, unique within its parent
	ProductID   string // "" when the product was deleted
	VariationID string
	SKU         string
	Name        string
	Quantity    int64
	Total       int64 // with tax, after discount, minor units of the parent's currency; negative in refunds is stored positive
	ImageURL    string
}

// Refund is the facet refund; it may be read before its order.
type Refund struct {
	OrderID  string
	Amount   int64 // positive, minor units of Currency
	Currency string
	Reason   string
	At       Instant
	Lines    []Line // ID is the id of the refunded order line where known
}

// Cart is the facet cart: what somebody was about to buy. Gone with ClosedBy says what closed it.
type Cart struct {
	CustomerID string
	Email      string
	FirstName  string
	LastName   string
	Currency   string
	Total      int64
	CreatedAt  Instant
	ActiveAt   Instant // last activity by the shop's data
	// ByContent: ActiveAt also moves without the visitor (a promotion rule touches every cart), so only a change of
	// what the cart holds or whose it is counts as activity.
	ByContent  bool
	RecoverURL string // where the visitor finds the cart again; may be ""
	Country    string
	Lines      []Line
	ClosedBy   string // with Gone: "ordered", "expired", "deleted"
	ClosedAt   Instant
}

// Product is the facet product.
type Product struct {
	ParentID   string
	Name       string
	SKU        string
	Type       string
	Status     string // the platform's own word: publish, draft, private, trash…
	URL        string
	ImageURL   string
	Price      int64
	Currency   string
	InStock    bool
	Stock      *int64 // nil when the shop does not count it
	Brand      string
	Categories []string // ids
	ModifiedAt Instant
}

// Stock is the facet stock, where a shop keeps it apart from the product (Ref is the product's). Once read, it decides
// instead of the product's own InStock and Stock.
type Stock struct {
	InStock bool
	Stock   *int64 // nil when the shop does not count it
}

// Category is the facet category.
type Category struct {
	ParentID string // "" for a root
	Name     string
	Slug     string
}

// Event is the facet event: something that somebody did. It is never changed, only repeated. Ref.ID is the sender's id
// of it, unique within the shop.
type Event struct {
	Name       string // viewed_product, searched, form, store_visit, or a name of the sender's own
	CustomerID string // platform's id of the account, "" when unknown
	Email      string // as written, "" when the account decides
	At         Instant
	Properties map[string]string // flat; values as text
}

// Consent is the facet consent: an explicit statement with its proof, as a form, a till or an imported list keeps it.
// Ref.ID is the sender's id of the statement, unique within the shop.
type Consent struct {
	CustomerID string
	Email      string
	Topic      string // "marketing" when ""
	Channel    string // "email" when ""
	State      string // ConsentGranted or ConsentWithdrawn
	Basis      string // opt_in (when "") or soft_opt_in
	At         Instant
	Text       string // what the person was shown
	Source     string // where: "checkout form", "till 3", "contacts.csv line 12"
	IP         string // of the person, "" when unknown
}

func (*Customer) facet() {}
func (*Address) facet()  {}
func (*OptIn) facet()    {}
func (*Order) facet()    {}
func (*Refund) facet()   {}
func (*Cart) facet()     {}
func (*Product) facet()  {}
func (*Category) facet() {}
func (*Event) facet()    {}
func (*Consent) facet()  {}
func (*Stock) facet()    {}
