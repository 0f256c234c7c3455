package magento_test

import (
	"context"
	"testing"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
)

// PHP writes an object without fields as []: nobody, nowhere, the store's currency. No record is lost for it.
func TestEmptyObjectsAreLists(t *testing.T) {
	shop, c := openShop(t)
	src := connect(t, shop, c)
	for kind, body := range map[crm.Kind]string{
		crm.KindOrder: `{"entity_id":7,"state":"new","status":"pending","order_currency_code":"EUR","grand_total":5,"billing_address":[],
			"extension_attributes":[],"items":[]}`,
		crm.KindCart: `{"id":7,"is_active":true,"items_count":1,"store_id":1,"customer":[],"currency":[],"billing_address":[],
			"extension_attributes":{"shipping_assignments":[{"shipping":{"address":[]}}]},"items":[{"item_id":1,"sku":"a","qty":1,"price":2}]}`,
		crm.KindCustomer: `{"id":7,"email":"a@example.com","addresses":[[]],"custom_attributes":[],"extension_attributes":[]}`,
	} {
		page, err := src.(connectors.Normaliser).Normalise(context.Background(), connectors.RawRecord{Ref: crm.Ref{Kind: kind, ID: "7"}, Body: []byte(body)})
		if err != nil || len(page.Rejected) > 0 || len(page.Facts) == 0 {
			t.Errorf("%s: %v, rejected %+v", kind, err, page.Rejected)
		}
	}
}
