package connectortest

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
)

func streamsDeclared(t *testing.T, h *harness) {
	src := h.source(t)
	names := map[string]bool{}
	for _, s := range src.Streams() {
		if names[s.Name] {
			t.Errorf("stream %s is declared twice", s.Name)
		}
		names[s.Name] = true
		if s.Every <= 0 || s.Kind == "" || s.Mode == "" {
			t.Errorf("stream %s lacks Every, Kind or Mode: %+v", s.Name, s)
		}
	}
	if d := cmp.Diff(src.Streams(), src.Streams()); d != "" {
		t.Errorf("the list of streams changes: %s", d)
	}
	if !names[h.Stream] {
		t.Fatalf("there is no stream %s", h.Stream)
	}
}

func runShowsEverything(t *testing.T, h *harness) {
	seen, at := h.walk(t, h.source(t), h.Stream, nil, 100, func(n int, p connectors.Page) {
		if n == 1 && p.Total != len(h.IDs()) {
			t.Errorf("total %d, want %d", p.Total, len(h.IDs()))
		}
		if p.ShopTime.IsZero() {
			t.Error("the page does not tell the shop's time")
		}
		if len(p.Raw) == 0 && len(p.Facts) > 0 {
			t.Error("the page does not hold the bodies behind its facts")
		}
	})
	wantExactly(t, seen, h.IDs())
	h.Tick()
	_, at = h.walk(t, h.source(t), h.Stream, at, 100, nil) // may repeat what the overlap covers
	h.Tick()
	ids := h.IDs()
	if err := h.Touch(ids[0]); err != nil {
		t.Fatal(err)
	}
	seen, _ = h.walk(t, h.source(t), h.Stream, at, 100, nil)
	wantAll(t, seen, ids[:1]) // an old record that was edited is seen by the next run
}

func idStreams(t *testing.T, h *harness) {
	src := h.source(t)
	for _, s := range src.Streams() {
		if s.Mode != connectors.ModeIDs || s.Kind != h.Kind {
			continue
		}
		var facts int
		seen, at := h.walk(t, src, s.Name, nil, 50, func(_ int, p connectors.Page) { facts += len(p.Facts) })
		wantAll(t, seen, h.IDs())
		if facts > 0 {
			t.Errorf("stream %s gives facts", s.Name)
		}
		again, _ := h.walk(t, src, s.Name, at, 7, nil)
		if d := cmp.Diff(seen, again); d != "" {
			t.Errorf("a second run of %s is not complete: %s", s.Name, d)
		}
	}
}

// countEqualsRun holds for connectors that are a connectors.Counter: the number is that of a whole run, at any time.
func countEqualsRun(t *testing.T, h *harness) {
	src := h.source(t)
	counter, ok := src.(connectors.Counter)
	if !ok {
		return
	}
	same := func(when string) {
		t.Helper()
		n, err := counter.Count(t.Context(), h.Stream)
		if h.checkError(t, err); err != nil || n != len(h.IDs()) {
			t.Errorf("%s: %d counted of %d, %v", when, n, len(h.IDs()), err)
		}
		for _, s := range src.Streams() {
			if s.Mode != connectors.ModeIDs {
				continue
			}
			seen, _ := h.walk(t, src, s.Name, nil, 100, nil)
			if n, err := counter.Count(t.Context(), s.Name); err != nil || n != len(seen) {
				t.Errorf("%s: %d counted in %s, %d listed, %v", when, n, s.Name, len(seen), err)
			}
		}
	}
	same("at first")
	if _, err := h.Create(); err != nil {
		t.Fatal(err)
	}
	same("one more")
	ids := h.IDs()
	if err := errors.Join(h.Remove(ids[0]), h.Delete(ids[1])); err != nil {
		t.Fatal(err)
	}
	same("two fewer")
	if _, err := counter.Count(t.Context(), "no such stream"); err == nil {
		t.Error("a stream that does not exist is counted")
	}
	wrong, err := h.WrongKey(h.url)
	if err != nil {
		t.Fatal(err)
	}
	if counter, ok := wrong.(connectors.Counter); ok {
		_, err := counter.Count(t.Context(), h.Stream)
		h.checkError(t, err)
		wantClass(t, err, fault.Operator)
	}
}

