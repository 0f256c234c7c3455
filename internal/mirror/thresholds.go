package mirror

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/bits"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// keptThresholds is how many versions stay readable: contacts that were not looked at during an outage are brought
// through the ones that were in force meanwhile.
const keptThresholds = 4

// cuts is the body of a row of thresholds.
type cuts struct {
	Contacts int64
	Currency string
	Recency  []int64
	Orders   []int64
	Revenue  []int64
}

// Thresholds gives the versions published for an audience that are kept, oldest first.
func Thresholds(ctx context.Context, q store.Queryer, audienceID int64) ([]*crm.Thresholds, error) {
	var out []*crm.Thresholds
	err := read(ctx, q, "SELECT version, published_at, body FROM thresholds WHERE audience_id=? ORDER BY version", []any{audienceID}, func(r *sqlx.Rows) error {
		t := &crm.Thresholds{}
		var body []byte
		if err := r.Scan(&t.Version, &t.PublishedAt, &body); err != nil {
			return err
		}
		var c cuts
		if err := json.Unmarshal(body, &c); err != nil {
			return err
		}
		t.Contacts, t.Currency, t.Recency, t.Orders, t.Revenue = c.Contacts, c.Currency, c.Recency, c.Orders, c.Revenue
		out = append(out, t)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading thresholds: %w", err)
	}
	return out, nil
}

// PublishThresholds puts t in force from its PublishedAt on, gives it its version, and drops the oldest. Nobody is marked:
// who is concerned is the caller's affair.
func PublishThresholds(ctx context.Context, tx *store.Tx, audienceID int64, t *crm.Thresholds) error {
	if err := tx.GetContext(ctx, &t.Version, "SELECT COALESCE(MAX(version),0)+1 FROM thresholds WHERE audience_id=?", audienceID); err != nil {
		return fmt.Errorf("reading the version of thresholds: %w", err)
	}
	body, err := json.Marshal(cuts{t.Contacts, t.Currency, t.Recency, t.Orders, t.Revenue})
	if err != nil {
		return fmt.Errorf("encoding thresholds: %w", err)
	}
	if err := tx.Insert(ctx, "thresholds", []string{"audience_id", "version", "published_at", "body"},
		[][]any{{audienceID, t.Version, int64(t.PublishedAt), string(body)}}); err != nil {
		return fmt.Errorf("publishing thresholds: %w", err)
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM thresholds WHERE audience_id=? AND version<=?", audienceID, t.Version-keptThresholds); err != nil {
		return fmt.Errorf("dropping old thresholds: %w", err)
	}
	return nil
}

const (
	statsPage    = 5000   // rows of contact_stats read at once: no snapshot is held over the whole table
	maxValues    = 100000 // distinct values that are kept exactly
	coarseDigits = 13     // binary digits of a value that are kept beyond that: an error below 1 in 4096
)

// ComputeThresholds goes through the statistics of an audience's live contacts with a sale and gives their percentiles at
// now, to be published. The cut at p percent is the value at rank N·p/100 (rounded down) + 1, in ascending order: (100 − p)
// percent of the contacts have it or more. Revenue is compared in the currency that most contacts bought in; who bought in
// others alone is not in that list. Memory is bounded: from 100,000 distinct values on, they are kept to one in 4096 (of an
// age, for instants).
func ComputeThresholds(ctx context.Context, q store.Queryer, audienceID int64, now crm.Instant) (*crm.Thresholds, error) {
	s := &surveying{now: now, ages: newTally(), orders: newTally(), revenue: map[string]*tally{}}
	var after, shop int64
	for {
		n := 0
		if err := read(ctx, q, `SELECT t.contact_id, t.shop_id, t.currency, t.sales, t.revenue, t.last_placed_at FROM contact_stats t
 JOIN contacts c ON c.id=t.contact_id WHERE t.contact_id>=? AND (t.contact_id>? OR t.shop_id>?) AND c.audience_id=? AND c.live=1 AND t.sales>0
 ORDER BY t.contact_id, t.shop_id LIMIT ?`, []any{after, after, shop, audienceID, statsPage}, func(r *sqlx.Rows) error {
			n++
			var x soldRow
			err := r.Scan(&after, &shop, &x.currency, &x.sales, &x.revenue, &x.last)
			s.add(after, x)
			return err
		}); err != nil {
			return nil, fmt.Errorf("computing thresholds: %w", err)
		}
		if n < statsPage {
			return s.thresholds(), nil
		}
	}
}

type soldRow struct {
	currency       string
	sales, revenue int64
	last           crm.Instant
}

// surveying adds up each contact's rows, which come together, and sorts the sums in.
type surveying struct {
	now          crm.Instant
	contact      int64
	sum          soldRow
	sums         map[string]int64 // revenue by currency
	contacts     int64
	ages, orders *tally
	revenue      map[string]*tally
}

func (s *surveying) add(contact int64, x soldRow) {
	if contact != s.contact {
		s.finish()
		s.contact, s.sum, s.sums = contact, soldRow{}, map[string]int64{}
	}
	s.sum.sales += x.sales
	s.sum.last = max(s.sum.last, x.last)
	s.sums[x.currency] += x.revenue
}

func (s *surveying) finish() {
	if s.contact == 0 {
		return
	}
	s.contacts++
	s.ages.add(int64(s.now - s.sum.last))
	s.orders.add(s.sum.sales)
	for currency, sum := range s.sums {
		if s.revenue[currency] == nil {
			s.revenue[currency] = newTally()
		}
		s.revenue[currency].add(sum)
	}
}

func (s *surveying) thresholds() *crm.Thresholds {
	s.finish()
	t := &crm.Thresholds{PublishedAt: s.now, Contacts: s.contacts, Orders: s.orders.percentiles()}
	most := &tally{}
	for _, currency := range slices.Sorted(maps.Keys(s.revenue)) {
		if s.revenue[currency].n > most.n {
			most, t.Currency = s.revenue[currency], currency
		}
	}
	t.Revenue = most.percentiles()
	s.ages.negate() // the older, the earlier
	for _, age := range s.ages.percentiles() {
		t.Recency = append(t.Recency, int64(s.now)+age)
	}
	return t
}

// tally counts values.
type tally struct {
	n      int64
	counts map[int64]int64
	coarse bool
}

func newTally() *tally { return &tally{counts: map[int64]int64{}} }

func (t *tally) add(v int64) {
	if t.coarse {
		v = coarsened(v)
	}
	t.n++
	t.counts[v]++
	if !t.coarse && len(t.counts) > maxValues {
		t.coarse = true
		exact := t.counts
		t.counts = make(map[int64]int64, maxValues/2)
		for v, n := range exact {
			t.counts[coarsened(v)] += n
		}
	}
}

// coarsened keeps the leading binary digits.
func coarsened(v int64) int64 {
	if v < 0 {
		return -coarsened(-v)
	}
	drop := max(bits.Len64(uint64(v))-coarseDigits, 0)
	return v >> drop << drop
}

func (t *tally) negate() {
	counts := make(map[int64]int64, len(t.counts))
	for v, n := range t.counts {
		counts[-v] = n
	}
	t.counts = counts
}

// percentiles 1…99; nil when nothing was counted.
func (t *tally) percentiles() []int64 {
	if t.n == 0 {
		return nil
	}
	out := make([]int64, 0, 99)
	below := int64(0)
	for _, v := range slices.Sorted(maps.Keys(t.counts)) {
		below += t.counts[v]
		for p := int64(len(out) + 1); p <= 99 && t.n*p/100 < below; p++ {
			out = append(out, v)
		}
	}
	return out
}
