package mirror

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

const (
	// identityPage bounds the rows of one transaction of a merge, split or erasure.
	identityPage = 200
	// identityIdle is how long wishes recorded by another process may wait to be seen.
	identityIdle = time.Second
)

// Identities carries out recorded merges, splits and erasures, a page of rows per transaction, each fenced by the lane
// of the contact that merges, is split off or erased. What a crash interrupts goes on where it was: each transaction
// looks for what is left.
type Identities struct {
	m      *Mirror
	leases *store.Leases
	page   int
}

// NewIdentities makes one. One goroutine calls Step.
func NewIdentities(m *Mirror, leases *store.Leases) *Identities {
	return &Identities{m: m, leases: leases, page: identityPage}
}

// Step carries on one wish whose lane this process holds. It implements loop.Step; now is business time.
func (i *Identities) Step(ctx context.Context, now time.Time) (next time.Time, worked bool, err error) {
	idle := now.Add(identityIdle)
	lanes := heldLanes(i.leases)
	if len(lanes) == 0 {
		return idle, false, nil
	}
	job, erasure, err := i.open(ctx, lanes)
	switch {
	case err != nil:
		return idle, false, err
	case job != nil:
		err = i.moveOn(ctx, *job, crm.At(now))
	case erasure != nil:
		err = i.eraseOn(ctx, *erasure, crm.At(now))
	default:
		return idle, false, nil
	}
	if errors.Is(err, store.ErrLost) { // the lane is somebody else's by now, and so is the wish
		return idle, false, nil
	}
	if err != nil {
		return idle, false, err
	}
	return now, true, nil
}

// open finds one wish that is not carried out.
func (i *Identities) open(ctx context.Context, lanes string) (*Merge, *erasure, error) {
	q := i.m.db.Read()
	jobs, err := merges(ctx, q, "state IN ('"+Merging+"','"+Splitting+"') AND lane IN ("+lanes+") ORDER BY id LIMIT 1")
	if err != nil {
		return nil, nil, err
	}
	if len(jobs) > 0 {
		return &jobs[0], nil, nil
	}
	wishes, err := erasures(ctx, q, "state='"+Erasing+"' AND lane IN ("+lanes+") ORDER BY asked_at, contact_id LIMIT 1")
	if err != nil || len(wishes) == 0 {
		return nil, nil, err
	}
	return nil, &wishes[0], nil
}

// heldLanes lists the numbers of the lanes held, for IN (…).
func heldLanes(leases *store.Leases) string {
	var lanes []string
	for _, name := range leases.Held() {
		if n, ok := strings.CutPrefix(name, "lane:"); ok {
			if _, err := strconv.Atoi(n); err == nil {
				lanes = append(lanes, n)
			}
		}
	}
	return strings.Join(lanes, ",")
}

// moveOn moves the next page of rows of a merge or back, brings both contacts in line with their rows, and ends the
// wish when nothing is left.
func (i *Identities) moveOn(ctx context.Context, wish Merge, now crm.Instant) error {
	name := "mirror.merge_rows"
	if wish.State == Splitting {
		name = "mirror.split_rows"
	}
	err := i.m.db.WriteBackground(ctx, name, func(tx *store.Tx) error {
		if err := i.leases.Fence(ctx, tx, store.LaneLease(wish.Lane)); err != nil {
			return err
		}
		if err := i.m.holdShops(ctx, tx, wish.AudienceID); err != nil {
			return err
		}
		same, err := merges(ctx, tx, "id=? AND state=?", wish.ID, wish.State)
		if err != nil || len(same) == 0 { // somebody wished otherwise meanwhile
			return err
		}
		moved, left, err := moveRows(ctx, tx, wish, i.page)
		if err != nil {
			return err
		}
		shops := slices.Sorted(maps.Keys(moved))
		if !left {
			if shops, err = shopsOf(ctx, tx, wish.AudienceID); err != nil {
				return err
			}
			if err := endMerge(ctx, tx, wish, now); err != nil {
				return err
			}
		}
		if err := i.m.recomputePeople(ctx, tx, shops, []int64{wish.FromID, wish.ToID}, now); err != nil {
			return err
		}
		return i.m.MarkDirty(ctx, tx, []int64{wish.FromID, wish.ToID}, now, now, crm.CauseMerge)
	})
	if err != nil {
		return fmt.Errorf("moving what belongs to a merged contact: %w", err)
	}
	return nil
}

