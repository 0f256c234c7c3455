package magento

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/shopspring/decimal"

	"github.com/relance/relance/connectors/lenient"
	"github.com/relance/relance/internal/crm"
)

// Totals of a cart are one question each, so they are asked only for carts that can be written to, and only as long as
// Magento itself keeps a cart (30 days); others are valued by their prices without tax.
const totalsFor = 30 * 24 * time.Hour

// totalsKept remembers the answers for carts that were not touched since: recent carts of guests are read again and again.
type totalsKept struct {
	mu   sync.Mutex
	kept map[[sha256.Size]byte][]byte
}

const mostKept = 2000

func (k *totalsKept) get(of [sha256.Size]byte) []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.kept[of]
}

func (k *totalsKept) put(of [sha256.Size]byte, totals []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.kept == nil || len(k.kept) >= mostKept {
		k.kept = map[[sha256.Size]byte][]byte{}
	}
	k.kept[of] = totals
}

// withTotals puts the totals into the bodies of carts, so that a stored body gives the same facts again, and looks up
// which products their lines name.
func (s *Source) withTotals(ctx context.Context, n *normaliser, raws []json.RawMessage) ([]json.RawMessage, error) {
	out := make([]json.RawMessage, len(raws))
	since := crm.At(s.clock().Add(-totalsFor))
	for i, raw := range raws {
		out[i] = raw
		var w wireCart
		if json.Unmarshal(raw, &w) != nil || !w.open() || w.email() == "" || crm.Instant(w.Updated) < since {
			continue
		}
		totals, err := s.totals(ctx, string(w.ID), raw)
		if err != nil {
			return nil, err
		}
		if totals != nil {
			out[i] = spliced(raw, "relance_totals", totals)
		}
	}
	return out, s.findGoods(ctx, n, out)
}

// totals of one cart; nil when the shop cannot say: a cart whose product was deleted makes it fail for good.
func (s *Source) totals(ctx context.Context, id string, raw []byte) ([]byte, error) {
	sum := sha256.Sum256(raw)
	if known := s.priced.get(sum); known != nil {
		return known, nil
	}
	const op = "read totals of a cart"
	a, err := s.client.Get(ctx, op, "/rest/V1/carts/"+id+"/totals", "fields=grand_total,items%5Bitem_id%2Crow_total_incl_tax%2Cdiscount_amount%5D")
	if r := refusal(err); err != nil && (r.crashed() || r.status == http.StatusNotFound || r.status == http.StatusBadRequest || r.status == http.StatusUnauthorized) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var w wireTotals
	if err := s.client.Decode(op, a, &w); err != nil {
		return nil, err
	}
	body := bytes.TrimSpace(a.Body)
	s.priced.put(sum, body)
	return body, nil
}

// spliced adds a member to a JSON object.
func spliced(object []byte, name string, value []byte) json.RawMessage {
	object = bytes.TrimSpace(object)
	if len(object) < 2 || object[len(object)-1] != '}' {
		return object
	}
	out := bytes.Clone(object[:len(object)-1])
	if len(bytes.TrimSpace(out)) > 1 {
		out = append(out, ',')
	}
	out = append(append(append(out, '"'), name...), '"', ':')
	return append(append(out, value...), '}')
}

func times(price, quantity lenient.Amount) (lenient.Amount, error) {
	p, err := number(price)
	q, err2 := number(quantity)
	return lenient.Amount(p.Mul(q).String()), errors.Join(err, err2)
}

// number reads an amount; "" is 0. One with a huge exponent is refused: computing with it would take for ever.
func number(a lenient.Amount) (decimal.Decimal, error) {
	if a == "" {
		return decimal.Zero, nil
	}
	d, err := decimal.NewFromString(string(a))
	if err != nil || d.Exponent() > 30 || d.Exponent() < -30 || len(a) > 60 {
		return decimal.Zero, errors.New("an amount is not a number")
	}
	return d, nil
}

// whole is a quantity; fractions are rounded to the nearest even.
func whole(a lenient.Amount) (int64, error) {
	d, err := number(a)
	if err != nil || d.Abs().GreaterThan(decimal.New(1, 15)) {
		return 0, errors.New("a quantity is not a number")
	}
	return d.RoundBank(0).IntPart(), nil
}
