package mirror

import (
	"context"
	"fmt"
	"slices"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// States of an erasure.
const (
	Erasing  = "erasing" // recorded and in force; stored rows are being blanked
	IsErased = "erased"  // nothing personal is left in the mirror
)

// Erased says what an erasure is about.
type Erased struct {
	Contacts  []int64     // the contact, those merged with it, and those left over of its other addresses
	Addresses int         // that make nobody known any more
	AskedAt   crm.Instant // of the first wish
	Again     bool        // it was recorded before
}

// erasure is one contact's, on its way.
type erasure struct {
	ContactID  int64 `db:"contact_id"`
	AudienceID int64 `db:"audience_id"`
	Lane       int
	State      string
	Phase      int
	Position   string
	AskedAt    crm.Instant `db:"asked_at"`
	DoneAt     crm.Instant `db:"done_at"`
}

const erasureCols = "contact_id, audience_id, lane, state, phase, position, asked_at, done_at"

func erasures(ctx context.Context, q store.Queryer, where string, args ...any) ([]erasure, error) {
	var out []erasure
	if err := q.SelectContext(ctx, &out, "SELECT "+erasureCols+" FROM contact_erasures WHERE "+where, args...); err != nil {
		return nil, fmt.Errorf("reading erasures: %w", err)
	}
	return out, nil
}

// Erase makes a person unknown: the contact, everybody merged with it, and every address that only they use. When it
// returns, the contact's own data are gone, nothing is sent to it any more, and no shop can make it known again;
// Identities then blanks the rows of its records, page by page. Orders stay, of nobody. The same erasure again changes
// nothing. Errors: ErrNotFound, ErrRefused.
func (m *Mirror) Erase(ctx context.Context, contactID int64, now crm.Instant) (Erased, error) {
	var out Erased
	err := m.db.Write(ctx, "mirror.erase", func(tx *store.Tx) error {
		out = Erased{}
		one, err := m.locked(ctx, tx, contactID)
		if err != nil {
			return err
		}
		who := one[contactID]
		if who.ErasedAt > 0 {
			out = Erased{Contacts: []int64{contactID}, AskedAt: who.ErasedAt, Again: true}
			return nil
		}
		group, norms, err := m.person(ctx, tx, who)
		if err != nil {
			return err
		}
		out = Erased{Contacts: group, Addresses: len(norms), AskedAt: now}
		return m.bury(ctx, tx, who.AudienceID, group, norms, now)
	})
	if err != nil {
		return Erased{}, fmt.Errorf("erasing a contact: %w", err)
	}
	return out, nil
}

// person gives the contacts that are one person with a contact, and the addresses that are nobody else's.
func (m *Mirror) person(ctx context.Context, tx *store.Tx, who identity) (group []int64, norms []string, err error) {
	root := who.ID
	if who.MergedInto != 0 {
		root = who.MergedInto
	}
	from, err := m.MergedFrom(ctx, tx, []int64{root})
	if err != nil {
		return nil, nil, err
	}
	group = append([]int64{root}, from[root]...)
	if err := settledSplits(ctx, tx, group...); err != nil {
		return nil, nil, err
	}
	aliases, err := m.Aliases(ctx, tx, group)
	if err != nil {
		return nil, nil, err
	}
	used := map[string]bool{}
	for _, list := range aliases {
		for _, norm := range list {
			used[norm] = true
		}
	}
	var rows []identity
	if err := tx.SelectContext(ctx, &rows, "SELECT id, audience_id, email_norm, merged_into, erased_at FROM contacts WHERE id IN ("+idList(group)+")"); err != nil {
		return nil, nil, fmt.Errorf("reading contacts: %w", err)
	}
	for _, r := range rows {
		used[r.Norm] = true
	}
	left, err := leftOver(ctx, tx, who.AudienceID, group, used)
	if err != nil {
		return nil, nil, err
	}
	for norm := range used {
		norms = append(norms, norm)
	}
	slices.Sort(norms)
	return append(group, left...), norms, nil
}

// leftOver takes the addresses of other people out of used, and gives the contacts that the others are: nothing refers
// to these any more.
func leftOver(ctx context.Context, tx *store.Tx, audienceID int64, group []int64, used map[string]bool) ([]int64, error) {
	norms := make([]string, 0, len(used))
	for norm := range used {
		norms = append(norms, norm)
	}
	slices.Sort(norms)
	var left []int64
	for chunk := range slices.Chunk(norms, 500) {
		text, args, err := store.In("SELECT id, email_norm, live, merged_into FROM contacts WHERE audience_id=? AND email_norm IN (?) ORDER BY id", audienceID, chunk)
		if err != nil {
			return nil, err
		}
		var rows []struct {
			ID         int64
			Norm       string `db:"email_norm"`
			Live       bool
			MergedInto int64 `db:"merged_into"`
		}
		if err := tx.SelectContext(ctx, &rows, text, args...); err != nil {
			return nil, fmt.Errorf("finding whose addresses these are: %w", err)
		}
		for _, r := range rows {
			switch {
			case slices.Contains(group, r.ID):
			case r.Live || r.MergedInto != 0:
				delete(used, r.Norm)
			default:
				left = append(left, r.ID)
			}
		}
	}
	return left, nil
}

// bury writes what is in force at once. What takes long is left to Identities.
func (m *Mirror) bury(ctx context.Context, tx *store.Tx, audienceID int64, group []int64, norms []string, now crm.Instant) error {
	g, err := digGraves(ctx, tx, audienceID)
	if err != nil {
		return err
	}
	if err := g.bury(ctx, tx, norms, now); err != nil {
		return err
	}
	in := " IN (" + idList(group) + ")"
	for _, text := range []string{
		"UPDATE contact_merges SET state='" + MergeOver + "' WHERE " + inForce + " AND (from_id" + in + " OR to_id" + in + ")",
		"UPDATE contact_merges SET from_email='' WHERE from_id" + in,
		"UPDATE contact_merges SET to_email='' WHERE to_id" + in,
		"DELETE FROM consent_state WHERE contact_id" + in,
		"DELETE FROM contact_stats WHERE contact_id" + in,
	} {
		if _, err := tx.ExecContext(ctx, text); err != nil {
			return err
		}
	}
	var wishes [][]any
	for _, id := range group {
		// The row stays: the ledger's sends are of this contact. Its address becomes one that no address can be.
		if _, err := tx.ExecContext(ctx, `UPDATE contacts SET email='', email_norm=?, first_name='', last_name='', locale='', country='', region='', city='', zone='',
 birthday='', registered_at=0, created_at=0, live=0, merged_into=0, erased_at=? WHERE id=?`, fmt.Sprintf("#erased:%d", id), now, id); err != nil {
			return err
		}
		wishes = append(wishes, []any{id, audienceID, crm.LaneOf(id), Erasing, 0, "", now, 0})
	}
	if err := tx.Insert(ctx, "contact_erasures", []string{"contact_id", "audience_id", "lane", "state", "phase", "position", "asked_at", "done_at"}, wishes); err != nil {
		return err
	}
	if err := depart(ctx, tx, group, DepartedErased, now); err != nil {
		return err
	}
	return m.MarkDirty(ctx, tx, group, now, now, crm.CauseRedefined)
}
