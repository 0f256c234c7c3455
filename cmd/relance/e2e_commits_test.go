package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/mailer"
	"github.com/relance/relance/segments"
)

// TestNoCommitIsACrashTooMany plays the whole way of the data, from a shop that was never read to mails, a purchase, an
// unsubscribe and what is tidied up a week later, and lets the process die at every commit of the program, before it or
// after it. The next process makes of it what would have been without the death: the same mirror, the same memberships,
// the same mails, none of them twice, and what nobody can know is shown as unknown.
func TestNoCommitIsACrashTooMany(t *testing.T) {
	t.Parallel()
	names := commitNames(t)
	undisturbed, commits := map[store.Dialect]outcome{}, map[string]int{}
	var after *backfilled
	for _, engine := range []store.Dialect{store.SQLite, store.MySQL} {
		p := &plug{}
		w := begin(t, engine, p)
		if engine == store.SQLite {
			after = w.keep()
		}
		undisturbed[engine], commits = w.play(), p.seen
	}
	for _, name := range names {
		if why := notInTheWay(name); commits[name] == 0 && why == "" {
			t.Errorf("no commit called %s was reached", name)
		} else if commits[name] > 0 && why != "" {
			t.Errorf("%s is in the way after all", name)
		}
	}
	for name := range commits {
		if !slices.Contains(names, name) {
			t.Errorf("%s is a commit that the sources do not show", name)
		}
	}
	dies := func(engine store.Dialect, deaths ...death) {
		t.Run(fmt.Sprintf("%s/%s_%s", engine, deaths[len(deaths)-1].when, deaths[len(deaths)-1].name), func(t *testing.T) {
			t.Parallel()
			p := &plug{deaths: deaths}
			var w *mortal
			if engine == store.SQLite && after.seen[deaths[0].name] == 0 {
				w = goOn(t, after, p)
			} else {
				w = begin(t, engine, p)
			}
			got := w.play()
			if len(p.deaths) > 0 {
				t.Fatalf("it did not die of %v", p.deaths)
			}
			if len(deaths) > 1 && got.unknown == 0 {
				t.Error("a mail whose answer was never written is not shown as unknown")
			}
			got.compare(t, undisturbed[engine], strings.HasPrefix(deaths[0].name, "mailer."))
		})
	}
	for _, when := range []string{"before", "after"} {
		for _, name := range slices.Sorted(maps.Keys(commits)) {
			dies(store.SQLite, death{name, when, 1})
		}
		for _, engine := range []store.Dialect{store.SQLite, store.MySQL} {
			// A mail is on its way at the first death, and the process that finds it dies of that.
			dies(engine, death{"mailer.settle", "before", 1}, death{"mailer.recover", when, 1})
		}
		for _, name := range afterOthers() {
			dies(store.MySQL, death{name, when, 1})
		}
	}
	// One installation dies at every name in the order in which they come, with a new process after each: at the first
	// commit of the name, or at one in the middle of its life.
	for engine, ats := range map[store.Dialect][]int{store.SQLite: {2, half}, store.MySQL: {1, half}} {
		for _, at := range ats {
			for _, when := range []string{"before", "after"} {
				t.Run(fmt.Sprintf("%s/everywhere_%s_%d", engine, when, at), func(t *testing.T) {
					t.Parallel()
					p := &plug{everywhere: when, at: func(name string) int {
						if at == half {
							return commits[name]/2 + 1
						}
						return at
					}}
					begin(t, engine, p).play().compare(t, undisturbed[engine], true)
					for name := range commits {
						if at == 1 && !p.died[name] && !slices.Contains(afterOthers(), name) {
							t.Errorf("it did not die at %s", name)
						}
					}
				})
			}
		}
	}
}

// afterOthers are commits that a death at another one makes needless.
func afterOthers() []string {
	return []string{"sync.skew", "sync.failed", "sync.hint_failed"}
}

const half = 0 // the commit in the middle of those that a name has when nobody dies

