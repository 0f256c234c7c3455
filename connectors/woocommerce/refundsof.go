package woocommerce

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/fault"
)

// Before WooCommerce 9.0 there is no list of all refunds. Orders name theirs, and a new refund moves its order's date, so
// they are found through the orders then.

// owners remembers which order a refund is of: without the list one refund can be read through its order only.
type owners struct {
	mu      sync.Mutex
	through bool // the shop has no list of refunds
	of      map[string]string
}

func (o *owners) needed() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.through
}

func (o *owners) need() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.through = true
}

func (o *owners) note(w orderRow) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.of == nil {
		o.of = map[string]string{}
	}
	for _, r := range w.Refunds {
		o.of[string(r.ID)] = string(w.ID)
	}
}

func (o *owners) order(refund string) (string, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	id, ok := o.of[refund]
	return id, ok
}

// orderRow is what `_fields=id,currency,refunds` shows of an order.
type orderRow struct {
	ID       ident `json:"id"`
	Currency text  `json:"currency"`
	Refunds  list[struct {
		ID ident `json:"id"`
	}] `json:"refunds"`
}

func orderRowOf(raw json.RawMessage) orderRow {
	var w orderRow
	if json.Unmarshal(raw, &w) != nil {
		return orderRow{}
	}
	return w
}

// throughOrders is the stream of refunds, or of their ids, of a shop that has no list of them.
func (f feed) throughOrders() feed {
	f.path, f.fields, f.below = "orders", "id,currency,refunds", true
	f.sets = []url.Values{{"status": {"any"}}, {"status": {"trash"}}}
	return f
}

// noRoute: this version of WooCommerce does not have what was asked for.
func noRoute(err error) bool {
	r, ok := errors.AsType[*refused](err)
	return ok && r.status == http.StatusNotFound && r.code == "rest_no_route"
}

// fillRefundsOf reads the refunds of the orders of a page.
func (s *Source) fillRefundsOf(ctx context.Context, orders []json.RawMessage, page *connectors.Page) error {
	for _, raw := range orders {
		w := orderRowOf(raw)
		s.owners.note(w)
		if len(w.Refunds) == 0 {
			continue
		}
		raws, err := s.refundsOf(ctx, string(w.ID), strings.ToUpper(string(w.Currency)))
		if err != nil {
			return err
		}
		add(page, raws, s.norm.refund)
	}
	return nil
}

// refundIDs are the ids of the refunds that orders name.
func (s *Source) refundIDs(orders []json.RawMessage) []string {
	var out []string
	for _, raw := range orders {
		w := orderRowOf(raw)
		s.owners.note(w)
		for _, r := range w.Refunds {
			if r.ID != "" {
				out = append(out, string(r.ID))
			}
		}
	}
	return out
}

// refundsOf reads all refunds of an order; none when the order is no longer there.
func (s *Source) refundsOf(ctx context.Context, order, currency string) ([]json.RawMessage, error) {
	const op = "read refunds of an order"
	a, err := s.client.get(ctx, op, "orders/"+order+"/refunds", url.Values{"per_page": {strconv.Itoa(maxPage)}})
	if notThere(err) {
		return nil, nil // deleted between the two requests: the next hint or reconciliation sees it
	}
	if err != nil {
		return nil, err
	}
	raws, err := decodeList[json.RawMessage](s.client, op, a)
	for i, raw := range raws {
		raws[i] = whole(raw, order, currency)
	}
	return raws, err
}

// readRefundOf reads one refund through its order. Which order that is, the streams have seen; after a restart it can
// take until the ids have been listed once.
func (s *Source) readRefundOf(ctx context.Context, id string, page *connectors.Page) error {
	order, ok := s.owners.order(id)
	if !ok {
		return fault.New(fault.Retry, "woocommerce: read a refund", errors.New("which order it is of was not seen yet"))
	}
	raw, err := s.single(ctx, "orders", order, page)
	if err != nil {
		return err
	}
	var of []json.RawMessage
	if raw != nil {
		if of, err = s.refundsOf(ctx, order, strings.ToUpper(string(orderRowOf(raw).Currency))); err != nil {
			return err
		}
	}
	for _, one := range of {
		if strconv.FormatInt(idOf(one), 10) == id {
			add(page, []json.RawMessage{one}, s.norm.refund)
			return nil
		}
	}
	page.Facts = append(page.Facts, goneRefund(id))
	return nil
}
