package mirror

import (
	"context"
	"fmt"
	"strings"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// Touch says that campaigns which facts start are to look at a contact: at once, or when DueAt has come. It is written
// in the transaction that makes the reason visible and deleted WHERE generation = ? with what came of it.
type Touch struct {
	ContactID  int64 `db:"contact_id"`
	Lane       int
	Generation int64
	SourceAt   crm.Instant `db:"source_at"` // newest source instant behind it
	DueAt      crm.Instant `db:"due_at"`    // 0 = at once
}

// WriteTouches writes touches; one that stands is replaced and gets another generation.
func WriteTouches(ctx context.Context, tx *store.Tx, touches []Touch) error {
	rows := make([][]any, 0, len(touches))
	for _, t := range touches {
		rows = append(rows, []any{t.ContactID, crm.LaneOf(t.ContactID), tx.NewID(), t.SourceAt, t.DueAt})
	}
	if err := tx.Upsert(ctx, "touches", []string{"contact_id"}, []string{"contact_id", "lane", "generation", "source_at", "due_at"}, rows); err != nil {
		return fmt.Errorf("telling campaigns of contacts: %w", err)
	}
	return nil
}

// Touches gives up to limit touches of the lanes that are due at now.
func Touches(ctx context.Context, q store.Queryer, lanes []int, now crm.Instant, limit int) ([]Touch, error) {
	var out []Touch
	text, args, err := store.In("SELECT contact_id, lane, generation, source_at, due_at FROM touches WHERE lane IN (?) AND due_at<=? ORDER BY lane, due_at LIMIT ?", lanes, now, limit)
	if err == nil {
		err = q.SelectContext(ctx, &out, text, args...)
	}
	if err != nil {
		return nil, fmt.Errorf("reading whom facts touched: %w", err)
	}
	return out, nil
}

// DoneTouches ends touches whose DueAt is 0 and puts the others off until then, WHERE generation = ?: a contact that was
// touched again meanwhile stays so.
func DoneTouches(ctx context.Context, tx *store.Tx, touches []Touch) error {
	var later [][]any
	var done []string
	for _, t := range touches {
		if t.DueAt > 0 {
			later = append(later, []any{t.DueAt, t.ContactID, t.Generation})
		} else {
			done = append(done, fmt.Sprintf("contact_id=%d AND generation=%d", t.ContactID, t.Generation))
		}
	}
	if err := execEach(ctx, tx, "UPDATE touches SET due_at=? WHERE contact_id=? AND generation=?", later); err != nil {
		return fmt.Errorf("putting touches off: %w", err)
	}
	for len(done) > 0 {
		n := min(len(done), clearPage)
		if _, err := tx.ExecContext(ctx, "DELETE FROM touches WHERE "+strings.Join(done[:n], " OR ")); err != nil {
			return fmt.Errorf("ending touches: %w", err)
		}
		done = done[n:]
	}
	return nil
}
