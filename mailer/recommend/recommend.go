// Package recommend finds what a contact may like: what buyers of the same product also bought, then what is of the same
// brand or category, then what sells best. The lists behind it are computed per shop in the background (Engine); choosing
// for a batch of contacts costs a fixed small number of queries (For).
package recommend

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

// The rules of docs/campaigns.md, "Recommendations".
const (
	Window      = 90 * 24 * time.Hour // two products bought by one contact within it go together
	MinTogether = 5                   // contacts who bought both: fewer are chance
	MinLift     = 1500                // thousandths: both together this much more often than if it were chance
	PerBuyer    = 40                  // products of one buyer that count, those bought last: who buys everything says nothing
	perProduct  = 16                  // kept of what goes with a product
	perList     = 24                  // kept of a brand, a category, the shop
)

// Pick is one entry of a list.
type Pick struct {
	ID       string `json:"id"`
	Lift     int64  `json:"lift,omitempty"`     // thousandths
	Together int64  `json:"together,omitempty"` // contacts who bought both
}

// list is a stored list. Size is how many products it was made of: the smaller, the closer they are.
type list struct {
	scope string
	size  int64
	picks []Pick
}

const scopeAll = "all"

func scopeProduct(id string) string  { return "product:" + id }
func scopeBrand(name string) string  { return "brand:" + name }
func scopeCategory(id string) string { return "category:" + id }

// Wish is one contact for whom picks are wanted.
type Wish struct {
	ShopID  int64
	Profile *crm.Profile      // with orders, lines and carts
	About   []crm.ProfileLine // what goes with these; nil: with the last purchase
	Limit   int
}

// For chooses for a batch: what can be bought now, best first, nothing that the contact has or that lies in an open cart.
func For(ctx context.Context, m *mirror.Mirror, q store.Queryer, wishes []Wish) ([][]mirror.Offer, error) {
	people := make([]person, len(wishes))
	var named []mirror.RecordKey
	for i, w := range wishes {
		people[i] = personOf(w)
		named = append(named, people[i].products(w.ShopID)...)
	}
	families, err := m.Families(ctx, q, named)
	if err != nil {
		return nil, err
	}
	wanted := map[int64]map[string]bool{}
	for i := range people {
		people[i].fold(wishes[i].ShopID, families)
		if wanted[wishes[i].ShopID] == nil {
			wanted[wishes[i].ShopID] = map[string]bool{}
		}
		for _, s := range people[i].scopes() {
			wanted[wishes[i].ShopID][s] = true
		}
	}
	lists, err := readLists(ctx, q, wanted)
	if err != nil {
		return nil, err
	}
	var candidates []mirror.RecordKey
	for i := range people {
		people[i].candidates(lists[wishes[i].ShopID])
		for _, id := range people[i].best {
			candidates = append(candidates, mirror.RecordKey{ShopID: wishes[i].ShopID, ID: id})
		}
	}
	offers, err := m.Offers(ctx, q, candidates)
	if err != nil {
		return nil, err
	}
	out := make([][]mirror.Offer, len(wishes))
	for i, w := range wishes {
		for _, id := range people[i].best {
			if o := offers[mirror.RecordKey{ShopID: w.ShopID, ID: id}]; o.Sold() && len(out[i]) < w.Limit {
				out[i] = append(out[i], o)
			}
		}
	}
	return out, nil
}

func readLists(ctx context.Context, q store.Queryer, wanted map[int64]map[string]bool) (map[int64]map[string]list, error) {
	scopes := map[string]bool{}
	for _, of := range wanted {
		maps.Copy(scopes, of)
	}
	out := map[int64]map[string]list{}
	if len(scopes) == 0 {
		return out, nil
	}
	text, args, err := store.In("SELECT shop_id, scope, size, picks FROM pick_lists WHERE shop_id IN (?) AND scope IN (?)",
		slices.Collect(maps.Keys(wanted)), slices.Collect(maps.Keys(scopes)))
	if err != nil {
		return nil, fmt.Errorf("reading recommendations: %w", err)
	}
	rows, err := q.QueryxContext(ctx, text, args...)
	if err != nil {
		return nil, fmt.Errorf("reading recommendations: %w", err)
	}
	defer rows.Close() //nolint:errcheck // read to the end below, whose error counts
	for rows.Next() {
		shop, l, err := scanList(rows)
		if err != nil {
			return nil, fmt.Errorf("reading recommendations: %w", err)
		}
		if out[shop] == nil {
			out[shop] = map[string]list{}
		}
		out[shop][l.scope] = l
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading recommendations: %w", err)
	}
	return out, nil
}

