package wooshop

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// failuresBorne is how many failures in a row a webhook survives.
const failuresBorne = 6

// ownHook is what REST does not show of a webhook.
type ownHook struct {
	secret   string
	failures int
	pinged   bool // some ping got exactly 200
}

// Hook is a webhook for tests to look at.
type Hook struct {
	ID                               int64
	Name, Topic, URL, Status, Secret string
	Failures                         int
}

type hookJSON struct {
	ID       int64           `json:"id"`
	Name     string          `json:"name"`
	Status   string          `json:"status"`
	Topic    string          `json:"topic"`
	Resource string          `json:"resource"`
	Event    string          `json:"event"`
	Hooks    []string        `json:"hooks"`
	URL      string          `json:"delivery_url"`
	Created  string          `json:"date_created"`
	CreatedG string          `json:"date_created_gmt"`
	Changed  *string         `json:"date_modified"`
	ChangedG *string         `json:"date_modified_gmt"`
	Links    json.RawMessage `json:"_links"`
}

// SendWebhooks lets the webhooks that were made through the API be delivered with client, in the goroutine of whoever
// changes the shop; nil (as at first) delivers none, as a shop whose WP-Cron is off. Unlike WordPress it delivers to
// loopback and to any port.
func (s *Shop) SendWebhooks(client *http.Client) {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	s.hooks.client = client
}

// Hooks lists the webhooks that were made through the API.
func (s *Shop) Hooks() []Hook {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]Hook, 0, len(s.webhooks.rows))
	for _, r := range s.webhooks.rows {
		var w hookJSON
		if json.Unmarshal(r.raw, &w) == nil {
			own := s.secrets[r.id]
			out = append(out, Hook{ID: r.id, Name: w.Name, Topic: w.Topic, URL: w.URL, Status: w.Status, Secret: own.secret, Failures: own.failures})
		}
	}
	return out
}

// SetHook changes fields of a webhook as its owner does in the shop's own pages: "status", "delivery_url", "secret"….
func (s *Shop) SetHook(id int64, fields map[string]string) error {
	raw := map[string]json.RawMessage{}
	for name, v := range fields {
		raw[name] = phpJSON(v)
	}
	if a := s.changeHook(id, raw); a.Status != http.StatusOK {
		return fmt.Errorf("wooshop: webhook %d: %s", id, a.Body)
	}
	return nil
}

func (s *Shop) createHook(fields map[string]json.RawMessage) reply {
	topic, address := scalarOf(fields["topic"]), scalarOf(fields["delivery_url"])
	if !validTopic(topic) {
		return errorBody(http.StatusBadRequest, "woocommerce_rest_shop_webhook_invalid_topic", "Webhook topic is required and must be valid.")
	}
	if !validAddress(address) {
		return badAddress()
	}
	s.mu.Lock()
	id := s.nextHook
	s.nextHook++
	now := s.now()
	w := hookJSON{
		ID: id, Name: "Webhook created on " + now.Format("Jan 02, 2006 @ 03:04 PM"), Status: "active", Topic: topic, URL: address,
		Created: now.In(s.zone).Format(wireTime), CreatedG: now.Format(wireTime), Hooks: []string{},
		Links: phpJSON(map[string]any{"self": []map[string]string{{"href": fmt.Sprintf("%s/wp-json/wc/v3/webhooks/%d", home, id)}}}),
	}
	w.Resource, w.Event, _ = strings.Cut(topic, ".")
	if n := fields["name"]; n != nil {
		w.Name = scalarOf(n)
	}
	if st := fields["status"]; st != nil {
		w.Status = scalarOf(st)
	}
	secret := rand.Text()
	if v := fields["secret"]; v != nil {
		secret = cmp.Or(scalarOf(v), secret)
	}
	raw := phpJSON(w)
	s.webhooks.put(&record{id: id, raw: raw, name: w.Name, status: w.Status, created: w.CreatedG})
	s.secrets[id] = &ownHook{secret: secret}
	s.mu.Unlock()
	s.ping(id, address)
	return reply{Status: http.StatusCreated, Header: http.Header{}, Body: raw}
}