// commitNames reads from the sources what every transaction is called.
func commitNames(t *testing.T) []string {
	t.Helper()
	called := regexp.MustCompile(`\(ctx, "([a-z]+\.[a-z_]+)"`)
	found := map[string]bool{}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(filepath.Dir(path), "test") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range called.FindAllSubmatch(text, -1) {
			found[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 30 {
		t.Fatalf("only %d commits found in the sources: the expression no longer fits", len(found))
	}
	return slices.Sorted(maps.Keys(found))
}

// notInTheWay says why a commit is not reached when all goes well.
func notInTheWay(name string) string {
	switch name {
	case "mailer.recover":
		return "only after a death while a mail was on its way; it has runs of its own"
	case "sync.trial", "push.trial":
		return "it is rolled back, always"
	case "mirror.merge", "mirror.split", "mirror.erase", "mirror.erase_rows":
		return "somebody's wish: internal/mirror dies at every commit of it"
	case "mailer.broadcast", "mailer.sweep":
		return "no broadcast in this story, and no fact that starts nothing; mailer has runs of its own"
	case "mailer.calls", "mailer.split":
		return "this story's campaigns call nobody and try nothing; mailer has runs of its own"
	case "mailer.break":
		return "nobody complains in this story; mailer has runs of its own"
	case "mailer.lift":
		return "nobody is held out in this story; mailer has runs of its own"
	case "mailer.events", "mailer.events_found", "mailer.events_pruned", "mailer.flow_pruned", "mailer.unknown":
		return "this world's provider says nothing of mails; mailer has runs of its own"
	case "mailer.preferences", "mailer.confirm":
		return "nobody in this story opens the page of choices or is asked to confirm; such a wish is one commit, and made again"
	case "mailer.depart", "mailer.forget", "mailer.forget_events":
		return "what the mailer makes of such a wish"
	case "mirror.retry":
		return "somebody's wish, of one commit"
	case "import.home":
		return "sync/imported has runs of its own"
	case "push.known", "push.store":
		return "this shop is read; sync/pushed has runs of its own"
	case "sync.arm":
		return "this world has no address that a shop could send webhooks to"
	case "sync.task_failed", "sync.task_parked":
		return "the shop does what it is told; sync/engine has runs of its own"
	case "mailer.pool", "mailer.codes":
		return "this world's campaigns give no codes; the mailer has runs of its own"
	case "recommend.lists", "recommend.done":
		return "mailer/recommend has runs of its own; a run that is cut off begins anew"
	case "segments.costs":
		return "once a minute of real time: estimates that a crash may lose"
	case "sync.budget":
		return "real time stands still in this world: reading takes none"
	case "sync.redefine", "sync.unsourced":
		return "only after a changed mapping; sync/engine has runs of its own"
	case "segments.thresholds", "segments.told":
		return "no segment compares with the whole audience; segments has runs of its own"
	case "mirror.fanout":
		return "nothing of the catalogue or of the shop's zone changes"
	}
	return ""
}

var errDead = errors.New("the process is dead")

type death struct {
	name, when string
	at         int // which commit of that name, counted over all processes
}

// plug is pulled at commits; from then on nothing is committed until the next process plugs in.
type plug struct {
	deaths     []death // one after the other
	everywhere string  // "before" or "after": at every name once, at its at(name)-th commit
	at         func(name string) int

	mu   sync.Mutex
	seen map[string]int
	died map[string]bool
	dead bool
}

func (p *plug) commit(name, when string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return errDead
	}
	if p.seen == nil {
		p.seen, p.died = map[string]int{}, map[string]bool{}
	}
	if when == "before" {
		p.seen[name]++
	}
	switch {
	case p.everywhere == when && !p.died[name] && p.seen[name] >= p.at(name):
	case len(p.deaths) > 0 && p.deaths[0] == death{name, when, p.seen[name]}:
		p.deaths = p.deaths[1:]
	default:
		return nil
	}
	p.died[name], p.dead = true, true
	return errDead
}

func (p *plug) pulled() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dead
}

// mortal is a world whose processes die when the plug is pulled.
type mortal struct {
	*world
	plug *plug
}

// rise starts processes until one lives. A minute has passed: what was on its way to the provider is decided.
func (w *mortal) rise() {
	w.t.Helper()
	for {
		w.wall.move(time.Minute)
		w.close()
		w.plug.mu.Lock()
		w.plug.dead = false
		w.plug.mu.Unlock()
		err := w.open()
		if err == nil && !w.plug.pulled() {
			w.kept()
			return
		}
		if !w.plug.pulled() {
			w.t.Fatal(err)
		}
	}
}

// kept fails the test when a webhook that was acknowledged is not in the inbox.
func (w *mortal) kept() {
	w.t.Helper()
	stored := w.rows("SELECT DISTINCT record_id FROM inbox")
	for _, id := range w.acked {
		if _, ok := slices.BinarySearch(stored, id); !ok {
			w.t.Errorf("the webhook about order %s was acknowledged and is gone", id)
		}
	}
}

