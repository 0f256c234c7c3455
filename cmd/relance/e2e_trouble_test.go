package main

import (
	"bytes"
	"context"
	"database/sql"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relance/relance/connectors/woocommerce/wooshop"
	"github.com/relance/relance/internal/store"
)

// runFast is run with business time six hundred times faster than life, so that what waits for minutes is waited for.
func (r *rig) runFast(args ...string) (code int, stdout, stderr string) {
	r.t.Helper()
	begun := time.Now()
	var out, errs bytes.Buffer
	code = execute(&deps{
		ctx: r.t.Context(), args: append([]string{"--config", r.dir}, args...), in: r.in, out: &out, err: &errs,
		env: func(name string) (string, bool) { v, ok := r.env[name]; return v, ok },
		now: func() time.Time { return begun.Add(600 * time.Since(begun)).UTC() },
	})
	return code, out.String(), errs.String()
}

// whole fails the test unless everything that the shop has is mirrored.
func (r *rig) whole() {
	r.t.Helper()
	s := syncJSON(r.t, r)
	for kind, n := range map[string]int{
		"orders": len(r.shop.OrderIDs()) + len(r.shop.OrderIDs("trash")), "customers": len(r.shop.CustomerIDs()),
		"products": len(r.shop.ProductIDs()), "refunds": len(r.shop.RefundIDs()),
	} {
		if c := s.Shops["boutique"][kind]; c.Mirrored != int64(n) || c.Quarantined != 0 {
			r.t.Errorf("%s: %+v, the shop has %d", kind, c, n)
		}
	}
}

func (r *rig) tellsNoSecret(text string) {
	r.t.Helper()
	for _, secret := range []string{wooshop.DefaultKey, wooshop.DefaultSecret, r.env["BOUTIQUE_KEY"], r.env["BOUTIQUE_SECRET"]} {
		if secret != "" && strings.Contains(text, secret) {
			r.t.Errorf("a secret is shown:\n%s", text)
		}
	}
}

