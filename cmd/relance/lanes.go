package main

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// leaseTTL is how long a lease outlives its process: longer than a hand-over may take (30 s).
const leaseTTL = 45 * time.Second

func laneNames() []string { return store.LaneLeases(crm.Lanes) }

// takeOver takes the lanes that are free, on SQLite those of the dead, too. The caller holds the database's lock.
func (a *app) takeOver(ctx context.Context) error {
	if a.db.Path() != "" { // the lock says that every other owner is dead
		if err := a.leases.ExpireAll(ctx); err != nil {
			return err
		}
	}
	held, err := a.leases.Acquire(ctx, laneNames()...)
	if err == nil && len(held) == 0 {
		a.log.Info("another process owns every lane; waiting to take over", zap.Int("lanes", crm.Lanes))
	}
	return err
}

// keepLanes renews the lanes held, and takes those that became free, until ctx ends; the caller has taken them once.
// Real time: a lease is about processes.
func keepLanes(ctx context.Context, leases *store.Leases, log *zap.Logger) error {
	tick := time.NewTicker(leaseTTL / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
		if _, err := leases.Acquire(ctx, laneNames()...); err != nil && ctx.Err() == nil {
			log.Warn("renewing lanes failed", zap.Error(err))
		}
	}
}