// ask is a person or a platform that wants something of Relance and asks again until it was done.
func (w *mortal) ask(what string, fn func() error) {
	w.t.Helper()
	for {
		w.died()
		err := fn()
		if !w.plug.pulled() {
			if err != nil {
				w.t.Fatalf("%s: %v", what, err)
			}
			return
		}
	}
}

// died replaces a process that died.
func (w *mortal) died() bool {
	if !w.plug.pulled() {
		return false
	}
	w.rise()
	return true
}

// shopDoes is what happens in the shop, with or without us.
func (w *mortal) shopDoes(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// refuseOnce answers the next request whose path ends so with a status, once.
func refuseOnce(statuses map[string]int) func(*http.Request) int {
	return func(r *http.Request) int {
		for end, status := range statuses {
			if strings.HasSuffix(r.URL.Path, end) {
				delete(statuses, end)
				return status
			}
		}
		return 0
	}
}

// begin is the story up to the end of the backfill. The campaign is armed before the shop was ever read: its history
// mails nobody.
func begin(t *testing.T, engine store.Dialect, p *plug) *mortal {
	t.Helper()
	dsn := "sqlite:relance.db"
	if engine != store.SQLite {
		dsn = servers.DSN(t, engine)
	}
	w := &mortal{world: newWorld(t, dsn), plug: p}
	w.fault, w.world.died = p.commit, w.died
	w.rise()
	w.ask("arming", func() error {
		_, err := mailer.Arm(t.Context(), w.d.mirror, "abandoned_cart", w.instant())
		return err
	})
	w.settle()
	if n := w.number("SELECT COUNT(*) FROM sends"); n > 0 {
		t.Errorf("B14: %d sends for the history", n)
	}
	w.complete()
	return w
}

// complete fails the test unless everything that the shop has came with the first reading, not with a later repair.
func (w *mortal) complete() {
	w.t.Helper()
	for table, n := range map[string]int{
		"orders": len(w.shop.OrderIDs()) + len(w.shop.OrderIDs("trash")), "customers": len(w.shop.CustomerIDs()),
		"products": len(w.shop.ProductIDs()), "refunds": len(w.shop.RefundIDs()), "categories": 11,
	} {
		if got := w.number("SELECT COUNT(*) FROM " + table + " WHERE gone_at=0"); got != n {
			w.t.Errorf("after the backfill there are %d of %d %s", got, n, table)
		}
	}
}

// backfilled is an installation after the backfill, to go on from.
type backfilled struct {
	dir  string
	now  time.Time
	seen map[string]int
}

// keep copies the installation. Its process is replaced by another one.
func (w *mortal) keep() *backfilled {
	w.t.Helper()
	w.close()
	b := &backfilled{dir: w.t.TempDir(), now: w.clock.Now(), seen: maps.Clone(w.plug.seen)}
	if err := os.CopyFS(b.dir, os.DirFS(w.dir)); err != nil {
		w.t.Fatal(err)
	}
	w.rise()
	return b
}

// goOn starts from a copy.
func goOn(t *testing.T, b *backfilled, p *plug) *mortal {
	t.Helper()
	w := &mortal{world: newWorld(t, "sqlite:relance.db"), plug: p}
	if err := os.RemoveAll(w.dir); err != nil {
		t.Fatal(err)
	}
	err := errors.Join(os.CopyFS(w.dir, os.DirFS(b.dir)), os.Chmod(filepath.Join(w.dir, "keys.json"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	w.adopt()
	w.fault, w.world.died = p.commit, w.died
	p.seen, p.died = maps.Clone(b.seen), map[string]bool{}
	w.move(b.now.Sub(w.clock.Now()))
	w.rise()
	return w
}

// adopt lets a copy send: it goes on in place of what it was copied from.
func (w *mortal) adopt() {
	w.t.Helper()
	db, err := store.Open(w.t.Context(), store.Options{DSN: "sqlite:" + filepath.Join(w.dir, "relance.db")})
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	p, err := openPlace(w.t.Context(), db, witnessOf(db, ""), nil)
	if err == nil {
		err = p.adopt(w.t.Context())
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// play is the story from there on. What happens in the shop happens at fixed instants of business time, whoever dies.
func (w *mortal) play() outcome {
	w.t.Helper()
	ctx, goods := w.t.Context(), w.shop.Goods()
	leave := func(who person, what int) int64 {
		id, err := w.shop.CreateDraft(who.order(goods[what].Item))
		w.shopDoes(err)
		return id
	}

	// Three carts are left; the shop is in trouble meanwhile.
	w.reach(time.Hour)
	bought := leave(w.people[1], 1)
	w.answer = refuseOnce(map[string]int{fmt.Sprintf("/orders/%d", bought): http.StatusServiceUnavailable, "/products": http.StatusOK})
	leave(w.people[0], 0)
	leave(w.people[2], 2)
	w.settle()
	w.answer = nil

	// The program is stopped politely and started again; somebody looks at the shop by hand, and pauses the campaign.
	w.reach(time.Hour + 20*time.Minute)
	w.ask("stopping", func() error { w.d.release(ctx); return nil })
	w.rise()
	w.settle()
	w.ask("wanting everything", func() error {
		if _, err := w.d.leases.Acquire(ctx, store.ShopLease(w.d.shops[0].ID)); err != nil {
			return err
		}
		return w.d.wantEverything(ctx, w.d.shops[0].ID, w.instant())
	})
	w.ask("pausing", func() error { return mailer.Pause(ctx, w.d.mirror, "abandoned_cart", "prices", w.instant()) })
	w.ask("resuming", func() error { return mailer.Resume(ctx, w.d.mirror, "abandoned_cart", w.instant()) })

	// One of the carts is bought within the hour; somebody else orders.
	w.reach(time.Hour + 40*time.Minute)
	w.shopDoes(w.shop.PlaceDraft(bought, ""))
	guest := person{First: "Noé", Last: "Exemple", Email: "noe@example.com"}
	order, err := w.shop.CreateOrder(guest.order(goods[3].Item))
	w.shopDoes(err)
	w.settle()

	// The hour is over. One of those who got a mail unsubscribes before the second one, and leaves another cart.
	w.reach(2*time.Hour + 5*time.Minute)
	w.settle()
	w.ask("unsubscribing", func() error {
		token, err := w.d.keys.Token(w.contact(w.people[0].Email))
		if err == nil {
			_, err = w.public.Unsubscribe(ctx, token)
		}
		return err
	})
	w.settle()
	leave(w.people[0], 4)
	w.settle()

	// The files are edited: a segment says something else, another one is gone. Meanwhile a further cart is left.
	w.reach(3 * time.Hour)
	leave(w.people[3], 5)
	w.write("segments/segments.yaml", strings.Replace(strings.Split(worldSegments, "dormant:")[0], "at_least: 2", "at_least: 3", 1))
	w.ask("stopping", func() error { w.d.release(ctx); return nil })
	w.rise()
	w.settle()

	// An order is deleted, of which WooCommerce tells nobody: counting finds it.
	w.reach(5 * time.Hour)
	w.shopDoes(errors.Join(w.shop.TrashOrder(w.shop.OrderIDs("completed")[0]), w.shop.DeleteOrder(order)))
	w.settle()
	w.ask("counting", func() error { _, err := w.d.shops[0].engine.RefreshCounts(ctx, w.clock.Now()); return err })
	w.settle()
	w.kept()

	w.acked = nil // kept for a week
	w.reach(9 * 24 * time.Hour)
	w.settle()
	return w.outcome()
}

// outcome is what must be the same whatever happened on the way.
type outcome struct {
	Facts   []string          // the mirror's views, memberships, changes, enrolments, suppressions
	Sends   map[string]string // campaign, step, person and occurrence → state and reason
	unknown int
}

func (w *mortal) outcome() outcome {
	w.t.Helper()
	o := outcome{Sends: map[string]string{}}
	for _, query := range []string{
		"SELECT email, audience, first_name, last_name, locale, country, zone, home_shop, registered_at FROM mirror_v1_contacts",
		"SELECT v.shop, v.id, c.email, v.email, v.first_name, v.role, v.city, v.country, v.registered_at FROM mirror_v1_customers v LEFT JOIN mirror_v1_contacts c ON c.id=v.contact_id",
		"SELECT v.id, c.email, v.status, v.state, v.counts_as_sale, v.total, v.refunded, v.currency FROM mirror_v1_orders v LEFT JOIN mirror_v1_contacts c ON c.id=v.contact_id",
		"SELECT order_id, line_id, product_id, name, quantity, total FROM mirror_v1_order_lines",
		"SELECT id, order_id, amount, refunded_at FROM mirror_v1_refunds",
		"SELECT v.id, c.email, v.total, v.created_at, v.active_at, v.closed_by FROM mirror_v1_carts v LEFT JOIN mirror_v1_contacts c ON c.id=v.contact_id",
		"SELECT cart_id, line_id, product_id, quantity, total FROM mirror_v1_cart_lines",
		"SELECT id, name, sku, type, status, price, in_stock FROM mirror_v1_products",
		"SELECT product_id, category_id, name FROM mirror_v1_product_categories",
		"SELECT c.email, v.topic, v.channel, v.state, v.basis, v.source FROM mirror_v1_consents v JOIN contacts c ON c.id=v.contact_id",
		"SELECT c.email, v.orders, v.sales, v.revenue, v.refunded, v.open_carts, v.first_placed_at, v.last_placed_at FROM mirror_v1_contact_stats v JOIN contacts c ON c.id=v.contact_id",
		"SELECT 'member', c.email, m.segment FROM memberships m JOIN segment_defs d ON d.segment=m.segment AND d.generation=m.generation AND d.state='live' JOIN contacts c ON c.id=m.contact_id",
		"SELECT 'change', c.email, s.segment, s.entered, s.cause, s.effective_at FROM segment_changes s JOIN contacts c ON c.id=s.contact_id WHERE s.cause IN ('change','clock','consent')",
		"SELECT 'enrolment', c.email, e.campaign, e.step, e.state, e.exit_reason FROM enrolments e JOIN contacts c ON c.id=e.contact_id",
		"SELECT 'suppressed', scope, reason FROM suppressions", "SELECT 'quarantine', kind, id FROM quarantine", "SELECT 'campaign', campaign, state FROM campaigns",
		"SELECT 'shop', name, fault, CASE WHEN skew_ms>0 THEN 'ahead' ELSE '' END FROM shops", "SELECT 'dirty', contact_id FROM dirty", "SELECT 'old webhook', record_id FROM inbox",
		"SELECT 'segment', segment, state FROM segment_defs",
	} {
		o.Facts = append(o.Facts, w.rows(query)...)
	}
	report, err := segments.Verify(w.t.Context(), mirror.New(w.d.db), w.clock.Now())
	if err != nil || len(report.Differences) > 0 {
		w.t.Errorf("segments differ from a recount: %+v, %v", report, err)
	}
	var sends []struct {
		ID                                               int64
		Campaign, Step, Email, Occurrence, State, Reason string
	}
	if err := w.d.db.Read().SelectContext(w.t.Context(), &sends,
		"SELECT s.id, s.campaign, s.step, c.email_norm AS email, s.occurrence, s.state, s.reason FROM sends s JOIN contacts c ON c.id=s.contact_id"); err != nil {
		w.t.Fatal(err)
	}
	times, to := w.handed()
	for _, s := range sends {
		cart := s.Occurrence[strings.LastIndexByte(s.Occurrence, ':')+1:] // the shop has another id in every world
		o.Sends[strings.Join([]string{s.Campaign, s.Step, s.Email, cart}, " ")] = s.State + " " + s.Reason
		id := sendID(s.ID)
		switch n := times[id]; {
		case s.State == "unknown" && n <= 1:
			o.unknown++
		case s.State == "accepted" && n == 1 && strings.EqualFold(to[id], s.Email), s.State == "refused" && n == 0:
		default:
			w.t.Errorf("send %s of %s is %s %s and was handed over %d times", s.Step, cart, s.State, s.Reason, n)
		}
		delete(times, id)
	}
	if len(times) > 0 {
		w.t.Errorf("mails that the ledger does not know: %v", times)
	}
	if n := w.number("SELECT COUNT(*) FROM (SELECT campaign, step, contact_id, occurrence FROM sends GROUP BY campaign, step, contact_id, occurrence HAVING COUNT(*)>1) AS twice"); n > 0 {
		w.t.Errorf("%d mails are in the ledger twice", n)
	}
	return o
}

// compare fails the test for every difference. Where a mail may have been on its way at the death, its outcome may be
// unknown instead, and only then.
func (o outcome) compare(t *testing.T, want outcome, mayBeUnknown bool) {
	t.Helper()
	if diff := cmp.Diff(want.Facts, o.Facts); diff != "" {
		t.Errorf("(-undisturbed +with a death):\n%s", diff)
	}
	sends := maps.Clone(want.Sends)
	for key, state := range o.Sends {
		if mayBeUnknown && strings.HasPrefix(state, "unknown") && strings.HasPrefix(sends[key], "accepted") {
			sends[key] = state
		}
	}
	if diff := cmp.Diff(sends, o.Sends); diff != "" {
		t.Errorf("sends (-undisturbed +with a death):\n%s", diff)
	}
}

// The shop of these tests can be asked without a network.
var _ http.RoundTripper = (*world)(nil)
