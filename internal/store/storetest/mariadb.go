package storetest

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	_ "github.com/go-sql-driver/mysql" // the driver of createDatabase
)

// mariadb is a server of our own: own data directory, own socket, no network.
type mariadb struct {
	dir    string
	socket string
	cmd    *exec.Cmd
	exited chan error
	admin  *sql.DB
}

func startMariaDB() (*mariadb, error) {
	server, err := findBinary("mariadbd", "mysqld")
	if err != nil {
		return nil, err
	}
	install, err := findBinary("mariadb-install-db", "mysql_install_db")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "relance-mariadb-") // short: a socket's path may have 107 bytes
	if err != nil {
		return nil, err
	}
	m := &mariadb{dir: dir, socket: filepath.Join(dir, "s"), exited: make(chan error, 1)}
	layOut := exec.Command(install, "--no-defaults", "--datadir="+filepath.Join(dir, "d"), "--auth-root-authentication-method=normal", //nolint:noctx // bounded by the test binary's own timeout
		"--skip-test-db", "--user="+userName())
	layOut.Env = append(os.Environ(), "TMPDIR="+dir) // as --tmpdir below
	if out, err := layOut.CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("laying out MariaDB's data: %w: %s", err, out), os.RemoveAll(dir))
	}
	if err := m.run(server); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return m, nil
}

func (m *mariadb) run(server string) error {
	var log bytes.Buffer
	m.cmd = exec.Command(server, "--no-defaults", "--datadir="+filepath.Join(m.dir, "d"), "--socket="+m.socket, "--skip-networking", //nolint:noctx // ended by stop
		"--pid-file="+filepath.Join(m.dir, "pid"), "--tmpdir="+m.dir, // a starting server deletes the temporary tables that it finds in its tmpdir, also another server's
		"--innodb-flush-log-at-trx-commit=1", "--innodb-buffer-pool-size=256M", "--innodb-log-file-size=256M",
		"--max-connections=300", "--character-set-server=utf8mb4", "--collation-server=utf8mb4_bin", "--user="+userName())
	m.cmd.Stdout, m.cmd.Stderr = &log, &log
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // gone with us even when we are killed
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // Pdeathsig is the death of the starting thread: keep it
		started <- m.cmd.Start()
		m.exited <- m.cmd.Wait()
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("starting MariaDB: %w", err)
	}
	var err error
	if m.admin, err = sql.Open("mysql", "root@unix("+m.socket+")/"); err != nil {
		return err
	}
	for range 600 {
		select {
		case err := <-m.exited:
			return fmt.Errorf("MariaDB ended at once: %w: %s", err, log.String())
		case <-time.After(50 * time.Millisecond): // polling another program's start: it gives no signal
		}
		if m.admin.Ping() == nil { //nolint:noctx // a local socket
			return nil
		}
	}
	return errors.New("MariaDB did not answer within 30 s")
}

func (m *mariadb) createDatabase(ctx context.Context, name string) error {
	_, err := m.admin.ExecContext(ctx, "CREATE DATABASE "+name+" CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
	return err
}

func (m *mariadb) stop() error {
	err := m.admin.Close()
	err = errors.Join(err, m.cmd.Process.Kill())
	<-m.exited
	return errors.Join(err, os.RemoveAll(m.dir))
}

func findBinary(names ...string) (string, error) {
	for _, n := range names {
		for _, dir := range []string{"", "/usr/sbin/", "/usr/bin/", "/usr/local/bin/", "/opt/homebrew/bin/"} {
			if p, err := exec.LookPath(dir + n); err == nil {
				return p, nil
			}
		}
	}
	return "", fmt.Errorf("%s is not installed", names[0])
}

func userName() string {
	if u := os.Getenv("USER"); u != "" && os.Geteuid() != 0 {
		return u
	}
	return "root"
}
