package magento_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/connectortest"
	"github.com/relance/relance/connectors/magento"
	"github.com/relance/relance/connectors/magento/magshop"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
)

// always answers every request with one recorded answer.
func always(t *testing.T, e exchange) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for k, v := range e.Headers {
			w.Header().Set(k, v)
		}
		w.WriteHeader(e.Status)
		_, _ = w.Write([]byte(e.Body))
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// Every recorded refusal is said in words that help, whatever was asked.
func TestRecordedRefusals(t *testing.T) {
	all := exchanges(t)
	_, clock := openShop(t)
	for name, want := range map[string]struct {
		class fault.Class
		says  string
	}{
		"auth/no-credentials":                      {fault.Operator, "Magento_Sales::actions_view"},
		"auth/bearer-integration-token-disabled":   {fault.Operator, "Magento_Sales::actions_view"},
		"auth/oauth-unknown-consumer":              {fault.Operator, "consumer key"},
		"auth/oauth-unknown-token":                 {fault.Operator, "access token"},
		"auth/oauth-token-bad-length":              {fault.Operator, "access token"},
		"auth/oauth-bad-signature":                 {fault.Operator, "X-Forwarded-Proto"},
		"auth/oauth-hmac-sha1":                     {fault.Operator, "Signature method HMAC-SHA1"},
		"auth/oauth-timestamp-future":              {fault.Operator, "clock"},
		"auth/oauth-no-nonce":                      {fault.Operator, "oauth_nonce"},
		"auth/oauth-nonce-replayed":                {fault.Operator, "consumer with ID 1"},
		"errors/maintenance":                       {fault.Retry, "maintenance"},
		"errors/accept-html":                       {fault.Retry, "500"},
		"errors/accept-xml":                        {fault.Operator, "web page"},
		"errors/store-code-unknown":                {fault.Operator, "stores"},
		"errors/route-unknown":                     {fault.Operator, "REST API"},
		"search/unknown-field":                     {fault.Retry, "webapi-6b026f7441913"},
		"search/customers-filter-id":               {fault.Operator, `The "id" attribute name is invalid`},
		"search/bad-sort-direction":                {fault.Operator, "ASC for ascending"},
		"search/no-search-criteria":                {fault.Operator, `"searchCriteria" is required`},
		"shop/store-views":                         {fault.Retry, "another shape"},
		"search/page-size-text":                    {fault.Operator, "pageSize"},
		"auth/admin-token-2fa-not-configured":      {fault.Operator, "2FA"},
		"auth/admin-token-2fa-module-disabled":     {fault.Retry, "another shape"},
		"auth/admin-token-2fa-user-not-configured": {fault.Operator, "Two-Factor"},
	} {
		t.Run(name, func(t *testing.T) {
			e, ok := all[name]
			if !ok {
				t.Fatal("not recorded")
			}
			for _, config := range []magento.Config{bearer(always(t, e), clock), signed(always(t, e), clock)} {
				_, err := open(t, config).Pull(t.Context(), magento.StreamOrders, nil, 50)
				if fault.ClassOf(err) != want.class || err == nil || !strings.Contains(err.Error(), want.says) {
					t.Errorf("class %s, want %s, and to read %q:\n%v", fault.ClassOf(err), want.class, want.says, err)
				}
				if want.class == fault.Operator && fault.HintOf(err) == "" {
					t.Errorf("nobody learns what to do: %v", err)
				}
				for _, secret := range []string{magshop.Token, magshop.ConsumerSecret, magshop.TokenSecret} {
					if err != nil && strings.Contains(err.Error(), secret) {
						t.Errorf("a secret: %v", err)
					}
				}
			}
		})
	}
}

// Recorded answers to searches are read as what they are: items absent, null, empty, and shops that put a limit.
func TestRecordedSearches(t *testing.T) {
	all := exchanges(t)
	_, clock := openShop(t)
	for name, want := range map[string]int{
		"search/empty": 0, "search/empty-with-fields": 0, "search/in": 3, "search/updated-ties": -1, "search/moreq": -1, "search/or-one-group": 2,
	} {
		e := all[name]
		if e.Name == "" {
			t.Fatal("not recorded: ", name)
		}
		src := open(t, signed(always(t, e), clock))
		p, err := src.Pull(t.Context(), magento.StreamOrderIDs, nil, 50)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if want >= 0 && len(p.IDs) != want || want < 0 && len(p.IDs) == 0 {
			t.Errorf("%s: %v", name, p.IDs)
		}
	}
	// Past the end there is a total and no row: in the first page of a run that is no empty shop.
	src := open(t, signed(always(t, all["search/beyond-last-page"]), clock))
	if _, err := src.Pull(t.Context(), magento.StreamOrders, nil, 50); fault.ClassOf(err) != fault.Retry || err == nil {
		t.Errorf("an empty page of 200 orders: %v", err)
	}
}

