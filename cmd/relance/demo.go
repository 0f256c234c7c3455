package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/relance/relance/config"
	"github.com/relance/relance/connectors/woocommerce"
	"github.com/relance/relance/connectors/woocommerce/wooshop"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/loop"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/mailer"
	"github.com/relance/relance/segments"
	"github.com/relance/relance/sync/engine"
)

type demoCmd struct {
	Once  bool   `help:"Stop at the first settled state instead of going on; no page."`
	JSON  bool   `help:"With --once: one JSON object on stdout." name:"json"`
	Speed int64  `help:"How many times faster than life business time runs once the shop is mirrored." default:"900"`
	Admin string `help:"Address of the page." default:"127.0.0.1:8484" placeholder:"HOST:PORT"`
}

// Help says what it shows.
func (demoCmd) Help() string {
	return "A recorded WooCommerce shop on loopback, Relance on a SQLite file in a temporary folder, and mail kept instead of sent.\n" +
		"Nothing leaves this machine and nothing stays on it.\n\nExamples:\n\n  relance demo\n  relance demo --once --json"
}

// demoStart is business time when the demo begins: shortly before a recorded customer's sixtieth day without an order.
func demoStart() time.Time { return time.Date(2026, 11, 26, 18, 45, 0, 0, time.UTC) }

// demo is one run: the shop, and Relance reading it as any other.
type demo struct {
	cmd     *demoCmd
	d       *deps
	clock   *loop.FastClock
	shop    *wooshop.Shop
	app     *app
	say     *narrator
	reading *underway
	hooks   string // address of the webhook receiver
	cleanup []func()
	begun   time.Time
}

// Run shows Relance at work.
func (c *demoCmd) Run(d *deps) (err error) {
	if c.JSON && !c.Once {
		return usage("--json goes with --once")
	}
	if c.Speed < 1 {
		return usage("--speed is 1 or more")
	}
	m := &demo{cmd: c, d: d, clock: loop.NewFastClock(demoStart(), 1), begun: time.Now(), say: newNarrator(c, d), reading: newUnderway()}
	defer func() {
		for _, undo := range slices.Backward(m.cleanup) {
			undo()
		}
	}()
	public, admin, err := m.open(d.ctx)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(d.ctx)
	ended := make(chan error, 1)
	w := newDaemon(m.app, m.clock, m.clock.Speed)
	w.reading = m.reading
	go func() { ended <- w.serve(ctx, public, admin) }()
	err = m.play(ctx, ended)
	stop()
	if served := <-ended; err == nil {
		err = served
	}
	if errors.Is(err, context.Canceled) && d.ctx.Err() != nil { // Ctrl-C is how a demo ends
		return nil
	}
	return err
}

// open starts the shop and makes Relance for it, from files, as for any shop.
func (m *demo) open(ctx context.Context) (public, admin net.Listener, err error) {
	dir, err := os.MkdirTemp("", "relance-demo-")
	if err != nil {
		return nil, nil, fmt.Errorf("making a temporary folder: %w", err)
	}
	m.cleanup = append(m.cleanup, func() {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(m.d.err, "removing the temporary folder:", err)
		}
	})
	adminAddr := m.cmd.Admin
	if m.cmd.Once { // no page: any free port
		adminAddr = "127.0.0.1:0"
	}
	if public, admin, err = listen(ctx, "127.0.0.1:0", adminAddr); err != nil {
		return nil, nil, err
	}
	cfg, err := m.configure(dir, public.Addr().String(), admin.Addr().String()) //nolint:contextcheck // the shop ends with cleanup, not with a context
	if err != nil {
		return nil, nil, errors.Join(err, public.Close(), admin.Close())
	}
	if err := m.openApp(ctx, cfg); err != nil {
		return nil, nil, errors.Join(err, public.Close(), admin.Close())
	}
	m.hooks = "http://" + public.Addr().String() + "/hooks/boutique"
	m.say.page = "http://" + admin.Addr().String()
	return public, admin, nil
}

