package woocommerce_test

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/connectortest"
	"github.com/relance/relance/connectors/woocommerce"
	"github.com/relance/relance/internal/crm"
)

// failing stands before a shop and answers a 500 to whatever would show one of the records whole.
type failing struct {
	next http.Handler
	on   func(path, body string) bool
}

func (f failing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec := httptest.NewRecorder()
	f.next.ServeHTTP(rec, r)
	if q := r.URL.Query(); (!q.Has("_fields") || q.Get("_fields") == "id,currency") && f.on(r.URL.Path, rec.Body.String()) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write([]byte(`{"code":"internal_server_error","message":"…","data":{"status":500}}`))
		return
	}
	maps.Copy(w.Header(), rec.Header())
	w.WriteHeader(rec.Code)
	_, _ = w.Write(rec.Body.Bytes())
}

func sourceBehind(t *testing.T, on func(path, body string) bool) *woocommerce.Source {
	t.Helper()
	shop, c := openShop(t)
	srv := httptest.NewServer(failing{shop, on})
	t.Cleanup(srv.Close)
	src, err := woocommerce.New(config(srv.URL, c), nil)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// One record on which a plugin breaks is named and left behind; all others are read.
func TestB7_ARecordThatBreaksTheShopIsLeftBehind(t *testing.T) {
	want := connectortest.Crawl(t, plain(t), woocommerce.StreamOrders, nil, 100)
	bad := want.Raw[3].Ref.ID
	src := sourceBehind(t, func(path, body string) bool {
		return strings.HasSuffix(path, "/orders") && strings.Contains(body, `{"id":`+bad+`,"parent_id"`)
	})
	if _, err := src.Pull(context.Background(), woocommerce.StreamOrders, nil, 100); err == nil {
		t.Fatal("a page with the record is read")
	}
	got := connectortest.Crawl(t, src, woocommerce.StreamOrders, nil, 1)
	if len(got.Rejected) != 1 || got.Rejected[0].Ref.ID != bad || got.Rejected[0].Reason == "" {
		t.Fatalf("rejected: %+v", got.Rejected)
	}
	if len(got.Raw) != len(want.Raw)-1 || slices.ContainsFunc(got.Raw, func(r connectors.RawRecord) bool { return r.Ref.ID == bad }) {
		t.Errorf("%d orders, want all %d but one", len(got.Raw), len(want.Raw))
	}
}

// A shop that fails on every record is down, and nothing is quarantined for it.
func TestB7_AShopThatBreaksOnEverythingIsNoBadRecord(t *testing.T) {
	src := sourceBehind(t, func(path, _ string) bool { return strings.HasSuffix(path, "/orders") })
	page, err := src.Pull(context.Background(), woocommerce.StreamOrders, nil, 1)
	if err == nil || len(page.Rejected) > 0 {
		t.Fatalf("%v, rejected %d", err, len(page.Rejected))
	}
}

// The variations of one product that break the shop do not keep those of others away.
func TestB7_VariationsThatBreakTheShop(t *testing.T) {
	want := connectortest.Crawl(t, plain(t), woocommerce.StreamVariations, nil, 100)
	first := true
	broken := ""
	src := sourceBehind(t, func(path, _ string) bool {
		if strings.HasSuffix(path, "/variations") && first {
			first, broken = false, path
		}
		return path == broken
	})
	got := connectortest.Crawl(t, src, woocommerce.StreamVariations, nil, 1)
	if len(got.Rejected) != 1 || len(got.Facts) == 0 || len(got.Facts) >= len(want.Facts) {
		t.Errorf("%d rejected, %d variations of %d", len(got.Rejected), len(got.Facts), len(want.Facts))
	}
}

func plain(t *testing.T) *woocommerce.Source {
	t.Helper()
	shop, c := openShop(t)
	return connect(t, shop, c)
}

// A refund of such an order is rejected alone, with all other refunds read.
func TestB7_ARefundOfAnOrderThatBreaksTheShop(t *testing.T) {
	want := connectortest.Crawl(t, plain(t), woocommerce.StreamRefunds, nil, 100)
	order := want.Facts[0].Body.(*crm.Refund).OrderID
	src := sourceBehind(t, func(path, body string) bool {
		return strings.HasSuffix(path, "/orders") && strings.Contains(body, `{"id":`+order+`,"currency"`)
	})
	got := connectortest.Crawl(t, src, woocommerce.StreamRefunds, nil, 100)
	if len(got.Rejected) == 0 || len(got.Rejected)+len(got.Facts) != len(want.Facts) {
		t.Errorf("%d rejected, %d refunds of %d", len(got.Rejected), len(got.Facts), len(want.Facts))
	}
}
