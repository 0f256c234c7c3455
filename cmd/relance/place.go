package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/internal/store"
)

// metaPlace is the row of meta that says where the database belongs.
const metaPlace = "place"

// settled is what the database, and the witness beside it, remember of each other. Serial grows at every start: a witness
// that is ahead tells that an older copy was put back.
type settled struct {
	ID     string `json:"id"` // of the installation: new at every adoption
	At     string `json:"at"` // where the database is: see whereIs
	Serial int64  `json:"serial"`
}

// place knows whether the database is where it belongs. A copied or restored one may not send: the mails may have been
// sent already, by what it was copied from or before it was restored.
type place struct {
	db      *store.DB
	witness string // file
	wall    func() time.Time

	mu     sync.Mutex
	why    error // nil: it is
	looked time.Time
}

const (
	placeEvery   = 2 * time.Second // between looks of a process that waits to be adopted
	witnessEvery = time.Minute     // between marks of one that sends: a copy older than that is told from what it became
)

// openPlace compares the database with its witness, or settles a new one. witness is a file that stays when the database is
// replaced.
func openPlace(ctx context.Context, db *store.DB, witness string, wall func() time.Time) (*place, error) {
	if wall == nil {
		wall = time.Now
	}
	p := &place{db: db, witness: witness, wall: wall, looked: wall()}
	here, err := whereIs(ctx, db)
	if err != nil {
		return nil, err
	}
	known, err := p.stored(ctx)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return p, p.settle(ctx, settled{ID: rand.Text(), At: here, Serial: 1})
	case err != nil:
		return nil, err
	}
	if p.why = p.away(known, here); p.why != nil {
		return p, nil //nolint:nilerr // it may do everything but send
	}
	return p, p.mark(ctx)
}

// witnessOf is beside a SQLite file, else beside the keys, which every process has.
func witnessOf(db *store.DB, keys string) string {
	if path := db.Path(); path != "" {
		return path + ".place"
	}
	return filepath.Join(filepath.Dir(keys), "place.json")
}

func (p *place) stored(ctx context.Context) (s settled, err error) {
	var text string
	if err := p.db.Read().GetContext(ctx, &text, "SELECT value FROM meta WHERE name=?", metaPlace); err != nil {
		return s, fmt.Errorf("reading where the database belongs: %w", err)
	}
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return s, fmt.Errorf("reading where the database belongs: %w", err)
	}
	return s, nil
}

// away says what is wrong with the place, or nil.
func (p *place) away(known settled, here string) error {
	hint := "If this is the only one that is to send from now on, run: relance adopt"
	if known.At != here {
		return &fault.Error{
			Class: fault.Operator, Op: "looking whether this database may send",
			Err: errors.New("it was copied or moved here; what it was copied from may be sending"), Hint: hint,
		}
	}
	seen, err := p.witnessed()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return &fault.Error{Class: fault.Operator, Op: "reading " + p.witness, Err: err, Hint: "Give this user the right to read it, or run: relance adopt"}
	case seen.ID == known.ID && seen.Serial <= known.Serial:
		return nil
	}
	return &fault.Error{
		Class: fault.Operator, Op: "looking whether this database may send",
		Err: errors.New("an older copy of it was put back; mails that it does not know of may have been sent"), Hint: hint,
	}
}

func (p *place) witnessed() (s settled, err error) {
	text, err := os.ReadFile(p.witness)
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(text, &s)
}

// mark counts on. Several processes may do so on one server: none may overwrite a count that another's witness has seen.
func (p *place) mark(ctx context.Context) error {
	var next settled
	err := p.db.Write(ctx, "cmd.mark", func(tx *store.Tx) error {
		var text string
		if err := tx.GetContext(ctx, &text, "SELECT value FROM meta WHERE name=?", metaPlace); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(text), &next); err != nil {
			return err
		}
		next.Serial++
		n, err := store.Matched(tx.ExecContext(ctx, "UPDATE meta SET value=? WHERE name=? AND value=?", next.text(), metaPlace, text))
		if err == nil && n == 0 {
			err = store.ErrAgain
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("remembering where the database belongs: %w", err)
	}
	return p.witnessing(next)
}

func (s settled) text() string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // two texts and a number
	}
	return string(text)
}

// settle writes both; the witness last, so that it is never ahead of a commit that did not happen.
func (p *place) settle(ctx context.Context, s settled) error {
	err := p.db.Write(ctx, "cmd.place", func(tx *store.Tx) error {
		return tx.Upsert(ctx, "meta", []string{"name"}, []string{"name", "value"}, [][]any{{metaPlace, s.text()}})
	})
	if err != nil {
		return fmt.Errorf("remembering where the database belongs: %w", err)
	}
	return p.witnessing(s)
}

// witnessing puts a witness in place of the former one, whole or not at all: half a witness would stop the sending until
// somebody adopts.
func (p *place) witnessing(s settled) error {
	f, err := os.OpenFile(p.next(), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString(s.text() + "\n")
		if err == nil {
			err = f.Sync() // a power cut must not leave an empty one
		}
		err = errors.Join(err, f.Close())
	}
	if err == nil {
		err = os.Rename(p.next(), p.witness)
	}
	if err != nil {
		return &fault.Error{Class: fault.Operator, Op: "remembering where the database belongs", Err: err, Hint: "Make room on the disk, or give this user the right to write there"}
	}
	return nil
}

// next is where the witness is written before it takes its place. Processes that share a server may share a folder, too.
func (p *place) next() string { return fmt.Sprintf("%s.%d", p.witness, os.Getpid()) }

// allowed is nil when the database may send. It looks again now and then, since relance adopt runs elsewhere, and marks
// the time while all is well.
func (p *place) allowed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	wall, every := p.wall(), witnessEvery
	if p.why != nil {
		every = placeEvery
	}
	if wall.Sub(p.looked) < every {
		return p.why
	}
	p.looked = wall
	ctx, cancel := context.WithTimeout(context.Background(), placeEvery)
	defer cancel()
	known, err := p.stored(ctx)
	here, whereErr := whereIs(ctx, p.db)
	if err != nil || whereErr != nil { // the database is away for the moment: what was known stays true
		return p.why
	}
	if p.why = p.away(known, here); p.why == nil {
		p.why = p.mark(ctx)
	}
	return p.why
}

// mayAct tells whether anything may be changed in the shops from here.
func (p *place) mayAct() bool { return p.allowed() == nil }

// adopt makes this the place where the database belongs.
func (p *place) adopt(ctx context.Context) error {
	here, err := whereIs(ctx, p.db)
	if err != nil {
		return err
	}
	s := settled{ID: rand.Text(), At: here, Serial: 1}
	return p.settle(ctx, s)
}

// whereIs names the place of a database so that a copy has another name: a file by its path and inode, a server by its
// own identity and the schema. A cluster is one place, whichever of its nodes answers.
func whereIs(ctx context.Context, db *store.DB) (string, error) {
	path := db.Path()
	if path == "" {
		return db.Server(ctx)
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("looking where the database is: %w", err)
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", fmt.Errorf("looking where the database is: %w", err)
	}
	inode := uint64(0)
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		inode = s.Ino
	}
	return fmt.Sprintf("file %s %d", real, inode), nil
}
