package mailer

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

// Earned is what mails brought in one currency; amounts are decimal texts.
type Earned struct {
	Currency  string `json:"currency"`
	Orders    int64  `json:"orders"`
	Revenue   string `json:"revenue"`  // net of refunds, as known now
	PerMail   string `json:"per_mail"` // "" without a mail
	Carts     int64  `json:"recovered_carts"`
	CartValue string `json:"recovered_value"`
}

// WorthPart is a step, a variant, or a whole campaign.
type WorthPart struct {
	Step    string   `json:"step,omitempty"`
	Variant string   `json:"variant,omitempty"` // "<split>=<variant>"
	Mails   int64    `json:"mails"`             // handed over
	Clicked int64    `json:"clicked"`           // of them, in which a person clicked
	Earned  []Earned `json:"earned"`            // by currency, the most orders first
}

// WorthInfo says what a campaign's mails brought.
type WorthInfo struct {
	Campaign string      `json:"campaign"`
	Total    WorthPart   `json:"total"`
	Steps    []WorthPart `json:"steps"`
	Variants []WorthPart `json:"variants"`
	Lift     *LiftInfo   `json:"lift"` // nil: there is no holdout, or it has not been compared yet
}

// worthRow is a part of the ledger, or of what is counted.
type worthRow struct {
	Campaign string
	Step     string
	Variants string
	What     string
	Currency string
	Number   int64
	Amount   int64
}

