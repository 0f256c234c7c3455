package prestashop

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/rest"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
)

// Acts lists what can be done in the shop (connectors.Actor): an unsubscription is written into the field that consent
// is read from, if that is one of PrestaShop's own.
func (s *Source) Acts() []string {
	if s.written() == "" {
		return nil
	}
	return []string{connectors.TaskUnsubscribe}
}

// written is the field that an unsubscription lowers, "" when the mapping reads one that cannot be written.
func (s *Source) written() string {
	e := s.mapping.CustomerConsent
	yes := e.Yes(func(string) (string, bool) { return "1", true }) == "yes"
	no := e.Yes(func(string) (string, bool) { return "0", true }) == "no"
	if (e.Field == fieldNewsletter || e.Field == fieldOptIn) && yes && no {
		return e.Field
	}
	return ""
}

// Perform carries out one task (connectors.Actor). It looks first: a customer who does not want mail already, or who is
// gone, is left alone.
func (s *Source) Perform(ctx context.Context, t connectors.Task) (connectors.Outcome, error) {
	what := s.written()
	if id, err := strconv.ParseInt(t.Key, 10, 64); t.Kind != connectors.TaskUnsubscribe || what == "" || err != nil || id <= 0 {
		return connectors.Outcome{}, fault.New(fault.Reject, "prestashop: perform "+t.Kind, errors.New("this cannot be done in a PrestaShop shop"))
	}
	g, err := s.client.byIDs(ctx, s.customers().only("id", "deleted", what), "id", []string{t.Key})
	if err != nil {
		return connectors.Outcome{}, err
	}
	if len(g.bad) > 0 {
		return connectors.Outcome{}, &fault.Error{Class: fault.Retry, Op: "prestashop: read a customer", Err: g.bad[0].why}
	}
	if len(g.rows) == 0 {
		return connectors.Outcome{Done: "The customer is no longer in the shop."}, nil
	}
	if gone, _ := field(g.rows[0], "deleted"); gone == "1" {
		return connectors.Outcome{Done: "The customer was deleted in the shop."}, nil
	}
	if v, _ := field(g.rows[0], what); v != "1" && v != "true" {
		return connectors.Outcome{Done: "The shop had it already."}, nil
	}
	return s.lower(ctx, t.Key, what)
}

func (s *Source) lower(ctx context.Context, id, what string) (connectors.Outcome, error) {
	byHand := connectors.Outcome{Mend: fmt.Sprintf("Untick %s of customer %s in the shop's back office: ", what, id)}
	if strings.HasPrefix(s.client.shopVersion(), "1.") {
		byHand.Mend += "before PrestaShop 8 the webservice cannot change one field alone."
		return byHand, nil
	}
	err := s.client.patch(ctx, "customers", id, what)
	r := asRefused(err)
	switch {
	case err == nil:
		return connectors.Outcome{Done: "The customer was unsubscribed in the shop.", Reread: []crm.Ref{{Kind: crm.KindCustomer, ID: id}}}, nil
	case r != nil && r.status == http.StatusNotFound && !r.away:
		return connectors.Outcome{Done: "The customer is no longer in the shop."}, nil
	case r != nil && (r.code == codeMethod || r.code == codeRight || r.status == http.StatusMethodNotAllowed || r.status == http.StatusNotImplemented):
		byHand.Mend += "the key has no Partial edit (PATCH) right for customers. With it Relance does this by itself."
		return byHand, nil
	}
	return connectors.Outcome{}, err
}

// patch sets one field of a record to 0. Bodies are XML only.
func (c *client) patch(ctx context.Context, path, id, what string) error {
	dispatcher, inQuery := c.way()
	target, q := c.address(path+"/"+id, map[string][]string{"output_format": {"JSON"}}, dispatcher, inQuery)
	body := fmt.Sprintf(`<prestashop xmlns:xlink="http://www.w3.org/1999/xlink"><customer><id>%s</id><%s>0</%s></customer></prestashop>`, id, what, what)
	a, err := c.Send(ctx, "change a customer", http.MethodPatch, target, rest.Query(q), "application/xml", []byte(body))
	c.note(a)
	return err
}
