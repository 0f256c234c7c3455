package magento

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/rest"
	"github.com/relance/relance/internal/fault"
)

const maxSkew = 5 * time.Minute

// prober collects findings.
type prober struct {
	*Source
	connectors.ProbeResult
}

func (p *prober) found(what, text string) {
	p.Findings = append(p.Findings, connectors.Finding{What: what, OK: true, Text: text})
}

func (p *prober) wrong(what, text, mend string) {
	p.Findings = append(p.Findings, connectors.Finding{What: what, Text: text, Mend: mend})
}

func (p *prober) failed(what string, err error) {
	mend := fault.HintOf(err)
	if mend == "" {
		mend = "Try again in a moment; if it stays, look at the shop's own error log."
	}
	text := err.Error()
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Err != nil {
		text = "The check failed: " + f.Err.Error() + "."
	}
	p.wrong(what, text, mend)
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
	p.compareClocks()
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
		p.found("version", "Magento "+p.Version+".")
	case err != nil && (fault.ClassOf(err) == fault.Throttled || a.Status == 0 || a.Status >= http.StatusInternalServerError):
		p.failed("address", err)
		return err
	default:
		p.found("version", "The shop does not tell its version.")
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
			p.failed("address", err)
			return err
		default: // it is this list that the shop fails on
			p.failed(what(r), err)
		}
	}
	p.found("address", "The shop's REST API answers.")
	if len(refusals) == len(all) {
		if f, ok := errors.AsType[*fault.Error](first); ok && p.client.keys.oauth != nil {
			f.Hint = hintNoRights
		}
		p.failed("key", first)
		return first
	}
	p.found("key", "The shop knows the token.")
	for _, r := range all {
		if refusals[r.resource] != nil {
			p.wrong("right", "The integration may not read "+r.what+".", "Tick "+r.resource+" under System → Integrations → (the integration) → API, save and reauthorise.")
			continue
		}
		p.found("right", "The integration reads "+what(r)+".")
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
		p.failed("store views", err)
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
	p.found("store views", "The shop has "+strings.Join(codes, ", ")+".")
	if len(p.config.Stores) > 0 {
		if _, err := p.storeIDs(ctx); err != nil {
			p.failed("stores", err)
		}
	}
	p.found("time zone", "The shop lives in "+p.Zone+".")
	p.found("currency", "Prices are in "+p.Currency+".")
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

func (p *prober) compareClocks() {
	if p.ShopTime.IsZero() {
		p.wrong("clock", "The shop's answers carry no Date.", "Let the proxy before the shop pass the Date header on.")
		return
	}
	skew := p.ShopTime.Sub(p.clock().UTC()).Truncate(time.Second)
	if skew > maxSkew || skew < -maxSkew {
		p.wrong("clock", fmt.Sprintf("The shop's clock is %s off this machine's.", skew), "Set both clocks by NTP.")
		return
	}
	p.found("clock", "The clocks agree.")
}
