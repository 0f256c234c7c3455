package yeartest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/mailer"
)

const cloneName = "clone"

func (h *house) cloned(by string) bool { return strings.HasPrefix(by, cloneName) }

// clone copies the database, as a backup that is restored beside the original would be, and lets a process work on it. Its
// sending is off until somebody adopts it.
func (w *world) clone() {
	if w.db.Path() == "" {
		return
	}
	w.tell("the database is copied")
	dir := w.tb.TempDir()
	for _, end := range []string{"", "-wal"} {
		data, err := os.ReadFile(w.db.Path() + end)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		w.must(err)
		w.must(os.WriteFile(filepath.Join(dir, "copy.db"+end), data, 0o600))
	}
	db, err := store.Open(w.ctx, store.Options{DSN: "sqlite:" + filepath.Join(dir, "copy.db")})
	w.must(err)
	defer func() { w.must(db.Close()) }()
	leases := store.NewLeases(db, cloneName, 1000*time.Hour)
	w.must(leases.ExpireAll(w.ctx))
	_, err = leases.Acquire(w.ctx, store.LaneLeases(crm.Lanes)...)
	w.must(err)
	o := w.house.options(w.provider.as(cloneName))
	o.SendingAllowed = func() error { return errors.New("this is a copy") }
	if w.mistake.CopySends {
		o.SendingAllowed = nil
	}
	e := mailer.NewEngine(mailer.NewMirror(db), leases, o)
	for hours := range 8 { // it reads the shops, too, and lives on
		at := w.now.Add(time.Duration(3*hours) * time.Hour)
		w.must(db.Write(w.ctx, "year", func(tx *store.Tx) error {
			_, err := tx.ExecContext(w.ctx, "UPDATE streams SET read_at=?", crm.At(at))
			return err
		}))
		for range 50 {
			if _, worked, err := e.Step(w.ctx, at); err != nil || !worked {
				w.must(err)
				break
			}
		}
	}
}
