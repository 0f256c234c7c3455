package magento

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
)

// Acts lists what can be written back (connectors.Actor): the newsletter box, as long as it is what consent is read from.
func (s *Source) Acts() []string {
	if s.said.Field != subscribed {
		return nil
	}
	return []string{connectors.TaskUnsubscribe}
}

// Perform carries out one task (connectors.Actor).
func (s *Source) Perform(ctx context.Context, t connectors.Task) (connectors.Outcome, error) {
	if t.Kind != connectors.TaskUnsubscribe || len(s.Acts()) == 0 {
		return connectors.Outcome{}, fault.New(fault.Reject, "magento: "+t.Kind, errors.New("this shop cannot be told that"))
	}
	f, _ := s.feedOf(crm.KindCustomer)
	raw, _, err := s.one(ctx, f, t.Key)
	if err != nil {
		return connectors.Outcome{}, err
	}
	ref := crm.Ref{Kind: crm.KindCustomer, ID: t.Key}
	if raw == nil {
		return connectors.Outcome{Done: "The account is no longer there.", Reread: []crm.Ref{ref}}, nil
	}
	w, _, err := decodeCustomer(raw)
	if err != nil {
		return connectors.Outcome{}, fault.New(fault.Reject, "magento: unsubscribe an account", errors.New("the account cannot be read"))
	}
	if v, ok := w.Extensions.get("is_subscribed"); ok && (v == "false" || v == "0") {
		return connectors.Outcome{Done: "The account was not subscribed.", Reread: []crm.Ref{ref}}, nil
	}
	return s.unsubscribe(ctx, ref, raw)
}

// unsubscribe sends what Magento demands and the box. Addresses are left out: an empty list would delete them.
func (s *Source) unsubscribe(ctx context.Context, ref crm.Ref, raw json.RawMessage) (connectors.Outcome, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		return connectors.Outcome{}, fault.New(fault.Reject, "magento: unsubscribe an account", errors.New("the account cannot be read"))
	}
	customer := map[string]json.RawMessage{"extension_attributes": json.RawMessage(`{"is_subscribed":false}`)}
	for _, name := range []string{"id", "email", "firstname", "lastname", "website_id", "store_id", "group_id"} {
		if v, ok := all[name]; ok {
			customer[name] = v
		}
	}
	body, err := json.Marshal(map[string]any{"customer": customer})
	if err != nil {
		return connectors.Outcome{}, fault.New(fault.Reject, "magento: unsubscribe an account", errors.New("the account cannot be written"))
	}
	_, err = s.client.put(ctx, "unsubscribe an account", "V1/customers/"+ref.ID, body)
	switch r := refusal(err); {
	case err == nil:
		return connectors.Outcome{Done: "The account is unsubscribed.", Reread: []crm.Ref{ref}}, nil
	case r.status == http.StatusUnauthorized && r.resource != "":
		return connectors.Outcome{Mend: "The integration may not change customers: tick " + r.resource +
			" under System → Integrations → (the integration) → API, save and reauthorise; until then the shop itself still believes that they want its newsletter."}, nil
	case r.notThere():
		return connectors.Outcome{Done: "The account is no longer there.", Reread: []crm.Ref{ref}}, nil
	case r.status == http.StatusBadRequest:
		if f, ok := errors.AsType[*fault.Error](err); ok { // the account lacks something that the shop demands of every account
			f.Class, f.Hint = fault.Reject, "Open the account in the shop, complete what it demands, and unsubscribe it there."
		}
	}
	return connectors.Outcome{}, err
}
