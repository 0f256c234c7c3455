package wooshop

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// hooks is the queue of deliveries. WooCommerce runs it some time after the event, and builds each body only then.
type hooks struct {
	mu      sync.Mutex
	deliver func(http.Header, []byte)
	client  *http.Client // delivers to webhooks made through the API
	held    bool
	queue   []event
}

type event struct {
	topic string
	id    int64
}

// OnWebhook sets who gets the deliveries of webhooks that were made by hand for every topic, in the goroutine of whoever
// changes the shop; nil drops them. See SendWebhooks for those made through the API.
func (s *Shop) OnWebhook(deliver func(h http.Header, body []byte)) {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	s.hooks.deliver = deliver
}

// HoldWebhooks keeps deliveries in the queue until RunWebhooks, as a quiet shop does.
func (s *Shop) HoldWebhooks(hold bool) {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	s.hooks.held = hold
}

// fire queues events (an event that waits already is not queued twice) and runs the queue unless it is held.
func (s *Shop) fire(id int64, topics ...string) {
	s.hooks.mu.Lock()
	for _, t := range topics {
		s.hooks.add(event{t, id})
	}
	held := s.hooks.held
	s.hooks.mu.Unlock()
	if !held {
		s.RunWebhooks()
	}
}

func (q *hooks) add(e event) {
	if !slices.Contains(q.queue, e) {
		q.queue = append(q.queue, e)
	}
}

// RunWebhooks delivers what waits.
func (s *Shop) RunWebhooks() {
	s.hooks.mu.Lock()
	queue, deliver := s.hooks.queue, s.hooks.deliver
	s.hooks.queue = nil
	s.hooks.mu.Unlock()
	for _, e := range queue {
		body := s.hookBody(e)
		s.sendOwn(e, body)
		if deliver != nil && !strings.HasPrefix(e.topic, "action.") {
			deliver(s.hookHeader(e, body, hookID(e.topic), s.opts.WebhookSecret), body)
		}
	}
}

// Ping is what WooCommerce sends when a webhook is saved: a form without signature.
func (s *Shop) Ping() (http.Header, []byte) {
	h := http.Header{}
	h.Set("User-Agent", hookAgent)
	h.Set("Content-Type", "application/x-www-form-urlencoded")
	return h, []byte("webhook_id=2")
}

const hookAgent = "WooCommerce/9.9.5 Hookshot (WordPress/6.8.3)"

// hookBody shows the resource as it is now, or the error that a GET would give.
func (s *Shop) hookBody(e event) []byte {
	resource, what, _ := strings.Cut(e.topic, ".")
	if what == "deleted" {
		return phpJSON(struct {
			ID int64 `json:"id"`
		}{e.id})
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	c, ok := s.collections()[resource+"s"]
	if !ok {
		return phpJSON(map[string]any{"action": what, "arg": e.id})
	}
	r := c.table.get(e.id)
	if r == nil && resource == "product" {
		r = s.variations.get(e.id)
	}
	if r != nil {
		return r.raw
	}
	return errorBody(http.StatusNotFound, c.notFound, c.notFoundText).Body
}

func (s *Shop) hookHeader(e event, body []byte, id int, secret string) http.Header {
	resource, what, _ := strings.Cut(e.topic, ".")
	mac := hmac.New(sha256.New, []byte(html.UnescapeString(secret)))
	mac.Write(body)
	sum := sha256.Sum256([]byte(fmt.Sprint(id, s.now().Unix()))) // not unique within a second: neither is the real one
	h := http.Header{}
	for _, kv := range [][2]string{
		{"User-Agent", hookAgent},
		{"Accept", "*/*"},
		{"Content-Type", "application/json"},
		{"X-WC-Webhook-Source", home + "/"},
		{"X-WC-Webhook-Topic", e.topic},
		{"X-WC-Webhook-Resource", resource},
		{"X-WC-Webhook-Event", what},
		{"X-WC-Webhook-Signature", base64.StdEncoding.EncodeToString(mac.Sum(nil))},
		{"X-WC-Webhook-ID", strconv.Itoa(id)},
		{"X-WC-Webhook-Delivery-ID", hex.EncodeToString(sum[:16])},
	} {
		h.Set(kv[0], kv[1])
	}
	return h
}

// hookID numbers the webhooks: one per topic.
func hookID(topic string) int {
	for i, t := range []string{
		"customer.created", "customer.updated", "customer.deleted", "order.created", "order.updated", "order.deleted", "order.restored",
		"product.created", "product.updated", "product.deleted", "product.restored", "coupon.created", "coupon.updated", "coupon.deleted",
	} {
		if t == topic {
			return i + 2
		}
	}
	return 30
}
