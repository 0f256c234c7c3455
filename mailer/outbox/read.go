package outbox

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Captured is a mail that was kept.
type Captured struct {
	Entry

	HTML, Text string
}

// Mails lists the newest mails first, by hand-over, limit at most. The page for owners calls it.
func (o *Outbox) Mails(limit int) ([]Entry, error) {
	if limit <= 0 {
		return nil, nil
	}
	var out []Entry
	seen := map[string]bool{}
	err := o.backwards(func(line string) bool {
		id := idOf(line)
		if seen[id] || !safe(id) {
			return true
		}
		seen[id] = true
		if e, err := o.entry(id); err == nil { // else: killed before it was shown, or erased
			out = append(out, e)
		}
		return len(out) < limit
	})
	if err != nil {
		return nil, fmt.Errorf("listing the outbox: %w", err)
	}
	return out, nil
}

// Open reads one mail. The error is fs.ErrNotExist when there is none of that id.
func (o *Outbox) Open(id string) (Captured, error) {
	if !safe(id) {
		return Captured{}, fmt.Errorf("opening a mail of the outbox: %w", fs.ErrNotExist)
	}
	e, err := o.entry(id)
	c := Captured{Entry: e}
	for _, part := range []struct {
		ext string
		to  *string
	}{{".html", &c.HTML}, {".txt", &c.Text}} {
		if err == nil {
			var b []byte
			b, err = o.root.ReadFile(id + part.ext)
			*part.to = string(b)
		}
	}
	if err != nil {
		return Captured{}, fmt.Errorf("opening a mail of the outbox: %w", err)
	}
	return c, nil
}

func (o *Outbox) entry(id string) (Entry, error) {
	var e Entry
	b, err := o.root.ReadFile(id + ".json")
	if err == nil {
		err = json.Unmarshal(b, &e)
	}
	return e, err
}

// Handed counts the hand-overs by send id: 1 for every mail, if all is well. It also reads the log of a folder that
// another process writes to, or of one that died.
func (o *Outbox) Handed() (map[string]int, error) {
	f, err := os.Open(filepath.Join(o.dir, logName))
	if err != nil {
		return nil, fmt.Errorf("reading the log of the outbox: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read
	out := map[string]int{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if id := idOf(lines.Text()); safe(id) {
			out[id]++
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading the log of the outbox: %w", err)
	}
	return out, nil
}

// idOf is the send id of a line of the log, "" for a torn one.
func idOf(line string) string {
	words := strings.Fields(line)
	if len(words) != 4 {
		return ""
	}
	return words[1]
}

// backwards gives the lines of the log from the last to the first until visit says false.
func (o *Outbox) backwards(visit func(line string) bool) error {
	info, err := o.log.Stat()
	if err != nil {
		return err
	}
	const block = 16 << 10
	var rest []byte // the beginning of a line whose end was visited is in the block before
	for end := info.Size(); end > 0; {
		start := max(end-block, 0)
		b := make([]byte, end-start, end-start+int64(len(rest)))
		if _, err := o.log.ReadAt(b, start); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		b = append(b, rest...)
		for {
			i := bytes.LastIndexByte(b, '\n')
			if i < 0 {
				break
			}
			if !visit(string(b[i+1:])) {
				return nil
			}
			b = b[:i]
		}
		rest, end = b, start
	}
	visit(string(rest))
	return nil
}
