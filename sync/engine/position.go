package engine

import (
	"encoding/json"
	"fmt"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/sync/reconcile"
)

// position is what streams.cursor_at holds: the source's cursor and where the run under way stands.
type position struct {
	Cursor  []byte           `json:"cursor,omitempty"`
	Running bool             `json:"running,omitempty"`
	Done    int              `json:"done,omitempty"`  // records seen in this run
	Total   int              `json:"total,omitempty"` // as the shop said on the run's first page; -1 when it did not
	IDs     *reconcile.State `json:"ids,omitempty"`
}

// decode reads a stored position. What cannot be read (written by a newer version) starts over, which repeats
// records but skips none.
func decode(b connectors.Cursor) position {
	var p position
	if len(b) > 0 && json.Unmarshal(b, &p) != nil {
		return position{}
	}
	return p
}

func (p position) encode() (connectors.Cursor, error) {
	b, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("storing a stream's position: %w", err)
	}
	return b, nil
}

// start begins a run where the last one ended.
func (p *position) start() {
	p.Running, p.Done, p.Total = true, 0, -1
	if p.IDs != nil {
		p.IDs = &reconcile.State{Runs: p.IDs.Runs, Suspect: p.IDs.Suspect}
	}
}
