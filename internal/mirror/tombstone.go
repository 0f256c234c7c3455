package mirror

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// metaErasureKey is the row of meta with the key of the tombstones. It is made at the first erasure; without it nobody
// has been erased, and nothing needs to be looked up.
const metaErasureKey = "erasure_key"

// graves knows the tombstones of one audience: an address is in them or not, but cannot be read from them.
type graves struct {
	key      []byte
	audience int64
}

// openGraves gives nil when nobody has ever been erased.
func openGraves(ctx context.Context, q store.Queryer, audienceID int64) (*graves, error) {
	var text string
	err := q.GetContext(ctx, &text, "SELECT value FROM meta WHERE name='"+metaErasureKey+"'")
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the key of erasures: %w", err)
	}
	return gravesOf(text, audienceID)
}

// gravesOf takes the key as stored, "" when nobody has ever been erased.
func gravesOf(text string, audienceID int64) (*graves, error) {
	if text == "" {
		return nil, nil
	}
	key, err := hex.DecodeString(text)
	if err != nil || len(key) != sha256.Size {
		return nil, fmt.Errorf("reading the key of erasures: meta %s is not %d bytes in hex", metaErasureKey, sha256.Size)
	}
	return &graves{key: key, audience: audienceID}, nil
}

// digGraves is openGraves for an erasure: the first one makes the key.
func digGraves(ctx context.Context, tx *store.Tx, audienceID int64) (*graves, error) {
	g, err := openGraves(ctx, tx, audienceID)
	if err != nil || g != nil {
		return g, err
	}
	key := make([]byte, sha256.Size)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("making the key of erasures: %w", err)
	}
	if err := again(tx, tx.Insert(ctx, "meta", []string{"name", "value"}, [][]any{{metaErasureKey, hex.EncodeToString(key)}})); err != nil {
		return nil, fmt.Errorf("making the key of erasures: %w", err)
	}
	return &graves{key: key, audience: audienceID}, nil
}

// hash is HMAC-SHA256(key, audience + NUL + address).
func (g *graves) hash(norm string) []byte {
	h := hmac.New(sha256.New, g.key)
	h.Write([]byte(strconv.FormatInt(g.audience, 10) + "\x00" + norm))
	return h.Sum(nil)
}

// bury keeps the addresses from ever making a contact again.
func (g *graves) bury(ctx context.Context, tx *store.Tx, norms []string, at crm.Instant) error {
	rows := make([][]any, 0, len(norms))
	for _, norm := range norms {
		rows = append(rows, []any{g.audience, g.hash(norm), at})
	}
	if err := tx.Upsert(ctx, "tombstones", []string{"audience_id", "hash"}, []string{"audience_id", "hash", "erased_at"}, rows); err != nil {
		return fmt.Errorf("writing tombstones: %w", err)
	}
	return nil
}

// among gives those of the normalised addresses that are erased, with the instant of their erasure.
func (g *graves) among(ctx context.Context, tx *store.Tx, norms map[string]bool) (map[string]crm.Instant, error) {
	byHash := make(map[string]string, len(norms))
	hashes := make([][]byte, 0, len(norms))
	for norm := range norms {
		if norm != "" {
			h := g.hash(norm)
			byHash[string(h)] = norm
			hashes = append(hashes, h)
		}
	}
	found := map[string]crm.Instant{}
	err := readIn(ctx, tx, "SELECT hash, erased_at FROM tombstones WHERE audience_id=? AND hash IN (%)", []any{g.audience}, hashes, func(r *sqlx.Rows) error {
		var hash []byte
		var at crm.Instant
		err := r.Scan(&hash, &at)
		found[byHash[string(hash)]] = at
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading tombstones: %w", err)
	}
	return found, nil
}

// namesErased tells for each list of normalised addresses whether one of them is erased.
func (g *graves) namesErased(ctx context.Context, tx *store.Tx, named [][]string) ([]bool, error) {
	all := map[string]bool{}
	for _, norms := range named {
		for _, norm := range norms {
			all[norm] = true
		}
	}
	erased, err := g.among(ctx, tx, all)
	if err != nil {
		return nil, err
	}
	out := make([]bool, len(named))
	for i, norms := range named {
		for _, norm := range norms {
			if _, is := erased[norm]; is {
				out[i] = true
			}
		}
	}
	return out, nil
}

// addressesIn finds what may be e-mail addresses in a body of any form, normalised. A body in JSON may write the @ as
// an escape.
func addressesIn(body []byte) []string {
	if bytes.Contains(body, []byte(`\u0040`)) {
		body = bytes.ReplaceAll(body, []byte(`\u0040`), []byte("@"))
	}
	var out []string
	for from := 0; ; {
		i := bytes.IndexByte(body[from:], '@')
		if i < 0 {
			return out
		}
		at := from + i
		start, end := at, at+1
		for start > from && isAddressByte(body[start-1]) {
			start--
		}
		for end < len(body) && isAddressByte(body[end]) {
			end++
		}
		if norm := crm.NormEmail(strings.Trim(string(body[start:end]), ".'")); norm != "" {
			out = append(out, norm)
		}
		from = at + 1
	}
}

// isAddressByte tells what can belong to an address: all but what ends a value in JSON, a form, CSV or XML.
func isAddressByte(b byte) bool {
	return b > ' ' && b != 0x7f && !bytes.ContainsRune([]byte(`"<>(),;:\[]&=?/@`), rune(b)) || b >= 0x80
}
