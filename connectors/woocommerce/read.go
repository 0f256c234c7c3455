package woocommerce

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
)

// Read re-reads one record (connectors.Source). What answers 404 is gone with all its facets. Reading an order reads
// its refunds; reading a product or a variation reads the product with all its variations; a cart is the order of the same id.
func (s *Source) Read(ctx context.Context, ref crm.Ref) (connectors.Page, error) {
	page := connectors.Page{Total: -1}
	if _, err := strconv.ParseUint(ref.ID, 10, 63); err != nil {
		return page, fault.New(fault.Reject, "woocommerce: read record", errors.New("its id is not a number"))
	}
	if err := s.readInto(ctx, ref, &page); err != nil {
		return connectors.Page{}, err
	}
	return page, nil
}

func (s *Source) readInto(ctx context.Context, ref crm.Ref, page *connectors.Page) error {
	switch ref.Kind {
	case crm.KindOrder, crm.KindCart:
		return s.readOrder(ctx, ref.ID, page)
	case crm.KindCustomer:
		return s.readOne(ctx, "customers", ref.ID, connectors.GoneCustomer, s.norm.customer, page)
	case crm.KindCategory:
		return s.readOne(ctx, "products/categories", ref.ID, goneCategory, s.norm.category, page)
	case crm.KindProduct:
		return s.readProduct(ctx, ref.ID, page)
	case crm.KindRefund:
		return s.readRefund(ctx, ref.ID, page)
	case crm.KindEvent, crm.KindConsent: // not from here
	}
	return fault.New(fault.Reject, "woocommerce: read record", errors.New("its kind is not known"))
}

