package lifetest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
)

// toy is a shop as plain as can be: five tables, a list of what changed since, a list of ids, one record.
type toy struct {
	clock func() time.Time
	sins  sins // of its connector

	mu   sync.Mutex
	last int64
	rows map[crm.Ref]*toyRow
}

type toyRow struct {
	ID       int64     `json:"id"`
	Kind     crm.Kind  `json:"kind"`
	Text     string    `json:"text"`   // name, e-mail or state
	Amount   int64     `json:"amount"` // total, price or quantity
	Parent   int64     `json:"parent"` // customer, order or category
	Agrees   string    `json:"agrees"`
	Modified time.Time `json:"modified"`
}

// sins are mistakes of a connector that a life must bring to light.
type sins struct {
	missesEdits, keepsDeleted, wrongAmount, rejects, ignoresConsent, pretends bool
}

func newToy(clock func() time.Time, s sins) *toy {
	t := &toy{clock: clock, sins: s, rows: map[crm.Ref]*toyRow{}}
	for i := range 60 {
		t.create(toyKinds()[i%6], func(n int) int { return (i * 7) % n })
	}
	return t
}

func toyKinds() []crm.Kind {
	return []crm.Kind{crm.KindCategory, crm.KindProduct, crm.KindCustomer, crm.KindOrder, crm.KindRefund, crm.KindCart}
}

func (t *toy) create(kind crm.Kind, pick func(int) int) *toyRow {
	t.last++
	r := &toyRow{ID: t.last, Kind: kind}
	switch kind { //nolint:exhaustive // the others belong to nobody
	case crm.KindRefund:
		r.Parent = t.any(crm.KindOrder, pick)
	case crm.KindOrder, crm.KindCart:
		r.Parent = t.any(crm.KindCustomer, pick)
	}
	t.edit(r, pick)
	t.rows[crm.Ref{Kind: kind, ID: strconv.FormatInt(r.ID, 10)}] = r
	return r
}

func (t *toy) any(kind crm.Kind, pick func(int) int) int64 {
	var ids []int64
	for ref, r := range t.rows {
		if ref.Kind == kind {
			ids = append(ids, r.ID)
		}
	}
	if len(ids) == 0 {
		return 0
	}
	slices.Sort(ids)
	return ids[pick(len(ids))]
}

func (t *toy) edit(r *toyRow, pick func(int) int) {
	states := []string{crm.StatePending, crm.StateAccepted, crm.StateCompleted, crm.StateCancelled}
	r.Text = map[bool]string{true: states[pick(4)], false: fmt.Sprintf("name%d@example.org", pick(1000))}[r.Kind == crm.KindOrder]
	r.Amount, r.Agrees = int64(1+pick(5000)), []string{"", "yes", "no"}[pick(3)]
	r.Modified = t.clock()
}

func (t *toy) Act(pick func(int) int) (string, []crm.Ref) {
	t.mu.Lock()
	defer t.mu.Unlock()
	kind := toyKinds()[pick(6)]
	id := t.any(kind, pick)
	ref := crm.Ref{Kind: kind, ID: strconv.FormatInt(id, 10)}
	switch what := pick(10); {
	case id == 0 || what < 3:
		r := t.create(kind, pick)
		ref.ID = strconv.FormatInt(r.ID, 10)
		return "create " + string(kind) + " " + ref.ID, []crm.Ref{ref}
	case what < 5:
		delete(t.rows, ref)
		return "delete " + string(kind) + " " + ref.ID, []crm.Ref{ref}
	}
	t.edit(t.rows[ref], pick)
	return "edit " + string(kind) + " " + ref.ID, []crm.Ref{ref}
}

func (t *toy) Truth() map[crm.Ref]string {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := map[crm.Ref]string{}
	for ref, r := range t.rows {
		parent := ""
		if r.Parent > 0 {
			parent = strconv.FormatInt(r.Parent, 10)
		}
		switch ref.Kind { //nolint:exhaustive // toys have six kinds
		case crm.KindCustomer:
			out[ref] = CustomerText(r.Text, "First", "Last", r.Agrees)
		case crm.KindOrder:
			out[ref] = OrderText(r.Text, "EUR", r.Amount, parent, 1)
		case crm.KindRefund:
			out[ref] = RefundText(parent, "EUR", r.Amount)
		case crm.KindCart:
			out[ref] = CartText(parent, r.Text, r.Amount)
		case crm.KindProduct:
			out[ref] = ProductText(r.Text, r.Amount, r.Amount%2 == 0)
		case crm.KindCategory:
			out[ref] = CategoryText(r.Text, parent)
		}
	}
	return out
}