// Worth tells what the mails of a campaign brought. It counts the campaign's mails: the command line calls it, no page does.
func Worth(ctx context.Context, q store.Queryer, campaign string) (WorthInfo, error) {
	w := WorthInfo{Campaign: campaign, Steps: []WorthPart{}, Variants: []WorthPart{}}
	var rows, counted []worthRow
	if err := q.SelectContext(ctx, &rows, `SELECT step, variants, 'mail' AS what, '' AS currency, COUNT(*) AS number, 0 AS amount FROM sends
 WHERE campaign=? AND handed_at>0 AND +state IN ('handing','accepted','unknown') GROUP BY step, variants
 UNION ALL SELECT s.step, s.variants, 'clicked' AS what, '' AS currency, COUNT(DISTINCT s.id) AS number, 0 AS amount FROM sends s JOIN mail_events v ON v.send_id=s.id
 WHERE s.campaign=? AND v.kind=? AND v.machine=0 GROUP BY s.step, s.variants`, campaign, campaign, EventClicked); err != nil {
		return w, fmt.Errorf("counting the mails of campaign %s: %w", campaign, err)
	}
	if err := q.SelectContext(ctx, &counted, "SELECT step, variants, what, currency, SUM(number) AS number, SUM(amount) AS amount FROM attributed_counts WHERE campaign=? GROUP BY step, variants, what, currency",
		campaign); err != nil {
		return w, fmt.Errorf("reading what campaign %s brought: %w", campaign, err)
	}
	rows = append(rows, counted...)
	w.Total = addUp(rows)
	steps, variants := map[string][]worthRow{}, map[string][]worthRow{}
	for _, r := range rows {
		steps[r.Step] = append(steps[r.Step], r)
		for v := range strings.SplitSeq(r.Variants, ",") {
			if v != "" {
				variants[v] = append(variants[v], r)
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(steps)) {
		part := addUp(steps[id])
		part.Step = id
		w.Steps = append(w.Steps, part)
	}
	for _, id := range slices.Sorted(maps.Keys(variants)) {
		part := addUp(variants[id])
		part.Variant = id
		w.Variants = append(w.Variants, part)
	}
	var err error
	w.Lift, err = liftOf(ctx, q, campaign)
	return w, err
}

// addUp adds rows up, each currency by itself.
func addUp(rows []worthRow) WorthPart {
	part := WorthPart{}
	type sums struct{ orders, revenue, carts, value int64 }
	of := map[string]sums{}
	for _, r := range rows {
		s := of[r.Currency]
		switch r.What {
		case "mail":
			part.Mails += r.Number
			continue
		case "clicked":
			part.Clicked += r.Number
			continue
		case creditOrder:
			s.orders, s.revenue = s.orders+r.Number, s.revenue+r.Amount
		case creditCart:
			s.carts, s.value = s.carts+r.Number, s.value+r.Amount
		}
		of[r.Currency] = s
	}
	decimal := func(minor int64, currency string) string {
		return crm.Money{Minor: minor, Currency: currency}.Decimal()
	}
	currencies := slices.SortedFunc(maps.Keys(of), func(a, b string) int {
		return cmp.Or(cmp.Compare(of[b].orders, of[a].orders), cmp.Compare(of[b].carts, of[a].carts), cmp.Compare(a, b))
	})
	part.Earned = []Earned{}
	for _, c := range currencies {
		s := of[c]
		if s == (sums{}) {
			continue
		}
		e := Earned{Currency: c, Orders: s.orders, Revenue: decimal(s.revenue, c), Carts: s.carts, CartValue: decimal(s.value, c)}
		if part.Mails > 0 {
			e.PerMail = decimal(crm.Scale(s.revenue, 1, part.Mails), c)
		}
		part.Earned = append(part.Earned, e)
	}
	return part
}

// addEarned tells of each campaign what its mails brought.
func addEarned(ctx context.Context, q store.Queryer, infos []CampaignInfo) error {
	var rows []worthRow
	if err := q.SelectContext(ctx, &rows, "SELECT campaign, what, currency, SUM(number) AS number, SUM(amount) AS amount FROM attributed_counts GROUP BY campaign, what, currency"); err != nil {
		return fmt.Errorf("reading what mails brought: %w", err)
	}
	of := map[string][]worthRow{}
	for _, r := range rows {
		of[r.Campaign] = append(of[r.Campaign], r)
	}
	for i := range infos {
		infos[i].Earned = addUp(of[infos[i].ID]).Earned
	}
	return nil
}

// RevenueDays gives each campaign's revenue of the last n days (UTC), today the last, by the day on which the orders were
// placed, in minor units of the currency given: the campaign's first of Earned.
func RevenueDays(ctx context.Context, q store.Queryer, infos []CampaignInfo, now crm.Instant, n int) (map[string][]int64, error) {
	out := map[string][]int64{}
	var names []string
	for _, i := range infos {
		if len(i.Earned) > 0 && i.Earned[0].Orders > 0 {
			out[i.ID] = make([]int64, n)
			names = append(names, i.ID)
		}
	}
	if len(names) == 0 {
		return out, nil
	}
	first := now.Time().Truncate(24*time.Hour).AddDate(0, 0, 1-n)
	var rows []struct {
		Campaign, Day, Name string
		Total               int64
	}
	if err := selectIn(ctx, q, &rows, "SELECT campaign, day, name, SUM(total) AS total FROM campaign_days WHERE campaign IN (?) AND day>=? AND name LIKE ? GROUP BY campaign, day, name",
		names, first.Format(time.DateOnly), dayRevenue+"%"); err != nil {
		return nil, fmt.Errorf("reading what mails brought by day: %w", err)
	}
	for _, i := range infos {
		for _, r := range rows {
			day, err := time.Parse(time.DateOnly, r.Day)
			if at := int(day.Sub(first).Hours() / 24); r.Campaign == i.ID && err == nil && at >= 0 && at < n && r.Name == dayRevenue+i.Earned[0].Currency {
				out[i.ID][at] += r.Total
			}
		}
	}
	return out, nil
}

// AttributedOrder is an order that a mail brought, for people.
type AttributedOrder struct {
	Shop     string      `json:"shop"`
	Order    string      `json:"order"`
	Campaign string      `json:"campaign"`
	Step     string      `json:"step"`
	Variants string      `json:"variants,omitempty"`
	How      string      `json:"how"` // code or click
	PlacedAt crm.Instant `json:"-" db:"placed_at"`
	Currency string      `json:"currency"`
	Revenue  int64       `json:"-"`
}

// AttributedOrders lists those of a contact, and of those merged into it, newest first.
func AttributedOrders(ctx context.Context, m *mirror.Mirror, q store.Queryer, contactID int64, limit int) ([]AttributedOrder, error) {
	persons, err := m.Persons(ctx, q, contactID)
	if err != nil {
		return nil, err
	}
	var out []AttributedOrder
	err = selectIn(ctx, q, &out, "SELECT s.name AS shop, a.order_id AS `order`, a.campaign, a.step, a.variants, a.how, a.placed_at, a.currency, a.revenue FROM attributed_orders a"+
		" JOIN shops s ON s.id=a.shop_id WHERE a.contact_id IN (?) ORDER BY a.placed_at DESC, a.order_id DESC LIMIT ?", persons, limit)
	if err != nil {
		return nil, fmt.Errorf("reading what mails brought: %w", err)
	}
	return out, nil
}
