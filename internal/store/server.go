package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Server names the MySQL server and schema, so that a copy elsewhere has another name: the cluster's id where there is
// one (whichever node answers), else the server's own, else its host, port and data folder. "" on SQLite.
func (db *DB) Server(ctx context.Context) (string, error) {
	if db.dialect == SQLite {
		return "", nil
	}
	var schema string
	if err := db.readers.GetContext(ctx, &schema, "SELECT DATABASE()"); err != nil {
		return "", fmt.Errorf("asking the server for its name: %w", err)
	}
	for _, ask := range []string{
		"SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME='WSREP_CLUSTER_STATE_UUID' AND VARIABLE_VALUE<>''",
		"SELECT VARIABLE_VALUE FROM mysql.tidb WHERE VARIABLE_NAME='cluster_id'",
		"SELECT @@server_uuid",
		"SELECT CONCAT(@@hostname, ':', @@port, ':', @@datadir)",
	} {
		var names []string
		if err := db.readers.SelectContext(ctx, &names, ask); err == nil && len(names) > 0 {
			return "server " + strings.Join(names, " ") + " " + schema, nil
		}
		if ctx.Err() != nil {
			return "", fmt.Errorf("asking the server for its name: %w", context.Cause(ctx))
		}
	}
	return "", errors.New("asking the server for its name: it says none")
}
