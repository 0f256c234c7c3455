package prestashop

import (
	"context"
	"net/url"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
)

// countPage is how many ids are asked for at once to count them: PrestaShop tells no totals, a list of ids is cheap.
const countPage = 20_000

// Count says how many records a complete run of the stream would see now (connectors.Counter); -1 for streams that bring
// parts of what others bring.
func (s *Source) Count(ctx context.Context, stream string) (int, error) {
	f, err := s.feed(stream)
	if err != nil || f.Part {
		return -1, err
	}
	filter := f.filter
	if f.Kind == crm.KindCustomer {
		filter = url.Values{"filter[deleted]": {"[0]"}}
	}
	lists := []resource{f.res[0].only("id")}
	if f.Kind == crm.KindProduct {
		lists = append(lists, combinationTable().only("id"))
	}
	if f.Kind == crm.KindCart {
		lists = []resource{cartTable().only("id", "cart_rows[id_product]")}
	}
	sum := 0
	for _, res := range lists {
		err := s.idList(ctx, res, filter, func(g gathered) error {
			var page connectors.Page
			if err := s.fillIDs(ctx, feed{Stream: connectors.Stream{Kind: f.Kind}, res: []resource{res}}, &run{}, g, &page); err != nil {
				return err
			}
			sum += len(page.IDs)
			return nil
		})
		if err != nil && (!forbidden(err) || !f.optional(res)) {
			return -1, err
		}
	}
	return sum, nil
}