func TestMissingRightIsNotADeadToken(t *testing.T) {
	shop, clock := openShop(t, func(o *magshop.Options) { o.Denied = []string{"Magento_Sales::actions_view", "Magento_Cart::manage"} })
	src := connect(t, shop, clock)
	_, err := src.Pull(t.Context(), magento.StreamOrders, nil, 50)
	if fault.ClassOf(err) != fault.Operator || !strings.Contains(fault.HintOf(err), "The token works") || !strings.Contains(fault.HintOf(err), "Magento_Sales::actions_view") {
		t.Errorf("%v", err)
	}
	if _, err := src.Pull(t.Context(), magento.StreamCustomers, nil, 50); err != nil {
		t.Errorf("customers are allowed: %v", err)
	}
	res, err := src.Probe(t.Context())
	if err != nil || res.OK() {
		t.Fatalf("%+v %v", res, err)
	}
	var mends []string
	for _, f := range res.Findings {
		if !f.OK {
			mends = append(mends, f.Mend)
		}
	}
	if len(mends) != 2 || !strings.Contains(mends[0], "Magento_Sales::actions_view") || !strings.Contains(mends[1], "Magento_Cart::manage") {
		t.Errorf("%q", mends)
	}
}

func TestBearerThatIsOff(t *testing.T) {
	shop, clock := openShop(t, func(o *magshop.Options) { o.NoBearer = true })
	srv := httptest.NewServer(shop)
	defer srv.Close()
	_, err := open(t, bearer(srv.URL, clock)).Pull(t.Context(), magento.StreamOrders, nil, 50)
	if fault.ClassOf(err) != fault.Operator || !strings.Contains(fault.HintOf(err), "standalone Bearer") {
		t.Errorf("%v", err)
	}
	if p := connectortest.Crawl(t, open(t, signed(srv.URL, clock)), magento.StreamOrders, nil, 100); len(p.Facts) != 200 {
		t.Errorf("%d orders by signed requests", len(p.Facts))
	}
}

// A shop behind a proxy that hides https verifies against the other scheme: found out once, then remembered.
func TestSignedForTheOtherScheme(t *testing.T) {
	shop, clock := openShop(t, func(o *magshop.Options) { o.Behind = "https" })
	src := connect(t, shop, clock)
	if p := connectortest.Crawl(t, src, magento.StreamCustomers, nil, 50); p.Total != 102 {
		t.Errorf("%d accounts", p.Total)
	}
	before := shop.Requests()
	if _, err := src.Pull(t.Context(), magento.StreamCustomers, nil, 50); err != nil || shop.Requests() != before+1 {
		t.Errorf("%d requests for a page, %v", shop.Requests()-before, err)
	}
}

// A shop may limit the size of pages: then it is asked for what it gives.
func TestLimitedPages(t *testing.T) {
	shop, clock := openShop(t, func(o *magshop.Options) { o.MostRows = 30 })
	if p := connectortest.Crawl(t, connect(t, shop, clock), magento.StreamOrders, nil, 100); len(p.Facts) != 200 {
		t.Errorf("%d orders", len(p.Facts))
	}
}

// A record on which the shop itself fails is rejected alone, in a backfill and in a window.
func TestRecordThatCrashesTheShop(t *testing.T) {
	shop, clock := openShop(t)
	src := connect(t, shop, clock)
	_, at := seen(t, src, nil)
	shop.Crash("orders", 77)
	ids, _ := seen(t, src, nil)
	if len(ids) != 200 || !slices.Contains(ids, "!77") {
		t.Errorf("%d orders, 77 is not among the rejected: %v", len(ids), ids)
	}
	clock.Add(7 * 3600e9)
	shop.Touch("orders", 3, 77, 78)
	ids, _ = seen(t, src, at)
	slices.Sort(ids)
	if d := slices.Compact(ids); !slices.Equal(d, []string{"!77", "3", "78"}) {
		t.Errorf("the window shows %v", d)
	}
}