func (s *Shop) changeHook(id int64, fields map[string]json.RawMessage) reply {
	s.mu.Lock()
	r := s.webhooks.get(id)
	var w hookJSON
	if r == nil || json.Unmarshal(r.raw, &w) != nil {
		s.mu.Unlock()
		return errorBody(http.StatusBadRequest, "woocommerce_rest_shop_webhook_invalid_id", "Invalid ID.")
	}
	own, address := s.secrets[id], w.URL
	for name, to := range map[string]*string{"name": &w.Name, "status": &w.Status, "delivery_url": &w.URL, "secret": &own.secret} {
		if v, ok := fields[name]; ok {
			*to = scalarOf(v)
		}
	}
	if !validAddress(w.URL) || !slices.Contains([]string{"active", "paused", "disabled"}, w.Status) {
		s.mu.Unlock()
		return badAddress()
	}
	local, gmt := s.now().In(s.zone).Format(wireTime), s.now().Format(wireTime)
	w.Changed, w.ChangedG = &local, &gmt
	raw := phpJSON(w)
	s.webhooks.put(&record{id: id, raw: raw, name: w.Name, status: w.Status, created: w.CreatedG})
	again := !own.pinged || w.URL != address
	s.mu.Unlock()
	if again {
		s.ping(id, w.URL)
	}
	return reply{Status: http.StatusOK, Header: http.Header{}, Body: raw}
}

func (s *Shop) deleteHook(id int64, force bool) reply {
	if !force {
		return errorBody(http.StatusNotImplemented, "woocommerce_rest_trash_not_supported", "Webhooks do not support trashing.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.webhooks.get(id)
	if r == nil {
		return errorBody(http.StatusNotFound, "woocommerce_rest_shop_webhook_invalid_id", "Invalid ID.")
	}
	s.webhooks.remove(id)
	delete(s.secrets, id)
	return reply{Status: http.StatusOK, Header: http.Header{}, Body: r.raw}
}

func validTopic(topic string) bool {
	resource, event, _ := strings.Cut(topic, ".")
	switch resource {
	case "action":
		return strings.HasPrefix(event, "woocommerce_") || strings.HasPrefix(event, "wc_")
	case "coupon", "customer", "order", "product":
		return slices.Contains([]string{"created", "updated", "deleted", "restored"}, event)
	}
	return false
}

func validAddress(u string) bool {
	return strings.HasPrefix(u, "http://") || strings.HasPrefix(u, "https://")
}

func badAddress() reply {
	return errorBody(http.StatusBadRequest, "woocommerce_rest_shop_webhook_invalid_delivery_url", "Webhook delivery URL must be a valid URL starting with http:// or https://.")
}

// ping is sent when a webhook is saved, until one got exactly 200.
func (s *Shop) ping(id int64, address string) {
	h, _ := s.Ping()
	if status := s.post(address, h, []byte("webhook_id="+strconv.FormatInt(id, 10))); status == http.StatusOK {
		s.mu.Lock()
		defer s.mu.Unlock()
		if own := s.secrets[id]; own != nil {
			own.pinged = true
		}
	}
}

// post gives the status of a delivery, 0 when there was no answer or nothing is delivered.
func (s *Shop) post(address string, h http.Header, body []byte) int {
	s.hooks.mu.Lock()
	client := s.hooks.client
	s.hooks.mu.Unlock()
	if client == nil {
		return 0
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return 0
	}
	r.Header = h
	resp, err := client.Do(r) //nolint:gosec // a shop posts to where it is told; this one lives in tests and on loopback
	if err != nil {
		return 0
	}
	_ = resp.Body.Close() // WooCommerce keeps a log of it that nobody reads
	return resp.StatusCode
}

// sendOwn delivers an event to the active webhooks of its topic, and disables those that fail too often.
func (s *Shop) sendOwn(e event, body []byte) {
	s.hooks.mu.Lock()
	silent := s.hooks.client == nil
	s.hooks.mu.Unlock()
	if silent {
		return
	}
	for _, h := range s.Hooks() {
		if h.Topic != e.topic || h.Status != "active" {
			continue
		}
		header := s.hookHeader(e, body, int(h.ID), h.Secret)
		status := s.post(h.URL, header, body)
		s.delivered(h.ID, status >= http.StatusOK && status <= http.StatusFound)
	}
}

func (s *Shop) delivered(id int64, well bool) {
	s.mu.Lock()
	own := s.secrets[id]
	if own == nil {
		s.mu.Unlock()
		return
	}
	own.failures++
	if well {
		own.failures = 0
	}
	disable := own.failures > failuresBorne
	s.mu.Unlock()
	if disable {
		_ = s.SetHook(id, map[string]string{"status": "disabled"}) // it may have been deleted meanwhile
	}
}
