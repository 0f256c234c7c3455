package woocommerce_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/connectortest"
	"github.com/relance/relance/connectors/woocommerce"
	"github.com/relance/relance/connectors/woocommerce/wooshop"
	"github.com/relance/relance/internal/crm"
)

func productsOf(t *testing.T, p connectors.Page) map[string]*crm.Product {
	t.Helper()
	out := map[string]*crm.Product{}
	for _, f := range p.Facts {
		if f.Gone {
			out[f.Ref.ID] = nil
			continue
		}
		out[f.Ref.ID] = f.Body.(*crm.Product)
	}
	return out
}

// A hint names a product or a variation; both lead to the whole family.
func TestReadingAProductReadsItsVariations(t *testing.T) {
	shop, clock := openShop(t)
	src := connect(t, shop, clock)
	var refs []crm.Ref
	shop.OnWebhook(func(h http.Header, body []byte) { refs = append(refs, src.Decode(h, body)...) })
	if err := shop.UpdateVariation(21, map[string]string{"price": "12.34", "stock_status": "outofstock"}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]crm.Ref{{Kind: crm.KindProduct, ID: "19"}}, refs); d != "" {
		t.Error(d)
	}
	whole := productsOf(t, connectortest.Crawl(t, src, woocommerce.StreamVariations, nil, 10))
	for _, id := range []string{"19", "21"} {
		p, err := src.Read(t.Context(), crm.Ref{Kind: crm.KindProduct, ID: id})
		if err != nil {
			t.Fatal(err)
		}
		got := productsOf(t, p)
		if len(got) != 5 || len(p.Facts) != 5 || got["21"].Price != 1234 || got["21"].InStock || got["21"].ParentID != "19" || got["19"].ParentID != "" {
			t.Errorf("reading %s: %+v", id, got)
		}
		for _, v := range []string{"20", "21", "22", "23"} {
			if d := cmp.Diff(whole[v], got[v]); d != "" {
				t.Errorf("variation %s differs when read alone: %s", v, d)
			}
		}
	}
}

func TestAVariationThatIsDeleted(t *testing.T) {
	shop, clock := openShop(t)
	src := connect(t, shop, clock)
	if err := shop.DeleteVariation(21); err != nil {
		t.Fatal(err)
	}
	p, err := src.Read(t.Context(), crm.Ref{Kind: crm.KindProduct, ID: "21"})
	if err != nil || len(p.Facts) != 1 || !p.Facts[0].Gone || p.Facts[0].Ref.ID != "21" {
		t.Errorf("%+v %v", p.Facts, err)
	}
	for _, id := range connectortest.Crawl(t, src, woocommerce.StreamProductIDs, nil, 100).IDs {
		if id == "21" {
			t.Error("it is still listed")
		}
	}
	for stream, want := range map[string]int{woocommerce.StreamProductIDs: 69, woocommerce.StreamVariations: 31, woocommerce.StreamProducts: 38} {
		if n, err := src.Count(t.Context(), stream); n != want || err != nil {
			t.Errorf("%d counted in %s, want %d, %v", n, stream, want, err)
		}
	}
	if err := shop.TrashProduct(19); err != nil { // and its variations with it
		t.Fatal(err)
	}
	p, err = src.Read(t.Context(), crm.Ref{Kind: crm.KindProduct, ID: "20"})
	if got := productsOf(t, p); err != nil || len(got) != 2 || got["19"] != nil || got["20"] != nil {
		t.Errorf("%+v %v", got, err)
	}
}