// ServeHTTP lists rows of a kind by id: after an id, changed since an instant, at most so many.
func (t *toy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	q := r.URL.Query()
	if row := t.rows[crm.Ref{Kind: crm.KindCustomer, ID: q.Get("id")}]; r.Method == http.MethodPut {
		if row == nil {
			http.Error(w, "there is no such customer", http.StatusNotFound)
			return
		}
		row.Agrees, row.Modified = "no", t.clock()
	}
	since, _ := time.Parse(time.RFC3339Nano, q.Get("since"))
	after, _ := strconv.ParseInt(q.Get("after"), 10, 64)
	limit, _ := strconv.Atoi(q.Get("limit"))
	var answer struct {
		Total int       `json:"total"`
		Rows  []*toyRow `json:"rows"`
	}
	for _, row := range slices.SortedFunc(maps.Values(t.rows), func(a, b *toyRow) int { return cmp.Compare(a.ID, b.ID) }) {
		if string(row.Kind) != q.Get("kind") || row.Modified.Before(since) {
			continue
		}
		answer.Total++
		if row.ID > after && len(answer.Rows) < limit && (q.Get("id") == "" || q.Get("id") == strconv.FormatInt(row.ID, 10)) {
			answer.Rows = append(answer.Rows, row)
		}
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (t *toy) Connect(address string, _ func() time.Time) (connectors.Source, error) {
	return &toySource{url: address, sins: t.sins, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}, nil
}

// toySource reads a toy.
type toySource struct {
	url    string
	sins   sins
	client *http.Client
}

type toyCursor struct {
	Since string `json:"since,omitempty"`
	Start string `json:"start,omitempty"`
	After int64  `json:"after,omitempty"`
}

func (s *toySource) Streams() []connectors.Stream {
	var out []connectors.Stream
	for _, k := range toyKinds() {
		mode, every := connectors.ModeDelta, time.Minute
		if k == crm.KindCategory {
			mode, every = connectors.ModeCrawl, time.Hour
		}
		out = append(out, connectors.Stream{Name: string(k), Mode: mode, Every: every, Kind: k})
	}
	for _, k := range toyKinds() {
		out = append(out, connectors.Stream{Name: string(k) + "_ids", Mode: connectors.ModeIDs, Every: 6 * time.Hour, Kind: k})
	}
	return append(out, connectors.Stream{Name: "consent", Mode: connectors.ModeCrawl, Every: time.Hour, Kind: crm.KindCustomer, Part: true})
}

func (s *toySource) stream(name string) connectors.Stream {
	for _, st := range s.Streams() {
		if st.Name == name {
			return st
		}
	}
	panic("no stream " + name)
}

type toyAnswer struct {
	Total int
	Rows  []toyRow
	at    time.Time
}

func (s *toySource) ask(ctx context.Context, q url.Values) (toyAnswer, error) {
	return s.send(ctx, http.MethodGet, q)
}

func (s *toySource) send(ctx context.Context, method string, q url.Values) (toyAnswer, error) {
	var a toyAnswer
	req, err := http.NewRequestWithContext(ctx, method, s.url+"/?"+q.Encode(), nil)
	if err != nil {
		return a, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return a, fault.New(fault.Retry, "asking a toy", err)
	}
	defer func() { _ = resp.Body.Close() }()
	a.at, _ = http.ParseTime(resp.Header.Get("Date"))
	if resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable {
		n, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return a, &fault.Error{Class: fault.Throttled, Op: "asking a toy", After: time.Duration(n) * time.Second, Err: errors.New("too many requests")}
	}
	if resp.StatusCode == http.StatusNotFound {
		return a, fault.New(fault.Reject, "asking a toy", errors.New("there is no such customer"))
	}
	if resp.StatusCode != http.StatusOK {
		return a, fault.New(fault.Retry, "asking a toy", errors.New(resp.Status))
	}
	body, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(body, &a)
	}
	if err != nil {
		return a, fault.New(fault.Retry, "asking a toy", err)
	}
	return a, nil
}

func (s *toySource) Pull(ctx context.Context, stream string, after connectors.Cursor, size int) (connectors.Page, error) {
	st := s.stream(stream)
	var c toyCursor
	_ = json.Unmarshal(after, &c)
	limit := min(size, 7)
	q := url.Values{"kind": {string(st.Kind)}, "after": {strconv.FormatInt(c.After, 10)}, "limit": {strconv.Itoa(limit)}}
	if st.Mode == connectors.ModeDelta && c.Since != "" {
		q.Set("since", c.Since)
	}
	a, err := s.ask(ctx, q)
	if err != nil {
		return connectors.Page{}, err
	}
	p := connectors.Page{Total: a.Total, ShopTime: a.at, More: len(a.Rows) == limit}
	if c.Start == "" {
		c.Start = a.at.Add(-time.Minute).Format(time.RFC3339Nano)
	}
	for _, r := range a.Rows {
		c.After = r.ID
		if st.Mode == connectors.ModeIDs {
			p.IDs = append(p.IDs, strconv.FormatInt(r.ID, 10))
			continue
		}
		s.add(&p, r, stream == "consent")
	}
	if !p.More {
		c = toyCursor{Since: c.Start}
		if s.sins.missesEdits {
			c.Since = "9999-01-01T00:00:00Z"
		}
	}
	p.Next, _ = json.Marshal(c)
	return p, nil
}

func (s *toySource) add(p *connectors.Page, r toyRow, consent bool) {
	ref := crm.Ref{Kind: r.Kind, ID: strconv.FormatInt(r.ID, 10)}
	parent := ""
	if r.Parent > 0 {
		parent = strconv.FormatInt(r.Parent, 10)
	}
	if s.sins.wrongAmount && r.Kind == crm.KindOrder {
		r.Amount /= 10
	}
	if s.sins.rejects && r.ID%17 == 0 {
		p.Rejected = append(p.Rejected, connectors.Rejected{Ref: ref, Reason: "a number that brings bad luck"})
		return
	}
	if consent {
		if !s.sins.ignoresConsent {
			p.Facts = append(p.Facts, crm.Fact{Ref: ref, Body: &crm.OptIn{Topic: "marketing", Channel: "email", Value: r.Agrees}})
		}
		return
	}
	raw, _ := json.Marshal(r)
	p.Raw = append(p.Raw, connectors.RawRecord{Ref: ref, Body: raw})
	p.Facts = append(p.Facts, crm.Fact{Ref: ref, Body: map[crm.Kind]crm.Body{
		crm.KindCustomer: &crm.Customer{Email: r.Text, FirstName: "First", LastName: "Last"},
		crm.KindOrder:    &crm.Order{State: r.Text, Currency: "EUR", Total: r.Amount, CustomerID: parent, Lines: []crm.Line{{ID: "1", Quantity: 1}}, PlacedAt: crm.At(r.Modified)},
		crm.KindRefund:   &crm.Refund{OrderID: parent, Currency: "EUR", Amount: r.Amount},
		crm.KindCart:     &crm.Cart{CustomerID: parent, Email: r.Text, Lines: []crm.Line{{ID: "1", Quantity: r.Amount}}, ActiveAt: crm.At(r.Modified)},
		crm.KindProduct:  &crm.Product{Name: r.Text, Price: r.Amount, InStock: r.Amount%2 == 0},
		crm.KindCategory: &crm.Category{Name: r.Text, ParentID: parent},
	}[r.Kind]})
}

func (s *toySource) Read(ctx context.Context, ref crm.Ref) (connectors.Page, error) {
	a, err := s.ask(ctx, url.Values{"kind": {string(ref.Kind)}, "id": {ref.ID}, "limit": {"1"}})
	if err != nil {
		return connectors.Page{}, err
	}
	p := connectors.Page{Total: -1, ShopTime: a.at}
	if len(a.Rows) == 0 {
		if s.sins.keepsDeleted {
			return p, nil
		}
		for _, body := range map[crm.Kind][]crm.Body{
			crm.KindCustomer: {&crm.Customer{}, &crm.OptIn{}}, crm.KindOrder: {&crm.Order{}}, crm.KindRefund: {&crm.Refund{}},
			crm.KindCart: {&crm.Cart{ClosedBy: "deleted"}}, crm.KindProduct: {&crm.Product{}}, crm.KindCategory: {&crm.Category{}},
		}[ref.Kind] {
			p.Facts = append(p.Facts, crm.Fact{Ref: ref, Gone: true, Body: body})
		}
		return p, nil
	}
	s.add(&p, a.Rows[0], false)
	return p, nil
}

func (s *toySource) Probe(ctx context.Context) (connectors.ProbeResult, error) {
	a, err := s.ask(ctx, url.Values{"kind": {"product"}, "limit": {"1"}})
	return connectors.ProbeResult{ShopTime: a.at, Zone: "Europe/Paris", Currency: "EUR"}, err
}

func (s *toySource) Acts() []string { return []string{connectors.TaskUnsubscribe} }

func (s *toySource) Perform(ctx context.Context, task connectors.Task) (connectors.Outcome, error) {
	if s.sins.pretends {
		return connectors.Outcome{Done: "said no"}, nil
	}
	_, err := s.send(ctx, http.MethodPut, url.Values{"kind": {"customer"}, "id": {task.Key}, "limit": {"1"}})
	return connectors.Outcome{Done: "said no", Reread: []crm.Ref{{Kind: crm.KindCustomer, ID: task.Key}}}, err
}

func (s *toySource) Count(ctx context.Context, stream string) (int, error) {
	a, err := s.ask(ctx, url.Values{"kind": {string(s.stream(stream).Kind)}, "limit": {"0"}})
	return a.Total, err
}
