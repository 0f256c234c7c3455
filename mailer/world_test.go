package mailer_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/internal/store/storetest"
	"github.com/relance/relance/mailer"
	"github.com/relance/relance/mailer/render"
	"github.com/relance/relance/mailer/templates"
	"github.com/relance/relance/segments/rule"
)

var servers storetest.Servers //nolint:gochecknoglobals // one server per test binary

func TestMain(m *testing.M) { os.Exit(storetest.Main(m, &servers)) }

const (
	boutique  = "boutique"
	idleCart  = "idle_cart" // segments of the tests
	anybody   = "anybody"
	cartMails = "cart_mails" // campaigns
)

// outside is the provider: it remembers what it was handed and answers as it is told.
type outside struct {
	mu     sync.Mutex
	mails  []mailer.Mail
	real   bool
	answer func(m mailer.Mail) error // nil = accepts; called outside the lock
}

func (o *outside) Name() string { return "outside" }
func (o *outside) Real() bool   { return o.real }

func (o *outside) Send(_ context.Context, m mailer.Mail) (string, error) {
	o.mu.Lock()
	o.mails = append(o.mails, m)
	n, answer := len(o.mails), o.answer
	o.mu.Unlock()
	if answer != nil {
		if err := answer(m); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("m%d", n), nil
}

func (o *outside) got() []mailer.Mail {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.mails)
}

// world is one installation: a shop that has been read, an armed campaign, an engine, and clocks that stand still.
type world struct {
	tb       testing.TB
	db       *store.DB
	m        *mirror.Mirror
	leases   *store.Leases
	e        *mailer.Engine
	out      *outside
	options  mailer.EngineOptions
	segments map[string]*rule.Segment
	audience int64
	shop     int64
	now      time.Time     // business time
	ahead    time.Duration // how far real time has been put ahead
	silent   bool          // the shop is not read any more
	ids      int64         // > 0: the last id of a contact; 0: random ones
}

func noon() time.Time { return time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC) }

func newWorld(tb testing.TB, db *store.DB) *world {
	tb.Helper()
	w := openWorld(tb, db, "first")
	w.audience = must(w.m.EnsureAudience(tb.Context(), "default", "Boutique"))(tb)
	w.shop = w.addShop(boutique, "opt_in")
	for id, s := range w.segments {
		spec := must(s.Encode())(tb)
		w.insert("segment_defs", []string{"segment", "generation", "state", "hash", "spec"}, []any{id, 1, "live", s.Hash(), spec})
	}
	w.rebuild()
	return w
}

// openWorld attaches to a database as a process named owner would at its start.
func openWorld(tb testing.TB, db *store.DB, owner string) *world {
	tb.Helper()
	set, problems := render.Load(nil, nil, templates.Default())
	if len(problems) > 0 {
		tb.Fatal(problems)
	}
	w := &world{tb: tb, db: db, m: mirror.New(db), leases: store.NewLeases(db, owner, time.Hour), out: &outside{}, now: noon()}
	w.segments = map[string]*rule.Segment{
		idleCart: compiled(tb, idleCart, w.file()[idleCart].Match),
		anybody:  compiled(tb, anybody, w.file()[anybody].Match),
	}
	w.options = mailer.EngineOptions{
		Renderer: set, PublicURL: "https://mail.example", Keys: mailer.Keys{{ID: "k1", Secret: []byte("a secret of the tests")}},
		Wall: func() time.Time { return time.Now().Add(w.ahead) }, Parallel: 8,
		Evaluate: func(p *crm.Profile, segment string, t crm.Instant) (bool, error) {
			s, ok := w.segments[segment]
			if !ok {
				return false, fmt.Errorf("there is no segment %s", segment)
			}
			return s.Match(p, t), nil
		},
	}
	if _, err := w.leases.Acquire(tb.Context(), store.LaneLeases(crm.Lanes)...); err != nil {
		tb.Fatal(err)
	}
	return w
}

