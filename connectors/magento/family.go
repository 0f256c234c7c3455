package magento

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// parent is the configurable product of a variation: only it has a page in the shop.
type parent struct{ id, urlKey, image string }

// families tells of every variation whose it is. A child does not say so itself. Never changed, only replaced.
type families struct {
	of    map[string]parent
	links map[string][]string
}

// good is a product that a line of a cart names by its SKU alone.
type good struct{ id, image string }

const typeConfigurable = "configurable"

func (s *Source) children(ctx context.Context) (families, error) {
	return of(ctx, s, &s.dict.families, families{}, func(ctx context.Context) (families, error) {
		out := families{of: map[string]parent{}, links: map[string][]string{}}
		f, _ := s.feed(StreamProducts)
		var last int64
		for {
			q := criteria{sort: []string{"entity_id"}, size: maxPage, fields: "items[id,sku,type_id,custom_attributes,extension_attributes[configurable_product_links]],total_count"}
			q = q.with(filter{"type_id", "eq", typeConfigurable})
			if last > 0 {
				q = q.with(filter{"entity_id", "gt", strconv.FormatInt(last, 10)})
			}
			l, size, err := s.client.search(ctx, "read configurable products", s.path(f.list), q)
			if err != nil {
				return out, err
			}
			before := last
			for _, raw := range l.items {
				out.add(raw)
				last = max(last, headOf(raw, "id").id)
			}
			if len(l.items) < size || last == before {
				s.moved(out)
				return out, nil
			}
		}
	})
}

// moved notes which variations changed family since the dictionary was last read: the next page of products shows them.
func (s *Source) moved(now families) {
	s.dict.mu.Lock()
	defer s.dict.mu.Unlock()
	if !s.dict.families.known {
		return
	}
	for id, p := range s.dict.families.value.of {
		if now.of[id] != p {
			s.dict.moved = append(s.dict.moved, id)
		}
	}
	for id := range now.of {
		if _, known := s.dict.families.value.of[id]; !known {
			s.dict.moved = append(s.dict.moved, id)
		}
	}
}

// add notes a configurable product and says which variations are now of another family, or of a changed one.
func (f families) add(raw []byte) (changed []string) {
	var w wireProduct
	if json.Unmarshal(raw, &w) != nil || w.Type != typeConfigurable || w.ID == "" {
		return nil
	}
	key, _ := w.Custom.get("url_key")
	p := parent{string(w.ID), key, pictureOf(w.Custom)}
	ids := childrenOf(w)
	for _, id := range f.links[p.id] {
		if f.of[id].id == p.id && !slices.Contains(ids, id) {
			delete(f.of, id)
			changed = append(changed, id)
		}
	}
	for _, id := range ids {
		if f.of[id] != p {
			f.of[id] = p
			changed = append(changed, id)
		}
	}
	f.links[p.id] = ids
	return changed
}

// withChildren adds to a page of changed products the variations of those that changed family: their own date did not move.
func (s *Source) withChildren(ctx context.Context, n *normaliser, raws []json.RawMessage) ([]json.RawMessage, error) {
	next := families{of: maps.Clone(n.families.of), links: maps.Clone(n.families.links)}
	if next.of == nil {
		next = families{of: map[string]parent{}, links: map[string][]string{}}
	}
	var missing []string
	here := idsOf(raws, "id")
	for _, raw := range raws {
		for _, id := range next.add(raw) {
			if !slices.Contains(here, id) {
				missing = append(missing, id)
			}
		}
	}
	n.families = next
	s.dict.mu.Lock()
	s.dict.families.value = next
	missing = append(missing, s.dict.moved...)
	s.dict.moved = nil
	s.dict.mu.Unlock()
	slices.SortFunc(missing, byNumber)
	missing = slices.Compact(missing)
	f, _ := s.feed(StreamProducts)
	for some := range slices.Chunk(missing, maxPage) {
		q := criteria{sort: []string{"entity_id"}, size: maxPage}.with(filter{"entity_id", "in", strings.Join(some, ",")})
		l, _, err := s.client.search(ctx, "read variations", s.path(f.list), q)
		if err != nil {
			return nil, err
		}
		raws = append(slices.Clip(raws), l.items...)
	}
	return raws, nil
}

// findGoods looks up the products that lines of carts name by SKU.
func (s *Source) findGoods(ctx context.Context, n *normaliser, raws []json.RawMessage) error {
	known, err := of(ctx, s, &s.dict.goods, nil, func(context.Context) (map[string]good, error) { return map[string]good{}, nil })
	if err != nil {
		return err
	}
	var missing []string
	for _, raw := range raws {
		var w wireCart
		if json.Unmarshal(raw, &w) != nil {
			continue
		}
		for _, l := range w.Lines {
			if _, ok := known[string(l.SKU)]; !ok && l.SKU != "" && !strings.Contains(string(l.SKU), ",") { // "in" knows no quotes
				missing = append(missing, string(l.SKU))
			}
		}
	}
	slices.Sort(missing)
	known = maps.Clone(known)
	f, _ := s.feed(StreamProducts)
	for some := range slices.Chunk(slices.Compact(missing), 50) {
		q := criteria{size: maxPage, fields: "items[id,sku,custom_attributes],total_count"}.with(filter{"sku", "in", strings.Join(some, ",")})
		l, _, err := s.client.search(ctx, "find products of carts", s.path(f.list), q)
		if r := refusal(err); err != nil && (r.crashed() || r.resource != "") {
			break // a cart is worth reading without
		}
		if err != nil {
			return err
		}
		for _, sku := range some {
			known[sku] = good{}
		}
		for _, raw := range l.items {
			var w wireProduct
			if json.Unmarshal(raw, &w) == nil && w.ID != "" {
				known[string(w.SKU)] = good{string(w.ID), pictureOf(w.Custom)}
			}
		}
	}
	n.goods = known
	s.dict.mu.Lock()
	s.dict.goods.value = known
	s.dict.mu.Unlock()
	return nil
}
