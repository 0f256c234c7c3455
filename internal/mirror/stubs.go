package mirror

import (
	"context"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

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
