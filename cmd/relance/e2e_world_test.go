package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/relance/relance/config"
	"github.com/relance/relance/connectors/woocommerce/wooshop"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/loop"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/internal/web"
	"github.com/relance/relance/mailer"
)

// standing is a clock that only the test moves.
type standing struct {
	mu  sync.Mutex
	now time.Time
}

func (c *standing) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *standing) Real(d time.Duration) time.Duration { return d }

func (c *standing) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// world is one installation and the shop that it reads, without network, goroutine or timer: its engines are stepped in
// turn, and both business and real time stand still until the test moves them.
type world struct {
	t      *testing.T
	dir    string
	cfg    *config.Config
	clock  *standing // business time
	wall   *standing // real time, as engines see it; leases go by the database's
	shop   *wooshop.Shop
	ahead  time.Duration                    // how far the shop's clock is ahead
	fault  func(name, when string) error    // of every database that is opened
	answer func(*http.Request) (status int) // when not 0, the shop's answer is this refusal instead
	mails  http.RoundTripper                // who is handed mails, where it is not the outbox

	maxPages int         // bounds a SQLite file; 0 does not
	died     func() bool // replaces a process that died; nil when none does

	d      *daemon // the process; nil when there is none
	public web.PublicOptions
	rises  int // how many processes there were
	people []person
	acked  []string // ids of the orders whose webhook was acknowledged
}

const worldShop = `platform: woocommerce
woocommerce:
  url: http://127.0.0.1:1
  key: ` + wooshop.DefaultKey + `
  secret: ` + wooshop.DefaultSecret + `
  webhook_secret: ` + wooshop.DefaultWebhookSecret + `
mapping:
  consent: {customer: meta.newsletter_optin, order: meta.newsletter_optin}
`

const worldSegments = `cart_left:
  match:
    all:
      - open_cart: {idle_for: 1h, younger_than: 3d}
      - consent: granted
bought_twice:
  match: {bought: {at_least: 2}}
dormant:
  match: {last_purchase: {older_than: 60d}}
`

const worldCampaigns = `abandoned_cart:
  trigger: {enters: cart_left}
  occurrence: cart
  steps:
    - id: reminder
      send: {template: abandoned_cart}
    - id: pause
      wait: 10m
    - id: again
      send: {template: abandoned_cart}
`

// newWorld lays out the files; nothing is opened yet. A SQLite file is beside them.
func newWorld(t *testing.T, dsn string) *world {
	t.Helper()
	start := wooshop.RecordedAt().Add(time.Hour).Truncate(time.Second).UTC()
	w := &world{t: t, dir: t.TempDir(), clock: &standing{now: start}, wall: &standing{now: time.Now()}, ahead: 45 * time.Second}
	var err error
	if w.shop, err = wooshop.New(wooshop.Options{Clock: func() time.Time { return w.clock.Now().Add(w.ahead) }}); err != nil {
		t.Fatal(err)
	}
	if w.people, err = subscribers(w.shop); err != nil {
		t.Fatal(err)
	}
	w.shop.OnWebhook(w.deliver)
	w.write("relance.yaml", fmt.Sprintf(`database: "%s"
audiences:
  default:
    title: Atelier
    from: bonjour@boutique.example.com
    postal_address: 12 rue des Ateliers, Bordeaux
    provider: outbox
    outbox: {dir: outbox}
`, dsn))
	w.write("shops/boutique.yaml", worldShop)
	w.write("segments/segments.yaml", worldSegments)
	w.write("campaigns/campaigns.yaml", worldCampaigns)
	t.Cleanup(w.close)
	return w
}

func (w *world) write(name, text string) {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		w.t.Fatal(err)
	}
}

// RoundTrip answers as the shop, in this goroutine.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	if w.mails != nil && r.URL.Path == "/v3/mail/send" {
		return w.mails.RoundTrip(r)
	}
	rec := httptest.NewRecorder()
	if w.answer != nil {
		if status := w.answer(r); status != 0 {
			rec.Header().Set("Date", w.clock.Now().Add(w.ahead).Format(http.TimeFormat))
			if status == http.StatusOK {
				rec.Header().Set("Content-Type", "text/html")
			}
			rec.WriteHeader(status)
			return rec.Result(), nil
		}
	}
	w.shop.ServeHTTP(rec, r)
	a := rec.Result()
	a.Request = r
	return a, nil
}

// open starts a process: the files are read, every room is made, the leases of the dead are taken, definitions stored.
func (w *world) open() (err error) {
	w.close()
	if w.cfg, err = config.Load(w.dir, func(string) (string, bool) { return "", false }); err != nil {
		w.t.Fatal(err)
	}
	db, err := store.Open(w.t.Context(), store.Options{DSN: w.cfg.Database, Fault: w.fault, MaxPages: w.maxPages})
	if err != nil {
		w.t.Fatal(err)
	}
	w.rises++
	defer func() {
		if w.d == nil {
			err = errors.Join(err, db.Close())
		}
	}()
	if err := db.Migrate(w.t.Context()); err != nil {
		return err
	}
	a, err := openApp(w.t.Context(), w.cfg, db, appOptions{log: zap.NewNop(), now: w.clock.Now, wall: w.wall.Now, transport: w})
	if err != nil {
		return err
	}
	w.d = newDaemon(a, w.clock, func() int64 { return 1 })
	w.public = w.d.publicOptions()
	if err := w.d.leases.ExpireAll(w.t.Context()); err != nil { // on MySQL time does it
		return err
	}
	return w.d.begin(w.t.Context())
}

