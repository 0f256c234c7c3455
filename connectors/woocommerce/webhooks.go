package woocommerce

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/relance/relance/connectors"
)

// topics are what Relance wants to hear of. A deletion for good has no topic of its own, so the action behind it is
// subscribed to.
func topics() []string {
	return []string{
		"order.created", "order.updated", "order.deleted", "order.restored", "action.woocommerce_delete_order",
		"customer.created", "customer.updated", "customer.deleted",
		"product.created", "product.updated", "product.deleted", "product.restored",
	}
}

const (
	hookActive   = "active"
	hookDisabled = "disabled" // by WooCommerce after seven failures, or by hand
	hookPaused   = "paused"   // by hand
	hookName     = "Relance"
)

type wireHook struct {
	ID     ident `json:"id"`
	Name   text  `json:"name"`
	Status text  `json:"status"`
	Topic  text  `json:"topic"`
	URL    text  `json:"delivery_url"`
}

// hookWrite is what is sent to make or change a webhook; what is "" stays.
type hookWrite struct {
	Name   string `json:"name,omitempty"`
	Topic  string `json:"topic,omitempty"`
	URL    string `json:"delivery_url,omitempty"`
	Secret string `json:"secret,omitempty"`
	Status string `json:"status,omitempty"`
}

// hookKeeper brings a shop's webhooks into order and notes what it did.
type hookKeeper struct {
	*Source
	created, repaired, enabled int
	byHand                     []string // what the key may not do
	paused                     []string // topics
}

// keepHooks looks at the shop's webhooks and changes what differs (connectors.TaskHooks).
func (s *Source) keepHooks(ctx context.Context) (connectors.Outcome, error) {
	if s.secret == "" {
		return connectors.Outcome{Mend: "Put a webhook_secret, a long random word, into the shop's file: without one nobody can tell the shop's webhooks from forged ones."}, nil
	}
	all, err := s.listHooks(ctx)
	if mayNot(err) {
		return connectors.Outcome{Mend: "The key may not see the shop's webhooks: create it under an administrator. " + s.handmade(topics())}, nil
	}
	if err != nil {
		return connectors.Outcome{}, err
	}
	k := hookKeeper{Source: s}
	for _, topic := range topics() {
		if err := k.keep(ctx, topic, all); err != nil {
			return connectors.Outcome{}, err
		}
	}
	return k.outcome(), nil
}

func (s *Source) listHooks(ctx context.Context) ([]wireHook, error) {
	const op = "list webhooks"
	var out []wireHook
	seen := map[ident]bool{}
	for page := 1; ; page++ {
		a, err := s.client.get(ctx, op, "webhooks", url.Values{
			"orderby": {"id"}, "order": {"asc"}, "per_page": {strconv.Itoa(maxPage)}, "page": {strconv.Itoa(page)},
		})
		if err != nil {
			return nil, err
		}
		all, err := decodeList[wireHook](s.client, op, a)
		if err != nil {
			return nil, err
		}
		before := len(out)
		for _, h := range all {
			if !seen[h.ID] {
				seen[h.ID] = true
				out = append(out, h)
			}
		}
		if len(all) < maxPage || len(out) == before {
			return out, nil
		}
	}
}

// keep sees to one topic.
func (k *hookKeeper) keep(ctx context.Context, topic string, all []wireHook) error {
	h, found := k.ours(topic, all)
	if !found {
		ok, err := k.send(ctx, "create a webhook", http.MethodPost, "webhooks", hookWrite{
			Name: k.nameOf(topic), Topic: topic, URL: k.hookURL, Secret: k.secret, Status: hookActive,
		}, topic)
		if ok {
			k.created++
		}
		return err
	}
	var change hookWrite
	if string(h.URL) != k.hookURL {
		change.URL = k.hookURL
	}
	// The shop never shows a secret, so the name says which one was given. A webhook made by hand has whatever its maker
	// gave it: it is taken over when it was disabled, which a wrong secret leads to.
	byUs := strings.HasPrefix(string(h.Name), hookName+" ")
	if string(h.Name) != k.nameOf(topic) && (byUs || h.Status == hookDisabled) {
		change.Name, change.Secret = k.nameOf(topic), k.secret
	}
	repairs := change != (hookWrite{})
	switch h.Status {
	case hookPaused:
		k.paused = append(k.paused, topic)
	case hookDisabled:
		change.Status = hookActive
	}
	if change == (hookWrite{}) {
		return nil
	}
	ok, err := k.send(ctx, "repair a webhook", http.MethodPut, "webhooks/"+string(h.ID), change, topic)
	switch {
	case ok && change.Status != "":
		k.enabled++
	case ok && repairs:
		k.repaired++
	}
	return err
}

