package crm

import "time"

// Profile is all that segments and campaigns may know of one contact at an instant. Slices are ordered by
// instant, oldest first. It is loaded by mirror and read by pure functions; nobody changes it.
type Profile struct {
	Contact  Contact
	Consents []ConsentState
	Orders   []ProfileOrder
	Carts    []ProfileCart
	Events   []ProfileEvent
	// History is when the contact entered and left the segments that others refer to (Needs.History), oldest first.
	History []ProfileMembership
	// Scratch is where an evaluation keeps what it found out; it is no fact, and nil where nothing is kept.
	Scratch any
	// Thresholds are the versions published for the contact's audience, oldest first; the one in force at an instant is
	// the newest published at or before it. Shared by all profiles of a batch.
	Thresholds []*Thresholds
}

// Contact is one person of one audience.
type Contact struct {
	ID           int64
	Lane         int
	AudienceID   int64
	Email        string // as last written
	EmailNorm    string
	FirstName    string
	LastName     string
	Locale       string
	Country      string
	Region       string
	City         string
	Zone         string // IANA name; never "": the home shop's when the contact's own is unknown
	HomeShopID   int64
	RegisteredAt Instant // earliest account registration, 0 for a guest
	CreatedAt    Instant // earliest source instant known of the contact (registration, order, cart)
	Birthday     string
	MergedInto   int64   // the contact that its records count for, 0 = itself; it is not written to as such
	ErasedAt     Instant // 0 = is not; else nothing is known of it any more

	// Filled where Needs.Account asks for them.
	Attributes map[string]string // of its accounts; of two that say different things the one modified last
	Groups     []string          // the accounts' groups or roles, in the platforms' own words, sorted
	Shops      []ContactShop     // where it has an account, an order or a cart, by name
	Bases      map[int64]string  // shop → its basis of consent (opt_in, soft_opt_in, implied); shared by the profiles of a batch
	// Suppressed says why its addresses are not mailed: SuppressedBounced, SuppressedUnsubscribed… sorted; nil: they are.
	Suppressed []string
}

// ContactShop is a shop that a contact is known in.
type ContactShop struct {
	Name  string
	Since Instant // its earliest account, order or cart there; 0 = not known
}

// Why an address is not mailed any more.
const (
	SuppressedUnsubscribed = "unsubscribed"
	SuppressedBounced      = "bounced"
	SuppressedComplained   = "complained"
)

// Location loads the contact's zone: an IANA name, or the fixed offset ("+02:00") of a shop that says no more. UTC when
// it is neither.
func (c Contact) Location() *time.Location {
	if l, err := time.LoadLocation(c.Zone); err == nil {
		return l
	}
	if t, err := time.Parse("-07:00", c.Zone); err == nil {
		_, offset := t.Zone()
		return time.FixedZone(c.Zone, offset)
	}
	return time.UTC
}

// ConsentState is the current answer for one topic and channel.
type ConsentState struct {
	Topic     string
	Channel   string
	State     string // none | pending | granted | withdrawn
	Basis     string // opt_in | soft_opt_in | implied
	SourceAt  Instant
	ExpiresAt Instant // 0 = does not expire
}

const (
	ConsentNone      = "none"
	ConsentPending   = "pending"
	ConsentGranted   = "granted"
	ConsentWithdrawn = "withdrawn"
)

// ProfileOrder is an order as conditions see it. Amounts are minor units of Currency.
type ProfileOrder struct {
	ShopID       int64
	ID           string
	Number       string // as people read it; may be ""
	State        string
	CountsAsSale bool
	Purchase     string // orders of a shop that share it are one purchase; never "": an order alone has its own id
	Currency     string
	Total        int64
	Refunded     int64
	BaseCurrency string // of the shop's books, "" when it is Currency or unknown
	BaseTotal    int64  // Total in BaseCurrency at the order's own rate
	Shipping     int64  // contained in Total
	Discount     int64  // what Total is lower by
	PlacedAt     Instant
	PaidAt       Instant // 0 = is not, or not known; so are the others
	CompletedAt  Instant // the shop was done with it: on platforms that tell no other, when it was shipped
	CancelledAt  Instant
	Moments      OrderMoments // only where Needs.Moments asks
	Shop         string       // name of the shop
	Via          string       // how it came in; only where Needs.Source asks
	Source       string       // what brought the buyer: the attribution's source; only where Needs.Source asks
	Coupons      []string     // codes used; only where Needs.Coupons asks
	Lines        []ProfileLine
}

