package magento

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/lenient"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
)

// Read re-reads one record (connectors.Source). It searches for the id: a list without a match says that the record is
// gone for certain, while a 404 may as well come from a missing route, and its text is translated. A product comes with
// its stock.
func (s *Source) Read(ctx context.Context, ref crm.Ref) (connectors.Page, error) {
	f, ok := s.feedOf(ref.Kind)
	if !ok {
		return connectors.Page{}, fault.New(fault.Reject, "magento: read record", errors.New("its kind is not known"))
	}
	if _, err := strconv.ParseUint(ref.ID, 10, 63); err != nil {
		return connectors.Page{}, fault.New(fault.Reject, "magento: read record", errors.New("its id is not a number"))
	}
	raw, l, err := s.one(ctx, f, ref.ID)
	if err != nil {
		return connectors.Page{}, err
	}
	page := connectors.Page{Total: -1, ShopTime: l.date}
	mine, err := s.mine(ctx, f.list, raw)
	if err != nil {
		return connectors.Page{}, err
	}
	if !mine {
		page.Facts = gone(ref)
		return page, nil
	}
	if err := s.fill(ctx, f, []json.RawMessage{raw}, &page); err != nil {
		return connectors.Page{}, err
	}
	if ref.Kind == crm.KindProduct {
		err = s.stocks(ctx, []json.RawMessage{raw}, &page)
	}
	return page, err
}

// one gives a record's body, nil when there is none.
func (s *Source) one(ctx context.Context, f feed, id string) (json.RawMessage, listing, error) {
	op := "read one of " + f.Name
	l, _, err := s.client.search(ctx, op, s.path(f.list), criteria{size: 1}.with(filter{"entity_id", "eq", id}))
	if err != nil || len(l.items) == 0 {
		return nil, l, err
	}
	if h := headOf(l.items[0], f.id); h.id != 0 && strconv.FormatInt(h.id, 10) != id {
		return nil, l, cached(op, "the shop shows another record than it is asked for")
	}
	return l.items[0], l, nil
}

// mine tells whether there is a record and it belongs to the store views of the shop's file.
func (s *Source) mine(ctx context.Context, l list, raw json.RawMessage) (bool, error) {
	if raw == nil || len(s.config.Stores) == 0 || l.catalogue {
		return raw != nil, nil
	}
	ids, err := s.storeIDs(ctx)
	return slices.Contains(ids, headOf(raw, l.id).store), err
}

func gone(ref crm.Ref) []crm.Fact {
	switch ref.Kind {
	case crm.KindCustomer:
		return connectors.GoneCustomer(ref.ID)
	case crm.KindOrder:
		return goneOrder(ref.ID)
	case crm.KindRefund:
		return goneRefund(ref.ID)
	case crm.KindCart:
		return goneCart(ref.ID)
	case crm.KindProduct:
		return goneProduct(ref.ID)
	case crm.KindCategory:
		return goneCategory(ref.ID)
	case crm.KindEvent, crm.KindConsent: // no stream brings them
	}
	return nil
}

type wireStock struct {
	InStock lenient.Flag    `json:"is_in_stock"`
	Managed lenient.Flag    `json:"manage_stock"`
	Count   *lenient.Amount `json:"qty"`
}

// stocks adds the stock of products. Lists leave it out, so each is asked for by its SKU.
func (s *Source) stocks(ctx context.Context, raws []json.RawMessage, page *connectors.Page) error {
	for _, raw := range raws {
		var w wireProduct
		if json.Unmarshal(raw, &w) != nil || w.ID == "" || w.SKU == "" {
			continue
		}
		st, err := s.stock(ctx, w)
		if err != nil {
			return err
		}
		if st != nil {
			page.Facts = append(page.Facts, crm.Fact{Ref: crm.Ref{Kind: crm.KindProduct, ID: string(w.ID)}, Body: st})
		}
	}
	return nil
}

func (s *Source) stock(ctx context.Context, w wireProduct) (*crm.Stock, error) {
	const op = "read stock of a product"
	item, ok := w.Extensions["stock_item"]
	if !ok {
		path := "V1/products/" + url.PathEscape(string(w.SKU))
		a, err := s.client.Get(ctx, op, "/rest/"+path, "fields=id%2Csku%2Cextension_attributes%5Bstock_item%5D")
		if r := refusal(err); r.crashed() || r.status == http.StatusNotFound || r.status == http.StatusBadRequest {
			return nil, nil // deleted meanwhile, or its SKU cannot be part of an address: then its stock stays unknown
		}
		if err != nil {
			return nil, s.client.understood(ctx, path, err)
		}
		var one wireProduct
		if err := s.client.Decode(op, a, &one); err != nil {
			return nil, err
		}
		if cmp.Or(one.ID, w.ID) != w.ID {
			return nil, nil
		}
		item = one.Extensions["stock_item"]
	}
	var st wireStock
	if b := bytes.TrimSpace(item); len(b) == 0 || b[0] != '{' || json.Unmarshal(b, &st) != nil {
		return nil, nil //nolint:nilerr // a shop that keeps its stock elsewhere
	}
	out := &crm.Stock{InStock: bool(st.InStock) || !bool(st.Managed)}
	if counted := w.Type == "simple" || w.Type == "virtual" || w.Type == "downloadable"; counted && bool(st.Managed) && st.Count != nil {
		if n, err := whole(*st.Count); err == nil {
			out.Stock = &n
		}
	}
	return out, nil
}
