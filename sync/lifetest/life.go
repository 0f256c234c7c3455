package lifetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/sync/engine"
)

const (
	rounds      = 60
	stepsAtOnce = 20
	mostSteps   = 5000 // an engine that has not come to rest by then never will
	storyKept   = 400  // lines
)

var errCrash = errors.New("the machine stopped")

// life is one shop, one database, and Relance between them.
type life struct {
	t     *testing.T
	dice  *dice
	db    *store.DB
	m     *mirror.Mirror
	row   mirror.Shop
	shop  Shop
	url   string
	src   connectors.Source
	e     *engine.Engine
	guard *trouble

	now     atomic.Int64 // business time, ns
	skew    time.Duration
	lastAct time.Time
	late    []lateHint
	crashes atomic.Bool

	mu    sync.Mutex
	story []string
}

type lateHint struct {
	at   time.Time
	refs []crm.Ref
}

// live lets one shop live and tells what differs in the end, "" for nothing.
func live(t *testing.T, dialect store.Dialect, seed uint64, open func(*testing.T, func() time.Time) Shop) (wrong string) {
	t.Helper()
	l := &life{t: t, dice: newDice(seed)}
	l.skew = []time.Duration{0, 3 * time.Second, -40 * time.Second, 2 * time.Minute, -4 * time.Minute}[l.dice.pick(5)]
	// A plain day, and the nights on which clocks change in Europe.
	births := []time.Time{time.Date(2027, 10, 30, 19, 0, 0, 0, time.UTC), time.Date(2027, 3, 27, 20, 0, 0, 0, time.UTC), time.Date(2027, 2, 10, 9, 0, 0, 0, time.UTC)}
	l.at(births[seed%3])
	l.db = servers.Open(t, dialect, store.Options{Fault: l.commit})
	l.shop = open(t, l.shopTime)
	l.guard = &trouble{dice: l.dice, shop: l.shop, clock: l.shopTime, act: func(note string) { l.act(note) }, tell: func(s string) { l.tell("%s", s) }}
	server := httptest.NewServer(l.guard)
	defer server.Close()
	l.url = server.URL
	l.register()
	l.start()
	l.guard.on.Store(true)
	for range rounds {
		l.round()
	}
	l.guard.on.Store(false)
	l.tell("no more webhooks and no more trouble")
	l.late = nil
	l.end()
	if diff := l.compare(); len(diff) > 0 {
		return fmt.Sprintf("skew of the shop's clock: %v\n%s\n\nthe end of the story:\n%s", l.skew, strings.Join(diff, "\n"), strings.Join(l.story, "\n"))
	}
	return ""
}

func (l *life) business() time.Time { return time.Unix(0, l.now.Load()).UTC() }

func (l *life) shopTime() time.Time { return l.business().Add(l.skew) }

func (l *life) at(now time.Time) { l.now.Store(now.UnixNano()) }

func (l *life) tell(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.story = append(l.story, l.business().Format("02 15:04:05 ")+fmt.Sprintf(format, args...))
	if len(l.story) > storyKept {
		l.story = slices.Delete(l.story, 0, len(l.story)-storyKept)
	}
}

// commit lets the machine stop at a commit now and then.
func (l *life) commit(name, when string) error {
	if l.crashes.Load() && strings.HasPrefix(name, "sync.") && l.dice.percent(1) {
		l.tell("stopped %s the commit of %s", when, name)
		return errCrash
	}
	return nil
}

func (l *life) register() {
	l.t.Helper()
	l.m = mirror.New(l.db)
	if _, err := l.m.EnsureAudience(l.t.Context(), "default", "Default"); err != nil {
		l.t.Fatal(err)
	}
	var err error
	l.row, err = l.m.EnsureShop(l.t.Context(), mirror.ShopSpec{Name: "shop", Audience: "default", Platform: "life", Title: "A shop", Address: l.url, Zone: "Europe/Paris"})
	if err != nil {
		l.t.Fatal(err)
	}
}

// start begins a process: a connector and an engine that know nothing but what the database tells them.
func (l *life) start() {
	l.t.Helper()
	src, err := l.shop.Connect(l.url, l.business)
	if err != nil {
		l.t.Fatal(err)
	}
	leases := store.NewLeases(l.db, fmt.Sprintf("process %d", l.db.NewID()), time.Hour)
	if err := leases.ExpireAll(l.t.Context()); err != nil {
		l.t.Fatal(err)
	}
	row, err := l.m.ShopByName(l.t.Context(), l.row.Name)
	if err != nil {
		l.t.Fatal(err)
	}
	l.src = src
	l.e = engine.New(engine.Options{Mirror: l.m, Leases: leases, Shop: row, Source: src, Log: zap.NewNop(), Wall: l.business, Now: l.business})
}