// single GETs one record; nil when it is not there.
func (s *Source) single(ctx context.Context, path, id string, page *connectors.Page) (json.RawMessage, error) {
	op := "read " + path
	a, err := s.client.get(ctx, op, path+"/"+id, nil)
	if notThere(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if page.ShopTime.IsZero() {
		page.ShopTime = a.date()
	}
	var raw json.RawMessage
	if err := s.client.Decode(op, a.Answer, &raw); err != nil {
		return nil, err
	}
	return raw, nil
}

func (s *Source) readOne(ctx context.Context, path, id string, gone func(string) []crm.Fact,
	normalise func([]byte) (crm.Ref, []crm.Fact, error), page *connectors.Page,
) error {
	raw, err := s.single(ctx, path, id, page)
	switch {
	case err != nil:
		return err
	case raw == nil:
		page.Facts = append(page.Facts, gone(id)...)
	default:
		add(page, []json.RawMessage{raw}, normalise)
	}
	return nil
}

func (s *Source) readOrder(ctx context.Context, id string, page *connectors.Page) error {
	raw, err := s.single(ctx, "orders", id, page)
	if err != nil {
		return err
	}
	if raw == nil {
		page.Facts = append(page.Facts, goneOrder(id)...)
		return nil
	}
	add(page, []json.RawMessage{raw}, s.norm.order)
	if len(page.Rejected) > 0 {
		return nil
	}
	w, o, err := s.norm.decodeOrder(raw)
	if err != nil || len(w.InlineRefund) == 0 {
		return err
	}
	raws, err := s.refundsOf(ctx, id, o.Currency)
	if err != nil {
		return err
	}
	add(page, raws, s.norm.refund)
	return nil
}

// readProduct reads a product with its variations, whichever of them is asked for.
func (s *Source) readProduct(ctx context.Context, id string, page *connectors.Page) error {
	asked, err := s.single(ctx, "products", id, page)
	if err != nil {
		return err
	}
	if asked == nil {
		page.Facts = append(page.Facts, goneProduct(id))
		return nil
	}
	raws := []json.RawMessage{asked}
	if parent := variationOf(asked); parent != "" {
		raw, err := s.single(ctx, "products", parent, page)
		if err != nil {
			return err
		}
		raws[0] = variation(asked, parent)
		if raw == nil {
			page.Facts = append(page.Facts, goneProduct(parent))
		} else {
			raws = append([]json.RawMessage{raw}, raws...)
		}
	}
	if w := parentOfRow(raws[0]); len(w.Variations) > 0 {
		of, err := s.variationsOf(ctx, string(w.ID), maxPage)
		if err != nil {
			return err
		}
		raws = append(raws[:1], append(of, raws[1:]...)...)
	}
	cur, err := s.shopCurrency(ctx, false)
	if err != nil {
		return err
	}
	add(page, once(raws), func(raw []byte) (crm.Ref, []crm.Fact, error) { return s.norm.product(raw, cur) })
	return nil
}

// once drops rows whose id was there before.
func once(raws []json.RawMessage) []json.RawMessage {
	seen := map[int64]bool{}
	return slices.DeleteFunc(raws, func(raw json.RawMessage) bool {
		id := idOf(raw)
		was := seen[id]
		seen[id] = true
		return was && id != 0
	})
}

// variationOf gives the product of a variation's body, "" for any other.
func variationOf(raw json.RawMessage) string {
	var w wireProduct
	if raw == nil || json.Unmarshal(raw, &w) != nil || w.Type != typeVariation {
		return ""
	}
	return string(w.ParentID)
}

// readRefund finds a refund in the list of all: there is no /refunds/{id}.
func (s *Source) readRefund(ctx context.Context, id string, page *connectors.Page) error {
	if s.owners.needed() {
		return s.readRefundOf(ctx, id, page)
	}
	const op = "read refunds"
	a, err := s.client.get(ctx, op, "refunds", url.Values{"include": {id}})
	if noRoute(err) {
		s.owners.need()
		return s.readRefundOf(ctx, id, page)
	}
	if err != nil {
		return err
	}
	page.ShopTime = a.date()
	raws, err := decodeList[json.RawMessage](s.client, op, a)
	if err != nil {
		return err
	}
	raws = slices.DeleteFunc(raws, func(raw json.RawMessage) bool { return strconv.FormatInt(idOf(raw), 10) != id })
	if len(raws) == 0 {
		page.Facts = append(page.Facts, goneRefund(id))
		return nil
	}
	return s.fillRefunds(ctx, raws, page)
}

// fillRefunds looks up the currencies of the orders first: a refund names none.
func (s *Source) fillRefunds(ctx context.Context, raws []json.RawMessage, page *connectors.Page) error {
	var parents []string
	for _, raw := range raws {
		var w wireRefund
		if json.Unmarshal(raw, &w) == nil && w.ParentID != "" && !slices.Contains(parents, string(w.ParentID)) {
			parents = append(parents, string(w.ParentID))
		}
	}
	currencies, err := s.currencies(ctx, parents)
	if err != nil {
		return err
	}
	for _, raw := range raws {
		var w wireRefund
		err := json.Unmarshal(raw, &w)
		cur, known := currencies[string(w.ParentID)]
		if err == nil && w.ID != "" && w.ParentID != "" && !known {
			page.Facts = append(page.Facts, goneRefund(string(w.ID))) // its order was deleted meanwhile, and it with it
			continue
		}
		if err == nil && known && cur == "" {
			page.Rejected = append(page.Rejected, connectors.Rejected{
				Ref: crm.Ref{Kind: crm.KindRefund, ID: string(w.ID)}, Raw: raw, Reason: "the shop itself fails on the order of this refund with a 500",
			})
			continue
		}
		add(page, []json.RawMessage{whole(raw, string(w.ParentID), cur)}, s.norm.refund)
	}
	return nil
}

// currencies gives the currency per order, also of those in the bin; "" of an order that the shop fails on.
func (s *Source) currencies(ctx context.Context, orders []string) (map[string]string, error) {
	const op = "read currencies of orders"
	out := map[string]string{}
	for _, status := range []string{"any", "trash"} {
		var missing []string
		for _, id := range orders {
			if _, ok := out[id]; !ok {
				missing = append(missing, id)
			}
		}
		if len(missing) == 0 {
			break
		}
		a, err := s.client.get(ctx, op, "orders", url.Values{
			"include": {strings.Join(missing, ",")}, "status": {status}, "per_page": {strconv.Itoa(maxPage)}, "_fields": {"id,currency"},
		})
		if crashed(err) && len(missing) > 1 {
			return s.currenciesByHalves(ctx, out, missing)
		}
		if crashed(err) {
			out[missing[0]] = ""
			break
		}
		if err != nil {
			return nil, err
		}
		ws, err := decodeList[struct {
			ID       ident `json:"id"`
			Currency text  `json:"currency"`
		}](s.client, op, a)
		if err != nil {
			return nil, err
		}
		for _, w := range ws {
			out[string(w.ID)] = strings.ToUpper(string(w.Currency))
		}
	}
	return out, nil
}

// currenciesByHalves keeps an order that the shop fails on from hiding the currencies of others.
func (s *Source) currenciesByHalves(ctx context.Context, out map[string]string, orders []string) (map[string]string, error) {
	for _, part := range [][]string{orders[:len(orders)/2], orders[len(orders)/2:]} {
		found, err := s.currencies(ctx, part)
		if err != nil {
			return nil, err
		}
		maps.Copy(out, found)
	}
	return out, nil
}
