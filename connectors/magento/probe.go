package magento

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/probe"
	"github.com/relance/relance/connectors/rest"
	"github.com/relance/relance/internal/fault"
)

// prober collects findings.
type prober struct {
	*Source
	probe.Report
}

// Probe checks address, key, each right, version, time zone, currency and clock (connectors.Source). Its error repeats
// the finding that ended it: without an address or a key there is nothing more to look at.
func (s *Source) Probe(ctx context.Context) (connectors.ProbeResult, error) {
	p := &prober{Source: s}
	if err := p.version(ctx); err != nil {
		return p.ProbeResult, err
	}
	if err := p.rights(ctx); err != nil {
		return p.ProbeResult, err
	}
	p.stores(ctx)
	p.CompareClocks(p.clock())
	return p.ProbeResult, nil
}

// version is only a courtesy: many shops hide it. That something answers is what counts.
func (p *prober) version(ctx context.Context) error {
	a, err := p.client.Get(rest.Unsigned(ctx), "read the version", "/magento_version", "")
	p.ShopTime = a.Date()
	text := strings.TrimSpace(string(a.Body))
	switch {
	case err == nil && strings.HasPrefix(text, "Magento/"):
		p.Version = strings.TrimPrefix(text, "Magento/")
		p.Found("version", "Magento "+p.Version+".")
	case err != nil && (fault.ClassOf(err) == fault.Throttled || a.Status == 0 || a.Status >= http.StatusInternalServerError):
		p.Failed("address", err)
		return err
	default:
		p.Found("version", "The shop does not tell its version.")
	}
	return nil
}

// rights asks for one thing under each right. A dead token and a missing right get the same answer, so only all of them
// together tell which it is.
func (p *prober) rights(ctx context.Context) error {
	refusals := map[string]error{}
	var first error
	all := rights()
	for i, r := range all {
		a, err := p.client.signedEitherWay(func() (rest.Answer, error) { return p.client.Get(ctx, "read "+what(r), "/rest/"+r.path, r.query) })
		if p.ShopTime.IsZero() {
			p.ShopTime = a.Date()
		}
		switch ref := refusal(err); {
		case err == nil, ref.notThere(): // a shop without the attribute manufacturer answers 404
		case ref.status == http.StatusUnauthorized && ref.resource != "":
			refusals[r.resource] = err
			if first == nil {
				first = err
			}
		case i == 0 || ref.status == 0 || fault.ClassOf(err) == fault.Throttled:
			p.Failed("address", err)
			return err
		default: // it is this list that the shop fails on
			p.Failed(what(r), err)
		}
	}
	p.Found("address", "The shop's REST API answers.")
	if len(refusals) == len(all) {
		if f, ok := errors.AsType[*fault.Error](first); ok && p.client.keys.oauth != nil {
			f.Hint = hintNoRights
		}
		p.Failed("key", first)
		return first
	}
	p.Found("key", "The shop knows the token.")
	for _, r := range all {
		if refusals[r.resource] != nil {
			p.Wrong("right", "The integration may not read "+r.what+".", "Tick "+r.resource+" under System → Integrations → (the integration) → API, save and reauthorise.")
			continue
		}
		p.Found("right", "The integration reads "+what(r)+".")
	}
	return nil
}

func what(r right) string {
	name, _, _ := strings.Cut(r.what, " (")
	return name
}

func (p *prober) stores(ctx context.Context) {
	vs, err := p.storeViews(ctx)
	if err != nil {
		p.Failed("store views", err)
		return
	}
	if vs.main.id == "" {
		return // the missing right has been found above
	}
	p.Zone, p.Currency = vs.main.zone, vs.main.currency
	var codes []string
	for _, id := range slices.SortedFunc(maps.Keys(vs.byID), byNumber) {
		v := vs.byID[id]
		codes = append(codes, fmt.Sprintf("%s (%s)", v.code, v.locale))
	}
	p.Found("store views", "The shop has "+strings.Join(codes, ", ")+".")
	if len(p.config.Stores) > 0 {
		if _, err := p.storeIDs(ctx); err != nil {
			p.Failed("stores", err)
		}
	}
	p.Found("time zone", "The shop lives in "+p.Zone+".")
	p.Found("currency", "Prices are in "+p.Currency+".")
	p.Name = p.nameOf(ctx, vs.main.id)
}

func (p *prober) nameOf(ctx context.Context, id string) string {
	const op = "read names of store views"
	a, err := p.client.Get(ctx, op, "/rest/V1/store/storeViews", "")
	var ws []struct {
		ID   any    `json:"id"`
		Name string `json:"name"`
	}
	if err != nil || p.client.Decode(op, a, &ws) != nil {
		return ""
	}
	for _, w := range ws {
		if fmt.Sprint(w.ID) == id {
			return w.Name
		}
	}
	return ""
}
