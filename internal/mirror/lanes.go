package mirror

import (
	"context"
	"fmt"

	"github.com/relance/relance/internal/store"
)

// LaneContacts pages through the live contacts of one lane by id; the maintainer of segments streams them for builds.
func (m *Mirror) LaneContacts(ctx context.Context, q store.Queryer, lane int, after int64, limit int) ([]int64, error) {
	var ids []int64
	if err := q.SelectContext(ctx, &ids, "SELECT id FROM contacts WHERE lane=? AND id>? AND live=1 ORDER BY id LIMIT ?", lane, after, limit); err != nil {
		return nil, fmt.Errorf("listing the contacts of a lane: %w", err)
	}
	return ids, nil
}

// LiveAmong tells which of the contacts are live: an account, an order or a cart refers to them.
func (m *Mirror) LiveAmong(ctx context.Context, q store.Queryer, ids []int64) (map[int64]bool, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var live []int64
	if err := q.SelectContext(ctx, &live, "SELECT id FROM contacts WHERE live=1 AND id IN ("+idList(ids)+")"); err != nil {
		return nil, fmt.Errorf("asking which contacts are live: %w", err)
	}
	out := make(map[int64]bool, len(live))
	for _, id := range live {
		out[id] = true
	}
	return out, nil
}

// DirtyOf gives the marks of the contacts that have one.
func (m *Mirror) DirtyOf(ctx context.Context, q store.Queryer, ids []int64) (map[int64]Dirty, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var marks []Dirty
	if err := q.SelectContext(ctx, &marks, "SELECT contact_id, generation, source_at, marked_at, cause FROM dirty WHERE contact_id IN ("+idList(ids)+")"); err != nil {
		return nil, fmt.Errorf("reading the dirty marks of contacts: %w", err)
	}
	out := make(map[int64]Dirty, len(marks))
	for _, d := range marks {
		out[d.ContactID] = d
	}
	return out, nil
}
