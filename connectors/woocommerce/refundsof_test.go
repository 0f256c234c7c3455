package woocommerce_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/connectors/connectortest"
	"github.com/relance/relance/connectors/woocommerce"
	"github.com/relance/relance/internal/crm"
)

// Before 9.0 there is no /refunds: the same refunds are found through their orders.
func TestRefundsWithoutAListOfThem(t *testing.T) {
	want := connectortest.Crawl(t, plain(t), woocommerce.StreamRefunds, nil, 100)
	shop, c := openShop(t)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/wc/v3/refunds") {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"code":"rest_no_route","message":"…","data":{"status":404}}`))
			return
		}
		shop.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	src, err := woocommerce.New(config(srv.URL, c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := src.Count(context.Background(), woocommerce.StreamRefunds); n != -1 || err != nil {
		t.Errorf("count: %d %v", n, err)
	}
	got := connectortest.Crawl(t, src, woocommerce.StreamRefunds, nil, 100)
	byID := func(a, b crm.Fact) int { return strings.Compare(a.Ref.ID, b.Ref.ID) }
	slices.SortFunc(got.Facts, byID)
	slices.SortFunc(want.Facts, byID)
	if diff := cmp.Diff(want.Facts, got.Facts); diff != "" || len(got.Facts) == 0 {
		t.Errorf("%d refunds (-list +orders):\n%s", len(got.Facts), diff)
	}
	ids := connectortest.Crawl(t, src, woocommerce.StreamRefundIDs, nil, 100)
	var facts []string
	for _, f := range want.Facts {
		facts = append(facts, f.Ref.ID)
	}
	slices.Sort(ids.IDs)
	slices.Sort(facts)
	if diff := cmp.Diff(facts, ids.IDs); diff != "" {
		t.Error(diff)
	}
	one, err := src.Read(context.Background(), want.Facts[0].Ref)
	if err != nil || len(one.Facts) != 1 || one.Facts[0].Gone {
		t.Errorf("reading one: %+v %v", one.Facts, err)
	}
	if _, err := src.Read(context.Background(), crm.Ref{Kind: crm.KindRefund, ID: "99999999"}); err == nil {
		t.Error("a refund that nobody saw is said to be gone")
	}
}