// What stands in the way of a shop until somebody mends it is said by check and by sync, in the same words; once it is
// mended, everything is read.
func TestWhatSomebodyHasToMendIsSaidAndNothingIsLost(t *testing.T) {
	t.Parallel()
	broken := func(f func() *wooshop.Fault) func(*rig) {
		return func(r *rig) { r.shop.SetFault(func(*http.Request) *wooshop.Fault { return f() }) }
	}
	for name, c := range map[string]struct {
		spoil func(r *rig)
		says  []string
	}{
		"unknown key":             {func(r *rig) { r.env["BOUTIQUE_KEY"] = "ck_unknown" }, []string{"401", "create a new key under WooCommerce"}},
		"wrong secret":            {func(r *rig) { r.env["BOUTIQUE_SECRET"] = "cs_unknown" }, []string{"401", "secret does not belong to the key"}},
		"key that cannot read":    {func(r *rig) { r.env["BOUTIQUE_KEY"] = wooshop.DefaultKey + "_write" }, []string{"401", "Read permission"}},
		"somebody without rights": {func(r *rig) { r.env["BOUTIQUE_KEY"] = wooshop.DefaultKey + "_customer" }, []string{"403", "under an administrator"}},
		"web page":                {broken(wooshop.WebPage), []string{"a web page instead of data", "maintenance"}},
		"redirect":                {broken(func() *wooshop.Fault { return wooshop.Redirect("https://www.boutique.example/") }), []string{"redirects (301)", "final address"}},
		"another certificate":     {func(r *rig) { r.edit("shops/boutique.yaml", "ca_file:", "#ca_file:") }, []string{"certificate", "ca_file"}},
		"nothing listens":         {func(r *rig) { r.nowhere() }, []string{"connection refused"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t).withShop()
			file, err := os.ReadFile(filepath.Join(r.dir, "shops/boutique.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			c.spoil(r)
			code, out, errs := r.run("check")
			if code != exitFailure {
				t.Errorf("check: exit %d", code)
			}
			wants(t, out, append(c.says, "WRONG")...)
			r.tellsNoSecret(out + errs)

			code, out, errs = r.runFast("sync", "--once")
			if code != exitFailure || out != "" {
				t.Errorf("sync: exit %d, stdout %q", code, out)
			}
			wants(t, errs, append(c.says, "relance: ", "reading shop boutique")...)
			r.tellsNoSecret(errs)
			wants(t, r.must("status"), append(c.says, "FAULT")...)

			r.shop.SetFault(nil)
			r.env["BOUTIQUE_KEY"], r.env["BOUTIQUE_SECRET"] = wooshop.DefaultKey, wooshop.DefaultSecret
			r.write("shops/boutique.yaml", string(file))
			r.whole()
			if status := r.must("status"); strings.Contains(status, "FAULT") {
				t.Errorf("the fault stays:\n%s", status)
			}
		})
	}
}

// nowhere points the configuration at a port where nothing listens.
func (r *rig) nowhere() {
	r.t.Helper()
	file, err := os.ReadFile(filepath.Join(r.dir, "shops/boutique.yaml"))
	if err != nil {
		r.t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(file)) {
		if strings.HasPrefix(line, "  url: ") {
			line = "  url: https://" + freePort(r.t) + "\n"
		}
		lines = append(lines, line)
	}
	r.write("shops/boutique.yaml", strings.Join(lines, ""))
}

// A shop manager's key reads everything but what customers' meta data say: check finds that, and sync goes on.
func TestAShopManagersKeyIsAFinding(t *testing.T) {
	t.Parallel()
	r := newRig(t).withShop()
	r.env["BOUTIQUE_KEY"] = wooshop.DefaultKey + "_manager"
	code, out, errs := r.run("check")
	if code != exitFailure {
		t.Errorf("exit %d", code)
	}
	wants(t, out, "WRONG customers", "belongs to a shop manager", "Create the key (and the webhooks) under an administrator")
	r.tellsNoSecret(out + errs)
	r.whole()
}

// What passes by itself is borne without a word, and everything is read.
func TestWhatPassesIsWaitedFor(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault func() *wooshop.Fault
		least time.Duration // until the next request
		often bool          // of six answers, else of one
	}{
		"429 with Retry-After": {func() *wooshop.Fault { return wooshop.Throttled(time.Second) }, time.Second, false},
		"500 then 200":         {wooshop.ServerError, 0, true},
		"truncated body":       {wooshop.Truncated, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t).withShop()
			var mu sync.Mutex
			n, hit := 0, time.Time{}
			r.shop.SetFault(func(*http.Request) *wooshop.Fault {
				mu.Lock()
				defer mu.Unlock()
				n++
				if wait := time.Since(hit); n == 13 && wait < c.least {
					t.Errorf("asked again after %s", wait)
				}
				if n == 12 || c.often && n <= 30 && n%5 == 0 {
					hit = time.Now()
					return c.fault()
				}
				return nil
			})
			if code, _, errs := r.runFast("sync", "--once"); code != exitOK {
				t.Fatalf("exit %d: %s", code, errs)
			}
			if n < 14 {
				t.Fatalf("only %d requests", n)
			}
			r.shop.SetFault(nil)
			r.whole()
			if status := r.must("status"); strings.Contains(status, "FAULT") {
				t.Errorf("the fault stays:\n%s", status)
			}
		})
	}
}

