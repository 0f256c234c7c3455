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

// keepLanes renews the lanes held and takes those that became free until ctx ends. Real time: a lease is about processes.
func keepLanes(ctx context.Context, leases *store.Leases, log *zap.Logger) error {
	tick := time.NewTicker(leaseTTL / 3)
	defer tick.Stop()
	for {
		if _, err := leases.Acquire(ctx, laneNames()...); err != nil && ctx.Err() == nil {
			log.Warn("renewing lanes failed", zap.Error(err))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}