// A product may have more variations than a page holds, and a shop more variable products than one Pull asks.
func TestManyVariations(t *testing.T) {
	var list, asked []string
	const parents, each = 25, 7
	for i := range parents {
		var ids []string
		for v := range each {
			ids = append(ids, fmt.Sprint(10_000+i*each+v))
		}
		list = append(list, fmt.Sprintf(`{"id":%d,"variations":[%s]}`, i+1, strings.Join(ids, ",")))
	}
	src, err := woocommerce.New(config("https://boutique.example.com", connectortest.NewClock(wooshop.RecordedAt())), pages(func(path string, perPage, page int) []string {
		parent := 0
		switch {
		case strings.HasSuffix(path, "/products"):
			return part(list, perPage, page)
		case strings.HasSuffix(path, "/variations"):
			asked = append(asked, path)
			if _, err := fmt.Sscanf(path, "/wp-json/wc/v3/products/%d/variations", &parent); err != nil {
				t.Error(err)
			}
			var out []string
			for v := range each { // an older version: no type, no parent, no name
				out = append(out, fmt.Sprintf(`{"id":%d,"price":"1.50","attributes":[{"option":"Or"},{"option":"M"}]}`, 10_000+(parent-1)*each+v))
			}
			return part(out, perPage, page)
		}
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{1, 3, 100} {
		seen, at, n := map[string]bool{}, connectors.Cursor(nil), 0
		for more := true; more; n++ {
			asked = nil
			p, err := src.Pull(t.Context(), woocommerce.StreamVariations, at, size)
			if err != nil || n > 200 {
				t.Fatal(err, n)
			}
			for _, f := range p.Facts {
				if v := f.Body.(*crm.Product); v.ParentID == "" || v.Type != "variation" || v.Name != "Or, M" {
					t.Fatalf("%+v", v)
				}
				seen[f.Ref.ID] = true
			}
			if len(asked) > 10*(1+each/size) {
				t.Errorf("size %d: %d requests in one page", size, len(asked))
			}
			at, more = p.Next, p.More
		}
		if len(seen) != parents*each {
			t.Errorf("size %d: %d of %d variations", size, len(seen), parents*each)
		}
	}
}

func part(all []string, perPage, page int) []string {
	from := min((page-1)*perPage, len(all))
	return all[from:min(from+perPage, len(all))]
}

// pages answers lists.
func pages(of func(path string, perPage, page int) []string) roundTrip {
	return func(r *http.Request) *http.Response {
		if strings.HasSuffix(r.URL.Path, "/data/currencies/current") {
			return jsonAnswer(`{"code":"EUR"}`)
		}
		var perPage, page int
		_, _ = fmt.Sscan(r.URL.Query().Get("per_page"), &perPage)
		_, _ = fmt.Sscan(r.URL.Query().Get("page"), &page)
		return jsonAnswer("[" + strings.Join(of(r.URL.Path, perPage, page), ",") + "]")
	}
}

// Facts of stored bodies are those of the pages that brought them, without the shop.
func TestNormaliseEqualsPull(t *testing.T) {
	shop, clock := openShop(t)
	src := connect(t, shop, clock)
	for _, st := range src.Streams() {
		if st.Mode == connectors.ModeIDs {
			continue
		}
		p := connectortest.Crawl(t, src, st.Name, nil, 100)
		before := shop.Requests()
		var facts []crm.Fact
		for _, raw := range p.Raw {
			again, err := src.Normalise(t.Context(), raw)
			if err != nil {
				t.Fatal(err)
			}
			facts = append(facts, again.Facts...)
		}
		if d := cmp.Diff(p.Facts, facts); d != "" || shop.Requests() != before {
			t.Errorf("%s: %d requests, %s", st.Name, shop.Requests()-before, d)
		}
	}
	other := connect(t, shop, clock, func(c *woocommerce.Config) { c.Mapping.Birthday = "" })
	if src.Rules() == other.Rules() || src.Rules() != connect(t, shop, clock).Rules() {
		t.Error("the rules do not say whether the mapping changed")
	}
	bad, err := src.Normalise(t.Context(), connectors.RawRecord{Ref: crm.Ref{Kind: crm.KindOrder, ID: "5"}, Body: []byte(`{"id":5`)})
	if err != nil || len(bad.Rejected) != 1 || len(bad.Facts) != 0 {
		t.Errorf("%+v %v", bad, err)
	}
}
