// Package reconcile compares a shop's complete list of ids with the mirror, page by page. It finds what no change
// feed shows (deletions) and what every other way missed. It deletes nothing: what differs is read again, and only
// the shop's "not found" makes a record gone.
package reconcile

import (
	"context"
	"math"
	"slices"
	"strconv"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

const (
	// keep bounds how many ids a state remembers; what is beyond waits for a later run.
	keep = 5000
	// A run may ask for this many re-reads of a kind, or this part of it, before a second run has to confirm.
	believeAtLeast = 20
	believePart    = 20 // 1/20 = 5 %
)

// State is a run under way, and what the next run must know of the last. It lives in the stream's stored position,
// so that a run survives restarts.
type State struct {
	High    int64    `json:"high,omitempty"`    // largest id listed so far
	Seen    int64    `json:"seen,omitempty"`    // ids listed
	Live    int64    `json:"live,omitempty"`    // ids mirrored in the windows compared
	Missing []string `json:"missing,omitempty"` // mirrored, not listed
	Extra   []string `json:"extra,omitempty"`   // listed, neither mirrored nor in quarantine
	Broken  string   `json:"broken,omitempty"`  // why this run's list says nothing
	Suspect []string `json:"suspect,omitempty"` // missing from the last run, but too many to be believed at once
	Runs    int64    `json:"runs,omitempty"`
}

// Compare takes one page of the list; last says that it ends the run. A list may come in several passes (WooCommerce:
// orders of any status, then those in the bin), each ascending. Within the first, all mirrored ids from the end of one
// page up to the end of the next must be listed; what a later pass lists was not missing after all.
func (s *State) Compare(ctx context.Context, m *mirror.Mirror, q store.Queryer, shopID int64, kind crm.Kind, ids []string, last bool) error {
	late, fresh, ok := s.parse(ids)
	if !ok {
		s.Broken = "the shop's ids are no plain numbers"
	}
	if s.Broken != "" {
		return nil
	}
	s.Seen += int64(len(late) + len(fresh))
	from := s.High
	if len(fresh) > 0 {
		s.High = fresh[len(fresh)-1]
	}
	upTo := s.High
	if last {
		upTo = math.MaxInt64
	}
	mirrored, err := m.LiveIDsBetween(ctx, q, shopID, kind, from, upTo, keep+len(fresh))
	if err != nil {
		return err
	}
	found, err := m.LiveIDsAmong(ctx, q, shopID, kind, texts(late))
	if err != nil {
		return err
	}
	s.Missing = without(s.Missing, found)
	extra := append(without(texts(late), found), s.diff(fresh, mirrored)...)
	quarantined, err := m.QuarantinedIDs(ctx, q, shopID, kind, extra)
	if err != nil {
		return err
	}
	s.Extra = append(s.Extra, without(extra, quarantined)...)
	s.Extra = s.Extra[:min(len(s.Extra), keep)]
	return nil
}

// parse splits a page into ids up to the largest listed so far and ids beyond, each ascending.
func (s *State) parse(ids []string) (late, fresh []int64, ok bool) {
	for _, id := range ids {
		n, err := strconv.ParseInt(id, 10, 64)
		switch {
		case err != nil || n <= 0 || strconv.FormatInt(n, 10) != id:
			return nil, nil, false
		case n <= s.High:
			late = append(late, n)
		default:
			fresh = append(fresh, n)
		}
	}
	slices.Sort(late)
	slices.Sort(fresh)
	return slices.Compact(late), slices.Compact(fresh), true
}

func texts(ids []int64) []string {
	out := make([]string, len(ids))
	for i, n := range ids {
		out[i] = strconv.FormatInt(n, 10)
	}
	return out
}

// without is ids less those of the second list, in order.
func without(ids, less []string) []string {
	if len(less) == 0 {
		return ids
	}
	drop := setOf(less)
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return drop[id] })
}

func setOf(ids []string) map[string]bool {
	set := make(map[string]bool, len(ids))
	for _, id := range ids {
		set[id] = true
	}
	return set
}

// diff notes what is mirrored but not listed and returns what is listed but not mirrored.
func (s *State) diff(listed []int64, mirrored []string) (extra []string) {
	s.Live += int64(len(mirrored))
	ids := texts(listed)
	s.Missing = append(s.Missing, without(mirrored, ids)...)
	s.Missing = s.Missing[:min(len(s.Missing), keep)]
	return without(ids, mirrored)
}

// Finish ends a run: which ids to read again, and the state from which the next run starts. total is how many ids
// the shop announced (-1: it did not). Many missing ids at once, or a list shorter than announced, look like a
// failing shop rather than like deletions: they are read again only when the next run misses them too. A list without a
// single id is never believed.
func (s *State) Finish(total int) (reread []string, next *State) {
	next = &State{Runs: s.Runs + 1, Suspect: s.Suspect}
	if s.Broken == "" && s.Seen == 0 && s.Live > believeAtLeast { // however often it is repeated
		s.Broken = "the shop lists nothing at all, although much of it is mirrored"
	}
	if s.Broken != "" {
		return nil, next
	}
	limit := max(believeAtLeast, int(s.Live/believePart))
	short := total >= 0 && s.Seen < int64(total)
	switch {
	case len(s.Missing) <= limit && !short:
		reread, next.Suspect = s.Missing, nil
	default:
		reread, next.Suspect = confirm(s.Missing, s.Suspect)
	}
	return append(slices.Clone(reread), rotate(s.Extra, limit, s.Runs)...), next
}

// confirm splits missing into what the last run missed as well and what is new.
func confirm(missing, suspect []string) (confirmed, fresh []string) {
	before := setOf(suspect)
	for _, id := range missing {
		if before[id] {
			confirmed = append(confirmed, id)
		} else {
			fresh = append(fresh, id)
		}
	}
	return confirmed, fresh
}

// rotate takes at most limit of the ids, others in each run, so that ids that never become mirrored do not keep
// the rest waiting.
func rotate(ids []string, limit int, run int64) []string {
	if len(ids) <= limit {
		return ids
	}
	start := int(run*int64(limit)) % len(ids)
	return slices.Concat(ids[start:], ids[:start])[:limit]
}
