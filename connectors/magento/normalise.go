package magento

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/lenient"
	"github.com/relance/relance/connectors/mapping"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
)

// normVersion changes when the same body gives other facts than before.
const normVersion = "1"

// normaliser turns bodies into facts, with what the shop's dictionaries said. Pure: the same body gives the same facts,
// from a page or from a single read.
type normaliser struct {
	mapped   *mapping.Compiled
	said     mapping.Expression
	views    views
	groups   map[string]string            // id → code
	options  map[string]map[string]string // customer attribute → option id → label
	brands   map[string]map[string]string // product attribute → option id → label
	families families
	goods    map[string]good // sku → product
	today    string          // civil date in the shop's zone, for special prices
}

// Rules names the way of normalising (connectors.Normaliser).
func (s *Source) Rules() string {
	return "magento-" + normVersion + "-" + s.config.Mapping.Rules()
}

// Normalise gives the facts of a stored body (connectors.Normaliser).
func (s *Source) Normalise(ctx context.Context, raw connectors.RawRecord) (connectors.Page, error) {
	page := connectors.Page{Total: -1}
	if _, ok := s.feedOf(raw.Ref.Kind); !ok {
		return page, fault.New(fault.Reject, "magento: normalise record", errors.New("its kind is not known"))
	}
	n, err := s.normaliser(ctx, raw.Ref.Kind)
	if err != nil {
		return page, err
	}
	raws := []json.RawMessage{raw.Body}
	if raw.Ref.Kind == crm.KindCart {
		if err := s.findGoods(ctx, &n, raws); err != nil {
			return page, err
		}
	}
	add(&page, raws, n.of(raw.Ref.Kind))
	return page, nil
}

// normaliser gathers the dictionaries that records of a kind need.
func (s *Source) normaliser(ctx context.Context, kind crm.Kind) (normaliser, error) {
	n := normaliser{mapped: s.mapped, said: s.said}
	var err error
	if n.views, err = s.storeViews(ctx); err != nil {
		return n, err
	}
	switch kind {
	case crm.KindCustomer:
		if n.groups, err = s.groups(ctx); err == nil {
			n.options, err = s.customerOptions(ctx)
		}
	case crm.KindProduct:
		n.today = s.clock().In(s.zone(n.views)).Format(time.DateOnly)
		if n.families, err = s.children(ctx); err == nil {
			n.brands, err = s.brandOptions(ctx)
		}
	case crm.KindCart:
		n.families, err = s.children(ctx)
	case crm.KindOrder, crm.KindRefund, crm.KindCategory, crm.KindEvent, crm.KindConsent:
	}
	return n, err
}

func (n normaliser) of(kind crm.Kind) func([]byte) (crm.Ref, []crm.Fact, error) {
	switch kind {
	case crm.KindCustomer:
		return n.customer
	case crm.KindOrder:
		return n.order
	case crm.KindRefund:
		return n.refund
	case crm.KindCart:
		return n.cart
	case crm.KindProduct:
		return n.product
	case crm.KindCategory:
		return n.category
	case crm.KindEvent, crm.KindConsent: // no stream brings them
	}
	return func([]byte) (crm.Ref, []crm.Fact, error) {
		return crm.Ref{Kind: kind}, nil, errors.New("its kind is not known")
	}
}

func add(page *connectors.Page, raws []json.RawMessage, normalise func([]byte) (crm.Ref, []crm.Fact, error)) {
	for _, raw := range raws {
		ref, facts, err := normalise(raw)
		page.Take(ref, raw, facts, err)
	}
}

// lostRef finds the id of a record that could not be decoded.
func lostRef(kind crm.Kind, raw []byte, id string) crm.Ref {
	ref := crm.Ref{Kind: kind}
	if ids := idsOf([]json.RawMessage{raw}, id); len(ids) == 1 {
		ref.ID = ids[0]
	}
	return ref
}

// attribute is one of custom_attributes. Its value is a text or a list of texts.
type attribute struct {
	Code  lenient.Text    `json:"attribute_code"`
	Value json.RawMessage `json:"value"`
}

func (a attribute) text() string {
	var many lenient.List[lenient.Text]
	if b := bytes.TrimSpace(a.Value); len(b) > 0 && b[0] == '[' {
		if json.Unmarshal(b, &many) != nil {
			return ""
		}
		texts := make([]string, len(many))
		for i, t := range many {
			texts[i] = string(t)
		}
		return strings.Join(texts, ",")
	}
	return lenient.Scalar(bytes.TrimSpace(a.Value))
}

type attributes lenient.List[attribute]

// UnmarshalJSON implements json.Unmarshaler.
func (as *attributes) UnmarshalJSON(b []byte) error {
	return (*lenient.List[attribute])(as).UnmarshalJSON(b)
}

func (as attributes) get(code string) (string, bool) {
	for _, a := range as {
		if string(a.Code) == code {
			return a.text(), true
		}
	}
	return "", false
}

// labelled turns ids of options ("4" or "4,5") into their labels; what is no option stays as it is.
func labelled(value string, options map[string]string) string {
	if label, ok := options[value]; ok {
		return label
	}
	if !strings.Contains(value, ",") || len(options) == 0 {
		return value
	}
	parts := strings.Split(value, ",")
	for i, p := range parts {
		label, ok := options[strings.TrimSpace(p)]
		if !ok {
			return value
		}
		parts[i] = label
	}
	return strings.Join(parts, ", ")
}

// extensions are extension_attributes, which PHP writes as [] when there are none.
type extensions map[string]json.RawMessage

// UnmarshalJSON implements json.Unmarshaler.
func (e *extensions) UnmarshalJSON(b []byte) error {
	m := map[string]json.RawMessage{}
	if err := lenient.Object(b, &m); err != nil {
		return err
	}
	*e = m
	return nil
}

func (e extensions) get(name string) (string, bool) {
	raw, ok := e[name]
	return lenient.Scalar(bytes.TrimSpace(raw)), ok
}

// scalar looks a field of the record itself up.
func scalar(raw []byte, field string) (string, bool) {
	var m map[string]json.RawMessage
	if json.Unmarshal(raw, &m) != nil {
		return "", false
	}
	v, ok := m[field]
	return lenient.Scalar(bytes.TrimSpace(v)), ok
}
