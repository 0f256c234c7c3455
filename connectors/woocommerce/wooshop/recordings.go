package wooshop

import (
	"compress/gzip"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

//go:embed recorded
var recorded embed.FS

// RecordedAt is when the recorded shop was read: a Clock that starts here continues its life.
func RecordedAt() time.Time { return time.Date(2026, 11, 22, 3, 42, 22, 0, time.UTC) }

// Delivery is a recorded webhook delivery. Secret is "" for an unsigned ping.
type Delivery struct {
	Name   string
	Note   string
	Secret string
	Header http.Header
	Body   []byte
}

// Refusal is a recorded answer that is no 200 with JSON.
type Refusal struct {
	Name, Method, Path string
	Status             int
	Header             http.Header
	Body               string
}

// Expectation is what the shop's database held when it was recorded.
type Expectation struct {
	OrdersByStatus      map[string]int    `json:"orders_by_status"` // with WooCommerce's internal prefix "wc-"
	OrderIDs            []int64           `json:"order_ids"`        // without the bin
	OrdersByCurrency    map[string]int    `json:"orders_by_currency"`
	GrossOfPaidOrders   map[string]string `json:"gross_of_paid_orders"`
	GuestOrders         int               `json:"guest_orders"`
	OrdersWithoutEmail  int               `json:"orders_without_email"`
	Refunds             int               `json:"refunds"`
	RefundedAmount      string            `json:"refunded_amount"`
	DistinctEmails      int               `json:"distinct_emails_case_insensitive"`
	DistinctEmailsTyped int               `json:"distinct_emails_as_written"`
	UsersByRole         map[string]int    `json:"users_by_role"` // an account with two roles is counted twice
	Users               int               `json:"users"`
	ProductsByStatus    map[string]int    `json:"products_by_status"`
	Variations          int               `json:"variations"`
	Timezone            string            `json:"timezone"`
	WooCommerce         string            `json:"woocommerce"`
}

// Expected gives the counts to compare a crawl with.
func Expected() (Expectation, error) {
	var e Expectation
	return e, readJSON("expected.json", &e)
}

// Deliveries gives every recorded webhook in order of arrival.
func Deliveries() ([]Delivery, error) {
	var ws []struct {
		Name, Note string
		Secret     string
		Headers    [][2]string
		Body       []byte
	}
	if err := readJSON("webhooks.json.gz", &ws); err != nil {
		return nil, err
	}
	out := make([]Delivery, len(ws))
	for i, w := range ws {
		out[i] = Delivery{Name: w.Name, Note: w.Note, Secret: w.Secret, Header: header(w.Headers), Body: w.Body}
	}
	return out, nil
}

// Refusals gives every recorded refusal.
func Refusals() ([]Refusal, error) {
	var ws []struct {
		Name, Method, Path string
		Status             int
		Headers            [][2]string
		Body               string
	}
	if err := readJSON("refusals.json.gz", &ws); err != nil {
		return nil, err
	}
	out := make([]Refusal, len(ws))
	for i, w := range ws {
		out[i] = Refusal{Name: w.Name, Method: w.Method, Path: w.Path, Status: w.Status, Header: header(w.Headers), Body: w.Body}
	}
	return out, nil
}

func header(pairs [][2]string) http.Header {
	h := http.Header{}
	for _, p := range pairs {
		h.Add(p[0], p[1])
	}
	return h
}

func readFile(name string) ([]byte, error) {
	f, err := recorded.Open("recorded/" + name)
	if err != nil {
		return nil, fmt.Errorf("opening recording: %w", err)
	}
	defer func() { _ = f.Close() }() // part of the binary
	var r io.Reader = f
	if strings.HasSuffix(name, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			return nil, fmt.Errorf("unpacking recording %s: %w", name, err)
		}
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("unpacking recording %s: %w", name, err)
	}
	return b, nil
}

func readJSON(name string, v any) error {
	b, err := readFile(name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("reading recording %s: %w", name, err)
	}
	return nil
}
