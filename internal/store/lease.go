package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// ErrLost means that a lease needed by a transaction is no longer ours: drop the work, somebody else has it.
var ErrLost = errors.New("lease lost to another process")

// Leases holds this process's named leases ("lane:0" … "lane:63", "shop:<id>"). All time is the database's clock.
// A deciding transaction calls Fence first: it writes the lease rows, which is what keeps a process that was
// paused too long from deciding anything (a read would be no fence on Galera).
type Leases struct {
	db    *DB
	owner string
	ttl   time.Duration

	mu     sync.Mutex
	epochs map[string]int64 // held leases
}

// NewLeases makes a holder; owner is unique to this process start.
func NewLeases(db *DB, owner string, ttl time.Duration) *Leases {
	return &Leases{db: db, owner: owner, ttl: ttl, epochs: map[string]int64{}}
}

// Acquire takes or renews those of the names that are free, expired or ours, and returns the ones now held, sorted.
func (l *Leases) Acquire(ctx context.Context, names ...string) ([]string, error) {
	got := map[string]int64{}
	err := l.db.Write(ctx, "store.lease", func(tx *Tx) error {
		clear(got)
		for _, name := range names {
			epoch, err := l.acquire(ctx, tx, name)
			if err != nil {
				return err
			}
			if epoch > 0 {
				got[name] = epoch
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("taking leases: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range names {
		delete(l.epochs, name)
	}
	maps.Copy(l.epochs, got)
	return slices.Sorted(maps.Keys(got)), nil
}

func (l *Leases) acquire(ctx context.Context, tx *Tx, name string) (epoch int64, err error) {
	now := l.db.dialect.NowMillis()
	until := now + "+" + fmt.Sprint(l.ttl.Milliseconds())
	l.mu.Lock()
	held := l.epochs[name]
	l.mu.Unlock()
	if held > 0 { // renewing keeps the epoch
		n, err := Matched(tx.ExecContext(ctx, "UPDATE leases SET until_ms="+until+" WHERE name=? AND owner=? AND epoch=?", name, l.owner, held))
		if err != nil || n == 1 {
			return held, err
		}
	}
	var row struct {
		Epoch int64
		Free  bool
	}
	err = tx.GetContext(ctx, &row, "SELECT epoch, until_ms < "+now+" AS free FROM leases WHERE name=?", name)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		err = tx.Insert(ctx, "leases", []string{"name", "owner", "epoch", "until_ms", "touched"}, [][]any{{name, l.owner, 1, 0, 0}})
		if l.db.dialect.Duplicate(err) {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		_, err = tx.ExecContext(ctx, "UPDATE leases SET until_ms="+until+" WHERE name=?", name)
		return 1, err
	case err != nil:
		return 0, err
	case !row.Free:
		return 0, nil
	}
	n, err := Matched(tx.ExecContext(ctx,
		"UPDATE leases SET owner=?, epoch=epoch+1, until_ms="+until+" WHERE name=? AND epoch=? AND until_ms < "+now, l.owner, name, row.Epoch))
	if err != nil || n != 1 {
		return 0, err
	}
	return row.Epoch + 1, nil
}

// TTL is how long a lease outlives its last renewal; renew every third of it.
func (l *Leases) TTL() time.Duration { return l.ttl }

// Held lists what Acquire last won, sorted. It is a hint; Fence decides.
func (l *Leases) Held() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(maps.Keys(l.epochs))
}

// Fence is the first statement of a deciding transaction: it writes the rows of the names and fails with ErrLost
// unless every one is still ours with the epoch under which we took it.
func (l *Leases) Fence(ctx context.Context, tx *Tx, names ...string) error {
	byEpoch := map[int64][]any{}
	l.mu.Lock()
	for _, name := range names {
		epoch, ok := l.epochs[name]
		if !ok {
			l.mu.Unlock()
			return fmt.Errorf("%w: %s", ErrLost, name)
		}
		byEpoch[epoch] = append(byEpoch[epoch], name)
	}
	l.mu.Unlock()
	for _, epoch := range slices.Sorted(maps.Keys(byEpoch)) {
		group := byEpoch[epoch]
		marks := strings.TrimSuffix(strings.Repeat("?,", len(group)), ",")
		args := append([]any{l.owner, epoch}, group...)
		n, err := Matched(tx.ExecContext(ctx, "UPDATE leases SET touched=touched+1 WHERE owner=? AND epoch=? AND name IN ("+marks+")", args...))
		if err != nil {
			return err
		}
		if n != int64(len(group)) {
			return ErrLost
		}
	}
	return nil
}

// Release gives the leases back at once, so that a successor need not wait for them to expire.
func (l *Leases) Release(ctx context.Context) error {
	held := l.Held()
	err := l.db.Write(ctx, "store.release", func(tx *Tx) error {
		for _, name := range held {
			if _, err := tx.ExecContext(ctx, "UPDATE leases SET until_ms=0 WHERE name=? AND owner=?", name, l.owner); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("releasing leases: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.epochs)
	return nil
}

// LaneLeases names the lease of every lane.
func LaneLeases(lanes int) []string {
	names := make([]string, lanes)
	for i := range names {
		names[i] = LaneLease(i)
	}
	return names
}

// LaneLease names the lease of one lane.
func LaneLease(lane int) string { return fmt.Sprintf("lane:%d", lane) }

// ShopLease names the lease of one shop.
func ShopLease(shopID int64) string { return fmt.Sprintf("shop:%d", shopID) }

// ExpireAll lets every lease go, whoever holds it. Only for the process that holds the SQLite file's lock: it
// knows that every other owner is dead and need not wait for their leases to run out.
func (l *Leases) ExpireAll(ctx context.Context) error {
	return l.db.Write(ctx, "store.expire", func(tx *Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE leases SET until_ms=0 WHERE owner<>?", l.owner)
		return err
	})
}
