package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

var errPlug = errors.New("the plug is pulled")

// plug fails one commit, counted from when it is armed, and remembers the names of all.
type plug struct {
	armed bool
	at    int // which commit fails, from 1; 0: none
	when  string
	seen  []string
}

func (p *plug) commit(name, when string) error {
	if !p.armed {
		return nil
	}
	if when == "before" {
		p.seen = append(p.seen, name)
	}
	if len(p.seen) == p.at && when == p.when {
		return errPlug
	}
	return nil
}

// A process that dies at any commit, before or after it, leaves a mirror that the next one makes whole.
func TestNoCommitIsACrashTooMany(t *testing.T) {
	for _, engine := range []store.Dialect{store.SQLite, store.MySQL} {
		t.Run(string(engine), func(t *testing.T) {
			want, names := readOnce(t, engine, &plug{})
			for _, name := range []string{"store.lease", "sync.streams", "sync.page", "sync.failed", "sync.reread", "sync.hint_failed", "sync.skew", "sync.count", "sync.compare"} {
				if !slices.Contains(names, name) {
					t.Errorf("no commit called %s in %v", name, names)
				}
			}
			for at := range names {
				for _, when := range []string{"before", "after"} {
					t.Run(fmt.Sprintf("%s_%d_%s", when, at+1, names[at]), func(t *testing.T) {
						if got, _ := readOnce(t, engine, &plug{at: at + 1, when: when}); got != want {
							t.Errorf("got\n%s\nwant\n%s", got, want)
						}
					})
				}
			}
		})
	}
}

// readOnce reads a troublesome shop to the end, with a new process after every crash, and gives what is mirrored.
func readOnce(t *testing.T, engine store.Dialect, p *plug) (mirrored string, commits []string) {
	t.Helper()
	db := servers.Open(t, engine, store.Options{Fault: p.commit})
	var r *rig
	src := troubled(func() time.Time { return r.now })
	r = newRig(t, db, src)
	r.hint(crm.Ref{Kind: crm.KindOrder, ID: "90"}, crm.Ref{Kind: crm.KindOrder, ID: "91"})
	r.refuseOrdersNumbered("N7")
	p.armed = true
	for range 500 {
		_, worked, err := r.e.Step(t.Context(), r.now)
		done := false
		if !worked && err == nil {
			done, err = r.addsUp()
		}
		switch {
		case errors.Is(err, errPlug):
			p.armed = false
			r.expireLeases()
			p.armed = true
			r.leases = store.NewLeases(db, "the next process", time.Hour)
			r.restart(src)
			continue
		case err != nil:
			t.Fatal(err)
		case worked:
			continue
		case done:
			p.armed = false
			return r.projection(), p.seen
		}
		r.at(r.now.Add(5 * time.Second))
	}
	t.Fatal("never caught up")
	return "", nil
}

// addsUp tells whether the shop is caught up and what it has is what is mirrored.
func (r *rig) addsUp() (bool, error) {
	done, err := r.e.CaughtUp(r.t.Context())
	if err != nil || !done {
		return false, err
	}
	differs, err := r.e.RefreshCounts(r.t.Context(), r.now)
	return !differs, err
}

// troubled is a shop of 15 orders whose clock is wrong, where one page, one re-read, one record and one count fail.
func troubled(now func() time.Time) *counting {
	var asked []string
	src := paged(15, &asked)
	inner, failedPage, failedRead := src.pull, false, false
	src.streams = append(src.streams, connectors.Stream{Name: "order_ids", Mode: connectors.ModeIDs, Every: time.Hour, Kind: crm.KindOrder})
	src.pull = func(ctx context.Context, s string, after connectors.Cursor, size int) (connectors.Page, error) {
		if s == "order_ids" {
			return connectors.Page{IDs: strings.Fields("1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 90 91"), Next: connectors.Cursor("x"), Total: 17}, nil
		}
		p, err := inner(ctx, s, after, size)
		p.ShopTime = now().Add(time.Hour)
		if string(after) == "10" && !failedPage {
			failedPage = true
			err = errors.New("connection reset")
		}
		return p, err
	}
	src.read = func(_ context.Context, ref crm.Ref) (connectors.Page, error) {
		if ref.ID == "91" && !failedRead {
			failedRead = true
			return connectors.Page{}, errors.New("connection reset")
		}
		return page("", false, order(ref.ID, "H"+ref.ID)), nil
	}
	times := 0
	return &counting{odd: src, count: func(string) (int, error) {
		if times++; times == 1 {
			return 18, nil
		}
		return 17, nil
	}}
}

// projection is what must be the same whatever happened on the way.
func (r *rig) projection() string {
	r.t.Helper()
	var all []string
	for _, query := range []string{
		"SELECT id, number, total FROM orders WHERE gone_at=0",
		"SELECT kind, id FROM quarantine",
		"SELECT orders, sales, revenue FROM contact_stats",
		"SELECT email_norm, live FROM contacts",
		"SELECT stream, source_count, attempts FROM streams",
		"SELECT name, CAST(skew_ms AS CHAR), CASE WHEN backfilled_at>0 THEN 'read' ELSE 'new' END FROM shops",
		"SELECT kind, id FROM hints",
	} {
		all = append(all, r.rows(query)...)
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}
