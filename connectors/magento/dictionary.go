package magento

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/relance/relance/connectors/lenient"
	"github.com/relance/relance/internal/fault"
)

// freshFor is how long a dictionary is trusted.
const freshFor = time.Hour

// dictionary holds what records only name by an id. Each part is read when first needed.
type dictionary struct {
	mu        sync.Mutex
	views     kept[views]
	groups    kept[map[string]string]
	customers kept[map[string]map[string]string]
	brands    kept[map[string]map[string]string]
	families  kept[families]
	moved     []string // variations that changed family and were not shown since
	goods     kept[map[string]good]
}

type kept[T any] struct {
	value T
	at    time.Time
	known bool
}

// of gives a part, read anew when it is too old. A key that may not see it gives an empty one, and so does a shop that
// does not have it: records are worth reading without.
func of[T any](ctx context.Context, s *Source, part *kept[T], empty T, read func(context.Context) (T, error)) (T, error) {
	now := s.clock()
	s.dict.mu.Lock()
	k := *part
	s.dict.mu.Unlock()
	if k.known && now.Sub(k.at).Abs() < freshFor {
		return k.value, nil
	}
	v, err := read(ctx)
	if r := refusal(err); r.resource != "" || r.status == http.StatusNotFound || r.status == http.StatusBadRequest {
		v, err = empty, s.stillWorks(ctx, err)
	}
	if err != nil {
		return v, err
	}
	s.dict.mu.Lock()
	*part = kept[T]{v, now, true}
	s.dict.mu.Unlock()
	return v, nil
}

// stillWorks tells what a shop merely lacks, or hides from the token, from a dead token or a wrong address.
func (s *Source) stillWorks(ctx context.Context, cause error) error {
	if works, _ := s.client.tokenWorks(ctx, refusal(cause).resource); works {
		return nil
	}
	return cause
}

// view is a store view.
type view struct{ id, code, locale, zone, currency, link, media string }

type views struct {
	byID map[string]view
	main view // the first of the shop's file, else the default one
}

// view of a store; the main one when it is not known.
func (v views) view(id string) view {
	if w, ok := v.byID[id]; ok {
		return w
	}
	return v.main
}

// image is the address of a picture, given its path below the media folder.
func (v views) image(path string) string {
	if path == "" || v.main.media == "" {
		return ""
	}
	return v.main.media + "catalog/product/" + strings.TrimLeft(path, "/")
}

func (s *Source) storeViews(ctx context.Context) (views, error) {
	return of(ctx, s, &s.dict.views, views{}, s.readViews)
}

func (s *Source) readViews(ctx context.Context) (views, error) {
	const op = "read store views"
	a, err := s.client.get(ctx, op, "V1/store/storeConfigs", "")
	if err != nil {
		return views{}, err
	}
	var ws lenient.List[struct {
		ID       lenient.Text `json:"id"`
		Code     lenient.Text `json:"code"`
		Locale   lenient.Text `json:"locale"`
		Zone     lenient.Text `json:"timezone"`
		Currency lenient.Text `json:"base_currency_code"`
		Link     lenient.Text `json:"secure_base_link_url"`
		Plain    lenient.Text `json:"base_link_url"`
		Media    lenient.Text `json:"secure_base_media_url"`
	}]
	if err := s.client.Decode(op, a, &ws); err != nil {
		return views{}, err
	}
	out := views{byID: map[string]view{}}
	for _, w := range ws {
		v := view{
			id: string(w.ID), code: string(w.Code), locale: locale(string(w.Locale)), zone: string(w.Zone), currency: strings.ToUpper(string(w.Currency)),
			link: folder(string(w.Link), string(w.Plain)), media: folder(string(w.Media), ""),
		}
		if v.id == "" || v.id == "0" { // 0 is the administration
			continue
		}
		out.byID[v.id] = v
	}
	for _, id := range slices.SortedFunc(maps.Keys(out.byID), byNumber) {
		v := out.byID[id]
		preferred := v.code == "default"
		if len(s.config.Stores) > 0 {
			preferred = v.code == s.config.Stores[0]
		}
		if out.main.id == "" || preferred {
			out.main = v
		}
	}
	return out, nil
}

