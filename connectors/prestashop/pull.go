package prestashop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/lenient"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
)

// Pull reads the page of a stream after the cursor (connectors.Source). Lists of ids, consents and stock come in
// pages of ten times size.
func (s *Source) Pull(ctx context.Context, stream string, after connectors.Cursor, size int) (connectors.Page, error) {
	f, err := s.feed(stream)
	if err != nil {
		return connectors.Page{}, err
	}
	if size = min(max(size, 1), maxPage); f.Mode == connectors.ModeIDs || f.quiet {
		size *= idsFactor
	}
	c := readCursor(after)
	if c.Run != nil && c.Run.Phase >= len(f.res) {
		c.Run = nil
	}
	n, err := s.normaliser(ctx)
	if err != nil {
		return connectors.Page{}, err
	}
	begins := c.Run == nil
	if begins {
		c.Run = s.begin(n, f, c)
		if f.later && c.Since.IsZero() {
			next := cursor{Version: cursorVersion, Since: c.Run.Start}
			return connectors.Page{Next: next.encode(), Total: -1, ShopTime: n.now}, nil
		}
	}
	return s.page(ctx, n, f, c, begins, size)
}

// begin notes the shop's clock before anything is read: the next run asks for what changed since then.
func (s *Source) begin(n normaliser, f feed, c cursor) *run {
	r := &run{Start: n.now, Total: -1}
	if f.Mode == connectors.ModeDelta && !c.Since.IsZero() {
		r.From, r.To = n.d.zone.window(c.Since, n.now)
	}
	return r
}

// filterOf is what the rows of a run must be.
func (f feed) filterOf(r *run) url.Values {
	if r.From == "" {
		if f.Mode == connectors.ModeDelta && f.Kind == crm.KindCustomer {
			return merged(f.filter, url.Values{"filter[deleted]": {"[0]"}}) // history: who is gone was never here
		}
		return f.filter
	}
	return merged(f.filter, url.Values{"date": {"1"}, "filter[date_upd]": {"[" + r.From + "," + r.To + "]"}})
}

func (s *Source) page(ctx context.Context, n normaliser, f feed, c cursor, begins bool, size int) (connectors.Page, error) {
	r, res := c.Run, f.res[c.Run.Phase]
	g, err := s.client.after(ctx, res, f.filterOf(r), r.Last, size)
	if forbidden(err) && f.optional(res) {
		g, err = gathered{end: true, last: r.Last, at: n.now}, nil // Probe says what is missing by it
	}
	if err != nil {
		return connectors.Page{}, err
	}
	if !g.at.IsZero() && g.at.Before(r.Start) && begins {
		r.Start = g.at
	}
	page := connectors.Page{ShopTime: g.at}
	n.now = s.client.now()
	if err := s.fill(ctx, n, f, r, g, &page); err != nil {
		return connectors.Page{}, err
	}
	if begins {
		if r.Total, err = s.totalOf(ctx, f, r, g, page); err != nil {
			return connectors.Page{}, err
		}
	}
	page.Total = r.Total
	if !g.end && g.last <= r.Last { // B12
		return connectors.Page{}, &fault.Error{
			Class: fault.Operator, Op: "prestashop: list " + res.path,
			Err: errors.New("the shop answers every page with the same one"), Hint: hintCache,
		}
	}
	r.Last = g.last
	switch {
	case !g.end:
		page.More = true
	case r.Phase+1 < len(f.res):
		c.Run, page.More = &run{Start: r.Start, From: r.From, To: r.To, Total: r.Total, Phase: r.Phase + 1}, true
	default:
		c = cursor{Version: cursorVersion, Since: r.Start}
	}
	page.Next = c.encode()
	return page, nil
}

// optional resources may be missing from the key's rights: what they would tell stays unknown.
func (f feed) optional(res resource) bool {
	return res.path == stockTable().path || res.path == combinationTable().path
}

// totalOf is how many records the run will see: known at once when the first page is the last, counted for a run over
// everything that others count by, else not asked for.
func (s *Source) totalOf(ctx context.Context, f feed, r *run, g gathered, page connectors.Page) (int, error) {
	switch {
	case f.Part || f.Mode == connectors.ModeIDs || r.From != "":
		return -1, nil
	case g.end:
		return recordsIn(page, f.Kind), nil
	}
	return s.Count(ctx, f.Name)
}

func recordsIn(p connectors.Page, kind crm.Kind) int {
	seen := map[string]bool{}
	for _, f := range p.Facts {
		if f.Ref.Kind == kind && !f.Gone {
			seen[f.Ref.ID] = true
		}
	}
	return len(seen) + len(p.Rejected)
}

