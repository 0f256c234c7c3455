// Package outbox keeps mails in a folder instead of sending them: for the demo, for trying a campaign and for tests.
//
// Per mail there are <send id>.json (who, what, when), .html, .txt and .eml. handed.log has one line per hand-over:
// a mail that was handed over twice has two, which is how tests prove that none was. All are readable by the owner
// alone, for they hold what people bought.
package outbox

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
	"unicode"

	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/mailer"
)

const (
	op      = "keeping a mail in the outbox"
	logName = "handed.log"
	tmpMark = ".tmp"
)

// Outbox implements mailer.Provider; safe for concurrent use, and for reading while another process writes.
type Outbox struct {
	dir  string
	root *os.Root
	log  *os.File
	torn atomic.Bool // the log may end within a line
}

var (
	_ mailer.Provider  = (*Outbox)(nil)
	_ mailer.Forgetter = (*Outbox)(nil)
)

// New opens the folder and makes it when it is missing.
func New(dir string) (*Outbox, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the outbox: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the outbox: %w", err)
	}
	log, err := os.OpenFile(filepath.Join(dir, logName), os.O_APPEND|os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		_ = root.Close()
		return nil, fmt.Errorf("opening the outbox: %w", err)
	}
	o := &Outbox{dir: dir, root: root, log: log}
	if err := o.tidy(time.Now()); err != nil {
		_ = o.Close()
		return nil, fmt.Errorf("opening the outbox: %w", err)
	}
	return o, nil
}

// Close ends the use of the outbox.
func (o *Outbox) Close() error { return errors.Join(o.log.Close(), o.root.Close()) }

// tidy removes what a killed process left behind long ago (younger files may be another process's at work).
func (o *Outbox) tidy(now time.Time) error {
	entries, err := fs.ReadDir(o.root.FS(), ".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), tmpMark) {
			continue
		}
		if info, err := e.Info(); err == nil && now.Sub(info.ModTime()) > time.Hour {
			_ = o.root.Remove(e.Name())
		}
	}
	if info, err := o.log.Stat(); err == nil && info.Mode().IsRegular() && info.Size() > 0 {
		last := make([]byte, 1)
		_, err := o.log.ReadAt(last, info.Size()-1)
		o.torn.Store(err == nil && last[0] != '\n')
	}
	return nil
}

// Name implements mailer.Provider.
func (o *Outbox) Name() string { return "outbox" }

// Real implements mailer.Provider: nobody is reached.
func (o *Outbox) Real() bool { return false }

// Send implements mailer.Provider. The message id is the send id. The same send id again replaces the
// files (a new database counts from one again, and its mails are to be seen) and adds a line to the log.
// Errors: Reject for a mail without a usable id or address; before the line in the log, Retry (full disk) or Operator
// (a folder that is gone or not ours); after it, Unknown.
func (o *Outbox) Send(ctx context.Context, m mailer.Mail) (string, error) {
	if !safe(m.SendID) {
		return "", fault.New(fault.Reject, op, errors.New("the send id is not made of letters, digits, - and _"))
	}
	if err := m.Deliverable(); err != nil {
		return "", fault.New(fault.Reject, op, err)
	}
	if err := ctx.Err(); err != nil {
		return "", fault.New(fault.Retry, op, err)
	}
	if m.TemplateID != "" {
		m = shown(m)
	}
	handed := time.Now().UTC()
	temps, err := o.write(m, handed)
	if err == nil {
		err = o.record(m, handed)
	}
	if err != nil {
		for _, t := range temps {
			_ = o.root.Remove(t.from)
		}
		return "", classify(err)
	}
	// The mail is handed over; what follows only shows it.
	for _, t := range temps {
		if err := o.root.Rename(t.from, t.to); err != nil {
			return "", fault.New(fault.Unknown, op, cause(err))
		}
	}
	return m.SendID, nil
}

type move struct{ from, to string }

// write puts the mail's files beside their places, durably. The .json is the last to be moved: a mail with one is whole.
func (o *Outbox) write(m mailer.Mail, handed time.Time) ([]move, error) {
	e := entryOf(m, handed)
	meta, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return nil, errors.New("it cannot be written as JSON")
	}
	eml, err := message(e, m)
	if err != nil {
		return nil, err
	}
	var moves []move
	mark := "." + rand.Text() + tmpMark
	for _, f := range []struct {
		ext  string
		data []byte
	}{{".html", []byte(m.HTML)}, {".txt", []byte(m.Text)}, {".eml", eml}, {".json", meta}} {
		mv := move{from: m.SendID + f.ext + mark, to: m.SendID + f.ext}
		moves = append(moves, mv)
		if err := o.create(mv.from, f.data); err != nil {
			return moves, err
		}
	}
	return moves, nil
}

func (o *Outbox) create(name string, data []byte) error {
	f, err := o.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// record appends the line that makes the hand-over a fact: one write, so that lines of several goroutines and
// processes never mix.
func (o *Outbox) record(m mailer.Mail, handed time.Time) error {
	word := func(s string) string {
		if s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), "_"); s == "" {
			return "-"
		}
		return s
	}
	text := fmt.Sprintf("%s %s %s %s\n", handed.Format("2006-01-02T15:04:05.000Z"), m.SendID, word(m.Campaign), word(m.Step))
	if o.torn.Swap(false) {
		text = "\n" + text
	}
	n, err := o.log.WriteString(text)
	if err != nil {
		if n > 0 {
			o.torn.Store(true)
		}
		return err
	}
	return nil
}

// classify says what happens after a failure before the hand-over: nothing was sent, so it is never Unknown.
func classify(err error) error {
	e := fault.New(fault.Retry, op, cause(err))
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		e.Hint = "Make room on the disk."
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		e.Class = fault.Operator
		e.Hint = "Check that the outbox folder exists and may be written to."
	}
	return e
}

// cause is the error without the file's name, for that holds the send id.
func cause(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	if l, ok := errors.AsType[*os.LinkError](err); ok {
		return l.Err
	}
	return err
}

// safe ids are file names on every system and lead nowhere.
func safe(id string) bool {
	if id == "" || len(id) > 100 {
		return false
	}
	return !strings.ContainsFunc(id, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '-' && r != '_'
	})
}

// Forget implements mailer.Forgetter: the mails are gone, the lines of the log, which name nobody, stay. A mail that is not
// there is no error.
func (o *Outbox) Forget(_ context.Context, sendIDs []string) error {
	for _, id := range sendIDs {
		if !safe(id) {
			continue
		}
		for _, ext := range []string{".html", ".txt", ".eml", ".json"} {
			if err := o.root.Remove(id + ext); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("removing a mail from the outbox: %w", cause(err))
			}
		}
	}
	return nil
}
