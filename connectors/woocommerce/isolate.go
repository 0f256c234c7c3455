package woocommerce

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/rest"
	"github.com/relance/relance/internal/crm"
)

// A record on which the shop itself fails (a plugin's fatal error) turns every list that holds it into a 500. The engine
// shrinks the page until few others are with it; then the ids are listed without their records, and each record is
// asked for by itself. What fails alone is rejected by its id, and the run goes on behind it.

// isolatedRows is how many records are asked for one by one: as few as a page can be, see window.
const isolatedRows = 8

// crashed: the shop failed on what it was asked, other than by being out of reach.
func crashed(err error) bool {
	r, ok := errors.AsType[*refused](err)
	return ok && r.status == http.StatusInternalServerError
}

// isolate reads the next few rows one by one. cause is given back when the shop cannot list even their ids, or fails on
// every one of them and on the newest as well: then it is no record's fault.
func (s *Source) isolate(ctx context.Context, f feed, c *cursor, cause error) (rows, []connectors.Rejected, error) {
	if c.Run != nil && c.Run.Start == "" {
		c.Run = nil // nothing was read yet
	}
	ids := f
	ids.fields = "id"
	out, err := s.nextRows(ctx, ids, c, isolatedRows)
	if err != nil {
		return rows{}, nil, cause
	}
	var bad []connectors.Rejected
	var good []json.RawMessage
	for _, raw := range out.fresh {
		id := strconv.FormatInt(idOf(raw), 10)
		found, err := s.some(ctx, f, c.Run.Phase, url.Values{"include": {id}})
		switch {
		case crashed(err):
			bad = append(bad, connectors.Rejected{
				Ref: crm.Ref{Kind: f.Kind, ID: id}, Raw: raw,
				Reason: "the shop itself fails on this record with a 500: its PHP error log (WooCommerce → Status → Logs) says why",
			})
		case err != nil:
			return rows{}, nil, err
		default:
			good = append(good, found...)
		}
	}
	if len(bad) > 0 && len(good) == 0 {
		if _, err := s.some(ctx, f, c.Run.Phase, url.Values{"orderby": {"id"}, "order": {"desc"}}); crashed(err) && len(bad) > 1 {
			return rows{}, nil, cause
		}
	}
	out.fresh = good
	return out, bad, nil
}

// some asks for one row of a set.
func (s *Source) some(ctx context.Context, f feed, phase int, which url.Values) ([]json.RawMessage, error) {
	op := "list " + f.Name + " one by one"
	q := merged(f.sets[phase], merged(which, url.Values{"per_page": {"1"}}))
	a, err := s.client.letIn(ctx, func(ctx context.Context) (rest.Answer, error) { // sent once: it has failed before
		return s.client.Send(ctx, op, http.MethodGet, apiRoot+f.path, rest.Query(q), "", nil)
	})
	if err != nil {
		return nil, err
	}
	return decodeList[json.RawMessage](s.client, op, a)
}