func scanList(rows *sqlx.Rows) (shop int64, l list, err error) {
	var raw []byte
	if err := rows.Scan(&shop, &l.scope, &l.size, &raw); err != nil {
		return 0, l, err
	}
	return shop, l, json.Unmarshal(raw, &l.picks)
}

// person is one contact on the way to picks. Products are families: a variation counts as its parent.
type person struct {
	about      []string // product ids, then families
	has        []string // bought, in an open cart, or what it is about
	brands     []string
	categories []string
	not        map[string]bool // families of has
	best       []string        // candidates, the best first
}

func personOf(w Wish) person {
	var p person
	about := w.About
	if about == nil {
		about = lastPurchase(w.Profile, w.ShopID)
	}
	for _, l := range about {
		p.about = append(p.about, l.ProductID)
		p.brands = append(p.brands, l.Brand)
		p.categories = append(p.categories, l.Categories...)
	}
	p.has = append(p.has, p.about...)
	for _, o := range w.Profile.Orders {
		if o.ShopID != w.ShopID || !keeps(o.State) {
			continue
		}
		for _, l := range o.Lines {
			p.has = append(p.has, l.ProductID)
		}
	}
	for _, c := range w.Profile.Carts {
		if c.ShopID != w.ShopID || c.ClosedAt > 0 {
			continue
		}
		for _, l := range c.Lines {
			p.has = append(p.has, l.ProductID)
		}
	}
	p.about, p.brands, p.categories, p.has = once(p.about), once(p.brands), once(p.categories), once(p.has)
	return p
}

// keeps tells an order whose products its buyer has, or will have.
func keeps(state string) bool {
	switch state {
	case crm.StateDraft, crm.StateFailed, crm.StateCancelled, crm.StateTrash:
		return false
	}
	return true
}

// lastPurchase gives the lines of the latest purchase in a shop, whose orders may be several.
func lastPurchase(p *crm.Profile, shopID int64) []crm.ProfileLine {
	last := ""
	for _, o := range slices.Backward(p.Orders) {
		if o.ShopID == shopID && o.CountsAsSale {
			last = o.Purchase
			break
		}
	}
	var lines []crm.ProfileLine
	for _, o := range p.Orders {
		if o.ShopID == shopID && o.CountsAsSale && o.Purchase == last {
			lines = append(lines, o.Lines...)
		}
	}
	return lines
}

// once sorts, without "" and repetitions.
func once(all []string) []string {
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(s string) bool { return s == "" })
}

func (p *person) products(shopID int64) []mirror.RecordKey {
	out := make([]mirror.RecordKey, len(p.has))
	for i, id := range p.has {
		out[i] = mirror.RecordKey{ShopID: shopID, ID: id}
	}
	return out
}

func (p *person) fold(shopID int64, families map[mirror.RecordKey]string) {
	family := func(id string) string { return cmp.Or(families[mirror.RecordKey{ShopID: shopID, ID: id}], id) }
	for i, id := range p.about {
		p.about[i] = family(id)
	}
	p.about = once(p.about)
	p.not = make(map[string]bool, len(p.has))
	for _, id := range p.has {
		p.not[family(id)] = true
	}
}

func (p *person) scopes() []string {
	out := []string{scopeAll}
	for _, id := range p.about {
		out = append(out, scopeProduct(id))
	}
	return append(out, p.akin()...)
}

func (p *person) akin() []string {
	var out []string
	for _, b := range p.brands {
		out = append(out, scopeBrand(b))
	}
	for _, c := range p.categories {
		out = append(out, scopeCategory(c))
	}
	return out
}

// candidates puts what the lists hold in order: what goes with a product, the strongest first; then brands and
// categories, the smallest first; then what sells best.
func (p *person) candidates(lists map[string]list) {
	var with []Pick
	for _, id := range p.about {
		with = append(with, lists[scopeProduct(id)].picks...)
	}
	slices.SortFunc(with, byLift)
	p.add(with)
	var akin []list
	for _, s := range p.akin() {
		akin = append(akin, lists[s])
	}
	slices.SortFunc(akin, func(a, b list) int { return cmp.Or(cmp.Compare(a.size, b.size), cmp.Compare(a.scope, b.scope)) })
	for _, l := range akin {
		p.add(l.picks)
	}
	p.add(lists[scopeAll].picks)
}

func (p *person) add(picks []Pick) {
	for _, k := range picks {
		if !p.not[k.ID] {
			p.not[k.ID] = true
			p.best = append(p.best, k.ID)
		}
	}
}

func byLift(a, b Pick) int {
	return cmp.Or(cmp.Compare(b.Lift, a.Lift), cmp.Compare(b.Together, a.Together), cmp.Compare(a.ID, b.ID))
}
