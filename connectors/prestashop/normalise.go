package prestashop

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/lenient"
	"github.com/relance/relance/connectors/mapping"
	"github.com/relance/relance/internal/crm"
)

// bundle is a record with the rows that it takes its meaning from. It is what is kept as the raw record, so that it can
// be normalised again without asking the shop.
type bundle struct {
	Customer     json.RawMessage   `json:"customer,omitempty"`
	Addresses    []json.RawMessage `json:"addresses,omitempty"`
	Order        json.RawMessage   `json:"order,omitempty"`
	Histories    []json.RawMessage `json:"histories,omitempty"`
	Coupons      []string          `json:"coupons,omitempty"`
	Slip         json.RawMessage   `json:"slip,omitempty"`
	Cart         json.RawMessage   `json:"cart,omitempty"`
	Product      json.RawMessage   `json:"product,omitempty"`
	Products     []json.RawMessage `json:"products,omitempty"`
	Combinations []json.RawMessage `json:"combinations,omitempty"`
	Options      []json.RawMessage `json:"options,omitempty"`
	Brands       []json.RawMessage `json:"brands,omitempty"`
	Category     json.RawMessage   `json:"category,omitempty"`

	main json.RawMessage // the row itself
}

// normaliser turns bundles into facts. Pure: the same bundle, dictionary and mapping give the same facts.
type normaliser struct {
	base string // the shop's address, without a slash at the end
	m    *mapping.Compiled
	d    *dictionary
	now  time.Time // by the shop's clock
}

func (n normaliser) instant(s text) (crm.Instant, error) {
	at, ok := n.d.zone.instant(string(s))
	if !ok {
		return 0, errors.New("a date is not understood")
	}
	return at, nil
}

// facts normalises a bundle of a kind.
func (n normaliser) facts(kind crm.Kind, b bundle) ([]crm.Fact, error) {
	switch kind {
	case crm.KindCustomer:
		return n.customer(b)
	case crm.KindOrder:
		return n.order(b)
	case crm.KindRefund:
		return n.refund(b)
	case crm.KindCart:
		return n.cart(b)
	case crm.KindProduct:
		return n.product(b)
	case crm.KindCategory:
		return n.category(b)
	case crm.KindEvent, crm.KindConsent: // PrestaShop has none
	}
	return nil, errors.New("its kind is not known")
}

// normVersion grows when the same bundle is to give other facts.
const normVersion = "1"

// Rules names the way of normalising (connectors.Normaliser).
func (s *Source) Rules() string { return "prestashop/" + normVersion + "/" + s.rules }

// Normalise reads a raw record again (connectors.Normaliser). It may ask the shop for its dictionaries.
func (s *Source) Normalise(ctx context.Context, raw connectors.RawRecord) (connectors.Page, error) {
	page := connectors.Page{Total: -1}
	n, err := s.normaliser(ctx)
	if err != nil {
		return page, err
	}
	var b bundle
	var facts []crm.Fact
	if err = json.Unmarshal(raw.Body, &b); err == nil {
		facts, err = n.facts(raw.Ref.Kind, b)
	}
	if err != nil {
		page.Rejected = append(page.Rejected, connectors.Rejected{Ref: raw.Ref, Reason: lenient.Reason(err), Raw: raw.Body})
		return page, nil
	}
	page.Facts, page.Raw = facts, []connectors.RawRecord{raw}
	return page, nil
}

func (s *Source) normaliser(ctx context.Context) (normaliser, error) {
	d, err := s.words(ctx)
	if err != nil {
		return normaliser{}, err
	}
	return normaliser{base: s.client.Base(), m: s.mapping, d: d, now: s.client.now()}, nil
}

// fill normalises bundles into the page; one that cannot be understood is rejected alone.
func (n normaliser) fill(page *connectors.Page, kind crm.Kind, bundles []bundle) {
	for _, b := range bundles {
		body, err := json.Marshal(b)
		var facts []crm.Fact
		if err == nil {
			facts, err = n.facts(kind, b)
		}
		page.Take(crm.Ref{Kind: kind, ID: textID(b.main)}, body, facts, err)
	}
}

func textID(raw json.RawMessage) string { return string(decode[idOnly](raw).ID) }
