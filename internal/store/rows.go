package store

import (
	"database/sql"
	"errors"
)

func isNoRows(err error) bool { return errors.Is(err, sql.ErrNoRows) }

// affected is the number of rows matched by a conditional write (both engines count matches, not changes).
func affected(r sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// Matched runs a conditional write's result through the one check that decides: how many rows matched.
func Matched(r sql.Result, err error) (int64, error) { return affected(r, err) }
