// Package connectortest is the suite that every connector passes against a shop that answers as its platform does.
// A connector is read-only and stateless between calls: all the suite needs is a shop that can be changed meanwhile.
package connectortest

import (
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
)

// Case is one connector under test.
type Case struct {
	// New makes a fresh shop; the suite changes it.
	New func(t *testing.T) Shop
}

// Shop is a shop of the platform and the connector's way to it. Ids are the platform's.
type Shop struct {
	Handler  http.Handler
	Connect  func(url string) (connectors.Source, error) // with a good key
	WrongKey func(url string) (connectors.Source, error) // with a key that the shop refuses
	Secrets  []string                                    // must never be in an error

	Stream string   // a delta or crawl stream of Kind with at least 60 records
	Kind   crm.Kind // of the records that the suite counts

	IDs    func() []string               // what a whole run of Stream shows now
	Tick   func()                        // lets enough time pass that two runs do not overlap
	Touch  func(ids ...string) error     // changes records; all get the same date
	Create func() (id string, err error) // a new record, which enters Stream
	Remove func(id string) error         // the record leaves Stream's set
	Delete func(id string) error         // the record is gone for good
	Spoil  func(id string) error         // the record can no longer be understood

	// What follows is optional.

	Silent func() (crm.Ref, error)  // changes a record so that no date moves and no webhook fires
	Tasks  func() []connectors.Task // acts that a good key may perform, for a connectors.Actor

	Zone     string                // IANA name of the zone that the shop lives in
	Now      func() time.Time      // the clock that the shop and the connector live by
	SetClock func(at time.Time)    // sets it; only forwards
	Skew     func(d time.Duration) // sets the shop's clock apart from the connector's
}

// Run runs the suite.
func Run(t *testing.T, c Case) {
	t.Helper()
	for _, sub := range []struct {
		name string
		run  func(*testing.T, *harness)
	}{
		{"streams are declared", streamsDeclared},
		{"a run shows everything", runShowsEverything},
		{"id streams are complete", idStreams},
		{"a count equals a run", countEqualsRun},
		{"resume after every page", resumeAfterEveryPage},
		{"page size changes", pageSizeChanges},
		{"equal timestamps across a page edge", equalTimestamps},
		{"a record is updated during the walk", updatedDuringWalk},
		{"records leave the set during the walk", leavingDuringWalk},
		{"records leave while others enter", leavingWhileEntering},
		{"a single read equals the page", readEqualsPage},
		{"a deleted record is gone", deletedIsGone},
		{"one bad record is rejected alone", badRecord},
		{"429 with Retry-After", throttled},
		{"wrong key", wrongKey},
		{"500 then 200", serverError},
		{"truncated answer", truncated},
		{"web page instead of data", webPage},
		{"redirect", redirect},
		{"cancel in the middle of a body", cancelled},
		{"a shop that does not answer", timedOut},
		{"pages past the end", pastTheEnd},
		{"every kind is the same when read alone", everyKindReadAlone},
		{"normalising a body again equals the page", normaliseEqualsPull},
		{"a silent change is seen", silentChange},
		{"clocks change", clockChanges},
		{"clocks are apart", clockSkew},
		{"an act that was done changes nothing", actorIsIdempotent},
		{"secrets stay here", secretsStay},
	} {
		t.Run(sub.name, func(t *testing.T) { sub.run(t, newHarness(t, c.New(t))) })
	}
}

// harness stands between the connector and the shop.
type harness struct {
	Shop
	url string

	mu   sync.Mutex
	hook func(w http.ResponseWriter, r *http.Request) bool // true: answered
}

func newHarness(t *testing.T, s Shop) *harness {
	t.Helper()
	h := &harness{Shop: s}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		hook := h.hook
		h.mu.Unlock()
		if hook == nil || !hook(w, r) {
			s.Handler.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(srv.Close)
	h.url = srv.URL
	return h
}

// meddle sets what answers instead of the shop; nil ends it.
func (h *harness) meddle(hook func(w http.ResponseWriter, r *http.Request) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hook = hook
}

// countWrites counts requests that are no reads from now on.
func (h *harness) countWrites() func() int {
	var mu sync.Mutex
	n := 0
	h.meddle(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			mu.Lock()
			defer mu.Unlock()
			n++
		}
		return false
	})
	return func() int {
		mu.Lock()
		defer mu.Unlock()
		return n
	}
}

func (h *harness) source(t *testing.T) connectors.Source {
	t.Helper()
	src, err := h.Connect(h.url)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	return src
}

// pull is one Pull whose error is checked for secrets.
func (h *harness) pull(t *testing.T, src connectors.Source, stream string, at connectors.Cursor, size int) (connectors.Page, error) {
	t.Helper()
	p, err := src.Pull(t.Context(), stream, at, size)
	h.checkError(t, err)
	return p, err
}

func (h *harness) checkError(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if _, ok := errors.AsType[*fault.Error](err); !ok {
		t.Errorf("error without a class: %v", err)
	}
	for _, s := range h.Secrets {
		if strings.Contains(err.Error(), s) {
			t.Errorf("error holds a secret: %v", err)
		}
	}
	if strings.Contains(err.Error(), "?") || strings.Contains(err.Error(), "http://") {
		t.Errorf("error holds an address with its query: %v", err)
	}
}

// walk pulls a stream to the end of a run. between is called after each page with its number from 1.
func (h *harness) walk(t *testing.T, src connectors.Source, stream string, at connectors.Cursor, size int, between func(n int, p connectors.Page)) (map[string]bool, connectors.Cursor) {
	t.Helper()
	seen := map[string]bool{}
	limit := 20 + 4*len(h.IDs()) // every page must bring the walk on
	for n := 1; ; n++ {
		p, err := h.pull(t, src, stream, at, size)
		if err != nil {
			t.Fatalf("pull %s, page %d: %v", stream, n, err)
		}
		maps.Copy(seen, h.idsOf(p))
		at = p.Next
		if len(at) == 0 {
			t.Fatalf("page %d has no cursor to go on from", n)
		}
		if between != nil {
			between(n, p)
		}
		if !p.More {
			return seen, at
		}
		if n > limit {
			t.Fatalf("the run does not end: %d pages", n)
		}
	}
}

// idsOf is what a page shows of the counted kind.
func (h *harness) idsOf(p connectors.Page) map[string]bool {
	out := map[string]bool{}
	for _, f := range p.Facts {
		if f.Ref.Kind == h.Kind && !f.Gone {
			out[f.Ref.ID] = true
		}
	}
	for _, r := range p.Rejected {
		out[r.Ref.ID] = true
	}
	for _, id := range p.IDs {
		out[id] = true
	}
	return out
}

func wantAll(t *testing.T, seen map[string]bool, want []string) {
	t.Helper()
	var missing []string
	for _, id := range want {
		if !seen[id] {
			missing = append(missing, id)
		}
	}
	if len(missing) > 0 {
		t.Errorf("%d of %d records were skipped: %v", len(missing), len(want), missing)
	}
}

func wantExactly(t *testing.T, seen map[string]bool, want []string) {
	t.Helper()
	wantAll(t, seen, want)
	for id := range seen {
		if !slices.Contains(want, id) {
			t.Errorf("record %s is not the stream's", id)
		}
	}
}

func wantClass(t *testing.T, err error, class fault.Class) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want %s", class)
	}
	if got := fault.ClassOf(err); got != class {
		t.Errorf("class %s, want %s: %v", got, class, err)
	}
	if class == fault.Operator && fault.HintOf(err) == "" {
		t.Errorf("the error does not say what to do: %v", err)
	}
}
