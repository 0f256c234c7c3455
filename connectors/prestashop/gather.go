package prestashop

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/relance/relance/internal/fault"
)

// gathered are rows, and the ids of rows that the shop cannot show because PHP stumbles over them.
type gathered struct {
	rows []json.RawMessage
	bad  []badRow
	at   time.Time // the shop's clock at the first answer
	last int64     // largest id looked at
	end  bool
}

type badRow struct {
	id   string
	body []byte
	why  *refused
}

func (g *gathered) add(a answered) {
	g.rows = append(g.rows, a.rows...)
	if g.at.IsZero() {
		g.at = a.at
	}
	for _, raw := range a.rows {
		g.last = max(g.last, idOf(raw))
	}
}

// after reads up to size rows whose ids are larger than last. filter holds the rest of what they must be.
//
// One row that a module stumbles over turns the whole answer into a 500. Then the ids alone are listed and the rows are
// asked for in ever smaller parts, until only the bad ones are left.
func (c *client) after(ctx context.Context, res resource, filter url.Values, last int64, size int) (gathered, error) {
	q := merged(filter, url.Values{"limit": {strconv.Itoa(size)}})
	if last > 0 {
		q.Set("filter[id]", ">["+strconv.FormatInt(last, 10)+"]")
	}
	g := gathered{last: last}
	a, err := c.list(ctx, res, q)
	if !brokenRow(err) {
		g.add(a)
		g.end = len(a.rows) < size
		return g, err
	}
	ids, err2 := c.list(ctx, res.only("id"), q)
	if brokenRow(err2) {
		return g, c.creep(ctx, res, filter, size, &g, err)
	}
	if err2 != nil {
		return g, err2
	}
	g.add(answered{at: ids.at})
	named := make([]string, 0, len(ids.rows))
	for _, raw := range ids.rows {
		if id := idOf(raw); id > 0 {
			named = append(named, strconv.FormatInt(id, 10))
			g.last = max(g.last, id)
		}
	}
	g.end = len(ids.rows) < size
	return g, c.halve(ctx, res, "id", named, &g)
}

// batch is how many ids fit into an address: servers stop at 8 kB.
const batch = 200

// byIDs reads the rows whose field is one of the ids. What cannot be shown is in bad, if the field is the row's own id.
func (c *client) byIDs(ctx context.Context, res resource, filterBy string, ids []string) (gathered, error) {
	g := gathered{end: true}
	ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return id == "" || id == "0" })
	slices.SortFunc(ids, byNumber)
	for part := range slices.Chunk(slices.Compact(ids), batch) {
		if err := c.halve(ctx, res, filterBy, part, &g); err != nil {
			return g, err
		}
	}
	return g, nil
}

func byNumber(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

// halve asks for all ids at once, and for halves of them when that fails because of a row.
func (c *client) halve(ctx context.Context, res resource, filterBy string, ids []string, g *gathered) error {
	if len(ids) == 0 {
		return nil
	}
	a, err := c.list(ctx, res, url.Values{"filter[" + filterBy + "]": {anyOf(ids)}})
	if !brokenRow(err) {
		g.add(a)
		return err
	}
	if len(ids) == 1 {
		if len(g.bad) == 0 {
			if err := c.allBroken(ctx, res, err); err != nil {
				return err
			}
		}
		r := asRefused(err)
		g.bad = append(g.bad, badRow{id: ids[0], body: r.body, why: r})
		return nil
	}
	for _, part := range [][]string{ids[:len(ids)/2], ids[len(ids)/2:]} {
		if err := c.halve(ctx, res, filterBy, part, g); err != nil {
			return err
		}
	}
	return nil
}

// allBroken gives an error when even an answer without rows fails: then it is no row's fault.
func (c *client) allBroken(ctx context.Context, res resource, cause error) error {
	_, err := c.list(ctx, res.only("id"), url.Values{"filter[id]": {"[0]"}, "limit": {"1"}})
	if !brokenRow(err) {
		return nil
	}
	return &fault.Error{Class: fault.Operator, Op: "prestashop: list " + res.path, Err: asRefused(cause), Hint: hintPHP}
}

// creep looks for the next bad row where not even ids can be listed across it: by ranges of ids, doubling while all is
// well, then halving. It reads up to that row, which it names, or up to size rows.
func (c *client) creep(ctx context.Context, res resource, filter url.Values, size int, g *gathered, cause error) error {
	if err := c.allBroken(ctx, res, cause); err != nil {
		return err
	}
	low, width := g.last, int64(1) // all up to low was read
	high := int64(0)               // the bad row is in (low, high]
	for high == 0 || high-low > 1 {
		upTo := low + width
		if high > 0 {
			upTo = low + (high-low)/2
		}
		q := merged(filter, url.Values{"limit": {strconv.Itoa(size)}})
		q.Set("filter[id]", "["+strconv.FormatInt(low+1, 10)+","+strconv.FormatInt(upTo, 10)+"]")
		a, err := c.list(ctx, res, q)
		switch {
		case brokenRow(err):
			high = upTo
			continue
		case err != nil:
			return err
		}
		g.add(a)
		if len(a.rows) >= size {
			return nil // more of them may be in this range: the next page begins behind the last one
		}
		low = upTo
		g.last = low
		if width *= 2; high == 0 && width > combinationBase {
			g.end = true // it was mended meanwhile
			return nil
		}
	}
	g.bad = append(g.bad, badRow{id: strconv.FormatInt(high, 10), body: asRefused(cause).body, why: asRefused(cause)})
	g.last = high
	return nil
}

func merged(a, b url.Values) url.Values {
	out := url.Values{}
	maps.Copy(out, a)
	maps.Copy(out, b)
	return out
}
