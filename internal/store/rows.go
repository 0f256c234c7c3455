package store

import "database/sql"

// Matched is the number of rows matched by a conditional write: what decides whether it was ours to do. Both engines
// count matches, not changes.
func Matched(r sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}