// seen walks the orders as the engine does: a failed page is asked for again, smaller.
func seen(t *testing.T, src source, at connectors.Cursor) ([]string, connectors.Cursor) {
	t.Helper()
	var ids []string
	size := 100
	for range 1000 {
		p, err := src.Pull(t.Context(), magento.StreamOrders, at, size)
		if err != nil {
			if fault.ClassOf(err) != fault.Retry || size == 1 {
				t.Fatal(err)
			}
			size = max(size/4, 1)
			continue
		}
		for _, f := range p.Facts {
			if _, ok := f.Body.(*crm.Order); ok {
				ids = append(ids, f.Ref.ID)
			}
		}
		for _, r := range p.Rejected {
			ids, size = append(ids, "!"+r.Ref.ID), 100
		}
		if at = p.Next; !p.More {
			return ids, at
		}
	}
	t.Fatal("the run does not end")
	return nil, nil
}

// A 500 that comes of the question and not of the shop is not asked for ever.
func TestQuestionThatTheShopCannotAnswer(t *testing.T) {
	shop, clock := openShop(t)
	shop.SetFault(func(r *http.Request) *magshop.Fault {
		if r.URL.Query().Has("searchCriteria[sortOrders][0][field]") {
			return magshop.ServerError()
		}
		return nil
	})
	src := connect(t, shop, clock)
	_, err := src.Pull(t.Context(), magento.StreamOrders, nil, 100)
	if fault.ClassOf(err) != fault.Retry || !strings.Contains(err.Error(), "webapi-") {
		t.Errorf("a page of 100: %v", err)
	}
	if _, err = src.Pull(t.Context(), magento.StreamOrders, nil, 1); fault.ClassOf(err) != fault.Operator {
		t.Errorf("a page of 1: %v", err)
	}
	shop.SetFault(func(*http.Request) *magshop.Fault { return magshop.ServerError() })
	if _, err = src.Pull(t.Context(), magento.StreamOrders, nil, 1); fault.ClassOf(err) != fault.Retry || fault.HintOf(err) != "" {
		t.Errorf("an outage: %v", err)
	}
}

func TestMaintenanceIsNeverAnEmptyShop(t *testing.T) {
	shop, clock := openShop(t)
	src := connect(t, shop, clock)
	shop.SetFault(func(*http.Request) *magshop.Fault { return magshop.Maintenance() })
	for _, stream := range []string{magento.StreamOrderIDs, magento.StreamOrders, magento.StreamCarts} {
		if p, err := src.Pull(t.Context(), stream, nil, 50); fault.ClassOf(err) != fault.Retry || err == nil || len(p.Next) > 0 {
			t.Errorf("%s: %v", stream, err)
		}
	}
	if _, err := src.Read(t.Context(), crm.Ref{Kind: crm.KindOrder, ID: "5"}); err == nil {
		t.Error("a record is read of a shop under maintenance")
	}
}

// A shop that lacks a dictionary, or refuses the question for it, is mirrored without.
func TestShopWithoutDictionaries(t *testing.T) {
	shop, clock := openShop(t)
	for name, answer := range map[string]exchange{
		"404": exchanges(t)["errors/route-unknown"], "400": exchanges(t)["search/customers-filter-id"], "401": exchanges(t)["auth/no-credentials"],
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			lacking := []string{"/rest/V1/attributeMetadata/customer", "/rest/V1/customerGroups/search", "/rest/V1/store/storeConfigs", "/rest/V1/products/attributes/manufacturer/options"}
			if !slices.Contains(lacking, r.URL.Path) && !strings.Contains(r.URL.RawQuery, "type_id") {
				shop.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(answer.Status)
			_, _ = w.Write([]byte(answer.Body))
		}))
		src := open(t, signed(srv.URL, clock))
		for stream, n := range map[string]int{magento.StreamCustomers: 306, magento.StreamProducts: 33, magento.StreamOrders: 200, magento.StreamCarts: 56} {
			if p := connectortest.Crawl(t, src, stream, nil, 100); len(p.Facts) != n || len(p.Rejected) > 0 {
				t.Errorf("%s, %s: %d facts, %+v", name, stream, len(p.Facts), p.Rejected)
			}
		}
		srv.Close()
	}
}
