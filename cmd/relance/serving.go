package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/relance/relance/config"
	"github.com/relance/relance/internal/web"
)

// serving is a process that serves: the daemon of the files in force, and how another takes its place.
type serving struct {
	current *daemon
	reloads <-chan os.Signal               // nil: never
	load    func() (*config.Config, error) // reads the files again

	public, admin door
	running       *engines
}

// door is a surface whose rooms can be changed while it is open. A request stays in the rooms it entered.
type door struct{ rooms atomic.Pointer[http.Handler] }

func (d *door) lead(h http.Handler) { d.rooms.Store(&h) }

// ServeHTTP lets a request in.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) { (*d.rooms.Load()).ServeHTTP(w, r) }

func (s *serving) serve(ctx context.Context, public, admin net.Listener) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	w := s.current
	if err := w.begin(ctx); err != nil {
		return errors.Join(err, public.Close(), admin.Close())
	}
	defer w.release(ctx) // the leases are the process's
	s.lead(w)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { stop(keepLanes(ctx, w.leases, w.log)) })
	s.running = w.start(ctx)
	defer func() { s.running.stop() }()
	wg.Go(func() { stop(web.Serve(ctx, public, &s.public, stopGrace, w.log)) })
	wg.Go(func() { stop(web.Serve(ctx, admin, &s.admin, stopGrace, w.log)) })
	for {
		select {
		case <-s.reloads:
			s.reload(ctx)
			continue
		case <-ctx.Done():
		}
		if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
			return err
		}
		return nil
	}
}

// lead lets both surfaces answer by a daemon's rooms.
func (s *serving) lead(w *daemon) {
	s.public.lead(web.NewPublic(w.publicOptions()))
	s.admin.lead(web.NewAdmin(w.adminOptions()))
}

// reload puts the files as they are now in force. Whatever can fail is made before anything stops; what fails leaves
// everything as it was and is said, in the log and on the page.
func (s *serving) reload(ctx context.Context) {
	old := s.current
	next, err := s.build(ctx)
	if err == nil {
		err = s.swap(ctx, next)
	}
	switch {
	case ctx.Err() != nil: // it is stopping
	case err != nil:
		old.files.refused(old.clock.Now(), err)
		old.meters.reload.refused()
		sayRefused(old.log, err)
	default:
		old.files.loaded(old.clock.Now())
		old.meters.reload.loaded()
		old.log.Info("the files were read again and are in force", zap.Int("shops", len(next.shops)),
			zap.Int("segments", len(next.segments)), zap.Int("campaigns", len(next.cfg.Campaigns)))
	}
}

// build makes the daemon of the files as they are now. Nothing runs yet, and nothing has stopped.
func (s *serving) build(ctx context.Context) (*daemon, error) {
	cfg, err := s.load()
	if err != nil {
		return nil, err
	}
	if err := needsRestart(s.current.cfg, cfg); err != nil {
		return nil, err
	}
	a, err := s.current.app.app(ctx, cfg)
	if err != nil {
		return nil, err
	}
	next := *s.current
	next.app = a
	return &next, nil
}

// swap stops the engines in force, lets what they have under way finish, and starts those of next. Webhooks and pages go
// on all the while. When even storing the definitions fails, the old ones go on.
func (s *serving) swap(ctx context.Context, next *daemon) error {
	s.running.stop()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := next.deploy(ctx); err != nil {
		if again := s.current.deploy(ctx); again != nil && ctx.Err() == nil {
			s.current.log.Warn("storing the definitions in force again failed", zap.Error(again))
		}
		s.running = s.current.start(ctx)
		return err
	}
	for _, shop := range s.current.shops {
		if _, kept := next.cfg.Shops[shop.Name]; !kept {
			s.current.meters.engine.Forget(shop.Name)
		}
	}
	s.current = next
	s.lead(next)
	s.running = next.start(ctx)
	return nil
}
