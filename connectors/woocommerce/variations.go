package woocommerce

import (
	"bytes"
	"context"
	"encoding/json"
	"net/url"
	"strconv"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
)

// WooCommerce lists variations per product only; a product names the ids of its own.

const (
	// parentsPerPage bounds the requests of one Pull.
	parentsPerPage = 10
	// countedPages bounds the requests of one count: the ids of 2000 products.
	countedPages = 20
)

// belowRow is how many records lie below a row: the variations of a product, the refunds of an order.
func belowRow(raw json.RawMessage) int {
	return len(parentOfRow(raw).Variations) + len(orderRowOf(raw).Refunds)
}

// parentRow is what `_fields=id,variations` shows of a product.
type parentRow struct {
	ID         ident       `json:"id"`
	Variations list[ident] `json:"variations"`
}

func parentOfRow(raw json.RawMessage) parentRow {
	var w parentRow
	if json.Unmarshal(raw, &w) != nil {
		return parentRow{ID: ident(strconv.FormatInt(idOf(raw), 10))}
	}
	return w
}

// few keeps as many rows as a page may ask for what lies below them; cut tells that some were left for the next.
func few(all []json.RawMessage, last int64, size int) (kept []json.RawMessage, cut bool) {
	parents, records := 0, 0
	for i, raw := range all {
		if id := idOf(raw); id != 0 && id <= last {
			continue
		}
		n := belowRow(raw)
		if n > 0 && parents > 0 && (parents == parentsPerPage || records+n > size) {
			return all[:i], true
		}
		if n > 0 {
			parents, records = parents+1, records+n
		}
	}
	return all, false
}

// fillVariations reads the variations of the products of a page.
func (s *Source) fillVariations(ctx context.Context, raws []json.RawMessage, currency string, size int, page *connectors.Page) error {
	for _, raw := range raws {
		w := parentOfRow(raw)
		if len(w.Variations) == 0 {
			continue
		}
		of, err := s.variationsOf(ctx, string(w.ID), size)
		if size <= isolatedRows && crashed(err) { // the product itself is well: what is rejected has no id of its own
			page.Rejected = append(page.Rejected, connectors.Rejected{
				Ref: crm.Ref{Kind: crm.KindProduct}, Raw: raw, Reason: "the shop itself fails on the variations of product " + string(w.ID) + " with a 500",
			})
			continue
		}
		if err != nil {
			return err
		}
		add(page, of, func(raw []byte) (crm.Ref, []crm.Fact, error) { return s.norm.product(raw, currency) })
	}
	return nil
}

// variationsOf reads all variations of a product; none when it is no longer there.
func (s *Source) variationsOf(ctx context.Context, parent string, size int) ([]json.RawMessage, error) {
	const op = "list variations"
	perPage := min(max(size, 1), maxPage)
	var out []json.RawMessage
	seen := map[int64]bool{}
	for number := 1; ; number++ {
		a, err := s.client.get(ctx, op, "products/"+parent+"/variations", url.Values{
			"orderby": {"id"}, "order": {"asc"}, "per_page": {strconv.Itoa(perPage)}, "page": {strconv.Itoa(number)},
		})
		if notThere(err) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		all, err := decodeList[json.RawMessage](s.client, op, a)
		if err != nil {
			return nil, err
		}
		before := len(out)
		for _, raw := range all {
			if id := idOf(raw); id == 0 || !seen[id] {
				seen[id] = true
				out = append(out, variation(raw, parent))
			}
		}
		if len(all) < perPage || len(out) == before { // a cache may answer every page with the first one
			return out, nil
		}
	}
}

// variation names what older versions leave out of a variation's body, so that it can be read without its product.
func variation(raw json.RawMessage, parent string) json.RawMessage {
	return with(with(raw, "parent_id", parent), "type", typeVariation)
}

// with sets a field that a body lacks or leaves empty.
func with(raw json.RawMessage, name, value string) json.RawMessage {
	body := bytes.TrimSpace(raw)
	if len(body) < 2 || body[0] != '{' || body[len(body)-1] != '}' {
		return raw
	}
	var w map[string]text
	if json.Unmarshal(body, &w) != nil || w[name] != "" && w[name] != "0" {
		return raw
	}
	quoted, err := json.Marshal(value)
	if err != nil {
		return raw
	}
	out := append(bytes.Clone(body[:len(body)-1]), `,"`+name+`":`...)
	return append(append(out, quoted...), '}')
}

// countBelow counts products and their variations; -1 when there are too many to count in passing.
func (s *Source) countBelow(ctx context.Context, f feed) (products, variations int, err error) {
	for number := 1; number <= countedPages; number++ {
		q := merged(f.sets[0], url.Values{
			"orderby": {"id"}, "order": {"asc"}, "per_page": {strconv.Itoa(maxPage)}, "page": {strconv.Itoa(number)}, "_fields": {f.fields},
		})
		op := "count " + f.Name
		a, err := s.client.get(ctx, op, f.path, q)
		if err != nil {
			return -1, -1, err
		}
		all, err := decodeList[json.RawMessage](s.client, op, a)
		if err != nil {
			return -1, -1, err
		}
		for _, raw := range all {
			products++
			variations += len(parentOfRow(raw).Variations)
		}
		if len(all) < maxPage {
			return products, variations, nil
		}
	}
	return -1, -1, nil
}
