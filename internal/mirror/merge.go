package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// ErrRefused is wrapped by a merge, split or erasure that cannot be: the text says why and what to do, for people.
var ErrRefused = errors.New("refused")

func refused(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrRefused}, args...)...)
}

// States of a merge.
const (
	Merging   = "merging"   // recorded and in force; stored rows are being moved
	Merged    = "merged"    // every row is moved
	Splitting = "splitting" // no longer in force; rows are being moved back
	Split     = "split"     // all is as it was
	MergeOver = "erased"    // the person was erased
)

// Merge is one recorded wish that contact From be one person with contact To.
type Merge struct {
	ID         int64
	AudienceID int64  `db:"audience_id"`
	Lane       int    // of From: its owner moves the rows
	FromID     int64  `db:"from_id"`
	ToID       int64  `db:"to_id"`
	FromEmail  string `db:"from_email"` // normalised
	ToEmail    string `db:"to_email"`
	State      string
	MergedBy   string      `db:"merged_by"`
	MergedAt   crm.Instant `db:"merged_at"`
	UndoneBy   string      `db:"undone_by"`
	UndoneAt   crm.Instant `db:"undone_at"`
	DoneAt     crm.Instant `db:"done_at"` // the rows were moved, or moved back
}

const mergeCols = "id, audience_id, lane, from_id, to_id, from_email, to_email, state, merged_by, merged_at, undone_by, undone_at, done_at"

// inForce is the condition for merges by which records are resolved.
const inForce = "state IN ('" + Merging + "','" + Merged + "')"

// identity is what merging, splitting and erasing know of a contact.
type identity struct {
	ID         int64
	AudienceID int64       `db:"audience_id"`
	Norm       string      `db:"email_norm"`
	MergedInto int64       `db:"merged_into"`
	ErasedAt   crm.Instant `db:"erased_at"`
}

// Merge records that two contacts of an audience are one person: from now on everything of from counts for to, also what
// arrives later for its address. It is in force when Merge returns; Identities moves the stored rows. by says who wishes it.
// The same merge again changes nothing. Errors: ErrNotFound, ErrRefused.
func (m *Mirror) Merge(ctx context.Context, from, to int64, by string, now crm.Instant) (Merge, error) {
	var out Merge
	err := m.db.Write(ctx, "mirror.merge", func(tx *store.Tx) error {
		both, err := m.locked(ctx, tx, from, to)
		if err != nil {
			return err
		}
		a, b := both[from], both[to]
		if out, err = mergeOf(ctx, tx, from, inForce); err == nil && out.ToID == to {
			return nil
		} else if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		if err := mayMerge(ctx, tx, a, b); err != nil {
			return err
		}
		out = Merge{
			ID: tx.NewID(), AudienceID: a.AudienceID, Lane: crm.LaneOf(from), FromID: from, ToID: to, FromEmail: a.Norm, ToEmail: b.Norm,
			State: Merging, MergedBy: clip(by, 255), MergedAt: now,
		}
		if err := tx.Insert(ctx, "contact_merges", strings.Split(mergeCols, ", "), [][]any{{
			out.ID, out.AudienceID, out.Lane, out.FromID, out.ToID, out.FromEmail, out.ToEmail, out.State, out.MergedBy, out.MergedAt, "", 0, 0,
		}}); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE contacts SET merged_into=? WHERE id=?", to, from); err != nil {
			return err
		}
		if err := depart(ctx, tx, []int64{from}, DepartedMerged, now); err != nil {
			return err
		}
		return m.MarkDirty(ctx, tx, []int64{from, to}, now, now, crm.CauseMerge)
	})
	if err != nil {
		return Merge{}, fmt.Errorf("merging contacts: %w", err)
	}
	return out, nil
}

