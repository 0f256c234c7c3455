// Package connectors is the contract between a shop's platform and the rest of Relance. A connector
// reads; it never retries, sleeps, logs or touches the database: the engine in sync/ does.
package connectors

import (
	"context"
	"net/http"
	"time"

	"github.com/relance/relance/connectors/lenient"
	"github.com/relance/relance/internal/crm"
)

// Mode says how a stream finds what changed.
type Mode string

const (
	ModeDelta Mode = "delta" // only what changed since the cursor
	ModeCrawl Mode = "crawl" // everything, each time, compared by hash (the platform has no change filter)
	ModeIDs   Mode = "ids"   // ids only, complete: what is missing from it is gone
)

// Stream is one way of reading a shop. There is one cursor per (shop, stream).
type Stream struct {
	Name  string
	Mode  Mode
	Every time.Duration // a run starts at least this often, in business time
	Kind  crm.Kind      // what its counts are counted as, and for ModeIDs what its ids name
	Part  bool          // brings a part (consents, stock, addresses) of records that another stream brings whole: not counted
}

// Cursor is opaque to all but its source. Empty means: from the beginning (the backfill).
type Cursor []byte

// Page is one answer. It may repeat a record, it never skips one.
type Page struct {
	Facts    []crm.Fact
	Raw      []RawRecord // the bodies behind Facts, for source_records
	Rejected []Rejected  // could not be normalised: quarantined, never fatal
	IDs      []string    // ModeIDs only
	Next     Cursor      // resume point; also on the last page, where it is the next run's start
	More     bool        // another page follows now
	Total    int         // records that the run will see, as the shop said on its first page; -1 when it did not say
	ShopTime time.Time   // the shop's clock (its Date header) at this answer; zero when it sent none
}

// Take adds what became of one body: its facts and the body itself, or, when err says that it cannot be understood, a
// rejection of this record alone.
func (p *Page) Take(ref crm.Ref, raw []byte, facts []crm.Fact, err error) {
	if err != nil {
		p.Rejected = append(p.Rejected, Rejected{Ref: ref, Reason: lenient.Reason(err), Raw: raw})
		return
	}
	p.Facts = append(p.Facts, facts...)
	p.Raw = append(p.Raw, RawRecord{Ref: ref, Body: raw})
}

// Gone says that a record is no longer there, with all the facets that it may have had.
func Gone(ref crm.Ref, facets ...crm.Body) []crm.Fact {
	out := make([]crm.Fact, len(facets))
	for i, f := range facets {
		out[i] = crm.Fact{Ref: ref, Gone: true, Body: f}
	}
	return out
}

// GoneCustomer is an account that is no longer there.
func GoneCustomer(id string) []crm.Fact {
	return Gone(crm.Ref{Kind: crm.KindCustomer, ID: id}, &crm.Customer{}, &crm.Address{}, &crm.OptIn{})
}

// RawRecord is one body as the shop sent it.
type RawRecord struct {
	Ref  crm.Ref
	Body []byte
}

// Rejected is a record that cannot be understood. Reason has no personal data.
type Rejected struct {
	Ref    crm.Ref // ID may be "" when even that could not be read
	Reason string
	Raw    []byte
}

// Finding is one thing that the probe looked at.
type Finding struct {
	What string `json:"what"`           // "key", "version", "time zone"…
	OK   bool   `json:"ok"`             // false: Mend says what to do
	Text string `json:"text"`           // what was found, one sentence
	Mend string `json:"mend,omitempty"` // what to mend, one sentence
}

// ProbeResult is what a connection check found.
type ProbeResult struct {
	Findings []Finding `json:"findings"`
	Name     string    `json:"name"`
	Version  string    `json:"version"`
	Zone     string    `json:"zone"`     // IANA name or a fixed offset "+02:00"
	Currency string    `json:"currency"` // ISO code
	ShopTime time.Time `json:"shop_time"`
}

// OK is true when every finding is.
func (p ProbeResult) OK() bool {
	for _, f := range p.Findings {
		if !f.OK {
			return false
		}
	}
	return true
}

// Source reads one configured shop; safe for concurrent use. Its errors are *fault.Error.
type Source interface {
	// Streams lists the ways of reading, in the order in which a backfill runs them. Constant.
	Streams() []Stream
	// Pull returns the page of the stream after the cursor. size is the most records wanted (1..100);
	// the governor lowers it for a slow shop. It comes down to 1 where a page keeps failing: a record on which the shop
	// breaks by itself is then given as Rejected, with Next beyond it.
	Pull(ctx context.Context, stream string, after Cursor, size int) (Page, error)
	// Read re-reads one record, for a hint. A record that is no longer there gives Gone facts, not an error.
	Read(ctx context.Context, ref crm.Ref) (Page, error)
	// Probe checks address, key, rights, version, zone and clock, one request after the other.
	// An error means that not even that was possible; what it could find out is returned all the same.
	Probe(ctx context.Context) (ProbeResult, error)
}

// Counter is a Source that can tell cheaply what a stream holds: a request or two that bring no records.
type Counter interface {
	// Count is how many records a complete run of the stream would see now; -1 when the shop does not say.
	Count(ctx context.Context, stream string) (int, error)
}

// Hinter decodes a platform's webhook. It verifies the signature over the raw bytes first.
type Hinter interface {
	// Verify returns nil when the delivery is authentic, or a harmless unsigned ping (ping = true: answer 200, store nothing).
	Verify(h http.Header, body []byte) (ping bool, err error)
	// Decode names the records to re-read; a body that says nothing of use gives none. Never an error:
	// a webhook is only a hint.
	Decode(h http.Header, body []byte) []crm.Ref
}

// Normaliser is a Source whose raw records can be read again without the shop: after a changed mapping, or with a
// mended normaliser.
type Normaliser interface {
	// Rules names the way of normalising: the code's version and a hash of the mapping. When it is no longer what the
	// stored records were read by, the engine normalises them again.
	Rules() string
	// Normalise gives the facts that a read of this body gives now. It asks the shop for dictionaries at most
	// (order states, labels of options, currencies), never for the record.
	Normalise(ctx context.Context, raw RawRecord) (Page, error)
}

// Task is one act in a shop, from its outbound queue (shop_tasks).
type Task struct {
	Kind string // TaskUnsubscribe, TaskHooks, TaskCoupon…
	Key  string // what it is done to: a customer's id, a coupon (Coupon.Key); "" for the shop as such
}

// Kinds of tasks.
const (
	TaskUnsubscribe = "unsubscribe" // the customer of this id no longer wants marketing mail: say so in the shop
	TaskHooks       = "webhooks"    // the shop is to send its webhooks here: create, mend, enable again
)

// Outcome is what a task did.
type Outcome struct {
	Done   string    // one sentence for people: "3 webhooks created, 1 enabled again"
	Mend   string    // what the owner has to do because the key may not; "" when nothing is left to do
	Reread []crm.Ref // records that the task changed: their echo is read at once
}

// Actor is a Source that can also act in its shop. An act is idempotent: it looks first and changes only what differs,
// so that a repetition after a crash does no harm.
type Actor interface {
	// Acts lists the kinds of tasks that the shop's mapping and keys allow for. Constant.
	Acts() []string
	// Perform carries out one task. Its errors are *fault.Error; Reject means that it can never be done.
	Perform(ctx context.Context, t Task) (Outcome, error)
}