func endMerge(ctx context.Context, tx *store.Tx, wish Merge, now crm.Instant) error {
	state := Merged
	if wish.State == Splitting {
		state = Split
	}
	_, err := tx.ExecContext(ctx, "UPDATE contact_merges SET state=?, done_at=? WHERE id=?", state, now, wish.ID)
	return err
}

// movedTable is a table whose rows follow a merge. Opt-ins and statements do not: a consent is about the address that
// it was given for.
type movedTable struct {
	table   string
	account bool // its rows belong to the contact of the account that they name, if that has one
}

func movedTables() []movedTable {
	return []movedTable{{"customers", false}, {"orders", true}, {"carts", true}, {"events", true}} // accounts first: the others look at them
}

type recordID struct {
	ShopID int64 `db:"shop_id"`
	ID     string
}

// moveRows moves at most limit rows and gives their shops; left tells that there may be more.
func moveRows(ctx context.Context, tx *store.Tx, wish Merge, limit int) (shops map[int64]bool, left bool, err error) {
	shops = map[int64]bool{}
	for _, t := range movedTables() {
		if limit <= 0 {
			return shops, true, nil
		}
		to, query, args := wish.ToID, "SELECT shop_id, id FROM "+t.table+" WHERE contact_id=? ORDER BY shop_id, id LIMIT ?", []any{wish.FromID, limit}
		if wish.State == Splitting {
			to, query, args = wish.FromID, t.owned(), []any{wish.ToID, wish.FromID, wish.FromEmail, limit}
			if !t.account {
				args = []any{wish.ToID, wish.FromEmail, limit}
			}
		}
		var rows []recordID
		if err := tx.SelectContext(ctx, &rows, query, args...); err != nil {
			return nil, false, err
		}
		updates := make([][]any, 0, len(rows))
		for _, r := range rows {
			shops[r.ShopID] = true
			updates = append(updates, []any{to, r.ShopID, r.ID})
		}
		if err := execEach(ctx, tx, "UPDATE "+t.table+" SET contact_id=? WHERE shop_id=? AND id=?", updates); err != nil {
			return nil, false, err
		}
		limit -= len(rows)
	}
	return shops, limit <= 0, nil
}

// owned finds the rows of a contact that are another's of the given address: whose a record is says the record itself,
// so a split needs no memory of what the merge moved.
func (t movedTable) owned() string {
	if !t.account {
		return "SELECT shop_id, id FROM " + t.table + " WHERE contact_id=? AND email_norm=? ORDER BY shop_id, id LIMIT ?"
	}
	return "SELECT o.shop_id, o.id FROM " + t.table + ` o LEFT JOIN customers k ON k.shop_id=o.shop_id AND k.id=o.customer_id AND k.gone_at=0 AND k.contact_id<>0
 WHERE o.contact_id=? AND (k.contact_id=? OR (k.id IS NULL AND o.email_norm=?)) ORDER BY o.shop_id, o.id LIMIT ?`
}

// recomputePeople brings contacts and their statistics of the shops in line with the rows.
func (m *Mirror) recomputePeople(ctx context.Context, tx *store.Tx, shops, contacts []int64, now crm.Instant) error {
	for _, shopID := range shops {
		a := &applying{ctx: ctx, m: m, tx: tx, b: Batch{ShopID: shopID, ObservedAt: now}, touched: map[int64]crm.Instant{}}
		if err := tx.GetContext(ctx, &a.shop, "SELECT name, platform, audience_id, currency, skew_ms FROM shops WHERE id=?", shopID); err != nil {
			return fmt.Errorf("finding the shop: %w", err)
		}
		for _, id := range contacts {
			a.touched[id] = now
		}
		if err := a.recompute(); err != nil {
			return err
		}
	}
	return nil
}
