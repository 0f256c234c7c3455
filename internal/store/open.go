package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"

	"github.com/relance/relance/internal/fault"
)

const (
	readerPool = 4
	mysqlPool  = 16
	// mysqlSpare connections are left to reads, and to statements that are prepared while their transaction holds one.
	mysqlSpare = 4
)

func (db *DB) openSQLite(ctx context.Context, path string, maxPages int) error {
	db.dialect, db.path = SQLite, path
	if path == "" || strings.Contains(path, ":memory:") {
		return openFault("opening the SQLite file", errors.New("no file name"), "Write database: \"sqlite:relance.db\"")
	}
	switch folder, err := os.Stat(filepath.Dir(path)); {
	case err != nil:
		return openFault("opening the SQLite file", err, "Create the folder first")
	case !folder.IsDir():
		return openFault("opening the SQLite file", errors.New(filepath.Dir(path)+" is not a folder"), "Name a file in a folder")
	}
	pragmas := "&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(5000)&_pragma=foreign_keys(OFF)&_pragma=temp_store(MEMORY)"
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() + "?_txlock=immediate" + pragmas
	var err error
	if db.writers, err = sqlx.Open("sqlite", dsn+"&_pragma=cache_size(-16000)"); err != nil {
		return openFault("opening the SQLite file", err, "")
	}
	db.writers.SetMaxOpenConns(1)
	if db.readers, err = sqlx.Open("sqlite", dsn+"&_pragma=query_only(1)&_pragma=cache_size(-4000)"); err != nil {
		return openFault("opening the SQLite file", err, "")
	}
	db.readers.SetMaxOpenConns(readerPool)
	if err := db.writers.PingContext(ctx); err != nil {
		return openFault("opening the SQLite file", err, cmp.Or(hintOf(err), "Check that the path is a writable file on a local disk"))
	}
	if maxPages > 0 {
		if _, err := db.writers.ExecContext(ctx, fmt.Sprintf("PRAGMA max_page_count=%d", maxPages)); err != nil {
			return openFault("bounding the SQLite file", err, "")
		}
	}
	return nil
}

func (db *DB) openMySQL(ctx context.Context, dsn string) error {
	db.dialect = MySQL
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil { // the driver's text repeats no password, but the address may: keep ours
		return openFault("reading the MySQL address", errors.New("it is not user:password@tcp(host:port)/name"), "Check database: in relance.yaml")
	}
	cfg.ParseTime, cfg.Loc, cfg.ClientFoundRows = true, time.UTC, true
	cfg.Collation = "utf8mb4_bin"
	cfg.InterpolateParams = true // a question that is not kept prepared is one round trip, not three
	if cfg.Params == nil {
		cfg.Params = map[string]string{}
	}
	cfg.Params["time_zone"] = "'+00:00'"
	cfg.Params["transaction_isolation"] = "'READ-COMMITTED'"
	cfg.Params["sql_mode"] = "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'"
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	pool, err := openMySQLPool(ctx, cfg)
	if err != nil {
		return err
	}
	db.writers, db.readers, db.turns = pool, pool, make(chan struct{}, mysqlPool-mysqlSpare)
	return db.checkMySQL(ctx)
}

// openMySQLPool connects; MariaDB before 11.1 calls the isolation variable tx_isolation.
func openMySQLPool(ctx context.Context, cfg *mysql.Config) (*sqlx.DB, error) {
	for _, isolation := range []string{"transaction_isolation", "tx_isolation"} {
		delete(cfg.Params, "transaction_isolation")
		cfg.Params[isolation] = "'READ-COMMITTED'"
		connector, err := mysql.NewConnector(cfg)
		if err != nil {
			return nil, openFault("reading the MySQL address", err, "")
		}
		pool := sqlx.NewDb(sql.OpenDB(connector), "mysql")
		pool.SetMaxOpenConns(mysqlPool)
		pool.SetMaxIdleConns(mysqlPool)
		pool.SetConnMaxLifetime(5 * time.Minute)
		err = pool.PingContext(ctx)
		if err == nil {
			return pool, nil
		}
		err = errors.Join(err, pool.Close())
		if mysqlNumber(err) != 1193 { // unknown system variable
			return nil, openFault("connecting to MySQL at "+cfg.Addr, err, "Check that the server runs and that user, password and database name are right")
		}
	}
	return nil, openFault("connecting to MySQL", errors.New("neither transaction_isolation nor tx_isolation is known"), "Use MySQL 8 or MariaDB 10.6 or newer")
}

// checkMySQL refuses a server that would lose acknowledged rows at a crash.
func (db *DB) checkMySQL(ctx context.Context) error {
	var flush int
	if err := db.writers.GetContext(ctx, &flush, "SELECT @@innodb_flush_log_at_trx_commit"); err != nil {
		return nil //nolint:nilerr // an engine without InnoDB's variable (TiDB) has its own durability
	}
	if flush != 1 {
		return openFault("checking MySQL's durability", fmt.Errorf("innodb_flush_log_at_trx_commit is %d", flush),
			"Set it to 1: with any other value the server forgets committed mails at a crash and people are mailed twice")
	}
	return nil
}

func openFault(op string, err error, hint string) error {
	return &fault.Error{Class: fault.Operator, Op: op, Err: err, Hint: hint}
}