// resumeAfterEveryPage is a process that dies after every page: before it stored the cursor, and after.
func resumeAfterEveryPage(t *testing.T, h *harness) {
	seen := map[string]bool{}
	var at connectors.Cursor
	for n := 0; ; n++ {
		lost, err := h.pull(t, h.source(t), h.Stream, slices.Clone(at), 20)
		if err != nil {
			t.Fatal(err)
		}
		p, err := h.pull(t, h.source(t), h.Stream, slices.Clone(at), 20)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(h.idsOf(lost), h.idsOf(p)); d != "" {
			t.Errorf("the same cursor shows another page: %s", d)
		}
		for id := range h.idsOf(p) {
			seen[id] = true
		}
		if at = p.Next; !p.More {
			break
		}
		if n > len(h.IDs()) {
			t.Fatal("the run does not end")
		}
	}
	wantExactly(t, seen, h.IDs())
}

func pageSizeChanges(t *testing.T, h *harness) {
	for _, sizes := range [][]int{{100, 1, 50, 3}, {7, 13, 29, 100}, {2, 99, 10}, {1}} {
		seen, at, src := map[string]bool{}, connectors.Cursor(nil), h.source(t)
		for n := 0; ; n++ {
			size := sizes[n%len(sizes)]
			p, err := h.pull(t, src, h.Stream, at, size)
			if err != nil {
				t.Fatal(err)
			}
			if len(p.Raw) > max(size, 10) {
				t.Errorf("asked for %d records, got %d", size, len(p.Raw))
			}
			for id := range h.idsOf(p) {
				seen[id] = true
			}
			if at = p.Next; !p.More {
				break
			}
			if n > 20+4*len(h.IDs()) {
				t.Fatalf("sizes %v: the run does not end", sizes)
			}
		}
		wantExactly(t, seen, h.IDs())
	}
}

// equalTimestamps is a bulk edit: every record carries the same second.
func equalTimestamps(t *testing.T, h *harness) {
	src := h.source(t)
	_, at := h.walk(t, src, h.Stream, nil, 100, nil)
	h.Tick()
	ids := h.IDs()
	if err := h.Touch(ids...); err != nil {
		t.Fatal(err)
	}
	seen, _ := h.walk(t, src, h.Stream, at, 10, nil)
	wantAll(t, seen, ids)
}

func updatedDuringWalk(t *testing.T, h *harness) {
	src, ids := h.source(t), h.IDs()
	_, at := h.walk(t, src, h.Stream, nil, 20, func(n int, _ connectors.Page) {
		if n <= 2 {
			if err := h.Touch(ids[0], ids[len(ids)-1]); err != nil {
				t.Fatal(err)
			}
		}
	})
	h.Tick()
	seen, _ := h.walk(t, src, h.Stream, at, 20, nil)
	wantAll(t, seen, []string{ids[0], ids[len(ids)-1]})
}

func leavingDuringWalk(t *testing.T, h *harness) {
	src, ids := h.source(t), h.IDs()
	seen, _ := h.walk(t, src, h.Stream, nil, 10, func(n int, _ connectors.Page) {
		if n > 4 {
			return
		}
		for i := range 3 {
			if err := h.Remove(ids[(n-1)*3+i]); err != nil {
				t.Fatal(err)
			}
		}
	})
	wantAll(t, seen, h.IDs())
}

// leavingWhileEntering hides the loss from every total.
func leavingWhileEntering(t *testing.T, h *harness) {
	src, ids := h.source(t), h.IDs()
	seen, _ := h.walk(t, src, h.Stream, nil, 10, func(n int, _ connectors.Page) {
		if n > 4 {
			return
		}
		for i := range 3 {
			if err := h.Remove(ids[(n-1)*3+i]); err != nil {
				t.Fatal(err)
			}
			if _, err := h.Create(); err != nil {
				t.Fatal(err)
			}
		}
	})
	wantAll(t, seen, h.IDs())
}

