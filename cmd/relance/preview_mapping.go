package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/relance/relance/config"
	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/mapping"
	"github.com/relance/relance/internal/crm"
)

// mappedLine is one line of the mapping and what it finds in a record.
type mappedLine struct {
	Line       string  `json:"line"` // as in the file: consent.customer
	Expression string  `json:"expression"`
	Value      *string `json:"value"` // of the field; null when the record has no such field, or it is not known
	Means      string  `json:"means"` // one phrase
}

// explainMapping shows every line of the mapping that is about this kind of record.
func (p *previewed) explainMapping(ctx context.Context, o appOptions, ref crm.Ref) {
	m := p.source.Mapping
	switch ref.Kind {
	case crm.KindCustomer:
		p.explainCustomer(ctx, o, ref, m)
	case crm.KindOrder:
		if m.Consent != nil && m.Consent.Order != "" {
			p.line(mappedLine{Line: "consent.order", Expression: m.Consent.Order, Means: p.consentMeans()})
		}
		if order := body[*crm.Order](p.bodies); order != nil && len(m.Statuses) > 0 {
			p.line(statusLine(m, order))
		}
	case crm.KindProduct:
		if product := body[*crm.Product](p.bodies); product != nil && m.Brand != "" {
			value := cmp.Or(product.Brand, "no brand")
			p.line(mappedLine{Line: "brand", Expression: m.Brand, Value: &product.Brand, Means: value})
		}
	default: // nothing of the others is mapped
	}
}

func (p *previewed) line(l mappedLine) { p.Mapping = append(p.Mapping, l) }

func statusLine(m mapping.Mapping, order *crm.Order) mappedLine {
	l := mappedLine{Line: "statuses", Expression: order.Status, Value: &order.Status, Means: order.State + ", as Relance knows it"}
	if state, ok := m.Statuses[order.Status]; ok {
		l.Line, l.Means = "statuses."+order.Status, state
	} else if order.State == crm.StateOther {
		l.Means = "other: no line of statuses names it"
	}
	return l
}

// explainCustomer has the connector itself look every field up: a twin of the source maps each of them as an attribute.
func (p *previewed) explainCustomer(ctx context.Context, o appOptions, ref crm.Ref, m mapping.Mapping) {
	type asked struct{ line, expression string }
	var lines []asked
	add := func(line, expression string) {
		if expression != "" {
			lines = append(lines, asked{line, expression})
		}
	}
	add("birthday", m.Birthday)
	add("locale", m.Locale)
	if m.Consent != nil {
		add("consent.customer", m.Consent.Customer)
	}
	for _, name := range slices.Sorted(maps.Keys(m.Attributes)) {
		add("attributes."+name, m.Attributes[name])
	}
	wanted := map[string]string{}
	for i, l := range lines {
		if e, err := mapping.Parse(l.expression); err == nil {
			wanted[fmt.Sprint(i)] = e.Field
		}
	}
	if (m.Consent == nil || m.Consent.Customer == "") && body[*crm.OptIn](p.bodies) != nil {
		p.line(mappedLine{Line: "consent.customer", Expression: "(the platform's own box)", Means: p.consentMeans()})
	}
	found, known := p.lookUp(ctx, o, ref, wanted)
	for i, l := range lines {
		e, err := mapping.Parse(l.expression)
		if err != nil { // the files were checked
			continue
		}
		line := mappedLine{Line: l.line, Expression: l.expression}
		value, ok := found[fmt.Sprint(i)]
		switch {
		case !known:
			line.Means = "not known: the record could not be read again"
		case ok:
			line.Value = &value
			line.Means = p.means(l.line, e, value)
		default:
			line.Means = "the record has no such field, or it is empty: nothing is said"
			p.Mistakes = append(p.Mistakes, p.missing(l.line, e.Field))
		}
		p.line(line)
	}
}

// means is what a found value comes to.
func (p *previewed) means(line string, e mapping.Expression, value string) string {
	customer := body[*crm.Customer](p.bodies)
	switch {
	case line == "consent.customer":
		return fmt.Sprintf("it holds %q: %s", value, p.consentMeans())
	case line == "birthday" && customer != nil && customer.Birthday == "":
		p.Mistakes = append(p.Mistakes, fmt.Sprintf("birthday: %s holds %q, which is no date such as 1980-12-31; the birthday stays unknown.", e.Field, value))
		return fmt.Sprintf("it holds %q, which is no date", value)
	case line == "birthday" && customer != nil:
		return customer.Birthday
	case line == "locale" && customer != nil:
		return fmt.Sprintf("it holds %q: %s", value, cmp.Or(customer.Locale, "no language that is known"))
	case e.Any != nil:
		verdict, _ := e.Value(func(string) (string, bool) { return value, true })
		return fmt.Sprintf("it holds %q: %s", value, verdict)
	}
	return fmt.Sprintf("%q", value)
}

// consentMeans is what the record says of consent.
func (p *previewed) consentMeans() string {
	o := body[*crm.OptIn](p.bodies)
	switch {
	case o == nil || o.Value == "":
		return "says nothing"
	case o.Value == "yes":
		return "yes: " + o.Topic + " by " + o.Channel + " is granted, unless it was withdrawn before"
	case o.NoMeans == mapping.Withdrawn:
		return "no: " + o.Topic + " by " + o.Channel + " is withdrawn when it was yes before"
	default:
		return "no: an unticked box says nothing (false: silence)"
	}
}

// lookUp gives the values of fields, by key, as the connector finds them in the record.
func (p *previewed) lookUp(ctx context.Context, o appOptions, ref crm.Ref, fields map[string]string) (found map[string]string, known bool) {
	twin, err := sourceOf(withMapping(p.source, mapping.Mapping{Attributes: fields}), "", o)
	if err != nil || len(fields) == 0 {
		return nil, false
	}
	page := connectors.Page{}
	if n, ok := twin.(connectors.Normaliser); ok {
		for _, raw := range p.raw.Raw {
			if raw.Ref == ref {
				page, err = n.Normalise(ctx, raw)
			}
		}
	} else {
		page, err = twin.Read(ctx, ref)
	}
	customer := body[*crm.Customer](page.Facts)
	if err != nil || customer == nil {
		return nil, false
	}
	return customer.Attributes, true
}

func withMapping(shop config.Shop, m mapping.Mapping) config.Shop {
	shop.Mapping, shop.WooCommerce.Mapping, shop.PrestaShop.Mapping, shop.Magento.Mapping = m, m, m, m
	return shop
}

// missing names the fields that there are instead.
func (p *previewed) missing(line, field string) string {
	root, _, dotted := strings.Cut(field, ".")
	text := fmt.Sprintf("%s: this record has no %s, or it is empty.", line, field)
	var there []string
	for _, f := range p.Raw {
		switch {
		case dotted && f.name != "":
			there = append(there, root+"."+f.name)
		case !dotted && !strings.ContainsAny(f.Field, ".["):
			there = append(there, f.Field)
		}
	}
	slices.Sort(there)
	if there = slices.Compact(there); len(there) > 0 {
		text += " It has " + strings.Join(there[:min(len(there), 15)], ", ") + "."
	}
	return text
}

// body is the first facet of a type.
func body[T crm.Body](facts []crm.Fact) (found T) {
	for _, f := range facts {
		if b, ok := f.Body.(T); ok && !f.Gone {
			return b
		}
	}
	return found
}