// fill turns what was gathered into the page.
func (s *Source) fill(ctx context.Context, n normaliser, f feed, r *run, g gathered, page *connectors.Page) error {
	if f.Mode == connectors.ModeIDs {
		return s.fillIDs(ctx, f, r, g, page)
	}
	for _, b := range g.bad {
		page.Rejected = append(page.Rejected, b.rejected(f))
	}
	if f.quiet {
		return s.fillParts(ctx, n, f, g.rows, page)
	}
	bundles, err := s.bundles(ctx, f.res[0].path, g.rows, page)
	if err != nil {
		return err
	}
	if n, err = s.knowing(ctx, n, f.Kind, bundles); err != nil {
		return err
	}
	if f.Kind == crm.KindCart && r.From == "" {
		bundles = open(bundles) // history: what never was open need not be closed
	}
	n.fill(page, f.Kind, bundles)
	return nil
}

func open(bundles []bundle) []bundle {
	var out []bundle
	for _, b := range bundles {
		if len(b.Order) == 0 && hasRows(b.Cart) {
			out = append(out, b)
		}
	}
	return out
}

// rejected is a row that PHP stumbles over. An address or a stock row has no record of its own to be quarantined under.
func (b badRow) rejected(f feed) connectors.Rejected {
	ref := crm.Ref{Kind: f.Kind, ID: b.id}
	reason := "the shop cannot show this record: a module or override of it causes a PHP message" + b.why.where
	switch path := f.res[0].path; path {
	case addressTable().path, stockTable().path:
		ref.ID = ""
		reason = fmt.Sprintf("the shop cannot show row %s of %s: a module or override causes a PHP message%s", b.id, path, b.why.where)
	}
	return connectors.Rejected{Ref: ref, Reason: reason, Raw: b.body}
}

// fillParts normalises rows that carry one facet of a record: consents, stock.
func (s *Source) fillParts(ctx context.Context, n normaliser, f feed, rows []json.RawMessage, page *connectors.Page) error {
	if f.Kind == crm.KindCustomer {
		var bundles []bundle
		for _, raw := range rows {
			bundles = append(bundles, bundle{Customer: raw})
		}
		var err error
		if n, err = s.knowing(ctx, n, f.Kind, bundles); err != nil {
			return err
		}
	}
	for _, raw := range rows {
		var facts []crm.Fact
		var err error
		ref := crm.Ref{Kind: f.Kind, ID: textID(raw)}
		if f.Kind == crm.KindProduct {
			ref, facts, err = n.stock(raw)
		} else {
			facts, err = n.consent(bundle{Customer: raw})
		}
		if err != nil {
			page.Rejected = append(page.Rejected, connectors.Rejected{Ref: ref, Reason: lenient.Reason(err), Raw: raw})
			continue
		}
		page.Facts = append(page.Facts, facts...)
	}
	return nil
}

// fillIDs lists ids; of carts only those that are open, of combinations as variations.
func (s *Source) fillIDs(ctx context.Context, f feed, r *run, g gathered, page *connectors.Page) error {
	rows := g.rows
	if f.Kind == crm.KindCart {
		var err error
		if rows, err = s.openCarts(ctx, rows); err != nil {
			return err
		}
	}
	base := int64(0)
	if f.res[r.Phase].path == combinationTable().path {
		base = combinationBase
	}
	for _, raw := range rows {
		if id := idOf(raw); id > 0 {
			page.IDs = append(page.IDs, strconv.FormatInt(base+id, 10))
		}
	}
	for _, b := range g.bad {
		if id, err := strconv.ParseInt(b.id, 10, 64); err == nil {
			page.IDs = append(page.IDs, strconv.FormatInt(base+id, 10))
		}
	}
	return nil
}

// knowing reads the dictionary again when a bundle names something that is not in it.
func (s *Source) knowing(ctx context.Context, n normaliser, kind crm.Kind, bundles []bundle) (normaliser, error) {
	for _, b := range bundles {
		if n.d.knows(kind, b) {
			continue
		}
		d, err := s.newWords(ctx, n.d)
		if err != nil {
			return n, err
		}
		n.d = d
		break
	}
	return n, nil
}

func (d *dictionary) knows(kind crm.Kind, b bundle) bool {
	switch kind {
	case crm.KindOrder:
		w := decode[wireOrder](b.Order)
		_, state := d.states[string(w.State)]
		_, cur := d.currencies[string(w.Currency)]
		return state && cur
	case crm.KindCart:
		w := decode[wireCart](b.Cart)
		_, cur := d.currencies[string(w.Currency)]
		return cur || w.Currency == ""
	case crm.KindCustomer:
		w := decode[wireCustomer](b.Customer)
		_, lang := d.languages[string(w.Language)]
		_, group := d.groups[string(w.Group)]
		return (lang || w.Language == "") && (group || w.Group == "" || len(d.groups) == 0)
	default:
		return true
	}
}
