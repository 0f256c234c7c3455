package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/relance/relance/config"
	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/mailer"
)

// metaKeys is the row of meta that names the keys which may have signed links in mails, as ids with spaces between.
const metaKeys = "keys"

// openKeys reads the keys, or makes the first one. The database remembers which keys it has seen: once a mail has been
// sent, a file that lacks one of them is refused, for every link that it signed would be dead.
func openKeys(ctx context.Context, db *store.DB, k config.Keys, now time.Time) (mailer.Keys, error) {
	if err := checkKeys(ctx, db, k); err != nil {
		return nil, err
	}
	keys, err := k.Read()
	if errors.Is(err, os.ErrNotExist) {
		keys, err = k.Make(now)
	}
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, key := range keys {
		ids = append(ids, key.ID)
	}
	seen, err := seenKeys(ctx, db)
	if err != nil || slices.Equal(seen, ids) {
		return keys, err
	}
	err = db.Write(ctx, "cmd.keys", func(tx *store.Tx) error {
		return tx.Upsert(ctx, "meta", []string{"name"}, []string{"name", "value"}, [][]any{{metaKeys, strings.Join(ids, " ")}})
	})
	if err != nil {
		return nil, fmt.Errorf("remembering the keys: %w", err)
	}
	return keys, nil
}

// checkKeys fails when mail has been sent and its keys are not in the file.
func checkKeys(ctx context.Context, db *store.DB, k config.Keys) error {
	seen, err := seenKeys(ctx, db)
	if err != nil || len(seen) == 0 {
		return err
	}
	var sent []int64
	if err := db.Read().SelectContext(ctx, &sent, "SELECT id FROM sends WHERE handed_at>0 LIMIT 1"); err != nil {
		return fmt.Errorf("asking whether mail has been sent: %w", err)
	}
	if len(sent) == 0 {
		return nil
	}
	keys, err := k.Read()
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, id := range seen {
		if !slices.ContainsFunc(keys, func(key mailer.Key) bool { return key.ID == id }) {
			return &fault.Error{
				Class: fault.Operator, Op: "reading the keys", Err: fmt.Errorf("key %s is not in %s, and mail has been sent that it signed", id, k.File),
				Hint: "Restore the file from a backup or from the other machines: without it the unsubscribe links in those mails are dead",
			}
		}
	}
	return nil
}

func seenKeys(ctx context.Context, db *store.DB) ([]string, error) {
	var value string
	err := db.Read().GetContext(ctx, &value, "SELECT value FROM meta WHERE name=?", metaKeys)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading which keys are known: %w", err)
	}
	return strings.Fields(value), nil
}