// rebuild makes the engine anew from the options, as a restart with another configuration would.
func (w *world) rebuild() {
	w.tb.Helper()
	if w.options.Senders == nil {
		if w.audience == 0 {
			w.audience = must(w.m.EnsureAudience(w.tb.Context(), "default", ""))(w.tb)
		}
		w.options.Senders = map[int64]mailer.Sender{w.audience: {
			FromEmail: "bonjour@boutique.example", FromName: "Maison Alba", PostalAddress: "1 rue de la Paix, Paris", Provider: w.out,
		}}
	}
	w.e = mailer.NewEngine(w.m, w.leases, w.options)
}

func (w *world) sender(change func(*mailer.Sender)) {
	s := w.options.Senders[w.audience]
	change(&s)
	w.options.Senders[w.audience] = s
	w.rebuild()
}

func compiled(tb testing.TB, id string, c rule.Condition) *rule.Segment {
	tb.Helper()
	return must(rule.Compile(id, rule.Spec{Match: c}))(tb)
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(tb testing.TB) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}

func (w *world) write(fn func(tx *store.Tx) error) {
	w.tb.Helper()
	if err := w.db.Write(context.Background(), "test", fn); err != nil {
		w.tb.Fatal(err)
	}
}

func (w *world) insert(table string, cols []string, rows ...[]any) {
	w.tb.Helper()
	w.write(func(tx *store.Tx) error { return tx.Insert(context.Background(), table, cols, rows) })
}

func (w *world) exec(query string, args ...any) {
	w.tb.Helper()
	w.write(func(tx *store.Tx) error {
		_, err := tx.ExecContext(context.Background(), query, args...)
		return err
	})
}

func (w *world) addShop(name, basis string) int64 {
	w.tb.Helper()
	s := must(w.m.EnsureShop(w.tb.Context(), mirror.ShopSpec{
		Name: name, Audience: "default", Platform: "woocommerce", Title: "Maison Alba", Address: "https://" + name + ".example", Zone: "Europe/Paris", Locale: "fr", Basis: basis,
	}))(w.tb)
	w.write(func(tx *store.Tx) error {
		if err := w.m.SetBackfilled(context.Background(), tx, s.ID, crm.At(w.now.Add(-time.Hour))); err != nil {
			return err
		}
		return w.m.SaveStream(context.Background(), tx, mirror.Stream{ShopID: s.ID, Stream: "orders", Kind: crm.KindOrder, ReadAt: crm.At(w.now)})
	})
	return s.ID
}

// arm deploys one campaign and arms it a day ago.
func (w *world) arm(id string, s mailer.CampaignSpec) {
	w.tb.Helper()
	w.armAt(id, s, w.now.Add(-24*time.Hour))
}

func (w *world) armAt(id string, s mailer.CampaignSpec, at time.Time) {
	w.tb.Helper()
	w.deploy(mailer.CampaignFile{id: s})
	if _, err := mailer.Arm(w.tb.Context(), w.m, id, crm.At(at)); err != nil {
		w.tb.Fatal(err)
	}
	w.exec("UPDATE campaign_shops SET armed_at=? WHERE campaign=?", crm.At(at), id) // the backfill ended an hour ago
}

func (w *world) deploy(f mailer.CampaignFile) []mailer.Deployed {
	w.tb.Helper()
	known := mailer.Known{
		Segments: w.file(), Audiences: map[string]bool{"default": true},
		Templates: map[string]bool{"abandoned_cart": true, "win_back": true, "welcome": true},
	}
	if problems := f.Validate(known); len(problems) > 0 {
		w.tb.Fatal(problems)
	}
	return must(mailer.Deploy(w.tb.Context(), w.m, f, w.file(), crm.At(w.now)))(w.tb)
}

// file are the definitions of the segments as files have them.
func (w *world) file() rule.File {
	return rule.File{
		idleCart: {Match: rule.Condition{OpenCart: &rule.OpenCart{IdleFor: "30m"}}},
		anybody:  {Match: rule.Condition{Not: &rule.Condition{Bought: &rule.Bought{AtLeast: "99"}}}},
	}
}

