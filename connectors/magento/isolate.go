package magento

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"sort"
	"strconv"
	"time"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
)

// A record on which the shop itself fails answers every list that holds it with a 500. The engine shrinks the page until
// few others are with it; those before it are read one by one. Then it is found by halving, for the answer does not name
// it: a list that ends before it is empty, one that reaches it fails. It is rejected by its id, and the run goes on behind it.

// fewRows is the size of a page from which on its rows are read one by one when the shop fails on it.
const fewRows = 8

// largestID is beyond every id of Magento's tables, whose keys are 32 bits wide.
const largestID = 1 << 32

// oneByOne reads up to the record that the shop fails on, and names it.
func (s *Source) oneByOne(ctx context.Context, f feed, r *run, windowed bool, size int) (all step, bad []connectors.Rejected, _ error) {
	for range size {
		one, err := s.step(ctx, f, r, windowed, 1)
		if refusal(err).crashed() {
			found, err := s.isolate(ctx, f, r, windowed, err)
			if err != nil {
				return all, nil, err
			}
			return all, append(bad, found), nil
		}
		if err != nil {
			return all, nil, err
		}
		all.fresh, all.date, all.end = append(all.fresh, one.fresh...), one.date, one.end
		if all.end {
			break
		}
	}
	return all, nil, nil
}

// isolate names the record that makes the question fail, and moves the run behind it. When the shop fails on more than
// one record the cause is given back: as the shop's outage, or as a question that this shop cannot be asked.
func (s *Source) isolate(ctx context.Context, f feed, r *run, windowed bool, cause error) (bad connectors.Rejected, err error) {
	q, err := s.question(ctx, f, *r, windowed)
	if err != nil {
		return bad, err
	}
	nothing := q.with(filter{"entity_id", "gt", strconv.FormatInt(largestID, 10)})
	if crashed, err := s.crashes(ctx, f, nothing); err != nil || crashed {
		if fe, ok := errors.AsType[*fault.Error](cause); ok && fe.Hint == hintCrash {
			fe.Class = fault.Operator // it answers a plainer question: asking again is of no use
		}
		return bad, cmp.Or(err, cause)
	}
	if windowed && r.How != restOfSecond {
		second, err := s.crashSecond(ctx, f, r, q)
		if err != nil || second == "" {
			return bad, cmp.Or(err, cause)
		}
		if r.How != "" || second != r.At {
			r.Last = 0
		}
		r.At, r.How = second, restOfSecond
		if q, err = s.question(ctx, f, *r, windowed); err != nil {
			return bad, err
		}
	}
	id, err := halve(int(largestID-r.Last), func(n int) (bool, error) {
		return s.crashes(ctx, f, q.with(filter{"entity_id", "lteq", strconv.FormatInt(r.Last+1+int64(n), 10)}))
	})
	if err != nil || id < 0 {
		return bad, cmp.Or(err, cause)
	}
	r.Last, r.Seen = r.Last+1+int64(id), r.Seen+1
	if r.Start == "" { // no answer has told the shop's clock yet
		r.Start, r.Total = s.clock().UTC().Add(-2*overlap).Format(wireTime), -1
	}
	text := strconv.FormatInt(r.Last, 10)
	return connectors.Rejected{
		Ref: crm.Ref{Kind: f.Kind, ID: text}, Raw: []byte(`{"` + f.id + `":` + text + `}`),
		Reason: "the shop itself fails on this record with a 500: see var/report and var/log/exception.log there",
	}, nil
}

// halve finds the least n below most for which it is true; -1 when there is none.
func halve(most int, is func(n int) (bool, error)) (int, error) {
	var failed error
	n := sort.Search(most, func(n int) bool {
		if failed != nil {
			return true
		}
		var yes bool
		yes, failed = is(n)
		return yes
	})
	if n >= most {
		n = -1
	}
	return n, failed
}

// crashSecond is the second of the first record that the window fails on.
func (s *Source) crashSecond(ctx context.Context, f feed, r *run, q criteria) (string, error) {
	from, err := time.Parse(wireTime, r.At)
	if err != nil {
		return "", nil //nolint:nilerr // a date that only the shop understands: then the record cannot be found
	}
	second := func(n int) string { return from.Add(time.Duration(n) * time.Second).Format(wireTime) }
	until := s.clock().UTC().Add(24 * time.Hour)
	n, err := halve(int(until.Sub(from)/time.Second), func(n int) (bool, error) {
		return s.crashes(ctx, f, q.with(filter{"updated_at", "lteq", second(n)}))
	})
	if err != nil || n < 0 {
		return "", err
	}
	return second(n), nil
}

// crashes tells whether the shop fails on the first record of the question.
func (s *Source) crashes(ctx context.Context, f feed, q criteria) (bool, error) {
	q.size, q.fields = 1, "items["+f.id+"],total_count"
	// Sent once: asking again would only make the shop fail three times as often.
	_, err := s.client.Send(ctx, "look for the record that the shop fails on", http.MethodGet, "/rest/"+s.path(f.list), q.encode(), "", nil)
	if refusal(err).crashed() {
		return true, nil
	}
	return false, err
}