// mayMerge refuses what would not be clear or could not be undone: a merge is one step deep.
func mayMerge(ctx context.Context, tx *store.Tx, a, b identity) error {
	switch {
	case a.ID == b.ID:
		return refused("this is one contact already")
	case a.AudienceID != b.AudienceID:
		return refused("the contacts belong to two audiences; these never mix")
	case a.ErasedAt > 0 || b.ErasedAt > 0:
		return refused("an erased contact cannot be merged")
	case a.MergedInto != 0:
		return refused("contact %d is merged into contact %d already; split it first", a.ID, a.MergedInto)
	case b.MergedInto == a.ID:
		return refused("contact %d is merged into contact %d already, the other way round; split it first", b.ID, a.ID)
	case b.MergedInto != 0:
		return refused("contact %d is itself merged into contact %d: merge into that one", b.ID, b.MergedInto)
	}
	into, err := merges(ctx, tx, "to_id=? AND "+inForce+" ORDER BY id LIMIT 1", a.ID)
	if err != nil {
		return err
	}
	if len(into) > 0 {
		return refused("contact %d is merged into contact %d, and merges do not chain: split it first, or merge the other way round", into[0].FromID, a.ID)
	}
	return settledSplits(ctx, tx, a.ID, b.ID)
}

// settledSplits refuses to act on contacts whose rows are just being moved back.
func settledSplits(ctx context.Context, tx *store.Tx, ids ...int64) error {
	for _, id := range ids {
		open, err := merges(ctx, tx, "state='"+Splitting+"' AND (from_id=? OR to_id=?) LIMIT 1", id, id)
		if err != nil {
			return err
		}
		if len(open) > 0 {
			return refused("contacts %d and %d are just being split; try again in a moment", open[0].FromID, open[0].ToID)
		}
	}
	return nil
}

// Split takes a merge back: everything of from is its own again, as if it had never been merged. It is in force when
// Split returns; Identities moves the stored rows back. A split that is under way or done is given as it is.
// Errors: ErrNotFound, ErrRefused.
func (m *Mirror) Split(ctx context.Context, from int64, by string, now crm.Instant) (Merge, error) {
	var out Merge
	err := m.db.Write(ctx, "mirror.split", func(tx *store.Tx) error {
		one, err := m.locked(ctx, tx, from)
		if err != nil {
			return err
		}
		if one[from].ErasedAt > 0 {
			return refused("an erased contact cannot be split")
		}
		out, err = mergeOf(ctx, tx, from, "state<>''")
		switch {
		case errors.Is(err, ErrNotFound):
			return refused("contact %d is not merged into another", from)
		case err != nil:
			return err
		case out.State == Splitting || out.State == Split:
			return nil
		}
		out.State, out.UndoneBy, out.UndoneAt, out.DoneAt = Splitting, clip(by, 255), now, 0
		if _, err := tx.ExecContext(ctx, "UPDATE contact_merges SET state=?, undone_by=?, undone_at=?, done_at=0 WHERE id=?", Splitting, out.UndoneBy, now, out.ID); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE contacts SET merged_into=0 WHERE id=?", from); err != nil {
			return err
		}
		return m.MarkDirty(ctx, tx, []int64{out.FromID, out.ToID}, now, now, crm.CauseMerge)
	})
	if err != nil {
		return Merge{}, fmt.Errorf("splitting contacts: %w", err)
	}
	return out, nil
}

// MergesOf lists the merges that a contact takes or took part in, newest first.
func (m *Mirror) MergesOf(ctx context.Context, q store.Queryer, contactID int64) ([]Merge, error) {
	return merges(ctx, q, "from_id=? OR to_id=? ORDER BY id DESC", contactID, contactID)
}

// MergedFrom gives, per contact, the contacts that are merged into it. Called wherever a person's past counts: at the
// gate, and when somebody would take part in a campaign again.
func (m *Mirror) MergedFrom(ctx context.Context, q store.Queryer, ids []int64) (map[int64][]int64, error) {
	out := map[int64][]int64{}
	if len(ids) == 0 {
		return out, nil
	}
	list, err := merges(ctx, q, "to_id IN ("+idList(ids)+") AND "+inForce+" ORDER BY id")
	for _, x := range list {
		out[x.ToID] = append(out[x.ToID], x.FromID)
	}
	return out, err
}

func merges(ctx context.Context, q store.Queryer, where string, args ...any) ([]Merge, error) {
	var out []Merge
	if err := q.SelectContext(ctx, &out, "SELECT "+mergeCols+" FROM contact_merges WHERE "+where, args...); err != nil {
		return nil, fmt.Errorf("reading merges: %w", err)
	}
	return out, nil
}

// mergeOf is the newest merge of a contact into another.
func mergeOf(ctx context.Context, q store.Queryer, from int64, where string) (Merge, error) {
	list, err := merges(ctx, q, "from_id=? AND "+where+" ORDER BY id DESC LIMIT 1", from)
	if err != nil {
		return Merge{}, err
	}
	if len(list) == 0 {
		return Merge{}, ErrNotFound
	}
	return list[0], nil
}

