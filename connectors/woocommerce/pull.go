package woocommerce

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
)

// Pull reads the page of a stream after the cursor (connectors.Source). A page of fewer than 8 records may hold a few
// more than asked for, see window.
func (s *Source) Pull(ctx context.Context, stream string, after connectors.Cursor, size int) (connectors.Page, error) {
	f, err := s.feed(stream)
	if err != nil {
		return connectors.Page{}, err
	}
	c := readCursor(after)
	if c.Run != nil && c.Run.Phase >= len(f.sets) {
		c.Run = nil
	}
	var bad []connectors.Rejected
	rows, err := s.nextRows(ctx, f, &c, size)
	if f.Kind == crm.KindRefund && noRoute(err) && !f.below {
		s.owners.need()
		f, c.Run = f.throughOrders(), nil
		rows, err = s.nextRows(ctx, f, &c, size)
	}
	if size <= isolatedRows && f.fields == "" && crashed(err) {
		rows, bad, err = s.isolate(ctx, f, &c, err)
	}
	if err != nil {
		return connectors.Page{}, err
	}
	page := connectors.Page{Total: c.Run.Total, ShopTime: rows.date, Rejected: bad}
	if f.below {
		page.Total = -1 // the rows are not what is counted: products bring variations, orders refunds
	}
	if err := s.fill(ctx, f, c.Run, rows.fresh, size, &page); err != nil {
		return connectors.Page{}, err
	}
	switch {
	case !rows.end:
		page.More = true
	case c.Run.Phase+1 < len(f.sets):
		c.Run = &run{Start: c.Run.Start, Total: c.Run.Total, Cur: c.Run.Cur, Phase: c.Run.Phase + 1}
		page.More = true
	default:
		c = c.next(f.Mode == connectors.ModeDelta)
	}
	page.Next = c.encode()
	return page, nil
}

// rows is one answer of a list: what was not read before in this phase, and whether the set ends with it.
type rows struct {
	answer
	fresh []json.RawMessage
	end   bool
	date  time.Time
}

// maxStepsBack bounds the search for the last row read; each step doubles.
const maxStepsBack = 12

// nextRows reads on, stepping back while rows have moved towards the front (see run), and moves the run's position.
func (s *Source) nextRows(ctx context.Context, f feed, c *cursor, size int) (rows, error) {
	begins := c.Run == nil
	if begins {
		c.Run = &run{}
	}
	r := c.Run
	for step := 0; ; step++ {
		perPage, number := window(r.Pos, size)
		a, all, err := s.list(ctx, f, *c, perPage, number)
		if err != nil {
			return rows{}, err
		}
		if begins {
			if err := s.begin(ctx, f, r, a); err != nil {
				return rows{}, err
			}
			begins = false
		}
		first, at := int64(0), (number-1)*perPage
		if len(all) > 0 {
			first = idOf(all[0])
		}
		if at > 0 && (len(all) == 0 || first > r.Last) && step < maxStepsBack {
			r.Pos = max(0, r.Pos-perPage<<step)
			continue
		}
		if r.repeated(at, first) {
			return rows{}, &fault.Error{
				Class: fault.Operator, Op: "woocommerce: list " + f.Name,
				Err: errors.New("the shop answers every page with the same one"), Hint: hintCache,
			}
		}
		cut := false
		if f.below && f.Mode != connectors.ModeIDs {
			all, cut = few(all, r.Last, size)
		}
		out := take(r, a, all, at, perPage)
		if cut {
			out.end, r.Pos = false, at+len(all)
		}
		return out, nil
	}
}

// begin notes what only the first answer of a run can tell: the shop's clock before anything was read, and the size of
// the set (later answers give 0 beyond the end).
func (s *Source) begin(ctx context.Context, f feed, r *run, a answer) error {
	start := a.date()
	if start.IsZero() {
		start = s.clock().UTC()
	}
	r.Start, r.Total = start.Format(wireTime), a.total()
	more, err := s.total(ctx, f, f.sets[1:])
	switch {
	case err != nil:
		return err
	case r.Total < 0 || more < 0:
		r.Total = -1
	default:
		r.Total += more
	}
	if f.Kind == crm.KindProduct && f.Mode != connectors.ModeIDs {
		cur, err := s.shopCurrency(ctx, true)
		r.Cur = cur
		return err
	}
	return nil
}

// Count says how many records a complete run of the stream would see now (connectors.Counter).
func (s *Source) Count(ctx context.Context, stream string) (int, error) {
	f, err := s.feed(stream)
	if err != nil {
		return -1, err
	}
	if strings.Contains(f.fields, "variations") {
		products, variations, err := s.countBelow(ctx, f)
		if !f.below && products >= 0 {
			variations += products
		}
		return variations, err
	}
	return s.total(ctx, f, f.sets)
}

