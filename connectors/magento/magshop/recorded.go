// Package magshop is a shop on loopback that answers as a recorded Magento 2.4.7 does: its real bodies, searches, refusals
// and signatures, quirks included; on demand as 2.3 does. `relance demo` and tests run against it. It is no mock: it
// lives on when orders are placed, changed and refunded.
package magshop

import (
	"bytes"
	"compress/gzip"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

//go:embed recorded
var recorded embed.FS

// RecordedAt is when the recorded shop was read: a Clock that starts here continues its life.
func RecordedAt() time.Time { return time.Date(2026, 11, 22, 4, 30, 0, 0, time.UTC) }

func readJSON(name string, v any) error {
	f, err := recorded.Open("recorded/" + name + ".json.gz")
	if err != nil {
		return fmt.Errorf("opening recording: %w", err)
	}
	defer func() { _ = f.Close() }() // part of the binary
	r, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("unpacking recording %s: %w", name, err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("unpacking recording %s: %w", name, err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber() // amounts stay as they were written
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("reading recording %s: %w", name, err)
	}
	return nil
}