// round is a while in the life: something happens, somebody is told, Relance works a little.
func (l *life) round() {
	l.t.Helper()
	waits := []time.Duration{0, time.Second, 10 * time.Second, time.Minute, 5 * time.Minute, 20 * time.Minute, 2 * time.Hour}
	l.at(l.business().Add(l.dice.span(waits[l.dice.pick(len(waits))])))
	for range l.dice.pick(4) {
		l.act("")
	}
	l.deliver()
	if l.dice.percent(10) {
		l.unsubscribe()
	}
	if l.dice.percent(8) {
		l.tell("Relance restarts")
		l.start()
	}
	steps := 1 + l.dice.pick(stepsAtOnce)
	if l.dice.percent(20) {
		steps = mostSteps
	}
	l.crashes.Store(true)
	l.steps(steps)
	l.crashes.Store(false)
}

// act lets something happen in the shop. The webhook is lost, comes, comes twice, or comes late.
func (l *life) act(note string) {
	done, named := l.shop.Act(l.dice.pick)
	l.mu.Lock()
	l.lastAct = l.business()
	l.mu.Unlock()
	l.tell("%s %s %v", done, note, named)
	fate := l.dice.pick(10)
	if len(named) == 0 || fate < 3 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.business()
	l.late = append(l.late, lateHint{now, named}) // now or, from within a request, after it
	if fate > 7 {
		l.late = append(l.late, lateHint{now.Add(l.dice.span(time.Hour)), named})
	}
}

// deliver queues the re-reads of webhooks that have arrived, as the inbox does.
func (l *life) deliver() {
	l.t.Helper()
	l.mu.Lock()
	var refs []crm.Ref
	l.late = slices.DeleteFunc(l.late, func(h lateHint) bool {
		if h.at.After(l.business()) {
			return false
		}
		refs = append(refs, h.refs...)
		return true
	})
	l.mu.Unlock()
	if len(refs) == 0 {
		return
	}
	if err := l.db.Write(l.t.Context(), "inbox.store", func(tx *store.Tx) error {
		return l.m.AddHints(l.t.Context(), tx, l.row.ID, refs, crm.At(l.business()))
	}); err != nil {
		l.t.Fatal(err)
	}
}

// unsubscribe lets somebody with an account click the link in a mail. It is written back where the shop's key and
// mapping allow it; the shop then says no by itself.
func (l *life) unsubscribe() {
	l.t.Helper()
	actor, ok := l.src.(connectors.Actor)
	if !ok || !slices.Contains(actor.Acts(), connectors.TaskUnsubscribe) {
		return
	}
	var people []struct {
		ContactID int64 `db:"contact_id"`
		ID        string
	}
	ctx := l.t.Context()
	if err := l.db.Read().SelectContext(ctx, &people, "SELECT contact_id, id FROM customers WHERE shop_id=? AND gone_at=0 AND contact_id>0 ORDER BY id", l.row.ID); err != nil {
		l.t.Fatal(err)
	}
	if len(people) == 0 {
		return
	}
	who, at := people[l.dice.pick(len(people))], crm.At(l.business())
	l.tell("customer %s unsubscribes", who.ID)
	if err := l.db.Write(ctx, "mailer.unsubscribe", func(tx *store.Tx) error {
		if _, err := l.m.SetConsent(ctx, tx, mirror.ConsentChange{
			ContactID: who.ContactID, Topic: "marketing", Channel: "email", State: crm.ConsentWithdrawn, Source: "one-click", SourceAt: at, SeenAt: at, ByPerson: true,
		}); err != nil {
			return err
		}
		return l.m.QueueUnsubscribe(ctx, tx, who.ContactID, at)
	}); err != nil {
		l.t.Fatal(err)
	}
}

// steps drives the engine until it has nothing to do, at most n times; it survives crashes.
func (l *life) steps(n int) {
	l.t.Helper()
	for range n {
		_, worked, err := l.e.Step(l.t.Context(), l.business())
		switch {
		case errors.Is(err, errCrash):
			l.start()
		case err != nil:
			l.t.Fatalf("step: %v\n%s", err, strings.Join(l.story, "\n"))
		case !worked:
			return
		}
		if n < mostSteps && l.dice.percent(20) { // pages of a run lie seconds apart
			l.at(l.business().Add(l.dice.span(10 * time.Second)))
		}
	}
	if n >= mostSteps {
		l.t.Fatalf("the engine never comes to rest\n%s", strings.Join(l.story, "\n"))
	}
}

