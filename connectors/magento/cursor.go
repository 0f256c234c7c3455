package magento

import (
	"encoding/json"
	"time"

	"github.com/relance/relance/connectors"
)

const (
	cursorVersion = 1
	overlap       = 5 * time.Minute // between two runs of a delta stream, by the shop's clock; covers open transactions
	maxPage       = 100
)

// wireTime is how Magento writes an instant, always UTC. A filter of any other form matches everything.
const wireTime = time.DateTime

// cursor is where a stream stands. Between two runs only Since is set; Run is the one under way.
type cursor struct {
	Version int    `json:"v"`
	Since   string `json:"since,omitempty"` // where the window of the run begins; "" reads everything
	Run     *run   `json:"run,omitempty"`
}

// run is one pass. A complete one goes by entity_id alone: nothing moves while it is read. A window goes by (updated_at,
// entity_id), always asking for page 1 behind the last row read: changed rows move to the end, which would shift every
// page after the first (B13), and a second can hold more rows than a page.
type run struct {
	Start string `json:"start,omitempty"` // Date of the first answer
	Total int    `json:"total"`           // as the first answer said
	Seen  int    `json:"seen,omitempty"`  // rows so far
	Floor string `json:"floor,omitempty"` // of streams that re-read the recent: since when
	Last  int64  `json:"last,omitempty"`  // largest id read; in a window: of those of the second At
	At    string `json:"at,omitempty"`    // window: all before this second was read
	How   string `json:"how,omitempty"`   // window: how At is compared: gteq (""), eq (the rest of one second), gt
}

const (
	restOfSecond = "eq"
	laterSeconds = "gt"
)

func readCursor(raw connectors.Cursor) cursor {
	var c cursor
	if len(raw) == 0 || json.Unmarshal(raw, &c) != nil || c.Version != cursorVersion || c.Since != "" && !isTime(c.Since) {
		return cursor{Version: cursorVersion} // unreadable: reading everything again is safe, skipping is not
	}
	if r := c.Run; r != nil && (r.Last < 0 || r.At != "" && !isTime(r.At) || r.Floor != "" && !isTime(r.Floor)) {
		c.Run = nil
	}
	return c
}

func (c cursor) encode() connectors.Cursor {
	b, _ := json.Marshal(c) // strings and numbers only
	return b
}

// next is the cursor of the run that follows this one.
func (c cursor) next(delta bool) cursor {
	n := cursor{Version: cursorVersion}
	if start, err := time.Parse(wireTime, c.Run.Start); delta && err == nil {
		n.Since = start.Add(-overlap).Format(wireTime)
	}
	return n
}

// isTime holds for what may be sent back as a filter; "0000-00-00 00:00:00", which old carts carry, is one.
func isTime(s string) bool {
	if len(s) != len(wireTime) {
		return false
	}
	for i, c := range []byte(s) {
		switch want := wireTime[i]; {
		case want == '-' || want == ':' || want == ' ':
			if c != want {
				return false
			}
		case c < '0' || c > '9':
			return false
		}
	}
	return true
}