// readEqualsPage: otherwise a re-read would look like a change.
func readEqualsPage(t *testing.T, h *harness) {
	src := h.source(t)
	p, err := h.pull(t, src, h.Stream, nil, 20)
	if err != nil {
		t.Fatal(err)
	}
	for id := range h.idsOf(p) {
		one, err := src.Read(t.Context(), crm.Ref{Kind: h.Kind, ID: id})
		if err != nil {
			t.Fatal(err)
		}
		inPage, alone := factsOf(p, id), factsOf(one, id)
		if d := cmp.Diff(inPage, alone); d != "" {
			t.Errorf("record %s differs when read alone: %s", id, d)
		}
	}
}

func factsOf(p connectors.Page, id string) []crm.Fact {
	var out []crm.Fact
	for _, f := range p.Facts {
		if f.Ref.ID == id {
			out = append(out, f)
		}
	}
	return out
}

func deletedIsGone(t *testing.T, h *harness) {
	src, id := h.source(t), h.IDs()[5]
	before, err := src.Read(t.Context(), crm.Ref{Kind: h.Kind, ID: id})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Delete(id); err != nil {
		t.Fatal(err)
	}
	after, err := src.Read(t.Context(), crm.Ref{Kind: h.Kind, ID: id})
	if err != nil {
		t.Fatalf("a deleted record is an error: %v", err)
	}
	gone := map[string]bool{}
	for _, f := range after.Facts {
		if !f.Gone {
			t.Errorf("a deleted record still shows %T", f.Body)
		}
		gone[facet(f)] = true
	}
	for _, f := range before.Facts {
		if f.Ref.ID == id && !gone[facet(f)] {
			t.Errorf("facet %s is not said to be gone", facet(f))
		}
	}
}

func facet(f crm.Fact) string {
	switch f.Body.(type) {
	case *crm.Customer:
		return "customer"
	case *crm.Address:
		return "address"
	case *crm.OptIn:
		return "opt-in"
	case *crm.Order:
		return "order"
	case *crm.Cart:
		return "cart"
	case *crm.Refund:
		return "refund"
	case *crm.Product:
		return "product"
	case *crm.Category:
		return "category"
	case *crm.Stock:
		return "stock"
	case *crm.Event:
		return "event"
	case *crm.Consent:
		return "consent"
	}
	return "?"
}

func badRecord(t *testing.T, h *harness) {
	ids := h.IDs()
	if err := h.Spoil(ids[3]); err != nil {
		t.Fatal(err)
	}
	var bad []connectors.Rejected
	seen, _ := h.walk(t, h.source(t), h.Stream, nil, 20, func(_ int, p connectors.Page) { bad = append(bad, p.Rejected...) })
	wantExactly(t, seen, ids)
	if len(bad) != 1 || bad[0].Ref.ID != ids[3] || bad[0].Ref.Kind != h.Kind || bad[0].Reason == "" || len(bad[0].Raw) == 0 {
		t.Errorf("want exactly record %s rejected, with reason and body: %+v", ids[3], bad)
	}
}

// pastTheEnd: the set shrinks under the walk, and a run that has nothing to show ends.
func pastTheEnd(t *testing.T, h *harness) {
	src, ids := h.source(t), h.IDs()
	pages := 0
	seen, at := h.walk(t, src, h.Stream, nil, 10, func(n int, _ connectors.Page) {
		pages = n
		if n != 3 {
			return
		}
		for _, id := range ids[15:] {
			if err := h.Remove(id); err != nil {
				t.Fatal(err)
			}
		}
	})
	wantAll(t, seen, h.IDs())
	if pages > 20 {
		t.Errorf("%d pages of a set that ends after 15 records", pages)
	}
	h.Tick()
	_, at = h.walk(t, src, h.Stream, at, 10, nil)
	h.Tick()
	p, err := h.pull(t, src, h.Stream, at, 10)
	if s := streamOf(src, h.Stream); err != nil || s.Mode == connectors.ModeDelta && (p.More || len(p.Raw) > 0) {
		t.Errorf("a run without changes: %d records, more %v, %v", len(p.Raw), p.More, err)
	}
}

func streamOf(src connectors.Source, name string) connectors.Stream {
	for _, s := range src.Streams() {
		if s.Name == name {
			return s
		}
	}
	return connectors.Stream{}
}