// A disk that is full in the middle of the backfill, and again when webhooks come, is said; nothing is acknowledged that
// is not kept, and the same process goes on once there is room.
func TestAFullDiskLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite:relance.db")
	path := filepath.Join(w.dir, "relance.db")
	if err := w.open(); err != nil {
		t.Fatal(err)
	}
	pages := w.number("SELECT page_count FROM pragma_page_count")
	w.maxPages = pages + 60
	other := openFile(t, path)
	full := func(what string, err error) {
		t.Helper()
		if err == nil {
			t.Fatalf("%s: no error", what)
		}
		wants(t, sentence(err), "full", "make room; nothing was lost, Relance goes on by itself")
	}
	if err := w.open(); err != nil {
		t.Fatal(err)
	}
	err := w.d.syncOnce(t.Context(), w.clock.Now)
	full("backfill", err)
	mirrored := w.number("SELECT COUNT(*) FROM products") + w.number("SELECT COUNT(*) FROM customers")
	if mirrored == 0 || w.number("SELECT COUNT(*) FROM orders") == len(w.shop.OrderIDs()) {
		t.Fatalf("%d records were mirrored: the disk was full too soon or too late", mirrored)
	}

	w.maxPages = pages + 2000 // a larger disk, of which something else takes the most
	if err := w.open(); err != nil {
		t.Fatal(err)
	}
	w.settle()
	w.move(time.Hour)
	w.settle()
	fill := func() {
		other.exec("CREATE TABLE filler (b BLOB)")
		for size := 1 << 20; size > 256; {
			if _, err := w.filler(size); err != nil {
				size /= 2
			}
		}
	}
	fill()
	answers := map[int]int{} // the last pages have room for the first few
	w.shop.OnWebhook(func(h http.Header, body []byte) {
		answers[w.public.Receive(t.Context(), "boutique", h, body)]++
	})
	for i := range 20 {
		if _, err := w.shop.CreateDraft(w.people[i].order(w.shop.Goods()[i].Item)); err != nil {
			t.Fatal(err)
		}
	}
	if kept := w.number("SELECT COUNT(*) FROM inbox"); kept != answers[http.StatusOK] || answers[http.StatusServiceUnavailable] != 20-kept || kept == 20 {
		t.Errorf("webhooks by answer: %v; %d of 20 are kept", answers, kept)
	}
	w.move(2 * time.Minute)
	_, err = w.step()
	full("reading", err)
	other.exec("DROP TABLE filler")
	w.settle()
	if got, want := w.number("SELECT COUNT(*) FROM orders WHERE gone_at=0"), len(w.shop.OrderIDs())+len(w.shop.OrderIDs("trash")); got != want {
		t.Errorf("%d orders mirrored of %d", got, want)
	}
}

// filler puts so many bytes into the way, as this process's own writer: it is the one whose disk is bounded.
func (w *world) filler(size int) (int, error) {
	return size, w.d.db.Write(w.t.Context(), "test.filler", func(tx *store.Tx) error {
		_, err := tx.ExecContext(w.t.Context(), "INSERT INTO filler VALUES (zeroblob(?))", size)
		return err
	})
}

// file is a second program's look at a SQLite file.
type file struct {
	t *testing.T
	*sql.Conn
}

func openFile(t *testing.T, path string) *file {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return &file{t, c}
}

func (f *file) exec(query string) {
	f.t.Helper()
	if _, err := f.ExecContext(context.Background(), query); err != nil {
		f.t.Fatalf("%s: %v", query, err)
	}
}

// A file that another program holds locked is waited for. (What is said when it never lets go: internal/store.)
func TestALockedDatabaseIsWaitedForAndNothingIsLost(t *testing.T) {
	t.Parallel()
	r := newRig(t).withShop()
	r.must("sync", "--once")
	if _, err := r.shop.CreateOrder(wooshop.OrderSpec{Email: "nouvelle@example.com"}); err != nil {
		t.Fatal(err)
	}
	f := openFile(t, filepath.Join(r.dir, "relance.db"))
	f.exec("BEGIN IMMEDIATE")
	type answer struct {
		code int
		errs string
	}
	ended := make(chan answer, 1)
	go func() {
		code, _, errs := r.run("sync", "--once")
		ended <- answer{code, errs}
	}()
	select {
	case <-ended:
		t.Error("it did not wait for the lock")
	case <-time.After(time.Second): // how long the lock is held is the point
	}
	f.exec("COMMIT")
	if a := <-ended; a.code != exitOK {
		t.Errorf("exit %d: %s", a.code, a.errs)
	}
	r.whole()
}