// cartCampaign mails once per cart.
func cartCampaign() mailer.CampaignSpec {
	return mailer.CampaignSpec{
		Trigger: mailer.TriggerSpec{Enters: idleCart}, Occurrence: mailer.Occurrence{Mode: mailer.OccurrenceCart},
		Steps: []mailer.StepSpec{{ID: "first", Send: &mailer.SendSpec{Template: "abandoned_cart"}}},
	}
}

// plainCampaign mails everybody once, whatever they do.
func plainCampaign() mailer.CampaignSpec {
	return mailer.CampaignSpec{
		Trigger: mailer.TriggerSpec{Enters: anybody},
		Steps:   []mailer.StepSpec{{ID: "first", Send: &mailer.SendSpec{Template: "win_back"}}},
	}
}

// contact adds somebody who has agreed to marketing.
func (w *world) contact(email string) int64 {
	w.tb.Helper()
	id := w.stranger(email)
	w.consent(id, crm.ConsentGranted)
	return id
}

// stranger adds somebody who has never been asked.
func (w *world) stranger(email string) int64 {
	w.tb.Helper()
	id := w.db.NewID()
	if w.ids > 0 {
		w.ids++
		id = w.ids
	}
	w.insert("contacts", []string{"id", "audience_id", "lane", "email", "email_norm", "first_name", "zone", "locale", "home_shop_id", "live"},
		[]any{id, w.audience, crm.LaneOf(id), email, crm.NormEmail(email), "Zoé", "Europe/Paris", "fr", w.shop, 1})
	return id
}

func (w *world) consent(id int64, state string) {
	w.tb.Helper()
	w.write(func(tx *store.Tx) error {
		return tx.Upsert(context.Background(), "consent_state", []string{"contact_id", "topic", "channel"},
			[]string{"contact_id", "topic", "channel", "lane", "state"}, [][]any{{id, "marketing", "email", crm.LaneOf(id), state}})
	})
}

// cart gives a contact an open cart, begun and left two hours ago.
func (w *world) cart(contact int64, id string) {
	w.tb.Helper()
	at := crm.At(w.now.Add(-2 * time.Hour))
	w.insert("carts", []string{"shop_id", "id", "contact_id", "currency", "total", "created_at", "active_at", "recover_url"},
		[]any{w.shop, id, contact, "EUR", 4990, at, at, "https://boutique.example/panier/" + id})
	w.insert("cart_lines", []string{"shop_id", "cart_id", "line_id", "name", "quantity", "total"}, []any{w.shop, id, "1", "Écharpe", 1, 4990})
}

func (w *world) order(contact int64, shop int64, id, state string, at time.Time) {
	w.tb.Helper()
	sale := 0
	if state == crm.StateAccepted || state == crm.StateCompleted {
		sale = 1
	}
	w.insert("orders", []string{"shop_id", "id", "contact_id", "state", "counts_as_sale", "currency", "total", "placed_at", "coupons", "attribution"},
		[]any{shop, id, contact, state, sale, "EUR", 4990, crm.At(at), "", ""})
}

// enter records that a contact entered a segment at an instant.
func (w *world) enter(contact int64, segment string, at time.Time) {
	w.tb.Helper()
	w.change(contact, segment, true, at, crm.CauseChange)
}

