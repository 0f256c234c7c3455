package mirror

import (
	"context"
	"fmt"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// Streams gives the stored positions of a shop.
func (m *Mirror) Streams(ctx context.Context, shopID int64) ([]Stream, error) {
	var out []Stream
	if err := m.db.Read().SelectContext(ctx, &out, `SELECT shop_id, stream, kind, mode, part, cursor_at, backfilled_at, run_started_at, run_done_at, read_at,
 wanted_at, next_at, source_count, counted_at, attempts, error FROM streams WHERE shop_id=? ORDER BY stream`, shopID); err != nil {
		return nil, fmt.Errorf("reading stream positions: %w", err)
	}
	return out, nil
}

// SaveStream writes one position. WantedAt is not written: it belongs to those who ask (RequestRead), and an engine that
// read it earlier must not take a newer wish back.
func (m *Mirror) SaveStream(ctx context.Context, tx *store.Tx, s Stream) error {
	cols := []string{
		"shop_id", "stream", "kind", "mode", "part", "cursor_at", "backfilled_at", "run_started_at", "run_done_at",
		"read_at", "next_at", "source_count", "counted_at", "attempts", "error",
	}
	row := []any{
		s.ShopID, s.Stream, string(s.Kind), string(s.Mode), flag(s.Part), s.Cursor, s.BackfilledAt, s.RunStartedAt, s.RunDoneAt,
		s.ReadAt, s.NextAt, s.SourceCount, s.CountedAt, s.Attempts, clip(s.Error, 1000),
	}
	if err := tx.Upsert(ctx, "streams", []string{"shop_id", "stream"}, cols, [][]any{row}); err != nil {
		return fmt.Errorf("saving a stream's position: %w", err)
	}
	return nil
}

func kindNames(kinds []crm.Kind) []string {
	out := make([]string, len(kinds))
	for i, k := range kinds {
		out[i] = string(k)
	}
	return out
}

// RequestRead asks that every delta stream of the kinds be read again, by a run started at or after at.
// The gate calls it before a mail; the shop's engine sees it as Stream.WantedAt.
func (m *Mirror) RequestRead(ctx context.Context, tx *store.Tx, shopID int64, kinds []crm.Kind, at crm.Instant) error {
	text, args, err := store.In("UPDATE streams SET wanted_at=? WHERE shop_id=? AND kind IN (?) AND mode IN ('delta','') AND wanted_at<?",
		at, shopID, kindNames(kinds), at)
	if err == nil {
		_, err = tx.ExecContext(ctx, text, args...)
	}
	if err != nil {
		return fmt.Errorf("asking for a read: %w", err)
	}
	return nil
}

// Freshness is how lately a shop was read.
type Freshness struct {
	Read  crm.Instant // when the oldest of the newest complete runs began; 0 = something has never been read whole
	Sends bool        // it sends by itself and is as fresh as can be: nothing could be asked of it
}

// Since tells whether everything has been read in a run that started at or after an instant.
func (f Freshness) Since(at crm.Instant) bool { return f.Sends || f.Read > 0 && f.Read >= at }

// Freshness looks at every delta stream of the kinds. A kind without a stream of its own (WooCommerce's carts come with its
// orders) asks for nothing; a shop without any stream has never been read.
func (m *Mirror) Freshness(ctx context.Context, q store.Queryer, shopID int64, kinds []crm.Kind) (Freshness, error) {
	text, args, err := store.In(`SELECT COALESCE(MIN(read_at),0) AS oldest, (SELECT COUNT(*) FROM shops WHERE id=? AND platform IN (?)) AS sends
 FROM streams WHERE shop_id=? AND kind IN (?) AND mode IN ('delta','')`, shopID, sendsByItself(), shopID, kindNames(kinds))
	if err != nil {
		return Freshness{}, fmt.Errorf("asking how fresh a shop is: %w", err)
	}
	var row struct {
		Oldest crm.Instant
		Sends  int
	}
	if err := q.GetContext(ctx, &row, text, args...); err != nil {
		return Freshness{}, fmt.Errorf("asking how fresh a shop is: %w", err)
	}
	return Freshness{Read: row.Oldest, Sends: row.Sends > 0}, nil
}

// ReadSince tells whether a shop is fresh enough: see Freshness.
func (m *Mirror) ReadSince(ctx context.Context, q store.Queryer, shopID int64, kinds []crm.Kind, since crm.Instant) (bool, error) {
	f, err := m.Freshness(ctx, q, shopID, kinds)
	return err == nil && f.Since(since), err
}