// What is wrong with the machine or the files is said before anything is made, and by every command alike.
func TestWhatIsWrongBeforeAnythingBeginsIsSaid(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	for name, c := range map[string]struct {
		spoil func(r *rig)
		args  []string
		code  int
		says  []string
	}{
		"admin port taken": {
			func(r *rig) {
				r.edit("relance.yaml", "public: 127.0.0.1:8480", "public: 127.0.0.1:0")
				r.edit("relance.yaml", "admin: 127.0.0.1:8484", "admin: "+taken.Addr().String())
			},
			[]string{"run"},
			exitFailure,
			[]string{"listening for the admin surface", "address already in use", "give listen.admin in relance.yaml another port"},
		},
		"public port taken": {
			func(r *rig) { r.edit("relance.yaml", "public: 127.0.0.1:8480", "public: "+taken.Addr().String()) },
			[]string{"run"},
			exitFailure,
			[]string{"listening for the public surface", "address already in use", "give listen.public in relance.yaml another port"},
		},
		"unknown key": {
			func(r *rig) { r.edit("shops/boutique.yaml", "basis: opt_in", "bassis: opt_in") },
			[]string{"run"},
			exitUsage,
			[]string{"shops/boutique.yaml:", `unknown key "bassis"`, "^", "did you mean basis?", "1 mistake"},
		},
		"missing variable": {
			func(r *rig) {
				delete(r.env, "BOUTIQUE_SECRET")
				r.write(".env", "# not filled in\n")
			},
			[]string{"sync", "--once"},
			exitUsage,
			[]string{"shops/boutique.yaml:", "BOUTIQUE_SECRET", "secret: ${BOUTIQUE_SECRET}", "^"},
		},
		"database in a file": {
			func(r *rig) { r.edit("relance.yaml", "sqlite:relance.db", "sqlite:relance.yaml/relance.db") },
			[]string{"sync", "--once"},
			exitFailure,
			[]string{"opening the SQLite file", "relance.yaml is not a folder", "Name a file in a folder"},
		},
		"keys in a file": {
			func(r *rig) { r.edit("relance.yaml", "file: keys.json", "file: relance.yaml/keys.json") },
			[]string{"sync", "--once"},
			exitFailure,
			[]string{"keys", "not a directory"},
		},
		"outbox in a file": {
			func(r *rig) { r.edit("relance.yaml", "dir: outbox", "dir: relance.yaml/outbox") },
			[]string{"sync", "--once"},
			exitFailure,
			[]string{"outbox", "not a directory"},
		},
		"database is something else": {
			func(r *rig) { r.write("relance.db", strings.Repeat("this is no database ", 300)) },
			[]string{"sync", "--once"},
			exitFailure,
			[]string{"is not a database", "restore a backup"},
		},
		"database server away": {
			func(r *rig) {
				r.edit("relance.yaml", "sqlite:relance.db", `"mysql:relance:hunter2@tcp(`+freePort(r.t)+`)/relance"`)
			},
			[]string{"sync", "--once"},
			exitFailure,
			[]string{"connecting to MySQL at 127.0.0.1", "connection refused", "Check that the server runs"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t).withShop()
			before := entries(t, r.dir)
			c.spoil(r)
			code, out, errs := r.run(c.args...)
			if code != c.code || out != "" {
				t.Errorf("exit %d, stdout %q", code, out)
			}
			wants(t, errs, c.says...)
			r.tellsNoSecret(errs)
			if strings.Contains(errs, "hunter2") {
				t.Errorf("the database's password is shown: %s", errs)
			}
			if n := len(strings.Split(strings.TrimSpace(errs), "\n")); c.code == exitFailure && n != 1 {
				t.Errorf("not one sentence but %d lines:\n%s", n, errs)
			}
			if c.args[0] == "run" && entries(t, r.dir) != before {
				t.Errorf("it made something: %s, before: %s", entries(t, r.dir), before)
			}
		})
	}
}

func entries(t *testing.T, dir string) string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

// Only one process works on a SQLite file; the second one says so and leaves the first alone.
func TestASecondRunOnTheFileIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t).withShop()
	r.edit("relance.yaml", "public: 127.0.0.1:8480", "public: 127.0.0.1:0")
	r.edit("relance.yaml", "admin: 127.0.0.1:8484", "admin: 127.0.0.1:0")
	unlock, err := lockDatabase(filepath.Join(r.dir, "relance.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	code, out, errs := r.run("run")
	if code != exitFailure || out != "" {
		t.Errorf("exit %d, stdout %q", code, out)
	}
	wants(t, errs, "another relance is at work on this file", "Stop the other one first", "MySQL serves several")
}
