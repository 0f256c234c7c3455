package main

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/push"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/loop"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/web"
	"github.com/relance/relance/mailer"
	"github.com/relance/relance/mailer/recommend"
	"github.com/relance/relance/segments"
	"github.com/relance/relance/sync/inbox"
	"github.com/relance/relance/sync/pushed"
)

// daemon is an app at work: every engine in a runner, both surfaces served. After a reload another one takes its place.
type daemon struct {
	*app
	clock   loop.Clock
	reading *underway    // what run and the demo tell it; empty otherwise
	speed   func() int64 // of the clock, for the page
	wakes   *wakes
	files   *filesState // what became of the last reload
	trends  *trends
}

func newDaemon(a *app, clock loop.Clock, speed func() int64) *daemon {
	a.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return &daemon{app: a, clock: clock, speed: speed, reading: newUnderway(), wakes: &wakes{}, files: newFilesState(clock.Now()), trends: &trends{}}
}

// serve runs until ctx ends or a surface fails, then lets everything under way finish for at most stopGrace. The
// caller holds the database's lock and closes the database; serve closes the listeners.
func (w *daemon) serve(ctx context.Context, public, admin net.Listener) error {
	return (&serving{current: w}).serve(ctx, public, admin)
}

// begin takes over from the dead and stores the definitions of the files.
func (w *daemon) begin(ctx context.Context) error {
	if err := w.takeOver(ctx); err != nil {
		return err
	}
	return w.deploy(ctx)
}

// deploy stores the definitions of the files.
func (w *daemon) deploy(ctx context.Context) error {
	now := w.clock.Now()
	if err := w.maintainer.Deploy(ctx, now); err != nil {
		return err
	}
	_, err := mailer.Deploy(ctx, w.mirror, w.cfg.Campaigns, w.cfg.Segments, crm.At(now))
	return err
}

// engines are those of one daemon, running.
type engines struct {
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// readGrace is how long a read under way may go on at a stop: what is cut is read again.
const readGrace = 5 * time.Second

func (w *daemon) start(ctx context.Context) *engines {
	ctx, cancel := context.WithCancel(ctx)
	e := &engines{cancel: cancel}
	run := func(name string, s loop.Step, wake <-chan struct{}, grace time.Duration) {
		r := &loop.Runner{Name: name, Step: s, Clock: w.clock, Log: w.log, Wake: wake, Grace: grace}
		e.wg.Go(func() { r.Run(ctx) })
	}
	for _, s := range w.shops {
		if s.engine != nil {
			run("sync "+s.Name, s.engine, w.wakes.of(s.ID), readGrace)
		}
	}
	run("segments", w.maintainer, nil, stopGrace)
	run("mailer", w.mailer, nil, stopGrace)
	run("audit", segments.NewAuditor(w.mirror, w.leases, segments.AuditOptions{
		Log: w.log.Named("audit"), Metrics: w.meters.segments, Wall: w.options.wall, Speed: w.speed,
	}), nil, stopGrace)
	run("recommendations", recommend.NewEngine(w.mirror, w.leases, recommend.Options{Log: w.log.Named("recommendations"), Metrics: w.meters.picks}), nil, stopGrace)
	run("identities", mirror.NewIdentities(w.mirror, w.leases), nil, stopGrace)
	return e
}

// stop lets what is under way finish.
func (e *engines) stop() {
	e.cancel()
	e.wg.Wait()
}

// wakes start the re-reads that webhooks ask for. A shop keeps its channel over reloads.
type wakes struct {
	mu     sync.Mutex
	byShop map[int64]chan struct{}
}

func (w *wakes) of(shopID int64) chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byShop == nil {
		w.byShop = map[int64]chan struct{}{}
	}
	if w.byShop[shopID] == nil {
		w.byShop[shopID] = make(chan struct{}, 1)
	}
	return w.byShop[shopID]
}

// wake starts the re-read that a webhook asked for.
func (w *wakes) wake(shopID int64) {
	select {
	case w.of(shopID) <- struct{}{}:
	default: // it is about to look anyway
	}
}

func (w *daemon) publicOptions() web.PublicOptions {
	targets := map[string]inbox.Target{}
	for _, s := range w.shops {
		if h, ok := s.source.(connectors.Hinter); ok {
			targets[s.Name] = inbox.Target{ShopID: s.ID, Hinter: h}
		}
	}
	receiver := inbox.NewReceiver(w.mirror, inbox.Options{
		Shops: targets, Wake: w.wakes.wake, Now: w.clock.Now, Metrics: w.meters.inbox, Log: w.log.Named("inbox"),
	})
	return web.PublicOptions{
		Receive: receiver.Receive, Subscription: w.subscription, Unsubscribe: w.unsubscribe,
		Follow: w.follow, Landing: w.landing, Choices: w.choices(),
		Push: w.push(), Events: w.events(), OpenAPI: push.OpenAPI(), TrustedProxies: w.cfg.TrustedProxies, Metrics: w.meters.web, Log: w.log.Named("public"),
	}
}

// push takes the records that shops send by themselves.
func (w *daemon) push() web.PushFunc {
	targets := map[string]pushed.Target{}
	for _, s := range w.shops {
		if secrets := w.cfg.Shops[s.Name].Push.Secrets; len(secrets) > 0 {
			targets[s.Name] = pushed.Target{ShopID: s.ID, Secrets: secrets, Polled: s.engine != nil}
		}
	}
	receiver := pushed.NewReceiver(w.mirror, pushed.Options{
		Shops: targets, Wake: w.wakes.wake, Now: w.clock.Now, Wall: w.options.wall, Metrics: w.meters.pushed, Log: w.log.Named("push"),
	})
	return func(ctx context.Context, shop string, h http.Header, body []byte) web.PushAnswer {
		a := receiver.Receive(ctx, shop, h, body)
		return web.PushAnswer{Status: a.Status, Body: a.Body, RetryAfter: a.RetryAfter}
	}
}

// unsubscribe acts on a link. A one-click by a mail program and a click on the page are the same act.
func (w *daemon) unsubscribe(ctx context.Context, token string) (web.Subscription, error) {
	done, err := mailer.Unsubscribe(ctx, w.mirror, w.keys, token, "one-click", crm.At(w.clock.Now()))
	if err != nil {
		return web.Subscription{}, w.unknownToken(token, err)
	}
	return web.Subscription{Sender: w.senderOf(done.AudienceID), Ended: true}, nil
}

func (w *daemon) subscription(ctx context.Context, token string) (web.Subscription, error) {
	s, err := w.keys.Verify(token)
	if err != nil {
		return web.Subscription{}, web.ErrNotFound
	}
	ended, err := mailer.IsUnsubscribed(ctx, w.mirror, s)
	return web.Subscription{Sender: w.senderOf(s.AudienceID), Ended: ended}, err
}

func (w *daemon) unknownToken(token string, err error) error {
	if _, bad := w.keys.Verify(token); bad != nil {
		return web.ErrNotFound
	}
	return err
}

func (w *daemon) senderOf(audienceID int64) string {
	for _, s := range w.shops {
		if s.AudienceID == audienceID {
			a := w.cfg.Audiences[s.Audience]
			if a.FromName != "" {
				return a.FromName
			}
			return a.Title
		}
	}
	return ""
}
