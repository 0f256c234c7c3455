package prestashop

import (
	"maps"
	"slices"
	"strings"

	"github.com/relance/relance/internal/crm"
)

// orderState is a row of order_states. Names are translated and ids of added states are free: flags and the settings
// PS_OS_* say what a state means.
type orderState struct {
	ID          ident      `json:"id"`
	Name        translated `json:"name"`
	Unremovable flag       `json:"unremovable"`
	Logable     flag       `json:"logable"` // an order in this state is considered valid
	Shipped     flag       `json:"shipped"`
	Paid        flag       `json:"paid"`
	Module      text       `json:"module_name"`
}

// Settings that name states.
const (
	osPayment     = "PS_OS_PAYMENT"
	osPreparation = "PS_OS_PREPARATION"
	osShipping    = "PS_OS_SHIPPING"
	osDelivered   = "PS_OS_DELIVERED"
	osCanceled    = "PS_OS_CANCELED"
	osRefund      = "PS_OS_REFUND"
	osError       = "PS_OS_ERROR"
	osCheque      = "PS_OS_CHEQUE"
	osBankwire    = "PS_OS_BANKWIRE"
	osOnDelivery  = "PS_OS_COD_VALIDATION"
)

// is tells whether a setting names this state. A setting that cannot be read has the value of every installation since
// 1.5, if the state is one of PrestaShop's own.
func (d *dictionary) is(st orderState, setting string) bool {
	if id, ok := d.named[setting]; ok {
		return id == string(st.ID)
	}
	own := map[string]ident{osDelivered: "5", osCanceled: "6", osRefund: "7", osError: "8"}
	return bool(st.Unremovable) && own[setting] != "" && own[setting] == st.ID
}

// state is the canonical state and the shop's own word for it. The file's mapping wins, by id or by name in any
// language. known is false for a state that the dictionary does not have.
func (n normaliser) state(id ident) (state, word string, known bool) {
	st, known := n.d.states[string(id)]
	word = st.Name.in(n.d.language)
	if word == "" {
		word = string(id)
	}
	for _, key := range sortedKeys(n.m.Statuses) {
		if key == string(id) || known && st.called(key) {
			return n.m.Statuses[key], word, known
		}
	}
	if !known {
		return crm.StateOther, word, false
	}
	return n.d.meaning(st), word, true
}

func (st orderState) called(name string) bool {
	same := func(v string) bool {
		return v != "" && strings.EqualFold(strings.TrimSpace(v), strings.TrimSpace(name))
	}
	return same(st.Name.one) || slices.ContainsFunc(slices.Collect(maps.Values(st.Name.all)), same)
}

func (d *dictionary) meaning(st orderState) string {
	switch {
	case d.is(st, osCanceled):
		return crm.StateCancelled
	case d.is(st, osRefund):
		return crm.StateRefunded
	case d.is(st, osError):
		return crm.StateFailed
	case d.is(st, osDelivered):
		return crm.StateCompleted
	case bool(st.Shipped):
		return crm.StateShipped
	case bool(st.Paid), bool(st.Logable):
		return crm.StateAccepted
	case d.byHand(st):
		return crm.StateOnHold
	}
	return crm.StatePending
}

// byHand: the order waits for money that somebody sends or hands over.
func (d *dictionary) byHand(st orderState) bool {
	switch st.Module {
	case "ps_checkpayment", "ps_wirepayment", "ps_cashondelivery", "cheque", "bankwire", "cashondelivery":
		return true
	}
	return d.is(st, osCheque) || d.is(st, osBankwire) || d.is(st, osOnDelivery)
}

// countsAsSale is mostly what PrestaShop's own flag `valid` says: a refunded order is no sale, also when no credit slip was
// made. A paid one that waits for goods is (PrestaShop calls it valid only when it moves on): somebody bought.
func countsAsSale(state string) bool { return state != crm.StateRefunded && crm.CountsAsSale(state) }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