func folder(addresses ...string) string {
	for _, a := range addresses {
		if a != "" {
			return strings.TrimRight(a, "/") + "/"
		}
	}
	return ""
}

func byNumber(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// storeIDs are the ids of the store views that the shop's file names.
func (s *Source) storeIDs(ctx context.Context) ([]string, error) {
	vs, err := s.storeViews(ctx)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, code := range s.config.Stores {
		id := ""
		for _, v := range vs.byID {
			if v.code == code {
				id = v.id
			}
		}
		if id == "" {
			return nil, &fault.Error{Class: fault.Operator, Op: "magento: find the store views", Err: errors.New("the shop shows no store view " + code), Hint: hintStore}
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// zone is the one that the shop's special prices begin and end in.
func (s *Source) zone(vs views) *time.Location {
	for _, name := range []string{s.config.Zone, vs.main.zone} {
		if z, err := time.LoadLocation(name); name != "" && err == nil {
			return z
		}
	}
	return time.UTC
}

func (s *Source) groups(ctx context.Context) (map[string]string, error) {
	return of(ctx, s, &s.dict.groups, nil, func(ctx context.Context) (map[string]string, error) {
		raws, err := s.client.all(ctx, "read customer groups", "V1/customerGroups/search", criteria{})
		out := map[string]string{}
		for _, raw := range raws {
			var w struct {
				ID   lenient.Text `json:"id"`
				Code lenient.Text `json:"code"`
			}
			if json.Unmarshal(raw, &w) == nil {
				out[string(w.ID)] = string(w.Code)
			}
		}
		return out, err
	})
}

// option is a value that a field of choices can have; groups of options hold others.
type option struct {
	Label   lenient.Text         `json:"label"`
	Value   lenient.Text         `json:"value"`
	Options lenient.List[option] `json:"options"`
}

func labels(os []option, into map[string]string) map[string]string {
	for _, o := range os {
		if label := strings.TrimSpace(string(o.Label)); o.Value != "" && label != "" {
			into[string(o.Value)] = label
		}
		labels(o.Options, into)
	}
	return into
}

func (s *Source) customerOptions(ctx context.Context) (map[string]map[string]string, error) {
	return of(ctx, s, &s.dict.customers, nil, func(ctx context.Context) (map[string]map[string]string, error) {
		const op = "read attributes of customers"
		a, err := s.client.get(ctx, op, "V1/attributeMetadata/customer", "")
		if err != nil {
			return nil, err
		}
		var ws lenient.List[struct {
			Code    lenient.Text         `json:"attribute_code"`
			Options lenient.List[option] `json:"options"`
		}]
		if err := s.client.Decode(op, a, &ws); err != nil {
			return nil, err
		}
		out := map[string]map[string]string{}
		for _, w := range ws {
			if ls := labels(w.Options, map[string]string{}); len(ls) > 0 {
				out[string(w.Code)] = ls
			}
		}
		return out, nil
	})
}

// brandOptions are the labels of the one attribute that holds the brand.
func (s *Source) brandOptions(ctx context.Context) (map[string]map[string]string, error) {
	field := brandField
	if s.mapped.Brand != nil {
		field = s.mapped.Brand.Field
	}
	code, ok := strings.CutPrefix(field, rootCustom)
	if !ok || strings.ContainsAny(code, "/%") {
		return nil, nil
	}
	return of(ctx, s, &s.dict.brands, nil, func(ctx context.Context) (map[string]map[string]string, error) {
		const op = "read options of the brand"
		a, err := s.client.get(ctx, op, "V1/products/attributes/"+code+"/options", "")
		if err != nil {
			return nil, err
		}
		var ws lenient.List[option]
		if err := s.client.Decode(op, a, &ws); err != nil {
			return nil, err
		}
		return map[string]map[string]string{code: labels(ws, map[string]string{})}, nil
	})
}