func (m *demo) configure(dir, publicAddr, adminAddr string) (*config.Config, error) {
	var err error
	if m.shop, err = wooshop.New(wooshop.Options{Clock: m.clock.Now}); err != nil {
		return nil, err
	}
	_, hide, err := m.shop.StartPictures("127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	m.cleanup = append(m.cleanup, hide)
	url, ca, stop, err := m.shop.StartTLS("127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	m.cleanup = append(m.cleanup, stop)
	caFile := filepath.Join(dir, "shop-ca.pem")
	if err := os.WriteFile(caFile, ca, 0o600); err != nil {
		return nil, fmt.Errorf("writing the shop's certificate: %w", err)
	}
	if err := layOutDemo(dir); err != nil {
		return nil, err
	}
	vars := map[string]string{
		"DEMO_PUBLIC": publicAddr, "DEMO_ADMIN": adminAddr, "DEMO_SHOP": url, "DEMO_CA": caFile,
		"DEMO_KEY": wooshop.DefaultKey, "DEMO_SECRET": wooshop.DefaultSecret, "DEMO_WEBHOOK_SECRET": wooshop.DefaultWebhookSecret,
		"DEMO_PUSH_SECRET": demoPushSecret,
	}
	cfg, err := config.Load(dir, func(name string) (string, bool) { v, ok := vars[name]; return v, ok })
	if err != nil {
		return nil, err
	}
	cfg.PublicURL = "http://" + publicAddr // files may only say https; this never leaves the machine
	return cfg, nil
}

func (m *demo) openApp(ctx context.Context, cfg *config.Config) error {
	log, err := m.d.log(cfg.Log)
	if err != nil {
		return err
	}
	db, err := openDatabase(ctx, cfg)
	if err != nil {
		return err
	}
	m.cleanup = append(m.cleanup, func() {
		if err := db.Close(); err != nil {
			fmt.Fprintln(m.d.err, "closing the database:", err)
		}
	})
	m.app, err = openApp(ctx, cfg, db, appOptions{
		log: log, now: m.clock.Now, progress: m.progress, freshness: m.paced(60), every: m.intervals(),
	})
	return err
}

// progress tells the terminal and the page.
func (m *demo) progress(p engine.Progress) {
	m.say.backfill(p)
	m.reading.update(p)
}

// paced is a span of business time that takes so many real seconds once time is quickened.
func (m *demo) paced(seconds int64) time.Duration {
	return time.Duration(seconds * m.cmd.Speed * int64(time.Second))
}

// intervals keeps requests apart in real time: business time is quickened, the machine is not.
func (m *demo) intervals() map[string]time.Duration {
	return map[string]time.Duration{
		woocommerce.StreamOrders: m.paced(1), woocommerce.StreamOrdersTrash: m.paced(5), woocommerce.StreamRefunds: m.paced(2),
		woocommerce.StreamProducts: m.paced(10), woocommerce.StreamCategories: m.paced(60), woocommerce.StreamCustomers: m.paced(15),
		woocommerce.StreamOrderIDs: m.paced(30), woocommerce.StreamCustomerIDs: m.paced(30), woocommerce.StreamProductIDs: m.paced(60), woocommerce.StreamRefundIDs: m.paced(30),
	}
}

// play is the story: read everything, arm, quicken time, let customers in.
func (m *demo) play(ctx context.Context, ended <-chan error) error {
	for _, act := range []func(context.Context) error{m.probe, m.backfill, m.settle, m.arm} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	m.clock.SetSpeed(m.cmd.Speed)
	m.shop.OnWebhook(m.deliver)
	if m.cmd.Once {
		return m.once(ctx)
	}
	traffic, err := newTraffic(m)
	if err != nil {
		return err
	}
	m.say.open()
	m.say.pushing(m.app.cfg.PublicURL)
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	wg.Go(func() { traffic.run(ctx) })
	wg.Go(func() { m.showMails(ctx) })
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case err := <-ended:
		return errors.Join(err, errors.New("the daemon ended"))
	}
}

func (m *demo) probe(ctx context.Context) error {
	found, err := m.app.shops[0].source.Probe(ctx)
	m.say.probe(found)
	return err
}

// until waits for a condition of the database, which gives no signal of its own.
func until(ctx context.Context, bound time.Duration, what string, done func(context.Context) (bool, error)) error {
	limit := time.NewTimer(bound)
	defer limit.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := done(ctx)
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-limit.C:
			return fmt.Errorf("waiting for %s: not within %s", what, bound)
		case <-tick.C:
		}
	}
}

func (m *demo) backfill(ctx context.Context) error {
	err := until(ctx, 3*time.Minute, "the backfill", func(ctx context.Context) (bool, error) {
		s, err := m.app.mirror.ShopByName(ctx, m.app.shops[0].Name)
		if err == nil && s.Fault != "" {
			err = errors.New(s.Fault)
		}
		return s.BackfilledAt > 0, err
	})
	m.say.bar.end()
	if err != nil {
		return err
	}
	counts, err := m.counts(ctx)
	if err != nil {
		return err
	}
	contacts, err := m.app.mirror.LiveContacts(ctx)
	m.say.mirrored(counts, contacts)
	return err
}

func (m *demo) counts(ctx context.Context) (map[string]mirror.Count, error) {
	counts, err := m.app.mirror.Counts(ctx, m.app.shops[0].ID)
	return byKind(counts), err
}

// settle waits until every contact has been looked at.
func (m *demo) settle(ctx context.Context) error {
	if err := until(ctx, time.Minute, "the segments", m.settled); err != nil {
		return err
	}
	infos, err := segments.Infos(ctx, m.app.db.Read())
	m.say.segments(infos)
	return err
}

func (m *demo) settled(ctx context.Context) (bool, error) {
	n, _, err := m.app.mirror.DirtyStats(ctx)
	if err != nil || n > 0 {
		return false, err
	}
	infos, err := segments.Infos(ctx, m.app.db.Read())
	for _, i := range infos {
		if i.State != segments.StateLive || i.BuildTotal > 0 {
			return false, err
		}
	}
	return err == nil && len(infos) == len(m.app.segments), err
}

func (m *demo) arm(ctx context.Context) error {
	for _, id := range m.campaigns() {
		a, err := mailer.Arm(ctx, m.app.mirror, id, crm.At(m.clock.Now()))
		if err != nil {
			return err
		}
		m.say.armed(a)
	}
	return nil
}
