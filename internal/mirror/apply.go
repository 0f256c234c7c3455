package mirror

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// applying is one batch in its transaction.
type applying struct {
	ctx      context.Context // of the one call of Apply that this lives for
	m        *Mirror
	tx       *store.Tx
	b        Batch
	res      Result
	shop     shopFacts
	observed map[crm.Kind]crm.Instant

	changed  [facets][]*record // to be written
	skipped  map[crm.Ref]bool  // left to a re-read
	accounts map[string]int64  // platform id of a live account → its contact
	contacts map[string]int64  // email_norm → contact
	fresh    map[int64]string  // contacts to be inserted → email_norm
	touched  map[int64]crm.Instant
	consents map[int64]crm.Instant
	counted  map[int64]crm.Instant  // contacts to be counted anew that are marked only if it changes something
	ordered  map[string]crm.Instant // carts that orders of the batch came from → the earliest of these

	forgetting
	merging merging

	recategorised []string // products whose categories or brand changed
	packing       *packing
}

// shopFacts is what applying needs to know of the shop.
type shopFacts struct {
	Name     string
	Platform string
	Audience int64 `db:"audience_id"`
	Currency string
	Basis    string
	Skew     int64  `db:"skew_ms"`
	Merges   bool   // some are in force in the audience
	Erasures string // the key of the tombstones, "" when nobody has ever been erased
}

// selectShopFacts is one question, as every page asks it.
const selectShopFacts = `SELECT s.name, s.platform, s.audience_id, s.currency, s.basis, s.skew_ms,
 EXISTS(SELECT 1 FROM contact_merges m WHERE m.audience_id=s.audience_id AND m.` + inForce + `) AS merges,
 COALESCE((SELECT k.value FROM meta k WHERE k.name='` + metaErasureKey + `'),'') AS erasures FROM shops s WHERE s.id=?`

// Apply writes a batch: facts in order of observed_at, contacts and their statistics, quarantine, source records,
// and a dirty mark for every contact whose facts changed. The caller has fenced the shop's lease in tx.
// An error for which IsDataError is true names no single row: bisect the batch.
//
// A fact read no earlier than the newest read applied of its kind is written if its hash differs. An older one is never
// written: if it differs from what is stored, its record is named in Result.Reread, and reading it again decides.
func (m *Mirror) Apply(ctx context.Context, tx *store.Tx, b Batch) (Result, error) {
	a := &applying{
		ctx: ctx, m: m, tx: tx, b: b, skipped: map[crm.Ref]bool{}, accounts: map[string]int64{}, contacts: map[string]int64{},
		fresh: map[int64]string{}, touched: map[int64]crm.Instant{}, consents: map[int64]crm.Instant{},
		counted: map[int64]crm.Instant{}, ordered: map[string]crm.Instant{},
		merging: merging{redirect: map[int64]int64{}, own: map[string]int64{}},
	}
	if err := a.run(); err != nil {
		return Result{}, fmt.Errorf("applying a page: %w", err)
	}
	return a.res, nil
}

