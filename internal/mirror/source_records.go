package mirror

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"fmt"
	"io"

	"github.com/jmoiron/sqlx"

	"github.com/relance/relance/internal/crm"
)

// packing compresses the bodies that changed while the facts are being written.
type packing struct {
	done chan struct{}
	rows [][]any
	err  error
}

// startRaw begins to compress the bodies behind the facts. A body that did not change is not kept again; neither is one
// that is older than what has been read of its kind.
func (a *applying) startRaw() error {
	isNew := a.newRecords()
	var refs []crm.Ref
	byKind := map[crm.Kind][]string{} // of those that may have a body here
	hashes := map[crm.Ref][]byte{}
	bodies := map[crm.Ref][]byte{}
	for _, raw := range a.b.Raw {
		if a.b.ObservedAt < a.observed[raw.Ref.Kind] || a.skipped[raw.Ref] || a.hidden[raw.Ref] {
			continue
		}
		if hashes[raw.Ref] == nil {
			refs = append(refs, raw.Ref)
			if !isNew[raw.Ref] {
				byKind[raw.Ref.Kind] = append(byKind[raw.Ref.Kind], raw.Ref.ID)
			}
		}
		h := sha256.Sum256(raw.Body)
		hashes[raw.Ref], bodies[raw.Ref] = h[:16], raw.Body
	}
	have := map[crm.Ref][]byte{}
	for kind, ids := range byKind {
		if err := readIn(a.ctx, a.tx, "SELECT id, hash FROM source_records WHERE shop_id=? AND kind=? AND id IN (%)", []any{a.b.ShopID, string(kind)}, ids,
			func(r *sqlx.Rows) error {
				var id string
				var hash []byte
				err := r.Scan(&id, &hash)
				have[crm.Ref{Kind: kind, ID: id}] = hash
				return err
			}); err != nil {
			return fmt.Errorf("finding source records: %w", err)
		}
	}
	var rows [][]any
	version := rulesVersion(a.b.Rules)
	for _, ref := range refs {
		if !bytes.Equal(have[ref], hashes[ref]) {
			rows = append(rows, []any{a.b.ShopID, string(ref.Kind), ref.ID, hashes[ref], version, int64(a.b.ObservedAt), bodies[ref]})
		}
	}
	a.packing = &packing{done: make(chan struct{}), rows: rows}
	go a.m.packAll(a.packing)
	return nil
}

// newRecords are those of which nothing has been here before.
func (a *applying) newRecords() map[crm.Ref]bool {
	isNew := map[crm.Ref]bool{}
	for _, records := range a.changed {
		for _, r := range records {
			if before, seen := isNew[r.ref]; !r.gone {
				isNew[r.ref] = !r.found && (before || !seen)
			}
		}
	}
	return isNew
}

// dropGone lets go of the bodies of records that went: nothing is to be made from them any more.
func (a *applying) dropGone() error {
	gone := map[crm.Kind][]string{}
	for f, records := range a.changed {
		for _, r := range records {
			if r.gone && a.m.shapes[f].table == tableOf(r.ref.Kind) {
				gone[r.ref.Kind] = append(gone[r.ref.Kind], r.ref.ID)
			}
		}
	}
	for kind, ids := range gone {
		if err := execIn(a.ctx, a.tx, "DELETE FROM source_records WHERE shop_id=? AND kind=? AND id IN (%)", []any{a.b.ShopID, string(kind)}, ids); err != nil {
			return err
		}
	}
	return nil
}

func (m *Mirror) packAll(p *packing) {
	defer close(p.done)
	for _, row := range p.rows {
		body, _ := row[len(row)-1].([]byte)
		packed, err := m.pack(body)
		if err != nil {
			p.err = err
			return
		}
		row[len(row)-1] = packed
	}
}

// writeRaw keeps the bodies for a later re-normalising.
func (a *applying) writeRaw() error {
	<-a.packing.done
	if a.packing.err != nil {
		return a.packing.err
	}
	if err := a.dropGone(); err != nil {
		return fmt.Errorf("dropping source records: %w", err)
	}
	if err := a.tx.Upsert(a.ctx, "source_records", []string{"shop_id", "kind", "id"},
		[]string{"shop_id", "kind", "id", "hash", "norm_version", "read_at", "raw"}, a.packing.rows); err != nil {
		return fmt.Errorf("writing source records: %w", err)
	}
	return nil
}

func (m *Mirror) pack(body []byte) ([]byte, error) {
	var out bytes.Buffer
	w, ok := m.packer.Get().(*flate.Writer)
	if !ok {
		var err error
		if w, err = flate.NewWriter(&out, flate.BestSpeed); err != nil {
			return nil, fmt.Errorf("compressing: %w", err)
		}
	}
	defer m.packer.Put(w)
	w.Reset(&out)
	if _, err := w.Write(body); err != nil {
		return nil, fmt.Errorf("compressing: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compressing: %w", err)
	}
	return out.Bytes(), nil
}

// Unpack gives the body of a source record as the shop sent it.
func Unpack(raw []byte) ([]byte, error) {
	body, err := io.ReadAll(flate.NewReader(bytes.NewReader(raw)))
	if err != nil {
		return nil, fmt.Errorf("reading a source record: %w", err)
	}
	return body, nil
}
