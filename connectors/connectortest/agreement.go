package connectortest

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
)

// perStream bounds how many records of a stream are read one by one.
const perStream = 12

// pages gives the first pages of every stream that brings facts.
func (h *harness) pages(t *testing.T, src connectors.Source, each func(s connectors.Stream, p connectors.Page)) {
	t.Helper()
	for _, s := range src.Streams() {
		if s.Mode == connectors.ModeIDs {
			continue
		}
		var at connectors.Cursor
		for range 3 {
			p, err := h.pull(t, src, s.Name, at, 25)
			if err != nil {
				t.Fatalf("pull %s: %v", s.Name, err)
			}
			each(s, p)
			if at = p.Next; !p.More {
				break
			}
		}
	}
}

type facetOf struct {
	crm.Ref
	facet string
}

func facts(p connectors.Page) map[facetOf]crm.Fact {
	out := map[facetOf]crm.Fact{}
	for _, f := range p.Facts {
		out[facetOf{f.Ref, facet(f)}] = f
	}
	return out
}

// everyKindReadAlone: whatever a stream shows, of whatever kind and in parts or whole, a read of the record shows the same.
func everyKindReadAlone(t *testing.T, h *harness) {
	src := h.source(t)
	kinds := map[crm.Kind]bool{}
	h.pages(t, src, func(s connectors.Stream, p connectors.Page) {
		left := perStream
		read := map[crm.Ref]map[facetOf]crm.Fact{}
		for at, f := range facts(p) {
			alone, known := read[f.Ref]
			if !known && left > 0 {
				left--
				one, err := src.Read(t.Context(), f.Ref)
				if h.checkError(t, err); err != nil {
					t.Errorf("stream %s: reading %v: %v", s.Name, f.Ref, err)
					continue
				}
				alone, known = facts(one), true
				read[f.Ref] = alone
				kinds[f.Ref.Kind] = true
			}
			if !known {
				continue
			}
			if d := cmp.Diff(f, alone[at]); d != "" {
				t.Errorf("stream %s: %v differs when read alone: %s", s.Name, at, d)
			}
		}
	})
	if len(kinds) < 2 {
		t.Errorf("the shop shows %v only", kinds)
	}
}

// normaliseEqualsPull holds for a connectors.Normaliser: a stored body gives what the page gave.
func normaliseEqualsPull(t *testing.T, h *harness) {
	src := h.source(t)
	n, ok := src.(connectors.Normaliser)
	if !ok {
		t.Skip("bodies are not read again")
	}
	if n.Rules() == "" {
		t.Error("the way of normalising has no name")
	}
	h.pages(t, src, func(s connectors.Stream, p connectors.Page) {
		if s.Part && len(p.Raw) == 0 {
			return // one facet alone is not the body of its record: keeping it would lose the whole one
		}
		again := map[facetOf]crm.Fact{}
		for _, raw := range p.Raw {
			one, err := n.Normalise(t.Context(), raw)
			if h.checkError(t, err); err != nil {
				t.Fatalf("stream %s: %v", s.Name, err)
			}
			maps.Copy(again, facts(one))
		}
		for at, f := range facts(p) {
			if !f.Gone || again[at].Body != nil { // that something is gone may have no body behind it
				if d := cmp.Diff(f, again[at]); d != "" {
					t.Errorf("stream %s: %v differs when normalised again: %s", s.Name, at, d)
				}
			}
		}
	})
	for _, body := range []string{"", "{", "[]", "null", `"x"`, "{}"} {
		p, err := n.Normalise(t.Context(), connectors.RawRecord{Ref: crm.Ref{Kind: h.Kind, ID: "1"}, Body: []byte(body)})
		if err != nil || len(p.Rejected) != 1 || len(p.Facts) != 0 {
			t.Errorf("body %q: %d rejected, %d facts, %v", body, len(p.Rejected), len(p.Facts), err)
		}
	}
}

// silentChange: what moves no date is seen all the same by the next run of some stream.
func silentChange(t *testing.T, h *harness) {
	if h.Silent == nil {
		t.Skip("nothing changes silently in this shop")
	}
	src := h.source(t)
	ends := map[string]connectors.Cursor{}
	for _, s := range src.Streams() {
		if s.Mode != connectors.ModeIDs {
			_, ends[s.Name] = h.walk(t, src, s.Name, nil, 100, nil)
		}
	}
	h.Tick()
	ref, err := h.Silent()
	if err != nil {
		t.Fatal(err)
	}
	h.Tick()
	seen := map[facetOf]crm.Fact{}
	for _, s := range src.Streams() {
		if s.Mode == connectors.ModeIDs {
			continue
		}
		h.walk(t, src, s.Name, ends[s.Name], 100, func(_ int, p connectors.Page) {
			for at, f := range facts(p) {
				if f.Ref == ref {
					seen[at] = f
				}
			}
		})
	}
	one, err := src.Read(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if len(seen) == 0 {
		t.Errorf("no stream shows %v", ref)
	}
	for at, f := range seen {
		if d := cmp.Diff(f, facts(one)[at]); d != "" {
			t.Errorf("%v is not what it is now: %s", at, d)
		}
	}
}

// actorIsIdempotent: a task that was carried out already changes nothing, so that a repetition after a crash is harmless.
func actorIsIdempotent(t *testing.T, h *harness) {
	src := h.source(t)
	actor, ok := src.(connectors.Actor)
	if !ok {
		t.Skip("this platform is only read")
	}
	if d := cmp.Diff(actor.Acts(), actor.Acts()); d != "" {
		t.Errorf("the list of acts changes: %s", d)
	}
	if _, err := actor.Perform(t.Context(), connectors.Task{Kind: "no such act"}); err == nil {
		t.Error("an act that does not exist is performed")
	} else {
		h.checkError(t, err)
	}
	if h.Tasks == nil {
		return
	}
	writes := h.countWrites()
	for _, task := range h.Tasks() {
		first, err := actor.Perform(t.Context(), task)
		if h.checkError(t, err); err != nil {
			t.Errorf("%s: %v", task.Kind, err)
			continue
		}
		if first.Done == "" && first.Mend == "" {
			t.Errorf("%s: nobody learns what was done", task.Kind)
		}
		before := writes()
		second, err := actor.Perform(t.Context(), task)
		if n := writes() - before; err != nil || n != 0 || second.Mend != first.Mend {
			t.Errorf("%s again: %d writes, %+v %v", task.Kind, n, second, err)
		}
	}
	h.meddle(nil)
}
