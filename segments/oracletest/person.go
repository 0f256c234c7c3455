// Package oracletest says who belongs to a segment by the plainest means there are: it reads the YAML as a map and walks over
// plain rows at one instant. It shares no code with segments/rule and knows neither what changes next nor what changed
// before, so that the two can be held against each other. Slow on purpose; only tests import it.
package oracletest

// Person is what is known of one contact. Instants are UTC milliseconds, 0 = not known; amounts are minor units.
type Person struct {
	ID int64
	*Calendar
	Country      string
	Region       string
	City         string
	Locale       string
	Birthday     string
	RegisteredAt int64
	HomeShop     int64
	Attributes   map[string]string
	Groups       []string
	Shops        []Shop
	Bases        map[int64]string
	Suppressed   []string
	Consents     []Consent
	Orders       []Order
	Carts        []Cart
	Events       []Event
	Stays        []Stay
	Cuts         []Cuts
}

// Shop is one that the person is known in.
type Shop struct {
	Name  string
	Since int64
}

// Consent is an answer.
type Consent struct {
	Topic, Channel, State string
	SaidAt, ExpiresAt     int64
}

// Order is one order.
type Order struct {
	Shop         int64
	ID           string
	ShopName     string
	State        string
	Sale         bool
	Purchase     string
	Currency     string
	Total        int64
	Refunded     int64
	BaseCurrency string
	BaseTotal    int64
	PlacedAt     int64
	Via          string
	Source       string
	Coupons      []string
	Lines        []Line
}

// Line is one line of an order or a cart.
type Line struct {
	Product, SKU, Brand string
	Quantity, Refunded  int64
	Total               int64
	Categories          []string
}

// Cart is one cart.
type Cart struct {
	Shop                          int64
	ID                            string
	ShopName                      string
	Currency                      string
	Total                         int64
	CreatedAt, ActiveAt, ClosedAt int64
	ClosedBy                      string
	Lines                         []Line
	Versions                      []Version
}

// Version is a stretch in which a cart was touched, and what ended it.
type Version struct {
	FirstAt, LastAt int64
	ClosedBy        string
}

// Event is something that the person did.
type Event struct {
	Name       string
	At         int64
	Properties map[string]string
}

// Stay is a time in another segment; until 0 it is not over.
type Stay struct {
	Segment       string
	Entered, Left int64
}

// Cuts are published thresholds: the values at the percentiles 1…99, ascending.
type Cuts struct {
	PublishedAt, Contacts    int64
	Currency                 string
	Recency, Orders, Revenue []int64
}