// close is the death of the process: nothing is given back.
func (w *world) close() {
	if w.d == nil {
		return
	}
	for _, box := range w.d.outboxes {
		if err := box.Close(); err != nil {
			w.t.Error(err)
		}
	}
	if err := w.d.db.Close(); err != nil {
		w.t.Error(err)
	}
	w.d = nil
}

// move lets time pass, business and real.
func (w *world) move(d time.Duration) {
	w.clock.move(d)
	w.wall.move(d)
}

// reach moves business time on to an instant after the world's beginning, unless it is later already.
func (w *world) reach(after time.Duration) {
	to := wooshop.RecordedAt().Add(time.Hour).Truncate(time.Second).Add(after)
	if d := to.Sub(w.clock.Now()); d > 0 {
		w.move(d)
	}
}

// step lets every engine work in turn, each a few steps at a time.
func (w *world) step() (worked bool, err error) {
	for _, s := range []loop.Step{w.d.shops[0].engine, w.d.maintainer, w.d.mailer} {
		for range 8 {
			_, did, err := s.Step(w.t.Context(), w.clock.Now())
			if err != nil {
				return false, err
			}
			if !did {
				break
			}
			worked = true
		}
	}
	return worked, nil
}

// quiet tells whether nothing is left to be done or waited for.
func (w *world) quiet() bool {
	w.t.Helper()
	for _, query := range []string{
		"SELECT COUNT(*) FROM streams WHERE attempts>0 OR backfilled_at=0", "SELECT COUNT(*) FROM hints",
		"SELECT COUNT(*) FROM sends WHERE state IN ('ready','deferred','handing')", "SELECT COUNT(*) FROM segment_changes WHERE pending=1",
	} {
		if w.number(query) > 0 {
			return false
		}
	}
	settled, err := w.d.maintainer.Settled(w.t.Context(), w.clock.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	return settled
}

// settle steps until nothing is left to do, letting a few seconds pass whenever something is waited for.
func (w *world) settle() {
	w.t.Helper()
	for range 2000 {
		worked, err := w.step()
		switch {
		case w.died != nil && w.died():
		case err != nil:
			w.t.Fatal(err)
		case worked:
		case w.quiet():
			return
		default:
			w.move(5 * time.Second)
		}
	}
	w.t.Fatalf("it never settles: streams %v, sends %v, hints %v", w.rows("SELECT stream, attempts, error FROM streams WHERE attempts>0 OR backfilled_at=0"),
		w.rows("SELECT state, reason FROM sends"), w.rows("SELECT kind, id, error FROM hints"))
}

func (w *world) number(query string, args ...any) (n int) {
	w.t.Helper()
	if err := w.d.db.Read().GetContext(w.t.Context(), &n, query, args...); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// rows gives each row as one text, sorted.
func (w *world) rows(query string) (all []string) {
	w.t.Helper()
	rows, err := w.d.db.Read().QueryxContext(w.t.Context(), query)
	if err != nil {
		w.t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	for rows.Next() {
		cells, err := rows.SliceScan()
		if err != nil {
			w.t.Fatal(err)
		}
		texts := make([]string, len(cells))
		for i, c := range cells {
			if b, ok := c.([]byte); ok {
				c = string(b)
			}
			texts[i] = fmt.Sprint(c)
		}
		all = append(all, strings.Join(texts, "|"))
	}
	if err := rows.Err(); err != nil {
		w.t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

// deliver is the shop's one attempt at a webhook. A process that is dead answers nothing.
func (w *world) deliver(h http.Header, body []byte) {
	if w.d == nil {
		return
	}
	status := w.public.Receive(w.t.Context(), "boutique", h, body)
	var order struct{ ID json.Number }
	if status == http.StatusOK && json.Unmarshal(body, &order) == nil {
		w.acked = append(w.acked, order.ID.String())
	}
}

// handed counts the hand-overs of every mail by its id, and gives the recipients.
func (w *world) handed() (times map[string]int, to map[string]string) {
	w.t.Helper()
	box := w.d.outboxes["default"]
	times, err := box.Handed()
	if err != nil {
		w.t.Fatal(err)
	}
	mails, err := box.Mails(10_000)
	if err != nil {
		w.t.Fatal(err)
	}
	to = map[string]string{}
	for _, m := range mails {
		to[m.ID] = m.To
	}
	return times, to
}

func (w *world) instant() crm.Instant { return crm.At(w.clock.Now()) }

// contact finds somebody by e-mail.
func (w *world) contact(email string) mailer.Subject {
	w.t.Helper()
	var s mailer.Subject
	row := struct {
		ID         int64
		AudienceID int64 `db:"audience_id"`
	}{}
	if err := w.d.db.Read().GetContext(w.t.Context(), &row, "SELECT id, audience_id FROM contacts WHERE email_norm=?", strings.ToLower(email)); err != nil {
		w.t.Fatal(err)
	}
	s.ContactID, s.AudienceID, s.Topic = row.ID, row.AudienceID, mailer.TopicMarketing
	return s
}
