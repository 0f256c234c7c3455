package woocommerce

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/lenient"
	"github.com/relance/relance/connectors/mapping"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
)

// Acts lists what can be done in this shop (connectors.Actor): coupons, webhooks where it is known where they are to go, and
// unsubscribing where the mapping says in which field, and what no looks like.
func (s *Source) Acts() []string {
	out := []string{connectors.TaskCoupon}
	if s.hookURL != "" {
		out = append(out, connectors.TaskHooks)
	}
	if e := s.norm.mapped.CustomerConsent; e != nil && strings.HasPrefix(e.Field, rootMeta) {
		if _, ok := noValue(*e, ""); ok {
			out = append(out, connectors.TaskUnsubscribe)
		}
	}
	return out
}

// Perform carries out one task (connectors.Actor). What the key may not do is no error: Outcome.Mend says what to do by
// hand.
func (s *Source) Perform(ctx context.Context, t connectors.Task) (connectors.Outcome, error) {
	switch {
	case !slices.Contains(s.Acts(), t.Kind):
		return connectors.Outcome{}, fault.New(fault.Reject, "woocommerce: act", errors.New("this shop's mapping and keys do not allow for it"))
	case t.Kind == connectors.TaskHooks:
		return s.keepHooks(ctx)
	case t.Kind == connectors.TaskCoupon:
		return s.makeCoupon(ctx, t.Key)
	default:
		return s.unsubscribe(ctx, t.Key)
	}
}

// mayNot tells whether the shop refused an act because of the key, which has just been let in to look.
func mayNot(err error) bool {
	r, ok := errors.AsType[*refused](err)
	return ok && (r.status == http.StatusForbidden || r.status == http.StatusUnauthorized)
}

// unsubscribe writes no into the field that the mapping reads a customer's consent from.
func (s *Source) unsubscribe(ctx context.Context, id string) (connectors.Outcome, error) {
	if n, err := strconv.ParseInt(id, 10, 64); err != nil || n <= 0 {
		return connectors.Outcome{}, fault.New(fault.Reject, "woocommerce: unsubscribe a customer", errors.New("the id is not a number"))
	}
	out := connectors.Outcome{Reread: []crm.Ref{{Kind: crm.KindCustomer, ID: id}}}
	var page connectors.Page
	raw, err := s.single(ctx, "customers", id, &page)
	if err != nil {
		return connectors.Outcome{}, err
	}
	if raw == nil {
		out.Done = "The account is no longer there."
		return out, nil
	}
	e := s.norm.mapped.CustomerConsent
	now, seen := metaOf(raw, strings.TrimPrefix(e.Field, rootMeta))
	if !seen {
		out.Mend = "The key belongs to a shop manager, who does not see customers' meta data: create it under an administrator, or take the customer's " + e.Field + " back by hand."
		return out, nil
	}
	if s.norm.optIn(e, record{raw: raw, meta: now}).Value != "yes" {
		out.Done = "The account says no already."
		return out, nil
	}
	r := record{meta: now}
	current, _ := r.value(e.Field)
	no, ok := noValue(*e, current)
	if !ok {
		return connectors.Outcome{}, fault.New(fault.Reject, "woocommerce: unsubscribe a customer", errors.New("what no looks like cannot be told from the mapping"))
	}
	type entry struct {
		Key   string `json:"key"`
		Value string `json:"value"`
	}
	_, err = s.client.write(ctx, "unsubscribe a customer", http.MethodPut, "customers/"+id, struct {
		Meta []entry `json:"meta_data"`
	}{[]entry{{strings.TrimPrefix(e.Field, rootMeta), no}}})
	if mayNot(err) {
		out.Mend = "The key may only read: give it the permission Read/Write (WooCommerce → Settings → Advanced → REST API), or take the customer's " + e.Field + " back by hand."
		return out, nil
	}
	if err != nil {
		return connectors.Outcome{}, err
	}
	out.Done = "The account says no from now on."
	return out, nil
}

// metaOf gives the entries of a customer's meta data that have a key; seen is false when the API key sees no meta data.
func metaOf(raw []byte, key string) (of []meta, seen bool) {
	field := lenient.Field(raw, "meta_data")
	if field == nil {
		return nil, false
	}
	var all list[meta]
	if all.UnmarshalJSON(field) != nil {
		return nil, false
	}
	for _, m := range all {
		if string(m.Key) == key {
			of = append(of, m)
		}
	}
	return of, true
}

// opposites are the words in which extensions keep a box; what stands left is ticked.
func opposites() [][2]string {
	return [][2]string{
		{"1", "0"},
		{"yes", "no"},
		{"true", "false"},
		{"on", "off"},
		{"y", "n"},
		{"oui", "non"},
		{"ja", "nein"},
		{"sí", "no"},
		{"si", "no"},
		{"subscribed", "unsubscribed"},
		{"checked", "unchecked"},
	}
}

// noValue is what to write so that the condition no longer holds, and that the shop's own extension understands: the
// opposite of what stands there, if it is one of the usual words, or what a != compares with.
func noValue(e mapping.Expression, current string) (string, bool) {
	if e.Negate {
		return e.Any[0], true
	}
	if e.Any == nil && current == "" {
		return "0", true
	}
	for _, yes := range append([]string{current}, e.Any...) {
		for _, o := range opposites() {
			if !strings.EqualFold(strings.TrimSpace(yes), o[0]) {
				continue
			}
			if !slices.ContainsFunc(e.Any, func(a string) bool { return strings.EqualFold(a, o[1]) }) {
				return o[1], true
			}
		}
	}
	return "", false
}
