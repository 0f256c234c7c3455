// Package mirror is the model's SQL: it applies facts, keeps contacts and their statistics true, loads profiles,
// and holds what other rooms hand to each other through rows (dirty marks, read positions, hints, quarantine).
package mirror

import (
	"context"
	"sync"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// Mirror is the model on one database. Safe for concurrent use.
type Mirror struct {
	db      *store.DB
	shapes  [facets]shape
	packer  sync.Pool  // *flate.Writer: half a megabyte each
	fanning sync.Mutex // held by the one that carries out redefinitions

	suppressions func(ctx context.Context, q store.Queryer, ids []int64) (map[int64][]string, error) // nil: nobody tells
	mails        mailsOf                                                                             // nil: nobody tells
	asked        func(ctx context.Context, q store.Queryer) ([]string, error)                        // nil: nobody asks
}

// New makes a Mirror.
func New(db *store.DB) *Mirror { return &Mirror{db: db, shapes: shapes()} }

// TellSuppressions says where profiles learn why contacts are not mailed: the mailer, which lies above, knows. Call it
// before the mirror is used.
func (m *Mirror) TellSuppressions(of func(ctx context.Context, q store.Queryer, ids []int64) (map[int64][]string, error)) {
	m.suppressions = of
}

// TellAsked says which events ask for a product that is out of stock: the mailer, which lies above, knows. Call it before
// the mirror is used.
func (m *Mirror) TellAsked(names func(ctx context.Context, q store.Queryer) ([]string, error)) {
	m.asked = names
}

// DB gives the database, for callers that open a transaction around several calls.
func (m *Mirror) DB() *store.DB { return m.db }

// ShopSpec is what the configuration says of a shop.
type ShopSpec struct {
	Name     string // immutable key
	Audience string // key of the audience
	Platform string
	Title    string
	Address  string // base URL, for people to read
	Zone     string // IANA; "" = as probed
	Locale   string // of its customers unless known better
	Basis    string // consent basis: opt_in | soft_opt_in | implied
}

// Shop is a shop as stored.
type Shop struct {
	ID           int64
	Name         string
	AudienceID   int64  `db:"audience_id"`
	Audience     string // name of the audience
	Platform     string
	Title        string
	Address      string
	Zone         string
	Currency     string
	Locale       string
	Basis        string      // consent basis: opt_in | soft_opt_in | implied; the mailer's gate reads it
	SkewMS       int64       `db:"skew_ms"` // shop's clock minus ours
	BackfilledAt crm.Instant `db:"backfilled_at"`
	Rules        string      // the way of normalising that all its records were read by, "" before the first
	BusyPPM      int64       `db:"busy_ppm"`     // share of the shop's time that Relance used over the last 10 minutes, in millionths
	LastHookAt   crm.Instant `db:"last_hook_at"` // newest webhook, 0 without one
	Fault        string      // one sentence, "" when all is well
	FaultClass   string      `db:"fault_class"`
	FaultAt      crm.Instant `db:"fault_at"`
}

// Stream is the read position of one stream of a shop. All instants are business time except none.
type Stream struct {
	ShopID       int64 `db:"shop_id"`
	Stream       string
	Kind         crm.Kind
	Mode         connectors.Mode // the gate waits for delta (and "") streams only
	Part         bool            // brings parts of records: never counted
	Cursor       []byte          `db:"cursor_at"`
	BackfilledAt crm.Instant     `db:"backfilled_at"` // end of the first complete run
	RunStartedAt crm.Instant     `db:"run_started_at"`
	RunDoneAt    crm.Instant     `db:"run_done_at"` // end of the last complete run; ≥ RunStartedAt when no run is under way
	ReadAt       crm.Instant     `db:"read_at"`     // START of the last complete run: what the gate calls fresh
	WantedAt     crm.Instant     `db:"wanted_at"`   // somebody needs a read started at or after this
	NextAt       crm.Instant     `db:"next_at"`
	SourceCount  int64           `db:"source_count"` // what a complete run would have seen, as the shop said at CountedAt
	CountedAt    crm.Instant     `db:"counted_at"`
	Attempts     int
	Error        string
}

// Batch is one page on its way into the mirror.
type Batch struct {
	ShopID     int64
	ObservedAt crm.Instant // start of the read by the shop's clock; grows with every read of the shop
	Cause      crm.Cause   // change, backfill or redefined
	Rules      string      // the way of normalising that made the facts (connectors.Normaliser), "" when there is none
	Facts      []crm.Fact
	Raw        []connectors.RawRecord
	Rejected   []connectors.Rejected

	// ReadAt, when set, makes the batch a redefinition: the facts were made anew from stored bodies, and this is when
	// each record's body was read. What a later read wrote stays; where it differs, the record is named in Result.Reread.
	ReadAt map[crm.Ref]crm.Instant
}

// Result says what a batch did.
type Result struct {
	Applied     int       // facets written
	Unchanged   int       // facets with the hash already stored: nothing written
	Quarantined int       // rejected by the connector or by the database
	Reread      []crm.Ref // older than a read already applied and different: read them again
	Dirty       int       // contacts marked
}

// Dirty is a mark on a contact whose facts changed.
type Dirty struct {
	ContactID  int64 `db:"contact_id"`
	Generation int64
	SourceAt   crm.Instant `db:"source_at"`
	MarkedAt   crm.Instant `db:"marked_at"`
	Cause      crm.Cause
}

// Count is one kind of one shop: what the shop has against what is here.
type Count struct {
	Kind        crm.Kind `json:"-"`
	Source      int64    `json:"source"`
	Mirrored    int64    `json:"mirrored"`
	Quarantined int64    `json:"quarantined"`
	Erased      int64    `json:"erased"` // of erased people: there, and anonymous
}

// Hint is a wish to re-read one record.
type Hint struct {
	ShopID     int64 `db:"shop_id"`
	Kind       crm.Kind
	ID         string
	Generation int64
	Attempts   int
	Cause      crm.Cause // redefined, or "" for a change
}