// OrderMoments is when an order first was something, as far as it is known: as the platform says, else when the mirror
// first saw it so, and then not later than the shop last changed it. 0 = was not. They never move.
type OrderMoments struct {
	Paid      Instant
	Shipped   Instant // on its way, or done where the platform tells no more
	Cancelled Instant
	Refunded  Instant // in part or whole
}

// Revenue is total − refunded.
func (o ProfileOrder) Revenue() int64 { return o.Total - o.Refunded }

// ProfileLine resolves its categories through the current catalogue; ancestors are included.
type ProfileLine struct {
	ProductID  string
	SKU        string
	Name       string
	Quantity   int64
	Refunded   int64 // quantity given back
	Total      int64
	ImageURL   string
	URL        string
	Brand      string   // by the current catalogue
	Categories []string // ids and slugs of the product's categories and all their ancestors
}

// ProfileCart is a cart as conditions see it.
type ProfileCart struct {
	ShopID     int64
	ID         string
	Currency   string
	Total      int64
	CreatedAt  Instant
	ActiveAt   Instant
	ClosedAt   Instant // 0 while open
	ClosedBy   string
	RecoverURL string
	Shop       string // name of the shop
	Lines      []ProfileLine
}

// ProfileEvent is something that the contact did.
type ProfileEvent struct {
	ShopID     int64
	ID         string // unique within the shop
	Name       string // viewed_product, searched, mail.clicked…
	At         Instant
	Properties map[string]string
}

// ProfileMembership is one entry into a segment and, once it is over, its end.
type ProfileMembership struct {
	Segment   string
	EnteredAt Instant
	LeftAt    Instant // 0 = still in
}

// Thresholds are cut points of a whole audience at one instant: what population conditions compare a contact with.
// Each list is the value at the percentiles 1…99 of the contacts with at least one sale, ascending.
type Thresholds struct {
	Version     int64
	PublishedAt Instant
	Contacts    int64   // how many were compared
	Currency    string  // of Revenue
	Recency     []int64 // instant of the last purchase
	Orders      []int64 // purchases
	Revenue     []int64 // net of refunds, minor units of Currency
}

// Cause says why a dirty mark or a membership change came about. Only change, clock and consent trigger campaigns.
type Cause string

const (
	CauseChange    Cause = "change"
	CauseClock     Cause = "clock"
	CauseConsent   Cause = "consent"
	CauseBackfill  Cause = "backfill"
	CauseBuilt     Cause = "built"
	CauseRedefined Cause = "redefined"
	CauseThreshold Cause = "threshold"
	CauseMerge     Cause = "merge"
)

// Triggers tells whether a change of this cause may start a campaign.
func (c Cause) Triggers() bool {
	return c == CauseChange || c == CauseClock || c == CauseConsent
}

// Lanes is the fixed number of lanes; a contact's lane is stored with every row that moves with it.
const Lanes = 64

// LaneOf is the lane of a contact: a stable hash of its id.
func LaneOf(contactID int64) int {
	x := uint64(contactID)
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return int(x % Lanes)
}

// AllEvents in Needs.Events asks for events of any name.
const AllEvents = "*"

// Needs says which tables profiles must be filled from.
type Needs struct {
	Orders   bool
	Lines    bool // implies Orders
	Carts    bool
	Consents bool
	Source   bool     // how orders came in and what brought the buyer; implies Orders
	Coupons  bool     // codes used in orders; implies Orders
	Moments  bool     // when orders were paid, shipped, cancelled, refunded; implies Orders
	Account  bool     // attributes, groups, shops, bases of consent, suppressions
	Events   []string // names of events, AllEvents for every one; nil: none
	History  []string // segments whose history is needed; nil: none
	Ranks    bool     // thresholds
}
