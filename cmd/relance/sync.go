package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/internal/loop"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

type syncCmd struct {
	Once bool   `help:"Read until nothing is left, then end. The only way so far: relance run reads on."`
	Shop string `help:"Only this shop." placeholder:"NAME"`
	JSON bool   `help:"One JSON object at the end." name:"json"`
}

// Help shows examples.
func (syncCmd) Help() string {
	return "Reads every shop: all of it the first time, then what changed. Segments are settled; nothing is sent.\n\n" +
		"Examples:\n\n  relance sync --once\n  relance sync --once --shop boutique --json"
}

// synced is the answer of sync --once --json. Version 1: keys may be added.
type synced struct {
	Version   int                                `json:"version"`
	Shops     map[string]map[string]mirror.Count `json:"shops"` // by name and kind (customers, orders, …)
	Applied   int64                              `json:"applied"`
	Unchanged int64                              `json:"unchanged"`
	Contacts  int64                              `json:"contacts"`
	Seconds   float64                            `json:"seconds"`
}

// Run reads the shops.
func (c *syncCmd) Run(d *deps) error {
	if !c.Once {
		return usage("say relance sync --once; relance run keeps reading")
	}
	cfg, err := d.load()
	if err != nil {
		return err
	}
	if _, ok := cfg.Shops[c.Shop]; c.Shop != "" && !ok {
		return usage("there is no shop %q in %s", c.Shop, cfg.Dir)
	}
	log, err := d.quietLog()
	if err != nil {
		return err
	}
	db, err := openDatabase(d.ctx, cfg)
	if err != nil {
		return err
	}
	defer db.Close() //nolint:errcheck // everything was committed
	unlock, err := lockDatabase(db.Path())
	if err != nil {
		return err
	}
	defer unlock()
	shown := newProgress(d.err)
	a, err := openApp(d.ctx, cfg, db, appOptions{log: log, now: d.now, transport: d.transport, progress: shown.update, only: c.Shop})
	if err != nil {
		return err
	}
	begun := time.Now()
	err = a.syncOnce(d.ctx, d.now)
	shown.end()
	if d.ctx.Err() != nil {
		return errors.New("interrupted; the next run goes on from here")
	}
	if err != nil {
		return err
	}
	return c.answer(d, a, time.Since(begun))
}

// syncOnce reads every shop until it is caught up, then settles the segments. The caller holds the database's lock.
func (a *app) syncOnce(ctx context.Context, now func() time.Time) error {
	if err := a.takeOver(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		_ = keepLanes(ctx, a.leases, a.log) // it ends with ctx, and says what goes wrong
	})
	defer a.release(ctx)
	errs := make([]error, len(a.shops))
	var readers sync.WaitGroup
	for i, s := range a.shops {
		if s.engine == nil { // it sends by itself
			continue
		}
		readers.Go(func() { errs[i] = a.readShop(ctx, s, now) })
	}
	readers.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := a.maintainer.Deploy(ctx, now()); err != nil {
		return err
	}
	if err := stepUntil(ctx, a.maintainer, now, func() (bool, error) { return a.maintainer.Settled(ctx, now()) }); err != nil {
		return err
	}
	return a.maintainer.FlushCosts(ctx)
}

// release gives the leases back, so that whoever comes next need not wait for them.
func (a *app) release(ctx context.Context) {
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := a.leases.Release(end); err != nil {
		a.log.Warn("giving leases back failed", zap.Error(err))
	}
}

// readings is how often a shop is read at most: the first reading brings what changed, and when the shop's count then
// says that something is amiss, the second compares the lists of ids.
const readings = 2

// readShop reads one shop until it is caught up and what is mirrored adds up to what the shop says it has.
func (a *app) readShop(ctx context.Context, s shopUnit, now func() time.Time) error {
	if held, err := a.leases.Acquire(ctx, store.ShopLease(s.ID)); err != nil {
		return err
	} else if len(held) == 0 {
		return &fault.Error{Class: fault.Operator, Op: "reading shop " + s.Name, Err: errors.New("another relance is reading it"), Hint: "It keeps the mirror up to date by itself: see relance status"}
	}
	if err := a.wantEverything(ctx, s.ID, crm.At(now())); err != nil {
		return err
	}
	for range readings {
		if err := a.catchUp(ctx, s, now); err != nil {
			return err
		}
		differs, err := s.engine.RefreshCounts(ctx, now())
		if err != nil {
			return fmt.Errorf("counting what shop %s has: %w", s.Name, err)
		}
		if !differs {
			break
		}
	}
	return nil
}

