package config

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/mailer"
)

// keyEntry is one key in the file of keys: a JSON list, the newest first.
type keyEntry struct {
	ID     string    `json:"id"`
	Made   time.Time `json:"made"`
	Secret []byte    `json:"secret"` // base64
}

const keyBytes = 32

// Read gives the signing keys, newest first. The error is os.ErrNotExist when there is no file yet, else a
// fault.Operator that says what to mend.
func (k Keys) Read() (mailer.Keys, error) {
	data, err := os.ReadFile(k.File)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("reading the keys: %w", err)
	}
	if err != nil {
		return nil, k.fault("reading the keys", err, "Give this user the right to read "+k.File)
	}
	if info, err := os.Stat(k.File); err == nil && info.Mode().Perm()&0o077 != 0 {
		return nil, k.fault("reading the keys", fmt.Errorf("others may read %s (mode %04o)", k.File, info.Mode().Perm()), "chmod 600 "+k.File)
	}
	var entries []keyEntry
	if err := json.Unmarshal(data, &entries); err != nil { // the decoder's own text may repeat a key
		return nil, k.fault("reading the keys", errors.New("the file is not the list that Relance wrote"), "Restore "+k.File+" from a backup: without these keys no unsubscribe link that was ever sent works")
	}
	var keys mailer.Keys
	for _, e := range entries {
		if e.ID == "" || len(e.Secret) < keyBytes {
			return nil, k.fault("reading the keys", errors.New("a key in it is too short"), "Restore "+k.File+" from a backup")
		}
		keys = append(keys, mailer.Key{ID: e.ID, Secret: e.Secret})
	}
	if len(keys) == 0 {
		return nil, k.fault("reading the keys", errors.New("there is none in the file"), "Restore "+k.File+" from a backup, or remove it if no mail was ever sent")
	}
	return keys, nil
}

// Make writes a first key, mode 0600, and never over a file that is there. Two processes that make one at the same
// moment end up with the same.
func (k Keys) Make(now time.Time) (mailer.Keys, error) {
	secret := make([]byte, keyBytes)
	_, _ = rand.Read(secret)                                                                                                                                   // never fails
	data, err := json.MarshalIndent([]keyEntry{{ID: "k" + strings.ToLower(rand.Text()[:6]), Made: now.UTC().Truncate(time.Second), Secret: secret}}, "", "  ") //nolint:gosec // this file is where the secret belongs
	if err != nil {
		return nil, fmt.Errorf("making the keys: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(k.File), ".keys-*")
	if err != nil {
		return nil, k.fault("making the keys", err, "Give this user the right to write into "+filepath.Dir(k.File))
	}
	defer os.Remove(tmp.Name()) //nolint:errcheck // what is left of it is harmless
	_, err = tmp.Write(append(data, '\n'))
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return nil, k.fault("making the keys", err, "Make room on the disk of "+filepath.Dir(k.File))
	}
	if err := os.Link(tmp.Name(), k.File); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, k.fault("making the keys", err, "Give this user the right to write into "+filepath.Dir(k.File))
	}
	return k.Read()
}

func (k Keys) fault(op string, err error, hint string) error {
	return &fault.Error{Class: fault.Operator, Op: op, Err: err, Hint: hint}
}
