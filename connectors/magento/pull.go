package magento

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/lenient"
	"github.com/relance/relance/internal/fault"
)

// Pull reads the page of a stream after the cursor (connectors.Source).
func (s *Source) Pull(ctx context.Context, stream string, after connectors.Cursor, size int) (connectors.Page, error) {
	f, err := s.feed(stream)
	if err != nil {
		return connectors.Page{}, err
	}
	c := readCursor(after)
	if c.Run == nil {
		c.Run = &run{At: c.Since}
		if f.recent != "" {
			c.Run.Floor = s.clock().UTC().Add(-f.within).Format(wireTime)
		}
	}
	r := c.Run
	size = min(max(size, 1), cmp.Or(f.most, maxPage))
	windowed := f.Mode == connectors.ModeDelta && c.Since != ""
	page, p := connectors.Page{}, step{}
	for range 3 { // a second that is used up brings nothing: the page after it is read at once
		if p, err = s.step(ctx, f, r, windowed, size); size <= fewRows && refusal(err).crashed() {
			if p, page.Rejected, err = s.oneByOne(ctx, f, r, windowed, size); err != nil {
				return connectors.Page{}, err
			}
			break
		}
		if err != nil {
			return connectors.Page{}, err
		}
		if len(p.fresh) > 0 || p.end {
			break
		}
	}
	page.Total, page.ShopTime, page.More = r.Total, p.date, !p.end
	if err := s.fill(ctx, f, p.fresh, &page); err != nil {
		return connectors.Page{}, err
	}
	if p.end {
		c = c.next(f.Mode == connectors.ModeDelta)
	}
	page.Next = c.encode()
	return page, nil
}

// step is one answer: what was not read before in this run, and whether the run ends with it.
type step struct {
	listing
	fresh []json.RawMessage
	end   bool
}

func (s *Source) step(ctx context.Context, f feed, r *run, windowed bool, size int) (step, error) {
	q, err := s.question(ctx, f, *r, windowed)
	if err != nil {
		return step{}, err
	}
	q.size = size
	l, size, err := s.client.search(ctx, "list "+f.Name, s.path(f.list), q)
	if err != nil {
		return step{}, err
	}
	if r.Start == "" {
		start := l.date
		if start.IsZero() {
			start = s.clock()
		}
		r.Start, r.Total = start.UTC().Format(wireTime), l.total
	}
	p := step{listing: l}
	short := len(l.items) < size && (l.total < 0 || l.total <= len(l.items) || len(l.items) == 0)
	if windowed {
		err = p.window(f, r, short)
	} else {
		err = p.walk(f, r, short)
	}
	r.Seen += len(l.items)
	return p, err
}

// question is what the next page of the run is asked by.
func (s *Source) question(ctx context.Context, f feed, r run, windowed bool) (criteria, error) {
	q := criteria{sort: []string{"entity_id"}}
	if f.fields != "" {
		q.fields = "items[" + f.fields + "],total_count"
	}
	switch {
	case windowed && r.How == restOfSecond:
		q = q.with(filter{"updated_at", "eq", r.At}, filter{"entity_id", "gt", strconv.FormatInt(r.Last, 10)})
	case windowed:
		q.sort = []string{"updated_at", "entity_id"}
		q = q.with(filter{"updated_at", cmp.Or(r.How, "gteq"), r.At})
	default:
		q = q.with(f.full...)
		if r.Last > 0 {
			q = q.with(filter{"entity_id", "gt", strconv.FormatInt(r.Last, 10)})
		}
	}
	if r.Floor != "" {
		q = q.with(filter{f.recent, "gteq", r.Floor})
	}
	return s.ofStores(ctx, f.list, q)
}

// ofStores keeps to the store views of the shop's file.
func (s *Source) ofStores(ctx context.Context, l list, q criteria) (criteria, error) {
	if len(s.config.Stores) == 0 || l.catalogue {
		return q, nil
	}
	ids, err := s.storeIDs(ctx)
	if err != nil {
		return q, err
	}
	return q.with(filter{"store_id", "in", strings.Join(ids, ",")}), nil
}

// path is below /rest/. Texts of the catalogue are those of the first store view that is read; elsewhere the code in the
// path filters nothing.
func (s *Source) path(l list) string {
	if l.catalogue && len(s.config.Stores) > 0 {
		return s.config.Stores[0] + "/" + l.path
	}
	return l.path
}

