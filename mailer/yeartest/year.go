// Package yeartest lets a year go by for an installation: shops, buyers, a provider that is not always well, processes that
// end and freeze. One seed is one year, the same each time; a judge of its own says which promise was broken. Only tests
// import it.
package yeartest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/mailer"
)

// Years makes years: what they have in common is made once.
type Years struct {
	*scenario
}

// New reads the campaigns and templates of the years.
func New() (*Years, error) {
	s, err := newScenario()
	return &Years{s}, err
}

// Year says which year is to go by.
type Year struct {
	Seed    uint64
	Open    func(o store.Options) *store.DB // an empty migrated database
	Whole   bool                            // of any length up to 13 months, instead of some weeks
	Mistake Mistake                         // planted, to see that the judge notices it
}

// Report is how a year ended.
type Report struct {
	Wrong []string // promises that were broken, the first ones first
	Story []string // the last events
	Told  uint64   // hash of all events: equal for years that were the same
	Mails int      // that the provider took
	Steps int      // of engines
	Days  int
	Runs  int
	Ended map[string]int // sends by state and reason
}

const (
	storyKept = 300
	wrongKept = 20
)

// world is one year.
type world struct {
	*scenario
	tb      testing.TB
	ctx     context.Context
	seed    uint64
	mistake Mistake
	whole   bool
	dice    *rand.Rand
	db      *store.DB
	m       *mirror.Mirror

	audience int64
	shops    []*shop
	people   []*person
	provider *provider
	judge    *judge
	house    *house
	agenda   agenda

	start, now, end time.Time
	armed           crm.Instant
	ahead           time.Duration // real time before business time
	ids             int64
	nextNo          int
	outages         []time.Time
	storm           int // chance in thousand that a commit ends in trouble

	report Report
}

// Run lets one year go by.
func (y *Years) Run(tb testing.TB, o Year) Report {
	tb.Helper()
	w := &world{scenario: y.scenario, tb: tb, ctx: tb.Context(), seed: o.Seed, mistake: o.Mistake, whole: o.Whole, dice: rand.New(rand.NewPCG(o.Seed, 0x5e1a)), ids: 1 << 40}
	w.db = o.Open(store.Options{Fault: w.commit, IDs: w.newID})
	w.m = mailer.NewMirror(w.db)
	w.settle()
	for w.now.Before(w.end) && len(w.report.Wrong) < wrongKept {
		w.goOn()
	}
	w.rest()
	w.judge.atTheEnd()
	w.report.Days = int(w.end.Sub(w.start) / (24 * time.Hour))
	return w.report
}

// newID is unlike a counter in that neighbours fall into lanes of any number.
func (w *world) newID() int64 {
	w.ids += 1 + int64(mix(uint64(w.ids), w.seed)%977)
	return w.ids
}

func mix(a, b uint64) uint64 {
	x := a*0x9e3779b97f4a7c15 ^ b
	x ^= x >> 31
	x *= 0xbf58476d1ce4e5b9
	return x ^ x>>29
}

func (w *world) pick(n int) int        { return w.dice.IntN(n) }
func (w *world) percent(n int) bool    { return w.dice.IntN(100) < n }
func (w *world) at() crm.Instant       { return crm.At(w.now) }
func (w *world) wall() time.Time       { return w.now.Add(w.ahead) }
func (w *world) no(kind string) string { w.nextNo++; return fmt.Sprintf("%s%d", kind, w.nextNo) }

func (w *world) span(d time.Duration) time.Duration {
	return time.Duration(w.dice.Int64N(int64(d)/int64(time.Millisecond))) * time.Millisecond
}

func (w *world) tell(format string, args ...any) {
	line := w.now.Format("01-02 15:04:05 ") + fmt.Sprintf(format, args...)
	for _, b := range []byte(line) {
		w.report.Told = w.report.Told*1099511628211 ^ uint64(b)
	}
	w.report.Story = append(w.report.Story, line)
	if len(w.report.Story) > 2*storyKept {
		w.report.Story = slices.Delete(w.report.Story, 0, storyKept)
	}
}

func (w *world) wrong(format string, args ...any) {
	text := w.now.Format("2006-01-02 15:04:05 ") + fmt.Sprintf(format, args...)
	w.tell("WRONG: %s", text)
	if len(w.report.Wrong) < wrongKept {
		w.report.Wrong = append(w.report.Wrong, text)
	}
}

func (w *world) must(err error) {
	w.tb.Helper()
	if err != nil {
		w.tb.Fatalf("seed %d, %s: %v", w.seed, w.now.Format(time.RFC3339), err)
	}
}

// write is a transaction of the world itself: it does not fail.
func (w *world) write(fn func(tx *store.Tx) error) {
	w.tb.Helper()
	w.must(w.db.Write(w.ctx, "year", fn))
}

func (w *world) settle() {
	w.tb.Helper()
	lengths := []int{5, 6, 8, 10, 12, 16, 24, 40}
	if w.whole {
		lengths = []int{20, 45, 75, 110, 150, 400}
	}
	days := lengths[w.pick(len(lengths))]
	w.start = time.Date(2027, time.Month(1+w.pick(12)), 1+w.pick(28), w.pick(24), w.pick(60), w.pick(60), w.pick(1000)*1e6, time.UTC)
	w.now, w.end = w.start, w.start.AddDate(0, 0, days)
	w.judge = newJudge(w)
	w.provider = newProvider(w)
	var err error
	w.audience, err = w.m.EnsureAudience(w.ctx, "default", "La Boutique")
	w.must(err)
	w.openShops()
	w.movePeopleIn()
	w.house = newHouse(w)
	w.house.deploy()
	w.storm = []int{0, 2, 8, 25}[w.pick(4)]
	w.tell("the year begins: %d days, %d people, %d shops, trouble %d", days, len(w.people), len(w.shops), w.storm)
	w.planAhead(days)
}

// goOn moves to the next instant at which something is to happen, and lets it happen.
func (w *world) goOn() {
	next := w.now.Add(36 * time.Hour)
	if at, ok := w.agenda.next(); ok && at.Before(next) {
		next = at
	}
	if due := w.house.due(); !due.IsZero() && due.Before(next) {
		next = due
	}
	if !next.After(w.now) {
		next = w.now.Add(time.Millisecond)
	}
	w.now = next
	for _, act := range w.agenda.take(w.now) {
		act()
	}
	w.house.live()
}

// rest lets what is under way come to its end: nothing new happens, and nothing fails any more.
func (w *world) rest() {
	if len(w.report.Wrong) >= wrongKept {
		return
	}
	w.storm = 0
	w.house.mend()
	w.tell("nothing fails any more")
	for range 8 {
		w.now = w.now.Add(19 * time.Hour)
		for _, act := range w.agenda.take(w.now) {
			act()
		}
		w.house.live()
	}
}

// openSQLite is where a year's database lies: in memory where there is such a place.
func openSQLite(tb testing.TB, dir string, o store.Options) *store.DB {
	tb.Helper()
	o.DSN = "sqlite:" + filepath.Join(dir, "year.db")
	db, err := store.Open(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	return db
}

var errStopped = errors.New("the machine stopped")
