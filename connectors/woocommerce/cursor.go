package woocommerce

import (
	"encoding/json"
	"time"

	"github.com/relance/relance/connectors"
)

const (
	cursorVersion = 1
	overlap       = 5 * time.Minute // between two runs of a delta stream, by the shop's clock
	maxPage       = 100
)

// cursor is where a stream stands. Between two runs only Since is set; Run is the one under way.
type cursor struct {
	Version int    `json:"v"`
	Since   string `json:"since,omitempty"` // modified_after of the run, GMT without suffix; "" reads everything
	Run     *run   `json:"run,omitempty"`
}

// run is one pass over a set sorted by id.
//
// Rows may leave the set meanwhile, which moves the rest towards the front, even while others enter it and hide that
// from the total. So a page always begins at or before the last row that was read: if its first id is larger than that
// one's, rows have moved and the page is read again further to the front. Nothing is skipped whatever the page size.
type run struct {
	Start string `json:"start"`         // Date of the first answer
	Phase int    `json:"phase"`         // index into the stream's sets
	Pos   int    `json:"pos"`           // rows of the set known to lie at or before Last
	Last  int64  `json:"last"`          // largest id read in this phase
	Total int    `json:"total"`         // of all phases, as the first answers said
	Cur   string `json:"cur,omitempty"` // the shop's currency, for products

	At      int   `json:"at,omitempty"`      // where the page before began
	First   int64 `json:"first,omitempty"`   // and the id it began with
	Repeats int   `json:"repeats,omitempty"` // pages in a row that began with the same id further on
}

// repeated notes where a page begins and tells whether the shop shows the same page whatever it is asked for. Rows that
// entered at the front can make that look so once, not again and again.
func (r *run) repeated(at int, first int64) bool {
	if at > r.At && first == r.First && first != 0 {
		r.Repeats++
	} else {
		r.Repeats = 0
	}
	r.At, r.First = at, first
	return r.Repeats >= 3
}

func readCursor(raw connectors.Cursor) cursor {
	var c cursor
	if len(raw) == 0 || json.Unmarshal(raw, &c) != nil || c.Version != cursorVersion {
		return cursor{Version: cursorVersion} // unreadable: reading everything again is safe, skipping is not
	}
	if c.Run != nil && (c.Run.Pos < 0 || c.Run.Phase < 0) {
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

// window picks per_page and page such that the page begins at or before row pos-1 (0-based) and reaches as far beyond
// as the size allows. WooCommerce knows no "id greater than"; page × per_page is the paging that was seen to work for
// every resource. Sizes below 8 may be stretched by a few rows where no such page exists.
func window(pos, size int) (perPage, page int) {
	size = min(max(size, 1), maxPage)
	if pos <= 0 {
		return size, 1
	}
	gain := func(s int) int { return s - 1 - (pos-1)%s }
	best := 0
	for s := 2; s <= max(size, 8); s++ {
		if g := gain(s); g <= size && g > best {
			best, perPage = g, s
		}
	}
	for s := 2; best == 0; s++ { // ends: not every s up to 100 divides pos
		if best = gain(s); best > 0 {
			perPage = s
		}
	}
	return perPage, (pos-1)/perPage + 1
}