// total adds up how many rows the sets have; -1 when the shop does not say.
func (s *Source) total(ctx context.Context, f feed, sets []url.Values) (int, error) {
	if f.below && f.Kind == crm.KindRefund {
		return -1, nil // it would take reading every order
	}
	sum := 0
	for _, set := range sets {
		a, err := s.client.get(ctx, "count "+f.Name, f.path, merged(set, url.Values{"per_page": {"1"}, "_fields": {"id"}}))
		if f.Kind == crm.KindRefund && noRoute(err) {
			return -1, nil
		}
		if err != nil {
			return -1, err
		}
		if a.total() < 0 {
			return -1, nil
		}
		sum += a.total()
	}
	return sum, nil
}

// take keeps what is new and moves the position.
func take(r *run, a answer, all []json.RawMessage, at, perPage int) rows {
	out := rows{answer: a, date: a.date()}
	last, seen := r.Last, map[int64]bool{}
	for _, raw := range all {
		id := idOf(raw)
		if id == 0 || id > r.Last && !seen[id] {
			out.fresh = append(out.fresh, raw)
		}
		seen[id] = true
		last = max(last, id)
	}
	// A page can be short in the middle: WooCommerce leaves out what it cannot load.
	total := a.total()
	out.end = len(all) < perPage && (len(all) == 0 || total < 0 || at+perPage >= total)
	r.Pos, r.Last = at+len(all), last
	if len(out.fresh) == 0 && !out.end {
		r.Pos = at + perPage
	}
	return out
}

func (s *Source) list(ctx context.Context, f feed, c cursor, perPage, number int) (answer, []json.RawMessage, error) {
	op := "list " + f.Name
	q := merged(f.sets[c.Run.Phase], url.Values{
		"orderby": {"id"}, "order": {"asc"}, "per_page": {strconv.Itoa(perPage)}, "page": {strconv.Itoa(number)},
	})
	if f.fields != "" {
		q.Set("_fields", f.fields)
	}
	if f.Mode == connectors.ModeDelta && c.Since != "" {
		// No suffix: a Z is read as local time by shops that keep orders (and by all that keep products) as posts.
		q.Set("modified_after", c.Since)
		q.Set("dates_are_gmt", "true")
	}
	a, err := s.client.get(ctx, op, f.path, q)
	if err != nil {
		return a, nil, err
	}
	all, err := decodeList[json.RawMessage](s.client, op, a)
	if err != nil {
		return a, nil, err
	}
	if len(all) > perPage {
		return a, nil, &fault.Error{
			Class: fault.Operator, Op: "woocommerce: " + op,
			Err: errors.New("the shop sends more rows than it is asked for"), Hint: hintCache,
		}
	}
	return a, all, nil
}

// fill normalises the rows into the page; one that cannot be understood is rejected alone.
func (s *Source) fill(ctx context.Context, f feed, r *run, raws []json.RawMessage, size int, page *connectors.Page) error {
	through := f.below && f.Kind == crm.KindRefund
	switch {
	case through && f.Mode == connectors.ModeIDs:
		page.IDs = s.refundIDs(raws)
		return nil
	case through:
		return s.fillRefundsOf(ctx, raws, page)
	case f.Mode == connectors.ModeIDs:
		page.IDs = idsOf(raws)
		return nil
	case f.below:
		return s.fillVariations(ctx, raws, r.Cur, size, page)
	}
	switch f.Kind {
	case crm.KindRefund:
		return s.fillRefunds(ctx, raws, page)
	case crm.KindProduct:
		add(page, raws, func(raw []byte) (crm.Ref, []crm.Fact, error) { return s.norm.product(raw, r.Cur) })
	case crm.KindCustomer:
		add(page, raws, s.norm.customer)
	case crm.KindOrder:
		add(page, raws, s.norm.order)
	case crm.KindCategory:
		add(page, raws, s.norm.category)
	case crm.KindCart, crm.KindEvent, crm.KindConsent: // carts come with their orders, the others not from here
	}
	return nil
}

// idsOf are the ids of rows, and of a product's variations.
func idsOf(raws []json.RawMessage) []string {
	var out []string
	for _, raw := range raws {
		if id := idOf(raw); id != 0 {
			out = append(out, strconv.FormatInt(id, 10))
		}
		for _, v := range parentOfRow(raw).Variations {
			if v != "" {
				out = append(out, string(v))
			}
		}
	}
	return out
}

func add(page *connectors.Page, raws []json.RawMessage, normalise func([]byte) (crm.Ref, []crm.Fact, error)) {
	for _, raw := range raws {
		ref, facts, err := normalise(raw)
		page.Take(ref, raw, facts, err)
	}
}

// idOf is the id of a row, 0 when it has none that can be read. WooCommerce writes it first.
func idOf(raw json.RawMessage) int64 {
	if rest, ok := bytes.CutPrefix(raw, []byte(`{"id":`)); ok {
		if end := bytes.IndexAny(rest[:min(len(rest), 20)], ",}"); end > 0 {
			if n, err := strconv.ParseInt(string(rest[:end]), 10, 64); err == nil && n > 0 {
				return n
			}
		}
	}
	var w struct {
		ID ident `json:"id"`
	}
	if json.Unmarshal(raw, &w) != nil {
		return 0
	}
	return w.ID.Number()
}

func merged(a, b url.Values) url.Values {
	out := url.Values{}
	maps.Copy(out, a)
	maps.Copy(out, b)
	return out
}