func (a *app) catchUp(ctx context.Context, s shopUnit, now func() time.Time) error {
	err := stepUntil(ctx, s.engine, now, func() (bool, error) {
		stored, err := a.mirror.ShopByName(ctx, s.Name)
		if err != nil {
			return false, err
		}
		if stored.Fault != "" { // what passes quickly is not shown as a fault
			return false, unreadable(s.Name, stored)
		}
		return s.engine.CaughtUp(ctx)
	})
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("syncing shop %s: %w", s.Name, err)
	}
	return err
}

func unreadable(name string, s mirror.Shop) error {
	f := &fault.Error{Class: fault.Class(s.FaultClass), Op: "reading shop " + name, Err: errors.New(s.Fault)}
	if f.Class != fault.Operator { // else the text says what to do
		f.Hint = "What has been read so far is kept: run it again once the shop answers"
	}
	return f
}

// wantEverything makes every reading stream due now. Lists of ids, which find what is gone, keep their own pace.
func (a *app) wantEverything(ctx context.Context, shopID int64, now crm.Instant) error {
	streams, err := a.mirror.Streams(ctx, shopID)
	if err != nil {
		return err
	}
	err = a.db.Write(ctx, "cmd.want", func(tx *store.Tx) error {
		if err := a.leases.Fence(ctx, tx, store.ShopLease(shopID)); err != nil {
			return err
		}
		for _, s := range streams {
			if s.Mode == connectors.ModeIDs || s.NextAt <= now {
				continue
			}
			s.NextAt = now
			if err := a.mirror.SaveStream(ctx, tx, s); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("asking for every stream: %w", err)
	}
	return nil
}

const (
	patience    = 3 * time.Minute // how long errors in a row are borne, in real time
	longestWait = time.Second
)

// stepUntil steps an engine until done says so. Errors in a row are borne for a while: a server may be restarting.
func stepUntil(ctx context.Context, s loop.Step, now func() time.Time, done func() (bool, error)) error {
	var failing time.Time
	asked := time.Now()
	for ctx.Err() == nil {
		next, worked, err := s.Step(ctx, now())
		switch {
		case err == nil:
			failing = time.Time{}
		case failing.IsZero():
			failing = time.Now()
		case time.Since(failing) > patience || fault.ClassOf(err) == fault.Operator:
			return err
		}
		if worked && err == nil && time.Since(asked) < longestWait { // a shop that answers slowly always leaves something due
			continue
		}
		asked = time.Now()
		if ok, derr := done(); ok || derr != nil {
			return derr
		}
		if worked && err == nil {
			continue
		}
		wait := time.NewTimer(min(max(next.Sub(now()), 10*time.Millisecond), longestWait))
		select {
		case <-ctx.Done():
		case <-wait.C:
		}
		wait.Stop()
	}
	return context.Cause(ctx)
}

func (c *syncCmd) answer(d *deps, a *app, took time.Duration) error {
	r := synced{Version: 1, Shops: map[string]map[string]mirror.Count{}, Seconds: took.Seconds()}
	for _, s := range a.shops {
		counts, err := a.mirror.Counts(d.ctx, s.ID)
		if err != nil {
			return err
		}
		r.Shops[s.Name] = byKind(counts)
	}
	var err error
	if r.Contacts, err = a.mirror.LiveContacts(d.ctx); err != nil {
		return err
	}
	if r.Applied, r.Unchanged, err = a.facets(); err != nil {
		return err
	}
	if c.JSON {
		return d.json(r)
	}
	for _, s := range a.shops {
		printCounts(d.out, s.Name, r.Shops[s.Name])
	}
	fmt.Fprintf(d.out, "%d contacts; %d facets written, %d unchanged, in %s\n", r.Contacts, r.Applied, r.Unchanged, took.Round(100*time.Millisecond))
	return nil
}

// facets reads from the metrics what the engines did in this process.
func (a *app) facets() (applied, unchanged int64, err error) {
	families, err := a.registry.Gather()
	if err != nil {
		return 0, 0, fmt.Errorf("counting facets: %w", err)
	}
	for _, f := range families {
		if f.GetName() != "relance_sync_facets_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				switch l.GetValue() {
				case "applied":
					applied += int64(m.GetCounter().GetValue())
				case "unchanged":
					unchanged += int64(m.GetCounter().GetValue())
				}
			}
		}
	}
	return applied, unchanged, nil
}