// ours finds the webhook of a topic that comes here, or that came here before the address changed: it bears our name
// with this shop's secret and leads to the same path. An active one is preferred.
func (k *hookKeeper) ours(topic string, all []wireHook) (best wireHook, found bool) {
	for _, h := range all {
		if string(h.Topic) != topic {
			continue
		}
		here := string(h.URL) == k.hookURL
		moved := string(h.Name) == k.nameOf(topic) && pathOf(string(h.URL)) == pathOf(k.hookURL)
		if !here && !moved {
			continue
		}
		better := here && string(best.URL) != k.hookURL || h.Status == hookActive && best.Status != hookActive && here == (string(best.URL) == k.hookURL)
		if !found || better {
			best, found = h, true
		}
	}
	return best, found
}

func pathOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	return u.Path
}

// nameOf names a webhook so that a secret that changed can be seen. The mark does not give the secret away.
func (k *hookKeeper) nameOf(topic string) string {
	mac := hmac.New(sha256.New, []byte(k.secret))
	mac.Write([]byte("relance webhook name"))
	return hookName + " " + topic + " " + hex.EncodeToString(mac.Sum(nil)[:3])
}

// send writes; false without an error when the shop does not let us, which is noted, or knows no such topic.
func (k *hookKeeper) send(ctx context.Context, op, method, path string, v hookWrite, topic string) (bool, error) {
	_, err := k.client.write(ctx, op, method, path, v)
	r, refused := errors.AsType[*refused](err)
	switch {
	case err == nil:
		return true, nil
	case mayNot(err):
		k.byHand = append(k.byHand, topic)
		return false, nil
	case refused && r.code == "woocommerce_rest_shop_webhook_invalid_topic":
		return false, nil // older than the topic; polling finds what it would have told
	}
	return false, err
}

func (k *hookKeeper) outcome() connectors.Outcome {
	var did, mend []string
	for _, d := range []struct {
		n    int
		what string
	}{{k.created, "created"}, {k.repaired, "repaired"}, {k.enabled, "enabled again"}} {
		if d.n > 0 {
			did = append(did, plural(d.n, "webhook")+" "+d.what)
		}
	}
	out := connectors.Outcome{Done: strings.Join(did, ", ")}
	if len(did) == 0 && len(k.byHand) == 0 {
		out.Done = "all " + plural(len(topics()), "webhook") + " are in place"
	}
	if len(k.byHand) > 0 {
		mend = append(mend, "The key may not manage webhooks: give it the permission Read/Write (WooCommerce → Settings → Advanced → REST API). "+k.handmade(k.byHand))
	}
	if len(k.paused) > 0 {
		mend = append(mend, "Webhooks are paused in the shop: set "+strings.Join(k.paused, ", ")+" to Active (WooCommerce → Settings → Advanced → Webhooks).")
	}
	if why := k.undeliverable(); why != "" {
		mend = append(mend, why)
	}
	out.Mend = strings.Join(mend, " ")
	return out
}

func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprint(n, " ", what)
}

// handmade says how to make webhooks by hand.
func (s *Source) handmade(of []string) string {
	return "Or create them by hand under WooCommerce → Settings → Advanced → Webhooks: topics " + strings.Join(of, ", ") +
		"; delivery URL " + s.hookURL + "; secret as webhook_secret in the shop's file; status Active; API version WP REST API v3."
}

// undeliverable says why WordPress would not even try: it delivers to public addresses at ports 80, 443 and 8080 only,
// or to its own host.
func (s *Source) undeliverable() string {
	to, err := url.Parse(s.hookURL)
	own, err2 := url.Parse(s.client.base)
	if err != nil || err2 != nil || strings.EqualFold(to.Hostname(), own.Hostname()) {
		return ""
	}
	if p := to.Port(); p != "" && p != "80" && p != "443" && p != "8080" {
		return "WordPress delivers webhooks to the ports 80, 443 and 8080 only: publish Relance on one of them (public_url)."
	}
	ip, err := netip.ParseAddr(to.Hostname())
	if to.Hostname() == "localhost" || err == nil && (ip.IsLoopback() || ip.IsPrivate() || net.IP(ip.AsSlice()).IsUnspecified()) {
		return "WordPress delivers webhooks to public addresses only: give public_url an address that the shop reaches over the internet."
	}
	return ""
}
