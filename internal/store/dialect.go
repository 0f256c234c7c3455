package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"

	"github.com/go-sql-driver/mysql"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/relance/relance/internal/fault"
)

// Dialect is the engine behind a DB. SQL stays in the subset that both understand; the few differences live here.
type Dialect string

const (
	SQLite Dialect = "sqlite"
	MySQL  Dialect = "mysql" // also MariaDB and what speaks its protocol
)

// NowMillis is an SQL expression for the database's own clock in UTC milliseconds (leases go by it).
func (d Dialect) NowMillis() string {
	if d == SQLite {
		return "CAST(unixepoch('now','subsec')*1000 AS INTEGER)"
	}
	return "CAST(UNIX_TIMESTAMP(NOW(3))*1000 AS SIGNED)"
}

// UpsertSQL writes rows rows of the columns into a table with exactly one unique key, keys. Columns outside the
// key are overwritten; with none outside, an existing row is left alone.
func (d Dialect) UpsertSQL(table string, keys, cols []string, rows int) string {
	isKey := map[string]bool{}
	for _, k := range keys {
		isKey[k] = true
	}
	var set []string
	for _, c := range cols {
		switch {
		case isKey[c]:
		case d == SQLite:
			set = append(set, c+"=excluded."+c)
		default:
			set = append(set, c+"=VALUES("+c+")")
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "INSERT INTO %s(%s) VALUES ", table, strings.Join(cols, ","))
	one := "(" + strings.TrimSuffix(strings.Repeat("?,", len(cols)), ",") + ")"
	b.WriteString(strings.TrimSuffix(strings.Repeat(one+",", rows), ","))
	switch {
	case d == SQLite && len(set) == 0:
		fmt.Fprintf(&b, " ON CONFLICT(%s) DO NOTHING", strings.Join(keys, ","))
	case d == SQLite:
		fmt.Fprintf(&b, " ON CONFLICT(%s) DO UPDATE SET %s", strings.Join(keys, ","), strings.Join(set, ","))
	case len(set) == 0:
		fmt.Fprintf(&b, " ON DUPLICATE KEY UPDATE %s=%s", keys[0], keys[0])
	default:
		fmt.Fprintf(&b, " ON DUPLICATE KEY UPDATE %s", strings.Join(set, ","))
	}
	return b.String()
}

// OnConflict begins the clause that updates an existing row; follow it with assignments that name the row's own columns
// as table.column and the refused values through Refused.
func (d Dialect) OnConflict(keys ...string) string {
	if d == SQLite {
		return " ON CONFLICT(" + strings.Join(keys, ",") + ") DO UPDATE SET "
	}
	return " ON DUPLICATE KEY UPDATE "
}

// Refused is the value that the INSERT wanted to give a column, within OnConflict.
func (d Dialect) Refused(column string) string {
	if d == SQLite {
		return "excluded." + column
	}
	return "VALUES(" + column + ")"
}

// transient tells whether the same transaction may succeed when run again at once.
func (d Dialect) transient(err error) bool {
	if errors.Is(err, ErrAgain) {
		return true
	}
	if d == SQLite {
		switch sqliteCode(err) {
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
			return true
		}
		return false
	}
	if me, ok := errors.AsType[*mysql.MySQLError](err); ok {
		switch me.Number {
		case 1213, 1205, 8022, 9007: // deadlock, lock wait, TiDB's write conflicts
			return true
		}
	}
	return false
}

// Duplicate tells whether err is a violated unique key.
func (d Dialect) Duplicate(err error) bool {
	if d == SQLite {
		return sqliteCode(err) == sqlite3.SQLITE_CONSTRAINT
	}
	me, ok := errors.AsType[*mysql.MySQLError](err)
	return ok && me.Number == 1062
}

// DataError tells whether the database refused values (too long, out of range, not text), on either engine.
func DataError(err error) bool {
	switch mysqlNumber(err) {
	case 1406, 1264, 1265, 1366, 1292, 1300, 1048, 1153, 3988: // too long, out of range, truncated, bad characters, null, packet too large
		return true
	}
	switch sqliteCode(err) {
	case sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH:
		return true
	}
	return errors.Is(err, mysql.ErrPktTooLarge)
}

func sqliteCode(err error) int {
	if se, ok := errors.AsType[*sqlite.Error](err); ok {
		return se.Code() & 0xff
	}
	return 0
}

// classify turns what people can mend into sentences and leaves every other error as it is.
func (d Dialect) classify(name string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	hint, class := "", fault.Retry
	switch {
	case d == SQLite && sqliteCode(err) == sqlite3.SQLITE_FULL,
		d == MySQL && mysqlNumber(err) == 1021, d == MySQL && mysqlNumber(err) == 1114:
		hint, class = "The disk or the database is full: make room; nothing was lost, Relance goes on by itself", fault.Operator
	case d == SQLite && d.transient(err) && hintOf(err) != "":
		hint = hintOf(err) + "; Relance tries again"
	case d == SQLite && (sqliteCode(err) == sqlite3.SQLITE_CORRUPT || sqliteCode(err) == sqlite3.SQLITE_NOTADB):
		hint, class = hintOf(err), fault.Operator
	case d == SQLite && (sqliteCode(err) == sqlite3.SQLITE_READONLY || sqliteCode(err) == sqlite3.SQLITE_CANTOPEN):
		hint, class = "The database file or its folder cannot be written: check owner and rights", fault.Operator
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, sql.ErrConnDone):
		hint = "The database server closed the connection; Relance tries again"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case hasNumber(err):
	default:
		return err
	}
	return &fault.Error{Class: class, Op: "writing to the database (" + name + ")", Err: err, Hint: hint}
}

// hintOf says what to do about a SQLite file that cannot be used as it is; "" when there is nothing particular.
func hintOf(err error) string {
	switch sqliteCode(err) {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return "Another program holds the database file locked: close it"
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return "The file is no intact SQLite database: restore a backup"
	}
	return ""
}

func hasNumber(err error) bool { return sqliteCode(err) != 0 || mysqlNumber(err) != 0 }

func mysqlNumber(err error) uint16 {
	if me, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return me.Number
	}
	return 0
}

func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) || errors.Is(err, driver.ErrBadConn) {
		return nil
	}
	return err
}
