package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/internal/store"
)

func settledHere(t *testing.T, dsn, witness string) (*store.DB, *place) {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{DSN: dsn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	p, err := openPlace(t.Context(), db, witness, nil)
	if err != nil {
		t.Fatal(err)
	}
	return db, p
}

func copied(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// checkpointed closes a SQLite file so that it is whole without its log.
func checkpointed(t *testing.T, db *store.DB) {
	t.Helper()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func mustNot(t *testing.T, p *place, word string) {
	t.Helper()
	err := p.allowed()
	if err == nil || !strings.Contains(err.Error(), word) || !strings.Contains(fault.HintOf(err), "relance adopt") {
		t.Fatalf("got %v, want sending off: %s", err, word)
	}
}

func TestAFileThatStaysWhereItIsMaySend(t *testing.T) {
	file := filepath.Join(t.TempDir(), "relance.db")
	for range 3 { // starts
		db, p := settledHere(t, "sqlite:"+file, file+".place")
		if err := p.allowed(); err != nil {
			t.Fatal(err)
		}
		checkpointed(t, db)
	}
	if err := os.Remove(file + ".place"); err != nil { // a lost witness says nothing
		t.Fatal(err)
	}
	if _, p := settledHere(t, "sqlite:"+file, file+".place"); p.allowed() != nil {
		t.Fatal(p.allowed())
	}
}

func TestB3ACopiedFileStartsWithSendingOffUntilItIsAdopted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "relance.db")
	db, _ := settledHere(t, "sqlite:"+file, file+".place")
	checkpointed(t, db)
	for _, with := range []bool{false, true} { // the witness is copied along, or not
		twin := filepath.Join(t.TempDir(), "relance.db")
		copied(t, file, twin)
		if with {
			copied(t, file+".place", twin+".place")
		}
		_, p := settledHere(t, "sqlite:"+twin, twin+".place")
		mustNot(t, p, "copied or moved")
		if err := (&place{db: p.db, witness: p.witness}).adopt(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.looked = time.Time{} // placeEvery later
		if err := p.allowed(); err != nil {
			t.Fatalf("after adopting: %v", err)
		}
	}
	if _, p := settledHere(t, "sqlite:"+file, file+".place"); p.allowed() != nil {
		t.Fatal("the original must go on:", p.allowed())
	}
}

func TestAnOlderCopyThatWasPutBackStartsWithSendingOff(t *testing.T) {
	file := filepath.Join(t.TempDir(), "relance.db")
	db, _ := settledHere(t, "sqlite:"+file, file+".place")
	checkpointed(t, db)
	backup := file + ".backup"
	copied(t, file, backup)
	db, _ = settledHere(t, "sqlite:"+file, file+".place") // goes on, and sends
	checkpointed(t, db)
	copied(t, backup, file) // into the same file: path and inode stay
	db, p := settledHere(t, "sqlite:"+file, file+".place")
	mustNot(t, p, "older copy")
	checkpointed(t, db)
	db, p = settledHere(t, "sqlite:"+file, file+".place") // a restart is no adoption
	mustNot(t, p, "older copy")
	if err := p.adopt(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkpointed(t, db)
	if _, p = settledHere(t, "sqlite:"+file, file+".place"); p.allowed() != nil {
		t.Fatal(p.allowed())
	}
}

func TestACopyMadeWhileItRanIsToldFromWhatItBecame(t *testing.T) {
	file := filepath.Join(t.TempDir(), "relance.db")
	db, p := settledHere(t, "sqlite:"+file, file+".place")
	before, err := p.stored(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.looked = p.looked.Add(-witnessEvery) // it sends on
	if err := p.allowed(); err != nil {
		t.Fatal(err)
	}
	if err := db.Write(t.Context(), "test", func(tx *store.Tx) error { // the copy is put back
		_, err := tx.ExecContext(t.Context(), "UPDATE meta SET value=? WHERE name=?", before.text(), metaPlace)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	checkpointed(t, db)
	_, p = settledHere(t, "sqlite:"+file, file+".place")
	mustNot(t, p, "older copy")
}

func TestACopiedSchemaStartsWithSendingOff(t *testing.T) {
	witness := filepath.Join(t.TempDir(), "place.json")
	first, p := settledHere(t, servers.DSN(t, store.MySQL), witness)
	if err := p.allowed(); err != nil {
		t.Fatal(err)
	}
	known, err := p.stored(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dsn := servers.DSN(t, store.MySQL)
	db, err := store.Open(t.Context(), store.Options{DSN: dsn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	restored := &place{db: db, witness: filepath.Join(t.TempDir(), "place.json")}
	if err := restored.settle(context.Background(), known); err != nil { // as a dump of the first would have it
		t.Fatal(err)
	}
	_, p = settledHere(t, dsn, restored.witness)
	mustNot(t, p, "copied or moved")
	// A second process of the first, on another machine, has no witness yet.
	if _, err := openPlace(t.Context(), first, filepath.Join(t.TempDir(), "place.json"), nil); err != nil {
		t.Fatal(err)
	}
}

// The witness is a few bytes beside the database. A disk that is full when they are written anew, or a death just then, takes
// nothing away from it: once there is room, mail leaves again without anybody adopting anything.
func TestAFullDiskKeepsTheWitness(t *testing.T) {
	file := filepath.Join(t.TempDir(), "relance.db")
	db, p := settledHere(t, "sqlite:"+file, file+".place")
	if err := os.Symlink("/dev/full", p.next()); err != nil {
		t.Fatal(err)
	}
	p.looked = p.looked.Add(-witnessEvery)
	if err := p.allowed(); err == nil || !strings.Contains(err.Error(), "no space left") || !strings.Contains(fault.HintOf(err), "Make room") {
		t.Fatalf("got %v", err)
	}
	p.looked = p.looked.Add(-placeEvery) // it is tried again, in vain
	if err := p.allowed(); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Fatalf("got %v", err)
	}
	if err := os.Remove(p.next()); err != nil {
		t.Fatal(err)
	}
	p.looked = p.looked.Add(-placeEvery)
	if err := p.allowed(); err != nil {
		t.Errorf("there is room again: %v", err)
	}
	checkpointed(t, db)
	if _, p = settledHere(t, "sqlite:"+file, file+".place"); p.allowed() != nil {
		t.Error(p.allowed())
	}
}
