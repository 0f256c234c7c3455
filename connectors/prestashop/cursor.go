package prestashop

import (
	"encoding/json"
	"time"

	"github.com/relance/relance/connectors"
)

const (
	cursorVersion = 1
	maxPage       = 100
	idsFactor     = 10 // lists of ids and of single flags cost little: ten times the rows of a page
)

// cursor is where a stream stands. Between two runs only Since is set; Run is the one under way.
type cursor struct {
	Version int       `json:"v"`
	Since   time.Time `json:"since,omitzero"` // start of the run before, by the shop's clock; zero reads everything
	Run     *run      `json:"run,omitempty"`
}

// run is one pass. Its pages are cut by id (filter[id]=>[last], sort=[id_ASC]), within a window of dates where only
// changes are wanted: rows that leave or enter the set while it is read shift nothing, however many share one second.
type run struct {
	Start time.Time `json:"start"` // the shop's clock before anything was read
	From  string    `json:"from,omitempty"`
	To    string    `json:"to,omitempty"`
	Phase int       `json:"phase,omitempty"` // lists of ids: products, then their combinations
	Last  int64     `json:"last"`            // largest id read
	Total int       `json:"total"`
}

func readCursor(raw connectors.Cursor) cursor {
	var c cursor
	if len(raw) == 0 || json.Unmarshal(raw, &c) != nil || c.Version != cursorVersion {
		return cursor{Version: cursorVersion} // unreadable: reading everything again is safe, skipping is not
	}
	if c.Run != nil && (c.Run.Last < 0 || c.Run.Phase < 0 || (c.Run.From != "") != (c.Run.To != "")) {
		c.Run = nil
	}
	return c
}

func (c cursor) encode() connectors.Cursor {
	b, _ := json.Marshal(c) // times, strings and numbers only
	return b
}
