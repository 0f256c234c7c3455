package segments

import (
	"context"
	"fmt"

	"github.com/relance/relance/internal/store"
)

// MembersAmong tells which of the contacts (≤ 500 ids) are in the segment, in one question; IsMember says when. The
// mailer asks it about a batch of mails.
func MembersAmong(ctx context.Context, q store.Queryer, contactIDs []int64, segment string) (map[int64]bool, error) {
	members := map[int64]bool{}
	if len(contactIDs) == 0 {
		return members, nil
	}
	text, args, err := store.In(`SELECT m.contact_id FROM memberships m JOIN segment_defs d ON d.segment=m.segment AND d.generation=m.generation
 WHERE m.contact_id IN (?) AND m.segment=? AND d.state='live'`, contactIDs, segment)
	if err != nil {
		return nil, fmt.Errorf("reading memberships: %w", err)
	}
	var ids []int64
	if err := q.SelectContext(ctx, &ids, text, args...); err != nil {
		return nil, fmt.Errorf("reading memberships: %w", err)
	}
	for _, id := range ids {
		members[id] = true
	}
	return members, nil
}
