package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/internal/loop"
)

type runCmd struct{}

// Help says what it does and shows an example.
func (runCmd) Help() string {
	return "Reads the shops, takes webhooks, keeps segments true and sends, until it gets SIGINT or SIGTERM; then it finishes what is\n" +
		"under way within 30 seconds. Campaigns send only once they are armed.\n\n" +
		"SIGHUP reads the files again: good ones are in force at once, without a webhook lost or a request cut; mistakes are logged and\n" +
		"shown on the page, and what was in force goes on. listen, database and log need a restart.\n\nExamples:\n\n  relance run\n  relance run --config /etc/relance --log-format json\n  kill -HUP $(pidof relance)"
}

// Run serves until the context ends.
func (c *runCmd) Run(d *deps) error {
	reloads := make(chan os.Signal, 1)
	signal.Notify(reloads, syscall.SIGHUP) // from the very start: a reload is never a death
	defer signal.Stop(reloads)
	cfg, err := d.load()
	if err != nil {
		return err
	}
	log, err := d.log(cfg.Log)
	if err != nil {
		return err
	}
	public, admin, err := listen(d.ctx, cfg.Listen.Public, cfg.Listen.Admin)
	if err != nil {
		return err
	}
	db, err := openDatabase(d.ctx, cfg)
	if err != nil {
		return errors.Join(err, public.Close(), admin.Close())
	}
	defer db.Close() //nolint:errcheck // everything was committed
	unlock, err := lockDatabase(db.Path())
	if err != nil {
		return errors.Join(err, public.Close(), admin.Close())
	}
	defer unlock()
	clock := loop.RealClock{}
	reading := newUnderway()
	a, err := openApp(d.ctx, cfg, db, appOptions{log: log, now: clock.Now, transport: d.transport, progress: reading.update})
	if err != nil {
		return errors.Join(err, public.Close(), admin.Close())
	}
	log.Info("relance serves", zap.String("version", versionOf()), zap.Int("shops", len(a.shops)),
		zap.Stringer("public", public.Addr()), zap.Stringer("admin", admin.Addr()))
	w := newDaemon(a, clock, func() int64 { return 1 })
	w.reading = reading
	err = (&serving{current: w, reloads: reloads, load: d.load}).serve(d.ctx, public, admin)
	log.Info("relance stopped", zap.Error(err))
	return err
}

// listen opens both listeners, so that a taken port is said before anything is touched.
func listen(ctx context.Context, publicAddr, adminAddr string) (public, admin net.Listener, err error) {
	var lc net.ListenConfig
	bound := func(what, addr string) (net.Listener, error) {
		ln, err := lc.Listen(ctx, "tcp", addr)
		if err != nil {
			return nil, &fault.Error{
				Class: fault.Operator, Op: "listening for the " + what + " surface", Err: err,
				Hint: fmt.Sprintf("Is another relance running? Else give listen.%s in relance.yaml another port", what),
			}
		}
		return ln, nil
	}
	if public, err = bound("public", publicAddr); err != nil {
		return nil, nil, err
	}
	if admin, err = bound("admin", adminAddr); err != nil {
		return nil, nil, errors.Join(err, public.Close())
	}
	return public, admin, nil
}

// stopGrace bounds a stop: longer than a mail may take to be handed over, shorter than what service managers wait.
const stopGrace = 25 * time.Second