func (w *world) change(contact int64, segment string, entered bool, at time.Time, cause crm.Cause) {
	w.tb.Helper()
	w.write(func(tx *store.Tx) error {
		in := 0
		if entered {
			in = 1
			if err := tx.Upsert(context.Background(), "memberships", []string{"contact_id", "segment", "generation"},
				[]string{"contact_id", "segment", "generation", "lane", "since"}, [][]any{{contact, segment, 1, crm.LaneOf(contact), crm.At(at)}}); err != nil {
				return err
			}
		} else if _, err := tx.ExecContext(context.Background(), "DELETE FROM memberships WHERE contact_id=? AND segment=?", contact, segment); err != nil {
			return err
		}
		var members int
		if err := tx.GetContext(context.Background(), &members, "SELECT COUNT(*) FROM memberships WHERE segment=?", segment); err != nil {
			return err
		}
		if err := tx.Upsert(context.Background(), "segment_sizes", []string{"segment", "generation", "lane"},
			[]string{"segment", "generation", "lane", "members"}, [][]any{{segment, 1, 0, members}}); err != nil {
			return err
		}
		return tx.Insert(context.Background(), "segment_changes", []string{"id", "contact_id", "lane", "segment", "entered", "effective_at", "recorded_at", "cause", "pending"},
			[][]any{{tx.NewID(), contact, crm.LaneOf(contact), segment, in, crm.At(at), crm.At(w.now), string(cause), 1}})
	})
}

// waiting brings a contact to where its mail waits for the gate: the shop must be read first, and is not yet.
func (w *world) waiting(contact int64, segment string) {
	w.tb.Helper()
	w.silent = true
	w.exec("UPDATE streams SET read_at=?", crm.At(w.now.Add(-time.Hour)))
	w.enter(contact, segment, w.now)
	w.run()
	if s := w.one(contact); s.State != mailer.Deferred || s.Reason != mailer.WaitingForShop {
		w.tb.Fatalf("the mail does not wait at the gate: %s %s", s.State, s.Reason)
	}
	w.silent = false
	w.now = w.now.Add(10 * time.Second)
}

// run steps until nothing is left to do now.
func (w *world) run() {
	w.tb.Helper()
	if err := w.tryRun(); err != nil {
		w.tb.Fatal(err)
	}
}

func (w *world) tryRun() error {
	if !w.silent {
		if err := w.db.Write(context.Background(), "test", func(tx *store.Tx) error {
			_, err := tx.ExecContext(context.Background(), "UPDATE streams SET read_at=?", crm.At(w.now))
			return err
		}); err != nil {
			return err
		}
	}
	for range 1000 {
		_, worked, err := w.e.Step(context.Background(), w.now)
		if err != nil {
			return err
		}
		if !worked {
			return nil
		}
	}
	return fmt.Errorf("the engine finds work for ever")
}

func (w *world) runAt(at time.Time) {
	w.tb.Helper()
	w.now = at
	w.run()
}

func (w *world) sends(f mailer.SendFilter) []mailer.SendInfo {
	w.tb.Helper()
	return must(mailer.Sends(context.Background(), w.db.Read(), f))(w.tb)
}

// one is the newest send to a contact.
func (w *world) one(contact int64) mailer.SendInfo {
	w.tb.Helper()
	list := w.sends(mailer.SendFilter{ContactID: contact})
	if len(list) == 0 {
		w.tb.Fatal("there is no send to the contact")
	}
	return list[0]
}

func (w *world) expect(contact int64, state mailer.State, reason mailer.Reason) {
	w.tb.Helper()
	if s := w.one(contact); s.State != state || s.Reason != reason {
		w.tb.Fatalf("the send is %s %q, want %s %q", s.State, s.Reason, state, reason)
	}
}

func (w *world) expectMails(n int) {
	w.tb.Helper()
	if got := w.out.got(); len(got) != n {
		w.tb.Fatalf("%d mails were handed over, want %d", len(got), n)
	}
}

func (w *world) count(query string, args ...any) int {
	w.tb.Helper()
	var n int
	if err := w.db.Read().GetContext(context.Background(), &n, query, args...); err != nil {
		w.tb.Fatal(err)
	}
	return n
}

// exec2 is exec on another handle of the same database.
func (w *world) exec2(db *store.DB, query string) {
	w.tb.Helper()
	err := db.Write(context.Background(), "test", func(tx *store.Tx) error {
		_, err := tx.ExecContext(context.Background(), query)
		return err
	})
	if err != nil {
		w.tb.Fatal(err)
	}
}
