package store

import (
	"context"
	"fmt"
)

// Hold makes the owner of a lease wait with its deciding transactions until tx has ended, and tx wait for one that is
// under way. It takes nothing over and does not ask who the owner is; without a lease of the name nothing happens.
func Hold(ctx context.Context, tx *Tx, name string) error {
	if _, err := tx.ExecContext(ctx, "UPDATE leases SET touched=touched+1 WHERE name=?", name); err != nil {
		return fmt.Errorf("waiting for the owner of %s: %w", name, err)
	}
	return nil
}