// locked reads contacts while nobody applies facts to their audience, and keeps it so until the transaction ends.
func (m *Mirror) locked(ctx context.Context, tx *store.Tx, ids ...int64) (map[int64]identity, error) {
	out := map[int64]identity{}
	var audiences []int64
	for _, lockedNow := range []bool{false, true} { // the audience must be known before its shops can be held still
		var rows []identity
		if err := tx.SelectContext(ctx, &rows, "SELECT id, audience_id, email_norm, merged_into, erased_at FROM contacts WHERE id IN ("+idList(ids)+")"); err != nil {
			return nil, fmt.Errorf("reading contacts: %w", err)
		}
		for _, r := range rows {
			out[r.ID] = r
			audiences = append(audiences, r.AudienceID)
		}
		if lockedNow {
			break
		}
		slices.Sort(audiences)
		for _, id := range slices.Compact(audiences) {
			if err := m.holdShops(ctx, tx, id); err != nil {
				return nil, err
			}
		}
	}
	for _, id := range ids {
		if _, ok := out[id]; !ok {
			return nil, ErrNotFound
		}
	}
	return out, nil
}

// holdShops waits until no transaction applies facts to a shop of the audience, and lets none begin until this one ends.
// Without this, facts
// resolved before a merge could be committed after its last row was moved.
func (m *Mirror) holdShops(ctx context.Context, tx *store.Tx, audienceID int64) error {
	shops, err := shopsOf(ctx, tx, audienceID)
	if err != nil {
		return err
	}
	for _, id := range shops { // in one order for all
		if err := store.Hold(ctx, tx, store.ShopLease(id)); err != nil {
			return err
		}
		// A shop that only sends has no lease: its senders take turns by this row.
		if _, err := tx.ExecContext(ctx, "UPDATE observations SET observed_at=observed_at+0 WHERE shop_id=? AND kind=?", id, sent); err != nil {
			return fmt.Errorf("waiting for a shop's senders: %w", err)
		}
	}
	return nil
}

func shopsOf(ctx context.Context, q store.Queryer, audienceID int64) ([]int64, error) {
	var ids []int64
	if err := q.SelectContext(ctx, &ids, "SELECT id FROM shops WHERE audience_id=? ORDER BY id", audienceID); err != nil {
		return nil, fmt.Errorf("listing the shops of an audience: %w", err)
	}
	return ids, nil
}

// Why a contact departed: what the mailer is told.
const (
	DepartedMerged = "merged"
	DepartedErased = "erased"
)

// Departure is the news that nothing more is to be sent to a contact as such.
type Departure struct {
	ContactID int64 `db:"contact_id"`
	Lane      int
	Why       string
}

func depart(ctx context.Context, tx *store.Tx, ids []int64, why string, now crm.Instant) error {
	var rows [][]any
	for _, id := range ids {
		rows = append(rows, []any{id, crm.LaneOf(id), why, now})
	}
	if err := tx.Upsert(ctx, "departures", []string{"contact_id"}, []string{"contact_id", "lane", "why", "at"}, rows); err != nil {
		return fmt.Errorf("telling the mailer: %w", err)
	}
	return nil
}

// Departures lists those of the lanes that the mailer has not dealt with.
func (m *Mirror) Departures(ctx context.Context, q store.Queryer, lanes []int, limit int) ([]Departure, error) {
	if len(lanes) == 0 {
		return nil, nil
	}
	text, args, err := store.In("SELECT contact_id, lane, why FROM departures WHERE lane IN (?) ORDER BY lane, contact_id LIMIT ?", lanes, limit)
	if err != nil {
		return nil, err
	}
	var out []Departure
	if err := q.SelectContext(ctx, &out, text, args...); err != nil {
		return nil, fmt.Errorf("reading departures: %w", err)
	}
	return out, nil
}

// DoneDeparture forgets one, unless its reason is another by now. The caller has fenced its lane.
func (m *Mirror) DoneDeparture(ctx context.Context, tx *store.Tx, d Departure) error {
	if _, err := tx.ExecContext(ctx, "DELETE FROM departures WHERE contact_id=? AND why=?", d.ContactID, d.Why); err != nil {
		return fmt.Errorf("forgetting a departure: %w", err)
	}
	return nil
}
