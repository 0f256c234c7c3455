package segments

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// Keys of the meta table.
const (
	metaWatermark = "segments.watermark" // UTC ms: memberships are exact as of it
	metaClock     = "segments.clock"     // UTC ms: the latest now that anything was evaluated at
)

func readMeta(ctx context.Context, q store.Queryer, name string) (crm.Instant, error) {
	var text string
	err := q.GetContext(ctx, &text, "SELECT value FROM meta WHERE name=?", name)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading %s: %w", name, err)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading %s: %w", name, err)
	}
	return crm.Instant(n), nil
}

// raiseMeta writes an instant unless a later one is stored.
func raiseMeta(ctx context.Context, tx *store.Tx, name string, at crm.Instant) error {
	stored, err := readMeta(ctx, tx, name)
	if err != nil || stored >= at {
		return err
	}
	if err := tx.Upsert(ctx, "meta", []string{"name"}, []string{"name", "value"}, [][]any{{name, strconv.FormatInt(int64(at), 10)}}); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

// list writes ids for IN (…): numbers of ours need no placeholder.
func list(ids []int64) string {
	b := make([]byte, 0, 20*len(ids))
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, id, 10)
	}
	return string(b)
}

// allLanes lists every lane.
func allLanes() []int {
	out := make([]int, crm.Lanes)
	for i := range out {
		out[i] = i
	}
	return out
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}