// walk takes a page of a complete run.
func (p *step) walk(f feed, r *run, short bool) error {
	if len(p.items) == 0 && r.Seen == 0 && p.total > 0 {
		return &fault.Error{Class: fault.Retry, Op: "magento: list " + f.Name, Err: errors.New("the shop counts records and shows none")}
	}
	last := r.Last
	for _, raw := range p.items {
		h := headOf(raw, f.id)
		switch {
		case h.id == 0:
		case h.id <= r.Last:
			return cached("list "+f.Name, "the shop shows records again that it was told to leave out")
		case h.id < last:
			return cached("list "+f.Name, "the shop does not sort as it is asked to")
		default:
			last = h.id
		}
	}
	if len(p.items) > 0 && last == r.Last {
		return fault.New(fault.Retry, "magento: list "+f.Name, errors.New("the records have no ids"))
	}
	r.Last, p.fresh, p.end = last, p.items, short
	return nil
}

// window takes a page of what changed.
func (p *step) window(f feed, r *run, short bool) error {
	at, last, seconds := r.At, r.Last, map[string]bool{}
	for _, raw := range p.items {
		h := headOf(raw, f.id)
		if h.updated != "" && h.updated < r.At {
			return cached("list "+f.Name, "the shop shows records again that it was told to leave out")
		}
		seconds[h.updated] = true
		if r.How == "" && h.updated == r.At && h.id <= r.Last {
			continue // read before, on the page that ended within this second
		}
		p.fresh = append(p.fresh, raw)
		if h.updated > at {
			at, last = h.updated, 0
		}
		if h.updated == at {
			last = max(last, h.id)
		}
	}
	moved := at > r.At
	switch {
	case short && r.How == restOfSecond:
		r.How = laterSeconds
		return nil
	case short:
		p.end = true
		return nil
	case r.How == laterSeconds && !moved, r.How == restOfSecond && last <= r.Last:
		return fault.New(fault.Retry, "magento: list "+f.Name, errors.New("the records have no dates to go by"))
	case r.How != restOfSecond:
		r.How = ""
		if !moved || len(seconds) == 1 { // a second with more records than a page
			r.How = restOfSecond
		}
		p.end = at > r.Start // what changes while we read is seen by the next run
	}
	r.At, r.Last = at, last
	return nil
}

// head is what a row is ordered by.
type head struct {
	id      int64
	updated string // "" when it has none that can be read
	store   string
}

func headOf(raw json.RawMessage, id string) head {
	var w struct {
		ID      lenient.Text `json:"id"`
		Entity  lenient.Text `json:"entity_id"`
		Updated lenient.Text `json:"updated_at"`
		Store   lenient.Text `json:"store_id"`
	}
	if json.Unmarshal(raw, &w) != nil {
		return head{}
	}
	text := w.ID
	if id == "entity_id" {
		text = w.Entity
	}
	h := head{store: string(w.Store)}
	if n, err := strconv.ParseInt(string(text), 10, 64); err == nil && n > 0 {
		h.id = n
	}
	if isTime(string(w.Updated)) {
		h.updated = string(w.Updated)
	}
	return h
}

// Count says how many records a complete run of the stream would see now (connectors.Counter).
func (s *Source) Count(ctx context.Context, stream string) (int, error) {
	f, err := s.feed(stream)
	if err != nil {
		return -1, err
	}
	r := run{}
	if f.recent != "" {
		r.Floor = s.clock().UTC().Add(-f.within).Format(wireTime)
	}
	q, err := s.question(ctx, f, r, false)
	if err != nil {
		return -1, err
	}
	q.size, q.fields, q.sort = 1, "total_count", nil
	l, _, err := s.client.search(ctx, "count "+f.Name, s.path(f.list), q)
	if err != nil {
		return -1, err
	}
	return l.total, nil
}

// fill normalises the rows into the page; one that cannot be understood is rejected alone.
func (s *Source) fill(ctx context.Context, f feed, raws []json.RawMessage, page *connectors.Page) error {
	if f.Mode == connectors.ModeIDs {
		for _, raw := range raws {
			if h := headOf(raw, f.id); h.id != 0 {
				page.IDs = append(page.IDs, strconv.FormatInt(h.id, 10))
			}
		}
		return nil
	}
	n, err := s.normaliser(ctx, f.Kind)
	if err != nil {
		return err
	}
	switch f.Name {
	case StreamNewsletter:
		add(page, raws, n.newsletter)
		page.Raw = nil // a part of each record: the whole body is kept from where it was read
		return nil
	case StreamProducts:
		if raws, err = s.withChildren(ctx, &n, raws); err != nil {
			return err
		}
	case StreamCarts, StreamGuestCarts, StreamOpenCarts:
		if raws, err = s.withTotals(ctx, &n, raws); err != nil {
			return err
		}
	}
	add(page, raws, n.of(f.Kind))
	if f.Name == StreamCatalogue {
		page.Raw = nil // without the stock, which comes from elsewhere
		return s.stocks(ctx, raws, page)
	}
	return nil
}

// ids of rows, for questions about them.
func idsOf(raws []json.RawMessage, id string) []string {
	var out []string
	for _, raw := range raws {
		if h := headOf(raw, id); h.id != 0 {
			out = append(out, strconv.FormatInt(h.id, 10))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