func (a *applying) run() error {
	defer func() {
		if a.packing != nil {
			<-a.packing.done // nothing outlives the call
		}
	}()
	if err := a.tx.GetContext(a.ctx, &a.shop, selectShopFacts, a.b.ShopID); err != nil {
		return fmt.Errorf("finding the shop: %w", notFound(err))
	}
	for _, step := range []func() error{
		a.loadObservations, a.decide, a.startRaw, // what differs
		a.resolve,                                                 // whose it is
		a.writeCatalogue, a.writeRecords, a.followUp, a.turnStock, // the facts
		a.applyConsents, a.recompute, a.mark, // the people
		a.writeRaw, a.dropBodies, a.clearQuarantine, a.quarantine, a.saveObservations,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (a *applying) loadObservations() error {
	a.observed = map[crm.Kind]crm.Instant{}
	return read(a.ctx, a.tx, "SELECT kind, observed_at FROM observations WHERE shop_id=?", []any{a.b.ShopID}, func(r *sqlx.Rows) error {
		var kind crm.Kind
		var at crm.Instant
		err := r.Scan(&kind, &at)
		a.observed[kind] = at
		return err
	})
}

// saveObservations moves the newest read of every kind seen. Nothing else is written for facts that did not change.
func (a *applying) saveObservations() error {
	if a.b.ReadAt != nil { // nothing was read
		return nil
	}
	var rows [][]any
	seen := map[crm.Kind]bool{}
	for _, f := range a.b.Facts {
		if kind := f.Ref.Kind; !seen[kind] && a.b.ObservedAt > a.observed[kind] {
			seen[kind] = true
			rows = append(rows, []any{a.b.ShopID, string(kind), a.b.ObservedAt})
		}
	}
	return a.tx.Upsert(a.ctx, "observations", []string{"shop_id", "kind"}, []string{"shop_id", "kind", "observed_at"}, rows)
}

// now is the read's instant by our clock.
func (a *applying) now() crm.Instant { return a.b.ObservedAt - crm.Instant(a.shop.Skew) }

// decide compares each fact with what is stored and sorts out what is to be written.
func (a *applying) decide() error {
	var all [facets][]*record
	place := [facets]map[string]int{}
	for _, f := range a.b.Facts {
		r, err := encode(f)
		if err != nil {
			return err
		}
		if place[r.facet] == nil {
			place[r.facet] = make(map[string]int, len(a.b.Facts))
		}
		if i, twice := place[r.facet][r.key]; twice { // a page may repeat a record: the last one read counts
			all[r.facet][i] = r
			continue
		}
		place[r.facet][r.key] = len(all[r.facet])
		all[r.facet] = append(all[r.facet], r)
	}
	if err := a.forgetErased(&all); err != nil {
		return err
	}
	for f, records := range all {
		if err := a.loadStored(&a.m.shapes[f], records, place[f]); err != nil {
			return err
		}
		for _, r := range records {
			a.sort(r)
		}
	}
	return nil
}

func (a *applying) sort(r *record) {
	if r.gone && (r.facet != carts || r.at == 0) {
		r.at = a.now() // nobody says when a record went; it is seen now
	}
	once := a.m.shapes[r.facet].once
	nothing := !r.found && (r.gone || r.silent()) || once && (r.found || r.gone)
	if !nothing && !bytes.Equal(r.was, r.hash) {
		a.noteOrdered(r)
	}
	switch {
	case nothing, r.found && bytes.Equal(r.was, r.hash):
		a.res.Unchanged++
	case a.b.ReadAt != nil && r.wasGone:
		a.res.Unchanged++ // its body outlived it
	case !once && a.outdated(r):
		if !a.skipped[r.ref] {
			a.skipped[r.ref] = true
			a.res.Reread = append(a.res.Reread, r.ref)
		}
	default:
		a.date(r)
		a.res.Applied++
		a.changed[r.facet] = append(a.changed[r.facet], r)
	}
}

// loadStored fills in what the table has of the records.
func (a *applying) loadStored(s *shape, records []*record, place map[string]int) error {
	byKind := map[crm.Kind][]string{}
	for _, r := range records {
		byKind[r.ref.Kind] = append(byKind[r.ref.Kind], r.ref.ID)
	}
	contact := "0"
	if s.contact {
		contact = "contact_id"
	}
	text := "SELECT " + strings.Join(s.keys, ",") + ",hash,observed_at,gone_at," + contact + "," + s.extra[0] + "," + s.extra[1] + " FROM " + s.table + " WHERE shop_id=?"
	for kind, ids := range byKind {
		fixed, where := []any{a.b.ShopID}, " AND id IN (%)"
		if s.keys[0] == "kind" {
			fixed, where = append(fixed, string(kind)), " AND kind=?"+where
		}
		if err := readIn(a.ctx, a.tx, text+where, fixed, ids, func(rows *sqlx.Rows) error {
			var st storedRow
			dest := make([]any, 0, 10)
			for i := range s.keys {
				dest = append(dest, &st.keys[i])
			}
			if err := rows.Scan(append(dest, &st.hash, &st.observed, &st.gone, &st.contact, &st.extra[0], &st.extra[1])...); err != nil {
				return err
			}
			if i, ok := place[strings.Join(st.keys[:len(s.keys)], "\x00")]; ok {
				records[i].remember(st)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// storedRow is the stored side of a record.
type storedRow struct {
	keys    [4]string
	hash    []byte
	gone    int64
	contact int64
	extra   [2]string

	observed crm.Instant
}

func (r *record) remember(st storedRow) {
	r.found, r.wasGone, r.oldContact, r.extra, r.was, r.written = true, st.gone != 0, st.contact, st.extra, st.hash, st.observed
}

// silent is an opt-in field that is not there: without an earlier statement it says nothing worth a row.
func (r *record) silent() bool { return r.facet == optins && r.vals[0] == "" }

// touch notes that a contact's facts changed, with the newest source instant.
func (a *applying) touch(contact int64, at crm.Instant) {
	if contact == 0 {
		return
	}
	a.touched[contact] = max(a.touched[contact], at)
}

// mark marks the touched contacts dirty, those whose consent alone changed with that cause.
func (a *applying) mark() error {
	a.res.Dirty = len(a.touched)
	for contact := range a.consents {
		if _, too := a.touched[contact]; !too {
			a.res.Dirty++
		}
	}
	if err := markDirty(a.ctx, a.tx, a.touched, a.now(), a.b.Cause); err != nil {
		return err
	}
	cause := crm.CauseConsent
	if !a.b.Cause.Triggers() {
		cause = a.b.Cause // neither history nor a new mapping triggers
	}
	return markDirty(a.ctx, a.tx, a.consents, a.now(), cause)
}

// IsDataError tells a refusal of the data by the database (too long, out of range) from a fault of the database.
func IsDataError(err error) bool { return store.DataError(err) }