// end lets time go by until every stream has begun and ended a run after the last act and nothing is queued.
func (l *life) end() {
	l.t.Helper()
	waits := []time.Duration{time.Second, time.Minute, 11 * time.Minute, time.Hour, 7 * time.Hour, 25 * time.Hour, 25 * time.Hour, 25 * time.Hour}
	for _, wait := range waits {
		l.at(l.business().Add(wait))
		l.steps(mostSteps)
	}
	for _, why := range l.unread() {
		l.t.Errorf("after four quiet days: %s", why)
	}
}

func (l *life) unread() (why []string) {
	l.t.Helper()
	rows, err := l.m.Streams(l.t.Context(), l.row.ID)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, s := range rows {
		if s.BackfilledAt == 0 || s.ReadAt <= crm.At(l.lastAct) {
			why = append(why, fmt.Sprintf("stream %s has not been read (%d attempts, %s)", s.Stream, s.Attempts, s.Error))
		}
	}
	hints, err := l.m.DueHints(l.t.Context(), l.row.ID, crm.Never, 10)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, h := range hints {
		why = append(why, fmt.Sprintf("%s %s waits to be read again", h.Kind, h.ID))
	}
	tasks, err := l.m.DueTasks(l.t.Context(), l.row.ID, crm.Never-1, 10)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, t := range tasks {
		why = append(why, fmt.Sprintf("%s %s is not done (%s)", t.Kind, t.Key, t.Error))
	}
	return why
}

// compare tells where mirror and shop differ, and counts that do not add up.
func (l *life) compare() []string {
	l.t.Helper()
	ctx := l.t.Context()
	have, err := mirrored(ctx, l.db.Read(), l.row.ID)
	if err != nil {
		l.t.Fatal(err)
	}
	spoiled := map[crm.Ref]bool{}
	if s, ok := l.shop.(Spoiler); ok {
		for _, ref := range s.Spoiled() {
			spoiled[ref] = true
		}
	}
	var held []struct{ Kind, ID string }
	if err := l.db.Read().SelectContext(ctx, &held, "SELECT kind, id FROM quarantine WHERE shop_id=?", l.row.ID); err != nil {
		l.t.Fatal(err)
	}
	quarantined := map[crm.Ref]bool{}
	for _, h := range held {
		quarantined[crm.Ref{Kind: crm.Kind(h.Kind), ID: h.ID}] = true
	}
	truth := l.shop.Truth()
	if len(truth) == 0 {
		return []string{"the shop is empty: nothing was tested"}
	}
	return slices.Concat(differences(truth, have, spoiled, quarantined), l.counts(ctx), l.unheard(ctx))
}

// unheard names those who unsubscribed, and whose withdrawal is neither done in the shop nor parked with a reason.
func (l *life) unheard(ctx context.Context) (wrong []string) {
	l.t.Helper()
	tasks, err := l.m.Tasks(ctx, l.row.ID)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, t := range tasks {
		if t.State == mirror.TaskParked && t.Error == "" {
			wrong = append(wrong, t.Kind+" "+t.Key+" is parked without a reason")
		}
		var ticked int
		if err := l.db.Read().GetContext(ctx, &ticked, `SELECT COUNT(*) FROM optins o JOIN customers c ON c.shop_id=o.shop_id AND c.id=o.id WHERE o.shop_id=? AND o.kind='customer'
 AND o.id=? AND o.value='yes' AND o.observed_at<=? AND o.gone_at=0 AND c.gone_at=0`, l.row.ID, t.Key, t.DoneAt.Add(l.skew-time.Hour)); err != nil {
			l.t.Fatal(err)
		}
		if t.State == mirror.TaskDone && ticked > 0 {
			wrong = append(wrong, t.Kind+" "+t.Key+" is done, and yet the shop says yes as before")
		}
	}
	return wrong
}

// counts must add up for every kind whose records the shop can count.
func (l *life) counts(ctx context.Context) (wrong []string) {
	l.t.Helper()
	if _, err := l.e.RefreshCounts(ctx, l.business()); err != nil {
		l.t.Fatal(err)
	}
	counted := map[crm.Kind]bool{}
	for _, s := range l.src.Streams() {
		if !s.Part {
			counted[s.Kind] = true
		}
	}
	all, err := l.m.Counts(ctx, l.row.ID)
	if err != nil {
		l.t.Fatal(err)
	}
	slices.SortFunc(all, func(a, b mirror.Count) int { return cmp.Compare(a.Kind, b.Kind) })
	for _, c := range all {
		if counted[c.Kind] && c.Source != c.Mirrored+c.Quarantined+c.Erased {
			wrong = append(wrong, fmt.Sprintf("%s: the shop has %d, mirrored are %d, in quarantine %d", c.Kind, c.Source, c.Mirrored, c.Quarantined))
		}
	}
	return wrong
}
