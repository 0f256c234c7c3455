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
	// An inner join would let MariaDB begin with the definition and read the whole segment.
	text, args, err := store.In(`SELECT m.contact_id, COALESCE(d.state, '') AS state FROM memberships m
 LEFT JOIN segment_defs d ON d.segment=m.segment AND d.generation=m.generation WHERE m.contact_id IN (?) AND m.segment=?`, contactIDs, segment)
	if err != nil {
		return nil, fmt.Errorf("reading memberships: %w", err)
	}
	var rows []struct {
		ContactID int64 `db:"contact_id"`
		State     string
	}
	if err := q.SelectContext(ctx, &rows, text, args...); err != nil {
		return nil, fmt.Errorf("reading memberships: %w", err)
	}
	for _, r := range rows {
		if r.State == StateLive {
			members[r.ContactID] = true
		}
	}
	return members, nil
}
