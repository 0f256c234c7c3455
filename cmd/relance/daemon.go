package main

import (
	"context"
	"errors"
	"net"
	"sync"

	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/loop"
	"github.com/relance/relance/internal/web"
	"github.com/relance/relance/mailer"
	"github.com/relance/relance/sync/inbox"
)

// daemon is an app at work: every engine in a runner, both surfaces served.
type daemon struct {
	*app
	clock   loop.Clock
	reading *underway    // what run and the demo tell it; empty otherwise
	speed   func() int64 // of the clock, for the page
	wakes   map[int64]chan struct{}
	metrics *web.Metrics
}

func newDaemon(a *app, clock loop.Clock, speed func() int64) *daemon {
	a.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	w := &daemon{app: a, clock: clock, speed: speed, reading: newUnderway(), wakes: map[int64]chan struct{}{}, metrics: web.NewMetrics(a.registry, versionOf())}
	for _, s := range a.shops {
		w.wakes[s.ID] = make(chan struct{}, 1)
	}
	return w
}

// serve runs until ctx ends or a surface fails, then lets everything under way finish for at most stopGrace. The
// caller holds the database's lock and closes the database; serve closes the listeners.
func (w *daemon) serve(ctx context.Context, public, admin net.Listener) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if err := w.begin(ctx); err != nil {
		return errors.Join(err, public.Close(), admin.Close())
	}
	defer w.release(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { stop(keepLanes(ctx, w.leases, w.log)) })
	for _, s := range w.shops {
		if s.engine != nil {
			w.start(ctx, &wg, "sync "+s.Name, s.engine, w.wakes[s.ID])
		}
	}
	w.start(ctx, &wg, "segments", w.maintainer, nil)
	w.start(ctx, &wg, "mailer", w.mailer, nil)
	wg.Go(func() { stop(web.Serve(ctx, public, web.NewPublic(w.publicOptions()), stopGrace, w.log)) })
	wg.Go(func() { stop(web.Serve(ctx, admin, web.NewAdmin(w.adminOptions()), stopGrace, w.log)) })
	<-ctx.Done()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// begin takes over from the dead and stores the definitions of the files.
func (w *daemon) begin(ctx context.Context) error {
	if err := w.takeOver(ctx); err != nil {
		return err
	}
	now := w.clock.Now()
	if err := w.maintainer.Deploy(ctx, now); err != nil {
		return err
	}
	_, err := mailer.Deploy(ctx, w.mirror, w.cfg.Campaigns, crm.At(now))
	return err
}

func (w *daemon) start(ctx context.Context, wg *sync.WaitGroup, name string, s loop.Step, wake <-chan struct{}) {
	r := &loop.Runner{Name: name, Step: s, Clock: w.clock, Log: w.log, Wake: wake, Grace: stopGrace}
	wg.Go(func() { r.Run(ctx) })
}

// wake starts the re-read that a webhook asked for.
func (w *daemon) wake(shopID int64) {
	select {
	case w.wakes[shopID] <- struct{}{}:
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
		Shops: targets, Wake: w.wake, Now: w.clock.Now, Metrics: inbox.NewMetrics(w.registry), Log: w.log.Named("inbox"),
	})
	return web.PublicOptions{
		Receive: receiver.Receive, Subscription: w.subscription, Unsubscribe: w.unsubscribe,
		TrustedProxies: w.cfg.TrustedProxies, Metrics: w.metrics, Log: w.log.Named("public"),
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
