package prestashop

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
)

// Read re-reads one record (connectors.Source). What is not listed any more is gone with all its facets, as is a
// customer who was deleted softly. Reading a variation reads its product; reading a product reads its stock.
func (s *Source) Read(ctx context.Context, ref crm.Ref) (connectors.Page, error) {
	page := connectors.Page{Total: -1}
	if n, err := strconv.ParseInt(ref.ID, 10, 64); err != nil || n <= 0 {
		return page, fault.New(fault.Reject, "prestashop: read record", errors.New("its id is not a number"))
	}
	n, err := s.normaliser(ctx)
	if err != nil {
		return page, err
	}
	one, err := s.one(ref.Kind)
	if err != nil {
		return page, err
	}
	if err := s.read(ctx, n, one, ref.ID, &page); err != nil {
		return connectors.Page{}, err
	}
	return page, nil
}

// single is how a record of a kind is read alone.
type single struct {
	kind crm.Kind
	res  resource
	gone func(id string) []crm.Fact
}

func (s *Source) one(kind crm.Kind) (single, error) {
	switch kind {
	case crm.KindCustomer:
		return single{kind, s.customers(), connectors.GoneCustomer}, nil
	case crm.KindOrder:
		return single{kind, s.orders(), goneOrder}, nil
	case crm.KindRefund:
		return single{kind, slipTable(), goneRefund}, nil
	case crm.KindCart:
		return single{kind, cartTable(), goneCart}, nil
	case crm.KindProduct:
		return single{kind, s.products(), goneProduct}, nil
	case crm.KindCategory:
		return single{kind, categoryTable(), goneCategory}, nil
	case crm.KindEvent, crm.KindConsent:
	}
	return single{}, fault.New(fault.Reject, "prestashop: read record", errors.New("PrestaShop has no such records"))
}

func (s *Source) read(ctx context.Context, n normaliser, one single, id string, page *connectors.Page) error {
	own := id
	if combination, ok := combinationOf(id); ok && one.kind == crm.KindProduct {
		var err error
		if own, err = s.productOf(ctx, combination, page); err != nil {
			return err
		}
		if own == "" {
			page.Facts = append(page.Facts, goneProduct(id)...)
			return nil
		}
	}
	g, err := s.client.byIDs(ctx, one.res, "id", []string{own})
	if err != nil {
		return err
	}
	page.ShopTime = g.at
	if page.ShopTime.IsZero() {
		page.ShopTime = s.client.now()
	}
	for _, b := range g.bad {
		page.Rejected = append(page.Rejected, b.rejected(feed{Stream: connectors.Stream{Kind: one.kind}, res: []resource{one.res}}))
	}
	switch {
	case len(g.bad) > 0:
		return nil
	case len(g.rows) == 0:
		page.Facts = append(page.Facts, one.gone(id)...)
		return nil
	}
	bundles, err := s.bundles(ctx, one.res.path, g.rows, page)
	if err != nil {
		return err
	}
	if n, err = s.knowing(ctx, n, one.kind, bundles); err != nil {
		return err
	}
	n.now = s.client.now()
	n.fill(page, one.kind, bundles)
	if one.kind == crm.KindProduct {
		return s.readStock(ctx, n, own, page)
	}
	return nil
}

// productOf is the product of a combination, "" when there is no such combination.
func (s *Source) productOf(ctx context.Context, combination string, page *connectors.Page) (string, error) {
	g, err := s.client.byIDs(ctx, combinationTable().only("id", "id_product"), "id", []string{combination})
	if err != nil || len(g.rows) == 0 {
		if page.ShopTime = g.at; page.ShopTime.IsZero() {
			page.ShopTime = s.client.now()
		}
		return "", err
	}
	return string(decode[wireCombination](g.rows[0]).Product), nil
}

func (s *Source) readStock(ctx context.Context, n normaliser, product string, page *connectors.Page) error {
	rows, err := s.related(ctx, stockTable(), "id_product", []string{product})
	if err != nil {
		return err
	}
	return s.fillParts(ctx, n, feed{Stream: connectors.Stream{Kind: crm.KindProduct}, res: []resource{stockTable()}}, append([]json.RawMessage(nil), rows[product]...), page)
}
