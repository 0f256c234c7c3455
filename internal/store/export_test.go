package store

import (
	"context"
	"fmt"
)

// SetBusyTimeout shortens the wait for another program's lock.
func SetBusyTimeout(ctx context.Context, db *DB, ms int) error {
	_, err := db.writers.ExecContext(ctx, fmt.Sprintf("PRAGMA busy_timeout=%d", ms))
	return err
}

// Waiting counts the writers in the queue.
func Waiting(db *DB) int {
	db.gate.mu.Lock()
	defer db.gate.mu.Unlock()
	return len(db.gate.waiting[0]) + len(db.gate.waiting[1])
}
