package mirror

import (
	"context"
	"errors"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// ErrNotFound says that there is no such shop or contact.
var ErrNotFound = errors.New("not found")

// ---- shops.go

// EnsureAudience creates or retitles an audience and gives its id.
func (m *Mirror) EnsureAudience(ctx context.Context, name, title string) (int64, error) {
	panic("todo")
}

// EnsureShop creates or updates a shop from its configuration and gives it as stored.
func (m *Mirror) EnsureShop(ctx context.Context, s ShopSpec) (Shop, error) { panic("todo") }

// Shops lists all shops by name.
func (m *Mirror) Shops(ctx context.Context) ([]Shop, error) { panic("todo") }

// ShopByName finds one; ErrNotFound.
func (m *Mirror) ShopByName(ctx context.Context, name string) (Shop, error) { panic("todo") }

// SetShopFault records why a shop cannot be read; nil clears it. Writes only when it differs from what is stored.
func (m *Mirror) SetShopFault(ctx context.Context, shopID int64, cause error, at crm.Instant) error {
	panic("todo")
}

// SetProbed stores what the probe found (zone and currency where the configuration is silent) and the clock skew.
func (m *Mirror) SetProbed(ctx context.Context, shopID int64, p connectors.ProbeResult, skewMS int64) error {
	panic("todo")
}

// SetBackfilled records the end of a shop's backfill, once.
func (m *Mirror) SetBackfilled(ctx context.Context, tx *store.Tx, shopID int64, at crm.Instant) error {
	panic("todo")
}

// ---- streams.go

// Streams gives the stored positions of a shop.
func (m *Mirror) Streams(ctx context.Context, shopID int64) ([]Stream, error) { panic("todo") }

// SaveStream writes one position.
func (m *Mirror) SaveStream(ctx context.Context, tx *store.Tx, s Stream) error { panic("todo") }

// RequestRead asks that every delta stream of the kinds be read again, by a run started at or after at.
// The gate calls it before a mail; the shop's engine sees it as Stream.WantedAt.
func (m *Mirror) RequestRead(ctx context.Context, tx *store.Tx, shopID int64, kinds []crm.Kind, at crm.Instant) error {
	panic("todo")
}

// ReadSince tells whether every stream of the kinds has completed a run that started at or after since.
func (m *Mirror) ReadSince(ctx context.Context, q store.Queryer, shopID int64, kinds []crm.Kind, since crm.Instant) (bool, error) {
	panic("todo")
}

// ---- apply.go

// Apply writes a batch: facts in order of observed_at, contacts and their statistics, quarantine, source records,
// and a dirty mark for every contact whose facts changed. The caller has fenced the shop's lease in tx.
// An error for which IsDataError is true names no single row: bisect the batch.
func (m *Mirror) Apply(ctx context.Context, tx *store.Tx, b Batch) (Result, error) { panic("todo") }

// IsDataError tells a refusal of the data by the database (too long, out of range) from a fault of the database.
func IsDataError(err error) bool { panic("todo") }

// Quarantine stores records that cannot be applied.
func (m *Mirror) Quarantine(ctx context.Context, tx *store.Tx, shopID int64, rs []connectors.Rejected, at crm.Instant) error {
	panic("todo")
}

// ---- hints.go

// AddHints queues re-reads; a record already queued is coalesced (its generation grows).
func (m *Mirror) AddHints(ctx context.Context, tx *store.Tx, shopID int64, refs []crm.Ref, at crm.Instant) error {
	panic("todo")
}

// DueHints lists re-reads due at now, oldest first.
func (m *Mirror) DueHints(ctx context.Context, shopID int64, now crm.Instant, limit int) ([]Hint, error) {
	panic("todo")
}

// DoneHint removes a hint unless it was asked for again meanwhile (generation).
func (m *Mirror) DoneHint(ctx context.Context, tx *store.Tx, h Hint) error { panic("todo") }

// FailHint postpones a hint.
func (m *Mirror) FailHint(ctx context.Context, tx *store.Tx, h Hint, next crm.Instant, cause error) error {
	panic("todo")
}

// ---- profiles.go

// Profiles loads contacts with what is needed, in the order of ids (missing ones are left out), in a few queries
// for the whole batch (≤ 500 ids).
func (m *Mirror) Profiles(ctx context.Context, q store.Queryer, ids []int64, n crm.Needs) ([]crm.Profile, error) {
	panic("todo")
}

// ContactByEmail finds a contact of an audience; ErrNotFound.
func (m *Mirror) ContactByEmail(ctx context.Context, q store.Queryer, audienceID int64, email string) (crm.Contact, error) {
	panic("todo")
}

// ContactIDs pages through live contacts by id.
func (m *Mirror) ContactIDs(ctx context.Context, q store.Queryer, after int64, limit int) ([]int64, error) {
	panic("todo")
}

// LiveContacts counts contacts that have at least one account, order or cart.
func (m *Mirror) LiveContacts(ctx context.Context) (int64, error) { panic("todo") }

// ---- dirty.go

// DirtyBatch gives up to limit marks of the lanes, oldest first.
func (m *Mirror) DirtyBatch(ctx context.Context, q store.Queryer, lanes []int, limit int) ([]Dirty, error) {
	panic("todo")
}

// ClearDirty removes marks WHERE generation = ?: a contact marked again meanwhile stays marked.
func (m *Mirror) ClearDirty(ctx context.Context, tx *store.Tx, marks []Dirty) error { panic("todo") }

// MarkDirty marks contacts. A mark that stands keeps the newest source instant; backfill wins over every other cause.
func (m *Mirror) MarkDirty(ctx context.Context, tx *store.Tx, contactIDs []int64, sourceAt, now crm.Instant, cause crm.Cause) error {
	panic("todo")
}

// DirtyStats gives the number of marks and the oldest (0 when none).
func (m *Mirror) DirtyStats(ctx context.Context) (n int64, oldest crm.Instant, err error) {
	panic("todo")
}

// ---- counts.go

// Counts says per kind what the shop has, what is mirrored and what is quarantined.
func (m *Mirror) Counts(ctx context.Context, shopID int64) ([]Count, error) { panic("todo") }

// LiveIDs pages through the ids of a kind that are not gone, in the order of the id text.
func (m *Mirror) LiveIDs(ctx context.Context, shopID int64, kind crm.Kind, after string, limit int) ([]string, error) {
	panic("todo")
}

// ---- consent.go

// ConsentChange is an act about one topic and channel, or a sync's observation of one.
type ConsentChange struct {
	ContactID int64
	Topic     string // "marketing"
	Channel   string // "email"
	State     string // crm.ConsentGranted, crm.ConsentWithdrawn…
	Basis     string
	Source    string // "one-click", "woocommerce:boutique", "preference page"
	SourceAt  crm.Instant
	SeenAt    crm.Instant
	Text      string // the text that was shown
	ByPerson  bool   // a person's own act here (one-click, double opt-in); a sync never lifts a withdrawal
}

// SetConsent writes the ledger and the state if the transition is allowed (DESIGN §10), marks the contact dirty with
// cause consent, and tells whether anything changed.
func (m *Mirror) SetConsent(ctx context.Context, tx *store.Tx, c ConsentChange) (bool, error) {
	panic("todo")
}
