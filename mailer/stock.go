package mailer

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

const askedProduct = "product_id" // property of the event that asks

// stocks is what is known of the products that contacts asked for, by shop.
type stocks map[int64]map[string]*mirror.Restocked

func (e *Engine) loadStock(ctx context.Context, campaigns []running, profiles map[int64]*crm.Profile) (stocks, error) {
	ids := map[int64]map[string]bool{}
	for _, r := range campaigns {
		if r.on != triggerStock {
			continue
		}
		for _, p := range profiles {
			for i := range p.Events {
				ev := &p.Events[i]
				if id := ev.Properties[askedProduct]; id != "" && slices.Contains(r.asked, ev.Name) {
					if ids[ev.ShopID] == nil {
						ids[ev.ShopID] = map[string]bool{}
					}
					ids[ev.ShopID][id] = true
				}
			}
		}
	}
	out := stocks{}
	for shop, products := range ids {
		known, err := e.mirror.Restocks(ctx, e.db.Read(), shop, slices.Sorted(maps.Keys(products)))
		if err != nil {
			return nil, err
		}
		out[shop] = known
	}
	return out, nil
}

// facts: an asking is answered when the product, or one of its variations, comes back after it and is there now. Askings in
// one time without stock are one.
func (s stocks) facts(r running, p *crm.Profile, now crm.Instant) []happening {
	var out []happening
	seen := map[string]bool{}
	for i := range p.Events {
		ev := &p.Events[i]
		product := s[ev.ShopID][ev.Properties[askedProduct]]
		if product == nil || !product.InStock || ev.At > now || !slices.Contains(r.asked, ev.Name) {
			continue
		}
		var first, last crm.Instant // when it came back after the asking, and lately
		for _, t := range product.Turns {
			if first == 0 && t.OutAt <= ev.At && ev.At < t.BackAt {
				first = t.BackAt
			}
			last = max(last, t.BackAt)
		}
		if first == 0 {
			continue
		}
		name := about(productPrefix, ev.ShopID, ev.Properties[askedProduct])
		key := clip(name, roomAbout-20) + ":" + strconv.FormatInt(int64(first), 10)
		if !seen[key] {
			seen[key] = true
			out = append(out, happening{at: last, shopID: ev.ShopID, about: name, key: key})
		}
	}
	return out
}

// Askers names the events that ask for products: the mirror asks when one is there again.
func Askers(ctx context.Context, q store.Queryer) ([]string, error) {
	var rows []campaignRow
	if err := q.SelectContext(ctx, &rows, "SELECT "+campaignCols+" FROM campaigns WHERE listens=?", listensToStock); err != nil {
		return nil, fmt.Errorf("reading who waits for products: %w", err)
	}
	var names []string
	for _, row := range rows {
		c, err := definition(ctx, q, row.Campaign, row.Generation)
		if err != nil {
			return nil, err
		}
		names = append(names, c.asked...)
	}
	return names, nil
}

// What a stored campaign waits for besides changes of segments (campaigns.listens).
const (
	listensToNothing = 0
	listensToFacts   = 1
	listensToStock   = 2
)

func (t TriggerSpec) listensTo() int {
	switch {
	case t.Stock != nil:
		return listensToStock
	case t.Event != nil, t.Order != "":
		return listensToFacts
	}
	return listensToNothing
}
