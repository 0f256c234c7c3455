package woocommerce

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/probe"
	"github.com/relance/relance/internal/fault"
)

// prober collects findings.
type prober struct {
	*Source
	probe.Report
}

// Probe checks address, key, rights, version, currency and clock (connectors.Source). Its error repeats the finding that
// ended it: without an address or a key there is nothing more to look at.
func (s *Source) Probe(ctx context.Context) (connectors.ProbeResult, error) {
	p := &prober{Source: s}
	if err := p.index(ctx); err != nil {
		return p.ProbeResult, err
	}
	if err := p.orders(ctx); err != nil {
		return p.ProbeResult, err
	}
	p.customers(ctx)
	p.version(ctx)
	p.permission(ctx)
	p.webhooks(ctx)
	p.CompareClocks(p.clock())
	return p.ProbeResult, nil
}

// index is answered without a key.
func (p *prober) index(ctx context.Context) error {
	const op = "read the index of the API"
	a, err := p.client.look(ctx, op, "/wp-json/", url.Values{"_fields": {"name,home,gmt_offset,timezone_string,namespaces"}})
	if err != nil {
		p.Failed("address", err)
		return err
	}
	var w struct {
		Name       text       `json:"name"`
		Offset     text       `json:"gmt_offset"`
		Zone       text       `json:"timezone_string"`
		Namespaces list[text] `json:"namespaces"`
	}
	if err := p.client.Decode(op, a.Answer, &w); err != nil {
		p.Failed("address", err)
		return err
	}
	p.Name, p.Zone, p.ShopTime = string(w.Name), zone(string(w.Zone), string(w.Offset)), a.date()
	if !slices.Contains(w.Namespaces, "wc/v3") {
		err := &fault.Error{Class: fault.Operator, Op: "woocommerce: " + op, Err: errors.New("WordPress answers, WooCommerce does not"), Hint: hintRoute}
		p.Failed("address", err)
		return err
	}
	p.Found("address", fmt.Sprintf("The shop %q answers.", p.Name))
	p.Found("time zone", "The shop lives in "+p.Zone+".")
	return nil
}

// zone is the IANA name, or a fixed offset for shops that chose hours instead of a city.
func zone(name, offset string) string {
	if name != "" {
		return name
	}
	hours, err := strconv.ParseFloat(offset, 64)
	if err != nil {
		return "+00:00"
	}
	sign, minutes := "+", int(math.Round(hours*60))
	if minutes < 0 {
		sign, minutes = "-", -minutes
	}
	return fmt.Sprintf("%s%02d:%02d", sign, minutes/60, minutes%60)
}

func (p *prober) orders(ctx context.Context) error {
	a, err := p.client.get(ctx, "list orders", "orders", url.Values{"per_page": {"1"}, "status": {"any"}, "_fields": {"id"}})
	if err != nil {
		p.Failed("key", err)
		return err
	}
	p.Found("key", fmt.Sprintf("The key reads orders; the shop has %d.", max(a.total(), 0)))
	return nil
}

func (p *prober) customers(ctx context.Context) {
	const op = "list customers"
	a, err := p.client.get(ctx, op, "customers", url.Values{"per_page": {"1"}, "role": {"all"}})
	if err != nil {
		p.Failed("customers", err)
		return
	}
	ws, err := decodeList[struct {
		Meta json.RawMessage `json:"meta_data"`
	}](p.client, op, a)
	if err != nil {
		p.Failed("customers", err)
		return
	}
	if len(ws) > 0 && ws[0].Meta == nil {
		p.Wrong("customers", "The key belongs to a shop manager: customers come without their meta data, so opt-in flags, birthdays and attributes stay unknown.",
			"Create the key (and the webhooks) under an administrator.")
		return
	}
	p.Found("customers", fmt.Sprintf("The key reads customers with their meta data; the shop has %d accounts.", max(a.total(), 0)))
}

// version is only a courtesy: a key may work without the right to see it.
func (p *prober) version(ctx context.Context) {
	const op = "read system status"
	a, err := p.client.get(ctx, op, "system_status", url.Values{"_fields": {"environment.version,environment.wp_version,settings"}})
	var w struct {
		Environment struct {
			Version text `json:"version"`
			WP      text `json:"wp_version"`
		} `json:"environment"`
		Settings struct {
			Currency text `json:"currency"`
		} `json:"settings"`
	}
	if err == nil {
		err = p.client.Decode(op, a.Answer, &w)
	}
	if r, ok := errors.AsType[*refused](err); ok && r.status >= 400 && r.status < 500 && r.status != http.StatusTooManyRequests {
		p.Found("version", "The shop does not tell its version to this key.")
	} else if err != nil {
		p.Failed("version", err)
	} else {
		p.Version, p.Currency = string(w.Environment.Version), string(w.Settings.Currency)
		p.Found("version", fmt.Sprintf("WooCommerce %s on WordPress %s.", w.Environment.Version, w.Environment.WP))
	}
	if p.Currency == "" {
		if p.Currency, err = p.shopCurrency(ctx, true); err != nil {
			p.Failed("currency", err)
			return
		}
	}
	if p.Currency == "" {
		p.Found("currency", "The shop does not tell its currency to this key: prices of products stay unknown, orders carry their own.")
		return
	}
	p.Found("currency", "Prices are in "+p.Currency+".")
}

// permission finds out whether the key may write, where there is something to write: a change of what does not exist
// changes nothing and is refused before or after looking at the key.
func (p *prober) permission(ctx context.Context) {
	if len(p.Acts()) == 0 {
		return
	}
	_, err := p.client.write(ctx, "ask for the permission to write", http.MethodPut, "webhooks/0", struct{}{})
	if mayNot(err) {
		p.Found("permission", "The key may only read: whoever unsubscribes stays subscribed in the shop's own list, and webhooks are to be made by hand. Permission Read/Write lets Relance do both.")
		return
	}
	if r, ok := errors.AsType[*refused](err); ok && (r.status == http.StatusBadRequest || r.status == http.StatusNotFound) {
		p.Found("permission", "The key may write.")
	} // else it cannot be said; the tasks will tell
}

// webhooks says how many come here. None is no mistake: polling finds everything, and the daemon makes them.
func (p *prober) webhooks(ctx context.Context) {
	if p.hookURL == "" {
		return
	}
	all, err := p.listHooks(ctx)
	if err != nil {
		p.Found("webhooks", "The key may not see the shop's webhooks; polling finds everything, later.")
		return
	}
	k, here, off := hookKeeper{Source: p.Source}, 0, 0
	for _, topic := range topics() {
		if h, found := k.ours(topic, all); found {
			here++
			if h.Status != hookActive {
				off++
			}
		}
	}
	text := fmt.Sprintf("%d of %d webhooks come here", here, len(topics()))
	if off > 0 {
		text += fmt.Sprintf(", %d of them are switched off", off)
	}
	if here < len(topics()) || off > 0 {
		text += "; `relance run` sees to them"
	}
	p.Found("webhooks", text+".")
}
